"""Metrics of verification (do two images show the same person?) by the LFW protocol.

Huang et al. 2007, "Labeled Faces in the Wild". For the terms see
`kerasface.metrics.operating_points`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kerasface.metrics.bootstrap import (
    check_bootstrap,
    percentile_interval,
    resample_counts,
    wilson_interval,
)
from kerasface.metrics.folds import (
    Fold,
    fold_accuracies,
    fold_codes,
    fold_correct,
    fold_thresholds,
    order_folds,
)
from kerasface.metrics.inputs import check_pairs
from kerasface.metrics.operating_points import (
    FALSE_ACCEPT_RATES,
    ROUNDING,
    check_rates,
    equal_error_rates,
    operating_points,
    tar_key,
    threshold_row,
    too_few_impostors,
)
from kerasface.metrics.ordered_pairs import OrderedPairs, order_pairs
from kerasface.metrics.tables import metrics_html, metrics_text

SHOWN = ("accuracy", "majority_accuracy", "balanced_accuracy", "auc", "eer")
CHUNK = 2**17  # resampled pairs at a time, which fit into the CPU caches


@dataclass(frozen=True)
class VerificationMetrics:
    """Result of `evaluate`.

    Attributes:
        metrics: Name to number; see `evaluate`.
        per_fold: One row per fold.
        operating_points: One row per target false accept rate.
        resampled: What the intervals resample, ``"people"`` or ``"pairs"``.
    """

    metrics: dict[str, float | int]
    per_fold: pd.DataFrame
    operating_points: pd.DataFrame
    resampled: str

    def __repr__(self) -> str:
        rates = [tar_key(rate) for rate in self.operating_points["wanted_far"]]
        return metrics_text(self._title(), self.metrics, [*SHOWN, *rates])

    def _repr_html_(self) -> str:
        tables = {"operating_points": self.operating_points, "per_fold": self.per_fold}
        return metrics_html(self._title(), self.metrics, tables)

    def _title(self) -> str:
        genuine, impostor = self.metrics["genuine"], self.metrics["impostor"]
        return (
            f"VerificationMetrics: {genuine:,} genuine and {impostor:,} impostor pairs, "
            f"intervals over {self.resampled}"
        )


@dataclass(frozen=True)
class _Protocol:
    """What is computed for each resample.

    Attributes:
        ordered: Pairs by descending score.
        folds: Folds of the pairs.
        cuts: Each false accept rate with the position of its threshold.
    """

    ordered: OrderedPairs
    folds: list[Fold]
    cuts: Mapping[float, int]


def evaluate(
    scores: np.ndarray,
    same: np.ndarray,
    *,
    folds: np.ndarray | None = None,
    people: np.ndarray | None = None,
    rates: Sequence[float] = FALSE_ACCEPT_RATES,
    bootstrap: int = 1000,
    seed: int = 0,
) -> VerificationMetrics:
    """Computes all metrics of a verification.

    Intervals are 95% percentile bootstrap intervals. Pairs that share a person are not
    independent. With ``people``, the people are resampled: a genuine pair counts as often as its
    person is drawn, an impostor pair as often as both of its people are, multiplied (Owen 2007,
    "The pigeonhole bootstrap", arXiv:0712.1111). Without ``people``, the pairs are resampled
    within each fold and kind. These intervals are too narrow if people occur in several pairs. An
    interval is NaN if more than 5% of the resamples lack genuine or impostor pairs, which happens
    with very few people.

    Args:
        scores: float ``[N]``, finite, larger for more similar pairs.
        same: bool or 0/1 ``[N]``, whether a pair is genuine; at least one pair of each kind.
        folds: int ``[N]``, a number for each fold, at least two different ones. None divides
            the pairs into ten folds (or fewer if one kind has fewer than ten pairs), by ``seed``.
        people: Names or numbers ``[N, 2]`` of the people in each pair.
        rates: False accept rates to find thresholds for, in (0, 1).
        bootstrap: Number of resamples, at least 1.
        seed: Seed of folds and resamples.

    Returns:
        ``metrics`` has

        - ``pairs``, ``genuine``, ``impostor``, ``folds``;
        - ``accuracy``: mean over the folds, each at the threshold that is best for all other
          folds; ``accuracy_standard_error`` (standard deviation of the folds divided by the
          square root of their number), as LFW reports them; ``accuracy_low``, ``accuracy_high``;
        - ``majority_accuracy``: that of always giving the more frequent answer;
        - ``balanced_accuracy``: mean of the shares of correct genuine and of correct impostor
          pairs, each fold at the threshold for which this mean is best in all other folds. It
          does not depend on how many pairs of each kind there are; with ``_low`` and ``_high``;
        - ``auc``, the area under the ROC curve, with ``auc_low`` and ``auc_high``;
        - ``eer``, the equal error rate, where the false accept rate equals the false reject rate,
          on straight lines between the points of the ROC curve, with ``eer_low`` and
          ``eer_high``;
        - ``tar_at_far_0.01`` and so on, if there are enough pairs, with ``_low`` and ``_high``.

        ``per_fold`` has ``fold``, ``pairs``, ``threshold`` and ``accuracy``.

        ``operating_points`` has ``wanted_far``, ``threshold`` (the lowest whose rate is at most the
        target), ``far`` and ``tar`` at this threshold, their bounds, and ``refused``: empty, or
        the reason why the other columns are NaN. A rate needs at least ten expected false accepts.
        ``far_low`` and ``far_high`` are those of this threshold on new people: with ``people`` a
        bootstrap over them, else (or where a bootstrap has no spread) Wilson's interval.

    Raises:
        ValueError: If shapes or values are invalid, one kind of pairs is missing, there is a
            single fold, or ``people`` contradict ``same``.

    Example:
        >>> result = evaluate([0.9, 0.2, 0.9, 0.1], [1, 0, 1, 0], folds=[0, 0, 1, 1])
        >>> result.metrics["accuracy"], result.metrics["eer"]
        (1.0, 0.0)
    """
    scores, same = check_pairs(scores, same)
    check_rates(rates)
    check_bootstrap(bootstrap)
    fold_numbers, codes = fold_codes(folds, same, seed)
    person_codes = None if people is None else _person_codes(people, same)
    ordered = order_pairs(scores, same)
    impostors = int((~same).sum())
    measured = [rate for rate in rates if not too_few_impostors(rate, impostors)]
    cuts = {rate: threshold_row(ordered, rate) for rate in measured}
    protocol = _Protocol(ordered, order_folds(ordered, codes), cuts)
    point = _statistics(protocol, ordered.once())
    resampled = _resampled(protocol, codes, person_codes, bootstrap, seed)
    accuracies, thresholds = fold_thresholds(ordered, protocol.folds)
    standard_error = accuracies.std(ddof=1) / np.sqrt(len(fold_numbers))
    metrics: dict[str, float | int] = {
        "pairs": len(scores),
        "genuine": int(same.sum()),
        "impostor": impostors,
        "folds": len(fold_numbers),
        "accuracy": float(point["accuracy"][0]),
        "accuracy_standard_error": float(standard_error),
        "majority_accuracy": max(int(same.sum()), impostors) / len(scores),
    }
    bounds = {
        rate: _far_bounds(point[_far_key(rate)][0], resampled[_far_key(rate)], impostors, people)
        for rate in measured
    }
    for key, value in point.items():
        if key not in map(_far_key, measured):
            metrics[key] = float(value[0])
            metrics[f"{key}_low"], metrics[f"{key}_high"] = percentile_interval(resampled[key])
    per_fold = pd.DataFrame(
        {
            "fold": fold_numbers,
            "pairs": np.bincount(codes, minlength=len(fold_numbers)),
            "threshold": thresholds,
            "accuracy": accuracies,
        }
    )
    return VerificationMetrics(
        metrics,
        per_fold,
        operating_points(ordered, rates, metrics, bounds),
        "pairs" if people is None else "people",
    )


def worst_pairs(scores: np.ndarray, same: np.ndarray, limit: int = 12) -> np.ndarray:
    """Returns the worst mistakes: the least similar genuine and most similar impostor pairs.

    Args:
        scores: float ``[N]``.
        same: bool or 0/1 ``[N]``, whether a pair is genuine.
        limit: Maximum number of pairs, half of them of each kind.

    Returns:
        Positions: first genuine pairs by ascending score, then impostor pairs by descending score.

    Example:
        >>> worst_pairs([0.9, 0.1, 0.8, 0.2], [1, 1, 0, 0], 2).tolist()
        [1, 2]
    """
    scores, same = check_pairs(scores, same)
    genuine, impostor = np.flatnonzero(same), np.flatnonzero(~same)
    least_similar = genuine[np.argsort(scores[genuine], kind="stable")][: (limit + 1) // 2]
    most_similar = impostor[np.argsort(-scores[impostor], kind="stable")][: limit // 2]
    return np.concatenate([least_similar, most_similar])


def _resampled(
    protocol: _Protocol,
    codes: np.ndarray,
    person_codes: np.ndarray | None,
    bootstrap: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Computes the metrics of all resamples, ``[bootstrap]`` each."""
    generator = np.random.default_rng(seed)
    order, same = protocol.ordered.order, np.empty(len(codes), bool)
    same[order] = protocol.ordered.same
    parts = []
    for count in _chunk_sizes(bootstrap, len(codes)):
        if person_codes is None:
            weights = _resample_pairs(generator, count, 2 * codes + same)
        else:
            weights = _resample_people(generator, count, person_codes, same)
        parts.append(_statistics(protocol, weights[:, order]))
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _statistics(protocol: _Protocol, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Computes all metrics for each row of weights ``[B, N]``, pairs by descending score.

    Returns:
        Name to ``[B]``, NaN if a row lacks a kind of pairs.
    """
    true, false = protocol.ordered.accepted(weights)
    accuracies, _ = fold_accuracies(protocol.ordered, protocol.folds, weights, true - false)
    counted = np.isfinite(accuracies)
    positives, negatives = true[:, -1], false[:, -1]
    rows = np.arange(len(weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {"accuracy": np.where(counted, accuracies, 0).sum(axis=1) / counted.sum(axis=1)}
        found["balanced_accuracy"] = _balanced_accuracy(protocol, weights, true, false)
        area = np.einsum("ij,ij->i", np.diff(false), true[:, 1:] + true[:, :-1])
        found["auc"] = area / (2 * positives * negatives)
        found["eer"] = equal_error_rates(true, false)
        for rate, fixed in protocol.cuts.items():
            cut = (false <= (rate * negatives + ROUNDING)[:, None]).sum(axis=1) - 1
            found[tar_key(rate)] = true[rows, cut] / positives
            found[_far_key(rate)] = false[:, fixed] / negatives
    return found


def _balanced_accuracy(
    protocol: _Protocol, weights: np.ndarray, true: np.ndarray, false: np.ndarray
) -> np.ndarray:
    """Computes the balanced accuracy for each row of weights; NaN if a row lacks a kind."""
    positives, negatives = true[:, -1:], false[:, -1:]
    # Each kind of pairs weighs the same in all.
    balanced = weights * np.where(protocol.ordered.same, negatives, positives)
    gained = true * negatives - false * positives
    correct, counted, _ = fold_correct(protocol.ordered, protocol.folds, balanced, gained)
    return correct.sum(axis=1) / counted.sum(axis=1)


def _far_key(rate: float) -> str:
    return f"far of {rate:g}"


def _far_bounds(
    far: float, resampled: np.ndarray, impostors: int, people: np.ndarray | None
) -> tuple[float, float]:
    """Returns the 95% interval of the false accept rate of a threshold."""
    low, high = percentile_interval(resampled)
    if people is None or not low < high:  # not: NaN where too few resamples have both kinds
        return wilson_interval(round(far * impostors), impostors)
    return low, high


def _chunk_sizes(bootstrap: int, pairs: int) -> Iterator[int]:
    rows = max(1, CHUNK // pairs)
    for start in range(0, bootstrap, rows):
        yield min(rows, bootstrap - start)


def _resample_pairs(generator: np.random.Generator, count: int, strata: np.ndarray) -> np.ndarray:
    """Draws the pairs of each stratum; returns how often each is drawn, ``[count, N]``."""
    weights = np.empty((count, len(strata)), np.int64)
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        weights[:, rows] = resample_counts(generator, count, len(rows))
    return weights


def _resample_people(
    generator: np.random.Generator, count: int, codes: np.ndarray, same: np.ndarray
) -> np.ndarray:
    """Draws people; returns how often each pair counts, ``[count, N]``."""
    drawn = resample_counts(generator, count, int(codes.max()) + 1)
    first = drawn[:, codes[:, 0]]
    return np.where(same, first, first * drawn[:, codes[:, 1]])


def _person_codes(people: np.ndarray, same: np.ndarray) -> np.ndarray:
    people = np.asarray(people)
    if people.shape != (len(same), 2):
        raise ValueError(
            "`people` must name the people in each pair, shape [pairs, 2]. "
            f"Received: shape={people.shape} for {len(same)} pairs."
        )
    codes = np.unique(people, return_inverse=True)[1].reshape(people.shape)
    wrong = (codes[:, 0] == codes[:, 1]) != same
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"A pair must be genuine exactly if it shows one person. Received: pair {row} of "
            f"{people[row, 0]!r} and {people[row, 1]!r} with same={bool(same[row])}."
        )
    return codes
