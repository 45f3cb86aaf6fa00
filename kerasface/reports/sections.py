"""Sections of a page: tables, figures, pictures, facts and commands."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from kerasface.reports.rendering import part_html
from kerasface.reports.values import is_missing, is_number, spell

CSS_INCH = 96  # pixels of a page per inch
SHARPNESS = 1.5  # image pixels per pixel of a page, for screens with a high resolution


@dataclass(frozen=True)
class Section:
    """A section of a report, made by `table_section`, `figure_section` and their like.

    Attributes:
        title: Plain text.
        body: HTML.
        note: Plain text below the body.
        lead: Plain text above the body.
    """

    title: str
    body: str
    note: str | None = None
    lead: str | None = None


@dataclass(frozen=True)
class Scale:
    """A share on a line from 0% to 100%, with its interval and a share to compare it with.

    Attributes:
        name: What the share is, for instance ``"accuracy"``.
        value: The share, in [0, 1].
        low: Lower bound of its 95% interval. None shows no interval.
        high: Upper bound of its 95% interval.
        reference: A share to compare it with, in [0, 1]. None shows none.
        reference_name: What that is, for instance ``"majority guess"``.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    reference: float | None = None
    reference_name: str = ""


@dataclass(frozen=True, eq=False)
class Picture:
    """One or several images with a caption.

    Attributes:
        images: uint8 RGB ``[H, W, 3]``, shown side by side.
        caption: Text of several lines.
    """

    images: tuple[np.ndarray, ...]
    caption: str


def table_section(
    title: str,
    frame: pd.DataFrame,
    note: str | None = None,
    *,
    lead: str | None = None,
    sortable: bool = True,
    stacked: bool = False,
) -> Section:
    """Makes a section of a table, with numbers aligned to the right.

    Args:
        title: Title of the section.
        frame: Table, shown without its index. Floats have four decimals, `Share` values are
            percentages, missing values are dashes.
        note: A sentence below the table.
        lead: A sentence above the table.
        sortable: If True, the column heads sort the table.
        stacked: If True, phones show each row as a list of names and values. For few rows with
            many columns.

    Returns:
        The section.
    """
    body = table_html(title, frame, sortable=sortable, stacked=stacked)
    return Section(title, body, note, lead)


def table_html(
    caption: str, frame: pd.DataFrame, *, sortable: bool = True, stacked: bool = False
) -> Markup:
    """Returns a table as HTML.

    Args:
        caption: Caption, for screen readers.
        frame: As in `table_section`.
        sortable: If True, the column heads sort the table.
        stacked: As in `table_section`.
    """
    numbers = [_is_numeric(frame.iloc[:, place]) for place in range(frame.shape[1])]
    columns = [
        {"text": spell(name), "number": number}
        for name, number in zip(frame.columns, numbers, strict=True)
    ]
    rows = [
        [{"text": spell(value), "sort": _sort_value(value)} for value in row]
        for row in frame.itertuples(index=False, name=None)
    ]
    head = bool(numbers) and not numbers[0]
    sortable = sortable and len(rows) > 1
    return part_html("table", caption, columns, rows, sortable, head, stacked)


def figure_section(
    title: str, figure: Figure, note: str | None = None, *, lead: str | None = None
) -> Section:
    """Makes a section of a figure, embedded as PNG. It fits light and dark pages.

    Args:
        title: Title of the section, and alternative text of the figure.
        figure: A matplotlib figure.
        note: A sentence below the figure.
        lead: A sentence above the figure.

    Returns:
        The section.
    """
    return Section(title, figure_html(title, figure), note, lead)


