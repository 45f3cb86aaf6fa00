"""Pages: one complete HTML file in which all texts are escaped; see also `test_browser`."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kerasface.reports.page import Headline, report_html
from kerasface.reports.sections import (
    Picture,
    Scale,
    Section,
    commands_section,
    facts_section,
    figure_section,
    gallery_section,
    scales_section,
    table_section,
)
from kerasface.reports.values import MISSING, Share

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
        inside = [tag for tag in self.open if tag != "bdi"]
        if inside:
            self.texts.setdefault(inside[-1], []).append(data)
            if inside[-1] in ("td", "th"):
                tag, kind, text = self.cells[-1]
                self.cells[-1] = (tag, kind, text + data)


def figure():
    made = Figure(figsize=(2, 1), dpi=50)
    made.subplots().plot([0, 1])
    return made


def sections(text="plain"):
    frame = pd.DataFrame([[text, 1], ["b", 35_000]], dtype=object)
    frame.columns = pd.Index([text, "images"], dtype=object)
    image = np.zeros((4, 6, 3), np.uint8)
    return [
        facts_section(text, {text: text, "images": 3}, note=text),
        table_section(text, frame, note=text),
        figure_section(text, figure(), note=text),
        gallery_section(text, [Picture((image,), text)], note=text),
        scales_section(text, {text: Scale(text, 0.5)}, note=text),
        commands_section(text, {text: text}, note=text),
    ]


def own_script(html):
    """The page without its script, which is in every page."""
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    return html.replace(script, "")


@pytest.mark.parametrize("text", ["plain", EVIL, "", "Zoë \N{GRINNING FACE}"])
def test_page_is_well_formed_and_contains_the_text(text):
    html = report_html(
        text,
        sections(text),
        kind=text,
        about=[text],
        headline=Headline(text, Scale(text, 0.5, 0.4, 0.6, 0.2, text), text),
        tiles={text: text},
    )
    assert html.startswith("<!DOCTYPE html>")
    html.encode("utf-8")
    page = Page(html)
    assert page.tags.count("script") == 1
    read = text.replace("\udcff", "?")
    assert "".join(page.texts.get("h1", [])) == read
    assert "".join(page.texts.get("title", [])) == read
    assert "".join(page.texts.get("h2", [])) == read * 6
    assert "".join(page.texts.get("code", [])) == read
    assert read in page.texts.get("dd", [""]) and read in page.texts.get("dt", [""])
    assert [text for _, _, text in page.cells].count(read) >= 3
    assert {value for _, name, value in page.attributes if name == "alt"} == {read}


def test_every_text_is_escaped():
    html = own_script(report_html(EVIL, sections(EVIL), about=[EVIL]))
    assert html.count("<script") == 1
    assert "alert(&#34;1&#34;)" in html and 'alert("1")' not in html
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt; &amp; &#39;x&#39; $title" in html


def test_page_loads_nothing():
    html = own_script(report_html("run", sections("see https://example.org")))
    page = Page(html)
    for tag, name, value in page.attributes:
        assert name not in ("srcset", "action", "data", "style") and not name.startswith("on")
        assert name != "src" or value.startswith(("data:image/png;", "data:image/jpeg;"))
        assert name != "href" or value.startswith("#") or (tag, value) == ("link", "data:,")
    (style,) = page.texts["style"]
    assert "url(" not in style and "@import" not in style and "://" not in style
    assert "http://" not in html
    assert "https://" not in own_script(report_html("run", sections()))


def test_policy_allows_only_the_style_and_the_script_of_the_page():
    html = report_html("run", [])
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    assert rules.pop("img-src") == "data:"
    for tag in ("style", "script"):
        (source,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert rules.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert rules == {}
    assert html.index("Content-Security-Policy") < html.index("<style>")


def test_links_of_sections_are_distinct():
    html = report_html("run", [Section(title, "") for title in ("A b", "A, b", "\u05d0", "Main")])
    names = re.findall(r'<section id="([^"]+)"', html)
    assert names == ["a-b", "a-b-2", "section", "main-2"]
    assert re.findall(r'<a href="#([^"]+)">', html) == names


def test_figure_is_embedded():
    html = report_html("run", [figure_section("Curve", figure())])
    (source,) = [value for _, name, value in Page(html).attributes if name == "src"]
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
        assert image.format == "PNG"
        assert image.size == (288, 144)  # 2 by 1 inches
        assert np.asarray(image)[0, 0, 3] == 0  # fits a dark page


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
        ("th", None, "ann"),
        ("td", "number", "1,234"),
        ("td", "number", "0.9877"),
        ("td", None, "yes"),
        ("td", "number", "1"),
        ("th", None, MISSING),
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
    ("value", "expected"),
    [
        (7001, "7,001"),
        (np.int32(7001), "7,001"),
        (0.5, "0.5000"),
        (Share(0.923), "92.30%"),
        (np.float32(0.25), "0.2500"),
        (0.0, "0.0000"),
        (-2.34567, "-2.3457"),
        (0.00012345, "0.0001234"),
        (1e-9, "1e-09"),
        (19_575_801.0, "19,575,801"),
        (1e12, "1e+12"),
        (float("inf"), "inf"),
        (float("nan"), MISSING),
        (True, "yes"),
        (np.bool_(False), "no"),
        (None, MISSING),
        ("0042", "0042"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_facts(value, expected):
    page = Page(report_html("run", [facts_section("Facts", {"x": value})]))
    assert page.cells == [("th", None, "x"), ("td", None, expected)]


def test_numbers_can_be_sorted():
    frame = pd.DataFrame({"n": [Share(0.5), None, float("inf")]}, dtype=object)
    html = report_html("run", [table_section("a", frame)])
    assert re.findall(r'data-value="([^"]*)"', html) == ["0.5", "Infinity"]
    assert 'class="sortable"' in html
    assert 'class="sortable"' not in report_html("run", [table_section("a", frame.head(1))])


def test_scale_is_also_told_in_words():
    scale = Scale("accuracy", 0.9, 0.8, 0.95, 0.5, "majority guess")
    html = report_html("run", [], headline=Headline("sentence", scale))
    words = "accuracy: 90.00% (95% interval 80.00% to 95.00%); majority guess: 50.00%"
    assert f'aria-label="{words}"' in html
    assert 'cx="90.000%"' in html and 'width="15.000%"' in html and 'x1="50.000%"' in html


def test_note_and_lead_are_optional():
    full, bare = Section("a", "<p>b</p>", "c", "d"), Section("a", "<p>b</p>")
    body = report_html("run", [full]).partition("<main")[2]
    assert body.index(">d</p>") < body.index("<p>b</p>") < body.index(">c</p>")
    assert report_html("run", [bare]).partition("<main")[2].count('class="note"') == 0
