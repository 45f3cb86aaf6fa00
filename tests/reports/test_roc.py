"""Figures of ROC curves: what they show is read from their lines and legends."""

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as sk

from kerasface.reports import roc_curves

LONG = ["Wilhelmina Augusta von Hohenzollern", "_ann", "$mith & $ons", "a\nb", "Zoë", "\udcff.jpg"]


def long_names(classes):
    return [f"{LONG[index % len(LONG)]} {index}" for index in range(classes)]


def outcomes(images, classes, *, tied=False, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=images)
    logits = rng.normal(size=(images, classes))
    logits[np.arange(images), labels] += 1
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if tied:
        probabilities = rng.multinomial(8, probabilities) / 8
    return labels, probabilities


def saved(figure, folder):
    """Draws everything there is, so that words which cannot be drawn are found."""
    path = folder / "figure.png"
    figure.savefig(path)
    with Image.open(path) as image:
        return image.size


def words(texts):
    return [text.get_text() for text in texts]


def legend(figure):
    owner = figure.axes[0].get_legend() or figure.legends[0]
    return words(owner.get_texts())


def average_curves(figure):
    lines = {line.get_label().split("  ")[-1]: line for line in figure.axes[0].get_lines()}
    return lines["micro average"], lines["macro average"]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("classes", [2, 4, 12])
def test_roc_curves_equal_scikit_learn(classes, tied):
    labels, probabilities = outcomes(200, classes, tied=tied)
    figure = roc_curves(labels, probabilities, [f"n{index}" for index in range(classes)])
    grid = np.linspace(0, 1, 1001)
    hits = labels[:, None] == np.arange(classes)
    curves = [
        sk.roc_curve(hits[:, index], probabilities[:, index], drop_intermediate=False)[:2]
        for index in range(classes)
    ]
    micro, macro = average_curves(figure)
    expected = sk.roc_curve(hits.ravel(), probabilities.ravel(), drop_intermediate=False)[:2]
    assert sk.auc(*micro.get_data()) == pytest.approx(sk.auc(*expected))
    np.testing.assert_allclose(np.interp(grid, *micro.get_data()), np.interp(grid, *expected))
    np.testing.assert_allclose(
        macro.get_ydata()[1:], np.mean([np.interp(grid, *curve) for curve in curves], axis=0)
    )
    areas = [sk.auc(*curve) for curve in curves]
    assert legend(figure)[:2] == [
        f"{sk.auc(*expected):.4f}  micro average",
        f"{np.mean(areas):.4f}  macro average",
    ]
    if classes <= 10:
        assert legend(figure)[2:] == [f"{area:.4f}  n{index}" for index, area in enumerate(areas)]
    else:
        assert legend(figure)[2:] == ["single classes"]
    singles = figure.axes[0].get_lines()[3:]
    assert len(singles) == classes
    for line, curve in zip(singles, curves, strict=True):
        assert sk.auc(*line.get_data()) == pytest.approx(sk.auc(*curve))


def test_thinned_roc_curve_is_close():
    labels, probabilities = outcomes(6000, 2)
    micro, _ = average_curves(roc_curves(labels, probabilities, ["a", "b"]))
    expected = sk.roc_auc_score(np.eye(2)[labels].ravel(), probabilities.ravel())
    assert len(micro.get_xdata()) == 2002
    assert sk.auc(*micro.get_data()) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("classes", "lines"), [(10, 13), (30, 33), (31, 3)])
def test_roc_curves_of_few_and_many(classes, lines, tmp_path):
    labels, probabilities = outcomes(300, classes)
    figure = roc_curves(labels, probabilities, long_names(classes), title="$run$ 7")
    assert len(figure.axes[0].get_lines()) == lines
    saved(figure, tmp_path)
    assert len(legend(figure)) == {10: 12, 30: 3, 31: 2}[classes]


def test_classes_without_both_outcomes_have_no_curve():
    labels, probabilities = outcomes(100, 4)
    labels[labels == 2] = 1
    figure = roc_curves(labels, probabilities, list("abcd"))
    assert [text.split("  ")[1] for text in legend(figure)[2:]] == ["a", "b", "d"]


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 0], np.full((2, 2), 0.5), "Received: 2 images, all of one class"),
        ([0, 1], np.full((2, 2), 0.7), "sum to 1"),
        ([0, 1], np.full((2, 3), 1 / 3), "2 names for 3 columns"),
    ],
)
def test_roc_curves_of_invalid_values(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        roc_curves(labels, probabilities, ["a", "b"])
