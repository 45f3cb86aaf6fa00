"""Shared parts of all figures: colors, axes, titles, and texts that fit.

Figures are made without pyplot, so they open no window and change no global state.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from kerasface.files import replacing

TRAIN_COLOR = "#4c78a8"
VALIDATION_COLOR = "#e45756"
RATE_COLOR = "#79706e"
GUESS_COLOR = "#97928c"
LINE_STYLES = ("-", "--", ":", "-.")


def check_format(path: str | os.PathLike) -> None:
    """Raises a ValueError unless matplotlib can write a figure under a path.

    Args:
        path: For instance ``"curves.png"``.

    Raises:
        ValueError: If the path has no suffix, or an unknown one.
    """
    known = sorted(Figure().canvas.get_supported_filetypes())
    suffix = os.path.splitext(path)[1].removeprefix(".").lower()
    if suffix not in known:
        raise ValueError(
            f"The suffix must be one of {known}. Received: {os.fspath(path)!r}. "
            "Use for instance 'curves.png'."
        )


def check_image(image: np.ndarray, place: str = "") -> None:
    """Raises a ValueError unless an array is an image.

    Args:
        image: uint8 RGB ``[height, width, 3]``.
        place: Added to the error message, for instance ``" at position 3"``.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(
            "Images must be uint8 of shape [height, width, 3]. "
            f"Received: shape={image.shape}, dtype={image.dtype}{place}."
        )


def plain_axis(axis: Axes) -> None:
    """Draws a faint grid in the background and removes the frame at the top and right.

    Args:
        axis: Axes to change.
    """
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def set_title(figure: Figure, title: str | None) -> None:
    """Sets the title without interpreting it as math.

    Args:
        figure: Figure to change.
        title: Title. None or an empty text sets none.
    """
    if title:
        figure.suptitle(
            title.replace("$", r"\$"), x=0.01, ha="left", fontsize=12, fontweight="bold"
        )


def save_figures(figures: Mapping[str, Figure], folder: pathlib.Path) -> None:
    """Writes figures as PNG files that are named after their titles.

    Args:
        figures: Title to figure. "ROC curves" becomes ``roc_curves.png``.
        folder: Folder of the files.
    """
    for title, figure in figures.items():
        with replacing(folder / f"{title.lower().replace(' ', '_').replace('-', '_')}.png") as part:
            figure.savefig(part)


def short(text: object, length: int) -> str:
    """Returns one line that fits, without characters that matplotlib interprets as math.

    Args:
        text: Text of any length and number of lines.
        length: Maximum number of characters. Longer lines are shortened in the middle.

    Example:
        >>> short("a line", 10)
        'a line'
    """
    line = " ".join(str(text).split()).encode("utf-8", "replace").decode()
    if len(line) > length:
        # Names of one family or folder often differ only at the end.
        tail = length // 3
        line = f"{line[: length - tail - 1]}\u2026{line[-tail:]}"
    return line.replace("$", r"\$")


def brief(count: float) -> str:
    """Returns a number that fits into a cell.

    Args:
        count: Not negative.

    Example:
        >>> brief(1234), brief(98)
        ('1.23k', '98')
    """
    if count >= 999_500:
        return f"{count / 1e6:.3g}M"
    return f"{count / 1e3:.3g}k" if count >= 1000 else f"{count:.0f}"


def file_name(path: object) -> str:
    """Returns the last part of a path, with either kind of slashes.

    Args:
        path: A path or text.

    Example:
        >>> file_name("dev/ann/1.jpg")
        '1.jpg'
    """
    return str(path).replace("\\", "/").rsplit("/", 1)[-1]


def square_matrix(
    shares: np.ndarray,
    names: Sequence[str],
    cells: Mapping[tuple[int, int], str] | None,
    *,
    side: float,
    fontsize: float,
    norm: Normalize,
    label: str,
) -> tuple[Figure, Axes]:
    """Draws a square matrix of shares as colors, with the same names on both axes.

    Args:
        shares: float ``[N, N]`` in [0, 1]. NaN stays empty.
        names: ``[N]``.
        cells: ``(row, column)`` to the text in a cell. None if there is no space for texts.
        side: Side of the matrix in inches.
        fontsize: Font size of names and cells in points.
        norm: Maps shares to colors.
        label: Label of the color bar.

    Returns:
        ``(figure, axis)``.
    """
    count = len(names)
    labels = [short(name, 28) for name in names]
    # Constrained layout takes the space of the names from the figure, so the figure must have it.
    room = 0.0085 * fontsize * max(map(len, labels))
    figure = Figure(figsize=(side + room + 1.6, side + room + 0.8), layout="constrained", dpi=120)
    axis = figure.subplots()
    picture = axis.imshow(shares, cmap="Blues", norm=norm)
    axis.set_xticks(range(count), labels, rotation=90, fontsize=fontsize)
    axis.set_yticks(range(count), labels, fontsize=fontsize)
    axis.tick_params(length=0 if cells is None else 2)
    axis.spines[:].set_visible(False)
    edges = np.arange(1, count) - 0.5
    axis.hlines(edges, -0.5, count - 0.5, color="#dddddd", linewidth=0.4)
    axis.vlines(edges, -0.5, count - 0.5, color="#dddddd", linewidth=0.4)
    for (row, column), words in (cells or {}).items():
        axis.text(
            column,
            row,
            words,
            ha="center",
            va="center",
            fontsize=fontsize,
            color="white" if shares[row, column] > 0.5 else "#333333",
            in_layout=False,
        )
    bar = figure.colorbar(picture, ax=axis, shrink=0.6, aspect=25, pad=0.02)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    bar.set_label(label)
    bar.outline.set_visible(False)
    return figure, axis


def captioned_cells(
    captions: Sequence[str],
    columns: int,
    *,
    size: tuple[float, float],
    line_height: float,
    length: int,
) -> tuple[Figure, np.ndarray]:
    """Makes a grid of cells without axes, each below its caption.

    Args:
        captions: One text per cell, of several lines.
        columns: Maximum number of cells per row.
        size: Width and height of a cell without its caption, in inches.
        line_height: Height of a line of a caption, in inches.
        length: Maximum number of characters per line. Longer lines are shortened.

    Returns:
        The figure and a flat array of its axes: at least one, and as many as fill the grid.
    """
    columns = max(1, min(columns, len(captions)))
    rows = max(1, -(-len(captions) // columns))
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    figure = Figure(
        figsize=(max(size[0] * columns, 3.0), (size[1] + line_height * lines) * rows + 0.4),
        layout="constrained",
        dpi=120,
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, caption in zip(axes, captions, strict=False):
        text = "\n".join(short(line, length) for line in caption.split("\n"))
        axis.set_title(text, fontsize=8, loc="left", pad=3)
    return figure, axes
