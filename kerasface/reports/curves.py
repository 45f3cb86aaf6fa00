"""Figures of training: loss, accuracy and learning rate over the epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kerasface.reports.style import (
    LINE_STYLES,
    RATE_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    plain_axis,
    set_title,
    short,
)


def training_curves(history: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Draws loss, accuracy and learning rate over the epochs.

    Args:
        history: One row per epoch. The columns ``epoch`` (from 1), ``loss``, ``accuracy``,
            ``val_loss``, ``val_accuracy`` and ``learning_rate`` are drawn if present, and so is
            any other ``x`` with a ``val_x``.
        title: Title of the figure.

    Returns:
        A figure with one panel per metric. The epoch with the best validation value is marked.

    Example:
        >>> history = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.5], "val_loss": [2.1, 1.8]})
        >>> training_curves(history).savefig("curves.png")  # doctest: +SKIP
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
        _prepare_panel(axis, name.replace("_", " "))
        if name == "learning_rate":
            _draw_line(axis, history, name, color=RATE_COLOR)
            axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
            axis.set_ylim(bottom=0)
        else:
            _draw_metric(axis, history, name)
    set_title(figure, title)
    return figure


def curves_overlay(histories: Mapping[str, pd.DataFrame], *, title: str | None = None) -> Figure:
    """Draws validation accuracy and loss of several runs over the epochs.

    Args:
        histories: Name of a run to its history, as in `training_curves`. A panel leaves out runs
            without ``val_accuracy`` or ``val_loss``.
        title: Title of the figure.

    Returns:
        A figure with two panels and one color per run. The legend shows the best accuracy of
        each run.

    Raises:
        ValueError: If there is no run.

    Example:
        >>> history = pd.DataFrame({"epoch": [1, 2], "val_accuracy": [0.5, 0.7]})
        >>> curves_overlay({"run": history}).savefig("runs.png")  # doctest: +SKIP
    """
    if not histories:
        raise ValueError("Curves need at least one run. Received: none.")
    rows = math.ceil(len(histories) / 2)
    figure = Figure(figsize=(9.6, 4.1 + 0.2 * rows), layout="constrained", dpi=120)
    panels = figure.subplots(1, 2)
    handles = [
        _draw_run(panels, name, history, place)
        for place, (name, history) in enumerate(histories.items())
    ]
    for axis, text in zip(panels, ("accuracy", "loss"), strict=True):
        _prepare_panel(axis, f"validation {text}")
    panels[0].yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panels[0].set_ylim(bottom=0)
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=9)
    set_title(figure, title)
    return figure


def _prepare_panel(axis: Axes, title: str) -> None:
    axis.set_title(title, loc="left", fontsize=11)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    plain_axis(axis)


def _draw_run(panels: np.ndarray, name: str, history: pd.DataFrame, place: int) -> Line2D:
    """Draws a run into both panels and returns the line for the legend."""
    colors = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    style: dict[str, Any] = {
        "color": colors[place % len(colors)],
        "linestyle": LINE_STYLES[place // len(colors) % len(LINE_STYLES)],
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
            marker="o" if len(known) == 1 else None,  # a line of one point is invisible
            label=f"{score}  {short(name, 48)}",
            **style,
        )
    return line


def _draw_line(axis: Axes, history: pd.DataFrame, name: str, **style: Any) -> None:
    form = "o" if len(history) < 2 else "-"  # a line of one point is invisible
    axis.plot(history["epoch"], history[name], form, linewidth=1.8, **style)


def _draw_metric(axis: Axes, history: pd.DataFrame, name: str) -> None:
    """Draws a metric of training and validation, with its best validation value."""
    _draw_line(axis, history, name, color=TRAIN_COLOR, label="train")
    validation = history.get(f"val_{name}")
    if validation is not None and validation.notna().any():
        # With validation every few epochs, the line connects the epochs that have one.
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
