"""The HTML pages in a real browser: their look, their script, and that they load nothing."""

import itertools
import pathlib
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import kerasface
from kerasface.data.pairs import folder_pairs
from kerasface.reports.charts import Line, chart_section, confusion_section, line_panel
from kerasface.reports.page import Headline, report_html
from kerasface.reports.sections import (
    Picture,
    Scale,
    commands_section,
    facts_section,
    figure_section,
    gallery_section,
    table_section,
)
from kerasface.runs.evaluation_page import pair_page
from kerasface.runs.pair_evaluation import evaluate_pairs

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"needs a browser: none of {', '.join(BROWSERS)} is installed"
)

PAGES = ("report", "attributes", "comparison", "verification", "hostile")
WIDTHS = (1280, 390)
THEMES = ("light", "dark")
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</script><img src=x onerror='window.hacked = 1'>",
    '" onmouseover="window.hacked = 1" x=\'',
    "{{ 7 * 7 }} $title %s \\u003c",
    "\N{RIGHT-TO-LEFT OVERRIDE}evil \N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}",
    "a" * 300,
    "lone \udcff surrogate",
)
# Texts whose contrast with their background is below WCAG AA.
CONTRAST = """() => {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = color;
    probe.fillRect(0, 0, 1, 1);
    return Array.from(probe.getImageData(0, 0, 1, 1).data);
  };
  const light = ([r, g, b]) => {
    const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const bad = [];
  let seen = 0;
  for (const element of document.querySelectorAll("body *")) {
    const own = Array.from(element.childNodes).some(
      (node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.getClientRects().length || element.closest("script")) continue;
    const style = getComputedStyle(element);
    const color = rgba(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(color), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen += 1;
    if (ratio < 4.5) bad.push(`${element.tagName} ${element.className} ${ratio.toFixed(2)}`);
  }
  return { seen, bad };
}"""


@pytest.fixture(scope="session")
def browser():
    with api.sync_playwright() as playwright:
        # Containers have no sandbox and a small /dev/shm.
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        started = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        yield started
        started.close()


