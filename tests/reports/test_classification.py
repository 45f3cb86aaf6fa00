"""Figures: what is drawn, read from the figure's own lines, cells, bars and words."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image
from sklearn import metrics as sk

from kerasface.reports import (
    confusion_matrix,
    curves_overlay,
    mistake_captions,
    mistakes_gallery,
    prediction_picture,
    reliability_diagram,
    roc_curves,
    training_curves,
)
from kerasface.reports.style import VALIDATION_COLOR

NAN = float("nan")


def history(**changes):
    columns = {
        "epoch": [1, 2, 3, 4],
        "loss": [2.0, 1.5, 1.2, 1.0],
        "accuracy": [0.2, 0.4, 0.5, 0.6],
        "val_loss": [2.1, 1.4, 1.6, 1.7],
        "val_accuracy": [0.1, 0.3, 0.5, 0.4],
        "learning_rate": [1e-4, 1e-3, 5e-4, 1e-5],
        "seconds": [3.0, 2.0, 2.0, 2.0],
    }
    columns.update(changes)
    return pd.DataFrame({name: values for name, values in columns.items() if values is not None})


def panels(figure):
    """Title of each panel to its lines by label, in order."""
    return {
        axis.get_title(loc="left"): {line.get_label(): line for line in axis.get_lines()}
        for axis in figure.axes
    }


def data(line):
    x, y = line.get_data()
    return np.asarray(x).tolist(), np.asarray(y).tolist()


def star(lines):
    """Label and place of the best epoch's mark."""
    (found,) = [line for line in lines.values() if line.get_marker() == "*"]
    return found.get_label(), *data(found)


def is_visible(line):
    """A line of one point needs a marker."""
    points = np.isfinite(np.asarray(line.get_ydata(), float)).sum()
    return points > 1 or (points == 1 and line.get_marker() not in ("None", "", None))


def test_panels_and_their_data():
    frame = history()
    figure = training_curves(frame, title="run 7")
    assert isinstance(figure, Figure)
    drawn = panels(figure)
    assert list(drawn) == ["loss", "accuracy", "learning rate"]
    for name in ("loss", "accuracy"):
        assert data(drawn[name]["train"]) == ([1, 2, 3, 4], frame[name].tolist())
        assert data(drawn[name]["validation"]) == ([1, 2, 3, 4], frame[f"val_{name}"].tolist())
    (rate,) = drawn["learning rate"].values()
    assert data(rate) == ([1, 2, 3, 4], frame["learning_rate"].tolist())
    assert figure.get_suptitle() == "run 7"
    assert {axis.get_xlabel() for axis in figure.axes} == {"epoch"}


@pytest.mark.parametrize(
    ("changes", "panel", "expected"),
    [
        ({}, "loss", ("best: 1.400 (epoch 2)", [2], [1.4])),
        ({}, "accuracy", ("best: 50.0% (epoch 3)", [3], [0.5])),
        (
            {"val_accuracy": [NAN, 0.3, 0.2, NAN]},
            "accuracy",
            ("best: 30.0% (epoch 2)", [2], [0.3]),
        ),
        ({"val_loss": [NAN, NAN, 1.0, 0.9]}, "loss", ("best: 0.900 (epoch 4)", [4], [0.9])),
        (
            {"val_accuracy": [0.1, 0.5, 0.5, 0.4]},
            "accuracy",
            ("best: 50.0% (epoch 2)", [2], [0.5]),
        ),
        ({"epoch": [8, 9, 10, 11]}, "loss", ("best: 1.400 (epoch 9)", [9], [1.4])),
    ],
)
def test_star_marks_the_best_epoch(changes, panel, expected):
    assert star(panels(training_curves(history(**changes)))[panel]) == expected


def test_star_under_any_row_index():
    frame = history()
    frame.index = [7, 7, 3, 3]
    assert star(panels(training_curves(frame))["accuracy"])[1:] == ([3], [0.5])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"val_loss": None, "val_accuracy": None}, ["loss", "accuracy", "learning rate"]),
        ({"learning_rate": None}, ["loss", "accuracy"]),
        ({"accuracy": None, "val_accuracy": None}, ["loss", "learning rate"]),
        (
            {"top_5": [1, 1, 1, 1], "val_top_5": [1, 1, 1, 1], "auc": [1, 1, 1, 1]},
            ["loss", "accuracy", "top 5", "learning rate"],
        ),
    ],
)
def test_panels_follow_the_columns(changes, expected):
    assert list(panels(training_curves(history(**changes)))) == expected


def test_without_validation():
    drawn = panels(training_curves(history(val_loss=None, val_accuracy=[NAN] * 4)))
    assert list(drawn["loss"]) == ["train"]
    assert list(drawn["accuracy"]) == ["train"]


