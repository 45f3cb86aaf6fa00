"""Figures of numbers. They are made without pyplot, so no window and no global state."""

from __future__ import annotations

import os

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

TRAIN_COLOR = "#4c78a8"
VALIDATION_COLOR = "#e45756"
RATE_COLOR = "#79706e"


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
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
        if name == "learning_rate":
            _draw_line(axis, history, name, color=RATE_COLOR)
            axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
            axis.set_ylim(bottom=0)
        else:
            _draw_pair(axis, history, name)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure


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
