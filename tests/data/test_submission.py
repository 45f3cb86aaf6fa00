"""Submissions: ids, columns and order of the sample, labels by index or by name."""

import os

import numpy as np
import pandas as pd
import pytest

from kerasface.data.submission import read_sample, submission_frame, write_submission

PATHS = ["000001.jpg", "000002.jpg", "000010.jpg"]
NAMES = ["0042", "NA", "Müller, Anna"]


def sample_file(folder, text):
    path = folder / "sample.csv"
    path.write_text(text, encoding="utf-8")
    return path


def sample_frame(ids, labels=None):
    return pd.DataFrame({"id": ids, "label": labels or ["0"] * len(ids)}, dtype=object)


def test_order_and_columns_of_the_sample(tmp_path):
    sample = read_sample(
        sample_file(
            tmp_path,
            "file,person,weight\n000010.jpg,0,1.50\n000001.jpg,0,\n000002.jpg,0,NA\n",
        )
    )
    frame = submission_frame(PATHS, np.array([2, 0, 1]), NAMES, sample=sample)
    assert frame.to_dict("list") == {
        "file": ["000010.jpg", "000001.jpg", "000002.jpg"],
        "person": ["1", "2", "0"],
        "weight": ["1.50", "", "NA"],
    }
    assert sample["person"].tolist() == ["0", "0", "0"]


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_file_survives_reading_and_writing(tmp_path, mark, line_end):
    lines = ["id,label,note", "0003,NA,", "NA,0042,1.0", '"a, b","Müller, Anna","say ""x"""', ""]
    path = tmp_path / "sample.csv"
    path.write_bytes((mark + line_end.join(lines)).encode())
    sample = read_sample(path)
    frame = submission_frame(["NA.png", "a, b.png", "0003.png"], [0, 2, 1], NAMES, sample=sample)
    written = write_submission(tmp_path / "new" / "out.csv", frame)
    assert written.read_text(encoding="utf-8") == "\n".join(lines)


@pytest.mark.parametrize(
    ("labels", "names", "label", "expected"),
    [
        (["0", "0", "0"], ["ann", "bob", "cat"], None, ["2", "0", "1"]),
        (["0", "0", "0"], None, None, ["2", "0", "1"]),
        (["2", "1", "0"], ["ann", "bob", "cat"], None, ["2", "0", "1"]),
        (["bob", "ann", "bob"], ["ann", "bob", "cat"], None, ["cat", "ann", "bob"]),
        (["0", "0", "0"], ["ann", "bob", "cat"], "name", ["cat", "ann", "bob"]),
        (["bob", "bob", "bob"], ["ann", "bob", "cat"], "index", ["2", "0", "1"]),
        (["", "", ""], ["ann", "bob", "cat"], "name", ["cat", "ann", "bob"]),
        # Names that look like numbers: told apart where they can be.
        (["0042", "0007", "0042"], ["0007", "0042", "0100"], None, ["0100", "0007", "0042"]),
        (["7", "7", "7"], ["0007", "0042", "0100"], None, ["2", "0", "1"]),
        (["1", "1", "1"], ["0", "1", "2"], None, ["2", "0", "1"]),
        (["NA", "NA", "NA"], ["0042", "NA", "x"], None, ["x", "0042", "NA"]),
        (["1", "1", "1"], ["1", "2", "3"], "name", ["3", "1", "2"]),
        (["1", "1", "1"], ["1", "2", "3"], "index", ["2", "0", "1"]),
    ],
)
def test_label_kinds(labels, names, label, expected):
    sample = sample_frame(PATHS, labels)
    frame = submission_frame(PATHS, np.array([2, 0, 1]), names, sample=sample, label=label)
    assert frame["label"].tolist() == expected


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        (["1", "1", "1"], ["1", "2", "3"], r"\['1'\], which can be names and indices"),
        (["dan", "bob", "1"], ["ann", "bob"], r"\['1', 'bob', 'dan'\], which are neither"),
        (
            ["", "", ""],
            ["ann", "bob"],
            r"neither names nor indices\. Use label='index' or label='name'\.",
        ),
        (["ann", "ann", "ann"], None, r"label='name', and the class names\."),
    ],
)
def test_unclear_label_kind(labels, names, message):
    with pytest.raises(ValueError, match=message):
        submission_frame(PATHS, np.zeros(3, int), names, sample=sample_frame(PATHS, labels))


