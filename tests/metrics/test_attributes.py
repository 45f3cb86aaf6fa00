"""Metrics of attributes, in comparison with scikit-learn and with plain formulas."""

import itertools
import warnings

import numpy as np
import pytest
from scipy.stats import binom
from sklearn import metrics as sk

from kerasface.metrics.attributes import (
    AttributeMetrics,
    best_thresholds,
    co_occurrence,
    evaluate,
    example_based_f1,
)
from kerasface.metrics.inputs import check_attributes

METRICS = {
    "images",
    "attributes",
    "mean_accuracy",
    "mean_accuracy_low",
    "mean_accuracy_high",
    "mean_majority_accuracy",
    "mean_balanced_accuracy",
    "precision_macro",
    "precision_micro",
    "recall_macro",
    "recall_micro",
    "f1_macro",
    "f1_micro",
    "f1_example_based",
    "auc_macro",
    "average_precision_macro",
}
COLUMNS = [
    "name",
    "positives",
    "prevalence",
    "threshold",
    "accuracy",
    "majority_accuracy",
    "gain",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "auc",
    "average_precision",
]


def names(attributes):
    return [f"attribute {index}" for index in range(attributes)]


def outcomes(images, attributes, *, tied=False, seed=0, dtype=np.float64):
    """Labels of different prevalence, each with both outcomes, and fairly good probabilities."""
    rng = np.random.default_rng(seed)
    prevalence = rng.uniform(0.05, 0.95, attributes)
    labels = (rng.random((images, attributes)) < prevalence).astype(int)
    labels[0], labels[1] = 0, 1
    logits = rng.normal(size=labels.shape) + 1.5 * (2 * labels - 1) * rng.random(attributes)
    probabilities = 1 / (1 + np.exp(-logits))
    if tied:
        probabilities = np.round(8 * probabilities) / 8
    return labels, probabilities.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("images", "attributes"), [(400, 1), (300, 5), (97, 12), (2, 3)])
@pytest.mark.parametrize("tied", [False, True])
def test_metrics_equal_scikit_learn(images, attributes, tied, dtype):
    labels, probabilities = outcomes(images, attributes, tied=tied, dtype=dtype)
    result = evaluate(labels, probabilities, names(attributes))
    assert isinstance(result, AttributeMetrics)
    predictions = (probabilities >= 0.5).astype(int)
    columns = range(attributes)
    expected = {
        "images": images,
        "attributes": attributes,
        "mean_accuracy": np.mean(labels == predictions),
        "mean_majority_accuracy": np.mean(
            [max(labels[:, c].mean(), 1 - labels[:, c].mean()) for c in columns]
        ),
        "mean_balanced_accuracy": np.mean(
            [sk.balanced_accuracy_score(labels[:, c], predictions[:, c]) for c in columns]
        ),
        "auc_macro": np.mean(
            [sk.roc_auc_score(labels[:, c], probabilities[:, c]) for c in columns]
        ),
        "average_precision_macro": sk.average_precision_score(labels, probabilities),
    }
    for key, score in (
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
    ):
        scores = [score(labels[:, c], predictions[:, c], zero_division=0) for c in columns]
        expected[f"{key}_macro"] = np.mean(scores)
        expected[f"{key}_micro"] = score(labels.ravel(), predictions.ravel(), zero_division=0)
    found = result.metrics
    assert set(found) == METRICS
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-6)
    assert all(type(value) in (int, float) for value in found.values())
    assert found["f1_example_based"] == example_based_f1(labels, predictions)


