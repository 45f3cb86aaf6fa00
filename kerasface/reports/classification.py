"""Figures of numbers. They are made without pyplot, so no window and no global state."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter
from sklearn.metrics import auc

from kerasface.metrics.classification import (
    calibration_table,
    check_indices,
    check_names,
    check_outcomes,
    confused_pairs,
    expected_calibration_error,
)
from kerasface.reports.style import (
    RATE_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    brief,
    captioned_cells,
    plain_axis,
    set_title,
    short,
    square_matrix,
)

COUNTED_CLASSES = 30  # with more, counts in the cells of a matrix are too small to read
LISTED_CLASSES = 100  # with more, so are the names beside it
DRAWN_CURVES = 30
NAMED_CURVES = 10  # as many colours can be told apart
LISTED_PAIRS = 25
CURVE_POINTS = 1000
SHOWN_CLASSES, SHOWN_ATTRIBUTES = 5, 20


def check_format(path: str | os.PathLike) -> None:
    """Refuses a path for a picture whose suffix names no format that matplotlib writes.

    Args:
        path: For instance ``"curves.png"``.

    Raises:
        ValueError: If there is no suffix, or another one.
    """
    known = sorted(Figure().canvas.get_supported_filetypes())
    suffix = os.path.splitext(path)[1].removeprefix(".").lower()
    if suffix not in known:
        raise ValueError(
            f"A picture's suffix must be one of {known}. Received: {os.fspath(path)!r}. "
            "Say for instance 'curves.png'."
        )


def training_curves(history: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Loss, accuracy and learning rate over the epochs.

    Args:
        history: One row an epoch; the columns ``epoch`` (from 1), ``loss``, ``accuracy``,
            ``val_loss``, ``val_accuracy`` and ``learning_rate`` are drawn where they are there,
            and so is any other ``x`` that has a ``val_x`` beside it.
        title: Title of the figure.

    Returns:
        A figure of one panel a quantity; the epoch of the best validation value is marked.
    """
    names = [column for column in ("loss", "accuracy") if column in history]
    names += [
        column for column in history.columns if f"val_{column}" in history and column not in names
    ]
    panels = names + (["learning_rate"] if "learning_rate" in history else [])
    columns = max(1, len(panels))
    figure = Figure(figsize=(4.6 * columns, 3.9), layout="constrained", dpi=120)
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis, name in zip(axes, panels, strict=False):
        axis.set_title(name.replace("_", " "), loc="left", fontsize=11)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        plain_axis(axis)
        if name == "learning_rate":
            _draw_line(axis, history, name, color=RATE_COLOR)
            axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
            axis.set_ylim(bottom=0)
        else:
            _draw_pair(axis, history, name)
    set_title(figure, title)
    return figure


def confusion_matrix(
    labels: np.ndarray,
    predictions: np.ndarray,
    names: Sequence[str],
    *,
    title: str | None = None,
) -> Figure:
    """Which classes are taken for which.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        predictions: int ``[N]`` in ``[0, C)``.
        names: Class names, ``[C]``; long ones are shortened in the middle.
        title: Title of the figure.

    Returns:
        Up to 100 classes the matrix, coloured by the share of the true class's images, up to 30
        classes with the number of images in each cell; a class without images has an empty row.
        Above 100 classes the most confused pairs as bars.

    Raises:
        ValueError: If an index is out of range or the lengths differ.
    """
    classes = len(names)
    pairs = confused_pairs(labels, predictions, names, limit=LISTED_PAIRS)
    if classes > LISTED_CLASSES:
        return _confused_bars(pairs, title)
    labels = check_indices("labels", labels, classes)
    predictions = check_indices("predictions", predictions, classes)
    counts = np.bincount(labels * classes + predictions, minlength=classes**2)
    counts = counts.reshape(classes, classes)
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
        # Without a number in it a cell of a few per cent has to be seen by its colour alone.
        norm=PowerNorm(1.0 if counted else 0.5, vmin=0, vmax=1),
        label=f"share of the true class{'' if counted else ' (root scale)'}",
    )
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    set_title(figure, title)
    return figure


