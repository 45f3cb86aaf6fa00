"""Paired comparisons, in comparison with formulas and plain resamples."""

import numpy as np
import pytest
from scipy.stats import binom, chi2

from kerasface.metrics.paired import accuracy_difference, mcnemar


def test_mcnemar():
    correct_a = np.array([True] * 60 + [False] * 40)
    correct_b = np.array([True] * 45 + [False] * 15 + [True] * 5 + [False] * 35)
    found = mcnemar(correct_a, correct_b)
    assert (found.images, found.only_a, found.only_b) == (100, 15, 5)
    assert found.p_value == pytest.approx(2 * binom.cdf(5, 20, 0.5))
    assert found.p_value == pytest.approx(chi2.sf((15 - 5 - 1) ** 2 / 20, 1), abs=0.01)
    assert found.difference == pytest.approx(0.1)
    rng = np.random.default_rng(1)
    rows = rng.integers(100, size=(20_000, 100))
    resampled = correct_a[rows].mean(axis=1) - correct_b[rows].mean(axis=1)
    found = mcnemar(correct_a, correct_b, bootstrap=20_000)
    low, high = np.percentile(resampled, [2.5, 97.5])
    assert found.difference_low == pytest.approx(low, abs=0.0101)  # one image
    assert found.difference_high == pytest.approx(high, abs=0.0101)
    assert all(type(value) in (int, float) for value in vars(found).values())


def test_mcnemar_is_antisymmetric():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 300)) < [[0.8], [0.7]]
    one, other = mcnemar(a, b), mcnemar(b, a)
    assert one.p_value == pytest.approx(other.p_value)
    assert one.difference == -other.difference
    assert (one.only_a, one.only_b) == (other.only_b, other.only_a)


@pytest.mark.parametrize("same", [[True], [False] * 5, [True, False, True]])
def test_mcnemar_of_equal_models(same):
    found = mcnemar(same, same)
    assert found.p_value == 1
    assert found.difference == found.difference_low == found.difference_high == 0


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ([1, 0], [1, 0], {}, r"`correct_a` must be bools.*dtype=int64.*labels == predictions"),
        ([True], [[True]], {}, r"`correct_b` must be bools.*shape=\(1, 1\)"),
        (np.zeros(0, bool), np.zeros(0, bool), {}, r"at least one image.*shape=\(0,\)"),
        ([True], [True, False], {}, "one value per image. Received: 1 and 2 values"),
        ([True], [True], {"bootstrap": 0}, "at least 1. Received: bootstrap=0"),
    ],
)
def test_mcnemar_of_invalid_values(a, b, options, message):
    with pytest.raises(ValueError, match=message):
        mcnemar(a, b, **options)


def test_repr_of_mcnemar():
    found = mcnemar([True, True, False], [True, False, True])
    assert repr(found).startswith("McNemarTest: 3 images\n  correct only in a: 1, only in b: 1\n")
    assert repr(found).endswith("p value: 1")


def test_accuracy_difference():
    rng = np.random.default_rng(2)
    correct_a, correct_b = rng.random((2, 80, 5)) < np.array([0.8, 0.7])[:, None, None]
    found = accuracy_difference(correct_a, correct_b, bootstrap=20_000)
    assert found.images == 80
    assert found.difference == pytest.approx(correct_a.mean() - correct_b.mean())
    rows = rng.integers(80, size=(20_000, 80))
    gaps = correct_a.mean(axis=1) - correct_b.mean(axis=1)
    low, high = np.percentile(gaps[rows].mean(axis=1), [2.5, 97.5])
    assert found.difference_low == pytest.approx(low, abs=0.004)
    assert found.difference_high == pytest.approx(high, abs=0.004)
    assert repr(found).startswith("AccuracyDifference: 80 images\n")
    assert f"{found.difference:+.4f} (95% interval {found.difference_low:+.4f} to" in repr(found)


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        ([[1, 2]], [[1, 0]], {}, "`correct_a` must be 0 and 1. Received: 2 in row 0, column 1"),
        ([[1, 0]], [[1]], {}, r"one column per attribute. Received: shapes \(1, 2\) and \(1, 1\)"),
        ([[1]], [[1]], {"bootstrap": 0}, "at least 1. Received: bootstrap=0"),
    ],
)
def test_accuracy_difference_of_invalid_values(a, b, options, message):
    with pytest.raises(ValueError, match=message):
        accuracy_difference(a, b, **options)