@pytest.mark.parametrize("tied", [False, True])
def test_per_attribute_metrics_equal_scikit_learn(tied):
    labels, probabilities = outcomes(300, 6, tied=tied)
    thresholds = [0.1, 0.25, 0.5, 0.5, 0.75, 0.9]
    frame = evaluate(labels, probabilities, names(6), thresholds=thresholds).per_attribute
    assert list(frame) == COLUMNS
    assert frame["name"].tolist() == names(6)
    assert frame["threshold"].tolist() == thresholds
    assert frame["positives"].tolist() == labels.sum(axis=0).tolist()
    for c, row in enumerate(frame.to_dict("records")):
        truth, said = labels[:, c], probabilities[:, c] >= thresholds[c]
        expected = {
            "prevalence": truth.mean(),
            "accuracy": sk.accuracy_score(truth, said),
            "majority_accuracy": sk.accuracy_score(truth, np.full(300, truth.mean() >= 0.5)),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, said),
            "precision": sk.precision_score(truth, said),
            "recall": sk.recall_score(truth, said),
            "f1": sk.f1_score(truth, said),
            "auc": sk.roc_auc_score(truth, probabilities[:, c]),
            "average_precision": sk.average_precision_score(truth, probabilities[:, c]),
        }
        expected["gain"] = expected["accuracy"] - expected["majority_accuracy"]
        assert {key: row[key] for key in expected} == pytest.approx(expected)


