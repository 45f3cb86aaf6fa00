"""Checks of option values: what they refuse, and how they say so."""

import math

import numpy as np
import pytest

from kerasface.checks import check_choice, check_flag, check_number


def test_choice():
    check_choice("label", "index", ("index", "name"))
    message = r"`label` must be one of \['index', 'name'\]\. Received: label='nam'\. Did you mean"
    with pytest.raises(ValueError, match=message):
        check_choice("label", "nam", ("index", "name"))


@pytest.mark.parametrize("value", [0, 0.5, 1, np.float32(0.5), np.int64(1)])
def test_number_in_range(value):
    check_number("share", value, 0, 1)


@pytest.mark.parametrize(
    ("value", "limits", "rule"),
    [
        (2, (0, 1), r"a number in \[0, 1\]"),
        (math.nan, (0, 1), r"a number in \[0, 1\]"),
        (True, (0, 1), r"a number in \[0, 1\]"),
        ("1", (0, 1), r"a number in \[0, 1\]"),
        (None, (), "a number"),
        (0, (1,), "a number of at least 1"),
        (3, (-math.inf, 2), "a number of at most 2"),
    ],
)
def test_number_out_of_range(value, limits, rule):
    message = rf"`share` must be {rule}\. Received: share={value!r}\. Lower it\."
    with pytest.raises(ValueError, match=message):
        check_number("share", value, *limits, remedy="Lower it.")


@pytest.mark.parametrize(
    ("value", "options", "rule"),
    [
        (1, {"below": True}, r"a number in \[0, 1\)"),
        (0, {"above": True}, r"a number in \(0, 1\]"),
        (0.5, {"whole": True}, r"an integer in \[0, 1\]"),
    ],
)
def test_number_with_open_ends(value, options, rule):
    with pytest.raises(ValueError, match=rf"must be {rule}\. Received: share={value!r}\.$"):
        check_number("share", value, 0, 1, **options)


def test_flag():
    check_flag("flip", False)
    with pytest.raises(ValueError, match=r"`flip` must be True or False\. Received: flip=1"):
        check_flag("flip", 1)