@pytest.fixture(scope="session")
def pages(run, attribute_run, tables, tmp_path_factory):
    """Name to the file of a page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    twins = [shutil.copytree(run.folder, folder / name) for name in ("one", "another")]
    recipe = run.recipe.replace(learning_rate=0.5)
    (twins[1] / "recipe.json").write_text(recipe.to_json())
    kerasface.compare(twins, folder / "comparison.html")
    (folder / "verification.html").write_text(verification(tables[1]), encoding="utf-8")
    (folder / "hostile.html").write_text(hostile(), encoding="utf-8")
    return {
        "report": run.path("report.html"),
        "attributes": attribute_run.path("report.html"),
        **{name: folder / f"{name}.html" for name in ("comparison", "verification", "hostile")},
    }


def verification(table):
    vectors = np.random.default_rng(0).normal(size=(len(table), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    evaluation = evaluate_pairs(vectors, folder_pairs(table), bootstrap=5)
    page = pair_page(evaluation, evaluation.draw("drawn"), "the pairs")
    return report_html("Pairs", page.sections, headline=page.headline, tiles=page.tiles)


def hostile():
    names = list(HOSTILE)
    numbers = np.arange(len(names))
    columns = pd.Index([*names, "n"], dtype=object)
    frame = pd.DataFrame([[*names, 1], ["b"] * len(names) + [2]], columns=columns, dtype=object)
    image = np.zeros((8, 8, 3), np.uint8)
    lines = [Line(name, [1, 2], [0.1, 0.2], place) for place, name in enumerate(names)]
    pairs = pd.DataFrame({"true": names, "images": numbers}, dtype=object)
    text = " ".join(names)
    return report_html(
        text,
        [
            facts_section(text, {name: name for name in names}, note=text, lead=text),
            table_section(text, frame, note=text),
            figure_section(text, Figure(figsize=(2, 1))),
            gallery_section(text, [Picture((image, image), "\n".join(names))]),
            chart_section(text, [line_panel(text, lines, x=text)], Figure(figsize=(2, 1))),
            confusion_section(numbers, numbers[::-1], names, Figure(figsize=(2, 1)), pairs),
            commands_section(text, {text: text}),
        ],
        kind=text,
        about=names,
        headline=Headline(text, Scale(text, 0.5, 0.4, 0.6, 0.1, text), text),
        tiles={text: text},
    )


@pytest.fixture
def visit(browser, pages):
    """Opens a page and returns it with a list of what went wrong."""
    contexts = []

    def opened(name, width=1280, theme="light", **options):
        path = pages.get(name, name)
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            reduced_motion="reduce",  # a page that still scrolls moves away under the mouse
            **options,
        )
        contexts.append(context)
        page, wrong = context.new_page(), []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("request", lambda request: wrong.append(request.url))
        page.goto(pathlib.Path(path).as_uri())
        if options.get("java_script_enabled", True):
            # The charts are drawn after the first layout.
            charts = page.locator("figure.chart").count()
            page.wait_for_function(
                "n => document.querySelectorAll('figure.chart [role=slider] .grid').length >= n",
                arg=charts,
            )
        wrong[:] = [
            text
            for text in wrong
            if not text.startswith("data:") and text != pathlib.Path(path).as_uri()
        ]
        return page, wrong

    yield opened
    for context in contexts:
        context.close()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
def test_pages_fit_and_load_nothing(visit, name, width, theme):
    page, wrong = visit(name, width, theme)
    assert wrong == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    assert page.evaluate("Array.from(document.images).every((image) => image.naturalWidth > 0)")
    result = page.evaluate(CONTRAST)
    assert result["seen"] > 30 and result["bad"] == []


def test_checks_notice_requests_scripts_and_wide_pages(visit, tmp_path):
    page = report_html("a", [facts_section("b", {"c": 1})])
    broken = (
        '<img src="https://example.org/face.png"><p style="width: 3000px">x</p>'
        "<script>window.hacked = 1</script>"
        '<p id="pale">pale</p>'
    )
    (tmp_path / "page.html").write_text(page.replace("</main>", f"{broken}</main>"))
    page, wrong = visit(tmp_path / "page.html")
    assert len([text for text in wrong if "Content Security Policy" in text]) == 3
    assert page.evaluate("window.hacked") is None
    page.evaluate("pale.style.color = '#aaa'")
    assert len(page.evaluate(CONTRAST)["bad"]) == 1
    page.evaluate("pale.style.width = '3000px'")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") > 0


def column(page, name):
    """The texts of a column of the table of classes, and how it is sorted."""
    table = page.locator("#classes table")
    heads = table.locator("thead th").all_inner_texts()
    place = next(i for i, text in enumerate(heads) if text.startswith(name))
    texts = table.locator(f"tbody tr > :nth-child({place + 1})").all_inner_texts()
    return texts, table.locator("thead th").nth(place).get_attribute("aria-sort")


def test_tables_are_sorted_by_mouse_and_keyboard(visit):
    page, _ = visit("report")
    names, order = column(page, "Name")
    assert order == "none"
    button = page.locator("#classes thead button", has_text="ROC AUC")
    button.click()
    texts, order = column(page, "ROC AUC")
    numbers = [float(text) for text in texts]
    assert order == "descending" and numbers == sorted(numbers, reverse=True)
    button.press("Enter")
    assert column(page, "ROC AUC") == (texts[::-1], "ascending")
    page.locator("#classes thead button", has_text="Name").press("Space")
    assert column(page, "Name") == (sorted(names), "ascending")
    assert column(page, "ROC AUC")[1] == "none"


def test_missing_values_are_sorted_last(visit, tmp_path):
    frame = pd.DataFrame({"name": ["a", "b", "c"], "n": [2.0, np.nan, 10.0]})
    text = report_html("x", [table_section("Classes", frame)])
    (tmp_path / "page.html").write_text(text)
    page, _ = visit(tmp_path / "page.html")
    for expected in (["c", "a", "b"], ["a", "c", "b"]):
        page.locator("thead button", has_text=re.compile("^n$")).click()
        assert column(page, "name")[0] == expected


@pytest.mark.parametrize("width", WIDTHS)
def test_curves_show_values_for_mouse_and_keyboard(visit, run, width):
    page, _ = visit("report", width)
    chart = page.locator("#curves .panel > .panel").nth(1)
    drawing, tip = chart.locator("svg"), chart.locator(".tip")
    assert tip.is_hidden()
    box = drawing.bounding_box()
    drawing.hover(position={"x": box["width"] - 16, "y": box["height"] / 2})
    last = run.history.iloc[-1]
    expected = f"validation: {last['val_accuracy']:.2%}"
    assert tip.is_visible() and "epoch 2" in tip.inner_text() and expected in tip.inner_text()
    inside = tip.bounding_box()
    assert inside["x"] >= 0 and inside["x"] + inside["width"] <= width
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    drawing.press("ArrowLeft")
    first = run.history.iloc[0]
    words = drawing.get_attribute("aria-valuetext")
    assert words.startswith("epoch 1") and f"training: {first['accuracy']:.2%}" in words
    assert tip.is_visible() and "epoch 1" in tip.inner_text()
    drawing.press("Escape")
    assert tip.is_hidden()


def test_confusion_matrix_shows_counts_for_mouse_and_keyboard(visit, run):
    page, _ = visit("report")
    frame = pd.read_csv(run.path("validation/predictions.csv"), dtype=str)
    counts = pd.crosstab(frame["label"], frame["prediction"]).reindex(
        index=run.names, columns=run.names, fill_value=0
    )
    area = page.locator(".matrix")
    drawing, tip = area.locator("svg"), area.locator(".tip")
    drawing.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    words = drawing.get_attribute("aria-valuetext")
    count = counts.iloc[1, 1]
    images = "1 image" if count == 1 else f"{count} images"
    assert words.startswith(f"true: {run.names[1]}, predicted: {run.names[1]}, {images}")
    assert tip.is_visible() and images in tip.inner_text()
    row, column = np.argwhere(counts.to_numpy())[0]  # cells are drawn in this order
    drawing.locator("rect.cell").first.hover(force=True)
    shown = tip.inner_text()
    assert f"true: {run.names[row]}" in shown and f"predicted: {run.names[column]}" in shown


def test_theme_button(visit):
    page, _ = visit("report", theme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    button = page.get_by_role("button", name="Light theme")
    button.press("Enter")
    light = page.evaluate(background)
    assert light != dark
    assert page.locator("#theme").inner_text() == "Dark theme"
    page.reload()
    assert page.evaluate(background) == light
    page.emulate_media(color_scheme="light")
    page.locator("#theme").click()
    assert page.evaluate(background) == dark


def test_pages_print_light_and_complete(visit):
    page, _ = visit("report", theme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("nav").is_hidden() and page.locator("#theme").is_hidden()
    assert page.locator("#curves svg").first.is_visible()
    assert page.evaluate(CONTRAST)["bad"] == []


def test_pages_without_scripts_show_figures(visit):
    page, _ = visit("report", java_script_enabled=False)
    for name in ("curves", "confusion-matrix"):
        assert page.locator(f"#{name} img").bounding_box()["width"] > 200
    assert page.locator("#theme").is_hidden()
    assert page.locator("#classes tbody tr").count() == 4


def test_keyboard_reaches_the_content_first(visit):
    page, _ = visit("report")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    style = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"


def test_hostile_names_are_shown_as_text(visit):
    page, _ = visit("hostile")
    assert page.evaluate("window.hacked") is None
    shown = page.locator("table.facts td").all_inner_texts()
    expected = [
        name.replace("\udcff", "?").replace("\u202e", "\N{REPLACEMENT CHARACTER}")
        for name in HOSTILE
    ]
    assert shown == expected
    assert page.locator("main script:not([type])").count() == 0
    drawing = page.locator(".matrix svg")
    drawing.press("ArrowRight")
    words = drawing.get_attribute("aria-valuetext")
    assert words.startswith(f"true: {HOSTILE[0]}, predicted: {HOSTILE[1]}, 0 images")
    legend = page.locator(".legend").first.locator("bdi").all_inner_texts()
    assert legend == expected


def test_structure_for_screen_readers(visit):
    page, _ = visit("report")
    assert page.locator("h1").count() == 1
    levels = page.evaluate(
        "Array.from(document.querySelectorAll('h1, h2, h3'), (h) => Number(h.tagName[1]))"
    )
    assert levels[0] == 1 and all(b - a <= 1 for a, b in itertools.pairwise(levels))
    assert page.locator("main, nav[aria-label], body > header, body > footer").count() == 4
    assert page.locator("img:not([alt]), img[alt='']").count() == 0
    assert page.locator("th:not([scope])").count() == 0
    assert page.locator("table:not(:has(caption))").count() == 0
    assert page.locator("[role=slider]:not([aria-valuetext])").count() == 0
