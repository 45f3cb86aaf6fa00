"""Tests of folders of drawn faces."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasface.data.drawn import draw_face, drawn_faces
from kerasface.data.drawn import folder as folder_module
from kerasface.data.drawn.people import ATTRIBUTES

SMALL = {"identities": 3, "train": 4, "dev": 2, "test": 2, "size": 32}


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return drawn_faces(tmp_path_factory.mktemp("drawn") / "faces", **SMALL)


def test_folder_layout(folder):
    files = contents(folder)
    people = ["p0000", "p0001", "p0002"]
    expected = [f"train/{name}/{k:04d}.jpg" for name in people for k in range(4)]
    expected += [f"dev/{name}/{k:04d}.jpg" for name in people for k in (4, 5)]
    expected += [f"test/{k:06d}.jpg" for k in range(6)]
    tables = ["sample_submission", "test_labels", "attributes", "landmarks"]
    assert sorted(files) == sorted([*expected, *(f"{name}.csv" for name in tables), "drawn.json"])
    images = [files[name] for name in expected]
    assert len(set(images)) == len(images)
    assert json.loads(files["drawn.json"])["identities"] == 3
    with Image.open(folder / "train/p0002/0003.jpg") as image:
        difference = np.asarray(image, float) - draw_face(2, 3, size=32).image
    assert abs(difference).mean() < 8


def test_folder_tables(folder):
    sample = pd.read_csv(folder / "sample_submission.csv")
    truth = pd.read_csv(folder / "test_labels.csv")
    assert list(sample) == ["id", "label"] and (sample["label"] == 0).all()
    assert list(truth) == ["id", "name"]
    assert list(sample["id"]) == list(truth["id"]) == [f"{k:06d}.jpg" for k in range(6)]
    assert sorted(truth["name"]) == ["p0000", "p0000", "p0001", "p0001", "p0002", "p0002"]
    attributes = pd.read_csv(folder / "attributes.csv")
    assert list(attributes) == ["file", *ATTRIBUTES]
    landmarks = pd.read_csv(folder / "landmarks.csv").set_index("file")
    assert sorted(attributes["file"]) == sorted(landmarks.index) and len(landmarks) == 24
    face = draw_face(1, 5, size=32)
    row = landmarks.loc["dev/p0001/0005.jpg"]
    np.testing.assert_allclose(row[["left", "top", "width", "height"]], face.box, atol=0.01)
    np.testing.assert_allclose(row.iloc[4:], face.landmarks.ravel(), atol=0.01)
    flags = attributes.set_index("file").loc["dev/p0001/0005.jpg"]
    assert flags.to_dict() == face.attributes


def test_test_labels_are_true(folder):
    for _, row in pd.read_csv(folder / "test_labels.csv").iterrows():
        with Image.open(folder / "test" / row["id"]) as image:
            pixels = np.asarray(image, float)
        candidates = [draw_face(int(row["name"][1:]), k, size=32).image for k in (6, 7)]
        assert min(abs(pixels - candidate).mean() for candidate in candidates) < 8


def test_finished_folder_is_left_alone(folder, monkeypatch):
    before = contents(folder)

    def refuse(*args, **kwargs):
        raise AssertionError("drawn again")

    monkeypatch.setattr(folder_module, "draw_face", refuse)
    assert drawn_faces(folder, **SMALL) == folder
    assert contents(folder) == before


def test_interrupted_folder_is_completed(folder, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(folder_module, "_write_tables", interrupt)
    with pytest.raises(KeyboardInterrupt):
        drawn_faces(tmp_path, **SMALL)
    assert not (tmp_path / "drawn.json").exists()
    with pytest.raises(ValueError, match="other settings"):
        drawn_faces(tmp_path, **{**SMALL, "seed": 1})
    monkeypatch.undo()
    drawn_faces(tmp_path, **SMALL)
    assert contents(tmp_path) == contents(folder)


def test_folder_without_test_images(tmp_path):
    root = drawn_faces(str(tmp_path / "a" / "b"), identities=1, train=1, dev=0, test=0, size=24)
    assert (root / "sample_submission.csv").read_text() == "id,label\n"
    assert len(pd.read_csv(root / "attributes.csv")) == 1


@pytest.mark.parametrize(
    "other", [{"identities": 4}, {"train": 5}, {"dev": 1}, {"seed": 1}, {"quality": 80}]
)
def test_folder_with_other_settings_is_refused(folder, other):
    with pytest.raises(ValueError, match="other settings"):
        drawn_faces(folder, **{**SMALL, **other})


def test_folders_with_other_files_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="new or empty"):
        drawn_faces(tmp_path, **SMALL)
    with pytest.raises(ValueError, match="must be a folder"):
        drawn_faces(tmp_path / "notes.txt", **SMALL)
    assert contents(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("identities", 0),
        ("train", -1),
        ("dev", -1),
        ("test", -1),
        ("size", 23),
        ("seed", -1),
        ("quality", 0),
        ("quality", 96),
    ],
)
def test_drawn_faces_refuses(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        drawn_faces(tmp_path / "new", **{**SMALL, name: value})
    assert not (tmp_path / "new").exists()
