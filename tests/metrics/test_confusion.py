"""Confused pairs, in comparison with scikit-learn's confusion matrix."""

import numpy as np
import pytest
from sklearn import metrics as sk

from kerasface.metrics.confusion import confused_pairs, confusion_counts


def outcomes(images, classes, missing=(), *, tied=False, seed=0, dtype=np.float64):
    """Labels and somewhat skilful probabilities; tied ones are multiples of 1/8."""
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


def test_confused_pairs():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 2, 2])
    predictions = np.array([1, 1, 2, 0, 1, 0, 0, 0, 2])
    frame = confused_pairs(labels, predictions, list("abc"))
    assert frame.to_dict("list") == {
        "true": ["a", "c", "a", "b"],
        "predicted": ["b", "a", "c", "a"],
        "images": [2, 2, 1, 1],
        "share": [1 / 2, 2 / 3, 1 / 4, 1 / 2],
    }
    assert confused_pairs(labels, predictions, list("abc"), limit=2).equals(frame.head(2))
    assert confused_pairs(labels, predictions, list("abc"), limit=None).equals(frame)
    none = confused_pairs(labels, labels, list("abc"))
    assert len(none) == 0 and none.columns.tolist() == frame.columns.tolist()


def test_confusion_equals_scikit_learn():
    labels, probabilities = outcomes(500, 8)
    predictions = probabilities.argmax(axis=1)
    frame = confused_pairs(labels, predictions, range(8), limit=None)
    matrix = sk.confusion_matrix(labels, predictions)
    assert confusion_counts(labels, predictions, 8).tolist() == matrix.tolist()
    np.fill_diagonal(matrix, 0)
    found = np.zeros_like(matrix)
    found[frame["true"].astype(int), frame["predicted"].astype(int)] = frame["images"]
    assert (found == matrix).all()
    assert frame["images"].is_monotonic_decreasing


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 3], [0, 0], "`labels` must be class indices from 0 to 2. Received: 3 in row 1"),
        ([0, 0], [0, -1], "`predictions` must be class indices from 0 to 2. Received: -1"),
        ([0, 0], [0], "`predictions` must have one value per image. Received: 2 and 1"),
    ],
)
def test_invalid_pairs(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        confused_pairs(labels, predictions, list("abc"))
    with pytest.raises(ValueError, match=message):
        confusion_counts(labels, predictions, 3)
