"""Tests of the commands that prepare images: faces, crop and split."""

import inspect
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasface.cli.faces import split
from kerasface.data.duplicates import NEAR_DUPLICATE
from kerasface.faces import Face, register_detector
from kerasface.faces.detectors import registry

CROPS = pd.DataFrame(
    {
        "file": ["a.jpg", "a.jpg", "b.jpg", "c.jpg"],
        "outcome": ["face", "face", "skipped", "unreadable"],
        "crop": ["a.1.jpg", "a.2.jpg", "", ""],
    }
)


def test_crop(shell, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "kerasface.faces.crop", lambda *folders, **words: calls.append((folders, words)) or CROPS
    )
    code, out, err = shell(
        "crop", tmp_path, tmp_path / "crops", "--detector", "retinaface", "--size", "112",
        "--margin", "0.1", "--align", "--template", "dlib", "--faces", "all", "--without", "copy",
        "--suffix", ".png", "--processes", "2", "--set", "threshold=0.5", "turned=true",
    )  # fmt: skip
    assert (code, err) == (0, "")
    ((folders, words),) = calls
    assert folders == (tmp_path, tmp_path / "crops")
    assert words == {
        "detector": "retinaface",
        "options": {"threshold": 0.5, "turned": True},
        "size": 112,
        "margin": 0.1,
        "align": True,
        "template": "dlib",
        "faces": "all",
        "without": "copy",
        "suffix": ".png",
        "processes": 2,
        "verbose": 1,
    }
    assert "3 files: 1 with a face, 1 skipped without a face, 1 unreadable" in out
    assert "Wrote 2 images: " in out
    assert "--contact-sheet" in out


def test_crop_by_default(shell, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "kerasface.faces.crop", lambda *folders, **words: calls.append(words) or CROPS
    )
    assert shell("crop", tmp_path, tmp_path / "crops")[0] == 0
    assert calls[0] == {
        "detector": "blazeface",
        "options": {},
        "size": None,
        "margin": None,
        "align": False,
        "template": "arcface",
        "faces": "largest",
        "without": "skip",
        "suffix": ".jpg",
        "processes": None,
        "verbose": 1,
    }


@pytest.mark.parametrize(
    ("crops", "fragment"),
    [
        (["a.jpg", "b.jpg"], "one folder per person to train on them, or compare two"),
        (["trip/a.jpg", "trip/b.jpg"], "one folder per person"),
        (["ann/a.jpg", "b.jpg"], "one folder per person"),
        (["ann/a.jpg", "bob/b.jpg"], "kerasface split {target} data, then kerasface train auto"),
        (["train/ann/a.jpg", "dev/ann/b.jpg"], "Next: kerasface train auto --data {target} --out"),
        ([], "faces {source} --out pictures"),
    ],
)
def test_next_step_after_crop(shell, tmp_path, monkeypatch, crops, fragment):
    rows = [(name, "face", name) for name in crops] or [("a.jpg", "skipped", "")]
    table = pd.DataFrame(rows, columns=["file", "outcome", "crop"])
    monkeypatch.setattr("kerasface.faces.crop", lambda *folders, **words: table)
    source, target = tmp_path / "my photographs", tmp_path / "crops"
    code, out, _ = shell("crop", source, target)
    assert code == 0
    assert fragment.format(source=f"'{source}'", target=target) in out


def test_interrupted_crop(shell, tmp_path, monkeypatch):
    def interrupted(*folders, **words):
        raise KeyboardInterrupt

    monkeypatch.setattr("kerasface.faces.crop", interrupted)
    code, out, err = shell("crop", tmp_path, tmp_path / "crops")
    assert (code, out) == (130, "")
    assert err.strip() == "Interrupted. Repeat the command to resume."


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (("--faces", "big"), "`--faces` must be one of"),
        (("--size", "0"), "`--size` must be"),
        (("--detector", "mtcn"), "Did you mean 'mtcnn'?"),
    ],
)
def test_crop_mistakes(mistake, faces, tmp_path, words, fragment):
    assert fragment in mistake("crop", faces / "train", tmp_path / "crops", *words)


