"""Figures of confusion: which classes are mistaken for which others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kerasface.metrics.confusion import confused_pairs, confusion_counts
from kerasface.reports.style import (
    TRAIN_COLOR,
    brief,
    plain_axis,
    set_title,
    short,
    square_matrix,
)

COUNTED_CLASSES = 30  # with more, the numbers in the cells are too small to read
LISTED_CLASSES = 100  # with more, so are the names beside the matrix
LISTED_PAIRS = 25


def confusion_matrix(
    labels: np.ndarray,
    predictions: np.ndarray,
    names: Sequence[str],
    *,
    title: str | None = None,
) -> Figure:
    """Draws the confusion matrix.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        predictions: int ``[N]`` in ``[0, C)``.
        names: Class names, ``[C]``. Long ones are shortened in the middle.
        title: Title of the figure.

    Returns:
        With up to 100 classes the matrix, colored by the share of the images of the true class;
        with up to 30 classes also the number of images in each cell. The row of a class without
        images is empty. With more than 100 classes the most confused pairs as bars.

    Raises:
        ValueError: If an index is out of range or the lengths differ.

    Example:
        >>> figure = confusion_matrix([0, 1, 1], [0, 1, 0], ["ann", "bob"])
        >>> figure.savefig("confusion.png")  # doctest: +SKIP
    """
    classes = len(names)
    if classes > LISTED_CLASSES:
        pairs = confused_pairs(labels, predictions, names, limit=LISTED_PAIRS)
        return _confused_bars(pairs, title)
    counts = confusion_counts(labels, predictions, classes)
    images = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(images, 1)
    cell = float(np.interp(classes, [5, 30, 100], [0.62, 0.36, 0.145]))
    font = float(np.interp(classes, [5, 30, 100], [10, 8, 6.5]))
    counted = classes <= COUNTED_CLASSES
    places = zip(*np.nonzero(counts), strict=True)
    cells = {(row, column): brief(counts[row, column]) for row, column in places}
    figure, axis = square_matrix(
        shares,
        names,
        cells if counted else None,
        side=max(cell * classes, 2.6),
        fontsize=font,
        # Without numbers, a cell of a few percent must be visible by its color alone.
        norm=PowerNorm(1.0 if counted else 0.5, vmin=0, vmax=1),
        label=f"share of the true class{'' if counted else ' (root scale)'}",
    )
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    set_title(figure, title)
    return figure


def _confused_bars(pairs: pd.DataFrame, title: str | None) -> Figure:
    figure = Figure(figsize=(9, 1.4 + 0.27 * max(4, len(pairs))), layout="constrained", dpi=120)
    axis = figure.subplots()
    if pairs.empty:
        axis.set_axis_off()
        axis.text(0.5, 0.5, "no mistakes", ha="center", va="center")
    else:
        words = [
            f"{short(true, 28)}  \u2192  {short(predicted, 28)}"
            for true, predicted in zip(pairs["true"], pairs["predicted"], strict=True)
        ]
        bars = axis.barh(range(len(pairs)), pairs["images"], color=TRAIN_COLOR)
        axis.bar_label(bars, [f"{share:.0%}" for share in pairs["share"]], fontsize=8, padding=3)
        axis.set_yticks(range(len(pairs)), words, fontsize=8)
        axis.tick_params(axis="y", length=0)
        axis.invert_yaxis()
        axis.margins(x=0.08, y=0.01)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        axis.set_xlabel("images (and their share of the true class)")
        axis.set_title("true \u2192 predicted, the most frequent", loc="left", fontsize=11)
        plain_axis(axis)
        axis.grid(visible=False, axis="y")
    set_title(figure, title)
    return figure
