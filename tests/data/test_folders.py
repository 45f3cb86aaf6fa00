"""Tests of the tables made from folders."""

import os
import pathlib
import sys

import numpy as np
import pytest
from PIL import Image, features

from kerasface.data import drawn_faces, identity_folder, unlabeled_folder
from kerasface.data.table import check
from kerasface.pipeline import stream


def make(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"")
    return root


@pytest.mark.parametrize("read", [identity_folder, unlabeled_folder])
def test_missing_folder(read, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'.*nowhere', nothing at that path"):
        read(tmp_path / "nowhere")


@pytest.mark.parametrize("read", [identity_folder, unlabeled_folder])
def test_file_instead_of_a_folder(read, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'.*a\.jpg', a file. Give its folder, '.*'"):
        read(make(tmp_path, "a.jpg") / "a.jpg")


def test_archive_instead_of_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="Unpack it first"):
        identity_folder(make(tmp_path, "faces.zip") / "faces.zip")


def test_mistyped_folder(tmp_path):
    make(tmp_path, "train/ann/1.jpg", "other/ann/1.jpg")
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'train'\?"):
        identity_folder(tmp_path / "trian")


@pytest.mark.parametrize("read", [identity_folder, unlabeled_folder])
def test_empty_folder(read, tmp_path):
    with pytest.raises(ValueError, match="Received: ") as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert ".webp" in str(caught.value)


@pytest.mark.parametrize("path", ["a.jpg", "ann/notes.txt", ".hidden/a.jpg"])
def test_folder_without_people(tmp_path, path):
    with pytest.raises(ValueError, match="one subfolder of images for each person"):
        identity_folder(make(tmp_path, path))


def test_single_person_is_refused(tmp_path):
    make(tmp_path, "ann/1.jpg", "ann/2.jpg", "nobody/notes.txt")
    with pytest.raises(ValueError, match=r"with images of 'ann' alone\. Add a subfolder"):
        identity_folder(tmp_path)


def test_folder_above_the_people(tmp_path):
    make(tmp_path, "lfw/ann/1.jpg", "lfw/bob/1.jpg")
    with pytest.raises(ValueError, match=r"'lfw', which has 2 subfolders. Give .*/lfw'") as caught:
        identity_folder(tmp_path)
    assert str(tmp_path / "lfw") in str(caught.value)


def test_folder_of_one_person(tmp_path):
    make(tmp_path, "ann/1.jpg", "ann/2.jpg", "bob/1.jpg")
    with pytest.raises(ValueError, match="2 images directly in it and 0 subfolders") as caught:
        identity_folder(tmp_path / "ann")
    assert f"give the folder above: {str(tmp_path)!r}" in str(caught.value)


def test_flat_folder(tmp_path):
    make(tmp_path, "test/1.jpg", "train/ann/1.jpg")
    with pytest.raises(ValueError, match=r"1 image directly in it.*one subfolder per person"):
        identity_folder(tmp_path / "test")


def test_image_folder_of_celeba(tmp_path):
    make(tmp_path, "celeba/img_align_celeba/000001.jpg", "celeba/list_attr_celeba.csv")
    with pytest.raises(
        ValueError, match="For CelebA, give the folder with the label files: "
    ) as caught:
        identity_folder(tmp_path / "celeba" / "img_align_celeba")
    assert repr(str(tmp_path / "celeba")) in str(caught.value)


@pytest.mark.parametrize("names", [None, ("ann", "bob")])
def test_folder_of_partitions(tmp_path, names):
    make(tmp_path, "Train/ann/1.jpg", "Train/bob/1.jpg", "dev/ann/2.jpg", "test/3.jpg")
    with pytest.raises(ValueError, match=r"partitions: Train, dev, test. Give one .*Train'"):
        identity_folder(tmp_path, names=names)


@pytest.mark.parametrize("paths", [["test/1.jpg", "train/1.jpg"], ["test/1/a.jpg", "ann/1/a.jpg"]])
def test_people_named_like_partitions(tmp_path, paths):
    assert len(identity_folder(make(tmp_path, *paths)).names) == 2


def test_images_beside_the_people_are_reported(tmp_path):
    make(tmp_path, "ann/1.jpg", "bob/1.jpg", "loose.png")
    with pytest.warns(UserWarning, match=r"1 image directly in .* ignored: 'loose.png'"):
        assert len(identity_folder(tmp_path)) == 2


def test_class_names_are_sorted_strings(tmp_path):
    people = ["0042", "42", "NA", "Zoë", "ann lee", "bob, jr.", "null", "Ärzte", "李"]
    make(tmp_path, *(f"{person}/1.jpg" for person in reversed(people)))
    table = identity_folder(tmp_path)
    assert table.names == tuple(people)
    assert list(table.labels) == list(range(9))
    assert list(table.paths) == [f"{person}/1.jpg" for person in people]
    assert all(os.path.isfile(path) for path in table.full_paths())


def test_images_at_any_depth_count_for_the_person(tmp_path):
    make(tmp_path, "bob/b.jpg", "ann/2020/summer/a.jpg", "ann/2019/z.jpg", "ann/m.jpg")
    table = identity_folder(tmp_path)
    assert table.names == ("ann", "bob")
    assert list(table.paths) == [
        "ann/2019/z.jpg",
        "ann/2020/summer/a.jpg",
        "ann/m.jpg",
        "bob/b.jpg",
    ]
    assert list(table.labels) == [0, 0, 0, 1]


def test_hidden_and_other_files_are_left_out(tmp_path):
    sound = ["ann/a.JPG", "ann/b.jpeg", "ann/c.PnG", "bob/d.webp", "bob/e.TIFF", "bob/f.bmp"]
    make(tmp_path, *sound, "ann/.g.jpg", "ann/.thumbs/h.jpg", ".cache/i.jpg", "j.jpg")
    make(tmp_path, "ann/notes.txt", "ann/jpg", "ann/k.jpg.part", "bob/Thumbs.db", "empty/l.csv")
    (tmp_path / "bob" / "folder.jpg").mkdir()
    with pytest.warns(UserWarning, match="not classes: 'empty'"):
        table = identity_folder(tmp_path)
    assert list(table.paths) == sound
    assert table.names == ("ann", "bob")
    assert list(unlabeled_folder(tmp_path).paths) == [*sound, "j.jpg"]


def test_images_in_other_formats_are_counted(tmp_path):
    make(tmp_path, "ann/1.jpg", "ann/2.HEIC", "ann/deep/3.jxl", "bob/1.jpg", "ann/.4.heic")
    for read in (identity_folder, unlabeled_folder):
        with pytest.warns(UserWarning, match=r"2 images .*'ann/2.HEIC', 'ann/deep/3.jxl'"):
            assert len(read(tmp_path)) == 2
    for path in ("ann/1.jpg", "bob/1.jpg"):
        (tmp_path / path).unlink()
    for read in (identity_folder, unlabeled_folder):
        with pytest.raises(ValueError, match=r"2 images in unsupported .*heic.*Convert them"):
            read(tmp_path)


def test_images_without_suffix_are_reported(tmp_path):
    make(tmp_path, "ann/1.jpg", "bob/1.jpg", "bob/notes")
    Image.new("RGB", (2, 2)).save(tmp_path / "ann" / "2", "JPEG")
    for read in (identity_folder, unlabeled_folder):
        with pytest.warns(UserWarning, match=r"1 image in .*suffix.* 'ann/2'.*to 'ann/2.jpg'"):
            assert len(read(tmp_path)) == 2


# Largest errors of formats that compress.
EXACT = ("apng", "bmp", "dib", "pgm", "pnm", "ppm", "tga", "tif")
FORMATS = {
    **dict.fromkeys(EXACT, 0),
    **dict.fromkeys(("gif", "jpe", "jfif", "JFIF", "mpo"), 4),
    **({"avif": 8} if features.check("avif") else {}),
    **({"jp2": 8, "j2k": 8} if features.check("jpg_2000") else {}),
}


def test_check_and_stream_read_all_formats(tmp_path):
    pixels = np.full((16, 12), 90, np.uint8)
    pixels[:8] = 180
    kinds = {"jpe": "JPEG", "jfif": "JPEG", "JFIF": "JPEG", "apng": "PNG"}
    for suffix in FORMATS:
        picture = Image.fromarray(pixels).convert("L" if suffix == "pgm" else "RGB")
        picture.save(tmp_path / f"{suffix}.{suffix}", kinds.get(suffix))
    table = unlabeled_folder(tmp_path)
    assert sorted(pathlib.Path(path).stem for path in table.paths) == sorted(FORMATS)
    for one in (table, check(table).table):
        (batch,) = stream(one, image_size=16, batch_size=len(FORMATS))
        for path, image in zip(one.paths, batch.numpy(), strict=True):
            tolerance = FORMATS[pathlib.Path(path).stem]
            assert abs(image[4, 8, 0] - 180) <= tolerance, path
            assert abs(image[12, 8, 2] - 90) <= tolerance, path


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
@pytest.mark.parametrize("name", ["ann/\udce9.jpg", "\udce9/1.jpg"])
def test_names_that_are_not_utf8_are_refused(tmp_path, name):
    make(tmp_path, "ann/1.jpg", "bob/1.jpg", name)
    with pytest.raises(ValueError, match=r"must be UTF-8.*udce9.*Rename it"):
        identity_folder(tmp_path)


def test_given_names_number_a_validation_folder_like_training(tmp_path):
    make(tmp_path, "train/ann/1.jpg", "train/bob/1.jpg", "train/cy/1.jpg")
    make(tmp_path, "dev/bob/1.jpg", "dev/cy/1.jpg", "dev/cy/2.jpg")
    train = identity_folder(tmp_path / "train")
    dev = identity_folder(tmp_path / "dev", names=train.names)
    assert dev.names == ("ann", "bob", "cy")
    assert list(dev.labels) == [1, 2, 2]


def test_given_names_keep_their_order(tmp_path):
    make(tmp_path, "ann/1.jpg", "bob/1.jpg")
    table = identity_folder(tmp_path, names=["bob", "zoe", "ann"])
    assert table.names == ("bob", "zoe", "ann")
    assert list(table.paths) == ["ann/1.jpg", "bob/1.jpg"]
    assert list(table.labels) == [2, 0]


def test_given_names_allow_a_single_person(tmp_path):
    table = identity_folder(make(tmp_path, "bob/1.jpg"), names=("ann", "bob"))
    assert list(table.labels) == [1]


def test_person_who_is_not_among_the_given_names(tmp_path):
    make(tmp_path, "ann/1.jpg", "eve/1.jpg", "empty/notes.txt")
    with pytest.raises(ValueError, match=r"'eve', not among the 2 names"):
        identity_folder(tmp_path, names=("ann", "bob"))


def test_unlabeled_folder_is_sorted_and_goes_deep(tmp_path):
    make(tmp_path, "b.png", "a/z.jpg", "a/b/c.JPEG", "10.jpg", "9.jpg", "a/readme.md")
    table = unlabeled_folder(tmp_path)
    assert list(table.paths) == ["10.jpg", "9.jpg", "a/b/c.JPEG", "a/z.jpg", "b.png"]
    assert table.labels is None
    assert table.names == ()


@pytest.mark.parametrize("read", [identity_folder, unlabeled_folder])
def test_folder_as_text_or_path(read, tmp_path):
    make(tmp_path, "ann/1.jpg", "bob/1.jpg")
    assert read(str(tmp_path)).full_paths() == read(tmp_path).full_paths()


def test_linked_person(tmp_path):
    make(tmp_path, "faces/ann/1.jpg", "elsewhere/1.jpg")
    (tmp_path / "faces" / "bob").symlink_to(tmp_path / "elsewhere")
    assert list(identity_folder(tmp_path / "faces").paths) == ["ann/1.jpg", "bob/1.jpg"]


def test_links_are_followed_without_loops(tmp_path):
    make(tmp_path, "faces/ann/1.jpg", "elsewhere/deep/2.jpg")
    (tmp_path / "faces" / "bob").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "faces")
    (tmp_path / "faces" / "ann" / "deep").symlink_to(tmp_path / "elsewhere" / "deep")
    (tmp_path / "elsewhere" / "lost").symlink_to(tmp_path / "nowhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "elsewhere" / "loop")
    paths = unlabeled_folder(tmp_path / "faces").paths.tolist()
    assert paths == ["ann/1.jpg", "ann/deep/2.jpg", "bob/deep/2.jpg"]
    # Nor is everybody's picture one person's.
    assert identity_folder(tmp_path / "faces").paths.tolist() == paths


@pytest.mark.parametrize("read", [identity_folder, unlabeled_folder])
def test_unreadable_folders_raise(tmp_path, monkeypatch, read):
    make(tmp_path, "ann/1.jpg", "bob/1.jpg", "cleo/1.jpg")
    scandir = os.scandir

    def refusing(path):
        if pathlib.Path(path).name == "bob":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(PermissionError, match="bob"):
        read(tmp_path)


def test_drawn_faces(tmp_path):
    root = drawn_faces(tmp_path, identities=3, train=2, dev=1, test=2, size=24)
    train = identity_folder(root / "train")
    assert train.names == ("p0000", "p0001", "p0002")
    assert list(train.labels) == [0, 0, 1, 1, 2, 2]
    assert list(check(train).table.formats) == [1] * 6
    assert list(unlabeled_folder(root / "test").paths) == [f"{i:06d}.jpg" for i in range(6)]
