"""Checks of option values, with one wording for all errors."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable

from kerasface.names import suggest


def check_choice(name: str, value: object, known: Iterable[str]) -> None:
    """Refuses a value that is not among the known names.

    Args:
        name: Name of the option.
        value: What was given.
        known: The names that it may have.

    Raises:
        ValueError: If the value is none of them, with near names.

    Example:
        >>> check_choice("label", "index", ("index", "name"))
    """
    choices = list(known)
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {choices}. Received: {name}={value!r}."
            f"{suggest(str(value), choices)}"
        )


def check_number(
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    whole: bool = False,
    below: bool = False,
    above: bool = False,
    remedy: str = "",
) -> None:
    """Refuses what is no number in a range.

    Args:
        name: Name of the option.
        value: What was given. True and False are no numbers.
        low: Smallest value.
        high: Largest value.
        whole: If True, the value must be an integer.
        below: If True, the value must be less than ``high``.
        above: If True, the value must be greater than ``low``.
        remedy: What to do instead; ends the message.

    Raises:
        ValueError: If the value is no such number. NaN is in no range.

    Example:
        >>> check_number("momentum", 0.9, 0, 1, below=True)
    """
    kind = numbers.Integral if whole else numbers.Real
    if isinstance(value, kind) and not isinstance(value, bool):
        number = float(value)  # type: ignore[arg-type]
        above_low = number > low if above else number >= low
        below_high = number < high if below else number <= high
        if above_low and below_high:
            return
    noun = "an integer" if whole else "a number"
    text = f"`{name}` must be {noun}{_range(low, high, below, above)}. Received: {name}={value!r}."
    raise ValueError(f"{text} {remedy}".rstrip())


def check_flag(name: str, value: object) -> None:
    """Refuses what is neither True nor False.

    Args:
        name: Name of the option.
        value: What was given.

    Raises:
        ValueError: If the value is neither.

    Example:
        >>> check_flag("flip", True)
    """
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}.")


def _range(low: float, high: float, below: bool, above: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" {'above' if above else 'of at least'} {low:g}"
    if math.isinf(low):
        return f" {'below' if below else 'of at most'} {high:g}"
    return f" in {'(' if above else '['}{low:g}, {high:g}{')' if below else ']'}"
