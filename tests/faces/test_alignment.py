"""Tests of the geometry of crops: whatever the picture, its coordinates must end where they should.

Most pictures here are planes: red is the x and green the y of every pixel, so that a crop tells
where each of its pixels came from.
"""

import numpy as np
import pytest
from PIL import Image
from scipy.spatial import transform

from kerasface.data import draw_face
from kerasface.faces import align, cut, similarity, square_box, template
from kerasface.faces.alignment import center_square

ANGLES = [0, 37, 90, 180, 270]


def plane(height=250, width=250):
    image = np.full((height, width, 3), 255, np.uint8)
    image[..., 0], image[..., 1] = np.arange(width), np.arange(height)[:, None]
    return image


def turned(points, angle, scale=1.0, shift=(0.0, 0.0)):
    rotation = transform.Rotation.from_euler("z", angle, degrees=True).as_matrix()[:2, :2]
    return scale * points @ rotation.T + shift


def test_template_is_insightfaces():
    expected = [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366]]
    expected += [[41.5493, 92.3655], [70.7299, 92.2041]]
    np.testing.assert_array_equal(template(), expected)


def test_template_scales_with_the_crop():
    np.testing.assert_allclose(template(280), 2.5 * template())


def test_margin_shows_more_around_the_same_middle():
    wide = template(112, margin=0.25)
    np.testing.assert_allclose(wide - 56, (template() - 56) / 1.5)


def test_template_of_dlib():
    np.testing.assert_allclose(template(300, name="dlib"), 2 * template(name="dlib"))
    wide = template(150, margin=0.5, name="dlib")
    np.testing.assert_allclose(wide - 75, (template(name="dlib") - 75) / 2)


@pytest.mark.parametrize("angle", ANGLES)
def test_similarity_recovers_a_transform(angle):
    target = turned(template(), angle, 0.3, (5, -70))
    matrix = similarity(template(), target)
    np.testing.assert_allclose(template() @ matrix[:, :2].T + matrix[:, 2], target, atol=1e-9)
    assert np.linalg.det(matrix[:, :2]) == pytest.approx(0.09)


def test_similarity_is_the_least_squares_one():
    rng = np.random.default_rng(0)
    source, target = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    # The same as a linear problem in a, b and the shift.
    x, y, one, zero = source[:, 0], source[:, 1], np.ones(5), np.zeros(5)
    system = np.concatenate([np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)])
    a, b, right, down = np.linalg.lstsq(system, target.T.ravel(), rcond=None)[0]
    np.testing.assert_allclose(similarity(source, target), [[a, -b, right], [b, a, down]])


def test_similarity_never_mirrors():
    mirrored = template() * [-1, 1]
    assert np.linalg.det(similarity(template(), mirrored)[:, :2]) > 0


@pytest.mark.parametrize(
    ("source", "target"),
    [(np.zeros((5, 2)), np.ones((4, 2))), (np.zeros((1, 2)),) * 2, (np.zeros((5, 3)),) * 2],
)
def test_similarity_refuses_other_shapes(source, target):
    with pytest.raises(ValueError, match=r"two arrays \[N, 2\]"):
        similarity(source, target)


def test_similarity_refuses_a_single_place():
    with pytest.raises(ValueError, match="must not all be equal"):
        similarity(np.ones((5, 2)), template())


@pytest.mark.parametrize("size", [112, 64])
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.6])
@pytest.mark.parametrize("angle", ANGLES)
def test_aligned_pixels_have_the_right_source(angle, scale, size):
    landmarks = turned(template() - 56, angle, scale, (125, 125))
    crop = align(plane(), landmarks, size)
    assert crop.shape == (size, size, 3)
    assert crop.dtype == np.uint8
    matrix = similarity(template(size), landmarks)
    grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), -1)
    places = grid @ matrix[:, :2].T + matrix[:, 2]
    inside = ((places > 4) & (places < 245)).all(axis=-1)
    assert inside.mean() > 0.5
    difference = crop[inside][:, :2] - places[inside]
    assert abs(difference).max() < 1.3
    assert abs(difference.mean(axis=0)).max() < 0.1


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_photograph_gives_the_same_crop(turns):
    face = draw_face(3, 1, size=200)
    image, landmarks = face.image, face.landmarks.astype(float)
    for _ in range(turns):
        landmarks = np.stack([landmarks[:, 1], image.shape[1] - 1 - landmarks[:, 0]], axis=1)
        image = np.rot90(image)
    upright = align(face.image, face.landmarks).astype(int)
    difference = abs(align(np.ascontiguousarray(image), landmarks) - upright)
    assert difference.mean() < 1
    # So that the test could fail: the crop of the photograph that lies is another.
    assert abs(align(np.ascontiguousarray(image), face.landmarks) - upright).mean() > 20


