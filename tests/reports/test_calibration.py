"""The reliability diagram: what it shows is read from its bars and texts."""

import numpy as np
from PIL import Image

from kerasface.metrics.probability import fit_probability
from kerasface.reports import reliability_diagram
from kerasface.reports.calibration import probability_diagram


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


def test_probability_diagram(tmp_path):
    scores, same = np.tile([0.1, 0.5, 0.5, 0.9], 30), np.tile([0, 1, 0, 1], 30)
    fit = fit_probability(scores, same)
    figure = probability_diagram(fit)
    upper, lower = figure.axes
    assert figure.get_suptitle() == f"Probability: expected error {fit.calibration_error:.1%}"
    heights = np.array([bar.get_height() for bar in upper.patches])
    np.testing.assert_array_equal(heights, fit.reliability["genuine_share"])
    assert words(lower.texts) == [str(count) for count in fit.reliability["pairs"]]
    assert lower.get_xlabel() == "probability of the same person"
    saved(figure, tmp_path)
