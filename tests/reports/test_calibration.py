"""The reliability diagram: what it shows is read from its bars and texts."""

import numpy as np
from PIL import Image

from kerasface.reports import reliability_diagram


def saved(figure, folder):
    """Draws everything there is, so that words which cannot be drawn are found."""
    path = folder / "figure.png"
    figure.savefig(path)
    with Image.open(path) as image:
        return image.size


def words(texts):
    return [text.get_text() for text in texts]


def test_reliability_diagram(tmp_path):
    probabilities = np.array([[0.9, 0.1]] * 4 + [[0.42, 0.58]] * 2)
    figure = reliability_diagram([0, 0, 0, 1, 1, 0], probabilities)
    upper, lower = figure.axes
    assert figure.get_suptitle() == "Calibration: expected error 12.7%"  # (4 * 15 + 2 * 8) / 6
    heights = np.array([bar.get_height() for bar in upper.patches])
    assert heights[[8, 13]].tolist() == [0.5, 0.75]
    assert np.isnan(np.delete(heights, [8, 13])).all()
    assert words(lower.texts) == ["0"] * 8 + ["2"] + ["0"] * 4 + ["4", "0"]
    saved(figure, tmp_path)
    assert (
        reliability_diagram([0], [[1.0, 0.0]], title="a").get_suptitle() == "a: expected error 0.0%"
    )
