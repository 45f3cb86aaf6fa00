"""Suggestions for mistyped names, and counts in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggest(name: str, known: Iterable[str]) -> str:
    """Suggests known names that are similar to an unknown one.

    Args:
        name: The unknown name.
        known: The known names.

    Returns:
        ``" Did you mean 'a' or 'b'?"`` with up to three near names, or an empty string.
    """
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(word) for word in near)}?" if near else ""


def counted(number: int, noun: str) -> str:
    """A number with its noun, for messages.

    Args:
        number: The number.
        noun: The noun in the singular, whose plural ends in -s.

    Example:
        >>> counted(1, "image"), counted(1200, "image")
        ('1 image', '1,200 images')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
