"""dlib's detector in Keras, compared with dlib itself on drawn scenes."""

import numpy as np
import pytest

from kerasface.data import draw_scene
from kerasface.dlib_files import FACE_DETECTOR, find_file
from kerasface.faces import detect, load_detector, overlap
from kerasface.faces.detectors.mmod import SLOPE, pyramid_tiles


@pytest.fixture(scope="module")
def path():
    pytest.importorskip("face_recognition_models", exc_type=ImportError)
    return find_file(FACE_DETECTOR)


@pytest.fixture(scope="module")
def scenes():
    return [
        draw_scene(faces=2, width=width, height=height, face_size=(75, 110), seed=seed)
        for seed, (width, height) in {22: (320, 240), 25: (250, 300)}.items()
    ]


def test_boxes_and_scores_are_those_of_dlib(path, scenes):
    dlib = pytest.importorskip("dlib")
    original = dlib.cnn_face_detection_model_v1(str(path))
    found = detect([scene.image for scene in scenes], "mmod", min_face=80)
    assert [len(faces) for faces in found] == [2, 2]
    for faces, scene in zip(found, scenes, strict=True):
        expected = original(scene.image, 0)
        assert len(faces) == len(expected)
        for face, other in zip(faces, expected, strict=True):
            rect = other.rect
            box = (rect.left(), rect.top(), rect.width(), rect.height())
            np.testing.assert_allclose(face.box, box, atol=1.01)  # dlib rounds to pixels
            margin = np.log(face.score / (1 - face.score)) / SLOPE
            assert margin == pytest.approx(other.confidence, abs=1e-3)
            assert face.landmarks is None


def test_smaller_faces_need_a_smaller_min_face(path):
    scene = draw_scene(faces=2, width=250, height=250, face_size=(40, 50), seed=1)
    few, found = (
        detect([scene.image], "mmod", min_face=size, threshold=0.3)[0] for size in (80, 30)
    )
    assert len(few) < len(found)
    for face in found:
        assert max(overlap(face.box, true.box) for true in scene.faces) > 0.4


def test_threshold_is_the_lowest_score(path, scenes):
    images = [scenes[0].image]
    [every] = detect(images, "mmod", min_face=80, threshold=0.05)
    least = every[0].score - 1e-6
    [best] = detect(images, "mmod", min_face=80, threshold=least)
    assert len(every) > 1 and [face.box for face in best] == [every[0].box]


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (60, 40)])
def test_nothing_in_a_blank_image(path, shape):
    assert detect([np.full((*shape, 3), 90, np.uint8)], "mmod") == [[]]


@pytest.mark.parametrize("size", [(480, 640), (100, 500), (500, 100), (7, 9)])
def test_scales_lie_apart(size):
    tiles, (height, width) = pyramid_tiles(*size)
    covered = np.zeros((height, width), int)
    for tile in tiles:
        covered[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width] += 1
    assert covered.max() == 1
    assert covered.sum() == sum(tile.width * tile.height for tile in tiles)


@pytest.mark.parametrize("damage", [lambda data: data[:1000], lambda data: b"x" + data])
def test_damaged_file(path, tmp_path, damage):
    broken = tmp_path / "detector.dat"
    broken.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=r"must be the file mmod_human.* Received: .*detector"):
        load_detector("mmod", weights=broken)
