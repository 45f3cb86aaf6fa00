"""Links of README.md and docs/ between files, without a connection."""

import re
import urllib.parse

import pytest

LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
CODE = re.compile(r"^(`{3,})[^\n]*\n.*?^\1$|`[^`\n]+`", re.S | re.M)
# Written when the documentation is built.
BUILT = re.compile(r"docs/(gallery|reference/api)/")


@pytest.fixture(scope="module")
def links(page_texts):
    """Pairs of a page and the target of a link in it; code blocks have none."""
    return [
        (page, target)
        for page, text in page_texts.items()
        for target in LINK.findall(CODE.sub("", text))
    ]


def anchors(text):
    """The anchors of a page's headings, as GitHub and MyST make them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def test_links_between_files(links, page_texts, repository):
    checked = 0
    for page, target in links:
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (
            (repository / page).parent / urllib.parse.unquote(path) if path else repository / page
        )
        place = file.resolve().relative_to(repository.resolve()).as_posix()
        if BUILT.match(place):
            continue
        assert file.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{page}: {target}"
        checked += 1
    assert checked > 30


def test_form_of_external_links(links):
    for page, target in links:
        if re.match(r"[a-z]+:", target):
            parts = urllib.parse.urlsplit(target)
            assert parts.scheme == "https" and "." in parts.netloc, f"{page}: {target}"


def test_every_page_is_in_a_table_of_contents(page_texts):
    listed = {"docs/index.md"}
    for page, text in page_texts.items():
        folder = page.rpartition("/")[0]
        for contents in re.findall(r"^```\{toctree\}\n(.*?)^```$", text, re.S | re.M):
            names = [line for line in contents.splitlines() if line and not line.startswith(":")]
            listed |= {f"{folder}/{name}.md" for name in names}
    assert {page for page in page_texts if page != "README.md"} <= listed
