"""Who of a gallery is it: figures of ranks and scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from kerasface.metrics.classification import proportion_interval
from kerasface.metrics.verification import FEWEST_FALSE_ACCEPTS, threshold_at_far

INTERVAL = (2.5, 97.5)  # percentiles
UNKNOWN = 0  # the rank of a person who is not in the gallery
FALSE_POSITIVE_RATES = (0.1, 0.01)


@dataclass(frozen=True)
class Identification:
    """What `evaluate` gives.

    Attributes:
        metrics: Name to number; see `evaluate`.
        cmc: The cumulative match characteristic: ``rank`` from 1 and ``share`` of the known
            probes whose person is among so many.
    """

    metrics: dict[str, float | int]
    cmc: pd.DataFrame


def evaluate(
    ranks: np.ndarray,
    scores: np.ndarray,
    *,
    threshold: float | None = None,
    most: int = 50,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Identification:
    """All figures of an identification.

    Args:
        ranks: int ``[N]``: the place of the true person among the gallery's people by falling
            score, from 1; 0 for probes of people who are not in the gallery.
        scores: float ``[N]``, the best score of each probe.
        threshold: Below it the answer is "nobody"; None always answers.
        most: Ranks of the curve.
        bootstrap: Resamples for the interval of ``rank1``, at least 1.
        seed: Seed of the resamples.

    Returns:
        ``metrics`` has ``probes``, ``known`` (in the gallery) and ``unknown``; of the known ones
        ``rank1`` with its 95 % interval over probes (`proportion_interval`), ``rank1_low`` and
        ``rank1_high``, and ``rank5``: the shares whose person is the first or among the first
        five, whatever the score; with a threshold ``identified``, the share of the known ones
        whose person is first and not below it, and, where there are unknown ones,
        ``false_positives``, the share of them that are taken for somebody, and ``accuracy``, the
        share of all probes with the right answer, "nobody" for the unknown. For open sets, at
        false positive rates of 10 % and 1 % of which ten unknown probes are to be expected:
        ``threshold_at_fpir_0.1``, from which on not more of them are taken for somebody, and
        ``dir_at_fpir_0.1``, what ``identified`` is at it. Shares of none are NaN.

    Raises:
        ValueError: If shapes or values do not fit, or there is no probe.

    Example:
        >>> result = evaluate([1, 2, 0], [0.9, 0.6, 0.3], threshold=0.5)
        >>> result.metrics["rank1"], result.metrics["false_positives"]
        (0.5, 0.0)
    """
    ranks, scores = np.asarray(ranks), np.asarray(scores, float)
    if ranks.ndim != 1 or ranks.dtype.kind not in "iu" or not len(ranks) or ranks.min() < 0:
        raise ValueError(
            "`ranks` must be whole numbers from 0, shape [probes], at least one. "
            f"Received: shape={ranks.shape}, dtype={ranks.dtype}."
        )
    if scores.shape != ranks.shape or not np.isfinite(scores).all():
        raise ValueError(
            "`scores` must have one finite number a probe. "
            f"Received: shape={scores.shape} for {len(ranks)} probes, "
            f"{int((~np.isfinite(scores)).sum())} not finite."
        )
    if bootstrap < 1 or most < 1:
        raise ValueError(
            "`bootstrap` and `most` must be at least 1. "
            f"Received: bootstrap={bootstrap}, most={most}."
        )
    known = ranks != UNKNOWN
    hits = ranks[known]
    metrics: dict[str, float | int] = {
        "probes": len(ranks),
        "known": int(known.sum()),
        "unknown": int((~known).sum()),
        "rank1": _share(hits == 1),
    }
    low = high = float("nan")
    if len(hits):
        right = int((hits == 1).sum())
        low, high = proportion_interval(right, len(hits), bootstrap=bootstrap, seed=seed)
    metrics |= {
        "rank1_low": low,
        "rank1_high": high,
        "rank5": _share(hits <= 5),
    }
    if threshold is not None:
        answered = scores >= threshold
        right = answered & (ranks == 1)
        metrics["identified"] = _share(right[known])
        if not known.all():
            metrics["false_positives"] = _share(answered[~known])
            metrics["accuracy"] = _share(right | (~answered & ~known))
    for rate in FALSE_POSITIVE_RATES:
        if known.any() and rate * (~known).sum() >= FEWEST_FALSE_ACCEPTS:
            limit = threshold_at_far(scores, known, rate)
            metrics[f"threshold_at_fpir_{rate:g}"] = limit
            metrics[f"dir_at_fpir_{rate:g}"] = _share(((ranks == 1) & (scores >= limit))[known])
    places = np.arange(1, most + 1)
    shares = [_share(hits <= place) for place in places]
    return Identification(metrics, pd.DataFrame({"rank": places, "share": shares}))


def best_threshold(ranks: np.ndarray, scores: np.ndarray) -> float:
    """The threshold that has most probes right, "nobody" for the unknown ones.

    Args:
        ranks: int ``[N]`` as in `evaluate`.
        scores: float ``[N]``, the best score of each probe.

    Returns:
        A score, the highest of equally good ones; infinity where answering none is best.

    Example:
        >>> best_threshold([1, 0, 1], [0.9, 0.5, 0.6])
        0.6
    """
    ranks, scores = np.asarray(ranks), np.asarray(scores, float)
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    # An answer is right for the first in rank, and silence for the unknown.
    gained = (ranks[order] == 1).astype(int) - (ranks[order] == UNKNOWN)
    total = np.append(0, gained.cumsum())
    ends = np.append(falling[1:] != falling[:-1], True)
    allowed = np.append(True, ends)
    best = int(np.where(allowed, total, -len(scores) - 1).argmax())
    return float("inf") if best == 0 else float(falling[best - 1])


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
