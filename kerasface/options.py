"""Options of a dataclass: limits, choices and a description, declared next to each field.

The checks, their messages, the tables that help and notebooks show and the ``Attributes`` of the
docstring come from these declarations.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
import textwrap
import types
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from kerasface.checks import is_number, number_rule
from kerasface.names import suggest

if TYPE_CHECKING:
    import pandas as pd

Class = TypeVar("Class", bound=type)
OPTION = "option"
WORDS = {
    bool: "True or False",
    str: "a string",
    types.NoneType: "None",
    Mapping[str, Any]: "a mapping of options",
    tuple[str, ...]: "a list of strings",
    tuple[Mapping[str, Any], ...]: "a list of mappings of options",
}


@dataclasses.dataclass(frozen=True)
class Option:
    """What a field accepts, besides its type.

    Attributes:
        description: One or more sentences.
        low: Smallest number.
        high: Largest number.
        above: If True, numbers must be greater than ``low``.
        below: If True, numbers must be less than ``high``.
        choices: The strings that are accepted. Empty accepts all.
    """

    description: str
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False
    choices: tuple[str, ...] = ()


def option(
    default: Any,
    description: str,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: bool = False,
    below: bool = False,
    choices: tuple[str, ...] = (),
    **metadata: Any,
) -> Any:
    """Declares a field of a dataclass.

    Args:
        default: Default value, or a type (such as ``dict``) that makes it.
        description: One or more sentences.
        low: Smallest number.
        high: Largest number.
        above: If True, numbers must be greater than ``low``.
        below: If True, numbers must be less than ``high``.
        choices: The strings that are accepted. Empty accepts all.
        **metadata: Further entries of the field's ``metadata``.

    Returns:
        The field, for the right side of its declaration.

    Example:
        >>> @dataclasses.dataclass(frozen=True)
        ... class Training:
        ...     epochs: int = option(60, "Passes over the images.", low=1)
        >>> check_options(Training(epochs=0))
        Traceback (most recent call last):
            ...
        ValueError: `epochs` must be an integer of at least 1. Received: epochs=0.
    """
    rules = Option(description, low, high, above, below, choices)
    metadata = {OPTION: rules, **metadata}
    if isinstance(default, type):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def check_options(instance: Any, prefix: str = "") -> None:
    """Checks all fields of a dataclass that `option` declared.

    Args:
        instance: The dataclass.
        prefix: Put before the names of the fields in messages, for instance ``"embedding."``.

    Raises:
        ValueError: If a value has another type, is out of range or is no choice.
    """
    kinds = _kinds(instance.__class__)
    for field in dataclasses.fields(instance):
        value, rules = getattr(instance, field.name), field.metadata[OPTION]
        if any(_fits(value, kind, rules) for kind in kinds[field.name]):
            continue
        name = f"{prefix}{field.name}"
        near = suggest(value, rules.choices) if isinstance(value, str) else ""
        raise ValueError(
            f"`{name}` must be {_rule(kinds[field.name], rules)}. Received: {name}={value!r}.{near}"
        )


def convert_numbers(instance: Any) -> None:
    """Makes the numbers of a frozen dataclass Python's own, and those of float fields floats."""
    kinds = _kinds(instance.__class__)
    for field in dataclasses.fields(instance):
        value = getattr(instance, field.name)
        if is_number(value):
            number = float(value) if float in kinds[field.name] else int(value)
            object.__setattr__(instance, field.name, number)


def describe_options(cls: type) -> pd.DataFrame:
    """Describes the fields of a dataclass that `option` declared.

    Args:
        cls: The dataclass.

    Returns:
        One row per field, indexed by name: ``values`` (what is accepted, in words), ``default``
        and ``description``.
    """
    import pandas as pd

    kinds = _kinds(cls)
    rows = {
        field.name: {
            "values": _rule(kinds[field.name], field.metadata[OPTION]),
            "default": default_of(field),
            "description": field.metadata[OPTION].description,
        }
        for field in dataclasses.fields(cls)
    }
    # Of dtype object, because pandas would turn a default of None into NaN.
    return pd.DataFrame.from_dict(rows, orient="index", dtype=object).rename_axis("name")


def default_of(field: dataclasses.Field) -> Any:
    """Returns the default value of a field."""
    if callable(field.default_factory):
        return field.default_factory()
    return field.default


def document_options(cls: Class) -> Class:
    """Class decorator: adds the fields to the docstring, as its ``Attributes``."""
    lines = []
    for field in dataclasses.fields(cls):
        text = f"{field.name}: {field.metadata[OPTION].description}"
        first, *further = textwrap.wrap(text, 88, break_on_hyphens=False)
        lines += [" " * 8 + first, *(" " * 12 + line for line in further)]
    summary, *sections = re.split(r"\n(?=    (?:Raises|Example):\n)", cls.__doc__ or "")
    cls.__doc__ = "\n".join([f"{summary.rstrip()}\n\n    Attributes:", *lines, "", *sections])
    return cls


@functools.cache  # evaluates all annotations of the class
def _kinds(cls: type) -> dict[str, tuple[Any, ...]]:
    """The types that each field accepts; of ``str | None`` both."""
    return {name: _members(hint) for name, hint in typing.get_type_hints(cls).items()}


def _members(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _fits(value: Any, kind: Any, rules: Option) -> bool:
    if kind in (int, float):
        whole, above, below = kind is int, rules.above, rules.below
        return is_number(value, rules.low, rules.high, whole=whole, above=above, below=below)
    if kind is str and rules.choices:
        return isinstance(value, str) and value in rules.choices
    if typing.get_origin(kind) is tuple:
        [item] = set(typing.get_args(kind)) - {...}
        expected = typing.get_origin(item) or item
        return isinstance(value, (list, tuple)) and all(isinstance(one, expected) for one in value)
    return isinstance(value, typing.get_origin(kind) or kind)


def _rule(kinds: tuple[Any, ...], rules: Option) -> str:
    """What a field accepts, in words."""
    if kinds == (str,) and rules.choices:
        return f"one of {list(rules.choices)}"
    words: list[str] = []
    for kind in kinds:
        if kind in (int, float):
            whole, above, below = kind is int, rules.above, rules.below
            limits = (rules.low, rules.high)
            words.append(number_rule(*limits, whole=whole, above=above, below=below))
        elif kind is str and rules.choices:
            words += map(repr, rules.choices)
        else:
            words.append(WORDS[kind])
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
