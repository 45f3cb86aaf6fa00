"""Tests of dlib's five-point predictor: against dlib, and with damaged files."""

import numpy as np
import pytest

from kerasface.data import draw_face
from kerasface.dlib_files import FIVE_LANDMARKS, find_file
from kerasface.faces.five_points import box_frames, load_five_points, read_five_points

PATH = find_file(FIVE_LANDMARKS)


def test_points_equal_dlibs():
    dlib = pytest.importorskip("dlib")
    theirs = dlib.shape_predictor(str(PATH))
    generator = np.random.default_rng(0)
    images, boxes, expected = [], [], []
    for person in range(24):
        picture = draw_face(person, person, size=40 + 20 * person)
        left, top, width, height = picture.box
        # Boxes of any shape; some extend beyond the image.
        box = np.array([left, top, left + width, top + height])
        box = np.rint(box + generator.normal(0, width / 5, 4)).astype(int)
        found = theirs(picture.image, dlib.rectangle(*box.tolist()))
        images.append(picture.image)
        boxes.append(box)
        expected.append([(found.part(k).x, found.part(k).y) for k in range(5)])
    points = load_five_points().predict(images, box_frames(np.array(boxes)))
    assert points.shape == (24, 5, 2)
    np.testing.assert_array_equal(np.floor(points + 0.5), expected)


def test_rotated_frame_follows_the_face():
    picture = draw_face(3, 1, size=200)
    left, top, width, height = picture.box
    frame = box_frames([[left, top, left + width, top + height]])
    points = load_five_points().predict([picture.image], frame)
    # A quarter turn to the left takes (x, y) to (y, 199 - x), for points as for frames.
    turn = np.array([[0, 1, 0], [-1, 0, 199]])
    turned = turn @ np.concatenate([frame[0], [[0, 0, 1]]])
    found = load_five_points().predict([np.rot90(picture.image)], turned[None])
    expected = points[0] @ turn[:, :2].T + turn[:, 2]
    assert abs(found[0] - expected).mean() < 1


def test_no_faces():
    assert load_five_points().predict([], np.zeros((0, 2, 3))).shape == (0, 5, 2)


def test_predictor_is_opened_once():
    assert load_five_points() is load_five_points(PATH)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda data: data[:-1000], ""),
        (lambda data: data[:5000], "ends too early"),
        (lambda data: data + b"\1\5", "too many"),
        (lambda data: b"\1\2" + data[2:], "version is 2"),
        (lambda data: b"\1\1\x81\x88" + data[4:], "coordinates is -136 instead of -10"),
        (lambda data: b"a text file\n" * 100, ""),
        (lambda data: b"", "ends too early"),
    ],
)
def test_other_files_are_refused_in_one_line(damage, reason, tmp_path):
    path = tmp_path / "landmarks.dat"
    path.write_bytes(damage(PATH.read_bytes()))
    with pytest.raises(ValueError, match=rf"must be the file.*landmarks\.dat.*{reason}") as caught:
        read_five_points(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("Copy or download it again.")
