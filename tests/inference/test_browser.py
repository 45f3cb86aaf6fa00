"""The HTML pages in a real browser: all pictures load, and nothing comes from the network."""

import html
import json
import re
import shutil
import subprocess

import pytest

from kerasface.inference import compare
from kerasface.reports.page import PAGE

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
POLICY = "default-src 'none'"
# Records what the browser loaded, for --dump-dom.
PROBE = """<script>
const refused = [];
document.addEventListener("securitypolicyviolation", event => refused.push(event.blockedURI));
addEventListener("load", () => {
  const asked = performance.getEntriesByType("resource").map(entry => entry.name);
  document.body.dataset.seen = JSON.stringify({
    widths: Array.from(document.images, image => image.naturalWidth),
    broad: document.documentElement.scrollWidth > innerWidth,
    asked: [...new Set([...asked, ...refused])].filter(address => !address.startsWith("data")),
  });
});
</script>"""

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"needs a browser: none of {', '.join(BROWSERS)} is installed"
)


@pytest.fixture(scope="module")
def pages(run, tmp_path_factory):
    """The report of a run and a comparison of two."""
    folder = tmp_path_factory.mktemp("pages")
    twins = [shutil.copytree(run.folder, folder / name) for name in ("one", "other")]
    compare(twins, folder / "compare.html")
    return {"report": run.path("report.html"), "compare": folder / "compare.html"}


def seen(text, folder):
    """What the browser shows of a page; only the probe is added to the page's policy."""
    page = folder / "page.html"
    assert text.count(POLICY) == 1
    probed = text.replace(POLICY, f"{POLICY}; script-src 'unsafe-inline'")
    page.write_text(probed.replace("<title>", f"{PROBE}\n<title>", 1), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    flags += [f"--user-data-dir={folder / 'profile'}", "--no-first-run", "--window-size=1024,768"]
    result = subprocess.run(
        [BROWSER, *flags, "--virtual-time-budget=5000", "--dump-dom", page.as_uri()],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    (found,) = re.findall(r'data-seen="([^"]*)"', result.stdout)
    return json.loads(html.unescape(found))


@pytest.mark.parametrize(("name", "pictures"), [("report", 5), ("compare", 1)])
def test_pages_show_every_picture_without_network(pages, tmp_path, name, pictures):
    found = seen(pages[name].read_text(encoding="utf-8"), tmp_path)
    assert len(found["widths"]) == pictures
    assert min(found["widths"]) > 100
    assert found["asked"] == []
    assert not found["broad"]  # wide tables scroll on their own


def test_probe_detects_broken_pictures_and_requests(tmp_path):
    picture = '<img src="data:image/png;base64,AAAA"><img src="https://example.org/face.png">'
    found = seen(PAGE.substitute(title="broken", sections=picture), tmp_path)
    assert found["widths"] == [0, 0]
    assert found["asked"] == ["https://example.org/face.png"]
