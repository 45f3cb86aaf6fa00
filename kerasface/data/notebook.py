"""HTML and short texts of tables and pictures, for notebooks and terminals."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from PIL import Image

SHOWN_ROWS = 5
SHOWN_NAMES = 3
SHOWN_COLUMNS = 8
PICTURE_SIDE = 240  # pixels


def shorten(names: Iterable[object], shown: int = SHOWN_NAMES) -> str:
    """The first few of many names, in quotes.

    Example:
        >>> shorten(["ann", "bob", "cy", "dan"])
        "'ann', 'bob', 'cy', ..."
    """
    listed = list(names)
    return ", ".join([*map(repr, listed[:shown]), *(["..."] if len(listed) > shown else [])])


def short_repr(name: str, facts: Mapping[str, object]) -> str:
    """Writes a result on one line.

    Args:
        name: Name of the class.
        facts: Name to value. Floats get four significant digits; None is skipped.

    Example:
        >>> short_repr("Verified", {"pairs": 6000, "accuracy": 0.83217, "folder": None})
        'Verified(pairs=6000, accuracy=0.8322)'
    """
    words = [f"{key}={_literal(value)}" for key, value in facts.items() if value is not None]
    return f"{name}({', '.join(words)})"


def facts_html(title: str, facts: Mapping[str, object]) -> str:
    """Names and values as a table; everything is escaped.

    Example:
        >>> facts_html("Face", {"score": "<1"})
        '<b>Face</b><table><tr><th>score</th><td>&lt;1</td></tr></table>'
    """
    rows = (
        f"<tr><th>{html.escape(str(name))}</th><td>{html.escape(_text(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<b>{html.escape(title)}</b><table>{''.join(rows)}</table>"


def frame_html(frame: pd.DataFrame, rows: int = SHOWN_ROWS, columns: int = SHOWN_COLUMNS) -> str:
    """The first rows and columns of a table; everything is escaped.

    Args:
        frame: The table.
        rows: Number of rows to show.
        columns: Number of columns to show.

    Returns:
        A ``<table>`` and, if rows or columns are left out, the size of the whole table.
    """
    part = frame.iloc[:rows, :columns]
    text = part.to_html(index=False, escape=True, border=0)
    if part.shape == frame.shape:
        return text
    return f"{text}<p>{len(frame):,} rows, {frame.shape[1]:,} columns</p>"


def picture_html(image: np.ndarray, caption: str) -> str:
    """An image, made smaller if it is large, over a caption.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        caption: Text, which is escaped.
    """
    picture = Image.fromarray(image)
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    data = base64.b64encode(buffer.getvalue()).decode()
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"/><p>{text}</p></figure>'


def _literal(value: object) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return repr(os.fspath(value)) if isinstance(value, os.PathLike) else repr(value)


def _text(value: object) -> str:
    """A value as people write it: four significant digits, thousands with commas."""
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.4g}"
    return "none" if value is None else str(value)
