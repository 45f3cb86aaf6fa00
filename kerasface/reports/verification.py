"""Figures of pairs: ROC curve, scores, and the worst mistakes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from kerasface.checks import check_number
from kerasface.metrics.inputs import check_pairs
from kerasface.metrics.operating_points import FEWEST_FALSE_ACCEPTS, roc_points
from kerasface.reports.style import (
    LINE_STYLES,
    RATE_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    captioned_cells,
    check_image,
    file_name,
    plain_axis,
    set_title,
    short,
)

CURVE_POINTS = 1000
BINS = 60
MOST_INSIDE = 8  # with more curves, their names would cover them
GAP = 4  # pixels between the two images of a pair


def roc_log(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], *, title: str | None = None
) -> Figure:
    """Draws the true accept rate over the logarithm of the false accept rate.

    Args:
        curves: Name to the scores ``[N]`` and kinds ``[N]`` (bool or 0/1, whether a pair is
            genuine) of pairs.
        title: Title of the figure.

    Returns:
        One stepped curve per name, from one false accept on; thinned to 1,000 points. The
        background is gray for rates of fewer than ten false accepts. With more than eight curves
        the names are beside the axes.

    Raises:
        ValueError: If there is no curve, or scores and kinds are invalid.

    Example:
        >>> scores, same = np.linspace(-1, 1, 100), np.arange(100) >= 40
        >>> roc_log({"model": (scores, same)}).savefig("roc.png")  # doctest: +SKIP
    """
    if not curves:
        raise ValueError("A ROC figure needs at least one curve. Received: none.")
    beside = len(curves) > MOST_INSIDE
    figure = Figure(figsize=(9.8 if beside else 6.8, 5.2), layout="constrained", dpi=120)
    axis = figure.subplots()
    fewest = min(int((~check_pairs(*pairs)[1]).sum()) for pairs in curves.values())
    for place, (name, pairs) in enumerate(curves.items()):
        _draw_curve(axis, name, pairs, place)
    axis.set_xscale("log")
    axis.set_xlim(0.8 / fewest, 1.0)
    axis.set_ylim(0, 1.02)
    _mark_few_false_accepts(axis, fewest)
    axis.set_xlabel("false accept rate")
    axis.set_ylabel("true accept rate")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    plain_axis(axis)
    axis.legend(
        fontsize=9,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0) if beside else None,
        title="area under the curve",
        edgecolor="none",
    )
    set_title(figure, title)
    return figure


def score_histograms(
    scores: np.ndarray,
    same: np.ndarray,
    *,
    threshold: float | None = None,
    title: str | None = None,
) -> Figure:
    """Draws histograms of the scores of genuine and impostor pairs.

    Args:
        scores: float ``[N]``.
        same: bool or 0/1 ``[N]``, whether a pair is genuine.
        threshold: Drawn as a line. None or infinity draws none.
        title: Title of the figure.

    Returns:
        Both histograms, each as shares of its kind, in 60 common bins.

    Raises:
        ValueError: If shapes or values are invalid, or one kind of pairs is missing.

    Example:
        >>> scores, same = np.linspace(-1, 1, 100), np.arange(100) >= 40
        >>> score_histograms(scores, same).savefig("scores.png")  # doctest: +SKIP
    """
    scores, same = check_pairs(scores, same)
    if threshold is not None:
        check_number("threshold", threshold)
    figure = Figure(figsize=(6.8, 4.2), layout="constrained", dpi=120)
    axis = figure.subplots()
    edges = np.histogram_bin_edges(scores, BINS)
    for name, kind, color in (
        ("different people", ~same, VALIDATION_COLOR),
        ("same person", same, TRAIN_COLOR),
    ):
        share = np.full(int(kind.sum()), 1 / kind.sum())
        label = f"{name} ({int(kind.sum()):,} pairs)"
        axis.hist(scores[kind], edges.tolist(), weights=share, color=color, alpha=0.6, label=label)
    if threshold is not None and math.isfinite(threshold):
        label = f"threshold {threshold:.3f}"
        axis.axvline(threshold, color="#333333", linewidth=1.2, linestyle="--", label=label)
    axis.set_xlabel("score")
    axis.set_ylabel("share of the pairs of a kind")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    plain_axis(axis)
    axis.margins(y=0.28)  # space for the legend
    axis.legend(fontsize=9, loc="upper left", edgecolor="none")
    set_title(figure, title)
    return figure


def pairs_gallery(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    captions: Sequence[str],
    *,
    columns: int = 4,
    title: str | None = None,
) -> Figure:
    """Draws pairs of images side by side, with captions.

    Args:
        pairs: Two uint8 RGB arrays ``[H, W, 3]`` each, of any sizes.
        captions: One text per pair, of several lines; see `pair_captions`.
        columns: Pairs per row.
        title: Title of the figure.

    Returns:
        A figure with all pairs, or the words "no pairs" if there are none.

    Raises:
        ValueError: If an array is no such image, or the number of captions is wrong.

    Example:
        >>> image = np.zeros((8, 8, 3), np.uint8)
        >>> figure = pairs_gallery([(image, image)], ["0.812: the same person"])
        >>> figure.savefig("pairs.png")  # doctest: +SKIP
    """
    if len(pairs) != len(captions):
        raise ValueError(
            "Every pair must have a caption. "
            f"Received: {len(pairs)} pairs and {len(captions)} captions."
        )
    figure, axes = captioned_cells(captions, columns, size=(2.8, 1.4), line_height=0.15, length=38)
    for axis, pair in zip(axes, pairs, strict=False):
        axis.imshow(_side_by_side(*pair))
    if not len(pairs):
        axes[0].text(0.5, 0.5, "no pairs", ha="center", va="center")
    set_title(figure, title)
    return figure


def pair_captions(pairs: pd.DataFrame) -> list[str]:
    """Returns captions for `pairs_gallery`.

    Args:
        pairs: Rows with ``file_a``, ``file_b``, ``same`` and ``score``.

    Returns:
        The score and the truth, and the two file names, one per line.

    Example:
        >>> row = {"file_a": "a/1.jpg", "file_b": "b/2.jpg", "same": False, "score": 0.8123}
        >>> pair_captions(pd.DataFrame([row]))
        ['0.812: different people\\n1.jpg\\n2.jpg']
    """
    captions = []
    for row in pairs.to_dict("records"):
        truth = "the same person" if row["same"] else "different people"
        files = [file_name(row[key]) for key in ("file_a", "file_b")]
        captions.append("\n".join([f"{row['score']:.3f}: {truth}", *files]))
    return captions


def upper_edge(scores: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the points of a ROC curve that a figure can show.

    Args:
        scores: float ``[N]``.
        same: bool or 0/1 ``[N]``, whether a pair is genuine.

    Returns:
        The distinct false accept rates above 0, at most 1,000, and the highest true accept rate
        at each.

    Example:
        >>> rates, highest = upper_edge(np.array([0.9, 0.4, 0.2]), np.array([1, 0, 0]))
        >>> rates.tolist(), highest.tolist()
        ([0.5, 1.0], [1.0, 1.0])
    """
    far, tar, _ = roc_points(scores, same)
    rates, first = np.unique(far, return_index=True)
    last = np.append(first[1:], len(far)) - 1
    highest = tar[last]
    rates, highest = rates[rates > 0], highest[rates > 0]
    if len(rates) > CURVE_POINTS:
        wanted = np.geomspace(rates[0], rates[-1], CURVE_POINTS)
        rows = np.unique(np.clip(rates.searchsorted(wanted), 0, len(rates) - 1))
        rates, highest = rates[rows], highest[rows]
    return rates, highest


