"""Attributes in words."""

import numpy as np
import pytest

from kerasface.reports.attribute_words import EXCLUSIVE, OPPOSITES, decide, describe

NAMES = ["Bald", "Black_Hair", "Smiling", "Brown_Hair", "No_Beard"]


def test_most_probable_of_a_group_is_predicted():
    probabilities = np.array(
        [
            [0.1, 0.9, 0.6, 0.8, 0.7],
            [0.1, 0.8, 0.4, 0.9, 0.2],
            [0.1, 0.2, 0.6, 0.3, 0.7],  # none reaches its threshold
            [0.95, 0.9, 0.6, 0.9, 0.7],
        ]
    )
    said = decide(probabilities, NAMES, 0.5).astype(int).tolist()
    assert said == [[0, 1, 1, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 1], [1, 0, 1, 0, 1]]


def test_threshold_comes_before_the_group():
    # Black hair is more probable, but does not reach its threshold.
    said = decide(np.array([[0.6, 0.5]]), ["Black_Hair", "Gray_Hair"], [0.7, 0.3])
    assert said.tolist() == [[False, True]]


def test_probabilities_are_not_changed():
    probabilities = np.array([[0.9, 0.8]])
    decide(probabilities, ["Black_Hair", "Brown_Hair"], 0.5)
    assert probabilities.tolist() == [[0.9, 0.8]]


def test_single_attribute_of_a_group():
    assert decide(np.array([[0.9, 0.9]]), ["Bald", "Male"], 0.5).tolist() == [[True, True]]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([0, 1, 1, 0, 1], "black hair, smiling, no beard"),
        ([0, 0, 0, 0, 0], "not smiling, beard"),
    ],
)
def test_describe(said, words):
    assert describe(np.array(said, bool), NAMES) == words


def test_names_are_those_of_celeba():
    known = {name for group in EXCLUSIVE for name in group} | set(OPPOSITES)
    assert known == {
        *("Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair", "Straight_Hair"),
        *("Wavy_Hair", "Male", "Mouth_Slightly_Open", "No_Beard", "Smiling", "Young"),
    }


@pytest.mark.parametrize(
    ("probabilities", "names", "thresholds", "message"),
    [
        (np.zeros(2), ["a", "b"], 0.5, r"\[images, attributes\]"),
        (np.zeros((1, 2)), ["a"], 0.5, "one name per column"),
        (
            np.zeros((1, 2)),
            ["a", "b"],
            [0.5],
            r"must be in \[0, 1\], one for all attributes or one per",
        ),
    ],
)
def test_invalid_values(probabilities, names, thresholds, message):
    with pytest.raises(ValueError, match=message):
        decide(probabilities, names, thresholds)