def test_without_a_sample():
    frame = submission_frame(PATHS, np.array([2, 0, 1]), None)
    assert frame.to_dict("list") == {"id": PATHS, "label": ["2", "0", "1"]}
    frame = submission_frame(PATHS, np.array([2, 0, 1]), NAMES, label="name")
    assert frame["label"].tolist() == ["Müller, Anna", "0042", "NA"]


@pytest.mark.parametrize(
    ("label", "names", "message"),
    [
        ("number", ["a"], r"must be one of \['index', 'name'\].*label='number'"),
        ("name", None, "names=None"),
    ],
)
def test_wrong_label_argument(label, names, message):
    with pytest.raises(ValueError, match=message):
        submission_frame(PATHS, np.zeros(3, int), names, label=label)


@pytest.mark.parametrize(
    ("paths", "ids"),
    [
        (["a/1.jpg", "b/2.jpg"], ["b/2.jpg", "a/1.jpg"]),
        (["a/1.jpg", "b/2.jpg"], ["2.jpg", "1.jpg"]),
        (["a/1.jpg", "b/2.jpg"], ["b/2", "a/1"]),
        (["a/1.jpg", "b/2.jpg"], ["2", "1"]),
        (["a/1.jpg", "b/1.jpg"], ["b/1", "a/1"]),
        (["1.jpg", "1.png"], ["1.png", "1.jpg"]),
        (["a.b.jpg", "a.c.jpg"], ["a.c", "a.b"]),
        (["ü x, y.jpg", "NA.jpg"], ["NA", "ü x, y"]),
        (["1.jpg", "0001.jpg"], ["0001", "1"]),
    ],
)
def test_forms_of_ids(paths, ids):
    frame = submission_frame(paths, np.array([5, 7]), None, sample=sample_frame(ids))
    assert frame.to_dict("list") == {"id": ids, "label": ["7", "5"]}


@pytest.mark.parametrize(
    ("paths", "ids", "message"),
    [
        (
            ["1.jpg"],
            ["1", "2", "3", "4", "5"],
            r"4 ids without a file \['2', '3', '4'\] and 0 files without an id \[\]",
        ),
        (
            ["1.jpg", "5.jpg", "4.jpg", "3.jpg", "2.jpg"],
            ["1.jpg"],
            r"0 ids without a file \[\] and 4 files without an id \['2.jpg', '3.jpg', '4.jpg'\]",
        ),
        (
            ["0001.jpg"],
            ["1"],
            r"1 ids without a file \['1'\] and 1 files without an id \['0001.jpg'\]",
        ),
        (["a/1.jpg", "b/1.jpg"], ["1"], r"1 ids .*\['1'\] and 2 files .*'a/1.jpg', 'b/1.jpg'"),
    ],
)
def test_ids_and_files_that_do_not_match(paths, ids, message):
    with pytest.raises(ValueError, match=message):
        submission_frame(paths, np.zeros(len(paths), int), None, sample=sample_frame(ids))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\n1\n2\n", r"an id column, a label column.*columns \['id'\] and 2 rows"),
        ("id,label\n", r"columns \['id', 'label'\] and 0 rows"),
        ("id,label\n1,0\n2,0\n1,0\n", r"\['1'\] more than once"),
        ("", "an empty file"),
        ("<html><body>Please log in</body></html>", "an HTML page.*Download it again"),
        ('id,label\n"1,0\n', "must be a CSV file"),
    ],
)
def test_unusable_sample(tmp_path, text, message):
    path = sample_file(tmp_path, text)
    with pytest.raises(ValueError, match=message) as error:
        read_sample(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kind", ["missing", "folder"])
def test_missing_sample(tmp_path, kind):
    path = tmp_path / "sample.csv"
    if kind == "folder":
        path.mkdir()
    with pytest.raises(FileNotFoundError, match=r"sample submission must be a CSV file.*sample"):
        read_sample(path)


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    path.write_text("old")

    def half(frame, file, **options):
        file.write_text("id,la")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half)
    with pytest.raises(OSError, match="disk full"):
        write_submission(path, sample_frame(PATHS))
    assert os.listdir(tmp_path) == ["out.csv"]
    assert path.read_text() == "old"


def test_failed_write_leaves_no_file(tmp_path, monkeypatch):
    def fail(frame, file, **options):
        file.write_text("id,la")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(OSError, match="disk full"):
        write_submission(tmp_path / "out.csv", sample_frame(PATHS))
    assert os.listdir(tmp_path) == []
