"""`recommend`: which recipe for what data and hardware, and that it says why."""

import json

import keras
import numpy as np
import pytest

from kerasface.data import FaceTable
from kerasface.faces.preparation import Preparation
from kerasface.runs import named_recipe
from kerasface.training import Recommendation, recommend
from kerasface.training.recommendation import CANDIDATES, MANY_IMAGES


@pytest.fixture
def table(tmp_path):
    """Makes a table of ``count`` rows, ``each`` a person, over one picture of a size."""

    def make(count, each=20, size=(200, 220)):
        image = np.full((size[1], size[0], 3), 127, np.uint8)
        keras.utils.save_img(tmp_path / "face.png", image, scale=False)
        people = count // each
        return FaceTable(
            tmp_path,
            np.full(count, "face.png", dtype=object),
            np.arange(count) % people,
            [str(person) for person in range(people)],
        )

    return make


@pytest.fixture(autouse=True)
def face_network(monkeypatch):
    """Sets whether dlib's face network is on this computer; it is not unless a test says so."""

    def set_installed(value):
        monkeypatch.setattr("kerasface.training.recommendation.is_installed", lambda: value)

    set_installed(False)
    return set_installed


def test_pretrained_face_network(table, face_network):
    some = table(2600)
    face_network(True)
    chosen = recommend(some, gpu=False, seed=3, epochs=2)
    assert chosen.recipe == named_recipe("dlib_frozen").replace(seed=3, epochs=2)
    text = str(chosen)
    for words in ("is installed", "7,485 people", "--template dlib", "2 epochs", "seed=3"):
        assert words in text
    settings = Preparation().to_dict()
    (some.root / "crops.json").write_text(json.dumps({**settings, "template": "arcface"}))
    assert "--template dlib" in str(recommend(some))
    (some.root / "crops.json").write_text(json.dumps(settings))
    assert "--template dlib" not in str(recommend(some))
    assert "aligned with dlib's template" in str(recommend(some))
    # What the network does not fit: another network, and images that are enough for their own.
    assert recommend(some, model="convnext_nano").recipe.model == "convnext_nano"
    assert recommend(some, mixup=0.5).recipe.model == named_recipe("identity_small").model
    assert recommend(table(MANY_IMAGES), gpu=True).recipe.model == named_recipe("hw2p2").model
    assert recommend(table(MANY_IMAGES), gpu=False).recipe.model == "dlib_resnet29"
    face_network(False)
    assert recommend(some, gpu=False).recipe.model == named_recipe("identity_small").model


@pytest.mark.parametrize("gpu", [True, False])
def test_few_images(table, gpu):
    chosen = recommend(table(2600), gpu=gpu, cores=2)
    assert isinstance(chosen, Recommendation)
    assert chosen.recipe == named_recipe("identity_small")
    assert "2,600 images" in chosen.reasons[0]
    assert repr(chosen).startswith("Recommendation(model=") and "reasons)" in repr(chosen)
    assert "<table" in chosen._repr_html_() and "2,600 images" in chosen._repr_html_()
    assert any("on 2 cores" in reason for reason in chosen.reasons) is not gpu


@pytest.mark.parametrize(("gpu", "recipe"), [(True, "hw2p2"), (False, "identity_small")])
def test_many_images(table, gpu, recipe):
    chosen = recommend(table(MANY_IMAGES), gpu=gpu, cores=64)
    assert chosen.recipe.model == named_recipe(recipe).model
    assert recipe in chosen.reasons[0]
    fewer = recommend(table(MANY_IMAGES - 20), gpu=gpu, cores=64)
    assert fewer.recipe.model == named_recipe("identity_small").model


@pytest.mark.parametrize(
    ("size", "few", "many"),
    [
        ((30, 30), 64, 112),
        ((64, 300), 64, 112),
        ((89, 109), 64, 112),
        ((90, 109), 112, 112),
        ((178, 218), 112, 112),
        ((180, 200), 112, 224),
        ((1000, 900), 112, 224),
    ],
)
def test_image_size(table, size, few, many):
    small = recommend(table(2600, size=size), gpu=True).recipe
    assert small.image_size == few
    assert small.architecture["stem_stride"] == {64: 1, 112: 2}[few]
    assert recommend(table(MANY_IMAGES, size=size), gpu=True).recipe.image_size == many


@pytest.mark.parametrize(
    ("count", "epochs", "unmixed"),
    [(400, 100, 34), (1000, 79, 27), (2600, 30, 10), (9000, 30, 10)],
)
def test_epochs(table, count, epochs, unmixed):
    recipe = recommend(table(count), gpu=True).recipe
    assert (recipe.epochs, recipe.unmixed_epochs) == (epochs, unmixed)


@pytest.mark.parametrize(("cores", "words"), [(2, "About 49 hours"), (100, "About 59 minutes")])
def test_time_is_told(table, cores, words):
    assert words in str(recommend(table(MANY_IMAGES * 10), gpu=False, cores=cores))


def test_scarce_people_are_told_of(table):
    said = [
        any("celebrities_mobile" in reason for reason in recommend(table(600, each=each)).reasons)
        for each in (4, 5)
    ]
    assert said == [True, False]


def test_reasons_are_a_list_to_print(table):
    chosen = recommend(table(2600))
    assert str(chosen).splitlines() == [f"- {reason}" for reason in chosen.reasons]


def test_hardware_is_looked_up(table, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert "on 7 cores" in str(recommend(table(2600)))
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [kind])
    assert "cores" not in str(recommend(table(2600)))


def test_what_cannot_be_recommended_for(table, tmp_path):
    some = table(40)
    with pytest.raises(ValueError, match="unlabeled"):
        recommend(FaceTable(some.root, some.paths))
    with pytest.raises(ValueError, match="with attributes"):
        recommend(FaceTable(some.root, some.paths, np.ones((40, 1), int), ["Smiling"]))
    with pytest.raises(ValueError, match=r"at least two classes. Received: \['0'\]"):
        recommend(table(20))
    (tmp_path / "face.png").write_text("no image")
    with pytest.raises(ValueError, match=r"40 files of .* none of a sample is"):
        recommend(some)


def test_changes_are_part_of_the_explanation(table):
    some = table(2600)
    chosen = recommend(some, gpu=False, cores=2, epochs=2, image_size=64, seed=3)
    assert chosen.recipe.epochs == 2 and chosen.recipe.image_size == 64 and chosen.recipe.seed == 3
    text = str(chosen)
    for words in ("2 epochs, as you set it.", "64 px, as you set it;", "Set by you: seed=3."):
        assert words in text
    assert "on 2 cores" in text  # of two epochs at 64 pixels
    # The time was measured for the recipe's own network and sizes.
    for changes in ({"model": "convnext_nano"}, {"image_size": 32}):
        assert "cores" not in str(recommend(some, gpu=False, cores=2, **changes))
    with pytest.raises(ValueError, match="`epochs` must be an integer"):
        recommend(some, epochs=0)


def test_candidates_refuse_the_same_changes():
    """The command line checks changes against the first before it reads the data."""
    wrong = [{"momentum": 0.5}, {"decay_epochs": 3}, {"epochs": 0}, {"feature_variants": 2}]
    for name in CANDIDATES:
        for changes in wrong:
            with pytest.raises(ValueError, match="Received"):
                named_recipe(name).replace(**changes)
