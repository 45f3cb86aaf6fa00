"""Metrics of identification, counted by hand."""

import numpy as np
import pytest

from kerasface.metrics.identification import best_threshold, evaluate


def test_metrics_counted_by_hand():
    ranks = [1, 1, 2, 5, 6, 1, 0, 0]
    scores = [0.9, 0.4, 0.8, 0.7, 0.3, 0.6, 0.55, 0.2]
    result = evaluate(ranks, scores, threshold=0.5, max_rank=6)
    found = result.metrics
    assert (found["probes"], found["known"], found["unknown"]) == (8, 6, 2)
    assert found["rank1"] == pytest.approx(3 / 6)
    assert found["rank5"] == pytest.approx(5 / 6)
    assert found["identified"] == pytest.approx(2 / 6)
    assert found["false_positives"] == pytest.approx(1 / 2)
    # Right: the two that are identified, and the unknown one of 0.2.
    assert found["accuracy"] == pytest.approx(3 / 8)
    assert result.cmc["rank"].tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(result.cmc["share"], np.array([3, 4, 4, 4, 5, 6]) / 6)
    assert found["rank1_low"] < found["rank1"] < found["rank1_high"]
    assert all(type(value) in (int, float) for value in found.values())


def test_open_set_thresholds():
    rng = np.random.default_rng(0)
    ranks = np.repeat([1, 2, 0], [80, 20, 150])
    scores = np.concatenate([rng.random(100) + 0.5, rng.random(150)])
    found = evaluate(ranks, scores).metrics
    limit = found["threshold_at_fpir_0.1"]
    assert (scores[100:] >= limit).mean() <= 0.1
    lower = scores[scores < limit].max()
    assert (scores[100:] >= lower).mean() > 0.1
    assert found["dir_at_fpir_0.1"] == pytest.approx((scores[:80] >= limit).sum() / 100)
    assert "dir_at_fpir_0.01" not in found  # of 150, fewer than ten are to be expected
    at_it = evaluate(ranks, scores, threshold=limit).metrics
    assert at_it["identified"] == found["dir_at_fpir_0.1"]


def test_without_threshold_or_unknown_probes():
    closed = evaluate([1, 1, 2], [0.1, 0.2, 0.3]).metrics
    assert not {"identified", "false_positives", "accuracy"} & set(closed)
    some = evaluate([1, 1, 2], [0.1, 0.2, 0.3], threshold=0.15).metrics
    assert some["identified"] == pytest.approx(1 / 3)
    assert "false_positives" not in some


def test_interval_of_rank1():
    ranks = np.repeat([1, 2], [150, 50])
    found = evaluate(ranks, np.ones(200)).metrics
    width = found["rank1_high"] - found["rank1_low"]
    assert width == pytest.approx(2 * 1.96 * np.sqrt(0.75 * 0.25 / 200), rel=0.15)


def test_only_unknown_probes():
    found = evaluate([0, 0], [0.1, 0.9], threshold=0.5)
    assert np.isnan(found.metrics["rank1"]) and np.isnan(found.metrics["rank1_low"])
    assert found.metrics["accuracy"] == found.metrics["false_positives"] == 0.5
    assert found.cmc["share"].isna().all()


@pytest.mark.parametrize(
    ("ranks", "scores", "options", "message"),
    [
        ([], [], {}, "`ranks` must be integers"),
        ([1.0, 2.0], [0.1, 0.2], {}, "`ranks` must be integers"),
        ([-1, 2], [0.1, 0.2], {}, "`ranks` must be integers"),
        ([1, 2], [0.1], {}, "one finite number per probe"),
        ([1, 2], [0.1, np.nan], {}, "1 not finite"),
        ([1, 2], [0.1, 0.2], {"bootstrap": 0}, "bootstrap=0"),
        ([1, 2], [0.1, 0.2], {"max_rank": 0}, "max_rank=0"),
    ],
)
def test_invalid_values(ranks, scores, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(ranks, scores, **options)


@pytest.mark.parametrize("seed", range(5))
def test_best_threshold_has_the_highest_accuracy(seed):
    rng = np.random.default_rng(seed)
    ranks, scores = rng.integers(0, 3, 40), np.round(rng.random(40), 1)

    def accuracy(threshold):
        answered = scores >= threshold
        return (answered & (ranks == 1) | ~answered & (ranks == 0)).mean()

    found = best_threshold(ranks, scores)
    tried = [np.inf, *sorted(set(scores), reverse=True)]
    rights = [accuracy(threshold) for threshold in tried]
    assert found == tried[int(np.argmax(rights))]
    assert best_threshold([0, 0], [0.5, 0.6]) == np.inf
