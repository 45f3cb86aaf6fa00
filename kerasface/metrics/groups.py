"""Results by group of images, for instance by sex or age, with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from kerasface.metrics.bootstrap import (
    check_bootstrap,
    mean_interval,
    percentile_interval,
    proportion_interval,
    resample_counts,
    wilson_interval,
)
from kerasface.metrics.inputs import check_attributes, check_pairs
from kerasface.metrics.operating_points import equal_error_rates
from kerasface.metrics.ordered_pairs import order_pairs
from kerasface.metrics.person_pairs import PersonPairs

ALL = "all"
HALF = 0.5
SCORE_BINS = 2000  # for the intervals of the equal error rate; the rate itself is exact
NOT_MEASURED = (float("nan"),) * 3


def verification_by_group(
    scores: np.ndarray,
    same: np.ndarray,
    rows: np.ndarray,
    groups: pd.DataFrame,
    *,
    threshold: float,
    people: np.ndarray | None = None,
    bootstrap: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Computes the error rates of pairs whose two images are in one group.

    Two people of one group look more alike than any two people. So at one threshold for all, the
    false accept rate within a group may be larger than that of all pairs.

    Args:
        scores: float ``[N]``, finite, larger for more similar pairs.
        same: bool or 0/1 ``[N]``, whether a pair is genuine.
        rows: int ``[N, 2]``, the two images of each pair as rows of ``groups``.
        groups: One row per image, one column per kind of group. Missing values are in no group.
        threshold: The threshold of all groups, for the false and true accept rates.
        people: Names or numbers ``[N, 2]`` of the people in each pair, who are resampled for the
            intervals. None resamples pairs for the equal error rate; the other intervals are
            Wilson's.
        bootstrap: Number of resamples, at least 1.
        seed: Seed of the resamples.

    Returns:
        One row for all pairs and one per group: ``group``, ``images``, ``genuine`` and
        ``impostor`` (pairs), ``eer`` (at the group's own threshold), ``far`` and ``tar`` (at the
        shared one), each with ``_low`` and ``_high`` (95%). NaN where a kind of pairs is missing.

    Raises:
        ValueError: If shapes or values are invalid.

    Example:
        >>> groups = pd.DataFrame({"age": ["old", "old", "young"]})
        >>> frame = verification_by_group([0.9, 0.1, 0.2], [1, 0, 0], [[0, 1], [0, 2], [1, 2]],
        ...                               groups, threshold=0.5)
        >>> frame["group"].tolist(), frame["genuine"].tolist()
        (['all', 'age: old', 'age: young'], [1, 1, 0])
    """
    scores, same = check_pairs(scores, same)
    check_bootstrap(bootstrap)
    rows = np.asarray(rows)
    if rows.shape != (len(scores), 2):
        raise ValueError(
            "`rows` must have the two images of each pair, shape [pairs, 2]. "
            f"Received: shape={rows.shape} for {len(scores)} pairs."
        )
    codes = None
    if people is not None:
        codes = np.unique(people, return_inverse=True)[1].reshape(-1, 2)
    found = []
    for name, members in _members(groups):
        chosen = members[rows].all(axis=1)
        own = None if codes is None else np.unique(codes[chosen], return_inverse=True)[1]
        own = None if own is None else own.reshape(-1, 2)
        part_scores, part_same = scores[chosen], same[chosen]
        row = {"group": name, "images": len(np.unique(rows[chosen]))}
        row |= {"genuine": int(part_same.sum()), "impostor": int((~part_same).sum())}
        row |= _keys("eer", _equal_error(part_scores, part_same, own, bootstrap, seed))
        for key, kind in (("far", ~part_same), ("tar", part_same)):
            accepted = part_scores[kind] >= threshold
            row |= _keys(key, _share(accepted, None if own is None else own[kind], bootstrap, seed))
        found.append(row)
    return pd.DataFrame(found)


