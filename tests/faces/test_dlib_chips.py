"""Tests of dlib's chips: those of dlib itself, and the same face found in several ways."""

import numpy as np
import pytest
from scipy import ndimage

from kerasface.data import draw_face
from kerasface.dlib_files import FIVE_LANDMARKS, find_file
from kerasface.faces import Face, align, align_all, template
from kerasface.faces.dlib_chips import BOX, box_landmarks

# People without glasses, whose eyes the predictor finds.
PICTURES = [draw_face(person, 0, size=200 + 20 * person) for person in (0, 3, 7)]


def found(picture):
    return Face(picture.box, 1.0, picture.landmarks)


@pytest.mark.parametrize("size", [150, 130])
@pytest.mark.parametrize("padding", [0.25, 0.5])
def test_chip_equals_dlibs(size, padding):
    dlib = pytest.importorskip("dlib")
    picture = draw_face(0, 0, size=420)
    # Smooth, because dlib interpolates in another way.
    image = ndimage.gaussian_filter(picture.image, (4, 4, 0))
    box = dlib.rectangle(*(np.array(BOX, int) * 2 + 60).tolist())
    shape = dlib.shape_predictor(str(find_file(FIVE_LANDMARKS)))(image, box)
    expected = dlib.get_face_chip(image, shape, size, padding)
    margin = (padding - 0.25) / 1.5
    landmarks = template(name="dlib") * 2 + 60
    chip = align(image, landmarks, size, margin=margin, template="dlib")
    inner = (slice(size // 8, -size // 8),) * 2
    assert abs(chip[inner].astype(int) - expected[inner]).mean() < 3
    # So that the test could fail: one pixel further it is another picture.
    shifted = np.roll(chip, 1, axis=0).astype(int)
    assert abs(shifted[inner] - expected[inner]).mean() > 3.5


def test_place_of_the_landmarks_matters_little():
    picture = PICTURES[0]
    chip = align(picture.image, picture.landmarks, template="dlib").astype(int)
    for change in (-2, 2):
        moved = align(picture.image, picture.landmarks + change, template="dlib")
        assert abs(moved - chip).mean() < 5
    assert abs(np.roll(chip, 2, axis=(0, 1)) - chip).mean() > 8


def test_turned_face_gives_the_same_chip():
    picture = PICTURES[2]
    side = picture.image.shape[0]
    points = np.stack([picture.landmarks[:, 1], side - 1 - picture.landmarks[:, 0]], axis=1)
    turned = align(np.rot90(picture.image), points, template="dlib").astype(int)
    assert abs(turned - align(picture.image, picture.landmarks, template="dlib")).mean() < 1


def test_face_without_landmarks_is_found_by_its_box():
    points = template(name="dlib")
    left, top, right, bottom = BOX
    # A box names edges of pixels, a landmark the middle of one.
    box = (left + 0.5, top + 0.5, right - left, bottom - top)
    np.testing.assert_allclose(box_landmarks(box), points)
    np.testing.assert_allclose(box_landmarks(tuple(2 * side for side in box)), 2 * points + 0.5)
    picture = PICTURES[0]
    boxed = Face(picture.box, 1.0)
    chips = align_all([picture.image] * 2, [boxed, found(picture)], template="dlib").astype(int)
    assert abs(chips[0] - chips[1]).mean() < 12


def test_batch_equals_single_faces():
    images, faces = [p.image for p in PICTURES], [found(p) for p in PICTURES]
    chips = align_all(images, faces, 80, margin=0.1, template="dlib")
    assert chips.shape == (3, 80, 80, 3) and chips.dtype == np.uint8
    for chip, image, face in zip(chips, images, faces, strict=True):
        np.testing.assert_array_equal(chip, align(image, face, 80, margin=0.1, template="dlib"))


@pytest.mark.parametrize("size", [1, 2])
def test_smallest_chips(size):
    chip = align(PICTURES[0].image, PICTURES[0].landmarks, size, template="dlib")
    assert chip.shape == (size, size, 3) and chip.any()


def test_tiny_face():
    points = template(name="dlib") / 200 + 10
    assert align(PICTURES[0].image, points, template="dlib").shape == (150, 150, 3)


def test_equal_landmarks_are_refused():
    with pytest.raises(ValueError, match="must not all be equal"):
        align(PICTURES[0].image, np.ones((5, 2)), template="dlib")
