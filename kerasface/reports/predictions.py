"""Figures of single predictions: an image with its probabilities, and galleries of mistakes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from kerasface.metrics.inputs import check_thresholds
from kerasface.reports.style import (
    GUESS_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    captioned_cells,
    check_image,
    file_name,
    plain_axis,
    set_title,
    short,
)

SHOWN_CLASSES, SHOWN_ATTRIBUTES = 5, 20


def mistake_captions(predictions: pd.DataFrame) -> list[str]:
    """Returns captions for `mistakes_gallery`.

    Args:
        predictions: Rows of ``predictions`` from `kerasface.metrics.classification.evaluate`:
            ``label``, ``prediction``, ``probability`` and, if present, ``path``.

    Returns:
        The true class, the predicted one with its probability, and the file name, one per line.

    Example:
        >>> row = {"label": "ann", "prediction": "bob", "probability": 0.6, "path": "dev/ann/1.jpg"}
        >>> mistake_captions(pd.DataFrame([row]))
        ['true: ann\\n60%: bob\\n1.jpg']
    """
    captions = []
    for row in predictions.to_dict("records"):
        lines = [
            f"true: {row['label']}",
            f"{row['probability']:.0%}: {row['prediction']}",
        ]
        if "path" in row:
            lines.append(file_name(row["path"]))
        captions.append("\n".join(" ".join(line.split()) for line in lines))
    return captions


def mistakes_gallery(
    images: Sequence[np.ndarray],
    captions: Sequence[str],
    *,
    columns: int = 6,
    title: str | None = None,
) -> Figure:
    """Draws images with captions.

    Args:
        images: uint8 RGB arrays ``[H, W, 3]`` of any sizes.
        captions: One text per image, of several lines; see `mistake_captions`. Long lines are
            shortened in the middle.
        columns: Images per row.
        title: Title of the figure.

    Returns:
        A figure with all images, or the words "no mistakes" if there are none.

    Raises:
        ValueError: If an array is no such image, or the number of captions is wrong.

    Example:
        >>> figure = mistakes_gallery([np.zeros((8, 8, 3), np.uint8)], ["true: ann"])
        >>> figure.savefig("mistakes.png")  # doctest: +SKIP
    """
    if len(images) != len(captions):
        raise ValueError(
            "Every image must have a caption. "
            f"Received: {len(images)} images and {len(captions)} captions."
        )
    for position, image in enumerate(images):
        check_image(image, f" at position {position}")
    figure, axes = captioned_cells(captions, columns, size=(2.0, 1.9), line_height=0.14, length=26)
    for axis, image in zip(axes, images, strict=False):
        axis.imshow(image)
        # Every cell is a square of the size of its image, so that captions have equal space.
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
    predicted: np.ndarray | None = None,
    title: str | None = None,
    caption: str | None = None,
) -> Figure:
    """Draws an image beside the probabilities that a model predicts for it.

    Args:
        image: uint8 RGB ``[height, width, 3]``.
        names: Class or attribute names.
        probabilities: float ``[len(names)]``.
        thresholds: Thresholds of attributes in [0, 1], ``[len(names)]``, drawn as a line on each
            bar. None for classes.
        predicted: bool ``[len(names)]``, which attributes are predicted; the bars of the others
            are gray. None predicts those that reach their threshold.
        title: Title of the figure.
        caption: Text below the image.

    Returns:
        The image and a bar for each of the most probable names, at most 5 classes or 20
        attributes. Predicted attributes come first.

    Raises:
        ValueError: If the arrays do not have one value per name.

    Example:
        >>> image = np.zeros((8, 8, 3), np.uint8)
        >>> figure = prediction_picture(image, ["ann", "bob"], [0.9, 0.1])
        >>> figure.savefig("prediction.png")  # doctest: +SKIP
    """
    probabilities = np.asarray(probabilities, float)
    limits = np.zeros(len(names)) if thresholds is None else np.asarray(thresholds, float)
    if probabilities.shape != (len(names),) or limits.shape != (len(names),):
        raise ValueError(
            "There must be one probability, and for attributes one threshold, per name. Received: "
            f"shapes {probabilities.shape} and {limits.shape} for {len(names)} names."
        )
    limits = check_thresholds(limits, len(names))
    shown = probabilities >= limits if predicted is None else np.asarray(predicted, bool)
    if shown.shape != (len(names),):
        raise ValueError(
            "`predicted` must have one bool per name. "
            f"Received: shape {shown.shape} for {len(names)} names."
        )
    count = SHOWN_CLASSES if thresholds is None else SHOWN_ATTRIBUTES
    order = np.lexsort((-probabilities, ~shown))[:count]
    height = max(3.0, 1.3 + 0.24 * len(order))
    figure = Figure(figsize=(8.2, height), layout="constrained", dpi=120)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
    left.imshow(image)
    left.set_axis_off()
    if caption:
        left.set_title(
            textwrap.fill(short(caption, 240), 38), fontsize=9, loc="left", y=-0.06, va="top"
        )
    colors = [TRAIN_COLOR if hit else GUESS_COLOR for hit in shown[order]]
    _draw_probabilities(right, [names[index] for index in order], probabilities[order], colors)
    right.set_xlabel("probability", fontsize=8)
    if thresholds is not None:
        places = np.arange(len(order))
        right.vlines(
            limits[order],
            places - 0.4,
            places + 0.4,
            color=VALIDATION_COLOR,
            linewidth=1.5,
            zorder=5,
        )
        right.set_xlabel("probability (red: threshold)", fontsize=8)
    set_title(figure, title)
    return figure


def _draw_probabilities(
    axis: Axes, names: Sequence[str], probabilities: np.ndarray, colors: Sequence[str]
) -> None:
    """Draws a bar for each name, the first one at the top."""
    places = np.arange(len(names))
    axis.barh(places, probabilities, color=colors)
    for place, value in enumerate(probabilities):
        # Beyond 100%, where no bar and no threshold reaches.
        axis.text(1.12, place, f"{value:.0%}", ha="right", va="center", fontsize=8)
    axis.set_yticks(places, [short(name, 24) for name in names], fontsize=8)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(0, 1.12)
    axis.set_xticks(np.linspace(0, 1, 5))
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.tick_params(labelsize=8)
    axis.tick_params(axis="y", length=0)
    plain_axis(axis)
    axis.grid(visible=False, axis="y")
