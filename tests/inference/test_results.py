"""How results are shown: one line of text, and an escaped table in notebooks."""

import dataclasses
import pathlib

import numpy as np
import pandas as pd
import pytest

from kerasface.faces import Face
from kerasface.inference import Decision, EmbeddingSettings, Evaluation, Gallery, Matches, Verified
from kerasface.inference.identification import Identified

NAME = "<b>Ann</b>"
FRAME = pd.DataFrame({"name": [NAME], "score": [0.5]})
SETTINGS = EmbeddingSettings(None, True, "b3a1")
VERIFIED = {"pairs": 6000, "accuracy": 0.83217, "eer": 0.171}
RESULTS = {
    "Decision(similarity=0.5, same=True, threshold=0.4)": Decision(0.5, True, 0.4),
    "Decision(similarity=0.5, same=True, threshold=0.4, far=0.01, probability=0.75)": Decision(
        0.5, True, 0.4, 0.01, 0.008, 0.013, NAME, 0.75, Face((1, 2, 3, 4), 0.9)
    ),
    "Evaluation(images=12, accuracy=0.8333, folder='run/evaluation/dev')": Evaluation(
        {"images": 12, "accuracy": 10 / 12},
        FRAME,
        FRAME,
        pathlib.PurePosixPath("run/evaluation/dev"),
    ),
    "Gallery(people=1, images=2, dimensions=3, flip=True, detect=False)": Gallery(
        np.eye(2, 3), np.zeros(2, int), (NAME,), ("1.jpg", "2.jpg"), SETTINGS
    ),
    "Identified(probes=1, threshold=0.5, rank1=1)": Identified(FRAME, {"rank1": 1.0}, FRAME, 0.5),
    "Matches(path='out.csv', threshold=0.5, matched=0.25, dev_accuracy=None)": Matches(
        "out.csv", 0.5, 0.25, None
    ),
    "Verified(pairs=6000, accuracy=0.8322, eer=0.171)": Verified(
        VERIFIED, FRAME, FRAME, "people", np.zeros(6000), None, "too few pairs", None
    ),
}


@pytest.mark.parametrize("text", RESULTS)
def test_text_and_table(text):
    assert repr(RESULTS[text]) == text
    page = RESULTS[text]._repr_html_()
    assert "<table" in page and NAME not in page


def test_names_are_escaped():
    assert "&lt;b&gt;Ann" in RESULTS["Identified(probes=1, threshold=0.5, rank1=1)"]._repr_html_()


def test_settings_name_every_difference():
    other = dataclasses.replace(SETTINGS, flip=False, model="c4b2")
    text = "flip=False for a gallery with flip=True, other weights than those of a gallery"
    assert SETTINGS.difference(other, "a gallery") == text
    assert SETTINGS.difference(other, "a gallery", fields=("crop",)) == ""
    with pytest.raises(ValueError, match=r"same way\. Received: flip=False .*\. Make a new one\."):
        SETTINGS.check(other, "a gallery", "Make a new one.")
