"""Accuracy of pairs in folds, each at the best threshold of the other folds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kerasface.metrics.ordered_pairs import OrderedPairs

FOLDS = 10  # Huang et al. 2007, "Labeled Faces in the Wild"


@dataclass(frozen=True)
class Fold:
    """The pairs of a fold among ordered pairs.

    Attributes:
        rows: int ``[K]``, positions of its pairs.
        cuts: int ``[L + 1]``: 0, then the thresholds at which pairs of the fold are added.
        last: int ``[L]``, its last pair at each of these thresholds.
    """

    rows: np.ndarray
    cuts: np.ndarray
    last: np.ndarray

    def __repr__(self) -> str:
        return f"Fold: {len(self.rows):,} pairs"


def fold_codes(
    folds: np.ndarray | None, same: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Checks folds, or divides the pairs into new ones.

    Args:
        folds: int ``[N]``, a number for each fold, at least two different ones. None divides
            the pairs into ten folds, or fewer if one kind has fewer than ten pairs.
        same: bool ``[N]``, whether a pair is genuine.
        seed: Seed of new folds.

    Returns:
        The numbers of the folds ``[F]``, and for each pair the index of its fold ``[N]``.

    Raises:
        ValueError: If the folds are invalid, or there are too few pairs for two.
    """
    if folds is None:
        return _new_folds(same, seed)
    folds = np.asarray(folds)
    if folds.shape != same.shape or folds.dtype.kind not in "iu":
        raise ValueError(
            "`folds` must have one integer per pair. "
            f"Received: shape={folds.shape}, dtype={folds.dtype} for {len(same)} pairs."
        )
    numbers, codes = np.unique(folds, return_inverse=True)
    if len(numbers) < 2:
        raise ValueError(
            "There must be at least two folds, because the threshold of a fold comes from the "
            f"others. Received: all pairs in fold {numbers[0]}. Pass folds=None for new folds."
        )
    return numbers, codes


def order_folds(ordered: OrderedPairs, codes: np.ndarray) -> list[Fold]:
    """Finds the pairs of each fold among ordered pairs.

    Args:
        ordered: Pairs by descending score.
        codes: int ``[N]``, index of the fold of each pair, in the order received.

    Returns:
        The folds by index.
    """
    folds = []
    for fold in range(int(codes.max()) + 1):
        rows = np.flatnonzero(codes[ordered.order] == fold)
        cuts = ordered.ends.searchsorted(rows) + 1
        last = np.append(np.flatnonzero(np.diff(cuts)), len(cuts) - 1)
        folds.append(Fold(rows, np.append(0, cuts[last]), last))
    return folds


def fold_accuracies(
    ordered: OrderedPairs, folds: list[Fold], weights: np.ndarray, gained: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Computes the accuracy of each fold at the threshold that is best for all other folds.

    The share of a fold in ``gained`` changes at its own pairs only. So between two of them, the
    best threshold of all pairs is also the best threshold of the other folds.

    Args:
        ordered: Pairs by descending score.
        folds: The folds of these pairs.
        weights: int64 ``[B, N]``, how often each pair counts, by descending score.
        gained: int64 ``[B, M + 1]``, how many more pairs are correct at a threshold than if no
            pair is accepted.

    Returns:
        Accuracies ``[B, F]``, NaN if no pair of a fold counts, and ``[B, F]``, the first threshold
        of the interval that contains the best one.
    """
    correct, counted, intervals = fold_correct(ordered, folds, weights, gained)
    with np.errstate(invalid="ignore"):
        return correct / counted, intervals


def fold_correct(
    ordered: OrderedPairs, folds: list[Fold], weights: np.ndarray, gained: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts the correct pairs of each fold at the threshold that is best for all other folds.

    Args:
        ordered: As in `fold_accuracies`, like the other arguments.
        folds: The folds of these pairs.
        weights: int64 ``[B, N]``.
        gained: int64 ``[B, M + 1]``.

    Returns:
        Correct pairs and all pairs, int64 ``[B, F]`` each, and ``[B, F]``, the first threshold of
        the interval that contains the best one.
    """
    correct = np.empty((len(weights), len(folds)), np.int64)
    counted, intervals = np.empty_like(correct), np.empty(correct.shape, int)
    lines = np.arange(len(weights))
    for index, fold in enumerate(folds):
        drawn = weights[:, fold.rows]
        genuine = ordered.same[fold.rows]
        own = np.zeros((len(weights), len(fold.cuts)), np.int64)
        own[:, 1:] = np.where(genuine, drawn, -drawn).cumsum(axis=1)[:, fold.last]
        best = (np.maximum.reduceat(gained, fold.cuts, axis=1) - own).argmax(axis=1)
        correct[:, index] = own[lines, best] + drawn[:, ~genuine].sum(axis=1)
        counted[:, index] = drawn.sum(axis=1)
        intervals[:, index] = fold.cuts[best]
    return correct, counted, intervals


def fold_thresholds(ordered: OrderedPairs, folds: list[Fold]) -> tuple[np.ndarray, np.ndarray]:
    """Computes the accuracy and the threshold of each fold, with each pair counted once.

    Args:
        ordered: Pairs by descending score.
        folds: The folds of these pairs.

    Returns:
        Accuracies ``[F]`` and thresholds ``[F]``, the highest of equally good ones.
    """
    true, false = ordered.accepted()
    gained = true - false
    accuracies, intervals = fold_accuracies(ordered, folds, ordered.once(), gained)
    thresholds = []
    for fold, start in zip(folds, intervals[0], strict=True):
        following = fold.cuts[fold.cuts > start]
        end = following[0] if len(following) else gained.shape[1]
        thresholds.append(ordered.thresholds[start + gained[0, start:end].argmax()])
    return accuracies[0], np.array(thresholds)


def _new_folds(same: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    count = min(FOLDS, int(same.sum()), int((~same).sum()))
    if count < 2:
        raise ValueError(
            "Folds need at least two genuine and two impostor pairs. "
            f"Received: {int(same.sum())} and {int((~same).sum())}."
        )
    codes = np.empty(len(same), int)
    # Imported late, because opening a model must not wait for it.
    from sklearn.model_selection import StratifiedKFold

    splits = StratifiedKFold(count, shuffle=True, random_state=seed).split(same, same)
    for fold, (_, rows) in enumerate(splits):
        codes[rows] = fold
    return np.arange(count), codes
