"""Tests of suggestions for mistyped names, and of counts."""

import pytest

from kerasface.names import counted, suggest


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("fliip", ["flip", "rotation"], " Did you mean 'flip'?"),
        (
            "resnet5",
            ["resnet50", "resnet50_v2", "vgg19"],
            " Did you mean 'resnet50' or 'resnet50_v2'?",
        ),
        ("zzz", ["flip", "rotation"], ""),
        ("flip", [], ""),
        ("", ["flip"], ""),
    ],
)
def test_near_names(name, known, expected):
    assert suggest(name, known) == expected


def test_at_most_three_names_nearest_first():
    known = [f"model_{i}" for i in range(9)]
    assert suggest("model_4", known).startswith(" Did you mean 'model_4' or ")
    assert suggest("model_4", known).count("'") == 6


def test_known_names_may_be_any_iterable():
    assert suggest("rotatoin", (name for name in {"rotation": 1})) == " Did you mean 'rotation'?"


def test_counts_with_their_noun():
    assert [counted(number, "face") for number in (0, 1, 2, 1500)] == [
        "0 faces",
        "1 face",
        "2 faces",
        "1,500 faces",
    ]
