"""Warnings about photographs that are taken as faces, and about faces that are detected again."""

import warnings

import numpy as np
import pytest
from PIL import Image

import kerasface
from kerasface.data import draw_scene
from kerasface.data.image_list import image_list
from kerasface.faces import Preparation, detect
from kerasface.inference import framing


@pytest.fixture(scope="module")
def scenes():
    """Photographs of one drawn person each."""
    return [draw_scene(faces=1, seed=seed).image for seed in (1, 2, 3)]


@pytest.fixture(scope="module")
def crops(scenes):
    """Their faces, as dlib's network needs them."""
    how = Preparation()
    return [
        how.cut(image, found[:1])[0] for image, found in zip(scenes, detect(scenes), strict=True)
    ]


def test_share_of_a_face():
    assert framing.face_share((0, 0, 20, 80), (100, 400, 3)) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("preparation", "share"),
    [
        (Preparation(), 0.89),
        (Preparation(template="arcface", size=112), 0.79),
        (Preparation(template="arcface", size=112, margin=0.25), 0.79 / 1.5),
        (Preparation(align=False, size=224, margin=0.5), 0.98 / 2),
    ],
)
def test_limits_follow_the_preparation(preparation, share, monkeypatch):
    image = image_list(np.zeros((1, 100, 100, 3), np.uint8))
    for factor, warned in ((0.75, False), (0.7, True)):
        monkeypatch.setattr(framing, "_median_share", lambda _, found=share * factor: found)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            framing.warn_about_photographs(image, preparation=preparation)
        assert bool(caught) is warned


def test_photographs_without_detection(scenes, crops):
    with pytest.warns(UserWarning, match="look like photographs.*detect=True") as caught:
        kerasface.embed(scenes, detect=False)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kerasface.embed(crops, detect=False)
        kerasface.embed(scenes)


def test_crops_with_detection(crops):
    with pytest.warns(UserWarning, match="look cropped.*detect=False"):
        kerasface.embed(crops, missing="nan")


def test_images_like_those_of_the_training_are_no_mistake(run, scenes, monkeypatch, tmp_path):
    for place, image in enumerate(scenes):
        Image.fromarray(image).save(tmp_path / f"{place}.png")
    with pytest.warns(UserWarning, match="look like photographs"):
        kerasface.predict(run, tmp_path)
    monkeypatch.setattr(framing, "_training_images", lambda _: image_list(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kerasface.predict(run, tmp_path)


def test_small_and_unreadable_images_are_not_judged(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    small = image_list([np.zeros((24, 24, 3), np.uint8), tmp_path / "broken.jpg"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        framing.warn_about_photographs(small)
