"""Tests of files that appear whole or not at all."""

import pytest

from kerasface.files import replacing


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