def test_split(shell, faces, tmp_path):
    code, out, err = shell(
        "split", faces / "train", tmp_path / "data", "--train", "0.5", "--validation", "0.5",
        "--test", "0", "--seed", "3", "--how", "symlink", "--distance", "-1",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "24 images of 4 people: 12 train, 12 validation" in out
    assert "kept together: 0" in out
    assert len(list((tmp_path / "data" / "train").rglob("*.jpg"))) == 12
    table = pd.read_csv(tmp_path / "data" / "split.csv")
    assert table["partition"].value_counts().to_dict() == {"train": 12, "validation": 12}


def test_split_warns_of_people_with_few_images(shell, faces, data, tmp_path):
    for path in sorted((data / "train" / "p0000").iterdir())[2:]:
        path.unlink()
    code, out, err = shell("split", data / "train", tmp_path / "split", "--small", "test")
    assert code == 0
    assert err.startswith("Warning: 1 of 4 people") and "go to 'test': p0000." in err
    assert len(err.splitlines()) == 1
    assert "20 images of 4 people" in out


def test_split_mistake(mistake, faces, tmp_path):
    line = mistake("split", faces / "train", tmp_path / "data", "--train", "0.9")
    assert "sum to 1. Received: --train 0.9" in line


def test_default_distance_is_that_of_near_duplicates():
    assert inspect.signature(split).parameters["distance"].default == NEAR_DUPLICATE


@pytest.fixture
def detections(monkeypatch):
    """Calls of `detect`, which is replaced and detects one face, or two in photograph 0002."""
    calls = []

    def detect(images, detector, **options):
        calls.append((detector, options))
        faces = [Face((5, 5, 20, 20), 0.9), Face((8, 9, 20, 20), 0.8)]
        return [faces[: len(calls)] for _ in images]

    for place in ("kerasface.faces", "kerasface.faces.drawing"):
        monkeypatch.setattr(f"{place}.detect", detect)
    return calls


def test_faces_of_photograph(shell, faces, tmp_path, detections):
    photo = faces / "train" / "p0001" / "0002.jpg"
    out = tmp_path / "new" / "boxes.png"
    words = ["faces", photo, "--out", out, "--set", "min_face=12"]
    code, text, err = shell(*words)
    assert (code, err) == (0, "")
    assert text == f"1 face in 0002.jpg: {out}\n"
    assert detections == [("blazeface", {"min_face": 12})]
    drawn = np.asarray(Image.open(out))
    assert drawn.shape == (32, 32, 3)
    assert (drawn != np.asarray(Image.open(photo))).any()
    assert shell(*words, "--overwrite")[1].startswith("2 faces in 0002.jpg: ")


def test_faces_of_folder(shell, tmp_path, faces, detections):
    folder = tmp_path / "photographs"
    shutil.copytree(faces / "train" / "p0001", folder / "p0001")
    (folder / "broken.jpg").write_bytes(b"no image")
    out = tmp_path / "pictures"
    code, text, err = shell("faces", folder, "--out", out)
    assert (code, err) == (0, "")
    assert text.splitlines() == [
        f"11 faces in 6 photographs: {out}",
        "Photographs with several faces: 5",
        "Photographs without a face: 0",
        "Unreadable files: 1",
        "  broken.jpg: no image format is recognized",
    ]
    assert len(list(out.rglob("*.jpg"))) == 6


def test_contact_sheet(shell, faces, tmp_path):
    out = tmp_path / "sheet.png"
    words = ["faces", faces / "train", "--contact-sheet", "--out", out, "--limit", "12"]
    code, text, err = shell(*words)
    assert (code, err) == (0, "")
    assert text.startswith("12 of 24 images: ")
    width, height = Image.open(out).size
    assert width == 12 * 100 + 4
    assert 100 < height < 140  # one row, with captions


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (("--limit", "3", "--out", "new"), "`--limit` has no effect without --contact-sheet"),
        (("--contact-sheet", "--detector", "mtcnn"), "`--detector` has no effect with"),
        (("--contact-sheet", "--set", "min_face=12"), "`--set` has no effect with"),
        (("--contact-sheet", "--limit", "0"), "`--limit` must be an integer of at least 1"),
        (("--contact-sheet",), "which exists"),
        ((), "`--out` must be a folder, because each photograph gets its own picture"),
        (("--out", "."), "which holds files"),
        (("--out", "new", "--detector", "mtcn"), "Did you mean 'mtcnn'?"),
        (("--out", "new", "--set", "min_fac=12"), "Did you mean 'min_face'?"),
    ],
)
def test_faces_mistakes(mistake, faces, tmp_path, monkeypatch, words, fragment):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sheet.png").write_bytes(b"kept")
    assert fragment in mistake("faces", faces / "train", "--out", "sheet.png", *words)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    ("out", "fragment"), [("boxes", "image format"), ("boxes.txt", "image format")]
)
def test_faces_refuses_unknown_image_format(mistake, faces, tmp_path, out, fragment):
    photo = faces / "train" / "p0001" / "0002.jpg"
    assert fragment in mistake("faces", photo, "--out", tmp_path / out)


def test_faces_refuses_unreadable_photograph(mistake, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    out = tmp_path / "boxes.png"
    assert "no image format" in mistake("faces", tmp_path / "a.jpg", "--out", out)
    assert "nowhere.jpg" in mistake("faces", tmp_path / "nowhere.jpg", "--out", out)
    assert not out.exists()


def test_registered_detector_by_name(shell, faces, tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})

    def load(*, least=0.0):
        return lambda images: [[Face((2, 2, 20, 20), 0.9)] for _ in images]

    register_detector("own", load)
    photographs = faces / "train" / "p0001"
    words = ["crop", photographs, tmp_path / "crops", "--detector", "own"]
    code, out, err = shell(*words, "--set", "least=0.5")
    assert (code, err) == (0, "")
    assert f"{len(list(photographs.iterdir()))} with a face" in out
    code, _, err = shell(*words[:2], tmp_path / "other", *words[3:], "--set", "leats=0.5")
    assert code != 0 and "Did you mean 'least'" in err