@pytest.mark.parametrize("validation", [True, False])
def test_one_epoch_is_visible(validation, tmp_path):
    frame = history().head(1)
    if not validation:
        frame = frame.drop(columns=["val_loss", "val_accuracy"])
    figure = training_curves(frame)
    drawn = panels(figure)
    assert [len(lines) for lines in drawn.values()] == ([3, 3, 1] if validation else [1, 1, 1])
    assert all(is_visible(line) for lines in drawn.values() for line in lines.values())
    figure.savefig(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 5_000


def test_validation_of_every_second_epoch_is_one_line():
    frame = history(val_loss=[NAN, 1.4, NAN, 1.7], val_accuracy=[NAN, NAN, NAN, 0.4])
    drawn = panels(training_curves(frame))
    assert data(drawn["loss"]["validation"]) == ([2, 4], [1.4, 1.7])
    assert data(drawn["accuracy"]["validation"]) == ([4], [0.4])
    assert is_visible(drawn["accuracy"]["validation"])


@pytest.mark.parametrize(
    "changes",
    [
        {name: None for name in history() if name != "epoch"},
        {"loss": [1.0, NAN, NAN, NAN], "val_loss": [1.0, NAN, NAN, NAN]},
        {"loss": [NAN] * 4, "val_loss": [NAN] * 4, "learning_rate": [NAN] * 4},
        {"loss": [1.0, np.inf, NAN, NAN], "val_loss": [np.inf] * 4},
    ],
)
@pytest.mark.filterwarnings("error")
def test_odd_history_is_drawn(changes, tmp_path):
    path = tmp_path / "curves.png"
    training_curves(history(**changes)).savefig(path)
    assert path.stat().st_size > 5_000


def test_saved_picture(tmp_path):
    path = tmp_path / "curves.png"
    training_curves(history(), title="run").savefig(path)
    with Image.open(path) as image:
        assert image.size == (3 * 552, 468)
        pixels = np.asarray(image.convert("RGB")).astype(int) @ [1 << 16, 1 << 8, 1]
    assert (pixels == int(VALIDATION_COLOR[1:], 16)).sum() > 500
    assert len(np.unique(pixels)) > 50


def test_no_figure_stays_in_pyplot():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    training_curves(history())
    assert pyplot.get_fignums() == before


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


def test_confusion_of_many_lists_the_pairs():
    labels = np.array([7, 7, 7, 7, 9, 9, 120])
    predictions = np.array([8, 8, 7, 7, 3, 9, 120])
    names = [f"n{index}" for index in range(121)]
    axis = confusion_matrix(labels, predictions, names).axes[0]
    assert words(axis.get_yticklabels()) == ["n7  \u2192  n8", "n9  \u2192  n3"]
    assert [bar.get_width() for bar in axis.patches] == [2, 1]
    assert words(axis.texts) == ["50%", "50%"]
    assert axis.yaxis_inverted()


def test_confusion_of_many_without_a_mistake(tmp_path):
    figure = confusion_matrix(np.arange(101), np.arange(101), long_names(101), title="run")
    assert words(figure.axes[0].texts) == ["no mistakes"]
    saved(figure, tmp_path)


@pytest.mark.parametrize(
    ("labels", "predictions", "message"),
    [
        ([0, 5], [0, 0], "`labels` .* Received: 5 in row 1"),
        ([0, 0], [0.5, 0.5], "`predictions` .*dtype=float64"),
        ([0], [0, 0], "same images. Received: 1 and 2"),
    ],
)
def test_confusion_matrix_of_unfit_values(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        confusion_matrix(labels, predictions, ["a", "b"])


def average_curves(figure):
    lines = {line.get_label().split("  ")[-1]: line for line in figure.axes[0].get_lines()}
    return lines["micro average"], lines["macro average"]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("classes", [2, 4, 12])
def test_roc_curves_are_those_of_scikit_learn(classes, tied):
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


def test_thinned_roc_curve_stays_near():
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


def test_roc_curves_leave_classes_without_both_outcomes_out():
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
def test_roc_curves_of_unfit_values(labels, probabilities, message):
    with pytest.raises(ValueError, match=message):
        roc_curves(labels, probabilities, ["a", "b"])


def test_calibration(tmp_path):
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
def test_gallery_of_unfit_values(image, captions, message):
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


def test_prediction_of_attributes(tmp_path):
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


def test_prediction_of_classes(tmp_path):
    probabilities = np.array([0.1, 0.5, 0.05, 0.2, 0.1, 0.03, 0.02])
    figure = prediction_picture(np.zeros((8, 8, 3), np.uint8), list("abcdefg"), probabilities)
    drawn = bars(figure)
    assert list(drawn) == ["b", "d", "a", "e", "c"]
    assert all(coloured for _, coloured in drawn.values())
    saved(figure, tmp_path)
    with pytest.raises(ValueError, match="one bool per name"):
        prediction_picture(np.zeros((8, 8, 3)), list("abcdefg"), probabilities, predicted=[True])


def test_curves_overlay(tmp_path):
    runs = {"_first": history(), "second": history(val_accuracy=[0.2, NAN, 0.7, NAN])}
    figure = curves_overlay(runs, title="Runs")
    drawn = panels(figure)
    assert list(drawn) == ["validation accuracy", "validation loss"]
    labels = ["best 50.00%  _first", "best 70.00%  second"]
    assert legend(figure) == list(drawn["validation accuracy"]) == labels
    assert data(drawn["validation accuracy"][labels[1]]) == ([1, 3], [0.2, 0.7])
    assert data(drawn["validation loss"][labels[0]]) == ([1, 2, 3, 4], [2.1, 1.4, 1.6, 1.7])
    first, second = (drawn["validation loss"][label].get_color() for label in labels)
    assert first == drawn["validation accuracy"][labels[0]].get_color() != second
    saved(figure, tmp_path)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        history().head(1),
        history(val_accuracy=None, val_loss=None),
        history(val_accuracy=[NAN] * 4, val_loss=[np.inf] * 4),
    ],
)
@pytest.mark.filterwarnings("error")
def test_overlay_of_odd_histories(frame, tmp_path):
    figure = curves_overlay({"whole": history(), "odd": frame})
    saved(figure, tmp_path)
    assert len(legend(figure)) == 2
    if len(frame) == 1:
        lines = panels(figure)["validation loss"]
        assert all(is_visible(line) for line in lines.values())


def test_overlay_of_many_runs_tells_them_apart(tmp_path):
    figure = curves_overlay({f"{LONG[0] * 3} {index}": history() for index in range(23)})
    lines = figure.axes[0].get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 23
    saved(figure, tmp_path)


def test_overlay_of_nothing():
    with pytest.raises(ValueError, match="at least one run"):
        curves_overlay({})
