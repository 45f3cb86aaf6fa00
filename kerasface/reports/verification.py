"""Figures of pairs and of identification: ROC, scores, the worst pairs, ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kerasface.metrics.verification import FEWEST_FALSE_ACCEPTS, check_pairs, roc_points
from kerasface.reports.style import (
    RATE_COLOR,
    TRAIN_COLOR,
    VALIDATION_COLOR,
    captioned_cells,
    plain_axis,
    set_title,
    short,
)

CURVE_POINTS = 1000
BINS = 60
MOST_INSIDE = 8  # curves, beyond which their names would lie over them
GAP = 4  # pixels between the two pictures of a pair


def roc_log(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], *, title: str | None = None
) -> Figure:
    """True accept rate over the logarithm of the false accept rate.

    Args:
        curves: A name to the scores ``[N]`` and the kinds ``[N]`` (bool or 0/1, same person or
            not) of its pairs.
        title: Title of the figure.

    Returns:
        A step a different rate, from one false accept on; thinned beyond 1,000 of them. Where
        fewer than ten false accepts stand behind a rate the ground is grey. The names of more
        than eight curves stand beside the axes.

    Raises:
        ValueError: If there is no curve, or scores and kinds do not fit.
    """
    if not curves:
        raise ValueError("A ROC picture needs at least one curve. Received: none.")
    beside = len(curves) > MOST_INSIDE
    figure = Figure(figsize=(9.8 if beside else 6.8, 5.2), layout="constrained", dpi=120)
    axis = figure.subplots()
    colors = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    fewest = min(int((~check_pairs(*pairs)[1]).sum()) for pairs in curves.values())
    for place, (name, pairs) in enumerate(curves.items()):
        far, tar, _ = roc_points(*pairs)
        area = float((np.diff(far) * (tar[1:] + tar[:-1])).sum() / 2)
        rates, highest = _upper_edge(far, tar)
        axis.step(
            rates,
            highest,
            where="post",
            color=colors[place % len(colors)],
            linestyle=("-", "--", ":", "-.")[place // len(colors) % 4],
            linewidth=1.9,
            # The number comes first: matplotlib leaves out a label that starts with "_".
            label=f"{area:.4f}  {short(name, 40)}",
        )
    lowest = 0.8 / fewest
    axis.set_xscale("log")
    axis.set_xlim(lowest, 1.0)
    axis.set_ylim(0, 1.02)
    trusted = min(FEWEST_FALSE_ACCEPTS / fewest, 1.0)
    axis.axvspan(lowest, trusted, color="#eeeeee", zorder=0, linewidth=0)
    axis.text(
        math.sqrt(lowest * trusted),
        0.015,
        f"fewer than {FEWEST_FALSE_ACCEPTS} false accepts",
        fontsize=8,
        color=RATE_COLOR,
        ha="center",
        va="bottom",
    )
    axis.set_xlabel("false accept rate")
    axis.set_ylabel("true accept rate")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    plain_axis(axis)
    axis.legend(
        fontsize=9,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0) if beside else None,
        title="area under the curve",
        edgecolor="none",
    )
    set_title(figure, title)
    return figure


def score_histograms(
    scores: np.ndarray,
    same: np.ndarray,
    *,
    threshold: float | None = None,
    title: str | None = None,
) -> Figure:
    """How the scores of genuine and of impostor pairs lie.

    Args:
        scores: float ``[N]``.
        same: Whether a pair is genuine, bool or 0/1 ``[N]``.
        threshold: Drawn as a line; None or infinity draws none.
        title: Title of the figure.

    Returns:
        Both histograms, each as shares of its own kind, in 60 common bins.
    """
    scores, same = check_pairs(scores, same)
    figure = Figure(figsize=(6.8, 4.2), layout="constrained", dpi=120)
    axis = figure.subplots()
    edges = np.histogram_bin_edges(scores, BINS)
    for name, kind, color in (
        ("different people", ~same, VALIDATION_COLOR),
        ("same person", same, TRAIN_COLOR),
    ):
        share = np.full(int(kind.sum()), 1 / kind.sum())
        label = f"{name} ({int(kind.sum()):,} pairs)"
        axis.hist(scores[kind], edges.tolist(), weights=share, color=color, alpha=0.6, label=label)
    if threshold is not None and math.isfinite(threshold):
        label = f"threshold {threshold:.3f}"
        axis.axvline(threshold, color="#333333", linewidth=1.2, linestyle="--", label=label)
    axis.set_xlabel("score")
    axis.set_ylabel("share of the pairs of a kind")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    plain_axis(axis)
    axis.margins(y=0.28)  # for the legend
    axis.legend(fontsize=9, loc="upper left", edgecolor="none")
    set_title(figure, title)
    return figure


def pairs_gallery(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]],
    captions: Sequence[str],
    *,
    columns: int = 4,
    title: str | None = None,
) -> Figure:
    """Pairs of pictures, side by side, with what was said of them.

    Args:
        pairs: Two uint8 RGB arrays ``[H, W, 3]`` each, of any sizes.
        captions: One text a pair, of several lines.
        columns: Pairs a row.
        title: Title of the figure.

    Returns:
        A figure with all of them; without pairs one that says so.

    Raises:
        ValueError: If an array is no such image or there is not one caption a pair.
    """
    if len(pairs) != len(captions):
        raise ValueError(
            "Every pair must have a caption. "
            f"Received: {len(pairs)} pairs and {len(captions)} captions."
        )
    figure, axes = captioned_cells(captions, columns, size=(2.8, 1.4), line_height=0.15, length=38)
    for axis, pair in zip(axes, pairs, strict=False):
        axis.imshow(_side_by_side(*pair))
    if not len(pairs):
        axes[0].text(0.5, 0.5, "no pairs", ha="center", va="center")
    set_title(figure, title)
    return figure


def cmc_curve(cmc: pd.DataFrame, *, title: str | None = None) -> Figure:
    """The cumulative match characteristic.

    Args:
        cmc: ``rank`` and ``share``, as `kerasface.metrics.identification.evaluate` gives it.
        title: Title of the figure.
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
    axis.set_ylabel("person found among so many")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=10))
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_ylim(0, 1.02)
    plain_axis(axis)
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=9, loc="lower right", edgecolor="none")
    set_title(figure, title)
    return figure


