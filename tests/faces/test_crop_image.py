"""Tests of cropping one photograph: names, choice of faces, rows and files."""

import pathlib

import numpy as np
import pytest

from kerasface import images
from kerasface.faces import Face, cut
from kerasface.faces.crop_image import COLUMNS, CropPlan, crop_image

IMAGE = np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)
FACES = [Face((2, 3, 10, 10), 0.95), Face((40, 20, 11, 14), 0.9), Face((60, 30, 20, 25), 0.8)]


@pytest.fixture
def plan(tmp_path):
    def make(**changes):
        settings = {"size": 16, "margin": 0.1, "align": False, "faces": "largest"}
        settings |= {"without": "skip", "suffix": ".png"}
        (tmp_path / "source").mkdir(exist_ok=True)
        (tmp_path / "target" / ".crops").mkdir(parents=True, exist_ok=True)
        return CropPlan(tmp_path / "source", tmp_path / "target", **(settings | changes))

    return make


@pytest.mark.parametrize(
    ("name", "suffix", "number", "expected"),
    [
        ("a/1.png", ".png", None, "a/1.png"),
        ("a/1.PNG", ".png", 2, "a/1.2.PNG"),
        ("a/1.jpeg", ".jpg", None, "a/1.jpeg"),
        ("a/1.jpeg", ".png", None, "a/1.jpeg.png"),
        ("a.b/1", ".jpg", 0, "a.b/1.0.jpg"),
    ],
)
def test_names_of_crops(plan, name, suffix, number, expected):
    assert plan(suffix=suffix).output_name(name, number) == expected


@pytest.mark.parametrize(
    ("faces", "chosen"), [("largest", [2]), ("central", [1]), ("best", [0]), ("all", [0, 1, 2])]
)
def test_chosen_faces(plan, faces, chosen):
    options = plan(faces=faces)
    rows = crop_image(options, "1.png", IMAGE, FACES)
    assert [int(row["face"]) for row in rows] == [number + 1 for number in chosen]
    for row, number in zip(rows, chosen, strict=True):
        assert tuple(row) == COLUMNS
        assert row["faces"] == "3"
        pixels = images.decode((options.target / row["crop"]).read_bytes())
        np.testing.assert_array_equal(pixels, cut(IMAGE, FACES[number].box, 16, margin=0.1))


def test_crop_is_cut_at_the_rounded_place_of_its_row(plan):
    options = plan()
    face = Face((10.04, 10.06, 20.04, 20.06), 0.123456, np.full((5, 2), 12.34) + np.eye(5, 2))
    (row,) = crop_image(options, "1.png", IMAGE, [face])
    place = [row[key] for key in ("left", "top", "width", "height", "score", "left_eye_x")]
    assert place == ["10.0", "10.1", "20.0", "20.1", "0.1235", "13.3"]
    pixels = images.decode((options.target / "1.png").read_bytes())
    np.testing.assert_array_equal(pixels, cut(IMAGE, (10.0, 10.1, 20.0, 20.1), 16, margin=0.1))


@pytest.mark.parametrize(
    ("without", "outcome", "written"), [("skip", "skipped", 0), ("center", "center", 1)]
)
def test_photograph_without_a_face(plan, without, outcome, written):
    options = plan(without=without)
    (row,) = crop_image(options, "1.png", IMAGE, [])
    assert (row["outcome"], row["reason"]) == (outcome, "no face found")
    assert len([path for path in options.target.iterdir() if path.is_file()]) == written


def test_alignment_needs_landmarks(plan):
    with pytest.raises(ValueError, match=r"without landmarks.*Photograph: 1\.png"):
        crop_image(plan(align=True), "1.png", IMAGE, FACES)


def test_plan_knows_its_work_folder():
    plan = CropPlan(pathlib.Path("a"), pathlib.Path("b"), 16, 0.0, True, "best", "skip", ".jpg")
    assert plan.work_folder == pathlib.Path("b/.crops")
