"""Labels: every metric, column and recipe key that reaches a page has one."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from kerasface.metrics import (
    attributes,
    classification,
    identification,
    probability,
    verification,
)
from kerasface.metrics.groups import accuracy_by_group, attributes_by_group, verification_by_group
from kerasface.reports import labels
from kerasface.reports.values import MISSING, Share
from kerasface.runs.evaluation import AT_HALF, THRESHOLDED
from kerasface.runs.recipe import Recipe


def metric_names():
    """Names of all metrics and columns that the evaluations return."""
    generator = np.random.default_rng(0)
    classes = generator.dirichlet(np.ones(3), size=30)
    result = classification.evaluate(np.arange(30) % 3, classes, ["a", "b", "c"], bootstrap=5)
    names = {*result.metrics, *result.per_class}
    truth = np.arange(60).reshape(30, 2) % 3 > 0
    marks = attributes.evaluate(truth, generator.random((30, 2)), ["a", "b"], bootstrap=5)
    names |= {*marks.metrics, *marks.per_attribute} | {f"{name}{AT_HALF}" for name in THRESHOLDED}
    scores, same = np.linspace(-1, 1, 400), np.arange(400) >= 200
    pairs = verification.evaluate(scores, same, bootstrap=5)
    names |= {*pairs.metrics, *pairs.per_fold, *pairs.operating_points.drop(columns="refused")}
    groups = pd.DataFrame({"side": ["left", "right"] * 200})
    rows = np.stack([np.arange(400), np.arange(400)[::-1]], axis=1)
    names |= {*verification_by_group(scores, same, rows, groups, threshold=0.5, bootstrap=5)}
    names |= {*accuracy_by_group(same, groups)}
    fit = probability.fit_probability(scores, same)
    names |= {*fit.to_dict(), *fit.reliability.drop(columns=["low", "high"])}
    names |= {*attributes_by_group(truth, truth * 0.5, ["a", "b"], groups[:30])}
    ranks = np.where(np.arange(400) % 2, 1, identification.UNKNOWN)
    found = identification.evaluate(ranks, scores, threshold=0.5, bootstrap=5)
    return names | {*found.metrics, *found.cmc.drop(columns="share")}


@pytest.mark.parametrize("name", sorted(metric_names()))
def test_metrics_have_labels(name):
    assert labels.has_label(name)
    assert labels.label(name)[0].isupper() and "_" not in labels.label(name)


def test_columns_of_runs_have_labels(run, attribute_run):
    for opened in (run, attribute_run):
        assert [name for name in opened.history if not labels.has_label(name)] == []


def test_recipe_keys_have_labels():
    names = [field.name for field in dataclasses.fields(Recipe)]
    assert sorted(labels.RECIPE_KEYS) == sorted(names)
    assert len(set(labels.RECIPE_KEYS.values())) == len(names)


def test_labels_are_distinct():
    texts = [text for text, _ in labels.METRICS.values()]
    assert sorted(text for text in set(texts) if texts.count(text) > 1) == []


@pytest.mark.parametrize(
    ("name", "label", "share"),
    [
        ("val_accuracy", "Accuracy, validation", True),
        ("mean_accuracy_low_at_half", None, True),
        ("tar_at_far_0.0001", "True accept rate at a false accept rate of 0.01%", True),
        ("threshold_at_fpir_0.1", "Threshold at a false positive rate of 10%", False),
        ("f1_macro_at_half", "F1, macro average (threshold 0.5)", False),
        ("my_metric", "my_metric", False),
        ("val_my_metric", "val_my_metric", False),
    ],
)
def test_labels(name, label, share):
    assert label is None or labels.label(name) == label
    assert labels.is_share(name) == share


def test_bounds_are_shown_with_their_value():
    metrics = {
        "mean_accuracy_at_half": 0.5,
        "mean_accuracy_low_at_half": 0.4,
        "mean_accuracy_high_at_half": 0.6,
        "auc": 0.75,
        "auc_low": 0.7,
        "auc_high": 0.8,
        "images": 7,
        "precision_low": 0.1,  # of a metric that is not there
    }
    assert labels.metric_facts(metrics) == {
        "Mean accuracy (threshold 0.5)": "50.00% (40.00% to 60.00%)",
        "ROC AUC": "0.7500 (0.7000 to 0.8000)",
        "Images": 7,
        "Precision, lower bound of the 95% interval": 0.1,
    }


def test_columns_of_tables():
    frame = pd.DataFrame(
        {"name": ["a", "b"], "tar": [0.5, np.nan], "tar_low": [0.4, np.nan], "tar_high": [0.6, 0]}
    )
    shown = labels.labeled(frame)
    assert list(shown) == ["Name", "True accept rate", "95% interval"]
    assert isinstance(shown["True accept rate"].iloc[0], Share)
    assert shown["95% interval"].tolist() == ["40.00% to 60.00%", MISSING]
