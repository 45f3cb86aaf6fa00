"""Intervals of the rates of many pairs, for instance all pairs of a set of images."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from kerasface.metrics.bootstrap import (
    check_bootstrap,
    percentile_interval,
    resample_counts,
    wilson_interval,
)


class PersonPairs:
    """Pairs with the people in them, which are resampled for intervals.

    Pairs that share a person are not independent, so the people are resampled: a pair of one
    person counts as often as this person is drawn, a pair of two people as often as both are,
    multiplied (Owen 2007, "The pigeonhole bootstrap", arXiv:0712.1111). The pairs of two people
    are counted together, so millions of pairs are possible.

    Args:
        people: Numbers ``[N, 2]`` of the people in each pair, from 0.
        bootstrap: Number of resamples, at least 1.
        seed: Seed of the resamples.

    Raises:
        ValueError: If the shape or ``bootstrap`` is invalid.

    Example:
        >>> pairs = PersonPairs([[0, 1], [0, 2], [1, 2]])
        >>> low, high = pairs.interval([True, True, True])  # no spread: Wilson's interval
        >>> round(low, 2), high
        (0.44, 1.0)
    """

    def __init__(self, people: np.ndarray, *, bootstrap: int = 1000, seed: int = 0) -> None:
        codes = np.asarray(people)
        if codes.ndim != 2 or codes.shape[1] != 2 or not len(codes):
            raise ValueError(
                "`people` must have the two people of each pair, shape [pairs, 2]. "
                f"Received: shape={codes.shape}."
            )
        check_bootstrap(bootstrap)
        self._codes = codes
        count = int(codes.max()) + 1
        self._drawn = resample_counts(np.random.default_rng(seed), bootstrap, count).astype(float)
        self._pairs = self._counted(np.ones(len(codes), bool))

    def interval(self, chosen: np.ndarray) -> tuple[float, float]:
        """Returns the 95% interval of the share of the chosen pairs.

        Args:
            chosen: bool ``[N]``, for instance whether a pair is accepted.

        Returns:
            Lower and upper bound: percentiles of the resamples, or Wilson's bounds if the
            resamples do not differ or too few of them have any pair.
        """
        chosen = np.asarray(chosen, bool)
        with np.errstate(invalid="ignore"):
            low, high = percentile_interval(self._counted(chosen) / self._pairs)
        if not low < high:  # not: NaN
            return wilson_interval(int(chosen.sum()), len(chosen))
        return low, high

    def _counted(self, chosen: np.ndarray) -> np.ndarray:
        """How many of the chosen pairs each resample has, ``[B]``."""
        first, second = self._codes[chosen].T
        own = first == second
        people = self._drawn.shape[1]
        single = np.bincount(first[own], minlength=people)
        pairs = (np.ones(int((~own).sum())), (first[~own], second[~own]))
        matrix = csr_matrix(pairs, shape=(people, people))  # adds up the pairs of two people
        return self._drawn @ single + (self._drawn * (matrix @ self._drawn.T).T).sum(axis=1)
