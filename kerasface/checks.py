"""Checks of option values, with one wording for all errors."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping

from kerasface.names import suggest


def check_choice(name: str, value: object, known: Iterable[str]) -> None:
    """Refuses a value that is not one of the known names.

    Args:
        name: Name of the option.
        value: The value.
        known: The accepted names.

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
    """Refuses a value that is not a number in a range.

    Args:
        name: Name of the option.
        value: The value. True and False are not numbers.
        low: Smallest value.
        high: Largest value.
        whole: If True, the value must be an integer.
        below: If True, the value must be less than ``high``.
        above: If True, the value must be greater than ``low``.
        remedy: What to do instead; ends the message.

    Raises:
        ValueError: If the value is not such a number. NaN is outside every range.

    Example:
        >>> check_number("momentum", 0.9, 0, 1, below=True)
    """
    if not is_number(value, low, high, whole=whole, below=below, above=above):
        rule = number_rule(low, high, whole=whole, below=below, above=above)
        text = f"`{name}` must be {rule}. Received: {name}={value!r}."
        raise ValueError(f"{text} {remedy}".rstrip())


def is_number(
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    whole: bool = False,
    below: bool = False,
    above: bool = False,
) -> bool:
    """Returns whether a value passes `check_number`, whose arguments these are."""
    kind = numbers.Integral if whole else numbers.Real
    if not isinstance(value, kind) or isinstance(value, bool):
        return False
    number = float(value)
    above_low = number > low if above else number >= low
    below_high = number < high if below else number <= high
    return above_low and below_high


def number_rule(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    whole: bool = False,
    below: bool = False,
    above: bool = False,
) -> str:
    """Returns the rule of `check_number`, whose arguments these are, in words.

    Example:
        >>> number_rule(0, 1, below=True)
        'a number in [0, 1)'
    """
    return f"{'an integer' if whole else 'a number'}{_range(low, high, below, above)}"


def check_flag(name: str, value: object) -> None:
    """Refuses a value that is not True or False.

    Args:
        name: Name of the option.
        value: The value.

    Raises:
        ValueError: If it has another value.

    Example:
        >>> check_flag("flip", True)
    """
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}.")


def check_unused(situation: str, options: Mapping[str, object], *, remedy: str = "") -> None:
    """Refuses options that have no effect in a situation.

    Args:
        situation: When they have none, for instance ``"without detection"``.
        options: Name to value. None and False count as not given.
        remedy: What to do instead; ends the message.

    Raises:
        ValueError: If one was given; the message names the first.

    Example:
        >>> check_unused("without detection", {"margin": None})
        >>> check_unused("without detection", {"margin": 0.3}, remedy="Use detect=True.")
        Traceback (most recent call last):
        ValueError: `margin` has no effect without detection. Received: margin=0.3. Use detect=True.
    """
    for name, value in options.items():
        if value is not None and value is not False:
            text = f"`{name}` has no effect {situation}. Received: {name}={value!r}."
            raise ValueError(f"{text} {remedy}".rstrip())


def _range(low: float, high: float, below: bool, above: bool) -> str:
    if math.isinf(low) and math.isinf(high):
        return ""
    if math.isinf(high):
        return f" {'above' if above else 'of at least'} {_digits(low)}"
    if math.isinf(low):
        return f" {'below' if below else 'of at most'} {_digits(high)}"
    return f" in {'(' if above else '['}{_digits(low)}, {_digits(high)}{')' if below else ']'}"


def _digits(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"
