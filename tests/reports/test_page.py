"""Reports: one complete HTML page in which all texts are escaped."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kerasface.reports.page import (
    MISSING,
    Section,
    facts_section,
    figure_section,
    report_html,
    table_section,
)

VOID = {"meta", "img", "br", "hr", "link", "input"}
EVIL = """<script>alert("1")</script> & 'x' $title ${sections} \udcff"""


class Page(HTMLParser):
    """Parses a page and fails if tags are not nested correctly."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.tags = []
        self.attributes = []
        self.texts = {}
        self.cells = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append((tag, dict(attributes).get("class"), ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)
            if self.open[-1] in ("td", "th"):
                tag, kind, text = self.cells[-1]
                self.cells[-1] = (tag, kind, text + data)


def figure():
    made = Figure(figsize=(2, 1), dpi=50)
    made.subplots().plot([0, 1])
    return made


def sections(text="plain"):
    frame = pd.DataFrame([[text, 1], ["b", 35_000]], dtype=object)
    frame.columns = pd.Index([text, "images"], dtype=object)
    return [
        facts_section(text, {text: text, "images": 3}, note=text),
        table_section(text, frame, note=text),
        figure_section(text, figure(), note=text),
    ]


@pytest.mark.parametrize("text", ["plain", EVIL, "", "Zoë \N{GRINNING FACE}"])
def test_page_is_well_formed_and_contains_the_text(text):
    html = report_html(text, sections(text))
    assert html.startswith("<!DOCTYPE html>")
    html.encode("utf-8")
    page = Page(html)
    assert "script" not in page.tags
    read = text.replace("\udcff", "?")
    assert "".join(page.texts.get("h1", [])) == read
    assert "".join(page.texts.get("title", [])) == read
    assert "".join(page.texts.get("h2", [])) == read * 3
    assert "".join(page.texts.get("p", [])) == read * 3
    assert [text for _, _, text in page.cells].count(read) >= 3
    assert [value for tag, name, value in page.attributes if name == "alt"] == [read]


def test_every_text_is_escaped():
    html = report_html(EVIL, sections(EVIL))
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#x27;x&#x27;") == 13


def test_page_loads_nothing():
    html = report_html("run", sections("see https://example.org"))
    page = Page(html)
    for _, name, value in page.attributes:
        assert name not in ("href", "srcset", "action", "data")
        assert name != "src" or value.startswith("data:image/png;base64,")
        assert name == "alt" or "://" not in value
    (style,) = page.texts["style"]
    assert "url(" not in style and "@import" not in style and "://" not in style
    assert "default-src 'none'" in html
    assert "http://" not in html
    assert "https://" not in report_html("run", sections())


def test_page_supports_phones_and_dark_mode():
    html = report_html("run", [])
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in html
    assert "color-scheme: light dark" in html
    assert "@media (prefers-color-scheme: dark)" in html


def test_figure_is_embedded():
    html = report_html("run", [figure_section("Curve", figure())])
    (source,) = [value for _, name, value in Page(html).attributes if name == "src"]
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
        assert image.format == "PNG"
        assert image.size == (100, 50)


def test_table():
    frame = pd.DataFrame(
        {
            "name": ["ann", None],
            "images": np.array([1234, 5]),
            "auc": [0.98765, np.nan],
            "right": [True, False],
            3: pd.array([1, None], dtype="Int64"),
        },
        index=["x", "y"],
    )
    page = Page(report_html("run", [table_section("People", frame)]))
    assert page.cells == [
        ("th", None, "name"),
        ("th", "number", "images"),
        ("th", "number", "auc"),
        ("th", None, "right"),
        ("th", "number", "3"),
        ("td", None, "ann"),
        ("td", "number", "1,234"),
        ("td", "number", "0.9877"),
        ("td", None, "yes"),
        ("td", "number", "1"),
        ("td", None, MISSING),
        ("td", "number", "5"),
        ("td", "number", MISSING),
        ("td", None, "no"),
        ("td", "number", MISSING),
    ]


def test_table_without_rows_or_columns():
    page = Page(report_html("run", [table_section("a", pd.DataFrame({"name": []}))]))
    assert [text for _, _, text in page.cells] == ["name"]
    assert Page(report_html("run", [table_section("a", pd.DataFrame())])).cells == []


@pytest.mark.parametrize(
    ("value", "expected", "kind"),
    [
        (7001, "7,001", "number"),
        (np.int32(7001), "7,001", "number"),
        (0.5, "0.5000", "number"),
        (np.float32(0.25), "0.2500", "number"),
        (0.0, "0.0000", "number"),
        (-2.34567, "-2.3457", "number"),
        (0.00012345, "0.0001234", "number"),
        (1e-9, "1e-09", "number"),
        (19_575_801.0, "19,575,801", "number"),
        (1e12, "1e+12", "number"),
        (float("inf"), "inf", "number"),
        (float("nan"), MISSING, "number"),
        (True, "yes", None),
        (np.bool_(False), "no", None),
        (None, MISSING, None),
        ("0042", "0042", None),
        ([1, 2], "[1, 2]", None),
    ],
)
def test_facts(value, expected, kind):
    page = Page(report_html("run", [facts_section("Facts", {"x": value})]))
    assert page.cells == [("th", None, "x"), ("td", kind, expected)]


def test_note_is_optional():
    with_note, without = Section("a", "<p>b</p>", "c"), Section("a", "<p>b</p>")
    assert report_html("run", [with_note]).count("<p>") == 2
    assert report_html("run", [without]).count("<p>") == 1