def figure_html(alt: str, figure: Figure) -> Markup:
    """Returns a figure as HTML, embedded as PNG with a transparent background.

    Args:
        alt: Alternative text.
        figure: A matplotlib figure.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=CSS_INCH * SHARPNESS, transparent=True)
    width, height = (round(CSS_INCH * side) for side in figure.get_size_inches())
    return part_html("image", alt, _data_uri(buffer.getvalue(), "png"), width, height)


def facts_section(
    title: str, facts: Mapping[str, object], note: str | None = None, *, lead: str | None = None
) -> Section:
    """Makes a section of names and values.

    Args:
        title: Title of the section.
        facts: Name to value. Floats have four decimals; None and NaN are dashes.
        note: A sentence below the table.
        lead: A sentence above the table.

    Returns:
        The section.
    """
    return Section(title, facts_html(title, facts), note, lead)


def facts_html(caption: str, facts: Mapping[str, object]) -> Markup:
    """Returns names and values as an HTML table.

    Args:
        caption: Caption, for screen readers.
        facts: As in `facts_section`.
    """
    return part_html("facts", caption, [(name, spell(value)) for name, value in facts.items()])


def gallery_section(
    title: str, pictures: Sequence[Picture], note: str | None = None, *, lead: str | None = None
) -> Section:
    """Makes a section of pictures with captions.

    Args:
        title: Title of the section.
        pictures: The pictures in order.
        note: A sentence below the pictures.
        lead: A sentence above the pictures.

    Returns:
        The section.
    """
    return Section(title, gallery_html(pictures), note, lead)


def gallery_html(pictures: Sequence[Picture]) -> Markup:
    """Returns pictures with captions as HTML.

    Args:
        pictures: The pictures in order.
    """
    items = []
    for picture in pictures:
        lines = picture.caption.split("\n")
        sources = [
            (_data_uri(_jpeg(image), "jpeg"), image.shape[1], image.shape[0])
            for image in picture.images
        ]
        items.append({"lines": lines, "alt": ", ".join(lines), "sources": sources})
    return part_html("gallery", items, any(len(picture.images) > 1 for picture in pictures))


def scales_section(
    title: str, scales: Mapping[str, Scale], note: str | None = None, *, lead: str | None = None
) -> Section:
    """Makes a section of shares with their intervals, one line each.

    Args:
        title: Title of the section.
        scales: Name to share.
        note: A sentence below.
        lead: A sentence above.

    Returns:
        The section.
    """
    rows = [(name, scale_parts(scale)) for name, scale in scales.items()]
    return Section(title, part_html("scales", rows), note, lead)


def commands_section(title: str, commands: Mapping[str, str], note: str | None = None) -> Section:
    """Makes a section of shell commands or code.

    Args:
        title: Title of the section.
        commands: A sentence about a command, to the command.
        note: A sentence below.

    Returns:
        The section.
    """
    return Section(title, part_html("commands", list(commands.items())), note)


def folded_html(summary: str, body: str) -> Markup:
    """Returns HTML that is shown after a click on its summary.

    Args:
        summary: Plain text.
        body: HTML, for instance from `facts_html`.
    """
    return part_html("folded", summary, Markup(body))


def scale_parts(scale: Scale) -> dict[str, Any]:
    """Returns what the templates need to draw a share: places in percent, and words.

    Args:
        scale: The share.
    """
    text, band = f"{scale.value:.2%}", None
    if scale.low is not None and scale.high is not None:
        text += f" (95% interval {scale.low:.2%} to {scale.high:.2%})"
        band = (f"{100 * scale.low:.3f}", f"{100 * max(0.0, scale.high - scale.low):.3f}")
    words = f"{scale.name}: {text}"
    mark = None
    if scale.reference is not None:
        words += f"; {scale.reference_name}: {scale.reference:.2%}"
        mark = f"{100 * scale.reference:.3f}"
    return {
        "name": scale.name,
        "text": text,
        "words": words,
        "at": f"{100 * scale.value:.3f}",
        "band": band,
        "mark": mark,
        "mark_name": scale.reference_name,
    }


def _is_numeric(column: pd.Series) -> bool:
    if pd.api.types.is_bool_dtype(column.dtype):
        return False
    if pd.api.types.is_numeric_dtype(column.dtype):
        return True
    known = [value for value in column if not is_missing(value)]
    return bool(known) and all(map(is_number, known))


def _sort_value(value: object) -> str | None:
    if is_missing(value) or not is_number(value):
        return None
    number = float(value)  # type: ignore[arg-type]
    return repr(number).replace("inf", "Infinity")


def _jpeg(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="JPEG", quality=90)
    return buffer.getvalue()


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
