"""How values are written on pages."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

MISSING = "\N{EN DASH}"
# Embeddings, overrides and isolates of the writing direction. Right-to-left letters are kept.
DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")


class Share(float):
    """A share in [0, 1], or a difference of two. Pages show it in percent.

    Example:
        >>> spell(Share(0.9231))
        '92.31%'
    """


def is_number(value: object) -> bool:
    """Whether a value is a number; bools are not.

    Args:
        value: Any value.
    """
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_))


def is_missing(value: object) -> bool:
    """Whether a value is None, NaN or another missing value.

    Args:
        value: Any value.
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def spell(value: Any) -> str:
    """Writes a value for people.

    Args:
        value: Floats have four decimals, shares are percentages with two, missing values are
            dashes.

    Example:
        >>> spell(35_000), spell(0.5), spell(True), spell(None) == MISSING
        ('35,000', '0.5000', 'yes', True)
    """
    if is_missing(value):
        return MISSING
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, Share):
        return f"{float(value):.2%}"
    if isinstance(value, (int, np.integer)):
        return f"{int(value):,}"
    if isinstance(value, (float, np.floating)):
        number = float(value)
        if number == 0 or 1e-3 <= abs(number) < 1e3:
            return f"{number:.4f}"  # decimal points of a column are aligned
        return f"{number:,.0f}" if 1e3 <= abs(number) < 1e9 else f"{number:.4g}"
    return str(value)


def plain_text(value: object) -> str:
    """Returns a text that can be written as UTF-8 and is read in the order in which it is written.

    File names may hold bytes that are not UTF-8; Python has them as lone surrogates. They may also
    hold characters that reverse the order of all text after them.

    Args:
        value: Any value; its text is taken.

    Returns:
        The text with a question mark or a replacement character for each of them.

    Example:
        >>> plain_text("face" + chr(0xDCFF))
        'face?'
    """
    text = str(value).encode("utf-8", "replace").decode()
    return DIRECTION.sub("\N{REPLACEMENT CHARACTER}", text)
