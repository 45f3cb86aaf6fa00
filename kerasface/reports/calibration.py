"""Figures of calibration: how well predicted probabilities agree with the accuracy."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from kerasface.metrics.calibration import calibration_table, expected_calibration_error
from kerasface.metrics.inputs import check_outcomes
from kerasface.metrics.probability import ProbabilityFit
from kerasface.reports.style import (
    RATE_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    brief,
    plain_axis,
    set_title,
)


def reliability_diagram(
    labels: np.ndarray, probabilities: np.ndarray, *, title: str | None = None
) -> Figure:
    """Draws how often predictions of a given probability are correct.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599.

    Args:
        labels: int ``[N]`` in ``[0, C)``.
        probabilities: float ``[N, C]``, rows summing to 1.
        title: Title of the figure. The expected calibration error is added to it.

    Returns:
        The reliability diagram, above the number of images in each of its 15 bins.

    Raises:
        ValueError: If shapes are invalid or a row is no distribution.

    Example:
        >>> figure = reliability_diagram([0, 1], [[0.9, 0.1], [0.2, 0.8]])
        >>> figure.savefig("calibration.png")  # doctest: +SKIP
    """
    labels, probabilities = check_outcomes(labels, probabilities)
    correct = probabilities.argmax(axis=1) == labels
    table = calibration_table(probabilities.max(axis=1), correct)
    error = expected_calibration_error(table)
    figure = _diagram(table, ("accuracy", "images", "probability of the predicted class"))
    set_title(figure, f"{title or 'Calibration'}: expected error {error:.1%}")
    return figure


def probability_diagram(fit: ProbabilityFit, *, title: str | None = None) -> Figure:
    """Draws how often pairs of a given probability show one person.

    Args:
        fit: The probability of a similarity, with its calibration on left-out folds.
        title: Title of the figure. The expected calibration error is added to it.

    Returns:
        The reliability diagram, above the number of pairs in each bin. Both kinds of pairs weigh
        the same.

    Example:
        >>> fit = fit_probability(scores, same)  # doctest: +SKIP
        >>> probability_diagram(fit).savefig("probability.png")  # doctest: +SKIP
    """
    names = {"pairs": "images", "probability": "confidence", "genuine_share": "accuracy"}
    table = fit.reliability.rename(columns=names)
    figure = _diagram(
        table, ("share of pairs of one person", "pairs", "probability of the same person")
    )
    set_title(figure, f"{title or 'Probability'}: expected error {fit.calibration_error:.1%}")
    return figure


def _diagram(table: pd.DataFrame, words: tuple[str, str, str]) -> Figure:
    """Draws accuracies above counts; the words name them and the probability."""
    accuracy, counted, probability = words
    figure = Figure(figsize=(5.6, 6.2), layout="constrained", dpi=120)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.2])
    _draw_accuracies(upper, table, accuracy)
    _draw_counts(lower, table, counted)
    lower.set_xlabel(probability)
    for axis in (upper, lower):
        plain_axis(axis)
    return figure


def _draw_accuracies(axis: Axes, table: pd.DataFrame, name: str) -> None:
    axis.bar(*_bars(table, "accuracy"), color=TRAIN_COLOR, label=name)
    axis.plot([0, 1], [0, 1], color=RATE_COLOR, linewidth=1, linestyle=":")
    axis.hlines(
        table["confidence"],
        table["low"],
        table["high"],
        color=VALIDATION_COLOR,
        linewidth=2.2,
        label="mean probability",
    )
    axis.set_ylim(0, 1.02)
    axis.set_ylabel(name)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.legend(frameon=False, fontsize=9, loc="upper left")


def _draw_counts(axis: Axes, table: pd.DataFrame, name: str) -> None:
    bars = axis.bar(*_bars(table, "images"), color=RATE_COLOR)
    axis.bar_label(bars, [brief(count) for count in table["images"]], fontsize=7, padding=1)
    axis.margins(y=0.2)
    axis.set_ylabel(name)
    axis.set_xlim(0, 1)
    axis.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: brief(value)))
    axis.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))


def _bars(table: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series, float]:
    """Returns center, height and width of the bars."""
    return (table["low"] + table["high"]) / 2, table[column], 0.92 / len(table)
