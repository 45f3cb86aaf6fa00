"""Same person or not: figures of pairs' scores, the way the LFW protocol has them.

A pair is *genuine* where both pictures show the same person and *impostor* otherwise. It is
accepted where its score is at least a threshold. The share of impostor pairs that are accepted is
the false accept rate (FAR), the share of genuine pairs the true accept rate (TAR).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold

FALSE_ACCEPT_RATES = (1e-1, 1e-2, 1e-3, 1e-4)
# With fewer expected false accepts a rate is that of a handful of pairs: the interval of ten
# counts (Poisson) already reaches from half of them to twice.
FEWEST_FALSE_ACCEPTS = 10
FOLDS = 10  # Huang et al. 2007, "Labeled Faces in the Wild"
INTERVAL = (2.5, 97.5)  # percentiles
# Of very few people many resamples lack a kind of pairs; the others would all be alike.
MOST_RESAMPLES = 0.95
ROUNDING = 1e-6  # of a pair: 0.07 times 100 is a little more than 7
CHUNK = 2**17  # resampled pairs at a time, which stay in the processor's caches


@dataclass(frozen=True)
class Verification:
    """What `evaluate` gives.

    Attributes:
        metrics: Name to number; see `evaluate`.
        per_fold: One row a fold.
        operating_points: One row a wanted false accept rate.
        resampled: What the intervals resample, ``"people"`` or ``"pairs"``.
    """

    metrics: dict[str, float | int]
    per_fold: pd.DataFrame
    operating_points: pd.DataFrame
    resampled: str


def evaluate(
    scores: np.ndarray,
    same: np.ndarray,
    *,
    folds: np.ndarray | None = None,
    people: np.ndarray | None = None,
    rates: Sequence[float] = FALSE_ACCEPT_RATES,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Verification:
    """All figures of a verification.

    Intervals are 95 % percentile bootstrap intervals. Pairs that share a person are alike, so
    with ``people`` it is the people that are resampled: a genuine pair counts as often as its
    person is drawn, an impostor pair as often as both are, multiplied (Owen 2007, "The pigeonhole
    bootstrap", arXiv:0712.1111). Without, the pairs are resampled, within each fold and kind,
    which is too narrow wherever people come in several pairs. Of too few people, in more than 5 %
    of whose resamples a kind of pairs is missing, an interval is NaN.

    Args:
        scores: float ``[N]``, finite, larger for pairs that look more alike.
        same: Whether a pair is genuine, bool or 0/1 ``[N]``, at least one of each kind.
        folds: int ``[N]``, a number a fold, at least two different; None deals the pairs out to
            ten (or as many as there are of the rarer kind), by ``seed``.
        people: Who is in a pair, ``[N, 2]`` of names or numbers.
        rates: False accept rates that thresholds are wanted for, in (0, 1).
        bootstrap: Resamples, at least 1.
        seed: Seed of folds and resamples.

    Returns:
        ``metrics`` has

        - ``pairs``, ``genuine``, ``impostor``, ``folds``;
        - ``accuracy``: the mean over the folds, each at the threshold that is best for all other
          folds; its ``accuracy_standard_error`` (standard deviation of the folds over the root
          of their number), as LFW reports them, and ``accuracy_low``, ``accuracy_high``;
        - ``auc``, the area under the ROC curve, with ``auc_low`` and ``auc_high``;
        - ``eer``, the equal error rate, where the false accept rate is that of false rejects, on
          straight lines between the points of the ROC curve, with ``eer_low`` and ``eer_high``;
        - ``tar_at_far_0.01`` and so on, where the number of pairs allows it, with ``_low`` and
          ``_high``.

        ``per_fold`` has ``fold``, ``pairs``, ``threshold`` and ``accuracy``.

        ``operating_points`` has ``wanted_far``, ``threshold`` (the lowest whose rate is not above
        the wanted one), ``far`` and ``tar`` there, ``tar_low``, ``tar_high``, and ``refused``,
        which is empty or says why the other columns are NaN: a rate of which fewer than ten false
        accepts are to be expected says nothing.

    Raises:
        ValueError: If shapes or values do not fit, one kind of pairs is missing, there is a
            single fold, or ``people`` contradict ``same``.

    Example:
        >>> result = evaluate([0.9, 0.2, 0.9, 0.1], [1, 0, 1, 0], folds=[0, 0, 1, 1])
        >>> result.metrics["accuracy"], result.metrics["eer"]
        (1.0, 0.0)
    """
    scores, same = check_pairs(scores, same)
    _check_rates(rates)
    if bootstrap < 1:
        raise ValueError(
            f"An interval needs at least one resample. Received: bootstrap={bootstrap}."
        )
    names, fold_codes = _fold_codes(folds, same, seed)
    person_codes = None if people is None else _person_codes(people, same)
    ordered = _order(scores, same, fold_codes)
    impostors = int((~same).sum())
    measured = [rate for rate in rates if not _too_few(rate, impostors)]

    once = np.ones((1, len(scores)), np.int64)
    point = _statistics(ordered, once, measured)
    generator = np.random.default_rng(seed)
    rows = max(1, CHUNK // len(scores))
    parts = []
    for start in range(0, bootstrap, rows):
        count = min(rows, bootstrap - start)
        if person_codes is None:
            weights = _resampled_pairs(generator, count, 2 * fold_codes + same)
        else:
            weights = _resampled_people(generator, count, person_codes, same)
        parts.append(_statistics(ordered, weights[:, ordered.order], measured))
    resampled = {key: np.concatenate([part[key] for part in parts]) for key in point}
    intervals = {key: _interval(values) for key, values in resampled.items()}

    accuracies, thresholds = _point_folds(ordered, once)
    metrics: dict[str, float | int] = {
        "pairs": len(scores),
        "genuine": int(same.sum()),
        "impostor": impostors,
        "folds": len(names),
        "accuracy": float(point["accuracy"][0]),
        "accuracy_standard_error": float(accuracies.std(ddof=1) / np.sqrt(len(names))),
    }
    for key in point:
        metrics[key] = float(point[key][0])
        metrics[f"{key}_low"], metrics[f"{key}_high"] = intervals[key]
    per_fold = pd.DataFrame(
        {
            "fold": names,
            "pairs": np.bincount(fold_codes, minlength=len(names)),
            "threshold": thresholds,
            "accuracy": accuracies,
        }
    )
    rows_of_rates = [_operating_point(rate, impostors, ordered, metrics) for rate in rates]
    return Verification(
        metrics,
        per_fold,
        pd.DataFrame(rows_of_rates),
        "pairs" if people is None else "people",
    )


def threshold_at_far(scores: np.ndarray, same: np.ndarray, rate: float) -> float:
    """The lowest threshold whose false accept rate is not above a wanted one.

    Args:
        scores: float ``[N]``.
        same: Whether a pair is genuine, bool or 0/1 ``[N]``.
        rate: The wanted false accept rate, in (0, 1).

    Returns:
        A score; pairs of at least this score are accepted. Infinity where the highest scores are
        equal and belong to more impostors than the rate allows.

    Raises:
        ValueError: If fewer than ten false accepts are to be expected at that rate.

    Example:
        >>> scores = np.arange(200)
        >>> threshold_at_far(scores, scores >= 100, 0.1)
        90.0
    """
    scores, same = check_pairs(scores, same)
    _check_rates([rate])
    impostors = np.sort(scores[~same])
    refused = _too_few(rate, len(impostors))
    if refused:
        raise ValueError(
            "A threshold for a false accept rate needs at least "
            f"{FEWEST_FALSE_ACCEPTS} expected false accepts. Received: {refused}. "
            "Take a larger rate, or more impostor pairs."
        )
    candidates = np.unique(scores)
    accepted = len(impostors) - impostors.searchsorted(candidates, "left")
    allowed = candidates[accepted <= rate * len(impostors) + ROUNDING]
    return float(allowed[0]) if len(allowed) else float("inf")


def best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    """The threshold that has most pairs right; the highest of equally good ones.

    Args:
        scores: float ``[N]``.
        same: Whether a pair is genuine, bool or 0/1 ``[N]``.

    Returns:
        A score, or infinity where accepting none is best.

    Example:
        >>> best_threshold([0.1, 0.6, 0.4, 0.9], [0, 0, 1, 1])
        0.9
    """
    scores, same = check_pairs(scores, same)
    ordered = _order(scores, same)
    true, false = _cumulated(ordered, np.ones((1, len(scores)), np.int64))
    return float(ordered.thresholds[(true - false)[0].argmax()])


def roc_points(scores: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The points of the ROC curve.

    Args:
        scores: float ``[N]``.
        same: Whether a pair is genuine, bool or 0/1 ``[N]``.

    Returns:
        False accept rates, true accept rates and thresholds (falling, from infinity), one point
        a different score and one before them.
    """
    scores, same = check_pairs(scores, same)
    ordered = _order(scores, same)
    true, false = _cumulated(ordered, np.ones((1, len(scores)), np.int64))
    return false[0] / false[0, -1], true[0] / true[0, -1], ordered.thresholds


def worst_pairs(scores: np.ndarray, same: np.ndarray, limit: int = 12) -> np.ndarray:
    """The pairs that are most wrong: half of them unlike genuine ones, half alike impostors.

    Args:
        scores: float ``[N]``.
        same: Whether a pair is genuine, bool or 0/1 ``[N]``.
        limit: How many of the two kinds together.

    Returns:
        Positions, first the genuine pairs from the lowest score on, then the impostor pairs from
        the highest on.
    """
    scores, same = check_pairs(scores, same)
    genuine, impostor = np.flatnonzero(same), np.flatnonzero(~same)
    unlike = genuine[np.argsort(scores[genuine], kind="stable")][: (limit + 1) // 2]
    alike = impostor[np.argsort(-scores[impostor], kind="stable")][: limit // 2]
    return np.concatenate([unlike, alike])


def check_pairs(scores: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and kinds of pairs as arrays, once they are known to fit.

    Args:
        scores: Numbers ``[N]``, finite.
        same: bool or 0/1 ``[N]``, at least one of each kind.

    Returns:
        ``(float64 [N], bool [N])``.

    Raises:
        ValueError: If they do not fit; the first pair at fault is named.
    """
    scores, same = np.asarray(scores), np.asarray(same)
    if scores.ndim != 1 or scores.dtype.kind not in "fiu":
        raise ValueError(
            "`scores` must be numbers of shape [pairs]. "
            f"Received: shape={scores.shape}, dtype={scores.dtype}."
        )
    if same.shape != scores.shape or same.dtype.kind not in "biuf":
        raise ValueError(
            "`same` must have one bool, or 0 or 1, a pair. "
            f"Received: shape={same.shape}, dtype={same.dtype} for {len(scores)} scores."
        )
    wrong = ~np.isfinite(scores)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(
            f"Every score must be finite. Received: {scores[row]} at pair {row}, and "
            f"{int(wrong.sum()) - 1} more such pairs."
        )
    odd = (same != 0) & (same != 1)
    if odd.any():
        row = int(odd.argmax())
        raise ValueError(f"`same` must be 0 or 1. Received: {same[row]} at pair {row}.")
    same = same.astype(bool)
    if same.all() or not same.any():
        raise ValueError(
            "A verification needs genuine and impostor pairs. "
            f"Received: {int(same.sum())} genuine and {int((~same).sum())} impostor pairs."
        )
    return scores.astype(float), same


@dataclass(frozen=True)
class _Ordered:
    """Pairs by falling score; only where a score ends can a threshold cut."""

    order: np.ndarray
    same: np.ndarray
    ends: np.ndarray
    thresholds: np.ndarray  # before the first pair infinity, then each different score
    # Of each fold the places of its pairs, of the thresholds at which one of them comes in (and
    # the first), and for these the number of its pairs so far, less one.
    fold_rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def _order(scores, same, folds=None) -> _Ordered:
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    ends = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(falling) - 1)
    thresholds = np.append(np.inf, falling[ends])
    fold_rows = []
    if folds is not None:
        for fold in range(int(folds.max()) + 1):
            rows = np.flatnonzero(folds[order] == fold)
            cuts = ends.searchsorted(rows) + 1
            last = np.append(np.flatnonzero(np.diff(cuts)), len(cuts) - 1)
            fold_rows.append((rows, np.append(0, cuts[last]), last))
    return _Ordered(order, same[order], ends, thresholds, fold_rows)


def _cumulated(ordered: _Ordered, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accepted genuine and impostor pairs at each threshold, ``[B, M + 1]``."""
    true = _cumulate(ordered, np.where(ordered.same, weights, 0))
    return true, _cumulate(ordered, np.where(ordered.same, 0, weights))


def _cumulate(ordered: _Ordered, values: np.ndarray) -> np.ndarray:
    sums = np.zeros((len(values), len(ordered.ends) + 1), np.int64)
    total = values.cumsum(axis=1)
    sums[:, 1:] = total if len(ordered.ends) == total.shape[1] else total[:, ordered.ends]
    return sums


def _statistics(
    ordered: _Ordered, weights: np.ndarray, rates: Sequence[float]
) -> dict[str, np.ndarray]:
    """Every figure for each row of weights ``[B, N]``, pairs by falling score.

    Returns:
        Name to ``[B]``, NaN where a row lacks a kind of pairs.
    """
    true, false = _cumulated(ordered, weights)
    accuracies, _ = _fold_accuracies(ordered, weights, true - false)
    counted = np.isfinite(accuracies)
    positives, negatives = true[:, -1], false[:, -1]
    lines = np.arange(len(weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = {"accuracy": np.where(counted, accuracies, 0).sum(axis=1) / counted.sum(axis=1)}
        area = np.einsum("ij,ij->i", np.diff(false), true[:, 1:] + true[:, :-1])
        found["auc"] = area / (2 * positives * negatives)
        found["eer"] = _equal_error_rate(true, false)
        for rate in rates:
            cut = (false <= (rate * negatives + ROUNDING)[:, None]).sum(axis=1) - 1
            found[_rate_key(rate)] = true[lines, cut] / positives
    return found


def _fold_accuracies(ordered, weights, gained) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of each fold that are right at the best threshold of the others, and all of them.

    ``gained`` is how many pairs more are right at a threshold than where none is accepted. A
    fold's own share in it changes at its own pairs only, so that between two of them the best
    threshold of all pairs is that of the others.

    Returns:
        Accuracies ``[B, folds]``, NaN where a row has no pair of a fold, and the first place
        ``[B, folds]`` of the stretch of thresholds that holds the best one.
    """
    accuracies = np.empty((len(weights), len(ordered.fold_rows)))
    stretches = np.empty(accuracies.shape, int)
    lines = np.arange(len(weights))
    for fold, (rows, starts, ends) in enumerate(ordered.fold_rows):
        drawn = weights[:, rows]
        genuine = ordered.same[rows]
        own = np.zeros((len(weights), len(starts)), np.int64)
        own[:, 1:] = np.where(genuine, drawn, -drawn).cumsum(axis=1)[:, ends]
        best = (np.maximum.reduceat(gained, starts, axis=1) - own).argmax(axis=1)
        right = own[lines, best] + drawn[:, ~genuine].sum(axis=1)
        with np.errstate(invalid="ignore"):
            accuracies[:, fold] = right / drawn.sum(axis=1)
        stretches[:, fold] = starts[best]
    return accuracies, stretches


def _point_folds(ordered: _Ordered, once: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and threshold of each fold, the highest of the equally good ones."""
    true, false = _cumulated(ordered, once)
    gained = true - false
    accuracies, stretches = _fold_accuracies(ordered, once, gained)
    thresholds = []
    for (_, starts, _), start in zip(ordered.fold_rows, stretches[0], strict=True):
        following = starts[starts > start]
        end = following[0] if len(following) else gained.shape[1]
        thresholds.append(ordered.thresholds[start + gained[0, start:end].argmax()])
    return accuracies[0], np.array(thresholds)


def _equal_error_rate(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    positives, negatives = true[:, -1], false[:, -1]
    # FAR + TAR - 1 as whole numbers: it rises from below 0 to above.
    gap = false * positives[:, None] + (true - positives[:, None]) * negatives[:, None]
    lines = np.arange(len(gap))
    after = np.clip((gap < 0).sum(axis=1), 1, gap.shape[1] - 1)
    below, above = gap[lines, after - 1], gap[lines, after]
    share = -below / (above - below)
    before = false[lines, after - 1]
    return (before + share * (false[lines, after] - before)) / negatives


def _resampled_pairs(generator, count: int, strata: np.ndarray) -> np.ndarray:
    """How often each pair is drawn, ``[count, N]``, within each stratum as many as there are."""
    weights = np.empty((count, len(strata)), np.int64)
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        weights[:, rows] = _draws(generator, count, len(rows))
    return weights


def _resampled_people(generator, count: int, codes: np.ndarray, same: np.ndarray) -> np.ndarray:
    drawn = _draws(generator, count, int(codes.max()) + 1)
    first = drawn[:, codes[:, 0]]
    return np.where(same, first, first * drawn[:, codes[:, 1]])


def _draws(generator, count: int, size: int) -> np.ndarray:
    """How often each of ``size`` things comes in as many draws with replacement, a row each."""
    places = generator.integers(0, size, (count, size)) + size * np.arange(count)[:, None]
    return np.bincount(places.ravel(), minlength=count * size).reshape(count, size)


def _interval(values: np.ndarray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if len(known) < MOST_RESAMPLES * len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(known, INTERVAL)
    return float(low), float(high)


def _operating_point(rate, impostors, ordered: _Ordered, metrics) -> dict:
    row = {"wanted_far": rate, "refused": _too_few(rate, impostors) or ""}
    columns = ["threshold", "far", "tar", "tar_low", "tar_high"]
    values: dict[str, float] = dict.fromkeys(columns, float("nan"))
    if not row["refused"]:
        false = np.append(0, (~ordered.same).cumsum()[ordered.ends])
        cut = int((false <= rate * impostors + ROUNDING).sum()) - 1
        key = _rate_key(rate)
        tars = (metrics[key], metrics[f"{key}_low"], metrics[f"{key}_high"])
        values = dict(
            zip(columns, (ordered.thresholds[cut], false[cut] / impostors, *tars), strict=True)
        )
    return {"wanted_far": rate, **values, "refused": row["refused"]}


def _rate_key(rate: float) -> str:
    return f"tar_at_far_{rate:g}"


def _too_few(rate: float, impostors: int) -> str | None:
    """Why a false accept rate cannot be told from so many impostor pairs; None if it can."""
    expected = rate * impostors
    if expected >= FEWEST_FALSE_ACCEPTS - ROUNDING:
        return None
    return (
        f"{rate:g} of {impostors:,} impostor pairs are {expected:.3g} expected false accepts, "
        f"fewer than {FEWEST_FALSE_ACCEPTS}"
    )


def _check_rates(rates: Sequence[float]) -> None:
    for rate in rates:
        if not 0 < rate < 1:
            raise ValueError(f"A false accept rate must be in (0, 1). Received: {rate}.")


def _fold_codes(folds, same: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The folds' own numbers and, for each pair, the place of its own among them."""
    if folds is None:
        count = min(FOLDS, int(same.sum()), int((~same).sum()))
        if count < 2:
            raise ValueError(
                "Folds need at least two genuine and two impostor pairs. "
                f"Received: {int(same.sum())} and {int((~same).sum())}."
            )
        codes = np.empty(len(same), int)
        splits = StratifiedKFold(count, shuffle=True, random_state=seed).split(same, same)
        for fold, (_, rows) in enumerate(splits):
            codes[rows] = fold
        return np.arange(count), codes
    folds = np.asarray(folds)
    if folds.shape != same.shape or folds.dtype.kind not in "iu":
        raise ValueError(
            "`folds` must have one whole number a pair. "
            f"Received: shape={folds.shape}, dtype={folds.dtype} for {len(same)} pairs."
        )
    names, codes = np.unique(folds, return_inverse=True)
    if len(names) < 2:
        raise ValueError(
            "The threshold of a fold comes from the others, so there must be two at least. "
            f"Received: all pairs in fold {names[0]}. Leave `folds` out to have some dealt out."
        )
    return names, codes


def _person_codes(people, same: np.ndarray) -> np.ndarray:
    people = np.asarray(people)
    if people.shape != (len(same), 2):
        raise ValueError(
            "`people` must say who is in each pair, shape [pairs, 2]. "
            f"Received: shape={people.shape} for {len(same)} pairs."
        )
    codes = np.unique(people, return_inverse=True)[1].reshape(people.shape)
    odd = (codes[:, 0] == codes[:, 1]) != same
    if odd.any():
        row = int(odd.argmax())
        raise ValueError(
            f"A pair must be genuine exactly where it is of one person. Received: pair {row} of "
            f"{people[row, 0]!r} and {people[row, 1]!r} with same={bool(same[row])}."
        )
    return codes
