"""Tests of what every detector goes through, with functions in the place of networks."""

import numpy as np
import pytest
from PIL import Image

import kerasface
from kerasface.faces import (
    Face,
    detect,
    list_detectors,
    load_detector,
    open_detector,
    overlap,
    register_detector,
)
from kerasface.faces.detectors import registry as module

IMAGE = np.zeros((60, 80, 3), np.uint8)
FACE = Face((10, 10, 20, 30), 0.5)


def marks(images):
    """Finds the red block of an image, and in it the blue pixel, as a landmark five times."""
    answers = []
    for image in images:
        rows, columns = np.nonzero(image[..., 0] > 127)
        faces = []
        if len(rows):
            low = np.array([columns.min(), rows.min()])
            high = np.array([columns.max(), rows.max()]) + 1
            y, x = np.argwhere(image[..., 2] > 127).mean(axis=0)  # of pixels' middles
            spots = np.tile([x, y], (5, 1))
            faces = [Face((*low, *(high - low)), 0.9, spots)]
        answers.append(faces)
    return answers


def marked():
    image = np.zeros((60, 100, 3), np.uint8)
    image[10:40, 20:80, 0] = 255
    image[12:16, 24:28, 2] = 255
    return image


@pytest.fixture
def named(monkeypatch):
    """Puts `marks` in the place of the named detectors."""
    monkeypatch.setattr(module, "_loader", lambda name: lambda: marks)


def test_names():
    # Others may be registered by examples in docstrings and pages.
    assert {"blazeface", "mmod", "mtcnn", "retinaface", "yunet"} <= set(list_detectors())
    assert list_detectors() == sorted(list_detectors())


def test_function_is_called_once_for_all_images():
    calls = []

    def own(images):
        calls.append(images)
        return [[FACE]] * len(images)

    answers = detect([IMAGE, IMAGE + 1], own)
    assert [len(faces) for faces in answers] == [1, 1]
    (call,) = calls
    np.testing.assert_array_equal(call[1], IMAGE + 1)


def test_best_score_first_and_ties_by_place():
    faces = [Face((left, 5, 9, 9), score) for left, score in [(3, 0.2), (9, 0.8), (1, 0.8)]]
    [answer] = detect([IMAGE], lambda images: [faces])
    assert [face.box[0] for face in answer] == [1, 9, 3]


def test_no_images():
    assert detect([], lambda images: []) == []


@pytest.mark.parametrize(
    ("image", "error"),
    [
        (IMAGE / 255 + 0.1, ValueError),
        (IMAGE[..., :2], ValueError),
        (IMAGE[:0], ValueError),
        ("photo.jpg", FileNotFoundError),
        (None, TypeError),
    ],
)
def test_refused_images_are_named(image, error):
    with pytest.raises(error, match=r"^`images\[1\]` must"):
        detect([IMAGE, image], lambda images: [[] for _ in images])


def test_images_in_every_form(tmp_path):
    Image.fromarray(marked()).save(tmp_path / "a.png")
    Image.fromarray(IMAGE).save(tmp_path / "b.png")
    forms = [marked(), tmp_path / "a.png", (tmp_path / "a.png").read_bytes()]
    expected = marks([marked()])[0][0].box
    answers = detect(forms, marks)
    assert [faces[0].box for faces in answers] == [expected] * 3
    assert [len(faces) for faces in detect(tmp_path, marks)] == [1, 0]
    [faces] = detect(marked(), marks)
    assert faces[0].box == expected
    assert [len(faces) for faces in detect(np.stack([IMAGE] * 2), marks)] == [0, 0]


def test_many_images_are_given_in_parts(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)
    calls = []

    def own(images):
        calls.append(len(images))
        return marks(images)

    assert [len(faces) for faces in detect([IMAGE, marked(), IMAGE], own)] == [0, 1, 0]
    assert calls == [2, 1]


def test_named_detector_stays_open(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_registered", {})
    loaded = []

    def load(weights=None, sides=()):
        loaded.append(weights)
        return lambda images: marks(images)

    register_detector("own", load)
    first = open_detector("own")
    assert detect([IMAGE], "own") == [[]]
    assert open_detector("own") is first
    assert len(loaded) == 1
    assert open_detector("own", sides=[1]) is open_detector("own", sides=[1]) is not first
    weights = tmp_path / "weights"
    weights.write_text("1")
    second = open_detector("own", weights=weights)
    weights.write_text("22")
    assert open_detector("own", weights=weights) is not second
    register_detector("own", lambda: marks)
    assert open_detector("own") is not first
    assert load_detector("own") is not load_detector("own", turned=True)
    kerasface.clear_cache()
    register_detector("own", load)
    assert open_detector("own") is not first


def test_options_are_only_for_names():
    assert open_detector(marks) is marks
    with pytest.raises(ValueError, match=r"only for a detector given by name.*\['turned'\]"):
        detect([IMAGE], marks, turned=True)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([[]], r"1 answers \(list\) for 2 images"),
        ([Face((1, 2, 3, 4), 0.5)] * 2, r"2 answers \(Face\) for 2 images"),
        ([[], [(1, 2, 3, 4)]], "Received: tuple"),
    ],
)
def test_answers_must_be_faces(answer, message):
    with pytest.raises(ValueError, match=message):
        detect([IMAGE, IMAGE], lambda images: answer)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (((1, 2, 3), 0.5), "`box`"),
        (((1, 2, 3, 0), 0.5), "`box`"),
        (((1, 2, np.nan, 4), 0.5), "`box`"),
        (((1, 2, 3, 4), 1.5), "`score`"),
        (((1, 2, 3, 4), np.nan), "`score`"),
        (((1, 2, 3, 4), 0.5, np.zeros((4, 2))), "`landmarks`"),
        (((1, 2, 3, 4), 0.5, np.full((5, 2), np.inf)), "`landmarks`"),
    ],
)
def test_invalid_faces_are_refused(fields, message):
    with pytest.raises(ValueError, match=f"{message} must be"):
        Face(*fields)


