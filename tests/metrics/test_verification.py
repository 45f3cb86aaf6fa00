"""Metrics of verification, in comparison with plain computations with scikit-learn."""

import time

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics as sk

from kerasface.metrics.inputs import check_pairs
from kerasface.metrics.verification import VerificationMetrics, evaluate, worst_pairs

METRICS = {"pairs", "genuine", "impostor", "folds", "accuracy_standard_error", "majority_accuracy"}
METRICS |= {
    f"{key}{end}"
    for key in ("accuracy", "balanced_accuracy", "auc", "eer")
    for end in ("", "_low", "_high")
}


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


def plain_folds(scores, same, folds):
    """Accuracy and threshold of each fold, every threshold of the others tried in turn."""
    accuracies, thresholds = [], []
    for fold in np.unique(folds):
        others = folds != fold
        tried = sk.roc_curve(same, scores, drop_intermediate=False)[2]
        right = [accuracy_at(scores[others], same[others], threshold) for threshold in tried]
        thresholds.append(tried[int(np.argmax(right))])
        accuracies.append(accuracy_at(scores[~others], same[~others], thresholds[-1]))
    return np.array(accuracies), thresholds


def plain_balanced_accuracy(scores, same, folds):
    """Share of correct pairs of each kind, each fold at the best threshold of the others."""
    kind_weights = np.where(same, (~same).sum(), same.sum())
    accepted = np.empty(len(scores), bool)
    for fold in np.unique(folds):
        others = folds != fold
        tried = np.append(np.inf, np.unique(scores)[::-1])
        right = [
            (kind_weights * ((scores >= threshold) == same))[others].sum() for threshold in tried
        ]
        accepted[~others] = scores[~others] >= tried[int(np.argmax(right))]
    return (accepted[same].mean() + (~accepted[~same]).mean()) / 2


def plain_equal_error_rate(scores, same, weights=None):
    false, true, _ = sk.roc_curve(same, scores, sample_weight=weights, drop_intermediate=False)
    after = int(np.argmax(false >= 1 - true))
    share = np.interp(0, (false + true - 1)[after - 1 : after + 1], [0, 1])
    return false[after - 1] + share * (false[after] - false[after - 1])


def plain_tar(scores, same, rate, weights=None):
    false, true, _ = sk.roc_curve(same, scores, sample_weight=weights, drop_intermediate=False)
    return true[false <= rate + 1e-12].max()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("count", "folds"), [(600, 10), (333, 2), (60, 7)])
def test_metrics_equal_scikit_learn(count, folds, tied):
    scores, same, fold = pairs(count, folds, tied=tied)
    result = evaluate(scores, same, folds=fold, rates=(0.5, 0.1), bootstrap=5)
    assert isinstance(result, VerificationMetrics)
    accuracies, thresholds = plain_folds(scores, same, fold)
    expected = {
        "pairs": count,
        "genuine": same.sum(),
        "impostor": (~same).sum(),
        "folds": folds,
        "accuracy": accuracies.mean(),
        "accuracy_standard_error": accuracies.std(ddof=1) / np.sqrt(folds),
        "majority_accuracy": max(same.mean(), 1 - same.mean()),
        "balanced_accuracy": plain_balanced_accuracy(scores, same, fold),
        "auc": sk.roc_auc_score(same, scores),
        "eer": plain_equal_error_rate(scores, same),
    }
    measured = (0.5, 0.1) if (~same).sum() >= 100 else (0.5,)
    expected |= {f"tar_at_far_{rate}": plain_tar(scores, same, rate) for rate in measured}
    found = result.metrics
    assert {key: found[key] for key in expected} == pytest.approx(expected)
    assert all(type(value) in (int, float) for value in found.values())
    rates = {f"tar_at_far_{rate}{end}" for rate in measured for end in ("", "_low", "_high")}
    assert set(found) == METRICS | rates
    frame = result.per_fold
    assert frame["fold"].tolist() == sorted(set(fold.tolist()))
    assert frame["pairs"].tolist() == np.bincount(fold).tolist()
    np.testing.assert_allclose(frame["accuracy"], accuracies)
    np.testing.assert_array_equal(frame["threshold"], thresholds)


