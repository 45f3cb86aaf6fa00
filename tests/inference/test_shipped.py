"""The shipped thresholds of the pretrained network, and own thresholds that replace them."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

import kerasface
from kerasface.data import draw_scene
from kerasface.faces.preparation import DLIB
from kerasface.inference import read_operating_point, verify_pairs
from kerasface.inference.operating_point import resolve_threshold
from kerasface.inference.shipped import shipped_file, shipped_flip, shipped_rates

RATES = [0.1, 0.03, 0.01, 0.003, 0.001]
PEOPLE = 5

# The face that LFW names is the one nearest to the center.
CENTRAL = dataclasses.replace(DLIB, faces="central")


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A folder of five people, two photographs each, and one photograph of a wall."""
    folder = tmp_path_factory.mktemp("album")
    for person in range(PEOPLE):
        own = folder / f"person {person}"
        own.mkdir()
        scene = draw_scene(faces=1, width=200, height=200, face_size=(90, 120), seed=person + 3)
        image = Image.fromarray(scene.image)
        image.save(own / "1.png")
        ImageEnhance.Brightness(image).enhance(1.2).save(own / "2.png")
    Image.new("RGB", (200, 200), (90, 120, 90)).save(folder / "person 0" / "wall.png")
    return folder


def test_a_threshold_for_each_rate():
    assert shipped_rates("dlib") == RATES
    for flip in (False, True):
        points = [read_operating_point("dlib", far=far, flip=flip) for far in RATES]
        for far, point in zip(RATES, points, strict=True):
            assert point.far <= far < 1.1 * point.far
            assert point.far_low < point.far < point.far_high
            assert point.settings.flip is flip and point.settings.preparation == CENTRAL
            assert point.probability(1.0) > 0.99 > 0.01 > point.probability(0.0)
            assert point.people > 500 and point.impostor_pairs > 1e6
        assert np.all(np.diff([point.threshold for point in points]) > 0)
        assert np.all(np.diff([point.tar for point in points]) < 0)


def test_the_default_is_one_of_them():
    default = shipped_file("dlib")["default"]
    point = read_operating_point("dlib")
    assert point == read_operating_point("dlib", **default)
    assert point.settings.flip is shipped_flip("dlib") is default["flip"]
    assert resolve_threshold("dlib").value == point.threshold
    # A threshold by hand: the embeddings are made as for the shipped one.
    assert resolve_threshold("dlib", 0.5).flip_and_crop("dlib", None, None)[0] is default["flip"]
    assert shipped_flip("runs/faces") is False


def test_other_rates_are_refused_with_the_list():
    with pytest.raises(
        ValueError, match=r"one of \[0\.1, 0\.03, .*far=0\.02.*verify_pairs\(far=\)"
    ):
        read_operating_point("dlib", far=0.02)
    with pytest.raises(ValueError, match="`far` must be one of"):
        read_operating_point("dlib", far=float("nan"))


def test_own_pairs_replace_the_shipped_threshold(album, tmp_path):
    files = sorted(path.relative_to(album).as_posix() for path in album.glob("*/*.png"))
    first, second = np.triu_indices(len(files), 1)
    people = np.array([name.split("/")[0] for name in files])
    pairs = pd.DataFrame({"file_a": np.array(files)[first], "file_b": np.array(files)[second]})
    pairs["same"] = (people[first] == people[second]).astype(int)
    pairs["person_a"], pairs["person_b"] = people[first], people[second]
    pairs.to_csv(tmp_path / "own.csv", index=False)
    with pytest.warns(UserWarning, match=r"10 of 55 pairs are left out.*1 photographs.*wall\.png"):
        result = verify_pairs(
            tmp_path / "own.csv", album, out=tmp_path / "out", far=0.4, bootstrap=5
        )
    assert (result.metrics["genuine"], result.metrics["impostor"]) == (5, 40)
    assert result.stored == tmp_path / "out" / "verifier.json"
    point = result.operating_point
    shipped = read_operating_point("dlib").settings
    assert point.settings.preparation == DLIB and not point.settings.difference(shipped, "it")
    assert json.loads(result.stored.read_text())["preparation"] == DLIB.to_dict()
    page = result.page.read_text()
    assert "7,485 people" in page and "10 pairs are left out" in page

    decision = kerasface.verify(
        album / files[0], album / files[1], threshold=tmp_path / "out" / "verifier.json"
    )
    assert decision.same and (decision.threshold, decision.far) == (point.threshold, point.far)
    assert decision.measured_on == "own: 40 pairs of different people, 5 people"
    assert decision == kerasface.verify(album / files[0], album / files[1], threshold=point)


def test_pairs_have_one_face(album):
    with pytest.raises(ValueError, match=r"one face of each photograph\. Received: faces='all'"):
        verify_pairs(images=album, faces="all")
