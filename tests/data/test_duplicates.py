"""Tests of the grouping of near hashes."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from kerasface import images
from kerasface.data import draw_face, duplicate_groups, near_duplicates, unlabeled_folder
from kerasface.data.duplicates import NEAR_DUPLICATE


def flipped(value, bits):
    """A hash with the given bits turned over."""
    single = np.unpackbits(value)
    single[list(bits)] ^= 1
    return np.packbits(single)


def slow_groups(hashes, distance):
    """All pairs, and a color that spreads."""
    bits = np.unpackbits(hashes, axis=1).astype(int)
    near = (bits[:, None] != bits[None]).sum(axis=2) <= distance
    group = np.arange(len(hashes))
    for _ in hashes:
        group = np.where(near, group, len(hashes)).min(axis=1)
    return np.unique(group, return_inverse=True)[1]


@pytest.mark.parametrize("distance", [0, 1, 5, 12])
@pytest.mark.parametrize("width", [4, 8, 32])
def test_same_as_all_pairs(width, distance):
    rng = np.random.default_rng(width + distance)
    base = rng.integers(0, 256, (30, width), np.uint8)
    copies = [
        flipped(base[rng.integers(30)], rng.choice(8 * width, rng.integers(0, 16), replace=False))
        for _ in range(120)
    ]
    hashes = np.concatenate([base, copies])
    groups = near_duplicates(hashes, distance)
    np.testing.assert_array_equal(groups, slow_groups(hashes, distance))
    assert 30 < groups.max() + 1 < 150 or distance == 12


def test_distance_is_a_limit():
    base = np.random.default_rng(0).integers(0, 256, 32, np.uint8)
    for apart, groups in ((NEAR_DUPLICATE, [0, 0]), (NEAR_DUPLICATE + 1, [0, 1])):
        # In order and from the end: whatever the bands.
        for bits in (range(apart), range(256 - apart, 256), range(0, 10 * apart, 10)):
            pair = np.stack([base, flipped(base, bits)])
            assert near_duplicates(pair).tolist() == groups


def test_groups_are_chained_and_numbered_by_their_first():
    base = np.zeros(32, np.uint8)
    hashes = [flipped(base, range(k)) for k in (200, 0, 20, 40, 200, 60)]
    assert near_duplicates(np.stack(hashes)).tolist() == [0, 1, 1, 1, 0, 1]


def test_many_equal_hashes_take_no_longer():
    start = time.process_time()
    groups = near_duplicates(np.zeros((50_000, 32), np.uint8))
    assert time.process_time() - start < 10
    assert not groups.any()


def test_large_folder_is_not_compared_pair_by_pair():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 256, (20_000, 32), np.uint8)
    hashes[-1] = flipped(hashes[0], range(0, 240, 10))
    start = time.process_time()
    groups = near_duplicates(hashes)
    assert time.process_time() - start < 10  # all 200 million pairs take minutes
    assert groups[-1] == groups[0] == 0
    assert groups.max() == 19_998


def test_none_and_one():
    assert near_duplicates(np.zeros((0, 32), np.uint8)).shape == (0,)
    assert near_duplicates(np.zeros((1, 32), np.uint8)).tolist() == [0]


@pytest.mark.parametrize("hashes", [np.zeros((3, 4)), np.zeros(4, np.uint8), [[1, 2]]])
def test_hashes_must_be_bytes(hashes):
    with pytest.raises(ValueError, match="must be uint8"):
        near_duplicates(hashes)


@pytest.mark.parametrize("distance", [-1, 256])
def test_distance_out_of_range(distance):
    with pytest.raises(ValueError, match=r"in \[0, 256\)"):
        near_duplicates(np.zeros((3, 32), np.uint8), distance)


def stored_anew(image):
    picture = Image.fromarray(image)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=40)
    yield images.decode(buffer.getvalue())
    yield np.asarray(picture.resize((100, 100), Image.Resampling.BICUBIC))
    yield np.asarray(picture.convert("L").convert("RGB"))
    yield (image * 0.9).astype(np.uint8)


def test_images_saved_again_are_near_duplicates():
    faces = [draw_face(n, v, size=200).image for n in range(6) for v in range(3)]
    pictures = [edit for face in faces for edit in (face, *stored_anew(face))]
    groups = near_duplicates(np.stack([images.perceptual_hash(one) for one in pictures]))
    np.testing.assert_array_equal(groups, np.repeat(np.arange(len(faces)), 5))


def test_groups_of_a_table(tmp_path):
    for number in range(3):
        picture = Image.fromarray(draw_face(number, 0, size=64).image)
        picture.save(tmp_path / f"{number}.png")
        picture.save(tmp_path / f"{number}_again.jpg", quality=60)
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    table = unlabeled_folder(tmp_path)
    assert table.paths.tolist()[-1] == "broken.jpg"
    found = duplicate_groups(table)
    assert found.groups.tolist() == [0, 0, 2, 2, 4, 4, 6]
    assert found.readable.tolist() == [True] * 6 + [False]
    assert repr(found) == "DuplicateGroups(7 files, 4 groups, 1 unreadable)"
    apart = duplicate_groups(table, None)
    assert apart.groups.tolist() == list(range(7))
    assert not apart.readable[-1]
