"""Fails the build if a page requests something from another site, such as a script or a font."""

from __future__ import annotations

import html.parser
import pathlib
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

# Attributes whose content a browser fetches by itself. A link that a reader follows is none.
FETCHED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
NOT_FETCHED = {"canonical", "license", "next", "prev", "author", "search", "index"}  # of <link rel>
EXTERNAL = re.compile(r"(?:https?:)?//[^\s\"')]+")
CSS_REQUEST = re.compile(r"(?:url\(\s*[\"']?|@import\s+[\"'])((?:https?:)?//[^\s\"')]+)")


class Requests(html.parser.HTMLParser):
    """Collects what a page fetches from another site."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Reads the attributes of an element."""
        values = dict(attrs)
        self._in_style = tag == "style"
        self.found += CSS_REQUEST.findall(values.get("style") or "")
        if tag == "link" and set((values.get("rel") or "").split()) & NOT_FETCHED:
            return
        for name in FETCHED.get(tag, ()):
            self.found += EXTERNAL.findall(values.get(name) or "")

    def handle_data(self, data: str) -> None:
        """Reads the text of a style element."""
        if self._in_style:
            self.found += CSS_REQUEST.findall(data)


def external_requests(folder: pathlib.Path) -> list[str]:
    """Lists what the pages and style sheets of a folder request from other sites.

    Args:
        folder: Built documentation.

    Returns:
        One line per request: the file and the address.
    """
    lines = []
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".html":
            requests = Requests()
            requests.feed(path.read_text(encoding="utf-8"))
            found = requests.found
        elif path.suffix == ".css":
            found = CSS_REQUEST.findall(path.read_text(encoding="utf-8"))
        else:
            continue
        lines += [f"{path.relative_to(folder).as_posix()}: {address}" for address in found]
    return lines


def _check(app: Sphinx, exception: Exception | None) -> None:
    from sphinx.util import logging

    if exception is None and app.builder.format == "html":
        for line in external_requests(pathlib.Path(app.outdir)):
            logging.getLogger(__name__).warning("A page requests another site. %s", line)


def setup(app: Sphinx) -> dict[str, Any]:
    """Checks the pages after the build."""
    app.connect("build-finished", _check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