def roc_curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    title: str | None = None,
) -> Figure:
    """ROC curves of each class against all others, and their averages.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        probabilities: float ``[N, C]``, rows summing to 1.
        names: Class names, ``[C]``.
        title: Title of the figure.

    Returns:
        A figure with the micro average (all pairs of an image and a class together) and the macro
        average (the mean true positive rate of the classes that have a curve), the single classes
        thinly up to 30 classes, with their names up to 10. A curve is exact where it passes a
        true class's probability, and beyond 1,000 different ones at 1,000 of them.

    Raises:
        ValueError: If shapes do not fit, a row is no distribution, or no class has both outcomes.
    """
    labels, probabilities = check_outcomes(labels, probabilities)
    images, classes = probabilities.shape
    check_names(names, classes)
    own = probabilities[np.arange(images), labels]
    all_thresholds = _thresholds(own)
    above, at_least = np.zeros((2, len(all_thresholds)), np.int64)
    grid = np.linspace(0, 1, CURVE_POINTS + 1)
    curves: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    total, area, drawn = np.zeros_like(grid), 0.0, 0
    for index in range(classes):
        scores = np.sort(probabilities[:, index])
        above += images - scores.searchsorted(all_thresholds, "right")
        at_least += images - scores.searchsorted(all_thresholds, "left")
        positive = np.sort(probabilities[labels == index, index])
        if not 0 < len(positive) < images:
            continue
        thresholds = _thresholds(positive)
        curve = _roc(
            positive,
            thresholds,
            images - scores.searchsorted(thresholds, "right"),
            images - scores.searchsorted(thresholds, "left"),
            images,
        )
        total += np.interp(grid, *curve)
        area += auc(*curve)
        drawn += 1
        if classes <= DRAWN_CURVES:
            curves[index] = curve
    if not drawn:
        raise ValueError(
            "A ROC curve needs a class with images and with images of others. "
            f"Received: {images} images, all of one class."
        )
    micro = _roc(np.sort(own), all_thresholds, above, at_least, images * classes)
    micro_area = auc(*micro)

    figure = Figure(figsize=(6.4, 5.4), layout="constrained", dpi=120)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8, linestyle=":")
    axis.plot(
        *micro, color=TRAIN_COLOR, linewidth=2.2, label=f"{micro_area:.4f}  micro average", zorder=4
    )
    axis.plot(
        # Without the first point a curve that rises at once would start in the air.
        np.append(0, grid),
        np.append(0, total / drawn),
        color=VALIDATION_COLOR,
        linewidth=2.2,
        linestyle="--",
        label=f"{area / drawn:.4f}  macro average",
        zorder=5,
    )
    colors = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    for place, (index, curve) in enumerate(curves.items()):
        color, label = RATE_COLOR, "" if place else "single classes"
        if classes <= NAMED_CURVES:
            color = colors[place]
            # The number comes first: matplotlib leaves out a label that starts with "_".
            label = f"{auc(*curve):.4f}  {short(names[index], 28)}"
        axis.plot(*curve, color=color, linewidth=0.8, alpha=0.7, label=label)
    axis.set_xlabel("false positive rate")
    axis.set_ylabel("true positive rate")
    axis.set_aspect("equal")
    axis.set_xlim(-0.01, 1.01)
    axis.set_ylim(-0.01, 1.01)
    plain_axis(axis)
    axis.legend(fontsize=9, loc="lower right", title="area under the curve", edgecolor="none")
    set_title(figure, title)
    return figure


