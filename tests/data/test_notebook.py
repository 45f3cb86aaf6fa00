"""Tests of how tables and results are shown in terminals and notebooks."""

import html.parser

import numpy as np
import pandas as pd
import pytest

from kerasface.data import CelebA, CheckReport, FaceTable, folder_pairs
from kerasface.data.notebook import facts_html, frame_html, picture_html, shorten
from kerasface.faces import Face

BAD = "<b onclick='x'>&\""


def many(count=3000):
    names = [f"person_{number:04d}" for number in range(500)]
    paths = [f"{names[row % 500]}/{row}.jpg" for row in range(count)]
    return FaceTable("data/train", paths, np.arange(count) % 500, names)


def hostile():
    return FaceTable(BAD, [f"{BAD}/1.jpg", f"{BAD}/2.jpg", "x/3.jpg"], [0, 0, 1], [BAD, "x"])


def report(table):
    unreadable = pd.DataFrame({"path": [f"{BAD}.jpg"], "reason": [BAD]})
    return CheckReport(table, unreadable)


class Tags(html.parser.HTMLParser):
    """All tags of a page with their attributes, and whether they are balanced."""

    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


SHOWN = {
    "table": hostile(),
    "unlabeled table": FaceTable(BAD, [BAD]),
    "attributes": FaceTable("x", ["1.jpg"], [[1]], [BAD]),
    "CelebA": CelebA(hostile(), hostile(), hostile()),
    "report": report(hostile()),
    "pairs": folder_pairs(hostile()),
    "face": Face((1, 2, 3, 4), 0.5),
}


@pytest.mark.parametrize("name", SHOWN)
def test_names_are_escaped(name):
    tags = Tags(SHOWN[name]._repr_html_())
    assert not tags.open
    assert not [attributes for _, attributes in tags.found if "onclick" in attributes]
    assert "table" in [tag for tag, _ in tags.found]


@pytest.mark.parametrize("name", ["table", "report", "pairs"])
def test_escaped_names_are_shown(name):
    assert "&lt;b onclick=" in SHOWN[name]._repr_html_()


@pytest.mark.parametrize(
    "value",
    [many(), report(many()), CelebA(many(), many(), many()), folder_pairs(many(), impostors=99)],
    ids=lambda value: type(value).__name__,
)
def test_large_tables_are_short(value):
    assert len(repr(value)) < 500
    assert len(value._repr_html_()) < 4000


def test_representations():
    assert repr(many()) == (
        "FaceTable(3,000 images, 500 classes ('person_0000', 'person_0001', 'person_0002', ...), "
        "root='data/train')"
    )
    assert repr(FaceTable("x", ["1.jpg"])) == "FaceTable(1 images, root='x')"
    assert repr(report(many())).startswith("CheckReport(3,000 readable, 1 unreadable (")
    assert repr(Face((1, 2, 3, 4.26), 0.51)) == (
        "Face(box=(1.0, 2.0, 3.0, 4.3), score=0.510, no landmarks)"
    )
    pairs = folder_pairs(hostile())
    assert repr(pairs) == f"PairTable({pairs.summary()})"
    assert repr(CelebA(many(), many(), many())).count("FaceTable(3,000 images") == 3


def test_first_rows_are_shown_with_the_size_of_the_whole():
    text = frame_html(pd.DataFrame({"row": range(100, 150)}))
    assert "104" in text and "105" not in text
    assert "<p>50 rows, 1 columns</p>" in text
    assert "rows" not in frame_html(pd.DataFrame({"a": [1]}))
    assert "100" in many()._repr_html_() or "3,000" in many()._repr_html_()


def test_landmarks_are_shown():
    text = Face((1, 2, 3, 4), 0.5, np.arange(10).reshape(5, 2))._repr_html_()
    assert "<th>right mouth</th><td>8.0, 9.0</td>" in text


def test_pieces():
    assert shorten([]) == ""
    assert shorten(["a", "b"]) == "'a', 'b'"
    assert facts_html("<i>", {"<u>": 1}) == (
        "<b>&lt;i&gt;</b><table><tr><th>&lt;u&gt;</th><td>1</td></tr></table>"
    )
    tags = Tags(picture_html(np.zeros((900, 300, 3), np.uint8), BAD))
    (image,) = [attributes for tag, attributes in tags.found if tag == "img"]
    assert image["alt"] == BAD
    assert set(image) == {"alt", "src"}
