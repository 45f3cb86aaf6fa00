"""MTCNN as it is, with its real weights, on drawn scenes."""

import random

import keras
import numpy as np
import pytest

from kerasface.data import draw_scene
from kerasface.faces import detect, load_detector, overlap
from kerasface.faces.detectors.mtcnn import load_mtcnn


@pytest.fixture(scope="module")
def detector():
    return load_detector("mtcnn")


@pytest.fixture(scope="module")
def scenes():
    sizes = {3: (250, 250), 7: (320, 240), 13: (320, 240)}
    return [
        draw_scene(faces=2, width=width, height=height, face_size=(60, 110), seed=seed)
        for seed, (width, height) in sizes.items()
    ]


@pytest.fixture(scope="module")
def answers(detector, scenes):
    return detect([scene.image for scene in scenes], detector)


def best(faces, box):
    return max(faces, key=lambda face: overlap(face.box, box), default=None)


def numbers(faces):
    return [(face.box, face.score, face.landmarks.tolist()) for face in faces]


def test_drawn_faces_are_found(answers, scenes):
    pairs = [
        (true, best(found, true.box))
        for found, scene in zip(answers, scenes, strict=True)
        for true in scene.faces
    ]
    hits = [(true, face) for true, face in pairs if face and overlap(face.box, true.box) > 0.4]
    assert len(hits) == 6  # the scenes were chosen so: of all drawn faces it finds half
    for true, face in hits:
        away = np.linalg.norm(face.landmarks - true.landmarks, axis=1)
        assert away.mean() < 0.15 * true.box[3]
        # Image-left first: the other way round every eye and mouth corner would be far off.
        assert face.landmarks[0, 0] < face.landmarks[1, 0]
        assert face.landmarks[3, 0] < face.landmarks[4, 0]
        assert face.landmarks[:2, 1].max() < face.landmarks[2, 1] < face.landmarks[3:, 1].min()


def test_result_does_not_depend_on_other_images(detector, scenes, answers):
    for scene, expected in zip(scenes, answers, strict=True):
        [alone] = detect([scene.image], detector)
        assert numbers(alone) == numbers(expected)
    others = [scenes[2].image, scenes[1].image, scenes[1].image[:200], scenes[0].image]
    assert numbers(detect(others, detector)[3]) == numbers(answers[0])


def test_result_equals_the_package_for_one_image(scenes, answers):
    mtcnn = pytest.importorskip("mtcnn")
    package = mtcnn.MTCNN()
    for scene, mine in zip(scenes, answers, strict=True):
        theirs = package.detect_faces(
            scene.image, fit_to_image=False, box_format="xyxy", output_type="numpy"
        )
        assert len(theirs) == len(mine)
        for row, face in zip(theirs[np.argsort(-theirs[:, 5])], mine, strict=True):
            left, top, width, height = face.box
            np.testing.assert_allclose(row[1:5], [left, top, left + width, top + height], atol=1e-2)
            assert row[5] == pytest.approx(face.score, abs=1e-4)
            np.testing.assert_allclose(row[6:].reshape(2, 5).T, face.landmarks, atol=1e-2)


@pytest.mark.parametrize("shape", [(5, 5), (3, 200), (12, 12), (64, 64)])
def test_nothing_in_a_blank_image(detector, shape):
    assert detect([np.full((*shape, 3), 90, np.uint8)], detector) == [[]]


def test_turned_photograph(scenes, answers):
    scene = scenes[0]
    upside_down = np.ascontiguousarray(scene.image[::-1, ::-1])
    [faces] = detect([upside_down], "mtcnn", turned=True)
    height, width = scene.image.shape[:2]
    for upright in answers[0]:
        left, top, across, down = upright.box
        box = (width - left - across, height - top - down, across, down)
        face = best(faces, box)
        assert overlap(face.box, box) > 0.8
        expected = (width, height) - upright.landmarks
        assert np.linalg.norm(face.landmarks - expected, axis=1).mean() < 0.05 * down


def test_min_face_limits_the_size_of_faces(scenes, answers):
    assert answers[0]
    assert detect([scenes[0].image], "mtcnn", min_face=240) == [[]]


def test_threshold_is_the_lowest_score(scenes, answers):
    scores = sorted(face.score for face in answers[0])
    [faces] = detect([scenes[0].image], "mtcnn", threshold=scores[-1] - 1e-7)
    assert [face.score for face in faces] == [score for score in scores if score == scores[-1]]


def test_keras_settings_are_restored(scenes, answers):
    policy, state = keras.config.dtype_policy(), random.getstate()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        [faces] = load_mtcnn()([scenes[1].image])
        assert keras.config.dtype_policy().name == "mixed_float16"
        assert random.getstate() == state
    finally:
        keras.config.set_dtype_policy(policy)
    # And its layers are float32 all the same.
    assert sorted(numbers(faces)) == sorted(numbers(answers[1]))
