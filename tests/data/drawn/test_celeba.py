"""Drawn faces as a folder of CelebA."""

import numpy as np
import pytest
from PIL import Image

from kerasface.data import draw_face, drawn_celeba, read_celeba


def test_tables_match_the_drawings(celeba_folder):
    train, validation, test = read_celeba(celeba_folder)
    assert [len(table) for table in (train, validation, test)] == [40, 16, 16]
    assert train.names == ("Beard", "Eyeglasses", "Mouth_Slightly_Open", "Smiling", "Wearing_Hat")
    # Each person has four pictures: those of the eleventh are the first of the validation.
    face = draw_face(10, 2, size=44)
    assert validation.labels[2].tolist() == [int(face.attributes[n]) for n in validation.names]
    with Image.open(validation.full_paths()[2]) as image:
        assert image.size == (36, 44)
        shown = np.asarray(image).astype(float)
    assert np.abs(shown - face.image[:, 4:40]).mean() < 8  # JPEG


def test_no_person_is_in_two_partitions(celeba_folder):
    rows = (celeba_folder / "identity_CelebA.txt").read_text().split("\n")[:-1]
    who = dict(row.split() for row in rows)
    people = [{who[path] for path in table.paths} for table in read_celeba(celeba_folder)]
    assert [len(group) for group in people] == [10, 4, 4]
    assert len(set.union(*people)) == 18


def test_folder_is_drawn_once(tmp_path):
    options = {"people": (2, 1, 1), "images": 1, "height": 24}
    folder = drawn_celeba(tmp_path / "faces", **options)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert drawn_celeba(tmp_path / "faces", **options) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(FileExistsError, match="which has other files"):
        drawn_celeba(tmp_path / "faces", **options, seed=1)


@pytest.mark.parametrize("wrong", [{"people": (2, 1)}, {"people": (2, 0, 1)}, {"height": 8}])
def test_numbers_out_of_range(tmp_path, wrong):
    with pytest.raises(ValueError, match="`people` must be three numbers"):
        drawn_celeba(tmp_path / "faces", **wrong)
    assert not (tmp_path / "faces").exists()
