"""Thresholds of pairs, in comparison with scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics as sk

from kerasface.metrics.operating_points import best_threshold, roc_points, threshold_at_far
from kerasface.metrics.verification import evaluate


def pairs(count=600, folds=10, *, tied=False, seed=0):
    """Scores, kinds and folds of pairs that a fair verifier has seen."""
    rng = np.random.default_rng(seed)
    same = rng.random(count) < 0.4
    scores = rng.normal(size=count) + 1.8 * same
    if tied:
        scores = np.round(4 * scores) / 4
    return scores, same, rng.integers(0, folds, count)


def accuracy_at(scores, same, threshold):
    return ((scores >= threshold) == same).mean()


def plain_tar(scores, same, rate, weights=None):
    false, true, _ = sk.roc_curve(same, scores, sample_weight=weights, drop_intermediate=False)
    return true[false <= rate + 1e-12].max()


@pytest.mark.parametrize("tied", [False, True])
def test_operating_points(tied):
    scores, same, folds = pairs(2000, tied=tied)
    frame = evaluate(scores, same, folds=folds, bootstrap=50).operating_points
    assert frame["wanted_far"].tolist() == [0.1, 0.01, 0.001, 0.0001]
    impostors = int((~same).sum())
    assert frame["refused"].tolist()[:2] == ["", ""]
    assert frame["refused"][3] == (
        f"0.0001 of {impostors:,} impostor pairs are {1e-4 * impostors:.3g} expected false "
        "accepts, fewer than 10"
    )
    assert frame.loc[2:, "threshold":"tar_high"].isna().all(axis=None)
    for row in frame.head(2).to_dict("records"):
        rate = row["wanted_far"]
        accepted = scores >= row["threshold"]
        assert row["far"] == pytest.approx(accepted[~same].mean())
        assert row["tar"] == pytest.approx(accepted[same].mean())
        assert row["far"] <= rate
        lower = scores[scores < row["threshold"]].max()
        assert (scores >= lower)[~same].mean() > rate
        assert row["tar"] == pytest.approx(plain_tar(scores, same, rate))
        assert row["tar_low"] <= row["tar"] <= row["tar_high"]
        assert row["far_low"] <= row["far"] <= row["far_high"]
        assert threshold_at_far(scores, same, rate) == row["threshold"]


def test_ten_expected_false_accepts_are_enough():
    scores, same = np.arange(200.0), np.arange(200) >= 100
    rates = (0.1, 0.0999)
    result = evaluate(scores, same, rates=rates, bootstrap=2)
    assert result.operating_points["refused"].str.len().gt(0).tolist() == [False, True]
    assert "tar_at_far_0.1" in result.metrics and "tar_at_far_0.0999" not in result.metrics
    with pytest.raises(ValueError, match=r"9.99 expected false accepts, fewer than 10.*larger"):
        threshold_at_far(scores, same, 0.0999)
    # The highest scores are equal, and all impostors have them.
    assert threshold_at_far(np.ones(1000), np.arange(1000) < 500, 0.02) == np.inf


def test_roc_points_and_best_threshold():
    scores, same, _ = pairs(300)
    false, true, thresholds = roc_points(scores, same)
    expected = sk.roc_curve(same, scores, drop_intermediate=False)
    for found, reference in zip((false, true, thresholds), expected, strict=True):
        np.testing.assert_allclose(found, reference)
    best = max(accuracy_at(scores, same, threshold) for threshold in thresholds)
    assert accuracy_at(scores, same, best_threshold(scores, same)) == best
    assert best_threshold([0.9, 0.1], [0, 1]) == np.inf
