"""What all figures share: colours, axes, titles and words that fit."""

from __future__ import annotations

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


def plain_axis(axis: Axes) -> None:
    """A faint grid below what is drawn, and no frame above and on the right."""
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def set_title(figure: Figure, title: str | None) -> None:
    """The title, if there is one, taken literally."""
    if title:
        figure.suptitle(
            title.replace("$", r"\$"), x=0.01, ha="left", fontsize=12, fontweight="bold"
        )


def save_figures(figures: Mapping[str, Figure], folder: pathlib.Path) -> None:
    """Writes each as a PNG file named like its title: "ROC curves" as ``roc_curves.png``."""
    for title, figure in figures.items():
        with replacing(folder / f"{title.lower().replace(' ', '_').replace('-', '_')}.png") as part:
            figure.savefig(part)


def short(text: object, length: int) -> str:
    """One line of at most ``length`` characters that matplotlib takes literally."""
    line = " ".join(str(text).split()).encode("utf-8", "replace").decode()
    if len(line) > length:
        # Names of one family, and of one folder, often differ only in their end.
        tail = length // 3
        line = f"{line[: length - tail - 1]}\u2026{line[-tail:]}"
    return line.replace("$", r"\$")


def brief(count: float) -> str:
    """1234 as ``1.2k``, in the width of a cell."""
    if count >= 999_500:
        return f"{count / 1e6:.3g}M"
    return f"{count / 1e3:.3g}k" if count >= 1000 else f"{count:.0f}"


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
    """A square table of shares as colours, the same names along both sides.

    Args:
        shares: float ``[N, N]`` in [0, 1]; NaN is left empty.
        names: ``[N]``.
        cells: ``(row, column)`` to the words in a cell; None where there is no room for any.
        side: Side of the matrix in inches.
        fontsize: Of names and cells, in points.
        norm: How shares become colours.
        label: What a share is of, beside the scale of the colours.

    Returns:
        ``(figure, axis)``.
    """
    count = len(names)
    spelled = [short(name, 28) for name in names]
    # Constrained layout gives the names their room out of the figure, so it has to be there.
    room = 0.0085 * fontsize * max(map(len, spelled))
    figure = Figure(figsize=(side + room + 1.6, side + room + 0.8), layout="constrained", dpi=120)
    axis = figure.subplots()
    picture = axis.imshow(shares, cmap="Blues", norm=norm)
    axis.set_xticks(range(count), spelled, rotation=90, fontsize=fontsize)
    axis.set_yticks(range(count), spelled, fontsize=fontsize)
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
    """A grid of cells without axes, each with its caption above.

    Args:
        captions: One text a cell, of several lines.
        columns: Cells a row, at most.
        size: Width and height of a cell without its caption, in inches.
        line_height: Height of a line of a caption, in inches.
        length: Characters from which on a line is shortened.

    Returns:
        The figure and its axes in one row, at least one and as many as fill the grid.
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