def test_error_suggests_near_detectors():
    with pytest.raises(ValueError, match="Did you mean 'retinaface'"):
        load_detector("retina_face")


@pytest.fixture
def own(monkeypatch):
    """Registered detectors of a test are forgotten after it."""
    monkeypatch.setattr(module, "_registered", {})


def load_marks(*, label="red"):
    return marks


def test_registered_detector_takes_the_place_of_a_name(own):
    register_detector("mtcnn", load_marks)
    register_detector("marks", load_marks)
    assert "marks" in list_detectors() and list_detectors().count("mtcnn") == 1
    expected = detect([marked()], marks)[0][0].box
    for name in ("mtcnn", "marks"):
        [[face]] = detect([marked()], name, max_side=None, label="blue")
        assert face.box == expected
    with pytest.raises(ValueError, match=r"Received: 'lable'\. Did you mean 'label'"):
        detect([marked()], "marks", lable="blue")
    with pytest.raises(ValueError, match="Did you mean 'marks'"):
        load_detector("mark")


@pytest.mark.parametrize(
    ("arguments", "error"), [(("", load_marks), ValueError), (("own", "mtcnn"), TypeError)]
)
def test_what_cannot_be_registered(own, arguments, error):
    with pytest.raises(error, match="Received: "):
        register_detector(*arguments)


def test_error_suggests_near_options():
    with pytest.raises(ValueError, match=r"Received: 'minface'\. Did you mean 'min_face'"):
        load_detector("mtcnn", minface=12)


def test_options_of_a_function():
    with pytest.raises(ValueError, match=r"Received: \['threshold'\] with a function"):
        detect([IMAGE], marks, threshold=0.5)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("blazeface", {"min_face": 11}),
        ("blazeface", {"threshold": -1}),
        ("mmod", {"min_face": 11}),
        ("mmod", {"threshold": 1.1}),
        ("yunet", {"threshold": "high"}),
        ("mtcnn", {"min_face": 11}),
        ("mtcnn", {"min_face": "small"}),
        ("mtcnn", {"threshold": 1.1}),
        ("mtcnn", {"max_side": 10}),
        ("mtcnn", {"turned": "yes"}),
        ("retinaface", {"threshold": -0.1}),
        ("retinaface", {"upscale": 1}),
        ("retinaface", {"threads": 0}),
    ],
)
def test_options_out_of_range(name, options, tmp_path):
    (option,) = options
    if name == "retinaface":
        options = options | {"weights": tmp_path / "none.onnx"}
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        load_detector(name, **options)
    assert f"`{option}`" in str(caught.value)


@pytest.mark.parametrize("max_side", [None, 100, 64, 50, 37])
def test_shrunk_photograph_gives_places_in_the_whole_one(named, max_side):
    detector = load_detector("mtcnn", max_side=max_side)
    [[face]] = detect([marked()], detector)
    assert face.box == pytest.approx((20, 10, 60, 30), abs=3)
    np.testing.assert_allclose(face.landmarks, np.tile([25.5, 13.5], (5, 1)), atol=1.5)
    if max_side in (None, 100):  # it is not shrunk
        [[whole]] = detect([marked()], marks)
        assert face.box == whole.box


def test_landmarks_are_pixel_middles_and_boxes_edges(named):
    image = np.zeros((80, 128, 3), np.uint8)
    image[20:60, 40:80, 0] = 255
    image[40:44, 60:64, 2] = 255  # one pixel of the photograph at a quarter
    detector = load_detector("mtcnn", max_side=32)
    [[face]] = detect([image], detector)
    assert face.box == pytest.approx((40, 20, 40, 40))
    np.testing.assert_allclose(face.landmarks, np.tile([61.5, 41.5], (5, 1)))


def test_photograph_is_shrunk_to_its_largest_side(named, monkeypatch):
    seen = []
    monkeypatch.setattr(
        module, "_loader", lambda name: lambda: lambda images: seen.extend(images) or [[], []]
    )
    detect([marked(), IMAGE[:20, :20]], load_detector("mtcnn", max_side=50))
    assert [image.shape for image in seen] == [(30, 50, 3), (20, 20, 3)]


def test_turned_photographs_give_places_in_the_upright_one(named):
    # Only where it lies on its left side does this detector see the face.
    def left_only(images):
        wide = [image.shape[1] > image.shape[0] for image in images]
        return [faces if ok else [] for faces, ok in zip(marks(images), wide, strict=True)]

    [[expected]] = detect([marked()], marks)
    for turns in range(4):
        image = np.ascontiguousarray(np.rot90(marked(), turns))
        turner = module._in_four_turns(left_only)
        [faces] = detect([image], turner)
        assert len(faces) == 1  # seen in two turns, told once
        box, spots = faces[0].box, faces[0].landmarks
        [[true]] = detect([image], marks)
        assert box == pytest.approx(true.box)
        np.testing.assert_allclose(spots, true.landmarks)
        assert set(box[2:]) == set(expected.box[2:])


def test_overlap():
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 10, 5, 5)) == 0
