"""Tests of splitting a folder of people on disk."""

import json
import os
import warnings

import pandas as pd
import pytest
from PIL import Image

from kerasface.data import draw_face, identity_folder, split_folder

PEOPLE = {"0042": 20, "NA": 10, "ann": 30}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Drawn pictures, `PEOPLE`, at different depths."""
    root = tmp_path_factory.mktemp("people")
    for number, (name, count) in enumerate(PEOPLE.items()):
        for variant in range(count):
            path = root / name / ("deep" if variant % 2 else ".") / f"{variant:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(draw_face(number, variant, size=32).image).save(path)
    return root


def copy_tree(folder, target, names):
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes((folder / name).read_bytes())
    return target


def counts(table):
    return pd.crosstab(table["person"], table["partition"])


def test_every_person_is_split_by_the_shares(folder, tmp_path):
    table = split_folder(folder, tmp_path / "data", distance=None)
    expected = {"train": [14, 7, 21], "validation": [4, 2, 6], "test": [2, 1, 3]}
    assert counts(table)[list(expected)].to_numpy().T.tolist() == list(expected.values())
    for name in expected:
        part = identity_folder(tmp_path / "data" / name)
        assert part.names == tuple(sorted(PEOPLE))
        listed = table.loc[table["partition"] == name, "file"].tolist()
        assert sorted(part.paths) == sorted(listed)
        for path in part.paths:
            assert (part.root / path).read_bytes() == (folder / path).read_bytes()
    written = pd.read_csv(tmp_path / "data" / "split.csv", dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(written, table.astype(str), check_dtype=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_settings_of_crops_are_copied(folder, tmp_path):
    source = copy_tree(
        folder,
        tmp_path / "crops",
        [f"{person}/{number:03}.png" for person in ("NA", "ann") for number in (0, 2, 4, 6)],
    )
    settings = {"size": 112, "source": "photographs"}
    (source / "crops.json").write_text(json.dumps(settings))
    split_folder(source, tmp_path / "data", distance=None)
    assert json.loads((tmp_path / "data" / "crops.json").read_text()) == {"size": 112}
    (source / "crops.json").write_text("not from here")
    split_folder(source, tmp_path / "other", distance=None)
    assert not (tmp_path / "other" / "crops.json").exists()


def test_seed_decides(folder, tmp_path):
    tables = [
        split_folder(folder, tmp_path / str(n), seed=seed, how="symlink", distance=None)
        for n, seed in enumerate((0, 0, 1))
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert (tables[0]["partition"] != tables[2]["partition"]).sum() > 10


def test_partition_without_a_share_is_not_written(folder, tmp_path):
    split_folder(folder, tmp_path / "data", train=0.8, validation=0.2, test=0, how="symlink")
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == [
        "split.csv", "train", "validation",
    ]  # fmt: skip


@pytest.mark.parametrize("how", ["copy", "link", "symlink"])
def test_ways_of_writing(folder, tmp_path, how, monkeypatch):
    source = copy_tree(folder, tmp_path / "source", ["ann/000.png", "ann/002.png", "NA/000.png",
                                                     "NA/002.png"])  # fmt: skip
    monkeypatch.chdir(tmp_path)  # links made of relative paths must hold from elsewhere too
    split_folder("source", "data", train=0.5, validation=0.5, test=0, how=how, distance=None)
    monkeypatch.chdir("/")
    made = sorted((tmp_path / "data").rglob("*.png"))
    assert len(made) == 4
    for path in made:
        origin = source / path.relative_to(tmp_path / "data").relative_to(
            path.relative_to(tmp_path / "data").parts[0]
        )
        assert path.is_symlink() == (how == "symlink")
        assert os.path.samefile(path, origin) == (how != "copy")
        assert path.read_bytes() == origin.read_bytes()


def test_near_duplicates_stay_in_one_partition(folder, tmp_path):
    names = [f"{name}/{v:03}.png" for name in ("ann", "0042") for v in range(0, 20, 2)]
    source = copy_tree(folder, tmp_path / "source", names)
    for name in names:  # each once more, stored as a small JPEG
        picture = Image.open(source / name)
        picture.save((source / name).with_suffix(".jpg"), quality=95)
    tables = [split_folder(source, tmp_path / f"data{seed}", seed=seed) for seed in range(3)]
    for table in tables:
        assert table["group"].nunique() == 20
        stems = table["file"].str.removesuffix(".jpg").str.removesuffix(".png")
        assert (table.groupby(stems)["partition"].nunique() == 1).all()
        assert (table.groupby(stems)["group"].nunique() == 1).all()
        # And the shares hold: 14, 4 and 2 of each 20.
        assert (
            counts(table)[["train", "validation", "test"]].to_numpy().tolist() == [[14, 4, 2]] * 2
        )
    apart = split_folder(source, tmp_path / "apart", distance=None)
    stems = apart["file"].str.removesuffix(".jpg").str.removesuffix(".png")
    assert (apart.groupby(stems)["partition"].nunique() > 1).any()


def test_image_of_two_people_stays_in_one_partition(folder, tmp_path):
    names = [f"{name}/{v:03}.png" for name in ("ann", "0042") for v in range(0, 20, 2)]
    source = copy_tree(folder, tmp_path / "source", names)
    both = (source / "ann" / "000.png").read_bytes()
    for name in ("0042/again.png", "0042/more.png"):
        (source / name).write_bytes(both)
    for seed in range(5):
        table = split_folder(source, tmp_path / str(seed), seed=seed, how="symlink")
        shared = table[table["file"].isin(["ann/000.png", "0042/again.png", "0042/more.png"])]
        assert shared["group"].nunique() == 1
        assert shared["partition"].nunique() == 1
        assert (counts(table) > 0).all(axis=None)


@pytest.mark.parametrize("small", ["train", "skip"])
def test_small_people_are_in_no_other_partition_with_images_of_others(folder, tmp_path, small):
    names = [f"ann/{v:03}.png" for v in range(0, 20, 2)] + ["NA/000.png", "NA/002.png"]
    source = copy_tree(folder, tmp_path / "source", names)
    for name in ("000.png", "002.png"):
        (source / "NA" / name).write_bytes((source / "ann" / name).read_bytes())
    seen = set()
    shares = {"train": 0.2, "validation": 0.6, "test": 0.2}
    for seed in range(3):
        with pytest.warns(UserWarning, match="1 of 2 people"):
            table = split_folder(source, tmp_path / str(seed), seed=seed, small=small, **shares)
        partitions = table.loc[table["person"] == "NA", "partition"].tolist()
        seen |= set(partitions)
        assert set(partitions) <= {small, "skip"}
    assert "skip" in seen


@pytest.mark.parametrize("small", ["train", "validation", "test", "skip"])
def test_small_people_go_to_the_chosen_partition_with_a_warning(folder, tmp_path, small):
    names = [f"ann/{v:03}.png" for v in range(0, 20, 2)] + ["NA/000.png", "NA/002.png"]
    source = copy_tree(folder, tmp_path / "source", names)
    with pytest.warns(UserWarning, match=rf"^1 of 2 people .* go to '{small}': NA\.$"):
        table = split_folder(source, tmp_path / "data", small=small)
    assert table.loc[table["person"] == "NA", "partition"].tolist() == [small, small]
    assert set(table.loc[table["person"] == "ann", "partition"]) == {"train", "validation", "test"}
    assert len(list((tmp_path / "data").rglob("NA/*.png"))) == (0 if small == "skip" else 2)


def test_smallest_sufficient_person_is_in_all_partitions(folder, tmp_path):
    names = [f"{name}/{v:03}.png" for name in ("ann", "NA") for v in (0, 2, 4)]
    source = copy_tree(folder, tmp_path / "source", names)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = split_folder(source, tmp_path / "data")
    assert (counts(table) == 1).all(axis=None)


def test_one_large_group_leaves_no_partition_empty(folder, tmp_path):
    names = [f"{name}/{v:03}.png" for name in ("ann", "NA") for v in (0, 2, 4)]
    source = copy_tree(folder, tmp_path / "source", names)
    for number in range(8):
        (source / "ann" / f"copy{number}.png").write_bytes((source / "ann/000.png").read_bytes())
    table = split_folder(source, tmp_path / "data")
    assert (counts(table) > 0).all(axis=None)


def test_unreadable_files_are_left_out_with_a_warning(folder, tmp_path):
    names = [f"{name}/{v:03}.png" for name in ("ann", "NA") for v in range(0, 10, 2)]
    source = copy_tree(folder, tmp_path / "source", names)
    (source / "ann" / "broken.png").write_bytes(b"no image")
    with pytest.warns(UserWarning, match=r"^1 of 11 files .* example ann/broken\.png\.$"):
        table = split_folder(source, tmp_path / "data")
    assert table.set_index("file").loc["ann/broken.png", "partition"] == "unreadable"
    assert not list((tmp_path / "data").rglob("broken.png"))
    assert table["group"].nunique() == 11


@pytest.mark.parametrize("entry", ["notes.txt", "train/ann/1.png", ".hidden"])
def test_folder_with_other_files_is_refused(folder, tmp_path, entry):
    target = tmp_path / "data"
    (target / entry).parent.mkdir(parents=True)
    (target / entry).write_bytes(b"mine")
    with pytest.raises(ValueError, match="which is not empty"):
        split_folder(folder, target)
    assert [path.name for path in target.rglob("*") if path.is_file()] == [entry.split("/")[-1]]


def test_empty_folder_is_filled(folder, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ".data.1.part").mkdir()  # of a split that was killed
    number = (tmp_path / "data").stat().st_ino
    (tmp_path / "link").symlink_to(tmp_path / "data")
    split_folder(folder, tmp_path / "link", how="symlink", distance=None)
    made = sorted(path.name for path in (tmp_path / "data").iterdir())
    assert made == [".data.1.part", "split.csv", "test", "train", "validation"]
    assert (tmp_path / "data").stat().st_ino == number  # it may be a disk, or where one works


def test_working_folder_is_filled(folder, tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    split_folder(folder, ".", distance=None)
    assert sorted(os.listdir()) == ["split.csv", "test", "train", "validation"]


def test_target_inside_the_source_is_refused(folder):
    for target in (folder, folder / "ann" / "data"):
        with pytest.raises(ValueError, match="outside the folder"):
            split_folder(folder, target)


def test_failure_leaves_nothing(folder, tmp_path, monkeypatch):
    def full(source, place):
        raise OSError("disk full")

    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(OSError, match=r"how='copy'\. Received: disk full"):
        split_folder(folder, tmp_path / "data", distance=None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 0.8}, "sum to 1. Received: train=0.8, validation=0.2, test=0.1, the sum 1.1"),
        ({"train": 1.1, "validation": -0.2}, r"in \[0, 1\]"),
        ({"train": float("nan")}, r"in \[0, 1\]"),
        ({"how": "hardlink"}, r"Received: how='hardlink'\. Did you mean 'link'"),
        ({"small": "dev"}, r"`small` must be one of"),
        ({"small": "test", "validation": 0.3, "test": 0}, r"`small` must be one of"),
        ({"distance": 256}, "`distance`"),
    ],
)
def test_mistakes(folder, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        split_folder(folder, tmp_path / "data", **options)
    assert not (tmp_path / "data").exists()
