"""Figures of attributes: gain over the majority guess, precision-recall curves, labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from sklearn.metrics import average_precision_score, precision_recall_curve

from kerasface.metrics.attributes import THRESHOLD, co_occurrence
from kerasface.metrics.inputs import (
    check_attribute_names,
    check_attributes,
    check_binary,
    check_thresholds,
)
from kerasface.reports.style import (
    GUESS_COLOR,
    RATE_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    brief,
    plain_axis,
    set_title,
    short,
    square_matrix,
)

COUNTED_ATTRIBUTES = 20  # with more, the numbers in the cells are too small to read
WIDE_ATTRIBUTES = 20  # with more, panels are smaller
CURVE_POINTS = 1000
ROW = 0.26  # inches per attribute in a list
CURVE: dict[str, Any] = {"color": TRAIN_COLOR, "linewidth": 1.5}
GUESS: dict[str, Any] = {"color": RATE_COLOR, "linewidth": 1, "linestyle": ":"}
DOT: dict[str, Any] = {
    "color": VALIDATION_COLOR,
    "marker": "o",
    "linestyle": "none",
    "markeredgecolor": "white",
    "markeredgewidth": 0.6,
    "zorder": 5,
}


def attribute_figures(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    per_attribute: pd.DataFrame,
    *,
    thresholds: Sequence[float] | np.ndarray,
    gain_title: str | None = None,
    curves_title: str | None = None,
) -> dict[str, Figure]:
    """Draws all figures of this module.

    Args:
        labels: 0/1 ``[N, A]``.
        probabilities: float ``[N, A]`` in [0, 1].
        names: Attribute names, ``[A]``.
        per_attribute: Table from `kerasface.metrics.attributes.evaluate`.
        thresholds: One per attribute, marked on the curves.
        gain_title: Title of the figure of the gains.
        curves_title: Title of the figure of precision and recall.

    Returns:
        Title to figure. A single attribute has no co-occurrence matrix.
    """
    figures = {
        "Gain over the majority guess": gain_bars(per_attribute, title=gain_title),
        "Precision and recall": precision_recall_curves(
            labels, probabilities, names, thresholds=thresholds, title=curves_title
        ),
        "Label distribution": label_distribution(labels, names),
    }
    if len(names) > 1:
        figures["Co-occurrence"] = co_occurrence_matrix(labels, names)
    return figures


def gain_bars(per_attribute: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Draws the accuracy in comparison with the majority guess, the largest gain first.

    Args:
        per_attribute: Table from `kerasface.metrics.attributes.evaluate`.
        title: Title of the figure.

    Returns:
        One bar per attribute, from 0 to the accuracy of the majority guess and from there to the
        accuracy of the model, in another color if the model is worse. The three numbers are
        beside it.

    Raises:
        ValueError: If there is no row or a column is missing.

    Example:
        >>> columns = ["name", "accuracy", "majority_accuracy", "gain"]
        >>> table = pd.DataFrame([["bald", 0.98, 0.97, 0.01]], columns=columns)
        >>> gain_bars(table).savefig("gain.png")  # doctest: +SKIP
    """
    needed = {"name", "accuracy", "majority_accuracy", "gain"}
    if not len(per_attribute) or not needed <= set(per_attribute):
        raise ValueError(
            f"Bars need rows with the columns {sorted(needed)}. "
            f"Received: {len(per_attribute)} rows with {list(per_attribute)}."
        )
    frame = per_attribute.sort_values("gain", ascending=False, kind="stable")
    majority, gain = frame["majority_accuracy"].to_numpy(), frame["gain"].to_numpy()
    places = np.arange(len(frame))
    figure = Figure(figsize=(8.6, 1.5 + ROW * max(2, len(frame))), layout="constrained", dpi=120)
    axis = figure.subplots()
    axis.barh(places, majority, color=GUESS_COLOR, label="majority guess")
    # Empty groups would still have an entry in the legend.
    for rows, color, label in (
        (gain >= 0, TRAIN_COLOR, "gained by the model"),
        (gain < 0, VALIDATION_COLOR, "lost by the model"),
    ):
        if rows.any():
            axis.barh(places[rows], gain[rows], left=majority[rows], color=color, label=label)
    _draw_numbers(axis, frame)
    axis.set_yticks(places, [short(name, 28) for name in frame["name"]], fontsize=8)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(frame) - 0.4, -1.5)
    axis.set_xlim(0, 1.4)
    axis.set_xticks(np.linspace(0, 1, 6))
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_xlabel("accuracy", x=0.5 / 1.4)  # below the middle of the bars
    plain_axis(axis)
    axis.spines["bottom"].set_bounds(0, 1)
    axis.grid(visible=False, axis="y")
    figure.legend(loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    set_title(figure, title)
    return figure


def precision_recall_curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    thresholds: float | Sequence[float] | np.ndarray = THRESHOLD,
    title: str | None = None,
) -> Figure:
    """Draws precision over recall, one panel per attribute.

    Args:
        labels: 0/1 ``[N, A]``.
        probabilities: float ``[N, A]`` in [0, 1].
        names: Attribute names, ``[A]``.
        thresholds: One for all attributes or ``[A]``, marked on the curves.
        title: Title of the figure.

    Returns:
        Panels with the average precision in their titles. The dotted line is the prevalence,
        which is the precision of a guess. The panel of an attribute that no image has is empty
        and says so. Curves of more than 1,000 points are thinned.

    Raises:
        ValueError: If shapes, dtypes or ranges are invalid.

    Example:
        >>> figure = precision_recall_curves([[0], [1]], [[0.2], [0.9]], ["bald"])
        >>> figure.savefig("curves.png")  # doctest: +SKIP
    """
    truth, probabilities = check_attributes(labels, probabilities)
    attributes = truth.shape[1]
    check_attribute_names(names, attributes)
    limits = check_thresholds(thresholds, attributes)
    columns = min(attributes, 5 if attributes <= WIDE_ATTRIBUTES else 8)
    rows = math.ceil(attributes / columns)
    side = 4.4 if attributes == 1 else 2.3 if attributes <= WIDE_ATTRIBUTES else 1.75
    font = float(np.interp(side, [1.75, 2.3, 4.4], [7, 8.5, 11]))
    figure = Figure(
        figsize=(max(5.2, side * columns) + 0.4, side * rows + 1), layout="constrained", dpi=120
    )
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for index, axis in enumerate(axes.ravel()):
        if index >= attributes:
            axis.set_axis_off()
            continue
        _prepare_panel(axis, font)
        if index + columns >= attributes:  # the last of its column
            axis.set_xlabel("recall", fontsize=font)
            axis.xaxis.set_tick_params(labelbottom=True)
        # As many characters as fit into the panel.
        name = short(names[index], int(side * 115 / font / 1.35))
        outcomes = _Outcomes(truth[:, index], probabilities[:, index], float(limits[index]))
        _draw_panel(axis, outcomes, name, font)
    figure.supylabel("precision", fontsize=max(font, 9))
    handles = [
        Line2D([], [], **CURVE, label="curve (its average precision)"),
        Line2D([], [], **DOT, markersize=5, label="at the threshold"),
        Line2D([], [], **GUESS, label="a guess"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    set_title(figure, title)
    return figure


def label_distribution(
    labels: np.ndarray, names: Sequence[str], *, title: str | None = None
) -> Figure:
    """Draws how many images have each attribute, the most frequent first.

    Args:
        labels: 0/1 ``[N, A]``.
        names: Attribute names, ``[A]``.
        title: Title of the figure.

    Returns:
        One bar per attribute: its share of the images, with their number beside it.

    Raises:
        ValueError: If the labels are not 0/1 ``[N, A]`` or the number of names is wrong.

    Example:
        >>> figure = label_distribution([[0, 1], [1, 1]], ["bald", "male"])
        >>> figure.savefig("labels.png")  # doctest: +SKIP
    """
    truth = check_binary("labels", labels)
    images, attributes = truth.shape
    check_attribute_names(names, attributes)
    counts = truth.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    figure = Figure(figsize=(7.2, 1.2 + ROW * max(2, attributes)), layout="constrained", dpi=120)
    axis = figure.subplots()
    bars = axis.barh(range(attributes), counts[order] / images, color=TRAIN_COLOR)
    texts = [f"{counts[index] / images:.1%}  ({brief(counts[index])})" for index in order]
    axis.bar_label(bars, texts, fontsize=8, padding=3)
    axis.set_yticks(range(attributes), [short(names[index], 28) for index in order], fontsize=8)
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(attributes - 0.4, -0.6)
    axis.set_xlim(0, 1.18)  # space for the number beside a full bar
    axis.set_xticks(np.linspace(0, 1, 6))
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_xlabel(f"share of the {images:,} images (and their number)", x=0.5 / 1.18)
    plain_axis(axis)
    axis.spines["bottom"].set_bounds(0, 1)
    axis.grid(visible=False, axis="y")
    set_title(figure, title)
    return figure


def co_occurrence_matrix(
    labels: np.ndarray, names: Sequence[str], *, title: str | None = None
) -> Figure:
    """Draws which attributes occur together.

    Args:
        labels: 0/1 ``[N, A]``.
        names: Attribute names, ``[A]``.
        title: Title of the figure.

    Returns:
        A matrix, colored by the share of images with the attribute of the row that also have the
        attribute of the column. With up to 20 attributes the cells show it in percent. The row of
        an attribute that no image has is empty.

    Raises:
        ValueError: If the labels are not 0/1 ``[N, A]`` or the number of names is wrong.

    Example:
        >>> figure = co_occurrence_matrix([[0, 1], [1, 1]], ["bald", "male"])
        >>> figure.savefig("together.png")  # doctest: +SKIP
    """
    shares = co_occurrence(labels, names).to_numpy()
    attributes = len(shares)
    cell = float(np.interp(attributes, [5, 20, 40], [0.56, 0.38, 0.2]))
    font = float(np.interp(attributes, [5, 20, 40], [10, 8.5, 7.5]))
    cells = {
        (row, column): f"{100 * shares[row, column]:.0f}"
        for row, column in np.argwhere(np.isfinite(shares))
    }
    figure, axis = square_matrix(
        shares,
        names,
        cells if attributes <= COUNTED_ATTRIBUTES else None,
        side=max(cell * attributes, 2.2),
        fontsize=font,
        norm=Normalize(0, 1),
        label="share of the row's images",
    )
    axis.set_xlabel("\u2026 have this too")
    axis.set_ylabel("of the images with this \u2026")
    set_title(figure, title)
    return figure


@dataclass(frozen=True)
class _Outcomes:
    """The images of one attribute.

    Attributes:
        truth: bool ``[N]``.
        scores: float ``[N]``.
        threshold: Its threshold.
    """

    truth: np.ndarray
    scores: np.ndarray
    threshold: float


def _draw_numbers(axis: Axes, frame: pd.DataFrame) -> None:
    """Writes accuracies and gains beside the bars."""
    points = frame.assign(gain=100 * frame["gain"])  # a gain in percent could mean a share
    columns = (
        ("model", "accuracy", ".1%"),
        ("majority", "majority_accuracy", ".1%"),
        ("points", "gain", "+.1f"),
    )
    for offset, (head, column, form) in enumerate(columns):
        place = 1.12 + 0.13 * offset  # beyond 100%, where no bar reaches
        axis.text(place, -1, head, ha="right", va="center", fontsize=8, color=RATE_COLOR)
        for row, value in enumerate(points[column]):
            axis.text(place, row, f"{value:{form}}", ha="right", va="center", fontsize=8)


def _prepare_panel(axis: Axes, font: float) -> None:
    axis.set_xlim(-0.03, 1.03)
    axis.set_ylim(-0.03, 1.03)
    axis.tick_params(labelsize=font - 1)
    axis.set_xticks([0, 0.5, 1])
    axis.set_yticks([0, 0.5, 1])
    plain_axis(axis)


def _draw_panel(axis: Axes, outcomes: _Outcomes, name: str, font: float) -> None:
    """Draws the curve of an attribute, its prevalence and its threshold."""
    truth, scores = outcomes.truth, outcomes.scores
    if not truth.any():
        axis.set_title(name, loc="left", fontsize=font)
        axis.text(0.5, 0.5, "no image has it", ha="center", fontsize=font, color=RATE_COLOR)
        return
    area = average_precision_score(truth, scores)
    axis.set_title(f"{name}  {area:.2f}", loc="left", fontsize=font)
    axis.axhline(truth.mean(), **GUESS)
    precision, recall, _ = precision_recall_curve(truth, scores)
    if len(recall) > CURVE_POINTS:
        kept = np.linspace(0, len(recall) - 1, CURVE_POINTS).round().astype(int)
        precision, recall = precision[kept], recall[kept]
    # In steps, as the average precision sums it up, without a slope between two points.
    axis.step(recall, precision, where="post", **CURVE)
    predicted = scores >= outcomes.threshold
    if predicted.any():
        found = (truth & predicted).sum()
        axis.plot(found / truth.sum(), found / predicted.sum(), markersize=font / 2, **DOT)
