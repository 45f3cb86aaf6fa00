"""Tests of the table of faces and of the check of its files."""

import dataclasses
import io
import os
import pathlib
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from PIL import ExifTags, Image

from kerasface.data.table import (
    DECODE_WITH_PILLOW,
    UNKNOWN_FORMAT,
    CheckReport,
    FaceTable,
    check,
)

PATHS = ["0042/a.jpg", "0042/b.jpg", "NA/c.jpg", "NA/d.jpg", "NA/e.jpg", "zoe/f.jpg", "zoe/g.jpg"]
LABELS = [0, 0, 1, 1, 1, 2, 2]
NAMES = ("0042", "NA", "zoe")
ATTRIBUTES = [[1, 0], [0, 0], [1, 1]]


def people(formats=None):
    return FaceTable("faces", PATHS, LABELS, NAMES, formats)


def smiles():
    return FaceTable("faces", PATHS[:3], ATTRIBUTES, ("Smiling", "Male"))


def test_fields():
    table = people()
    assert len(table) == 7
    assert table.root == pathlib.Path("faces")
    assert table.paths.dtype == object
    assert table.labels.dtype == np.int64
    assert table.names == NAMES
    assert table.formats is None
    assert not table.multi_label
    assert smiles().multi_label
    assert not FaceTable("faces", PATHS).multi_label
    with pytest.raises(dataclasses.FrozenInstanceError):
        table.labels = None


def test_full_paths():
    assert people().full_paths()[:2] == [
        os.path.join("faces", "0042/a.jpg"),
        os.path.join("faces", "0042/b.jpg"),
    ]


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1], ("a", "b"), "2 labels for 3 paths"),
        ([0, 1, 2], ("a", "b"), r"in \[0, 2\)\. Received: values from 0 to 2"),
        ([0, -1, 1], ("a", "b"), "values from -1 to 1"),
        ([0, 0, 0], (), r"in \[0, 0\)"),
        ([[0, 1]] * 3, ("a",), "2 columns for 1 names"),
        ([[0, 2]] * 3, ("a", "b"), r"in \[0, 2\)\. Received: values from 0 to 2"),
        ([[0, -1]] * 3, ("a", "b"), "values from -1 to 0"),  # CelebA's own coding
        ([[0]] * 2, ("a",), "2 labels for 3 paths"),
        ([0.0, 0.9, 1.0], ("a", "b"), "must be integers.*float64"),
        (["0", "1", "1"], ("a", "b"), "must be integers.*<U1"),
        ([[[0]]] * 3, ("a",), r"shape \(3, 1, 1\)"),
        (0, ("a",), r"shape \(\)"),
    ],
)
def test_wrong_labels_are_refused(labels, names, message):
    with pytest.raises(ValueError, match=message):
        FaceTable("faces", PATHS[:3], labels, names)


def test_one_format_an_image():
    with pytest.raises(ValueError, match="2 formats for 7 paths"):
        people(formats=[1, 1])


@pytest.mark.parametrize(
    "rows",
    [[5, 0, 5], np.array([5, 0, 5], np.int32), pd.Series([5, 0, 5])],
    ids=["list", "array", "series"],
)
def test_take_positions(rows):
    taken = people(formats=[1, 2, 3, 4, 5, 6, 7]).take(rows)
    assert list(taken.paths) == ["zoe/f.jpg", "0042/a.jpg", "zoe/f.jpg"]
    assert list(taken.labels) == [2, 0, 2]
    assert list(taken.formats) == [6, 1, 6]
    assert taken.names == NAMES
    assert taken.root == people().root


@pytest.mark.parametrize("rows", [np.equal(LABELS, 1), [label == 1 for label in LABELS]])
def test_take_mask(rows):
    taken = people().take(rows)
    assert list(taken.paths) == PATHS[2:5]
    assert list(taken.labels) == [1, 1, 1]
    assert taken.formats is None


def test_take_attributes_and_unlabeled():
    np.testing.assert_array_equal(smiles().take([2, 0]).labels, [[1, 1], [1, 0]])
    unlabeled = FaceTable("faces", PATHS).take([1])
    assert unlabeled.labels is None
    assert list(unlabeled.paths) == PATHS[1:2]


def test_take_nothing():
    assert len(people().take([])) == 0
    assert people().take([]).names == NAMES


@pytest.mark.parametrize("rows", [[7], [True, False]])
def test_take_out_of_range(rows):
    with pytest.raises(IndexError):
        people().take(rows)