def pair_captions(pairs: pd.DataFrame) -> list[str]:
    """Captions for `pairs_gallery`.

    Args:
        pairs: Rows with ``file_a``, ``file_b``, ``same`` and ``score``.

    Returns:
        The score and the truth, and the files' names; a line each.
    """
    captions = []
    for row in pairs.to_dict("records"):
        truth = "the same person" if row["same"] else "different people"
        files = [
            str(row[key]).replace("\\", "/").rsplit("/", 1)[-1] for key in ("file_a", "file_b")
        ]
        captions.append("\n".join([f"{row['score']:.3f}: {truth}", *files]))
    return captions


def _upper_edge(far: np.ndarray, tar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The highest true accept rate of each false accept rate above 0, and up to 1,000 of them."""
    rates, first = np.unique(far, return_index=True)
    last = np.append(first[1:], len(far)) - 1
    highest = tar[last]
    rates, highest = rates[rates > 0], highest[rates > 0]
    if len(rates) > CURVE_POINTS:
        wanted = np.geomspace(rates[0], rates[-1], CURVE_POINTS)
        rows = np.unique(np.clip(rates.searchsorted(wanted), 0, len(rates) - 1))
        rates, highest = rates[rows], highest[rows]
    return rates, highest


def _side_by_side(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    for image in (first, second):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                "Images must be uint8 of shape [height, width, 3]. "
                f"Received: shape={image.shape}, dtype={image.dtype}."
            )
    height = max(len(first), len(second))
    padded = [
        np.pad(image, ((0, height - len(image)), (0, 0), (0, 0)), constant_values=255)
        for image in (first, second)
    ]
    return np.hstack([padded[0], np.full((height, GAP, 3), 255, np.uint8), padded[1]])