def test_metrics_counted_by_hand():
    scores = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2]
    same = [1, 1, 0, 1, 1, 0, 0, 0]
    result = evaluate(scores, same, folds=[3, 3, 3, 3, 7, 7, 7, 7], rates=(0.5,), bootstrap=3)
    # Of 16 genuine and impostor pairs two are the wrong way round.
    assert result.metrics["auc"] == pytest.approx(14 / 16)
    # At 0.6: 1 of 4 impostors accepted, 1 of 4 genuine refused.
    assert result.metrics["eer"] == pytest.approx(1 / 4)
    frame = result.per_fold.set_index("fold")
    # The best threshold of the other fold is 0.5, where all of fold 3 is accepted, one wrongly.
    assert (frame.loc[3, "threshold"], frame.loc[3, "accuracy"]) == (0.5, 0.75)
    # At 0.8 one genuine pair of fold 3 is refused, as at 0.6 one impostor is accepted; there the
    # only genuine pair of fold 7 is refused.
    assert (frame.loc[7, "threshold"], frame.loc[7, "accuracy"]) == (0.8, 0.75)


def test_perfect_and_useless_scores():
    same = np.arange(400) % 2
    best = evaluate(same.astype(float), same, bootstrap=20).metrics
    assert (best["auc"], best["eer"], best["accuracy"]) == (1, 0, 1)
    assert (best["eer_low"], best["eer_high"], best["auc_low"]) == (0, 0, 1)
    same_scores = evaluate(np.zeros(400), same, bootstrap=20).metrics
    assert (same_scores["auc"], same_scores["eer"]) == (0.5, 0.5)
    worst = evaluate(-same.astype(float), same, bootstrap=20).metrics
    assert (worst["auc"], worst["eer"]) == (0, 1)


def weighted_reference(scores, same, folds, weights, rate):
    """The figures of a resample, the pairs written out as often as they were drawn."""
    again = np.repeat(np.arange(len(scores)), weights)
    scores, same, folds = scores[again], same[again], folds[again]
    return {
        "accuracy": plain_folds(scores, same, folds)[0].mean(),
        "auc": sk.roc_auc_score(same, scores),
        "eer": plain_equal_error_rate(scores, same),
        "tar": plain_tar(scores, same, rate),
    }


@pytest.mark.parametrize("tied", [False, True])
def test_resample_equals_repeated_pairs(tied, monkeypatch):
    scores, same, folds = pairs(300, 4, tied=tied, seed=3)
    weights = np.random.default_rng(1).integers(0, 4, (3, 300))
    monkeypatch.setattr("kerasface.metrics.verification._resample_pairs", lambda *_: weights.copy())
    # With three resamples the 2.5th percentile lies by 5% of the way from the lowest.
    found = evaluate(scores, same, folds=folds, rates=(0.1,), bootstrap=3).metrics
    references = [weighted_reference(scores, same, folds, row, 0.1) for row in weights]
    for key, name in (("accuracy",) * 2, ("auc",) * 2, ("eer",) * 2, ("tar", "tar_at_far_0.1")):
        low, high = np.percentile([reference[key] for reference in references], [2.5, 97.5])
        assert (found[f"{name}_low"], found[f"{name}_high"]) == pytest.approx((low, high))


def test_width_of_intervals_of_pairs():
    scores, same, _ = pairs(1000)
    found = evaluate(scores, same, bootstrap=400)
    assert found.resampled == "pairs"
    width = found.metrics["auc_high"] - found.metrics["auc_low"]
    # Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747
    area, m, n = found.metrics["auc"], same.sum(), (~same).sum()
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (m - 1) * (q1 - area**2) + (n - 1) * (q2 - area**2)
    assert width == pytest.approx(2 * 1.96 * np.sqrt(variance / (m * n)), rel=0.2)
    few = [evaluate(scores, same, bootstrap=9, seed=seed).metrics for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]