def many(classes=9, each=20):
    labels = np.tile(np.arange(classes), each)
    paths = [f"{label}/{i}.jpg" for i, label in enumerate(labels)]
    formats = np.arange(len(paths)) % 9
    return FaceTable("faces", paths, labels, [f"p{i}" for i in range(classes)], formats)


def test_split_is_stratified_disjoint_complete_and_in_order():
    table = many()
    train, validation = table.split(validation=0.2, seed=3)
    assert list(train.counts()) == [16] * 9
    assert list(validation.counts()) == [4] * 9
    assert sorted([*train.paths, *validation.paths]) == sorted(table.paths)
    row = {path: i for i, path in enumerate(table.paths)}
    for part in (train, validation):
        rows = [row[path] for path in part.paths]
        assert rows == sorted(rows)
        np.testing.assert_array_equal(part.labels, table.labels[rows])
        np.testing.assert_array_equal(part.formats, table.formats[rows])
        assert part.names == table.names


def test_split_repeats_and_follows_its_seed():
    chosen = [tuple(many().split(0.2, seed)[1].paths) for seed in (0, 0, 1, 2)]
    assert chosen[0] == chosen[1]
    assert len(set(chosen)) == 3


def test_split_names_the_class_with_a_single_image():
    table = FaceTable("faces", PATHS[:6], LABELS[:6], NAMES)
    with pytest.raises(ValueError, match=r"single image of \['zoe'\]"):
        table.split()


@pytest.mark.parametrize(
    ("table", "what"), [(smiles(), "attributes"), (FaceTable("faces", PATHS), "unlabeled")]
)
def test_split_needs_classes(table, what):
    with pytest.raises(ValueError, match=f"one class per image. Received: an? .*{what}"):
        table.split()


def test_counts():
    table = FaceTable("faces", PATHS[:5], LABELS[:5], NAMES)
    assert table.counts().to_dict() == {"0042": 2, "NA": 3, "zoe": 0}
    assert list(table.counts().index) == list(NAMES)
    assert smiles().counts().to_dict() == {"Smiling": 2, "Male": 1}
    with pytest.raises(ValueError, match="unlabeled"):
        FaceTable("faces", PATHS).counts()


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (people(), "7 images of 3 classes in faces (2 to 3 each, median 2)"),
        (smiles(), "3 images of 2 attributes in faces (1 to 2 each, median 2)"),
        (FaceTable("faces", PATHS), "7 unlabeled images in faces"),
    ],
)
def test_summary(table, expected):
    assert table.summary() == expected


def test_to_frame():
    frame = people().to_frame()
    assert list(frame) == ["path", "label", "name"]
    assert list(frame["path"]) == PATHS
    assert list(frame["label"]) == LABELS
    assert list(frame["name"]) == ["0042", "0042", "NA", "NA", "NA", "zoe", "zoe"]
    frame = smiles().to_frame()
    assert list(frame) == ["path", "Smiling", "Male"]
    np.testing.assert_array_equal(frame[["Smiling", "Male"]], ATTRIBUTES)
    assert list(FaceTable("faces", PATHS).to_frame()) == ["path"]


def test_to_frame_through_csv_keeps_names_strings():
    text = people().to_frame().to_csv(index=False)
    frame = pd.read_csv(io.StringIO(text), dtype={"name": str}, keep_default_na=False)
    pd.testing.assert_frame_equal(frame, people().to_frame(), check_dtype=False)
    assert set(map(type, frame["name"])) == {str}


def picture(kind="RGB", size=24):
    values = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(kind)


def exif(orientation):
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = orientation
    return block


