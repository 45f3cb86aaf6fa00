"""Users' own networks: `register_model`, and what the rest of the package does with them."""

import functools
import pathlib
import re
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import kerasface
from kerasface.models import build, freeze_backbone, list_models, register_model, unfreeze_backbone
from kerasface.models.registry import MODELS

GUIDE = pathlib.Path(__file__).parents[2] / "docs/guides/your_own_network.md"


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Each test begins with the built-in models only, whatever was registered before."""
    before = dict(MODELS)
    own = [name for name, spec in MODELS.items() if spec.parameters is None]
    for name in own:
        monkeypatch.delitem(MODELS, name)
    yield
    MODELS.clear()
    MODELS.update(before)


def plain(inputs, *, width=4):
    """Two convolutions.

    More words.
    """
    x = keras.layers.Rescaling(1 / 255)(inputs)
    for factor in (1, 2):
        x = keras.layers.Conv2D(factor * width, 3, strides=2)(x)
        x = keras.layers.BatchNormalization()(x)
    return x


def test_function_decorator_and_decorator_with_options():
    assert register_model(plain) is plain
    register_model(plain, name="renamed", image_size=48)
    decorated = register_model(name="decorated", head="double", description="Said.")(plain)
    assert decorated is plain
    table = list_models().loc[["plain", "renamed", "decorated"]]
    assert table["image_size"].tolist() == [112, 48, 112]
    assert table["head"].tolist() == ["pool", "pool", "double"]
    assert table["description"].tolist() == ["Two convolutions.", "Two convolutions.", "Said."]
    assert table["parameters"].isna().all()
    assert list_models()["parameters"].notna().sum() == len(list_models()) - 3


@pytest.mark.parametrize("head", ["pool", "double", "mlp", "cosine:30"])
def test_heads(head):
    register_model(plain, image_size=16)
    model = build("plain", num_classes=3, head=head, width=2)
    assert (model.name, model.input_shape, model.output_shape) == (
        "plain",
        (None, 16, 16, 3),
        (None, 3),
    )
    assert model.get_layer("head_pool").input.shape[-1] == 4


def test_embedding():
    register_model(plain, image_size=16)
    vectors = build("plain", embedding=5).predict(np.full((2, 16, 16, 3), 90.0), verbose=0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_freezing():
    register_model(plain, image_size=16)
    model = build("plain", num_classes=3, freeze=True)
    assert [layer.name for layer in model.layers if layer.trainable_weights] == ["head_logits"]
    unfreeze_backbone(model, last=2)
    kinds = [type(layer).__name__ for layer in model.layers if layer.trainable_weights]
    assert kinds == ["Conv2D", "Dense"]
    freeze_backbone(model)
    assert len(model.trainable_weights) == 2


def test_saved_model_and_weights(tmp_path):
    register_model(plain, image_size=16)
    model = build("plain", num_classes=3)
    model.save(tmp_path / "model.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3))
    again = build("plain", num_classes=3, weights=tmp_path / "model.keras")
    np.testing.assert_array_equal(again.predict(images), model.predict(images))
    del MODELS["plain"]
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(images), model.predict(images))


def test_overwrite():
    register_model(plain)
    with pytest.raises(ValueError, match=r"must not be in use. Received: name='plain'.*overwrite"):
        register_model(plain)
    with pytest.raises(ValueError, match="'FaceClassifier: ConvNeXt blocks"):
        register_model(plain, name="convnext_small")
    register_model(plain, overwrite=True, image_size=20)
    assert list_models().loc["plain", "image_size"] == 20


def test_near_names():
    register_model(plain, name="my_face_net")
    with pytest.raises(ValueError, match=r"'my_face_ned'\. Did you mean 'my_face_net'.*register"):
        build("my_face_ned", 3)
    with pytest.raises(ValueError, match=r"widht=3\. Did you mean 'width'"):
        build("my_face_net", 3, widht=3)


def test_option_without_default():
    def wanting(inputs, width):
        return plain(inputs, width=width)

    register_model(wanting, image_size=16)
    assert build("wanting", 3, width=8).get_layer("head_pool").input.shape[-1] == 16
    with pytest.raises(ValueError, match="needs the architecture option `width`"):
        build("wanting", 3)


def test_any_options():
    def open_ended(inputs, **options):
        return plain(inputs, **options)

    register_model(open_ended, image_size=16)
    assert build("open_ended", 3, width=8).get_layer("head_pool").input.shape[-1] == 16


@pytest.mark.parametrize(
    ("builder", "options", "error", "message"),
    [
        ("plain", {}, TypeError, "must be a function from inputs to features"),
        (keras.layers.Dense, {}, TypeError, "must be a function from inputs to features"),
        (lambda: None, {"name": "x"}, TypeError, r"The first parameter .* x\(\)"),
        (lambda *, inputs: None, {"name": "x"}, TypeError, "The first parameter"),
        (lambda inputs: None, {}, ValueError, "`name` must consist of letters"),
        (plain, {"name": "my/net"}, ValueError, "`name` must consist of letters"),
        (plain, {"name": "custom"}, ValueError, "'custom' is reserved"),
        (lambda x, dropout: x, {"name": "x"}, ValueError, r"argument of kerasface.build.*dropout"),
        (plain, {"image_size": 0}, ValueError, "`image_size` must be an integer of at least 1"),
        (plain, {"smallest": 200}, ValueError, r"`smallest` must be an integer in \[1, 112\]"),
        (plain, {"head": "pol"}, ValueError, "Did you mean 'pool'"),
    ],
)
def test_wrong_registrations(builder, options, error, message):
    with pytest.raises(error, match=message):
        register_model(builder, **options)


@pytest.mark.parametrize(
    ("builder", "message"),
    [
        (lambda x: None, r"must return a feature map .* Received: None"),
        (lambda x: keras.layers.Flatten()(x), r"must return a feature map"),
        (lambda x: keras.layers.ReLU(name="head_relu")(x), r"reserved .*\['head_relu'\]"),
    ],
)
def test_wrong_features(builder, message):
    register_model(builder, name="wrong")
    with pytest.raises(ValueError, match=message):
        build("wrong", 3)


def test_recipes_check_the_name_and_the_options():
    with pytest.raises(ValueError, match="Register your own network"):
        kerasface.Recipe(model="plain")
    register_model(plain)
    recipe = kerasface.Recipe(model="plain", architecture={"width": 3})
    with pytest.raises(ValueError, match=r"options of 'plain' are \['width'\]. Received: depth=3"):
        recipe.replace(architecture={"depth": 3})
    phased = recipe.replace(phases=[{"epochs": 1, "trainable": "head"}, {"epochs": 2}])
    del MODELS["plain"]
    read = kerasface.Recipe.from_json(phased.to_json())
    assert read == phased
    assert [(part.model, part.epochs) for part in read.parts()] == [("plain", 1), ("plain", 2)]
    with pytest.raises(ValueError, match="'plain'"):
        read.replace(seed=3)


OPENED_ELSEWHERE = """
import sys
import numpy as np
import kerasface
run, faces, probabilities = sys.argv[1:]
run = kerasface.Run(run)
train = kerasface.data.identity_folder(f"{faces}/train")
dev = kerasface.data.identity_folder(f"{faces}/dev", names=train.names)
np.testing.assert_allclose(run.predict(dev), np.load(probabilities), atol=1e-6)
try:
    kerasface.train(run.recipe, train=train, validation=dev, out=run.folder, resume=True)
