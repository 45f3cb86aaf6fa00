"""Tests of atomic writes, locks and the kinds of files."""

import errno
import os
import subprocess
import sys

import filelock
import pandas as pd
import pytest

from kerasface.files import (
    LOCK,
    WITHOUT_LOCKS,
    check_file_to_write,
    check_folder_to_write,
    check_text_table,
    content_kind,
    locked,
    new_folder,
    read_text_table,
    replacing,
    write_csv,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(target, error):
    with replacing(target) as part:
        part.write_text("half")
        raise error("disk full")


def test_new_file(tmp_path):
    with replacing(tmp_path / "table.csv") as part:
        part.write_text("new")
        assert names(tmp_path) == [part.name]  # the final name does not exist yet
    assert names(tmp_path) == ["table.csv"]
    assert (tmp_path / "table.csv").read_text() == "new"


def test_old_file_is_replaced(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with replacing(target) as part:
        part.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(tmp_path) == ["table.csv"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_old_file_is_kept_after_error(tmp_path, error):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(error):
        write_half(target, error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_no_file_after_error(tmp_path):
    with pytest.raises(ValueError, match="disk full"):
        write_half(tmp_path / "table.csv", ValueError)
    assert names(tmp_path) == []


def test_block_that_writes_nothing_raises_error(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(target):
        pass
    assert target.read_text() == "old"


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5", "curves.png"])
def test_temporary_file_is_hidden_and_has_the_suffix(tmp_path, name):
    target = tmp_path / name
    with replacing(str(target)) as part:
        assert part.parent == tmp_path
        assert part.name.startswith(".")
        assert part.suffix == target.suffix
        part.write_bytes(b"x")
    assert names(tmp_path) == [name]


def test_missing_folders_are_created(tmp_path):
    with replacing(tmp_path / "a" / "b" / "table.csv") as part:
        part.write_text("new")
    assert (tmp_path / "a" / "b" / "table.csv").read_text() == "new"


def test_temporary_file_in_another_folder(tmp_path):
    (tmp_path / "parts").mkdir()
    with replacing(tmp_path / "a" / "table.csv", folder=tmp_path / "parts") as part:
        part.write_text("new")
        assert names(tmp_path / "a") == []
        assert names(tmp_path / "parts") == [part.name]
    assert (tmp_path / "a" / "table.csv").read_text() == "new"
    assert names(tmp_path / "parts") == []


# Folders


def test_new_folder(tmp_path):
    target = tmp_path / "data" / "faces"
    with new_folder(target) as part:
        (part / "a.jpg").write_text("a")
        assert names(target.parent) == [part.name]  # the final name does not exist yet
    assert names(target.parent) == ["faces"]
    assert (target / "a.jpg").read_text() == "a"


def write_half_a_folder(target, error):
    with new_folder(target) as part:
        (part / "a.jpg").write_text("a")
        raise error("disk full")


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_no_folder_after_error(tmp_path, error):
    with pytest.raises(error):
        write_half_a_folder(tmp_path / "faces", error)
    assert names(tmp_path) == []


def test_leftovers_of_killed_process_are_removed(tmp_path):
    with new_folder(tmp_path / "first") as part:
        left = part.with_name(part.name.replace("first", "second"))
    left.mkdir()
    (left / "old.jpg").write_text("old")
    with new_folder(tmp_path / "second") as part:
        assert part == left
        assert names(part) == []


def test_folder_of_another_process_is_kept(tmp_path):
    target = tmp_path / "faces"
    with new_folder(target) as part:
        (part / "mine.jpg").write_text("mine")
        target.mkdir()
        (target / "theirs.jpg").write_text("theirs")
    assert names(tmp_path) == ["faces"]
    assert names(target) == ["theirs.jpg"]


def write_a_folder_as_another_process_does(target):
    with new_folder(target, exist_ok=False) as part:
        (part / "mine.json").write_text("mine")
        target.mkdir()
        (target / "theirs.json").write_text("theirs")


def test_folder_of_another_process_is_an_error(tmp_path):
    target = tmp_path / "run"
    with pytest.raises(FileExistsError, match="another process has created"):
        write_a_folder_as_another_process_does(target)
    assert names(tmp_path) == ["run"]
    assert names(target) == ["theirs.json"]


@pytest.mark.parametrize("exist_ok", [True, False])
def test_empty_folder_is_replaced(tmp_path, monkeypatch, exist_ok):
    rename = os.rename

    def rename_as_windows_does(old, new):
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, "the folder exists", str(new))
        rename(old, new)

    monkeypatch.setattr(os, "rename", rename_as_windows_does)
    (tmp_path / "run").mkdir()
    with new_folder(tmp_path / "run", exist_ok=exist_ok) as part:
        (part / "mine.json").write_text("mine")
    assert names(tmp_path) == ["run"]
    assert names(tmp_path / "run") == ["mine.json"]


def test_empty_folder_that_cannot_be_replaced_is_an_error(tmp_path, monkeypatch):
    """A mount point, for instance: the new folder would be lost."""
    (tmp_path / "run").mkdir()

    def refuse(*paths, **options):
        raise OSError(errno.EBUSY, "the folder is in use")

    monkeypatch.setattr(os, "rename", refuse)
    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(OSError, match="in use"), new_folder(tmp_path / "run"):
        pass


def test_new_folder_does_not_replace_a_file(tmp_path):
    (tmp_path / "faces").write_text("a file")
    with pytest.raises(OSError, match="faces"), new_folder(tmp_path / "faces"):
        pass
    assert names(tmp_path) == ["faces"]
    assert (tmp_path / "faces").read_text() == "a file"


# Locks

HOLD = """
import sys, time
from kerasface.files import locked

try:
    with locked(sys.argv[1]):
        print("locked", flush=True)
        time.sleep(float(sys.argv[2]))
except ValueError as error:
    print(error)
"""


def start_holder(folder, seconds):
    """Starts a process that holds the lock of a folder, and returns it and its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, os.fspath(folder), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline()


def test_lock_keeps_another_process_out(tmp_path):
    with locked(tmp_path):
        process, line = start_holder(tmp_path, 0)
        assert process.wait(timeout=60) == 0
    assert line.startswith("Only one process at a time can write to a folder. Received: ")
    assert names(tmp_path) == []
    process, line = start_holder(tmp_path, 0)
    assert (process.wait(timeout=60), line) == (0, "locked\n")
    assert names(tmp_path) == []


def test_lock_is_released_when_the_process_is_killed(tmp_path):
    process, line = start_holder(tmp_path, 600)
    try:
        assert line == "locked\n"
        with pytest.raises(ValueError, match="another process is writing to"), locked(tmp_path):
            pass
    finally:
        process.kill()
        process.wait(timeout=60)
    with locked(tmp_path):
        assert names(tmp_path) == [LOCK]
    assert names(tmp_path) == []


def test_lock_is_released_after_error(tmp_path):
    with pytest.raises(KeyError), locked(tmp_path):
        raise KeyError
    with locked(tmp_path):
        pass


def fail_to_lock(monkeypatch, number):
    def acquire(self, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)


@pytest.mark.parametrize("number", sorted(set(WITHOUT_LOCKS)))
def test_folder_on_a_drive_without_locks(tmp_path, monkeypatch, number):
    fail_to_lock(monkeypatch, number)
    entered = False
    with locked(tmp_path):
        entered = True
    assert entered


def test_other_errors_of_locks_are_raised(tmp_path, monkeypatch):
    fail_to_lock(monkeypatch, errno.EACCES)
    with pytest.raises(PermissionError), locked(tmp_path):
        pass


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"<!DOCTYPE html>\n<html lang='en'>", "an HTML page"),
        (b"\xef\xbb\xbf\n <HTML>", "an HTML page"),
        (b"<!-- saved page --><html>", "an HTML page"),
        (b"<?xml version='1.0'?>", "an XML file"),
        (b'{"id": 1}', "JSON"),
        (b'[\n  {"id": 1}', "JSON"),
        (b"PK\x03\x04rest", "an Excel workbook or another zip archive"),
        (b"\x1f\x8b\x08", "a compressed archive"),
        (b"\x00\x00\x00\x18ftypheic", "a HEIC image"),
        (b"\x00\x00\x00\x18ftypavif", "an AVIF image"),
        (b"RIFF1234WEBPVP8 ", "a WebP image"),
        (b"\xff\xd8\xff\xe0", "a JPEG image"),
        (b"\xff\xfei\x00d\x00", "UTF-16 text"),
        (b"id\x00label", "a binary file"),
        (
            b"version https://git-lfs.github.com/spec/v1",
            "a pointer of Git LFS, not the file itself",
        ),
        (b"id,label\n1,2\n", None),
        (b"10\t300\nAnn_Lee\t1\t4", None),
        (b"[person],label\n", None),
        (b"", None),
    ],
)
def test_kind_of_content(head, kind):
    assert content_kind(head) == kind


def test_text_table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("\ufeffid,label\n1,Zoë\n".encode())
    assert read_text_table(path, "A table") == "id,label\n1,Zoë\n"
    path.write_bytes("id,label\n1,Zoë\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"A table must be UTF-8. .*table.csv'.*0xeb in line 2"):
        read_text_table(path, "A table")


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_empty_text_table(tmp_path, content):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"A table must be .*table.csv', an empty file"):
        check_text_table(tmp_path / "table.csv", "A table")


def test_paths_that_cannot_be_written_to_are_refused_before_the_work(tmp_path):
    (tmp_path / "file.csv").write_text("1")
    check_file_to_write("out", tmp_path / "file.csv")
    check_file_to_write("out", tmp_path / "new" / "deep" / "page.html", suffixes=(".html",))
    with pytest.raises(FileExistsError, match=r"which exists\. Replace it with --overwrite"):
        check_file_to_write("--out", tmp_path / "file.csv", overwrite=False)
    with pytest.raises(ValueError, match="a folder"):
        check_file_to_write("out", tmp_path)
    with pytest.raises(ValueError, match=r"must end in \.html"):
        check_file_to_write("out", tmp_path / "page", suffixes=(".html",))
    with pytest.raises(PermissionError, match=r"file\.csv' is a file"):
        check_file_to_write("out", tmp_path / "file.csv" / "page.html")


def test_folders_that_hold_files_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in ("empty", "new/deep"):
        check_folder_to_write("out", tmp_path / folder, overwrite=False)
    (tmp_path / "file").write_text("1")
    check_folder_to_write("out", tmp_path)
    with pytest.raises(FileExistsError, match="which holds files"):
        check_folder_to_write("out", tmp_path, overwrite=False)
    with pytest.raises(ValueError, match="a file"):
        check_folder_to_write("out", tmp_path / "file")


def test_folders_without_permission_are_refused(tmp_path, monkeypatch):
    # The tests may run as root, who may write anywhere.
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="cannot be written to"):
        check_folder_to_write("out", tmp_path / "new")


def test_results_are_kept_if_the_file_cannot_be_written(tmp_path, monkeypatch):
    frame = pd.DataFrame({"a": [1, 2]})
    assert write_csv(tmp_path / "ok.csv", frame) == tmp_path / "ok.csv"

    def full(part, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OSError, match="The results are in") as caught:
        write_csv(tmp_path / "out.csv", frame)
    saved = str(caught.value).split("'")[-2]
    pd.testing.assert_frame_equal(pd.read_csv(saved), frame)
    assert not (tmp_path / "out.csv").exists()
