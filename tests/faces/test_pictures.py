"""Tests of the pictures for looking."""

import numpy as np
import pytest

from kerasface.faces import Face, contact_sheet, draw_faces
from kerasface.faces.pictures import BOX_COLOR, GAP, PAPER, POINT_COLORS

BLACK = np.zeros((100, 120, 3), np.uint8)
POINTS = np.array([[40, 40], [60, 40], [50, 50], [42, 60], [58, 60]])


def test_box_and_landmarks_are_drawn_in_place():
    picture = draw_faces(BLACK, [Face((30, 25, 40, 50), 0.9, POINTS)])
    assert picture.shape == BLACK.shape
    assert not BLACK.any()  # the image given stays
    for x, y in [(30, 60), (70, 60), (55, 75)]:  # the left, right and lower edge
        assert (picture[y - 1 : y + 2, x - 1 : x + 2] == BOX_COLOR).all(axis=2).any()
    for (x, y), color in zip(POINTS, POINT_COLORS, strict=True):
        assert tuple(picture[y, x]) == color
    assert not picture[90:, :].any()


def test_image_without_faces_is_unchanged():
    np.testing.assert_array_equal(draw_faces(BLACK + 7, []), BLACK + 7)


def test_face_over_the_border_and_without_landmarks():
    picture = draw_faces(BLACK, [Face((-20, -20, 60, 60), 0.5)])
    assert (picture == BOX_COLOR).all(axis=2).any()


def test_lines_are_thicker_in_large_photographs():
    large = draw_faces(np.zeros((2000, 2000, 3), np.uint8), [Face((500, 500, 900, 900), 0.5)])
    row = (large[1000] == BOX_COLOR).all(axis=1)
    assert row.sum() == 2 * 8


def test_contact_sheet_has_every_image_in_its_place():
    colors = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    images = [np.full((10, 10, 3), color, np.uint8) for color in colors]
    sheet = contact_sheet(images, columns=2, size=20)
    assert sheet.shape == (2 * (20 + GAP) + GAP, 2 * (20 + GAP) + GAP, 3)
    for (row, column), color in zip([(0, 0), (0, 1), (1, 0)], colors, strict=True):
        top, left = GAP + row * (20 + GAP), GAP + column * (20 + GAP)
        assert (sheet[top : top + 20, left : left + 20] == color).all()
    assert (sheet[-20:, -20:] == PAPER).all()


def test_images_keep_their_shape():
    sheet = contact_sheet([np.zeros((10, 40, 3), np.uint8)], size=40)
    assert (sheet[GAP + 15 : GAP + 25, GAP : GAP + 40] == 0).all()
    assert (sheet[GAP : GAP + 14, GAP : GAP + 40] == PAPER).all()


def test_captions_lie_below_and_are_cut():
    image = np.full((10, 10, 3), PAPER, np.uint8)
    sheet = contact_sheet([image, image], ["a very long caption " * 9, ""], size=48)
    dark = sheet.mean(axis=2) < 200
    assert dark[GAP + 48 :, : GAP + 48].any()
    assert not dark[:, GAP + 49 :].any()
    assert not dark[: GAP + 48].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": []}, "at least one image"),
        ({"captions": ["a"]}, "Received: 2 images and 1 captions"),
        ({"columns": 0}, "1 or more"),
        ({"size": 0}, "1 or more"),
    ],
)
def test_mistakes(options, message):
    with pytest.raises(ValueError, match=message):
        contact_sheet(**{"images": [BLACK, BLACK], **options})