@pytest.fixture
def folder(tmp_path):
    """Good files of all kinds, `a` to `h`, with three broken ones between them."""
    picture().save(tmp_path / "a.jpg")
    picture().save(tmp_path / "b.jpg", exif=exif(6))
    (tmp_path / "broken1.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:700])
    picture("L").save(tmp_path / "c.png", exif=exif(3))
    picture("RGBA").save(tmp_path / "d.png")
    (tmp_path / "broken2.png").write_text("no picture")
    picture("CMYK").save(tmp_path / "e.jpg", exif=exif(6))
    picture().save(tmp_path / "f.webp")
    picture().save(tmp_path / "g.jpg", exif=exif(0))
    picture("P").save(tmp_path / "h.gif")
    return tmp_path


FILES = [
    ("a.jpg", 1),
    ("broken1.jpg", None),
    ("b.jpg", 6),
    ("c.png", 3),
    ("broken2.png", None),
    ("d.png", DECODE_WITH_PILLOW),
    ("missing.jpg", None),
    ("e.jpg", DECODE_WITH_PILLOW),
    ("f.webp", DECODE_WITH_PILLOW),
    ("g.jpg", 1),
    ("h.gif", DECODE_WITH_PILLOW),
]


def files_table(root):
    names = tuple(name for name, _ in FILES)
    return FaceTable(root, names, np.arange(len(names)), names)


@pytest.mark.parametrize("workers", [None, 1, 8])
def test_check_keeps_what_can_be_read(folder, workers):
    report = check(files_table(folder), max_unreadable=1, workers=workers)
    assert isinstance(report, CheckReport)
    good = [(i, name, code) for i, (name, code) in enumerate(FILES) if code is not None]
    rows, names, formats = (list(column) for column in zip(*good, strict=True))
    assert list(report.table.paths) == names
    assert list(report.table.labels) == rows
    assert report.table.formats.dtype == np.int8
    assert list(report.table.formats) == formats
    assert report.table.names == files_table(folder).names


def test_check_lists_the_others_with_reasons(folder):
    unreadable = check(files_table(folder), max_unreadable=1).unreadable
    assert list(unreadable) == ["path", "reason"]
    assert list(unreadable["path"]) == ["broken1.jpg", "broken2.png", "missing.jpg"]
    for reason, word in zip(
        unreadable["reason"], ["truncated", "no image format", "No such file"], strict=True
    ):
        assert word in reason


def test_check_of_readable_files(folder):
    table = files_table(folder).take([0, 2])
    report = check(table, max_unreadable=0)
    assert list(report.table.paths) == ["a.jpg", "b.jpg"]
    assert len(report.unreadable) == 0
    assert list(report.unreadable) == ["path", "reason"]
    assert table.formats is None  # the table itself stays


def test_check_replaces_old_formats(folder):
    table = dataclasses.replace(files_table(folder).take([0, 2]), formats=[UNKNOWN_FORMAT, 1])
    assert list(check(table).table.formats) == [1, 6]


def test_check_of_an_empty_table():
    assert len(check(FaceTable("faces", [])).table) == 0


def test_broken_exif_does_not_stop_the_check(tmp_path):
    picture().save(tmp_path / "a.jpg", exif=b"Exif\0\0nothing that is EXIF", dpi=(72, 72))
    assert list(check(FaceTable(tmp_path, ["a.jpg"])).table.formats) == [1]


def test_check_leaves_the_warning_filters_alone(tmp_path):
    picture().save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the remarks on odd EXIF blocks stay unheard
        before = list(warnings.filters)
        report = check(FaceTable(tmp_path, ["a.jpg"] * 100), workers=8)
        assert list(warnings.filters) == before
    assert len(report.table) == 100


@pytest.mark.parametrize(("share", "fits"), [(3 / 11, True), (0.27, False), (0, False)])
def test_check_accepts_a_share_of_unreadable_files(folder, share, fits):
    table = files_table(folder)
    if fits:
        assert len(check(table, max_unreadable=share).table) == 8
        return
    with pytest.raises(ValueError, match="3 of 11") as caught:
        check(table, max_unreadable=share)
    for name in ("broken1.jpg (", "broken2.png (", "missing.jpg (", str(folder)):
        assert name in str(caught.value)


def test_check_names_only_the_first_few(tmp_path):
    with pytest.raises(ValueError, match="50 of 50") as caught:
        check(FaceTable(tmp_path, [f"{i:02d}.jpg" for i in range(50)]))
    assert "02.jpg (" in str(caught.value)
    assert "03.jpg" not in str(caught.value)
    assert "; ..." in str(caught.value)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_check_share_out_of_range(share):
    with pytest.raises(ValueError, match=r"in \[0, 1\].*max_unreadable="):
        check(people(), max_unreadable=share)


@pytest.mark.parametrize(
    ("verbose", "terminal", "shown"), [(1, True, True), (1, False, False), (0, True, False)]
)
def test_check_shows_progress_on_a_terminal(folder, capsys, monkeypatch, verbose, terminal, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    check(files_table(folder), max_unreadable=1, verbose=verbose)
    output = capsys.readouterr()
    assert output.out == ""
    assert ("Checking images" in output.err) == shown
