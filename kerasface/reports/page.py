"""Reports: one HTML page of figures and tables that needs no other file and no network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from string import Template

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

MISSING = "\N{EN DASH}"
# The policy keeps a browser from loading anything, whatever the texts contain.
PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>$title</title>
<style>
:root { color-scheme: light dark; --text: #1d1f21; --page: #fff; --soft: #6b7075; --line: #e2e4e7 }
@media (prefers-color-scheme: dark) {
  :root { --text: #e4e6e8; --page: #17191b; --soft: #9aa0a6; --line: #34383c }
}
body { max-width: 60rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; color: var(--text);
  background: var(--page); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; line-height: 1.2; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; overflow-wrap: anywhere }
p { color: var(--soft); margin: .4rem 0; overflow-wrap: anywhere }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left;
  vertical-align: top }
th { font-weight: 600 }
tbody th { color: var(--soft); font-weight: 400 }
.number { text-align: right; white-space: nowrap }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px }
</style>
</head>
<body>
<h1>$title</h1>
$sections
</body>
</html>
""")
SECTION = Template("<section>\n<h2>$title</h2>\n$body\n$note</section>")


@dataclass(frozen=True)
class Section:
    """A section of a report, made by `table_section`, `figure_section` or `facts_section`.

    Attributes:
        title: Plain text.
        body: HTML.
        note: Plain text below the body.
    """

    title: str
    body: str
    note: str | None = None


def report_html(title: str, sections: Iterable[Section]) -> str:
    """Returns a report as one HTML page.

    Args:
        title: Title of the page.
        sections: Sections in order.

    Returns:
        HTML that includes everything. Write it as UTF-8.

    Example:
        >>> page = report_html("run 7", [facts_section("Data", {"images": 35_000})])
        >>> "35,000" in page
        True
    """
    parts = [
        SECTION.substitute(
            title=_escape(section.title),
            body=section.body,
            note=f"<p>{_escape(section.note)}</p>\n" if section.note else "",
        )
        for section in sections
    ]
    return PAGE.substitute(title=_escape(title), sections="\n".join(parts))


def table_section(title: str, frame: pd.DataFrame, note: str | None = None) -> Section:
    """Makes a section of a table, with numbers aligned to the right.

    Args:
        title: Title of the section.
        frame: Table, shown without its index. Floats have four decimals; missing values are
            dashes.
        note: A sentence below the table.

    Returns:
        The section.
    """
    kinds = [
        pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)
        for kind in frame.dtypes
    ]
    head = "".join(
        _cell("th", column, number) for column, number in zip(frame.columns, kinds, strict=True)
    )
    rows = "\n".join(
        "<tr>"
        + "".join(_cell("td", value, number) for value, number in zip(row, kinds, strict=True))
        + "</tr>"
        for row in frame.itertuples(index=False, name=None)
    )
    body = (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table></div>"
    )
    return Section(title, body, note)


def figure_section(title: str, figure: Figure, note: str | None = None) -> Section:
    """Makes a section of a figure, embedded as PNG.

    Args:
        title: Title of the section, and alternative text of the figure.
        figure: A matplotlib figure.
        note: A sentence below the figure.

    Returns:
        The section.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    body = f'<img alt="{_escape(title)}" src="data:image/png;base64,{data}">'
    return Section(title, body, note)


def facts_section(title: str, facts: Mapping[str, object], note: str | None = None) -> Section:
    """Makes a section of names and values.

    Args:
        title: Title of the section.
        facts: Name to value. Floats have four decimals; None and NaN are dashes.
        note: A sentence below the table.

    Returns:
        The section.
    """
    rows = "\n".join(
        f'<tr><th scope="row">{_escape(name)}</th>{_cell("td", value, _is_number(value))}</tr>'
        for name, value in facts.items()
    )
    body = f'<div class="wide"><table>\n<tbody>\n{rows}\n</tbody>\n</table></div>'
    return Section(title, body, note)


def _cell(tag: str, value: object, number: bool) -> str:
    kind = ' class="number"' if number else ""
    return f"<{tag}{kind}>{_escape(_text(value))}</{tag}>"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _text(value: object) -> str:
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if np.isnan(number):
            return MISSING
        if number == 0 or 1e-3 <= abs(number) < 1e3:
            return f"{number:.4f}"  # decimal points of a column are aligned
        return f"{number:,.0f}" if 1e3 <= abs(number) < 1e9 else f"{number:.4g}"
    return MISSING if value is None or value is pd.NA or value is pd.NaT else str(value)


def _escape(text: object) -> str:
    # File names may hold bytes that are not UTF-8; Python has them as lone surrogates.
    return html.escape(str(text).encode("utf-8", "replace").decode())
