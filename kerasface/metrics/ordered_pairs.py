"""Pairs sorted by score, and the number of pairs that each threshold accepts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class OrderedPairs:
    """Pairs by descending score, and the ``M + 1`` thresholds that separate them.

    Attributes:
        order: int ``[N]``, positions of the pairs in the given order.
        same: bool ``[N]``, whether a pair is genuine.
        ends: int ``[M]``, the last pair of each distinct score.
        thresholds: float ``[M + 1]``: infinity, then the distinct scores.
    """

    order: np.ndarray
    same: np.ndarray
    ends: np.ndarray
    thresholds: np.ndarray

    def __repr__(self) -> str:
        return f"OrderedPairs: {len(self.order):,} pairs, {len(self.ends):,} distinct scores"

    def accepted(self, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Counts the pairs that each threshold accepts.

        Args:
            weights: int64 ``[B, N]``, how often each pair counts, by descending score. None counts
                each pair once.

        Returns:
            Accepted genuine and accepted impostor pairs, int64 ``[B, M + 1]`` each.
        """
        if weights is None:
            weights = self.once()
        true = self._cumulate(np.where(self.same, weights, 0))
        return true, self._cumulate(np.where(self.same, 0, weights))

    def once(self) -> np.ndarray:
        """Returns weights ``[1, N]`` with which each pair counts once."""
        return np.ones((1, len(self.order)), np.int64)

    def _cumulate(self, values: np.ndarray) -> np.ndarray:
        sums = np.zeros((len(values), len(self.ends) + 1), np.int64)
        total = values.cumsum(axis=1)
        # Without ties no selection is needed, which saves a copy.
        sums[:, 1:] = total if len(self.ends) == total.shape[1] else total[:, self.ends]
        return sums


def order_pairs(scores: np.ndarray, same: np.ndarray) -> OrderedPairs:
    """Sorts pairs by descending score.

    Args:
        scores: float ``[N]``, finite.
        same: bool ``[N]``, whether a pair is genuine.

    Returns:
        The pairs. Equal scores share one threshold.

    Example:
        >>> order_pairs(np.array([0.1, 0.9]), np.array([False, True])).thresholds.tolist()
        [inf, 0.9, 0.1]
    """
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    ends = np.append(np.flatnonzero(descending[1:] != descending[:-1]), len(descending) - 1)
    return OrderedPairs(order, same[order], ends, np.append(np.inf, descending[ends]))
