"""Figures of confusion: what they show is read from their cells, bars and texts."""

import numpy as np
import pytest
from PIL import Image

from kerasface.reports import confusion_matrix

LONG = ["Wilhelmina Augusta von Hohenzollern", "_ann", "$mith & $ons", "a\nb", "Zoë", "\udcff.jpg"]


def long_names(classes):
    return [f"{LONG[index % len(LONG)]} {index}" for index in range(classes)]


def saved(figure, folder):
    """Draws everything there is, so that words which cannot be drawn are found."""
    path = folder / "figure.png"
    figure.savefig(path)
    with Image.open(path) as image:
        return image.size


def words(texts):
    return [text.get_text() for text in texts]


def test_confusion_matrix_counts_and_shares():
    labels = [0, 0, 0, 0, 1, 1, 3]
    predictions = [0, 0, 0, 1, 1, 1, 0]
    figure = confusion_matrix(labels, predictions, list("abcd"), title="run 7")
    axis = figure.axes[0]
    (picture,) = axis.get_images()
    expected = [[0.75, 0.25, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert picture.get_array().tolist() == expected
    cells = {text.get_position(): text.get_text() for text in axis.texts}
    assert cells == {(0, 0): "3", (1, 0): "1", (1, 1): "2", (0, 3): "1"}  # (predicted, true)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted", "true")
    assert words(axis.get_xticklabels()) == words(axis.get_yticklabels()) == list("abcd")
    assert figure.get_suptitle() == "run 7"


def test_confusion_matrix_counts_of_thousands():
    labels = np.zeros(1234, int)
    figure = confusion_matrix(labels, labels, ["a", "b"])
    assert words(figure.axes[0].texts) == ["1.23k"]


@pytest.mark.parametrize("classes", [1, 2, 30, 31, 100, 101])
def test_confusion_matrix_of_few_and_many(classes, tmp_path):
    rng = np.random.default_rng(0)
    labels, predictions = rng.integers(classes, size=(2, 400))
    names = long_names(classes)
    figure = confusion_matrix(labels, predictions, names)
    axis = figure.axes[0]
    width, height = saved(figure, tmp_path)
    assert max(width, height) < 2500
    shown = words(axis.get_yticklabels())
    if classes <= 100:
        assert len(shown) == classes
        assert shown[0] == "Wilhelmina Augusta\u2026zollern 0"
        assert bool(axis.texts) == (classes <= 30)
    else:
        assert len(shown) == 25
        assert all("\u2192" in word for word in shown)
        assert not axis.get_images()


def test_confusion_of_many_classes_lists_pairs():
    labels = np.array([7, 7, 7, 7, 9, 9, 120])
    predictions = np.array([8, 8, 7, 7, 3, 9, 120])
    names = [f"n{index}" for index in range(121)]
    axis = confusion_matrix(labels, predictions, names).axes[0]
    assert words(axis.get_yticklabels()) == ["n7  \u2192  n8", "n9  \u2192  n3"]
    assert [bar.get_width() for bar in axis.patches] == [2, 1]
    assert words(axis.texts) == ["50%", "50%"]
    assert axis.yaxis_inverted()


def test_confusion_of_many_classes_without_mistakes(tmp_path):
    figure = confusion_matrix(np.arange(101), np.arange(101), long_names(101), title="run")
    assert words(figure.axes[0].texts) == ["no mistakes"]
    saved(figure, tmp_path)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 5], [0, 0], "`labels` .* Received: 5 in row 1"),
        ([0, 0], [0.5, 0.5], "`predictions` .*dtype=float64"),
        ([0], [0, 0], "one value per image. Received: 1 and 2"),
    ],
)
def test_confusion_matrix_of_invalid_values(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(labels, predictions, ["a", "b"])
