"""Reports: one HTML page of figures and tables that needs no other file and no network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kerasface import __version__
from kerasface.reports.rendering import page_html
from kerasface.reports.sections import Scale, Section, scale_parts
from kerasface.reports.values import plain_text, spell


@dataclass(frozen=True)
class Headline:
    """The result of a page.

    Attributes:
        sentence: The result in one sentence.
        scale: The result as a picture. None shows none.
        note: What one must know to read the result, as plain text.
    """

    sentence: str
    scale: Scale | None = None
    note: str | None = None


def report_html(
    title: str,
    sections: Iterable[Section],
    *,
    kind: str = "",
    about: Sequence[str] = (),
    headline: Headline | None = None,
    tiles: Mapping[str, object] | None = None,
) -> str:
    """Returns a report as one HTML page.

    The page follows the light or dark theme of the system and has a button for the other one. Its
    content security policy allows only the page's own style and script, and no request.

    Args:
        title: Title of the page.
        sections: Sections in order.
        kind: What the page is, for instance ``"training report"``.
        about: Facts below the title, for instance the recipe and the date.
        headline: The result of the page.
        tiles: The most important numbers, name to value.

    Returns:
        HTML that includes everything. Write it as UTF-8.

    Example:
        >>> from kerasface.reports.sections import facts_section
        >>> page = report_html("run 7", [facts_section("Data", {"images": 35_000})])
        >>> "35,000" in page
        True
    """
    shown = None
    if headline:
        scale = scale_parts(headline.scale) if headline.scale else None
        shown = {"sentence": headline.sentence, "scale": scale, "note": headline.note}
    page = page_html(
        title=title,
        kind=kind,
        about=about,
        headline=shown,
        tiles=[(name, spell(value)) for name, value in (tiles or {}).items()],
        named=_named(sections),
        version=__version__,
    )
    return plain_text(page)


def _named(sections: Iterable[Section]) -> list[tuple[Section, str]]:
    """The sections with distinct names for links."""
    named, taken = [], {"main", "theme"}
    for section in sections:
        slug = re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-")[:40] or "section"
        name, number = slug, 2
        while name in taken:
            name, number = f"{slug}-{number}", number + 1
        taken.add(name)
        named.append((section, name))
    return named
