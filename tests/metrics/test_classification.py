"""Metrics of a classification, in comparison with scikit-learn and counted by hand."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom
from sklearn import metrics as sk

from kerasface.metrics import chunks
from kerasface.metrics.classification import evaluate
from kerasface.metrics.confusion import confused_pairs
from kerasface.metrics.inputs import check_outcomes

METRICS = {
    "images",
    "classes",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "top5_accuracy",
    "balanced_accuracy",
    "precision_weighted",
    "precision_macro",
    "recall_weighted",
    "recall_macro",
    "f1_weighted",
    "f1_macro",
    "auc_macro",
    "auc_weighted",
    "log_loss",
    "expected_calibration_error",
}

# Images, classes, and classes without images.
SHAPES = [(400, 2, ()), (300, 3, (1,)), (500, 12, (0, 7, 11)), (60, 40, ()), (5, 6, ())]


def names(classes):
    return [f"person {index}" for index in range(classes)]


def outcomes(images, classes, missing=(), *, tied=False, seed=0, dtype=np.float64):
    """Labels and fairly good probabilities; tied ones are multiples of 1/8."""
    rng = np.random.default_rng(seed)
    present = np.setdiff1d(np.arange(classes), missing)
    labels = rng.choice(present, images)
    logits = rng.normal(size=(images, classes))
    logits[np.arange(images), labels] += 1.0
    probabilities = np.exp(logits)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    if tied:
        probabilities = rng.multinomial(8, probabilities) / 8
    return labels, probabilities.astype(dtype)


def evaluate_without_warnings(*args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return evaluate(*args, **options)


def expected_auc(labels, probabilities):
    """One-vs-rest areas by scikit-learn, NaN where it has none."""
    result = np.full(probabilities.shape[1], np.nan)
    for index in range(probabilities.shape[1]):
        hit = labels == index
        if 0 < hit.sum() < len(hit):
            result[index] = sk.roc_auc_score(hit, probabilities[:, index])
    return result


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("images", "classes", "missing"), SHAPES)
def test_metrics_equal_scikit_learn(images, classes, missing, dtype):
    labels, probabilities = outcomes(images, classes, missing, dtype=dtype)
    found = evaluate_without_warnings(labels, probabilities, names(classes)).metrics
    predictions = probabilities.argmax(axis=1)
    expected = {
        "images": images,
        "classes": classes,
        "accuracy": sk.accuracy_score(labels, predictions),
        "log_loss": sk.log_loss(labels, probabilities, labels=np.arange(classes)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # predictions of classes without images
        expected["balanced_accuracy"] = sk.balanced_accuracy_score(labels, predictions)
    if classes > 5:
        expected["top5_accuracy"] = sk.top_k_accuracy_score(
            labels, probabilities, k=5, labels=np.arange(classes)
        )
    else:
        expected["top5_accuracy"] = 1.0
    for average in ("weighted", "macro"):
        precision, recall, f1, _ = sk.precision_recall_fscore_support(
            labels, predictions, average=average, zero_division=0
        )
        expected[f"precision_{average}"] = precision
        expected[f"recall_{average}"] = recall
        expected[f"f1_{average}"] = f1
    areas = expected_auc(labels, probabilities)
    counts = np.bincount(labels, minlength=classes)
    known = np.isfinite(areas)
    expected["auc_macro"] = areas[known].mean()
    expected["auc_weighted"] = np.average(areas[known], weights=counts[known])
    assert set(found) == METRICS
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-6)
    assert all(type(value) in (int, float) for value in found.values())


@pytest.mark.parametrize(("images", "classes", "missing"), SHAPES)
@pytest.mark.parametrize("chunk", [1, 200, 2**24])
def test_tied_probabilities(images, classes, missing, chunk, monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", chunk)
    labels, probabilities = outcomes(images, classes, missing, tied=True)
    result = evaluate_without_warnings(labels, probabilities, names(classes))
    assert len(np.unique(probabilities)) <= 9
    np.testing.assert_allclose(result.per_class["auc"], expected_auc(labels, probabilities))
    order = np.argsort(-probabilities, axis=1, kind="stable")
    assert result.metrics["accuracy"] == (order[:, 0] == labels).mean()
    assert result.metrics["top5_accuracy"] == (order[:, :5] == labels[:, None]).any(1).mean()


def test_mean_areas_equal_scikit_learn():
    labels, probabilities = outcomes(300, 7, tied=True)
    found = evaluate(labels, probabilities, names(7)).metrics
    for average in ("macro", "weighted"):
        expected = sk.roc_auc_score(labels, probabilities, multi_class="ovr", average=average)
        assert found[f"auc_{average}"] == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equal_probabilities_for_all(dtype):
    labels = np.arange(8)
    found = evaluate(labels, np.full((8, 8), 1 / 8, dtype), names(8)).metrics
    assert found["accuracy"] == 1 / 8  # the first class
    assert found["top5_accuracy"] == 5 / 8
    assert found["auc_macro"] == found["auc_weighted"] == 0.5
    assert found["log_loss"] == pytest.approx(np.log(8), rel=1e-3)
    assert found["expected_calibration_error"] == pytest.approx(0)


def test_certain_predictions():
    right = evaluate([0, 1, 2], np.eye(3), names(3)).metrics
    assert right["accuracy"] == right["accuracy_high"] == 1
    # 1 - 0.025 is the chance that at least one of three would be wrong.
    assert right["accuracy_low"] == pytest.approx(0.025 ** (1 / 3))
    assert right["auc_macro"] == right["f1_macro"] == right["precision_weighted"] == 1
    assert right["log_loss"] == pytest.approx(0, abs=1e-12)
    assert right["expected_calibration_error"] == 0
    wrong = evaluate([1, 2, 0], np.eye(3, dtype=int), names(3))
    assert wrong.metrics["accuracy"] == wrong.metrics["f1_weighted"] == 0
    assert wrong.metrics["accuracy_high"] == pytest.approx(1 - 0.025 ** (1 / 3))
    assert wrong.metrics["log_loss"] == pytest.approx(-np.log(np.finfo(float).eps))
    assert wrong.metrics["expected_calibration_error"] == 1
    assert wrong.per_class["most_confused_with"].tolist() == ["person 2", "person 0", "person 1"]


@pytest.mark.parametrize("classes", [1, 2, 9])
def test_one_image(classes):
    probabilities = np.full((1, classes), 1 / classes)
    with pytest.warns(UserWarning, match=f"{classes} of {classes} classes have no ROC curve"):
        result = evaluate([0], probabilities, names(classes))
    found = result.metrics
    assert found["images"] == found["accuracy"] == found["balanced_accuracy"] == 1
    assert np.isnan(found["auc_macro"]) and np.isnan(found["auc_weighted"])
    assert (found["accuracy_low"], found["accuracy_high"]) == (pytest.approx(0.025), 1)
    assert len(result.predictions) == 1 and len(result.per_class) == classes


def test_warning_names_the_first_classes():
    labels, probabilities = outcomes(200, 9, missing=(1, 3, 4, 8))
    with pytest.warns(UserWarning, match="^4 of 9 classes have no ROC curve") as caught:
        evaluate(labels, probabilities, names(9))
    (warning,) = caught
    assert warning.filename == __file__
    assert "'person 1', 'person 3', 'person 4' and others" in str(warning.message)


@pytest.mark.filterwarnings("error")
def test_no_warning():
    evaluate(*outcomes(400, 5), names(5))


def test_per_class():
    labels = np.array([0, 0, 0, 0, 1, 1, 3])
    predictions = np.array([0, 1, 2, 2, 1, 1, 0])
    probabilities = np.full((7, 5), 0.05)
    probabilities[np.arange(7), predictions] = 0.8
    frame = evaluate_without_warnings(labels, probabilities, list("abcde")).per_class
    assert frame.columns.tolist() == [
        "name",
        "images",
        "accuracy",
        "precision",
        "f1",
        "auc",
        "most_confused_with",
    ]
    assert frame["name"].tolist() == list("abcde")
    assert frame["images"].tolist() == [4, 2, 0, 1, 0]
    assert frame["most_confused_with"].tolist() == ["c", "", "", "a", ""]
    nan = np.nan
    np.testing.assert_allclose(frame["accuracy"], [1 / 4, 1, nan, 0, nan])
    np.testing.assert_allclose(frame["precision"], [1 / 2, 2 / 3, 0, nan, nan])
    np.testing.assert_allclose(frame["f1"], [1 / 3, 4 / 5, 0, 0, nan])
    np.testing.assert_allclose(frame["auc"], expected_auc(labels, probabilities))
    assert np.isfinite(frame["auc"]).tolist() == [True, True, False, True, False]


def test_most_confused_class_of_ties_is_the_first():
    probabilities = np.eye(4)[[3, 2, 1]]
    frame = evaluate_without_warnings([0, 0, 0], probabilities, list("abcd")).per_class
    assert frame["most_confused_with"].tolist() == ["b", "", "", ""]


@pytest.mark.parametrize("paths", [None, ["x/1.jpg", "y/2.jpg"], np.array(["1", "2"], object)])
def test_predictions(paths):
    probabilities = np.array([[0.25, 0.75], [0.625, 0.375]], np.float32)
    frame = evaluate_without_warnings(
        np.array([1, 1]), probabilities, ["ann", "NA"], paths=paths
    ).predictions
    expected = {
        "label": ["NA", "NA"],
        "prediction": ["NA", "ann"],
        "probability": [0.75, 0.625],
        "correct": [True, False],
    }
    if paths is not None:
        expected = {"path": list(paths), **expected}
    assert frame.to_dict("list") == expected
    assert frame.columns.tolist() == list(expected)
    assert frame["correct"].dtype == bool


def test_names_and_paths_that_are_not_unicode():
    name = "\udcff"
    result = evaluate_without_warnings([1], [[1.0, 0.0]], ["a", name], paths=[f"{name}.jpg"])
    assert result.per_class["name"].tolist() == ["a", name]
    assert result.predictions.iloc[0].tolist() == [f"{name}.jpg", name, "a", 1.0, False]
    assert confused_pairs([1], [0], ["a", name])["true"].tolist() == [name]


def test_interval_is_binomial_and_reproducible():
    labels, probabilities = outcomes(2000, 4)
    found = evaluate(labels, probabilities, names(4), bootstrap=20_000).metrics
    accuracy = found["accuracy"]
    expected = binom.ppf([0.025, 0.975], 2000, accuracy) / 2000
    assert [found["accuracy_low"], found["accuracy_high"]] == pytest.approx(expected, abs=1.5e-3)
    runs = [
        evaluate(labels, probabilities, names(4), seed=seed).metrics["accuracy_low"]
        for seed in (0, 0, 1, 2, 3)
    ]
    assert runs[0] == runs[1]
    assert len(set(runs)) > 1


def test_interval_equals_resampled_images():
    labels, probabilities = outcomes(50, 3)
    correct = probabilities.argmax(axis=1) == labels
    rng = np.random.default_rng(5)
    means = correct[rng.integers(50, size=(20_000, 50))].mean(axis=1)
    found = evaluate(labels, probabilities, names(3), bootstrap=20_000).metrics
    low, high = np.percentile(means, [2.5, 97.5])
    assert found["accuracy_low"] == pytest.approx(low, abs=0.021)  # one image
    assert found["accuracy_high"] == pytest.approx(high, abs=0.021)


GOOD = np.full((3, 2), 0.5)


@pytest.mark.parametrize(
    ("labels", "probabilities", "options", "message"),
    [
        ([0, 1, 0], [0.5, 0.5], {}, r"\[images, classes\].*shape=\(2,\), dtype=float64"),
        ([0], np.ones((1, 2, 1)), {}, r"shape=\(1, 2, 1\)"),
        ([], np.ones((0, 2)), {}, r"at least one of each.*shape=\(0, 2\)"),
        ([0], np.ones((1, 0)), {}, r"shape=\(1, 0\)"),
        ([0], [["a", "b"]], {}, "must be floats"),
        ([0.0, 1.0, 0.0], GOOD, {}, r"`labels` must be class indices, integers.*dtype=float64"),
        (np.eye(3, 2, dtype=int), GOOD, {}, r"`labels` must be class indices.*shape=\(3, 2\)"),
        ([0, 1], GOOD, {}, "2 labels and 3 rows of probabilities"),
        ([0, 2, 9], GOOD, {}, "from 0 to 1. Received: 2 in row 1, and 1 more out of range"),
        ([0, 0, -1], GOOD, {}, "from 0 to 1. Received: -1 in row 2, and 0 more"),
        (
            [0, 0, 0],
            [[0.5, 0.5], [1.25, -0.25], [0.5, 0.5]],
            {},
            "row 1 with the sum 1 and the smallest value -0.25, and 0 more such rows",
        ),
        ([0, 0], [[0.5, 0.51], [2.0, 1.0]], {}, "row 0 with the sum 1.01 .*and 1 more such rows"),
        ([0], [[np.nan, 1.0]], {}, "row 0 with the sum nan.*softmax"),
        ([0], [[np.inf, 0.0]], {}, "row 0 with the sum inf"),
        ([0], [[np.inf, -np.inf]], {}, "row 0 with the sum nan"),
        ([0, 0, 0], GOOD, {"paths": ["a"]}, "1 paths for 3 images"),
        ([0, 0, 0], GOOD, {"bootstrap": 0}, "bootstrap=0"),
        ([0, 0, 0], GOOD, {"names": ["a"]}, "1 names for 2 columns"),
    ],
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_invalid_values(labels, probabilities, options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(labels, probabilities, **{"names": ["a", "b"], **options})


@pytest.mark.parametrize("order", ["C", "F"])
def test_probabilities_are_not_copied_or_changed(order):
    labels, probabilities = outcomes(50, 4, dtype=np.float32)
    probabilities = np.asarray(probabilities, order=order)
    before = probabilities.copy()
    assert check_outcomes(labels, probabilities)[1] is probabilities
    evaluate(labels, probabilities, names(4))
    assert (probabilities == before).all()


def test_frames_are_used_as_arrays():
    labels, probabilities = outcomes(30, 3)
    index = np.arange(30) + 100
    found = evaluate(
        pd.Series(labels, index), pd.DataFrame(probabilities, index), pd.Series(names(3))
    )
    assert found.metrics == evaluate(labels, probabilities, names(3)).metrics
    assert found.predictions.index.tolist() == list(range(30))
