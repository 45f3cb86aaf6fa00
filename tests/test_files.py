"""Tests of files and folders that appear whole or not at all."""

import pytest

from kerasface.files import new_folder, replacing


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write_half(target, error):
    with replacing(target) as part:
        part.write_text("half")
        raise error("disk full")


def test_new_file(tmp_path):
    with replacing(tmp_path / "table.csv") as part:
        part.write_text("new")
        assert names(tmp_path) == [part.name]  # nothing by the final name yet
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
def test_old_file_stays_after_an_error(tmp_path, error):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(error):
        write_half(target, error)
    assert target.read_text() == "old"
    assert names(tmp_path) == ["table.csv"]


def test_nothing_appears_after_an_error(tmp_path):
    with pytest.raises(ValueError, match="disk full"):
        write_half(tmp_path / "table.csv", ValueError)
    assert names(tmp_path) == []


def test_nothing_written_is_an_error(tmp_path):
    target = tmp_path / "table.csv"
    target.write_text("old")
    with pytest.raises(FileNotFoundError), replacing(target):
        pass
    assert target.read_text() == "old"


@pytest.mark.parametrize("name", ["model.keras", "model.weights.h5", "curves.png"])
def test_part_is_hidden_beside_the_file_with_its_suffix(tmp_path, name):
    target = tmp_path / name
    with replacing(str(target)) as part:
        assert part.parent == tmp_path
        assert part.name.startswith(".")
        assert part.suffix == target.suffix
        part.write_bytes(b"x")
    assert names(tmp_path) == [name]


def test_missing_folders_are_made(tmp_path):
    with replacing(tmp_path / "a" / "b" / "table.csv") as part:
        part.write_text("new")
    assert (tmp_path / "a" / "b" / "table.csv").read_text() == "new"


def test_part_may_lie_in_a_folder_of_its_own(tmp_path):
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
        assert names(target.parent) == [part.name]  # nothing by the final name yet
    assert names(target.parent) == ["faces"]
    assert (target / "a.jpg").read_text() == "a"


def write_half_a_folder(target, error):
    with new_folder(target) as part:
        (part / "a.jpg").write_text("a")
        raise error("disk full")


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_no_folder_after_an_error(tmp_path, error):
    with pytest.raises(error):
        write_half_a_folder(tmp_path / "faces", error)
    assert names(tmp_path) == []


def test_what_a_killed_process_left_is_no_part_of_it(tmp_path):
    with new_folder(tmp_path / "first") as part:
        left = part.with_name(part.name.replace("first", "second"))
    left.mkdir()
    (left / "old.jpg").write_text("old")
    with new_folder(tmp_path / "second") as part:
        assert part == left
        assert names(part) == []


def test_folder_that_another_process_made_first_stays(tmp_path):
    target = tmp_path / "faces"
    with new_folder(target) as part:
        (part / "mine.jpg").write_text("mine")
        target.mkdir()
        (target / "theirs.jpg").write_text("theirs")
    assert names(tmp_path) == ["faces"]
    assert names(target) == ["theirs.jpg"]


def test_folder_in_the_place_of_a_file(tmp_path):
    (tmp_path / "faces").write_text("a file")
    with pytest.raises(OSError, match="faces"), new_folder(tmp_path / "faces"):
        pass
    assert names(tmp_path) == ["faces"]
    assert (tmp_path / "faces").read_text() == "a file"
