"""Metrics of identification: the person of a gallery that a probe shows, or none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kerasface.metrics.bootstrap import check_bootstrap, proportion_interval
from kerasface.metrics.operating_points import FEWEST_FALSE_ACCEPTS, threshold_at_far
from kerasface.metrics.tables import metrics_html, metrics_text

UNKNOWN = 0  # the rank of a person who is not in the gallery
FALSE_POSITIVE_RATES = (0.1, 0.01)
SHOWN_METRICS = ("rank1", "rank5", "identified", "false_positives", "accuracy")


@dataclass(frozen=True)
class IdentificationMetrics:
    """Result of `evaluate`.

    Attributes:
        metrics: Name to number; see `evaluate`.
        cmc: The cumulative match characteristic: ``rank`` from 1, and ``share`` of the known
            probes whose person has at most this rank.
    """

    metrics: dict[str, float | int]
    cmc: pd.DataFrame

    def __repr__(self) -> str:
        rates = [f"dir_at_fpir_{rate:g}" for rate in FALSE_POSITIVE_RATES]
        return metrics_text(self._title(), self.metrics, [*SHOWN_METRICS, *rates])

    def _repr_html_(self) -> str:
        return metrics_html(self._title(), self.metrics, {"cmc": self.cmc})

    def _title(self) -> str:
        known, unknown = self.metrics["known"], self.metrics["unknown"]
        return f"IdentificationMetrics: {known:,} known and {unknown:,} unknown probes"


def evaluate(
    ranks: np.ndarray,
    scores: np.ndarray,
    *,
    threshold: float | None = None,
    max_rank: int = 50,
    bootstrap: int = 1000,
    seed: int = 0,
) -> IdentificationMetrics:
    """Computes all metrics of an identification.

    Args:
        ranks: int ``[N]``, the rank of the true person among the people of the gallery by
            descending score, from 1; 0 for probes of people who are not in the gallery.
        scores: float ``[N]``, the best score of each probe.
        threshold: Scores below it are answered with "nobody"; infinity answers so always. None
            always answers with a person.
        max_rank: Number of ranks of the curve, at least 1.
        bootstrap: Number of resamples for the interval of ``rank1``, at least 1.
        seed: Seed of the resamples.

    Returns:
        ``metrics`` has

        - ``probes``, ``known`` (in the gallery) and ``unknown``;
        - ``rank1`` with its 95% interval over probes, ``rank1_low`` and ``rank1_high`` (see
          `kerasface.metrics.bootstrap.proportion_interval`), and ``rank5``: the shares of known
          probes whose person ranks first, or among the first five, at any score;
        - with a threshold: ``identified``, the share of known probes whose person ranks first
          with a score of at least the threshold; with unknown probes also ``false_positives``,
          the share of them that are answered with a person, and ``accuracy``, the share of all
          probes with the correct answer ("nobody" for unknown ones);
        - for open sets, at false positive rates of 10% and 1% if at least ten false positives are
          expected: ``threshold_at_fpir_0.1``, the lowest threshold with at most this rate, and
          ``dir_at_fpir_0.1``, the share ``identified`` at this threshold.

        Shares of no probes are NaN.

    Raises:
        ValueError: If shapes or values are invalid, or there is no probe.

    Example:
        >>> result = evaluate([1, 2, 0], [0.9, 0.6, 0.3], threshold=0.5)
        >>> result.metrics["rank1"], result.metrics["false_positives"]
        (0.5, 0.0)
    """
    ranks, scores = _check_probes(ranks, scores)
    check_bootstrap(bootstrap)
    if threshold is not None and np.isnan(threshold):
        raise ValueError("`threshold` must be a number. Received: threshold=nan.")
    if max_rank < 1:
        raise ValueError(f"`max_rank` must be at least 1. Received: max_rank={max_rank}.")
    known = ranks != UNKNOWN
    known_ranks = ranks[known]
    low = high = float("nan")
    if len(known_ranks):
        correct = int((known_ranks == 1).sum())
        low, high = proportion_interval(correct, len(known_ranks), bootstrap=bootstrap, seed=seed)
    metrics: dict[str, float | int] = {
        "probes": len(ranks),
        "known": int(known.sum()),
        "unknown": int((~known).sum()),
        "rank1": _share(known_ranks == 1),
        "rank1_low": low,
        "rank1_high": high,
        "rank5": _share(known_ranks <= 5),
    }
    if threshold is not None:
        answered = scores >= threshold
        identified = answered & (ranks == 1)
        metrics["identified"] = _share(identified[known])
        if not known.all():
            metrics["false_positives"] = _share(answered[~known])
            metrics["accuracy"] = _share(identified | (~answered & ~known))
    for rate in FALSE_POSITIVE_RATES:
        if known.any() and rate * (~known).sum() >= FEWEST_FALSE_ACCEPTS:
            limit = threshold_at_far(scores, known, rate)
            metrics[f"threshold_at_fpir_{rate:g}"] = limit
            metrics[f"dir_at_fpir_{rate:g}"] = _share(((ranks == 1) & (scores >= limit))[known])
    all_ranks = np.arange(1, max_rank + 1)
    shares = [_share(known_ranks <= rank) for rank in all_ranks]
    return IdentificationMetrics(metrics, pd.DataFrame({"rank": all_ranks, "share": shares}))


def best_threshold(ranks: np.ndarray, scores: np.ndarray) -> float:
    """Returns the threshold with the highest accuracy, where unknown probes get "nobody".

    Args:
        ranks: int ``[N]``, as in `evaluate`.
        scores: float ``[N]``, the best score of each probe.

    Returns:
        A score, the highest of equally good ones. Infinity if answering "nobody" is always best.

    Example:
        >>> best_threshold([1, 0, 1], [0.9, 0.5, 0.6])
        0.6
    """
    ranks, scores = np.asarray(ranks), np.asarray(scores, float)
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    # An answer is correct for probes of rank 1, "nobody" for unknown ones.
    gained = (ranks[order] == 1).astype(int) - (ranks[order] == UNKNOWN)
    total = np.append(0, gained.cumsum())
    ends = np.append(descending[1:] != descending[:-1], True)
    allowed = np.append(True, ends)
    best = int(np.where(allowed, total, -len(scores) - 1).argmax())
    return float("inf") if best == 0 else float(descending[best - 1])


def _check_probes(ranks: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ranks, scores = np.asarray(ranks), np.asarray(scores, float)
    if ranks.ndim != 1 or ranks.dtype.kind not in "iu" or not len(ranks) or ranks.min() < 0:
        raise ValueError(
            "`ranks` must be integers from 0, shape [probes], at least one. "
            f"Received: shape={ranks.shape}, dtype={ranks.dtype}."
        )
    if scores.shape != ranks.shape or not np.isfinite(scores).all():
        raise ValueError(
            "`scores` must have one finite number per probe. "
            f"Received: shape={scores.shape} for {len(ranks)} probes, "
            f"{int((~np.isfinite(scores)).sum())} not finite."
        )
    return ranks, scores


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
