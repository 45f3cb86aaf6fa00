"""Tests of reading the headers of many files."""

import numpy as np
import pytest
from PIL import ExifTags, Image

from kerasface.data.reading import sampled_sizes


def stored(path, orientation=None, block=None):
    exif = Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    Image.new("RGB", (30, 20)).save(path, exif=block or exif)
    return str(path)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_sizes_are_as_shown(tmp_path, suffix, orientation):
    path = stored(tmp_path / f"a{suffix}", orientation)
    assert sampled_sizes([path]).tolist() == [[30, 20] if orientation in (1, 3) else [20, 30]]


@pytest.mark.parametrize("block", [b"no directory at all", b"II*\0"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_broken_exif_is_upright(tmp_path, block, suffix):
    path = stored(tmp_path / f"a{suffix}", block=block)
    assert sampled_sizes([path]).tolist() == [[30, 20]]


def test_files_that_are_not_images_are_left_out(tmp_path, monkeypatch):
    (tmp_path / "b.jpg").write_bytes(b"no image")
    paths = [stored(tmp_path / "a.png"), str(tmp_path / "b.jpg"), str(tmp_path / "none.png")]
    np.testing.assert_array_equal(sampled_sizes(paths), [[30, 20]])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # as a picture of 400 million pixels
    assert sampled_sizes(paths).shape == (0, 2)
