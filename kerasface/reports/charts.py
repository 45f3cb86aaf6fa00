"""Interactive charts of a page: curves and the confusion matrix.

The page's own script draws them from embedded numbers. Without scripts a figure is shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from kerasface.metrics.confusion import confusion_counts
from kerasface.metrics.inputs import check_pairs
from kerasface.metrics.operating_points import FEWEST_FALSE_ACCEPTS
from kerasface.reports.labels import is_share, label, labeled
from kerasface.reports.rendering import part_html
from kerasface.reports.sections import Section, figure_html, table_html
from kerasface.reports.verification import upper_edge

COLORS = 10  # of `page.css`
DASHES = 4
TRAIN, VALIDATION, RATE = 0, 1, 7
MATRIX_CLASSES = 100  # with more, a cell is too small to point at


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: Name in the legend.
        x: Places, ``[N]``.
        y: Values, ``[N]``. Points with a missing value are left out.
        color: Number of a color.
        dash: Number of a line style.
        best: Whether the highest (or lowest) point is marked: ``"high"``, ``"low"`` or None.
        note: Added to the name in the legend.
        dots: If True, every point is marked.
    """

    name: str
    x: Sequence[float] | np.ndarray | pd.Series
    y: Sequence[float] | np.ndarray | pd.Series
    color: int
    dash: int = 0
    best: str | None = None
    note: str = ""
    dots: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Returns the line as the script reads it."""
        points = [
            [_rounded(x), _rounded(y)]
            for x, y in zip(self.x, self.y, strict=True)
            if math.isfinite(y) and math.isfinite(x)
        ]
        best = None
        if self.best and len(points) > 1:
            values = [y for _, y in points]
            best = values.index(max(values) if self.best == "high" else min(values))
        name = str(self.name)
        return {
            "name": name,
            "label": f"{name} ({self.note})" if self.note else name,
            "points": points,
            "color": self.color % COLORS,
            "dash": self.dash % DASHES,
            "best": best,
            "dots": self.dots,
        }


def line_panel(title: str, lines: Sequence[Line], **options: Any) -> dict[str, Any]:
    """Returns a panel for `chart_section`.

    Args:
        title: Title of the panel.
        lines: Its lines.
        **options: What differs from a curve over epochs: ``x`` (name of the axis), ``xForm`` and
            ``form`` (``"whole"``, ``"percent"`` or ``"number"``), ``low`` and ``high`` (limits of
            the values), ``first`` and ``last`` (limits of the places), ``log``, ``step``,
            ``tall``.
    """
    basic = {"title": title, "x": "epoch", "xForm": "whole", "form": "number"}
    return {**basic, **options, "series": [line.to_dict() for line in lines]}


def chart_section(
    title: str,
    panels: Sequence[dict[str, Any]],
    fallback: Figure,
    *,
    best: str | None = None,
    values: pd.DataFrame | None = None,
    note: str | None = None,
    lead: str | None = None,
) -> Section:
    """Makes a section of line charts, one panel beside the other.

    Args:
        title: Title of the section.
        panels: Panels from `line_panel`.
        fallback: Figure for readers without scripts.
        best: Explains the marked points in the legend. None explains none.
        values: The numbers as a table, for those who cannot see the chart.
        note: A sentence below the chart.
        lead: A sentence above the chart.

    Returns:
        The section.
    """
    colors = {line["color"] for panel in panels for line in panel["series"] if line["best"]}
    color = colors.pop() if len(colors) == 1 else RATE
    data = {"kind": "lines", "panels": list(panels), "best": best, "bestColor": color}
    return Section(title, _chart(title, data, fallback, values), note, lead)


def training_panels(history: pd.DataFrame) -> list[dict[str, Any]]:
    """Returns the panels of the curves of a training: loss, accuracy, learning rate.

    Args:
        history: As in `kerasface.reports.training_curves`.
    """
    names = [column for column in ("loss", "accuracy") if column in history]
    names += [
        column for column in history.columns if f"val_{column}" in history and column not in names
    ]
    panels = []
    for name in names:
        lines = [Line("training", history["epoch"], history[name], TRAIN)]
        if f"val_{name}" in history:
            best = "low" if name.endswith("loss") else "high"
            values = history[f"val_{name}"]
            lines.append(Line("validation", history["epoch"], values, VALIDATION, best=best))
        panels.append(line_panel(label(name), lines, **_limits(name)))
    if "learning_rate" in history:
        rate = Line("learning rate", history["epoch"], history["learning_rate"], RATE)
        panels.append(line_panel("Learning rate", [rate], low=0))
    return panels


def training_section(
    history: pd.DataFrame, fallback: Figure, *, note: str | None = None
) -> Section:
    """Makes the section of the curves of a training.

    Args:
        history: As in `kerasface.reports.training_curves`.
        fallback: The result of `kerasface.reports.training_curves`.
        note: A sentence below the chart.

    Returns:
        The section.
    """
    has_validation = any(str(column).startswith("val_") for column in history)
    return chart_section(
        "Curves",
        training_panels(history),
        fallback,
        best="best epoch on validation" if has_validation else None,
        values=labeled(history),
        note=note,
    )


def runs_section(
    histories: Mapping[str, pd.DataFrame], fallback: Figure, *, note: str | None = None
) -> Section:
    """Makes the section of the curves of several runs, one color per run.

    Args:
        histories: Name of a run to its history.
        fallback: The result of `kerasface.reports.curves_overlay`.
        note: A sentence below the chart.

    Returns:
        The section.
    """
    panels = []
    for column in ("val_accuracy", "val_loss", "loss"):
        lines = [
            Line(
                name,
                history["epoch"],
                history[column],
                color=place,
                dash=place // COLORS,
                best="low" if column.endswith("loss") else "high",
            )
            for place, (name, history) in enumerate(histories.items())
            if column in history and history[column].notna().any()
        ]
        if lines:
            title = "Training loss" if column == "loss" else f"Validation {column[4:]}"
            panels.append(line_panel(title, lines, **_limits(column)))
    best = "best value of each run"
    return chart_section("Curves", panels, fallback, best=best, note=note)


def roc_section(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]],
    fallback: Figure,
    *,
    note: str | None = None,
) -> Section:
    """Makes the section of a ROC curve of pairs, over the logarithm of the false accept rate.

    Args:
        curves: As in `kerasface.reports.roc_log`.
        fallback: The result of `kerasface.reports.roc_log`.
        note: A sentence below the chart.

    Returns:
        The section.
    """
    lines, fewest = [], math.inf
    for place, (name, (scores, same)) in enumerate(curves.items()):
        scores, same = check_pairs(scores, same)
        rates, highest = upper_edge(scores, same)
        fewest = min(fewest, int((~same).sum()))
        lines.append(Line(name, rates, highest, place, place // COLORS))
    panel = line_panel(
        "True accept rate",
        lines,
        x="false accept rate",
        xForm="percent",
        form="percent",
        low=0,
        high=1,
        first=0.8 / fewest,
        last=1,
        log=True,
        step=True,
        tall=True,
        few={
            "until": min(1.0, FEWEST_FALSE_ACCEPTS / fewest),
            "text": f"fewer than {FEWEST_FALSE_ACCEPTS} false accepts",
        },
    )
    return chart_section("ROC curve", [panel], fallback, note=note)


def cmc_section(cmc: pd.DataFrame, fallback: Figure, *, note: str | None = None) -> Section:
    """Makes the section of a cumulative match characteristic.

    Args:
        cmc: ``rank`` and ``share``.
        fallback: The result of `kerasface.reports.cmc_curve`.
        note: A sentence below the chart.

    Returns:
        The section.
    """
    line = Line("known probes", cmc["rank"], cmc["share"], TRAIN, dots=True)
    panel = line_panel(
        "Share of the known probes whose person is found",
        [line],
        x="rank",
        form="percent",
        low=0,
        high=1,
        tall=True,
    )
    return chart_section("Cumulative match characteristic", [panel], fallback, note=note)


def confusion_section(
    labels: np.ndarray,
    predictions: np.ndarray,
    names: Sequence[str],
    fallback: Figure,
    pairs: pd.DataFrame,
) -> Section:
    """Makes the section of the confusion matrix.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        predictions: int ``[N]`` in ``[0, C)``.
        names: Class names, ``[C]``.
        fallback: The result of `kerasface.reports.confusion_matrix`.
        pairs: The most confused pairs, from `kerasface.metrics.confusion.confused_pairs`.

    Returns:
        The matrix with up to 100 classes, otherwise the most confused pairs as a table.
    """
    title = "Confusion matrix"
    if len(names) > MATRIX_CLASSES:
        lead = f"There are {len(names):,} classes. These were mistaken for each other most often."
        return Section("Most confused classes", table_html(title, labeled(pairs)), None, lead)
    counts = confusion_counts(labels, predictions, len(names))
    rows, columns = np.nonzero(counts)
    data = {
        "kind": "matrix",
        "names": [str(name) for name in names],
        "cells": np.stack([rows, columns, counts[rows, columns]], axis=1).tolist(),
        "totals": counts.sum(axis=1).tolist(),
    }
    lead = (
        "A row is a true class, a column a predicted one. The stronger the color, the larger the "
        "share of the images of the row (the color follows the square root of the share)."
    )
    values = pairs if len(pairs) else None
    return Section(title, _chart(title, data, fallback, values), None, lead)


def _chart(title: str, data: dict[str, Any], fallback: Figure, values: pd.DataFrame | None) -> str:
    table: Markup | None = None
    if values is not None:
        table = table_html(f"{title}: values", values)
    return part_html("chart", title, data, figure_html(title, fallback), table)


def _limits(column: str) -> dict[str, Any]:
    if is_share(column.removeprefix("val_")):
        return {"form": "percent", "low": 0, "high": 1}
    return {}


def _rounded(value: float) -> float | int:
    """A number with as many digits as a chart can show, so that pages stay small."""
    number = float(f"{float(value):.6g}")
    return int(number) if number.is_integer() and abs(number) < 1e9 else number
