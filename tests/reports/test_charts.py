"""The numbers behind the interactive charts."""

import json
import re

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kerasface.reports import charts

FIGURE = Figure(figsize=(1, 1))


def data(section):
    (text,) = re.findall(r'<script type="application/json">(.*?)</script>', section.body)
    return json.loads(text)


def test_training_panels():
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "accuracy": [0.1, 0.5, 0.9],
            "loss": [3.0, 2.0, 1.0],
            "val_accuracy": [0.1, np.nan, 0.4],
            "val_loss": [2.5, np.nan, 2.7],
            "learning_rate": [1e-3, 1e-3, 1e-4],
        }
    )
    section = charts.training_section(history, FIGURE, note="a note")
    loss, accuracy, rate = data(section)["panels"]
    assert [panel["title"] for panel in (loss, accuracy, rate)] == [
        "Loss",
        "Accuracy",
        "Learning rate",
    ]
    training, validation = loss["series"]
    assert training["points"] == [[1, 3], [2, 2], [3, 1]] and training["best"] is None
    assert validation["points"] == [[1, 2.5], [3, 2.7]] and validation["best"] == 0
    assert accuracy["series"][1]["best"] == 1
    assert (accuracy["form"], accuracy["low"], accuracy["high"]) == ("percent", 0, 1)
    assert rate["series"][0]["points"][2] == [3, 0.0001]
    assert section.note == "a note"
    assert "<noscript>" in section.body and "90.00%" in section.body  # figure and table


def test_history_that_diverged():
    history = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, np.inf], "val_loss": [np.nan, np.nan]})
    (panel,) = data(charts.training_section(history, FIGURE))["panels"]
    assert [line["points"] for line in panel["series"]] == [[[1, 1]], []]


def test_runs_without_a_metric_are_left_out_of_its_panel():
    full = pd.DataFrame({"epoch": [1, 2], "val_accuracy": [0.5, 0.6], "loss": [2, 1]})
    bare = pd.DataFrame({"epoch": [1], "loss": [3.0]})
    section = charts.runs_section({"full": full, "bare": bare}, FIGURE)
    accuracy, loss = data(section)["panels"]
    assert [line["name"] for line in accuracy["series"]] == ["full"]
    assert [(line["name"], line["color"]) for line in loss["series"]] == [("full", 0), ("bare", 1)]


def test_roc_is_that_of_the_metrics():
    scores, same = np.linspace(-1, 1, 100), np.arange(100) % 4 > 0
    (panel,) = data(charts.roc_section({"model": (scores, same)}, FIGURE))["panels"]
    points = np.array(panel["series"][0]["points"])
    assert panel["log"] and panel["step"]
    assert points[:, 0].min() == 1 / 25 and points[-1].tolist() == [1, 1]
    for rate, accepted in points:
        threshold = np.sort(scores[~same])[::-1][round(rate * 25) - 1]
        assert accepted >= np.mean(scores[same] >= threshold) - 1e-5
    assert panel["few"]["until"] == 10 / 25


def test_confusion_matrix_counts():
    labels, predictions = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0])
    pairs = pd.DataFrame({"true": ["a"], "predicted": ["b"], "images": [1]})
    section = charts.confusion_section(labels, predictions, ["a", "b", "c"], FIGURE, pairs)
    found = data(section)
    assert found["cells"] == [[0, 0, 1], [0, 1, 1], [1, 1, 1], [2, 0, 1]]
    assert found["totals"] == [2, 1, 1] and found["names"] == ["a", "b", "c"]


def test_many_classes_are_a_table_of_confused_pairs():
    names = [f"p{index}" for index in range(101)]
    pairs = pd.DataFrame({"true": ["p0"], "predicted": ["p1"], "images": [3], "share": [0.75]})
    section = charts.confusion_section(np.zeros(4, int), np.ones(4, int), names, FIGURE, pairs)
    assert section.title == "Most confused classes" and "<script" not in section.body
    assert "75.00%" in section.body and "Predicted class" in section.body


def test_data_cannot_end_the_script():
    evil = "</script><script>alert(1)</script>"
    panel = charts.line_panel(evil, [charts.Line(evil, [1, 2], [1, 2], 0)])
    section = charts.chart_section(evil, [panel], FIGURE)
    assert section.body.count("</script>") == 1
    assert data(section)["panels"][0]["title"] == evil