def test_metrics_counted_by_hand():
    labels = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [1, 0, 1]]
    probabilities = [[0.9, 0.5, 0.1], [0.4, 0.6, 0.2], [0.7, 0.1, 0.3], [0.8, 0.2, 0.4]]
    result = evaluate(labels, probabilities, ["a", "b", "c"])
    found = result.metrics
    # a: 2 right, 1 missed, 1 false; b: 0.5 is a prediction, 1 right, 1 missed, 1 false; c: 1 missed
    assert found["mean_accuracy"] == pytest.approx((2 + 2 + 3) / 12)
    assert found["mean_majority_accuracy"] == pytest.approx((3 + 2 + 3) / 12)
    assert found["precision_micro"] == pytest.approx(3 / 5)
    assert found["recall_micro"] == pytest.approx(3 / 6)
    assert found["f1_macro"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    frame = result.per_attribute.set_index("name")
    assert frame.loc["a", "gain"] == pytest.approx(-1 / 4)
    assert frame.loc["c", "balanced_accuracy"] == 0.5
    assert np.isnan(frame.loc["c", "precision"])
    assert frame.loc["c", ["recall", "f1"]].tolist() == [0, 0]
    assert frame["auc"].tolist() == pytest.approx([2 / 3, 2 / 4, 1])


def test_perfect_and_inverted():
    labels, _ = outcomes(50, 4)
    right = evaluate(labels, labels, names(4)).metrics
    for key in METRICS - {"images", "attributes", "mean_majority_accuracy", "f1_example_based"}:
        assert right[key] == 1, key
    wrong = evaluate(labels, 1 - labels, names(4)).metrics
    for key in ("mean_accuracy", "f1_macro", "f1_micro", "f1_example_based", "auc_macro"):
        assert wrong[key] == 0, key


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_dtypes_of_labels(kind):
    labels, probabilities = outcomes(40, 3)
    expected = evaluate(labels, probabilities, names(3)).metrics
    assert evaluate(labels.astype(kind), probabilities, names(3)).metrics == expected


# One-sided attributes


def test_one_sided_attributes_have_no_curve():
    labels, probabilities = outcomes(60, 4)
    labels[:, 1], labels[:, 3] = 0, 1
    probabilities[:, 1] = 0.1
    with pytest.warns(
        UserWarning, match="2 of 4 attributes: 'attribute 1', 'attribute 3'. "
    ) as caught:
        result = evaluate(labels, probabilities, names(4))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    frame = result.per_attribute
    assert np.isnan(frame["auc"]).tolist() == [False, True, False, True]
    assert np.isnan(frame["average_precision"]).tolist() == [False, True, False, False]
    absent = frame.loc[1]
    assert np.isnan(absent[["precision", "recall", "f1"]].astype(float)).all()
    assert absent["balanced_accuracy"] == absent["accuracy"] == 1
    assert frame.loc[3, "balanced_accuracy"] == frame.loc[3, "recall"]
    assert result.metrics["auc_macro"] == pytest.approx(frame["auc"].mean())
    assert result.metrics["f1_macro"] == pytest.approx(frame["f1"][[0, 2, 3]].mean())


def test_no_positive_and_no_prediction():
    with pytest.warns(UserWarning, match="1 of 1"):
        found = evaluate([[0], [0]], [[0.1], [0.2]], ["a"]).metrics
    assert found["mean_accuracy"] == found["mean_majority_accuracy"] == 1
    assert found["f1_micro"] == found["f1_example_based"] == 0
    for key in ("f1_macro", "precision_macro", "auc_macro", "average_precision_macro"):
        assert np.isnan(found[key])


def test_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels, probabilities = outcomes(60, 4)
        evaluate(labels, probabilities, names(4), thresholds=1.0)
        best_thresholds(labels, probabilities)


# Interval


def test_interval_of_one_attribute_is_binomial():
    labels, probabilities = outcomes(400, 1)
    found = evaluate(labels, probabilities, ["a"], bootstrap=20_000).metrics
    low, high = binom.ppf([0.025, 0.975], 400, found["mean_accuracy"]) / 400
    assert found["mean_accuracy_low"] == pytest.approx(low, abs=0.003)
    assert found["mean_accuracy_high"] == pytest.approx(high, abs=0.003)


def test_interval_resamples_whole_images():
    # All attributes of an image are right or wrong together: as wide as of one attribute.
    labels, probabilities = (np.repeat(part, 10, axis=1) for part in outcomes(200, 1))
    ten = evaluate(labels, probabilities, names(10)).metrics
    one = evaluate(labels[:, :1], probabilities[:, :1], ["a"]).metrics
    for end in ("low", "high"):
        assert ten[f"mean_accuracy_{end}"] == pytest.approx(one[f"mean_accuracy_{end}"], abs=0.01)
    assert ten == evaluate(labels, probabilities, names(10)).metrics
    few = [
        evaluate(labels, probabilities, names(10), bootstrap=10, seed=seed).metrics
        for seed in range(4)
    ]
    assert len({found["mean_accuracy_low"] for found in few}) > 1


# Example-based


def published(labels, predictions, batch_size):
    """As written for PyTorch tensors: sums over dimension 1, then means, batch by batch."""
    scores = []
    for start in range(0, len(labels), batch_size):
        truth, said = (part[start : start + batch_size] > 0.5 for part in (labels, predictions))
        found = (truth & said).sum(axis=1)
        precision = np.mean(found / (found + (said & ~truth).sum(axis=1) + 1e-12))
        recall = np.mean(found / (found + (truth & ~said).sum(axis=1) + 1e-12))
        scores.append(2 * precision * recall / (precision + recall + 1e-12))
    return np.mean(scores)


@pytest.mark.parametrize("images", [1, 16, 17, 100])
@pytest.mark.parametrize("batch", [1, 16, 64])
def test_example_based_f1_equals_the_published_formula(images, batch):
    rng = np.random.default_rng(images)
    labels, predictions = rng.integers(0, 2, (2, images, 3))  # one image in eight has none
    found = example_based_f1(labels, predictions, batch_size=batch)
    assert found == pytest.approx(published(labels, predictions, batch), abs=1e-9)


def test_example_based_f1_follows_order_and_batches_of_16():
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(0, 2, (2, 40, 5))
    found = example_based_f1(labels, predictions)
    assert found == example_based_f1(labels, predictions, batch_size=16)
    assert found != example_based_f1(labels, predictions, batch_size=8)
    order = np.argsort(labels.sum(axis=1))
    assert found != example_based_f1(labels[order], predictions[order])


def test_example_based_f1_hides_rare_attributes():
    labels = np.zeros((64, 2), int)
    labels[:, 0] = 1
    labels[::16, 1] = 1
    predictions = np.zeros_like(labels)
    predictions[:, 0] = 1  # the rare one is never found
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = evaluate(labels, predictions, ["common", "rare"]).metrics
    assert found["f1_example_based"] > 0.98
    assert found["f1_macro"] == 0.5


@pytest.mark.parametrize(
    ("labels", "predictions", "settings", "message"),
    [
        ([[1]], [[1]], {"batch_size": 0}, "`batch_size` must be at least 1"),
        ([[1]], [[0.5]], {}, "`predictions` must be 0 and 1. Received: 0.5 in row 0, column 0"),
        ([[1]], [[1, 0]], {}, r"`labels` and `predictions` .*\(1, 1\) and \(1, 2\)"),
    ],
)
def test_example_based_f1_of_invalid_values(labels, predictions, settings, message):
    with pytest.raises(ValueError, match=message):
        example_based_f1(labels, predictions, **settings)


# Thresholds


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("images", [2, 7, 300])
def test_best_thresholds_reach_the_highest_f1(images, tied, dtype):
    labels, probabilities = outcomes(images, 12, tied=tied, dtype=dtype, seed=images)
    thresholds = best_thresholds(labels, probabilities)
    assert thresholds.shape == (12,)
    assert thresholds.dtype == np.float64
    for c, threshold in enumerate(thresholds):
        curve = sk.precision_recall_curve(labels[:, c], probabilities[:, c])[:2]
        total = curve[0] + curve[1]
        reachable = (2 * curve[0] * curve[1] / np.where(total, total, 1)).max()
        found = sk.f1_score(labels[:, c], probabilities[:, c] >= threshold)
        assert found == pytest.approx(reachable)
    frame = evaluate(labels, probabilities, names(12), thresholds=thresholds).per_attribute
    plain = evaluate(labels, probabilities, names(12)).per_attribute
    assert (frame["f1"] >= plain["f1"]).all()


@pytest.mark.parametrize(
    ("labels", "probabilities", "expected"),
    [
        ([0, 1, 1], [0.1, 0.3, 0.4], 0.2),
        ([1, 1, 0], [0.1, 0.3, 0.05], 0.075),
        ([1, 0, 0], [0.9, 0.8, 0.1], 0.85),
        ([0, 1], [0.2, 0.2], 0.1),  # both or none
        ([1, 0, 1], [0.3, 0.3, 0.3], 0.15),
        ([1, 0], [0.0, 0.0], 0.0),
        ([1, 0], [1.0, 0.0], 0.5),
        # Two ways to an F1 of 2/3, the first from 0.9, the other from 0.55 on.
        ([1, 0, 0, 1], [0.9, 0.8, 0.6, 0.5], 0.25),
        ([1, 0, 1, 0, 0, 0], [0.95, 0.9, 0.6, 0.2, 0.1, 0.05], 0.4),
        ([1, 1, 0, 0, 1], [0.9, 0.7, 0.65, 0.6, 0.3], 0.675),
    ],
)
def test_thresholds_counted_by_hand(labels, probabilities, expected):
    columns = (np.array(values)[:, None] for values in (labels, probabilities))
    (found,) = best_thresholds(*columns)
    assert found == pytest.approx(expected)


def test_best_threshold_is_the_nearest_to_a_half():
    # From the front: 1 of 1 found of 2 gives 2/3, and so does 2 of 4.
    labels, probabilities = [1, 0, 0, 1], [0.97, 0.95, 0.93, 0.1]
    columns = (np.array(values)[:, None] for values in (labels, probabilities))
    (found,) = best_thresholds(*columns)
    assert found in (pytest.approx(0.96), pytest.approx(0.05))
    assert abs(found - 0.5) == min(abs(value - 0.5) for value in (0.96, 0.05))


def test_adjacent_floats():
    high = 0.7
    low = np.nextafter(high, 0)
    (found,) = best_thresholds([[1], [0]], [[high], [low]])
    assert low < found <= high


def test_order_of_the_images_does_not_matter():
    labels, probabilities = outcomes(50, 3, tied=True)
    expected = best_thresholds(labels, probabilities)
    order = np.random.default_rng(1).permutation(50)
    np.testing.assert_array_equal(best_thresholds(labels[order], probabilities[order]), expected)


@pytest.mark.parametrize("given", [None, ["bald", "young", "male"]])
def test_threshold_of_one_sided_attributes(given):
    labels, probabilities = outcomes(30, 3)
    labels[:, 0], labels[:, 2] = 0, 1
    listed = "'bald', 'male'" if given else "'0', '2'"
    with pytest.warns(UserWarning, match=f"2 of 3 .*{listed}. Their threshold stays 0.5"):
        thresholds = best_thresholds(labels, probabilities, given)
    assert thresholds[[0, 2]].tolist() == [0.5, 0.5]
    assert thresholds[1] == best_thresholds(labels[:, [1]], probabilities[:, [1]])[0]


# Co-occurrence


def test_co_occurrence():
    labels = [[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    frame = co_occurrence(labels, ["a", "b", "c"])
    assert list(frame.index) == list(frame.columns) == ["a", "b", "c"]
    np.testing.assert_allclose(frame.loc["a"], [1, 2 / 3, 0])
    np.testing.assert_allclose(frame.loc["b"], [2 / 3, 1, 0])
    assert np.isnan(frame.loc["c"]).all()


def test_co_occurrence_is_a_conditional_probability():
    labels, _ = outcomes(200, 7)
    frame = co_occurrence(labels.astype(np.uint8), names(7)).to_numpy()  # 200 overflow int8
    for row, column in itertools.product(range(7), repeat=2):
        assert frame[row, column] == pytest.approx(labels[labels[:, row] == 1, column].mean())


# Invalid values


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 1], [0.1, 0.2], r"`labels` must be 0 and 1 of shape .*shape=\(2,\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), r"at least one of each. .*shape=\(0, 3\)"),
        (np.zeros((2, 0)), np.zeros((2, 0)), r"shape=\(2, 0\)"),
        ([["a"]], [[0.5]], "dtype="),
        ([[0, 2]], [[0.1, 0.2]], "`labels` must be 0 and 1. Received: 2 in row 0, column 1"),
        ([[-1, 1]], [[0.1, 0.2]], "Received: -1 in row 0, column 0, and 0 more"),
        ([[np.nan]], [[0.1]], "Received: nan in row 0"),
        ([[1]], [0.5], r"`probabilities` must be floats of shape .*shape=\(1,\)"),
        ([[1]], [["a"]], "`probabilities` must be floats"),
        ([[1], [0]], [[0.5]], r"shapes \(2, 1\) and \(1, 1\)"),
        ([[1, 0]], [[0.5, 1.5]], "Received: 1.5 in row 0, column 1.*Apply a sigmoid to logits"),
        ([[1], [0]], [[-0.1], [-2]], "Received: -0.1 in row 0, column 0, and 1 more"),
        ([[1]], [[np.nan]], "Received: nan in row 0, column 0"),
    ],
)
def test_invalid_arrays(labels, probabilities, message):
    calls = [
        lambda: check_attributes(labels, probabilities),
        lambda: evaluate(labels, probabilities, ["a"] * np.shape(labels)[-1]),
        lambda: best_thresholds(labels, probabilities),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"names": ["a"]}, r"one name per column of `labels`. Received: \['a'\] for 2 columns"),
        ({"names": "ab"}, "Received: 'ab' for 2 columns"),
        ({"thresholds": 1.1}, r"in \[0, 1\].*thresholds=1.1"),
        ({"thresholds": [0.5, -0.1]}, "thresholds="),
        ({"thresholds": [0.5] * 3}, "for 2 attributes"),
        ({"thresholds": float("nan")}, "thresholds=nan"),
        ({"bootstrap": 0}, "bootstrap=0"),
    ],
)
def test_invalid_options(settings, message):
    labels, probabilities = outcomes(5, 2)
    with pytest.raises(ValueError, match=message):
        evaluate(labels, probabilities, **{"names": ["a", "b"], **settings})


def test_arrays_are_not_changed():
    labels, probabilities = outcomes(30, 3)
    copies = labels.copy(), probabilities.copy()
    evaluate(labels, probabilities, names(3))
    best_thresholds(labels, probabilities)
    np.testing.assert_array_equal(labels, copies[0])
    np.testing.assert_array_equal(probabilities, copies[1])
    assert check_attributes(labels, probabilities)[1] is probabilities
