"""Figures of ROC curves of classes."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasface.metrics.inputs import check_names, check_outcomes
from kerasface.metrics.roc import RocCurve, one_vs_rest_curves
from kerasface.reports.style import (
    RATE_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    plain_axis,
    set_title,
    short,
)

DRAWN_CURVES = 30
NAMED_CURVES = 10  # as many colors can be told apart


def roc_curves(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    *,
    title: str | None = None,
) -> Figure:
    """Draws the ROC curve of each class against all others, and their averages.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        probabilities: float ``[N, C]``, rows summing to 1.
        names: Class names, ``[C]``.
        title: Title of the figure.

    Returns:
        A figure with the micro average, the macro average and thin curves of single classes, up
        to 30 classes, with their names up to 10. See
        `kerasface.metrics.roc.one_vs_rest_curves`.

    Raises:
        ValueError: If shapes are invalid, a row is no distribution, or no class has both
            outcomes.

    Example:
        >>> figure = roc_curves([0, 1], [[0.9, 0.1], [0.2, 0.8]], ["ann", "bob"])
        >>> figure.savefig("roc.png")  # doctest: +SKIP
    """
    labels, probabilities = check_outcomes(labels, probabilities)
    classes = probabilities.shape[1]
    check_names(names, classes)
    curves = one_vs_rest_curves(labels, probabilities, keep_classes=classes <= DRAWN_CURVES)
    figure = Figure(figsize=(6.4, 5.4), layout="constrained", dpi=120)
    axis = figure.subplots()
    axis.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=0.8, linestyle=":")
    for curve, name, color, line in (
        (curves.micro, "micro average", TRAIN_COLOR, "-"),
        (curves.macro, "macro average", VALIDATION_COLOR, "--"),
    ):
        axis.plot(
            curve.false_positive_rates,
            curve.true_positive_rates,
            color=color,
            linewidth=2.2,
            linestyle=line,
            label=f"{curve.area:.4f}  {name}",
            zorder=4 if line == "-" else 5,
        )
    _draw_classes(axis, curves.per_class, names)
    axis.set_xlabel("false positive rate")
    axis.set_ylabel("true positive rate")
    axis.set_aspect("equal")
    axis.set_xlim(-0.01, 1.01)
    axis.set_ylim(-0.01, 1.01)
    plain_axis(axis)
    axis.legend(fontsize=9, loc="lower right", title="area under the curve", edgecolor="none")
    set_title(figure, title)
    return figure


def _draw_classes(axis: Axes, curves: dict[int, RocCurve], names: Sequence[str]) -> None:
    colors = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    for place, (index, curve) in enumerate(curves.items()):
        color, label = RATE_COLOR, "" if place else "single classes"
        if len(names) <= NAMED_CURVES:
            color = colors[place]
            # The number comes first: matplotlib leaves out a label that starts with "_".
            label = f"{curve.area:.4f}  {short(names[index], 28)}"
        axis.plot(
            curve.false_positive_rates,
            curve.true_positive_rates,
            color=color,
            linewidth=0.8,
            alpha=0.7,
            label=label,
        )
