"""From photographs to answers with the pretrained face network."""

import dataclasses
import io
import json
import pathlib

import numpy as np
import pytest
from PIL import Image

import kerasface
from kerasface.data import draw_scene
from kerasface.faces import Preparation
from kerasface.faces.preparation import DLIB
from kerasface.inference import enroll, load_gallery
from kerasface.models import build


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Three photographs: two of one face each, one of three faces."""
    folder = tmp_path_factory.mktemp("scenes")
    for name, faces, seed in (("a", 1, 3), ("b", 1, 5), ("group", 3, 2)):
        Image.fromarray(draw_scene(faces=faces, seed=seed).image).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    path = tmp_path_factory.mktemp("blank") / "wall.png"
    Image.new("RGB", (160, 120), (90, 120, 90)).save(path)
    return path


def test_embeddings_are_those_of_the_prepared_faces(scenes):
    files = [scenes / "a.png", scenes / "b.png"]
    pixels = [np.asarray(Image.open(file)) for file in files]
    found = [kerasface.faces.detect([image])[0] for image in pixels]
    crops = [
        DLIB.cut(image, DLIB.choose(faces, image.shape))[0]
        for image, faces in zip(pixels, found, strict=True)
    ]
    network = build("dlib_resnet29", embedding=128, weights="dlib")
    expected = network(np.stack(crops).astype("float32")).numpy()
    vectors, frame = kerasface.embed(files, flip=False, return_faces=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    np.testing.assert_allclose(
        kerasface.embed(crops, detect=False, flip=False), expected, atol=1e-5
    )
    assert frame["image"].tolist() == ["a.png", "b.png"] and frame["face"].tolist() == [1, 1]
    assert tuple(frame.loc[0, ["left", "top", "width", "height"]]) == found[0][0].box
    np.testing.assert_array_equal(frame.loc[0, "landmarks"], found[0][0].landmarks)


def test_every_form_of_an_image_gives_the_same_vector(scenes):
    file = scenes / "a.png"
    pixels = np.asarray(Image.open(file))
    alpha = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    forms = [
        *(str(file), file, pixels, pixels.astype("float32"), alpha),
        *(Image.fromarray(pixels), file.read_bytes(), io.BytesIO(file.read_bytes())),
    ]
    vectors = kerasface.embed(forms)
    np.testing.assert_allclose(vectors, np.repeat(vectors[:1], len(forms), axis=0), atol=1e-6)
    decision = kerasface.verify(file.read_bytes(), pixels)
    assert decision and decision.similarity == pytest.approx(1, abs=1e-5)


def test_verify_decides_by_the_shipped_threshold(scenes, tmp_path):
    picture = tmp_path / "both.png"
    decision = kerasface.verify(scenes / "a.png", scenes / "b.png", picture=picture)
    assert bool(decision) is decision.same is (decision.similarity >= decision.threshold)
    assert decision.far_low < decision.far < decision.far_high
    assert 0 < decision.probability < 1 and "pairs of different people" in decision.measured_on
    assert decision.face_a.landmarks.shape == decision.face_b.landmarks.shape == (5, 2)
    assert Image.open(picture).width > 200
    strict = kerasface.verify(scenes / "a.png", scenes / "b.png", far=0.001)
    lax = kerasface.verify(scenes / "a.png", scenes / "b.png", far=0.1)
    assert strict.threshold > lax.threshold and strict.far < lax.far
    with pytest.raises(ValueError, match="`far` must be one of"):
        kerasface.verify(scenes / "a.png", scenes / "b.png", far=0.5)
    with pytest.raises(ValueError, match="Either a threshold or a false accept rate"):
        kerasface.verify(scenes / "a.png", scenes / "b.png", far=0.1, threshold=0.9)


def test_all_faces(scenes):
    vectors, frame = kerasface.embed(scenes / "group.png", faces="all", return_faces=True)
    assert len(vectors) == 3 and frame["face"].tolist() == [1, 2, 3]
    assert frame["faces"].tolist() == [3, 3, 3]
    best = kerasface.verify(scenes / "group.png", scenes / "a.png", faces="all")
    similarity = (vectors @ kerasface.embed(scenes / "a.png")[0]).max()
    assert best.similarity == pytest.approx(float(similarity), abs=1e-5)


def test_photographs_without_a_face(scenes, blank):
    with pytest.raises(ValueError, match=r"wall\.png.* Use detect=False"):
        kerasface.embed([scenes / "a.png", blank])
    with pytest.raises(ValueError, match=r"wall\.png"):
        kerasface.verify(scenes / "a.png", blank)
    vectors = kerasface.embed([blank, scenes / "a.png", blank], missing="nan")
    assert vectors.shape == (3, 128)
    assert np.isnan(vectors).all(axis=1).tolist() == [True, False, True]
    vectors, frame = kerasface.embed([blank], missing="nan", return_faces=True)
    assert vectors.shape == (1, 128) and frame["face"].tolist() == [0]


def test_identify_names_people_and_says_why_not(scenes, blank, tmp_path):
    for person in ("a", "b"):
        (tmp_path / "people" / person).mkdir(parents=True)
        Image.open(scenes / f"{person}.png").save(tmp_path / "people" / person / "1.png")
    result = kerasface.identify(tmp_path / "people", [scenes / "b.png", blank, scenes / "a.png"])
    assert result.answers["answer"].tolist() == ["b", "", "a"]
    assert result.answers["reason"].tolist() == ["", "no face found", ""]
    faces = kerasface.identify(tmp_path / "people", [scenes / "group.png"], faces="all")
    assert len(faces.answers) == 3

    gallery = enroll(tmp_path / "people")
    gallery.save(tmp_path / "people.npz")
    assert load_gallery(tmp_path / "people.npz").settings == gallery.settings
    assert gallery.settings.preparation == DLIB
    with pytest.raises(ValueError, match="made in the same way"):
        kerasface.identify(tmp_path / "people.npz", [scenes / "a.png"], detect=False)
    with pytest.raises(ValueError, match="mtcnn"):
        kerasface.identify(tmp_path / "people.npz", [scenes / "a.png"], detector="mtcnn")


def test_a_function_as_detector(scenes):
    calls = []

    def middle(images):
        calls.append(len(images))
        return [[kerasface.faces.Face((10, 10, 60, 60), 0.9)] for _ in images]

    frame = kerasface.embed(scenes / "a.png", detector=middle, return_faces=True)[1]
    assert calls == [1] and frame.loc[0, "width"] == 60


def test_jitter_is_the_mean_over_copies(scenes):
    plain, moved = (kerasface.embed(scenes / "a.png", jitter=count)[0] for count in (0, 4))
    again = kerasface.embed([scenes / "b.png", scenes / "a.png"], jitter=4)[1]
    np.testing.assert_allclose(moved, again, atol=1e-5)
    assert 0.9 < moved @ plain < 0.9999


def test_shipped_thresholds_are_of_the_preparation_that_is_used():
    measured = kerasface.inference.read_operating_point("dlib").settings.preparation
    assert dataclasses.replace(measured, faces=DLIB.faces) == DLIB


@pytest.mark.parametrize(
    ("options", "fragment"),
    [
        ({"detect": False, "detector": "mtcnn"}, "`detector` has no effect"),
        ({"detect": False, "faces": "all"}, "`faces` has no effect"),
        ({"faces": "first"}, "`faces` must be"),
        ({"missing": "skip"}, "`missing` must be"),
        ({"jitter": -1}, "`jitter` must be"),
        ({"detect": "yes"}, "`detect` must be True or False"),
        ({"detector": "mtcn"}, "Did you mean 'mtcnn'"),
    ],
)
def test_options_are_checked(scenes, options, fragment):
    with pytest.raises(ValueError, match=fragment):
        kerasface.embed(scenes / "a.png", **options)


def test_a_run_uses_the_preparation_of_its_crops(run, scenes, tmp_path):
    assert run.preparation is None
    settings = Preparation(template="arcface", size=64, margin=0.1).to_dict()
    path = pathlib.Path(run.folder, "crops.json")
    path.write_text(json.dumps(settings), encoding="utf-8")
    try:
        [first] = kerasface.embed(scenes / "a.png", model=run.folder, detect=True)
        image = np.asarray(Image.open(scenes / "a.png"))
        preparation = run.preparation
        [crop] = preparation.cut(image, kerasface.faces.detect([image])[0])
        [expected] = kerasface.embed(crop, model=run.folder)
        np.testing.assert_allclose(first, expected, atol=1e-5)
    finally:
        path.unlink()
