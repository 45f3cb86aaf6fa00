"""Tests of the folder of crops: settings, journal and table."""

import dataclasses
import json
import os

import pytest

from kerasface.faces.crop_image import CropPlan, empty_row
from kerasface.faces.crop_store import JOURNAL, CropStore, file_stamp


@pytest.fixture
def plan(tmp_path):
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    for name in ("1.png", "2.png"):
        (tmp_path / "source" / name).write_bytes(b"photograph")
    folders = tmp_path / "source", tmp_path / "target"
    return CropPlan(*folders, 16, 0.2, False, "largest", "skip", ".png")


def result(plan, name):
    """The row of a photograph, with its crop written."""
    (plan.target / name).write_bytes(b"crop")
    stamp = file_stamp(plan.source / name)
    return {name: [empty_row(name, "face", "", name) | {"stamp": stamp}]}


def claimed(plan, detector="mtcnn", **options):
    store = CropStore(plan)
    store.claim(detector, options)
    store.load()
    return store


def test_journal_is_resumed(plan):
    store = claimed(plan)
    with store.journal() as journal:
        store.add(result(plan, "1.png"), journal)
        journal.write('{"2.png": [{"file"')  # cut off by a kill
    again = claimed(plan)
    assert again.is_done("1.png")
    assert not again.is_done("2.png")
    with again.journal() as journal:
        again.add(result(plan, "2.png"), journal)
    lines = (plan.work_folder / JOURNAL).read_text().split("\n")
    assert [list(json.loads(line)) for line in (lines[1], lines[3])] == [["1.png"], ["2.png"]]
    table = again.finish({"1.png", "2.png"})
    assert table["file"].tolist() == ["1.png", "2.png"]
    assert not plan.work_folder.exists()
    assert claimed(plan).is_done("2.png")


@pytest.mark.parametrize("change", ["photograph", "time", "crop"])
def test_changed_photograph_is_not_done(plan, change):
    store = claimed(plan)
    with store.journal() as journal:
        store.add(result(plan, "1.png"), journal)
    assert store.is_done("1.png")
    if change == "photograph":
        (plan.source / "1.png").write_bytes(b"another photograph")
    elif change == "time":
        os.utime(plan.source / "1.png", (1, 1))
    else:
        (plan.target / "1.png").unlink()
    assert not store.is_done("1.png")


def test_missing_photographs_keep_their_crops(plan):
    store = claimed(plan)
    with store.journal() as journal:
        for name in ("1.png", "2.png"):
            store.add(result(plan, name), journal)
    (plan.target / "2.png").unlink()
    with pytest.warns(UserWarning, match=r"^1 photographs .* missing, for instance \['1\.png'\]"):
        table = store.finish(set())
    assert table["file"].tolist() == ["1.png"]


def test_settings_are_claimed(plan):
    claimed(plan, min_face=20)
    with pytest.raises(KeyError):
        json.loads((plan.target / "crops.json").read_text())["options.threshold"]
    claimed(plan, min_face=30)  # no crops were made yet
    result(plan, "1.png")
    with pytest.raises(ValueError, match=r"Received: options\.min_face=20, .* options.min_face=30"):
        claimed(plan, min_face=20)
    with pytest.raises(ValueError, match="detector='retinaface'"):
        claimed(plan, "retinaface", min_face=30)


def test_older_folder_has_the_arcface_template(plan):
    claimed(plan)
    path = plan.target / "crops.json"
    settings = json.loads(path.read_text())
    assert settings.pop("template") == "arcface"
    path.write_text(json.dumps(settings))
    result(plan, "1.png")
    claimed(plan)
    other = dataclasses.replace(plan, align=True, template="dlib")
    with pytest.raises(ValueError, match=r"template='dlib'.* have .*template='arcface'"):
        claimed(other)


def test_stamp_of_a_missing_file_is_empty(tmp_path):
    assert file_stamp(tmp_path / "none") == ""
