"""Options that are declared next to the fields of a dataclass."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from kerasface.options import (
    check_options,
    convert_numbers,
    describe_options,
    document_options,
    option,
)


@document_options
@dataclasses.dataclass(frozen=True)
class Settings:
    """Some settings.

    Raises:
        ValueError: Never.
    """

    count: int = option(1, "How many.", low=1)
    share: float = option(0.5, "How much, " + "with many words " * 10, low=0, high=1, above=True)
    rate: float | None = option(None, "Rate.", low=0, high=1, below=True)
    mode: str = option("fast", "Mode.", choices=("fast", "exact"))
    layers: str | int = option("all", "Layers.", choices=("all", "none"), low=2)
    name: str | None = option(None, "Name.")
    on: bool = option(False, "Whether it is on.")
    steps: tuple[str, ...] = option(tuple, "Steps.")
    options: Mapping[str, Any] = option(dict, "Options.")
    parts: tuple[Mapping[str, Any], ...] = option(tuple, "Parts.", extra=3)


@pytest.mark.parametrize(
    "values",
    [
        {"count": np.int64(3), "share": np.float32(0.5)},
        {"share": 1, "rate": 0},
        {"rate": None, "name": "x"},
        {"layers": 2},
        {"layers": "none", "on": True},
        {"steps": ["a"], "options": {"a": 1}, "parts": [{"a": 1}]},
    ],
)
def test_accepted(values):
    settings = Settings(**values)
    check_options(settings)
    convert_numbers(settings)
    for name, value in values.items():
        assert getattr(settings, name) == value
    assert (type(settings.count), type(settings.share)) == (int, float)
    assert type(settings.on) is bool


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"count": 0}, "an integer of at least 1. Received: deep.count=0."),
        ({"count": True}, "an integer of at least 1"),
        ({"count": 2.0}, "an integer of at least 1"),
        ({"share": 0}, r"a number in \(0, 1\]"),
        ({"share": math.nan}, r"a number in \(0, 1\]"),
        ({"rate": 1}, r"a number in \[0, 1\) or None"),
        ({"mode": "fats"}, r"one of \['fast', 'exact'\].*Did you mean 'fast'"),
        ({"mode": None}, r"one of \['fast', 'exact'\]"),
        ({"layers": 1}, "'all', 'none' or an integer of at least 2"),
        ({"layers": "al"}, "'all', 'none' or an integer of at least 2.*Did you mean 'all'"),
        ({"name": 3}, "a string or None"),
        ({"on": 1}, "True or False"),
        ({"steps": "a"}, "a list of strings"),
        ({"steps": [1]}, "a list of strings"),
        ({"options": [1]}, "a mapping of options"),
        ({"parts": [1]}, "a list of mappings of options"),
    ],
)
def test_refused(values, rule):
    [name] = values
    with pytest.raises(ValueError, match=f"`deep.{name}` must be {rule}"):
        check_options(Settings(**values), prefix="deep.")


def test_description():
    table = describe_options(Settings)
    assert table.index.tolist() == [field.name for field in dataclasses.fields(Settings)]
    assert table.loc["count"].tolist() == ["an integer of at least 1", 1, "How many."]
    assert table.loc["options", "default"] == {}


def test_docstring():
    first, attributes, end = Settings.__doc__.split("\n\n")
    assert (first, end) == ("Some settings.", "    Raises:\n        ValueError: Never.\n    ")
    lines = attributes.split("\n")
    assert lines[:2] == ["    Attributes:", "        count: How many."]
    assert lines[3].startswith(" " * 12) and max(map(len, lines)) <= 100


def test_further_metadata():
    assert {f.name: f.metadata.get("extra") for f in dataclasses.fields(Settings)}["parts"] == 3
