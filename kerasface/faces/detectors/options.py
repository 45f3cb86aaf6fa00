"""Checks of what a detector is asked for."""

from __future__ import annotations

import numbers


def check_number(name: str, value: object, low: float, high: float, remedy: str) -> None:
    """Refuses what is no number from ``low`` to ``high``, both included.

    Args:
        name: Name of the option.
        value: What was given.
        low: Smallest value.
        high: Largest value.
        remedy: What to do, the last sentence of the message.

    Raises:
        ValueError: If it is none.
    """
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not low <= float(value) <= high:  # type: ignore[arg-type]
        limits = f"a number from {low:g} to {high:g}" if high < 1e9 else f"a number from {low:g} on"
        raise ValueError(f"`{name}` must be {limits}. Received: {name}={value!r}. {remedy}")


def check_flag(name: str, value: object) -> None:
    """Refuses what is neither True nor False.

    Args:
        name: Name of the option.
        value: What was given.

    Raises:
        ValueError: If it is neither.
    """
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. Received: {name}={value!r}.")
