"""Calibration, counted by hand."""

import numpy as np
import pytest

from kerasface.metrics.calibration import calibration_table, expected_calibration_error
from kerasface.metrics.classification import evaluate


def names(classes):
    return [f"person {index}" for index in range(classes)]


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


def test_calibration_error_by_hand():
    labels, probabilities = outcomes(1000, 6, seed=3)
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == labels
    expected = 0.0
    for index in range(15):
        inside = (confidence > index / 15) & (confidence <= (index + 1) / 15)
        if inside.any():
            gap = abs(correct[inside].mean() - confidence[inside].mean())
            expected += inside.mean() * gap
    found = evaluate(labels, probabilities, names(6)).metrics["expected_calibration_error"]
    assert found == pytest.approx(expected)


def test_calibration_table():
    table = calibration_table(
        [0.0, 0.5, 0.5, 0.50001, 1.0], [True, True, False, True, True], bins=4
    )
    assert table["low"].tolist() == [0, 0.25, 0.5, 0.75]
    assert table["high"].tolist() == [0.25, 0.5, 0.75, 1]
    assert table["images"].tolist() == [1, 2, 1, 1]
    np.testing.assert_allclose(table["confidence"], [0, 0.5, 0.50001, 1])
    np.testing.assert_allclose(table["accuracy"], [1, 0.5, 1, 1])
    weighted = calibration_table([0.6, 0.8], [True, False], bins=1, weights=[3, 1]).loc[0]
    assert weighted["images"] == 2 and weighted["weight"] == 4
    assert weighted[["confidence", "accuracy"]].tolist() == pytest.approx([0.65, 0.75])
    empty = calibration_table([0.1], [False], bins=2)
    assert np.isnan(empty.loc[1, ["confidence", "accuracy"]].astype(float)).all()
    assert expected_calibration_error(empty) == pytest.approx(0.1)
