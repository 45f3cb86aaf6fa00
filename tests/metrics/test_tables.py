"""How results are shown: as text and as HTML."""

import warnings
from html.parser import HTMLParser

import numpy as np
import pytest

from kerasface.metrics import attributes, classification, identification, verification
from kerasface.metrics.roc import one_vs_rest_curves
from kerasface.metrics.tables import metrics_html, metrics_text

EVIL = "<script>alert(1)</script> & \udcff"
LABELS = np.arange(60) % 2


def results():
    scores = np.linspace(0, 1, 60)
    ranks = np.where(LABELS, 1, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return {
            "ClassificationMetrics": classification.evaluate(
                LABELS, np.stack([scores, 1 - scores], 1), ["ann", EVIL], bootstrap=20
            ),
            "AttributeMetrics": attributes.evaluate(
                np.stack([LABELS] * 2, 1), np.stack([scores] * 2, 1), ["bald", EVIL], bootstrap=20
            ),
            "VerificationMetrics": verification.evaluate(scores, LABELS, bootstrap=20),
            "IdentificationMetrics": identification.evaluate(ranks, scores, threshold=0.5),
        }


EXPECTED = {
    "ClassificationMetrics": ("60 images, 2 classes", "accuracy"),
    "AttributeMetrics": ("60 images, 2 attributes", "mean_accuracy"),
    "VerificationMetrics": ("30 genuine and 30 impostor pairs, intervals over pairs", "auc"),
    "IdentificationMetrics": ("60 known and 0 unknown probes", "rank1"),
}


class Texts(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("name", EXPECTED)
def test_results_are_readable(name):
    result = results()[name]
    title, key = EXPECTED[name]
    lines = repr(result).split("\n")
    assert lines[0] == f"{name}: {title}"
    assert 4 <= len(lines) <= 10
    assert max(map(len, lines)) <= 100
    value, low, high = (result.metrics[f"{key}{end}"] for end in ("", "_low", "_high"))
    (line,) = [line.split() for line in lines if line.split()[0] == key]
    assert line == [key, f"{value:.4f}", "(95%", "interval", f"{low:.4f}", "to", f"{high:.4f})"]
    page = Texts(result._repr_html_())
    page_text = "".join(page.texts)
    assert "script" not in page.tags and "table" in page.tags
    assert title in page_text
    for key, value in result.metrics.items():
        assert (f"{value:,.4f}" if isinstance(value, float) else str(value)) in page.texts, key
    result._repr_html_().encode("utf-8")


def test_html_escapes_names():
    for name in ("ClassificationMetrics", "AttributeMetrics"):
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; ?" in results()[name]._repr_html_()


def test_long_tables_are_shortened():
    frame = results()["IdentificationMetrics"].cmc
    assert len(frame) == 50
    html = metrics_html("a <b>", {"n": 1}, {"cmc": frame})
    assert html.count("<tr") == 2 + 1 + 11  # ten rows and one with dots
    assert "cmc (50 rows)" in html and "a &lt;b&gt;" in html


def test_missing_metrics_and_intervals_are_left_out():
    metrics = {"images": 12_345, "auc": float("nan")}
    assert metrics_text("T", metrics, ["images", "auc", "eer"]) == (
        "T\n  images  12,345\n  auc     nan"
    )


def test_curves_are_readable():
    curves = one_vs_rest_curves([0, 1, 1], np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]))
    assert repr(curves).startswith("RocCurves: 2 curves of single classes\n")
    assert repr(curves.micro) == f"RocCurve: 8 points, area {curves.micro.area:.4f}"