def calibration(
    labels: np.ndarray, probabilities: np.ndarray, *, title: str | None = None
) -> Figure:
    """How often predictions of a given probability are right.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        probabilities: float ``[N, C]``, rows summing to 1.
        title: Title of the figure, which the expected calibration error is added to.

    Returns:
        The reliability diagram of Guo et al. 2017 (arXiv:1706.04599) over the number of images in
        each of its 15 bins.

    Raises:
        ValueError: If shapes do not fit or a row is no distribution.
    """
    labels, probabilities = check_outcomes(labels, probabilities)
    correct = probabilities.argmax(axis=1) == labels
    table = calibration_table(probabilities.max(axis=1), correct)
    error = expected_calibration_error(table)
    figure = Figure(figsize=(5.6, 6.2), layout="constrained", dpi=120)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.2])
    middle = (table["low"] + table["high"]) / 2
    width = 0.92 / len(table)
    upper.bar(middle, table["accuracy"], width, color=TRAIN_COLOR, label="accuracy")
    upper.plot([0, 1], [0, 1], color=RATE_COLOR, linewidth=1, linestyle=":")
    upper.hlines(
        table["confidence"],
        table["low"],
        table["high"],
        color=VALIDATION_COLOR,
        linewidth=2.2,
        label="mean probability",
    )
    upper.set_ylim(0, 1.02)
    upper.set_ylabel("accuracy")
    upper.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    upper.legend(frameon=False, fontsize=9, loc="upper left")
    bars = lower.bar(middle, table["images"], width, color=RATE_COLOR)
    lower.bar_label(bars, [brief(count) for count in table["images"]], fontsize=7, padding=1)
    lower.margins(y=0.2)
    lower.set_ylabel("images")
    lower.set_xlabel("probability of the predicted class")
    lower.set_xlim(0, 1)
    lower.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    lower.yaxis.set_major_formatter(FuncFormatter(lambda value, _: brief(value)))
    lower.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
    for axis in (upper, lower):
        plain_axis(axis)
    set_title(figure, f"{title or 'Calibration'}: expected error {error:.1%}")
    return figure


def mistake_captions(predictions: pd.DataFrame) -> list[str]:
    """Captions for `mistakes_gallery`.

    Args:
        predictions: Rows of what `evaluate` gives as ``predictions``: ``label``, ``prediction``,
            ``probability`` and, if there, ``path``.

    Returns:
        The true class, the predicted one with its probability, and the file's name; a line each.
    """
    captions = []
    for row in predictions.to_dict("records"):
        lines = [
            f"true: {row['label']}",
            f"{row['probability']:.0%}: {row['prediction']}",
        ]
        if "path" in row:
            lines.append(str(row["path"]).replace("\\", "/").rsplit("/", 1)[-1])
        captions.append("\n".join(" ".join(line.split()) for line in lines))
    return captions


def mistakes_gallery(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    *,
    columns: int = 6,
    title: str | None = None,
) -> Figure:
    """Pictures with what was said of them.

    Args:
        images: uint8 RGB arrays ``[H, W, 3]``, each of its own size.
        captions: One text an image, of several lines; see `mistake_captions`. Long lines are
            shortened in the middle.
        columns: Images a row.
        title: Title of the figure.

    Returns:
        A figure with all of them; without images one that says so.

    Raises:
        ValueError: If an array is no such image or there is not one caption an image.
    """
    if len(images) != len(captions):
        raise ValueError(
            "Every image must have a caption. "
            f"Received: {len(images)} images and {len(captions)} captions."
        )
    for position, image in enumerate(images):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                "Images must be uint8 of shape [height, width, 3]. Received: "
                f"shape={image.shape}, dtype={image.dtype} at position {position}."
            )
    figure, axes = captioned_cells(captions, columns, size=(2.0, 1.9), line_height=0.14, length=26)
    for axis, image in zip(axes, images, strict=False):
        axis.imshow(image)
        # A square corner of its own for each, so that captions have the same room everywhere.
        side = max(image.shape[:2]) - 0.5
        axis.set_xlim(-0.5, side)
        axis.set_ylim(side, -0.5)
    if not len(images):
        axes[0].text(0.5, 0.5, "no mistakes", ha="center", va="center")
    set_title(figure, title)
    return figure