def attributes_by_group(
    labels: np.ndarray,
    probabilities: np.ndarray,
    names: Sequence[str],
    groups: pd.DataFrame,
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Computes how well attributes are predicted in each group, at threshold 0.5.

    An attribute that has the name of a kind of group is left out of all groups, because its value
    is the same for all images of a group.

    Args:
        labels: 0/1 ``[N, A]``.
        probabilities: float ``[N, A]`` in [0, 1].
        names: Attribute names ``[A]``.
        groups: One row per image, one column per kind of group. Missing values are in no group.
        bootstrap: Number of resamples of the images, at least 1.
        seed: Seed of the resamples.

    Returns:
        One row for all images and one per group: ``group``, ``images``, ``mean_accuracy`` with
        ``_low`` and ``_high`` (95%), ``mean_majority_accuracy`` (always guessing the more frequent
        value in the group) and ``mean_balanced_accuracy`` (over attributes of which the group has
        both values).

    Raises:
        ValueError: If shapes or values are invalid, or all attributes are kinds of groups.

    Example:
        >>> groups = pd.DataFrame({"age": ["old", "young"]})
        >>> frame = attributes_by_group([[1], [0]], np.array([[0.9], [0.8]]), ["Smiling"], groups)
        >>> frame["mean_accuracy"].tolist()
        [0.5, 1.0, 0.0]
    """
    truth, probabilities = check_attributes(labels, probabilities)
    check_bootstrap(bootstrap)
    kept = [place for place, name in enumerate(names) if name not in groups.columns]
    if not kept:
        raise ValueError(
            "Attributes by group need an attribute that is no kind of group. "
            f"Received: the attributes {list(names)} and the groups {list(groups.columns)}."
        )
    correct = (probabilities >= HALF)[:, kept] == truth[:, kept]
    found = []
    for name, members in _members(groups):
        part, values = correct[members], truth[members][:, kept]
        per_image, counts = np.unique(part.sum(axis=1), return_counts=True)
        low, high = mean_interval(
            per_image, counts, scale=len(kept), bootstrap=bootstrap, seed=seed
        )
        share = values.mean(axis=0)
        found.append(
            {
                "group": name,
                "images": int(members.sum()),
                **_keys("mean_accuracy", (float(part.mean()), low, high)),
                "mean_majority_accuracy": float(np.maximum(share, 1 - share).mean()),
                "mean_balanced_accuracy": _balanced(part, values),
            }
        )
    return pd.DataFrame(found)


def accuracy_by_group(correct: np.ndarray, groups: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """Computes the accuracy of a classification in each group.

    Args:
        correct: bool ``[N]``, whether an image is classified correctly.
        groups: One row per image, one column per kind of group. Missing values are in no group.
        seed: Seed of the resamples.

    Returns:
        One row for all images and one per group: ``group``, ``images`` and ``accuracy`` with
        ``_low`` and ``_high`` (95%).

    Example:
        >>> frame = accuracy_by_group([True, False], pd.DataFrame({"age": ["old", "young"]}))
        >>> frame["accuracy"].tolist()
        [0.5, 1.0, 0.0]
    """
    correct = np.asarray(correct, bool)
    found = []
    for name, members in _members(groups):
        count, right = int(members.sum()), int(correct[members].sum())
        bounds = proportion_interval(right, count, seed=seed)
        found.append(
            {"group": name, "images": count, **_keys("accuracy", (right / count, *bounds))}
        )
    return pd.DataFrame(found)


def _members(groups: pd.DataFrame) -> Iterator[tuple[str, np.ndarray]]:
    """Name and members, bool ``[images]``, of all images and of each group."""
    yield ALL, np.ones(len(groups), bool)
    for column in groups:
        values = groups[column]
        for value in sorted(values.dropna().unique(), key=str):
            yield f"{column}: {value}", (values == value).to_numpy(bool)


def _keys(key: str, numbers: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((key, f"{key}_low", f"{key}_high"), numbers, strict=True))


def _share(
    chosen: np.ndarray, people: np.ndarray | None, bootstrap: int, seed: int
) -> tuple[float, float, float]:
    """Share of the chosen pairs, with its interval."""
    if not len(chosen):
        return NOT_MEASURED
    if people is None:
        bounds = wilson_interval(int(chosen.sum()), len(chosen))
    else:
        bounds = PersonPairs(people, bootstrap=bootstrap, seed=seed).interval(chosen)
    return float(chosen.mean()), *bounds


def _equal_error(
    scores: np.ndarray, same: np.ndarray, people: np.ndarray | None, bootstrap: int, seed: int
) -> tuple[float, float, float]:
    """Equal error rate, with its interval from counts in bins of scores."""
    if same.all() or not same.any():
        return NOT_MEASURED
    rate = float(equal_error_rates(*order_pairs(scores, same).accepted())[0])
    edges = np.linspace(scores.min(), scores.max(), SCORE_BINS + 1)
    falling = SCORE_BINS - 1 - np.digitize(scores, edges[1:-1])
    bins = falling + SCORE_BINS * same
    generator = np.random.default_rng(seed)
    counts = np.empty((bootstrap, 2 * SCORE_BINS), np.int64)
    if people is None:
        for kind in (False, True):
            part = slice(SCORE_BINS * kind, SCORE_BINS * (kind + 1))
            once = np.bincount(falling[same == kind], minlength=SCORE_BINS)
            counts[:, part] = generator.multinomial(once.sum(), once / once.sum(), bootstrap)
    else:
        drawn = resample_counts(generator, bootstrap, int(people.max()) + 1)
        for row, times in enumerate(drawn):
            weights = times[people[:, 0]] * np.where(same, 1, times[people[:, 1]])
            counts[row] = np.bincount(bins, weights, 2 * SCORE_BINS)
    false, true = (
        np.pad(part.cumsum(axis=1), ((0, 0), (1, 0))) for part in np.split(counts, 2, axis=1)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = percentile_interval(equal_error_rates(true, false))
    return rate, low, high


def _balanced(correct: np.ndarray, truth: np.ndarray) -> float:
    """Mean balanced accuracy of the attributes that have both values."""
    both = truth.any(axis=0) & ~truth.all(axis=0)
    if not both.any():
        return float("nan")
    correct, truth = correct[:, both], truth[:, both]
    positive = (correct & truth).sum(axis=0) / truth.sum(axis=0)
    negative = (correct & ~truth).sum(axis=0) / (~truth).sum(axis=0)
    return float((positive + negative).mean() / 2)
