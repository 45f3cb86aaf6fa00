"""Bootstrap intervals, in comparison with plain resamples."""

import numpy as np
import pytest

from kerasface.metrics.bootstrap import mean_interval, percentile_interval, resample_counts


@pytest.mark.parametrize(("undefined", "known"), [(0, True), (5, True), (6, False)])
def test_interval_needs_95_percent_defined_resamples(undefined, known):
    values = np.arange(100.0)
    values[:undefined] = np.nan
    low, high = percentile_interval(values)
    if known:
        assert (low, high) == pytest.approx(np.percentile(values[undefined:], [2.5, 97.5]))
    else:
        assert np.isnan([low, high]).all()


def test_mean_interval_equals_resampled_examples():
    values, counts = np.array([-1, 0, 3]), np.array([10, 60, 30])
    examples = np.repeat(values, counts) / 2
    rows = np.random.default_rng(1).integers(100, size=(20_000, 100))
    expected = np.percentile(examples[rows].mean(axis=1), [2.5, 97.5])
    found = mean_interval(values, counts, scale=2, bootstrap=20_000, seed=0)
    assert found == pytest.approx(expected, abs=0.02)


def test_resample_counts():
    counts = resample_counts(np.random.default_rng(0), 2000, 5)
    assert counts.shape == (2000, 5)
    assert (counts.sum(axis=1) == 5).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.1)
    np.testing.assert_allclose(counts.var(axis=0), 0.8, atol=0.1)
