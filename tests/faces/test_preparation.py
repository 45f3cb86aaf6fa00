"""Tests of preparations: which faces count, how they are cut, and their settings as JSON."""

import json

import numpy as np
import pytest

from kerasface.data import draw_face
from kerasface.faces import DLIB, Face, Preparation, align, cut

PICTURE = draw_face(7, 0, size=200)
FACE = Face(PICTURE.box, 0.9, PICTURE.landmarks)
FACES = [Face((2, 3, 10, 10), 0.95), Face((40, 20, 11, 14), 0.9), Face((60, 30, 20, 25), 0.8)]


def no_faces(images):
    return [[] for _ in images]


@pytest.mark.parametrize(
    ("which", "chosen"), [("largest", [2]), ("central", [1]), ("best", [0]), ("all", [0, 1, 2])]
)
def test_chosen_faces(which, chosen):
    preparation = Preparation(faces=which)
    assert preparation.choose(FACES, (60, 90, 3)) == [FACES[number] for number in chosen]
    assert preparation.choose([], (60, 90, 3)) == []


def test_cut_is_aligned():
    (chip,) = DLIB.cut(PICTURE.image, [FACE])
    np.testing.assert_array_equal(chip, align(PICTURE.image, FACE, template="dlib"))
    arcface = Preparation(template="arcface", size=64, margin=0.1)
    (crop,) = arcface.cut(PICTURE.image, [FACE])
    np.testing.assert_array_equal(crop, align(PICTURE.image, FACE, 64, margin=0.1))


def test_cut_of_the_box():
    preparation = Preparation(align=False, size=32, margin=0.3)
    other = draw_face(8, 0, size=90)
    crops = preparation.cut_all([PICTURE.image, other.image], [FACE, Face(other.box, 1.0)])
    assert crops.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(crops[0], cut(PICTURE.image, FACE.box, 32, margin=0.3))
    np.testing.assert_array_equal(crops[1], cut(other.image, other.box, 32, margin=0.3))


def test_no_face_gives_no_crop():
    for align_ in (True, False):
        assert Preparation(align=align_).cut(PICTURE.image, []) == []


@pytest.mark.parametrize(
    "preparation",
    [
        DLIB,
        Preparation("mtcnn", (("min_face", 12), ("threshold", 0.7)), template="arcface", size=112),
        Preparation(align=False, size=224, margin=0.2, faces="all"),
    ],
)
def test_settings_are_read_back(preparation):
    assert Preparation.from_dict(json.loads(json.dumps(preparation.to_dict()))) == preparation


def test_settings_of_an_older_folder(tmp_path):
    assert Preparation.from_crops(tmp_path) is None
    settings = {"format": 3, "detector": "mtcnn", "options.min_face": 12, "size": 160}
    settings |= {"margin": 0.2, "align": True, "faces": "central", "without": "skip"}
    (tmp_path / "crops.json").write_text(json.dumps(settings))
    assert Preparation.from_crops(tmp_path) == Preparation(
        "mtcnn", (("min_face", 12),), True, "arcface", 160, 0.2, "central"
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"size": 112}', '{"detector": "mtcnn", "size": 0}'])
def test_damaged_settings_name_the_file(text, tmp_path):
    (tmp_path / "crops.json").write_text(text)
    with pytest.raises(ValueError, match=r"crops\.json must hold .*crops\.json'"):
        Preparation.from_crops(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "arcfaces"}, "Did you mean"),
        ({"faces": "first"}, "`faces` must be"),
        ({"size": 0}, "`size` must be"),
        ({"margin": 20}, "`margin` must be"),
        ({"align": 1}, "`align` must be"),
        ({"detector": no_faces, "options": (("threshold", 0.5),)}, "with a function"),
    ],
)
def test_mistakes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Preparation(**options)


def test_function_is_described():
    assert Preparation(no_faces).to_dict()["detector"].endswith("no_faces")
