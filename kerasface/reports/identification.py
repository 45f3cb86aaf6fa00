"""Figures of identification: how often the true person is among the first ranks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kerasface.reports.style import (
    RATE_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    plain_axis,
    set_title,
)


def cmc_curve(cmc: pd.DataFrame, *, title: str | None = None) -> Figure:
    """Draws the cumulative match characteristic.

    Args:
        cmc: ``rank`` and ``share``, from `kerasface.metrics.identification.evaluate`.
        title: Title of the figure.

    Returns:
        The share of known probes over the rank, with ranks 1 and 5 marked.

    Example:
        >>> cmc = pd.DataFrame({"rank": [1, 2, 3], "share": [0.8, 0.9, 0.9]})
        >>> cmc_curve(cmc).savefig("cmc.png")  # doctest: +SKIP
    """
    figure = Figure(figsize=(5.8, 4.2), layout="constrained", dpi=120)
    axis = figure.subplots()
    axis.plot(cmc["rank"], cmc["share"], color=TRAIN_COLOR, linewidth=1.9, marker="o", markersize=3)
    for rank, color in ((1, VALIDATION_COLOR), (5, RATE_COLOR)):
        row = cmc[cmc["rank"] == rank]
        if len(row) and np.isfinite(row["share"].iloc[0]):
            share = float(row["share"].iloc[0])
            label = f"rank {rank}: {share:.1%}"
            axis.plot([rank], [share], "o", color=color, markersize=8, label=label, zorder=5)
    axis.set_xlabel("rank")
    axis.set_ylabel("share of probes whose person is found")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_ylim(0, 1.02)
    plain_axis(axis)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=9, loc="lower right", edgecolor="none")
    set_title(figure, title)
    return figure
