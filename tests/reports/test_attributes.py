"""Figures of attributes: what they show is read from their bars, lines, cells and texts."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn import metrics as sk

from kerasface.metrics.attributes import co_occurrence, evaluate
from kerasface.reports.attributes import (
    co_occurrence_matrix,
    gain_bars,
    label_distribution,
    precision_recall_curves,
)
from kerasface.reports.style import TRAIN_COLOR, VALIDATION_COLOR

LONG = ["Mouth_Slightly_Open", "_bald", "$hat $", "a\nb", "Zo\u00eb", "w" * 60]


def names(attributes):
    return [f"{LONG[index % len(LONG)]} {index}" for index in range(attributes)]


def outcomes(images, attributes, seed=0):
    rng = np.random.default_rng(seed)
    labels = (rng.random((images, attributes)) < rng.uniform(0.1, 0.9, attributes)).astype(int)
    labels[0], labels[1] = 0, 1
    logits = rng.normal(size=labels.shape) + 2 * labels - 1
    return labels, 1 / (1 + np.exp(-logits))


def saved(figure, folder):
    """Draws everything there is, so that words which cannot be drawn are found."""
    assert isinstance(figure, Figure)
    path = folder / "figure.png"
    figure.savefig(path)
    with Image.open(path) as image:
        assert max(image.size) < 2500
        return image.size


def words(texts):
    return [text.get_text() for text in texts]


def inside(figure):
    """Whether all words of all panels lie in a figure that has been drawn."""
    width, height = figure.bbox.size
    for axis in figure.axes:
        for text in axis.texts:
            box = text.get_window_extent()
            if not (box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height):
                return False
    return True


@pytest.mark.parametrize("attributes", [1, 7, 40])
@pytest.mark.filterwarnings("error")
def test_all_figures_of_few_and_many(attributes, tmp_path):
    labels, probabilities = outcomes(120, attributes)
    listed = names(attributes)
    table = evaluate(labels, probabilities, listed).per_attribute
    for figure in (
        gain_bars(table, title="$run$ 7"),
        precision_recall_curves(labels, probabilities, listed, title="$run$ 7"),
        label_distribution(labels, listed, title="$run$ 7"),
        co_occurrence_matrix(labels, listed, title="$run$ 7"),
    ):
        saved(figure, tmp_path)
        assert figure.get_suptitle() == r"\$run\$ 7"
        assert inside(figure)


def test_pyplot_keeps_no_figure():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    labels, probabilities = outcomes(20, 2)
    precision_recall_curves(labels, probabilities, names(2))
    assert pyplot.get_fignums() == before


# Gain


def table(**rows):
    frame = pd.DataFrame(rows.values(), columns=["accuracy", "majority_accuracy"])
    return frame.assign(name=list(rows), gain=frame["accuracy"] - frame["majority_accuracy"])


def test_gain_bars_are_sorted_and_numbered():
    figure = gain_bars(table(bald=(0.98, 0.975), male=(0.9, 0.6), young=(0.7, 0.75)))
    axis = figure.axes[0]
    assert words(axis.get_yticklabels()) == ["male", "bald", "young"]
    bottom, top = axis.get_ylim()
    assert bottom > top  # the first above
    bars = [(bar.get_y() + 0.4, bar.get_x(), bar.get_width()) for bar in axis.patches]
    np.testing.assert_allclose(
        bars,
        [
            (0, 0, 0.6),
            (1, 0, 0.975),
            (2, 0, 0.75),
            (0, 0.6, 0.3),
            (1, 0.975, 0.005),
            (2, 0.75, -0.05),
        ],
        atol=1e-9,
    )
    assert [bar.get_facecolor()[:3] for bar in axis.patches[3:]] == [
        tuple(int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
        for color in (TRAIN_COLOR, TRAIN_COLOR, VALIDATION_COLOR)
    ]
    cells = {(round(text.get_position()[1]), text.get_text()) for text in axis.texts}
    assert {(-1, "model"), (-1, "majority"), (-1, "points")} <= cells
    assert {(0, "90.0%"), (0, "60.0%"), (0, "+30.0"), (2, "70.0%"), (2, "-5.0")} <= cells
    assert words(figure.legends[0].get_texts()) == [
        "majority guess",
        "gained by the model",
        "lost by the model",
    ]


def test_numbers_are_beside_the_bars():
    figure = gain_bars(table(a=(1.0, 0.5), b=(0.0, 1.0)))
    figure.draw_without_rendering()
    axis = figure.axes[0]
    end = max(bar.get_window_extent().x1 for bar in axis.patches)
    assert min(text.get_window_extent().x0 for text in axis.texts) > end


def test_legend_without_losses():
    assert len(gain_bars(table(a=(0.9, 0.5))).legends[0].get_texts()) == 2


@pytest.mark.parametrize("frame", [table(), table(a=(1, 1)).drop(columns="gain")])
def test_gain_bars_of_an_invalid_table(frame):
    with pytest.raises(ValueError, match=f"{len(frame)} rows with"):
        gain_bars(frame)


# Precision and recall


@pytest.mark.parametrize("attributes", [1, 7, 21])  # from 21 on there are more in a row
def test_precision_recall_curves_equal_scikit_learn(attributes):
    labels, probabilities = outcomes(150, attributes)
    thresholds = np.linspace(0.2, 0.8, attributes)
    listed = [f"n{index}" for index in range(attributes)]
    figure = precision_recall_curves(labels, probabilities, listed, thresholds=thresholds)
    panels = [axis for axis in figure.axes if axis.axison]
    assert len(panels) == attributes
    for c, axis in enumerate(panels):
        truth, scores = labels[:, c], probabilities[:, c]
        guess, curve, dot = axis.get_lines()
        precision, recall, _ = sk.precision_recall_curve(truth, scores)
        np.testing.assert_allclose(curve.get_ydata(), precision)
        np.testing.assert_allclose(curve.get_xdata(), recall)
        assert curve.get_drawstyle() == "steps-post"
        said = scores >= thresholds[c]
        place = [sk.recall_score(truth, said), sk.precision_score(truth, said)]
        np.testing.assert_allclose(np.ravel(dot.get_data()), place)
        assert list(guess.get_ydata()) == pytest.approx([truth.mean()] * 2)
        area = sk.average_precision_score(truth, scores)
        assert axis.get_title(loc="left") == f"n{c}  {area:.2f}"
        shown = axis.get_xlabel() == "recall"
        assert shown == (c + min(attributes, 5 if attributes <= 20 else 8) >= attributes)


def test_thinned_curve_is_close():
    labels, probabilities = outcomes(6000, 1)
    _, curve, _ = precision_recall_curves(labels, probabilities, ["a"]).axes[0].get_lines()
    recall, precision = curve.get_data()
    assert len(recall) == 1000
    area = -np.sum(np.diff(recall) * precision[:-1])
    assert area == pytest.approx(sk.average_precision_score(labels, probabilities), abs=1e-3)


def test_attributes_without_a_curve_or_a_prediction():
    labels, probabilities = outcomes(30, 3)
    labels[:, 1] = 0
    figure = precision_recall_curves(labels, probabilities, list("abc"), thresholds=[1, 0.5, 0.5])
    a, b, c = figure.axes
    assert len(a.get_lines()) == 2  # nothing is predicted: no dot
    assert words(b.texts) == ["no image has it"]
    assert b.get_title(loc="left") == "b"
    assert len(c.get_lines()) == 3
    assert words(figure.legends[0].get_texts())[1] == "at the threshold"


# Labels


def test_label_distribution():
    labels = np.zeros((2000, 3), int)
    labels[:1500, 1], labels[:20, 2] = 1, 1
    figure = label_distribution(labels, ["a", "b", "c"], title="train")
    axis = figure.axes[0]
    assert words(axis.get_yticklabels()) == ["b", "c", "a"]
    assert [bar.get_width() for bar in axis.patches] == [0.75, 0.01, 0]
    assert words(axis.texts) == ["75.0%  (1.5k)", "1.0%  (20)", "0.0%  (0)"]
    assert axis.get_xlabel() == "share of the 2,000 images (and their number)"


@pytest.mark.parametrize(("number", "counted"), [(20, True), (21, False)])
def test_co_occurrence_matrix(number, counted):
    labels, _ = outcomes(80, number)
    labels[:, 3] = 0
    figure = co_occurrence_matrix(labels, names(number))
    axis = figure.axes[0]
    (picture,) = axis.get_images()
    shares = co_occurrence(labels, names(number)).to_numpy()
    np.testing.assert_allclose(np.ma.filled(picture.get_array(), np.nan), shares)
    cells = {text.get_position(): text.get_text() for text in axis.texts}  # (column, row)
    assert len(cells) == (number * (number - 1) if counted else 0)
    for (column, row), text in cells.items():
        assert text == f"{100 * shares[row, column]:.0f}"
    assert len(words(axis.get_yticklabels())) == number
    assert axis.get_ylabel().startswith("of the images with this")


# Invalid values


@pytest.mark.parametrize(
    ("labels", "listed", "message"),
    [
        ([[0, 2]], ["a", "b"], "must be 0 and 1. Received: 2 in row 0, column 1"),
        ([[0, 1]], ["a"], "for 2 columns"),
        ([0, 1], ["a"], "shape"),
    ],
)
def test_invalid_values(labels, listed, message):
    for draw in (
        label_distribution,
        co_occurrence_matrix,
        lambda labels, listed: precision_recall_curves(labels, labels, listed),
    ):
        with pytest.raises(ValueError, match=message):
            draw(labels, listed)


def test_invalid_thresholds():
    with pytest.raises(ValueError, match="for 1 attributes"):
        precision_recall_curves([[0], [1]], [[0.1], [0.9]], ["a"], thresholds=[0.1, 0.2])