def prediction_picture(
    image: np.ndarray,
    names: Sequence[str],
    probabilities: np.ndarray,
    *,
    thresholds: np.ndarray | None = None,
    said: np.ndarray | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """An image beside what a model says of it.

    Args:
        image: uint8 RGB ``[height, width, 3]``.
        names: Class or attribute names.
        probabilities: float ``[len(names)]``.
        thresholds: Of attributes, ``[len(names)]``: a mark on each bar. None for classes.
        said: Of attributes, bool ``[len(names)]``: which are said; the others' bars are grey.
            None says those that reach their threshold.
        title: Title of the figure.
        caption: What is said, in words.

    Returns:
        The image and a bar for each of the most probable, at most 5 classes or 20 attributes;
        attributes that are said come first.

    Raises:
        ValueError: If the numbers of names, probabilities, thresholds and what is said differ.
    """
    probabilities = np.asarray(probabilities, float)
    limits = np.zeros(len(names)) if thresholds is None else np.asarray(thresholds, float)
    if probabilities.shape != (len(names),) or limits.shape != (len(names),):
        raise ValueError(
            "There must be one probability, and of attributes one threshold, a name. Received: "
            f"{probabilities.shape} and {limits.shape} for {len(names)} names."
        )
    holds = probabilities >= limits if said is None else np.asarray(said, bool)
    if holds.shape != (len(names),):
        raise ValueError(
            "What is said must be one truth value a name. "
            f"Received: shape {holds.shape} for {len(names)} names."
        )
    count = SHOWN_CLASSES if thresholds is None else SHOWN_ATTRIBUTES
    order = np.lexsort((-probabilities, ~holds))[:count]
    height = max(3.0, 1.3 + 0.24 * len(order))
    figure = Figure(figsize=(8.2, height), layout="constrained", dpi=120)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    left.imshow(image)
    left.set_axis_off()
    if caption:
        left.set_title(
            textwrap.fill(short(caption, 240), 38), fontsize=9, loc="left", y=-0.06, va="top"
        )
    places = np.arange(len(order))
    values, marks = probabilities[order], limits[order]
    colors = [TRAIN_COLOR if hit else "#d0cdca" for hit in holds[order]]
    right.barh(places, values, color=colors)
    for place, value in zip(places, values, strict=True):  # beyond 100 %, where no mark reaches
        right.text(1.12, place, f"{value:.0%}", ha="right", va="center", fontsize=8)
    if thresholds is not None:
        right.vlines(
            marks, places - 0.4, places + 0.4, color=VALIDATION_COLOR, linewidth=1.5, zorder=5
        )
        right.set_xlabel("probability (red: from where on it is said)", fontsize=8)
    else:
        right.set_xlabel("probability", fontsize=8)
    right.set_yticks(places, [short(names[index], 24) for index in order], fontsize=8)
    right.set_ylim(len(order) - 0.4, -0.6)
    right.set_xlim(0, 1.12)
    right.set_xticks(np.linspace(0, 1, 5))
    right.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    right.tick_params(labelsize=8)
    right.tick_params(axis="y", length=0)
    plain_axis(right)
    right.grid(visible=False, axis="y")
    set_title(figure, title)
    return figure


def curves_overlay(histories: Mapping[str, pd.DataFrame], *, title: str | None = None) -> Figure:
    """Validation accuracy and loss of several runs over the epochs.

    Args:
        histories: A run's name to its history, as for `training_curves`. A run without
            ``val_accuracy`` or ``val_loss`` is left out of that panel.
        title: Title of the figure.

    Returns:
        A figure of two panels, one colour a run; the legend gives each run's best accuracy.

    Raises:
        ValueError: If there is no run.
    """
    if not histories:
        raise ValueError("Curves need at least one run. Received: none.")
    rows = math.ceil(len(histories) / 2)
    figure = Figure(figsize=(9.6, 4.1 + 0.2 * rows), layout="constrained", dpi=120)
    panels = figure.subplots(1, 2)
    colors = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    handles = []
    for place, (name, history) in enumerate(histories.items()):
        style = {
            "color": colors[place % len(colors)],
            "linestyle": ("-", "--", ":", "-.")[place // len(colors) % 4],
            "linewidth": 1.8,
        }
        best = float(history["val_accuracy"].max()) if "val_accuracy" in history else math.nan
        score = "no accuracy" if math.isnan(best) else f"best {best:.2%}"
        for axis, column in zip(panels, ("val_accuracy", "val_loss"), strict=True):
            known = history[history[column].notna()] if column in history else history.head(0)
            epochs = known.get("epoch", pd.Series(dtype=float))
            (line,) = axis.plot(
                epochs,
                known.get(column, epochs),
                marker="o" if len(known) == 1 else None,  # a line of one point shows nothing
                label=f"{score}  {short(name, 48)}",
                **style,
            )
        handles.append(line)
    for axis, text in zip(panels, ("accuracy", "loss"), strict=True):
        axis.set_title(f"validation {text}", loc="left", fontsize=11)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
        plain_axis(axis)
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panels[0].set_ylim(bottom=0)
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
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


def _thresholds(scores: np.ndarray) -> np.ndarray:
    """The different scores, highest first; some of them where there are many."""
    unique = np.unique(scores)[::-1]
    if len(unique) > CURVE_POINTS:
        unique = unique[np.linspace(0, len(unique) - 1, CURVE_POINTS).round().astype(int)]
    return unique


def _roc(
    positive: np.ndarray,
    thresholds: np.ndarray,
    above: np.ndarray,
    at_least: np.ndarray,
    total: int,
) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates.

    Args:
        positive: Sorted scores of the positives.
        thresholds: Descending.
        above: How many of all scores are above each threshold.
        at_least: How many of all scores are above it or equal.
        total: Number of all scores.

    Returns:
        Two arrays; straight lines between the points, as ties are.
    """
    true = len(positive) - np.stack(
        [positive.searchsorted(thresholds, "right"), positive.searchsorted(thresholds, "left")], 1
    )
    false = np.stack([above, at_least], 1) - true
    rates = [
        np.concatenate([[0], counts.ravel() / size, [1]])
        for counts, size in ((false, total - len(positive)), (true, len(positive)))
    ]
    return rates[0], rates[1]


def _draw_line(axis: Axes, history: pd.DataFrame, name: str, **style) -> None:
    form = "o" if len(history) < 2 else "-"  # a line of one point shows nothing
    axis.plot(history["epoch"], history[name], form, linewidth=1.8, **style)


def _draw_pair(axis: Axes, history: pd.DataFrame, name: str) -> None:
    _draw_line(axis, history, name, color=TRAIN_COLOR, label="train")
    validation = history.get(f"val_{name}")
    if validation is not None and validation.notna().any():
        # Validation may come every few epochs only; the line joins what there is.
        known = history[validation.notna().to_numpy()]
        _draw_line(axis, known, f"val_{name}", color=VALIDATION_COLOR, label="validation")
        values = validation.to_numpy(float)
        best = int(np.nanargmin(values) if name.endswith("loss") else np.nanargmax(values))
        epoch, value = int(history["epoch"].iloc[best]), float(values[best])
        text = f"{value:.1%}" if name.endswith("accuracy") else f"{value:.3f}"
        axis.plot(
            [epoch],
            [value],
            marker="*",
            markersize=12,
            color=VALIDATION_COLOR,
            markeredgecolor="white",
            linestyle="none",
            label=f"best: {text} (epoch {epoch})",
            zorder=5,
        )
    if name.endswith("accuracy"):
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axis.set_ylim(bottom=0)
    axis.legend(frameon=False, fontsize=9)