def test_alignment_equals_opencv():
    cv2 = pytest.importorskip("cv2")
    face = draw_face(5, 2, size=128)
    smooth = cv2.GaussianBlur(face.image, (0, 0), 4)
    landmarks = turned(template() - 56, 20, 0.7, (64, 64))
    crop = align(smooth, landmarks)
    theirs = cv2.warpAffine(smooth, similarity(landmarks, template()), (112, 112))
    inner = (slice(20, -20),) * 2
    assert abs(crop[inner].astype(int) - theirs[inner]).mean() < 0.5


def test_face_at_the_border_is_padded_not_shifted():
    landmarks = template() - [60, 0]
    crop = align(plane(), landmarks)
    assert not crop[:, :58].any()  # what lies left of the image is black
    np.testing.assert_allclose(crop[50, 62:, 0], np.arange(2, 52), atol=1)
    assert (crop[:, 62:, 2] == 255).all()


def test_face_outside_the_image_is_black():
    assert not align(plane(), template() + 1000).any()


def test_large_face_is_shrunk_without_aliasing():
    board = np.zeros((1200, 1200, 3), np.uint8)
    board[::2, ::2] = board[1::2, 1::2] = 255
    landmarks = turned(template() - 56, 10, 8.0, (600, 600))
    assert align(board, landmarks)[20:-20, 20:-20].std() < 3
    assert cut(board, (100, 100, 901, 901), 64, margin=0).std() < 3


def test_margin_of_an_aligned_crop():
    landmarks = template() + 60
    wide, plain = align(plane(), landmarks, 168, margin=0.25), align(plane(), landmarks)
    np.testing.assert_allclose(wide[28:-28, 28:-28].astype(int), plain, atol=1)


@pytest.mark.parametrize(
    ("box", "margin", "expected"),
    [
        ((10, 20, 30, 40), 0.0, (5, 20, 40, 40)),
        ((10, 20, 40, 30), 0.5, (-10, -5, 80, 80)),
        ((0, 0, 10, 10), 0.2, (-2, -2, 14, 14)),
    ],
)
def test_square_box(box, margin, expected):
    assert square_box(box, margin) == pytest.approx(expected)


@pytest.mark.parametrize("size", [50, 100, 200])
@pytest.mark.parametrize("left", [30, 30.5])
def test_cut_pixels_have_the_right_source(left, size):
    crop = cut(plane(), (left, 40, 100, 80), size, margin=0.0)
    middles = (np.arange(size) + 0.5) / size * 100 - 0.5
    border = slice(3, -3)  # where the interpolation ends with the box
    np.testing.assert_allclose(crop[size // 2, border, 0], left + middles[border], atol=1)
    np.testing.assert_allclose(crop[border, size // 2, 1], 30 + middles[border], atol=1)


def test_cut_at_the_border_keeps_the_face_in_the_middle():
    crop = cut(plane(), (-20, 225, 40, 40), 80, margin=0.5)
    assert not crop[:, :38].any()
    assert not crop[47:].any()
    np.testing.assert_allclose(crop[20, 42:, 0], np.arange(2, 40), atol=1)


def test_center_square():
    crop = center_square(plane(100, 200), 100)
    np.testing.assert_array_equal(crop, plane(100, 200)[:, 50:150])


def test_cut_of_a_whole_pixel_box_is_exact():
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    np.testing.assert_array_equal(cut(noise, (10, 20, 30, 30), 30, margin=0), noise[20:50, 10:40])


@pytest.mark.parametrize("size", [0, -1, 1.5, True])
def test_size_must_be_a_number_of_pixels(size):
    for call in (lambda: template(size), lambda: cut(plane(), (0, 0, 9, 9), size)):
        with pytest.raises(ValueError, match=r"an integer of at least 1\. Received: size="):
            call()


@pytest.mark.parametrize("margin", [-0.1, 20, float("nan"), float("inf")])
def test_margin_out_of_range(margin):
    with pytest.raises(ValueError, match=r"in \[0, 5\]\. Received: margin=.*a share"):
        align(plane(), template(), margin=margin)


def test_landmarks_must_be_five_points():
    with pytest.raises(ValueError, match=r"five points \[5, 2\]"):
        align(plane(), template()[:4])
    with pytest.raises(ValueError, match=r"five points \[5, 2\]"):
        align(plane(), template() * np.nan)


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (0, 0, -5, -4), (np.nan, 0, 5, 5)])
def test_box_must_have_sides(box):
    with pytest.raises(ValueError, match="sides above 0"):
        cut(plane(), box)


def test_image_may_be_smaller_than_the_crop():
    small = np.asarray(Image.new("RGB", (3, 2), (9, 8, 7)))
    assert (center_square(small, 16) == [9, 8, 7]).all()