def everyone(people=14, each=5, seed=0):
    """All pairs of pictures of some people, of whom some are recognized badly throughout."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), each)
    first, second = np.triu_indices(len(who), 1)
    ease = rng.normal(size=people)
    same = who[first] == who[second]
    scores = rng.normal(size=len(first)) + same * (1.5 + 1.5 * ease[who[first]])
    return scores, same, np.stack([who[first], who[second]], axis=1)


def test_resampled_people_give_wider_intervals():
    scores, same, people = everyone()
    words = np.char.add("person ", people.astype(str))
    of_pairs = evaluate(scores, same, bootstrap=300).metrics
    of_people = evaluate(scores, same, people=words, bootstrap=300)
    assert of_people.resampled == "people"
    for key in ("auc", "eer"):
        assert of_people.metrics[key] == of_pairs[key]
        widths = [
            found[f"{key}_high"] - found[f"{key}_low"] for found in (of_pairs, of_people.metrics)
        ]
        assert widths[1] > 2 * widths[0]
    # As wide as the figures of so many other people really differ.
    areas = [sk.roc_auc_score(*everyone(seed=seed)[1::-1]) for seed in range(100)]
    width = of_people.metrics["auc_high"] - of_people.metrics["auc_low"]
    assert width == pytest.approx(np.ptp(np.percentile(areas, [2.5, 97.5])), rel=0.6)


def test_balanced_accuracy_shows_what_many_impostors_hide():
    rng = np.random.default_rng(0)
    same = np.arange(2000) < 20
    found = evaluate(rng.normal(size=2000) + 0.5 * same, same, bootstrap=20).metrics
    assert found["accuracy"] == pytest.approx(found["majority_accuracy"], abs=0.005)
    assert found["majority_accuracy"] == 0.99
    assert 0.4 < found["balanced_accuracy"] < 0.75
    assert found["balanced_accuracy_low"] < found["balanced_accuracy"]


def test_interval_of_the_false_accept_rate():
    scores, same, people = everyone(people=30, each=6)
    scores = scores + 0.8 * (people == 7).any(axis=1)  # one person looks like many others
    options = {"rates": (0.05,), "bootstrap": 300}
    of_pairs = evaluate(scores, same, **options).operating_points.loc[0]
    of_people = evaluate(scores, same, people=people, **options).operating_points.loc[0]
    assert of_pairs["far"] == of_people["far"]
    expected = binomtest(round(of_pairs["far"] * (~same).sum()), (~same).sum())
    bounds = expected.proportion_ci(method="wilson")
    assert (of_pairs["far_low"], of_pairs["far_high"]) == pytest.approx((bounds.low, bounds.high))
    width = of_people["far_high"] - of_people["far_low"]
    assert width > 1.5 * (of_pairs["far_high"] - of_pairs["far_low"])
    assert of_people["far_low"] < of_people["far"] < of_people["far_high"]


def test_two_people_have_no_interval():
    scores, same, people = everyone(people=2)
    found = evaluate(scores, same, people=people, bootstrap=100).metrics
    assert np.isnan([found["auc_low"], found["auc_high"], found["eer_low"]]).all()
    assert np.isfinite(found["auc"])


def test_drawn_person_counts_in_all_its_pairs(monkeypatch):
    scores, same, people = everyone(4, 4)
    drawn = np.array([[2, 0, 1, 1]])
    monkeypatch.setattr("kerasface.metrics.verification.resample_counts", lambda *_: drawn)
    folds = np.arange(len(scores)) % 3
    found = evaluate(scores, same, people=people, folds=folds, rates=(), bootstrap=1).metrics
    weights = [drawn[0, a] if a == b else drawn[0, a] * drawn[0, b] for a, b in people.tolist()]
    expected = weighted_reference(scores, same, folds, weights, 0.5)
    for key in ("accuracy", "auc", "eer"):
        assert found[f"{key}_low"] == found[f"{key}_high"] == pytest.approx(expected[key])


def test_new_folds_have_both_kinds():
    scores, same, _ = pairs(500)
    result = evaluate(scores, same, bootstrap=1)
    assert result.per_fold["pairs"].tolist() == [50] * 10
    few = evaluate(scores[:40], np.arange(40) < 3, bootstrap=1)
    assert few.metrics["folds"] == 3


def test_six_thousand_pairs_are_fast():
    same = np.tile(np.repeat([True, False], 300), 10)
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2, 6000, 128)).astype(np.float32)
    right = np.where(same[:, None], left + right, right)
    start, started = time.perf_counter(), time.process_time()
    left = left / np.linalg.norm(left, axis=1, keepdims=True)
    right = right / np.linalg.norm(right, axis=1, keepdims=True)
    evaluate((left * right).sum(axis=1), same, folds=np.repeat(np.arange(10), 600))
    # It takes about a second. Processor time, because other processes may use the processor.
    assert min(time.perf_counter() - start, time.process_time() - started) < 15


def test_worst_pairs():
    scores = np.array([0.9, 0.1, 0.2, 0.8, 0.7, 0.3])
    same = np.array([1, 1, 1, 0, 0, 0])
    assert worst_pairs(scores, same, 4).tolist() == [1, 2, 3, 4]
    assert worst_pairs(scores, same, 3).tolist() == [1, 2, 3]
    assert worst_pairs(scores, same, 99).tolist() == [1, 2, 0, 3, 4, 5]


GOOD = ([0.1, 0.2, 0.3, 0.4], [0, 1, 0, 1])


@pytest.mark.parametrize(
    ("scores", "same", "message"),
    [
        ([[0.1, 0.2]], [0, 1], r"`scores` must be numbers of shape \[pairs\].*\(1, 2\)"),
        (["a", "b"], [0, 1], "`scores` must be numbers"),
        ([0.1, 0.2], [0, 1, 1], "one bool, or 0 or 1, per pair"),
        ([0.1, np.nan, np.inf], [0, 1, 1], "nan at pair 1, and 1 more"),
        ([0.1, 0.2], [0, 2], "0 or 1. Received: 2 at pair 1"),
        ([0.1, 0.2], [1, 1], "Received: 2 genuine and 0 impostor"),
        ([], [], "Received: 0 genuine and 0 impostor"),
    ],
)
def test_invalid_pairs(scores, same, message):
    with pytest.raises(ValueError, match=message):
        check_pairs(np.array(scores, dtype=None), np.array(same))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": [0, 1]}, "one integer per pair"),
        ({"folds": [1.0, 2.0, 1.0, 2.0]}, "one integer per pair"),
        ({"folds": [4, 4, 4, 4]}, "all pairs in fold 4"),
        ({"people": [[0, 1], [1, 1]]}, r"shape \[pairs, 2\]"),
        ({"people": [[0, 1], [1, 1], [2, 3], [2, 3]]}, "pair 3 of .*2.* and .*3.* with same=True"),
        ({"people": [[0, 0], [1, 1], [2, 3], [2, 2]]}, "pair 0 of"),
        ({"rates": (0.0,)}, r"in \(0, 1\). Received: 0.0"),
        ({"bootstrap": 0}, "at least 1. Received: bootstrap=0"),
    ],
)
def test_invalid_options(options, message):
    arrays = {
        key: np.array(value) if key in ("folds", "people") else value
        for key, value in options.items()
    }
    with pytest.raises(ValueError, match=message):
        evaluate(*GOOD, **arrays)


def test_folds_need_two_pairs_of_a_kind():
    with pytest.raises(ValueError, match="at least two genuine and two impostor pairs"):
        evaluate([0.1, 0.2, 0.3], [0, 0, 1])
