"""Figures of single predictions and of mistakes."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasface.reports import mistake_captions, mistakes_gallery, prediction_picture

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


def test_mistake_captions():
    frame = pd.DataFrame(
        {
            "path": ["dev/ann/1.jpg", "2.jpg"],
            "label": ["ann", "a\nb"],
            "prediction": ["bob", "ann"],
            "probability": [0.617, 1.0],
        }
    )
    assert mistake_captions(frame) == [
        "true: ann\n62%: bob\n1.jpg",
        "true: a b\n100%: ann\n2.jpg",
    ]
    assert mistake_captions(frame.drop(columns="path").head(1)) == ["true: ann\n62%: bob"]
    assert mistake_captions(frame.head(0)) == []


@pytest.mark.parametrize(("number", "rows", "columns"), [(1, 1, 1), (3, 1, 3), (13, 3, 6)])
def test_mistakes_gallery(number, rows, columns, tmp_path):
    rng = np.random.default_rng(0)
    images = [
        rng.integers(256, size=(height, width, 3), dtype=np.uint8)
        for height, width in rng.integers(1, 60, size=(number, 2))
    ]
    captions = [f"true: {name}\n50%: _bob\n\u00fc.jpg" for name in long_names(number)]
    figure = mistakes_gallery(images, captions, title="Mistakes")
    assert len(figure.axes) == rows * columns
    for axis, image in zip(figure.axes, images, strict=False):
        assert (axis.get_images()[0].get_array() == image).all()
        side = max(image.shape[:2])
        assert np.ptp(axis.get_xlim()) == np.ptp(axis.get_ylim()) == side
        assert all(len(line) <= 28 for line in axis.get_title(loc="left").split("\n"))
    saved(figure, tmp_path)


def test_gallery_without_mistakes(tmp_path):
    figure = mistakes_gallery([], [])
    assert words(figure.axes[0].texts) == ["no mistakes"]
    saved(figure, tmp_path)


@pytest.mark.parametrize(
    ("image", "captions", "message"),
    [
        (np.zeros((4, 4, 3)), ["a"], r"uint8 .*shape=\(4, 4, 3\), dtype=float64 at position 0"),
        (np.zeros((4, 4), np.uint8), ["a"], r"shape=\(4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), ["a"], r"shape=\(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.uint8), [], "1 images and 0 captions"),
    ],
)
def test_gallery_of_invalid_images(image, captions, message):
    with pytest.raises(ValueError, match=message):
        mistakes_gallery([image], captions)


def bars(figure):
    """Name to length and whether it is coloured, from the top."""
    axis = figure.axes[1]
    names = [label.get_text() for label in axis.get_yticklabels()]
    return {
        name: (round(bar.get_width(), 3), bar.get_facecolor()[2] > bar.get_facecolor()[0])
        for name, bar in zip(names, axis.patches, strict=True)
    }


def test_prediction_picture_of_attributes(tmp_path):
    names = [f"a{index}" for index in range(30)]
    probabilities = np.linspace(0.8, 0.2, 30)
    limits = np.full(30, 0.9)
    limits[[0, 29]] = 0.1
    said = probabilities >= limits
    said[0] = False  # another one of its group is better
    figure = prediction_picture(
        np.zeros((8, 8, 3), np.uint8), names, probabilities, thresholds=limits, predicted=said
    )
    drawn = bars(figure)
    # What is said comes first, however improbable it is, and it alone is coloured.
    assert list(drawn) == ["a29", *names[:19]]
    assert [name for name, (_, coloured) in drawn.items() if coloured] == ["a29"]
    assert drawn["a0"] == (0.8, False)
    saved(figure, tmp_path)


def test_prediction_picture_of_classes(tmp_path):
    probabilities = np.array([0.1, 0.5, 0.05, 0.2, 0.1, 0.03, 0.02])
    figure = prediction_picture(np.zeros((8, 8, 3), np.uint8), list("abcdefg"), probabilities)
    drawn = bars(figure)
    assert list(drawn) == ["b", "d", "a", "e", "c"]
    assert all(coloured for _, coloured in drawn.values())
    saved(figure, tmp_path)
    with pytest.raises(ValueError, match="one bool per name"):
        prediction_picture(np.zeros((8, 8, 3)), list("abcdefg"), probabilities, predicted=[True])