def _draw_curve(axis: Axes, name: str, pairs: tuple[np.ndarray, np.ndarray], place: int) -> None:
    colors = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    far, tar, _ = roc_points(*pairs)
    area = float((np.diff(far) * (tar[1:] + tar[:-1])).sum() / 2)
    rates, highest = upper_edge(*pairs)
    axis.step(
        rates,
        highest,
        where="post",
        color=colors[place % len(colors)],
        linestyle=LINE_STYLES[place // len(colors) % len(LINE_STYLES)],
        linewidth=1.9,
        # The number comes first: matplotlib leaves out a label that starts with "_".
        label=f"{area:.4f}  {short(name, 40)}",
    )


def _mark_few_false_accepts(axis: Axes, impostors: int) -> None:
    """Colors the background of the rates that too few false accepts are behind."""
    lowest = 0.8 / impostors
    trusted = min(FEWEST_FALSE_ACCEPTS / impostors, 1.0)
    axis.axvspan(lowest, trusted, color="#eeeeee", zorder=0, linewidth=0)
    axis.text(
        math.sqrt(lowest * trusted),
        0.015,
        f"fewer than {FEWEST_FALSE_ACCEPTS} false accepts",
        fontsize=8,
        color=RATE_COLOR,
        ha="center",
        va="bottom",
    )


def _side_by_side(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    for image in (first, second):
        check_image(image)
    height = max(len(first), len(second))
    padded = [
        np.pad(image, ((0, height - len(image)), (0, 0), (0, 0)), constant_values=255)
        for image in (first, second)
    ]
    return np.hstack([padded[0], np.full((height, GAP, 3), 255, np.uint8), padded[1]])