except ValueError as error:
    print(error)
"""


class Kill(keras.callbacks.Callback):
    """Interrupts the training in its third epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


def test_guide(tables, faces, tmp_path, monkeypatch, unpainted):
    """Its code runs; the run resumes, and opens in a process without the registration."""
    section = GUIDE.read_text(encoding="utf-8").split("## Register a network\n")[1]
    blocks = re.findall(r"```python\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    code = "\n".join(blocks).replace("epochs=2", "epochs=4")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(faces, "data")  # the guide reads data/train and data/dev
    train, dev = tables
    with unpainted(), monkeypatch.context() as patch:
        patch.setattr(kerasface, "train", functools.partial(kerasface.train, callbacks=[Kill()]))
        with pytest.raises(KeyboardInterrupt):
            exec(code, {})
    run = kerasface.Run("runs/registered")
    assert run.recipe.model in list_models().index and len(run.history) == 2
    with unpainted():
        kerasface.train(run.recipe, train=train, validation=dev, out=run.folder, resume=True)
    assert len(run.history) == run.recipe.epochs == 4 and run.metrics["best"]

    np.save(tmp_path / "probabilities.npy", run.predict(dev))
    words = [run.folder.resolve(), faces, tmp_path / "probabilities.npy"]
    done = subprocess.run(
        [sys.executable, "-c", OPENED_ELSEWHERE, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    [line] = done.stdout.splitlines()
    assert f"Received: '{run.recipe.model}'" in line and "Register your own network" in line
