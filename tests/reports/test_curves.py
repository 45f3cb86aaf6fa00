"""Figures of training: what they show is read from their lines and texts."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kerasface.reports import curves_overlay, training_curves
from kerasface.reports.style import VALIDATION_COLOR

NAN = float("nan")

LONG = ["Wilhelmina Augusta von Hohenzollern", "_ann", "$mith & $ons", "a\nb", "Zoë", "\udcff.jpg"]


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


def test_panels_show_the_history():
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
def test_best_epoch_is_marked(changes, panel, expected):
    assert star(panels(training_curves(history(**changes)))[panel]) == expected


def test_best_epoch_with_any_row_index():
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


def test_validation_every_second_epoch():
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
def test_unusual_history_is_drawn(changes, tmp_path):
    path = tmp_path / "curves.png"
    training_curves(history(**changes)).savefig(path)
    assert path.stat().st_size > 5_000


def test_saved_figure(tmp_path):
    path = tmp_path / "curves.png"
    training_curves(history(), title="run").savefig(path)
    with Image.open(path) as image:
        assert image.size == (3 * 552, 468)
        pixels = np.asarray(image.convert("RGB")).astype(int) @ [1 << 16, 1 << 8, 1]
    assert (pixels == int(VALIDATION_COLOR[1:], 16)).sum() > 500
    assert len(np.unique(pixels)) > 50


def test_pyplot_keeps_no_figure():
    from matplotlib import pyplot

    before = pyplot.get_fignums()
    training_curves(history())
    assert pyplot.get_fignums() == before


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
def test_overlay_of_unusual_histories(frame, tmp_path):
    figure = curves_overlay({"whole": history(), "odd": frame})
    saved(figure, tmp_path)
    assert len(legend(figure)) == 2
    if len(frame) == 1:
        lines = panels(figure)["validation loss"]
        assert all(is_visible(line) for line in lines.values())


def test_overlay_of_many_runs_has_distinct_lines(tmp_path):
    figure = curves_overlay({f"{LONG[0] * 3} {index}": history() for index in range(23)})
    lines = figure.axes[0].get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 23
    saved(figure, tmp_path)


def test_overlay_needs_a_run():
    with pytest.raises(ValueError, match="at least one run"):
        curves_overlay({})
