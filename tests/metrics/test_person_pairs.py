"""Intervals of the rates of many pairs, in comparison with plain resampling."""

import numpy as np
import pytest

from kerasface.metrics.bootstrap import resample_counts, wilson_interval
from kerasface.metrics.person_pairs import PersonPairs


def all_pairs(people=12, each=4):
    who = np.repeat(np.arange(people), each)
    first, second = np.triu_indices(len(who), 1)
    return np.stack([who[first], who[second]], axis=1)


@pytest.mark.parametrize("own", [True, False])
def test_interval_equals_repeated_pairs(own):
    pairs = all_pairs()
    pairs = pairs[(pairs[:, 0] == pairs[:, 1]) == own]
    chosen = np.random.default_rng(1).random(len(pairs)) < 0.1 + 0.5 * (pairs == 3).any(axis=1)
    drawn = resample_counts(np.random.default_rng(0), 50, 12)
    rates = []
    for counts in drawn:
        weights = counts[pairs[:, 0]] * (1 if own else counts[pairs[:, 1]])
        rates.append(np.average(chosen, weights=weights))
    found = PersonPairs(pairs, bootstrap=50).interval(chosen)
    assert found == pytest.approx(np.percentile(rates, [2.5, 97.5]))


def test_without_spread_the_interval_is_that_of_wilson():
    pairs = all_pairs()
    none = np.zeros(len(pairs), bool)
    assert PersonPairs(pairs, bootstrap=20).interval(none) == wilson_interval(0, len(pairs))
    assert wilson_interval(0, len(pairs))[1] > 0


def test_invalid_people_are_refused():
    with pytest.raises(ValueError, match=r"shape \[pairs, 2\]. Received: shape=\(3,\)"):
        PersonPairs(np.arange(3))
