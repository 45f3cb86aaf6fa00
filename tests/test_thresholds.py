"""Every function refuses thresholds that are not a number or outside the possible range."""

import importlib
import inspect
import math
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf

import kerasface
from kerasface import callbacks, faces, inference, metrics, reports
from kerasface.data import FaceTable
from kerasface.faces.detectors.registry import load_detector
from kerasface.inference import EmbeddingSettings, OperatingPoint
from kerasface.reports.attribute_words import decide

LABELS, PROBABILITIES, NAMES = np.array([[0], [1]]), np.array([[0.2], [0.9]]), ["Bald"]
SCORES, SAME = np.array([0.1, 0.5, 0.6, 0.9]), np.array([0, 0, 1, 1])
SIMILARITY, PROBABILITY, ANY = (-1, 1), (0, 1), (-math.inf, math.inf)


def labeled_batches():
    images = tf.data.Dataset.from_tensor_slices((np.zeros((2, 8, 8, 3), np.float32), LABELS))
    return images.batch(2)


# What has a threshold, in which range, and a call with everything else valid or not needed yet.
PUBLIC = {
    "kerasface.verify": (SIMILARITY, lambda t: kerasface.verify("a", "b", threshold=t)),
    "kerasface.identify": (SIMILARITY, lambda t: kerasface.identify("g", "p", threshold=t)),
    "kerasface.predict": (
        PROBABILITY,
        lambda t, run: kerasface.predict(run, np.zeros((8, 8, 3)), threshold=t),
    ),
    "kerasface.inference.submit_matches": (
        SIMILARITY,
        lambda t: inference.submit_matches("dlib", "k", "u", "o.csv", threshold=t),
    ),
    "kerasface.inference.OperatingPoint": (
        SIMILARITY,
        lambda t: OperatingPoint(t, 0.01, 0.9, 9, "list", EmbeddingSettings(None, True, "")),
    ),
    "kerasface.callbacks.AttributeReport": (
        PROBABILITY,
        lambda t: callbacks.AttributeReport(labeled_batches(), thresholds=t),
    ),
    "kerasface.faces.retinaface_detector": (
        PROBABILITY,
        lambda t: faces.retinaface_detector(None, threshold=t),
    ),
    "kerasface.reports.attribute_figures": (
        PROBABILITY,
        lambda t: reports.attribute_figures(
            LABELS,
            PROBABILITIES,
            NAMES,
            metrics.attributes.evaluate(LABELS, PROBABILITIES, NAMES, bootstrap=9).per_attribute,
            thresholds=[t],
        ),
    ),
    "kerasface.reports.precision_recall_curves": (
        PROBABILITY,
        lambda t: reports.precision_recall_curves(LABELS, PROBABILITIES, NAMES, thresholds=t),
    ),
    "kerasface.reports.prediction_picture": (
        PROBABILITY,
        lambda t: reports.prediction_picture(
            np.zeros((8, 8, 3), np.uint8), NAMES, [0.9], thresholds=[t]
        ),
    ),
    "kerasface.reports.score_histograms": (
        ANY,
        lambda t: reports.score_histograms(SCORES, SAME, threshold=t),
    ),
}
OTHERS = {
    "AttributeReport of a table": (
        PROBABILITY,
        lambda t: callbacks.AttributeReport(
            FaceTable(".", ["a.jpg"], [[1]], NAMES), thresholds=[t]
        ),
    ),
    "metrics.attributes": (
        PROBABILITY,
        lambda t: metrics.attributes.evaluate(LABELS, PROBABILITIES, NAMES, thresholds=t),
    ),
    "metrics.identification": (
        ANY,
        lambda t: metrics.identification.evaluate(np.array([1, 0]), np.ones(2), threshold=t),
    ),
    "attribute_words": (PROBABILITY, lambda t: decide(PROBABILITIES, NAMES, t)),
    **{
        f"detector {name}": (PROBABILITY, lambda t, name=name: load_detector(name, threshold=t))
        for name in faces.list_detectors()
    },
}
# Results, which are not made by users; their thresholds come from the functions above.
RESULTS = {
    "kerasface.inference.Decision",
    "kerasface.inference.Identified",
    "kerasface.inference.Matches",
}


def with_thresholds():
    """Public functions and classes with an argument for a threshold, each once."""
    root = pathlib.Path(kerasface.__file__).parent
    found = {}
    for path in sorted(root.rglob("__init__.pyi"), key=lambda path: len(path.parts)):
        package = ".".join(path.parent.relative_to(root.parent).parts)
        module = importlib.import_module(package)
        for name in module.__all__:
            value = getattr(module, name)
            if callable(value) and any("threshold" in key for key in parameters(value)):
                found.setdefault(value, f"{package}.{name}")
    return set(found.values())


def parameters(function):
    try:
        return inspect.signature(function).parameters
    except ValueError:
        return ()


def test_every_function_with_a_threshold_is_tested():
    assert with_thresholds() == set(PUBLIC) | RESULTS


@pytest.mark.parametrize("case", [*PUBLIC, *OTHERS])
def test_impossible_thresholds_are_refused(case, attribute_run):
    (low, high), call = {**PUBLIC, **OTHERS}[case]
    wrong = [math.nan] if math.isinf(low) else [math.nan, low - 0.01, high + 0.01, math.inf]
    arguments = [attribute_run] if "run" in parameters(call) else []
    for value in wrong:
        with pytest.raises(ValueError, match=r"`thresholds?` must be ") as caught:
            call(value, *arguments)
        assert re.search(rf"Received: thresholds?=\[?{re.escape(str(value))}", str(caught.value))
