"""Training a user's own Keras model."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import warnings

import keras
import numpy as np
import pandas as pd
import pytest

import kerasface
from kerasface.data import FaceTable, read_celeba
from kerasface.runs.recipe import Recipe
from kerasface.training.assemble import compile_model, dtype_policy
from kerasface.training.custom_model import (
    Network,
    float32_copy,
    functional_model,
    recipe_for,
    resumed_model,
    set_random_states,
)
from kerasface.training.custom_model_checks import check_custom_model

pytestmark = pytest.mark.usefixtures("empty_pictures")
RECIPE = Recipe(epochs=2, batch_size=7, learning_rate=1e-2, ema=0.5, keep="last")
GUIDE = pathlib.Path(__file__).parents[2] / "docs/guides/your_own_network.md"


def small_model(outputs=4, activation="softmax", size=16, name=None):
    """A model as a user might write it. The dropout makes random states matter."""
    inputs = keras.Input((size, size, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, strides=2)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.3)(x)
    x = keras.layers.Dense(outputs, activation=activation, dtype="float32")(x)
    return keras.Model(inputs, x, name=name)


def embedding_model():
    inner = small_model(6, activation=None)
    outputs = keras.layers.UnitNormalization(dtype="float32")(inner.output)
    return keras.Model(inner.input, outputs)


def train(tables, out, **options):
    options = {"report": False, "verbose": 0, **options}
    return kerasface.train(RECIPE, train=tables[0], validation=tables[1], out=out, **options)


class Snapshots(keras.callbacks.Callback):
    """Copies the run folder in the middle of each epoch."""

    def __init__(self, run, folder):
        super().__init__()
        self.run = run
        self.folder = folder

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            shutil.copytree(self.run, self.folder / str(self.epoch))


@pytest.fixture(scope="module")
def finished(tables, tmp_path_factory, empty_pictures):
    """A finished run, its model, and snapshots of the run folder in each epoch."""
    keras.utils.set_random_seed(3)
    model, folder = small_model(), tmp_path_factory.mktemp("runs")
    snapshots = Snapshots(folder / "run", folder)
    run = train(tables, folder / "run", model=model, report=True, callbacks=[snapshots])
    return run, model, folder


def comparable(run):
    return run.history.drop(columns="seconds")


def test_recipe_follows_the_model(finished):
    recipe = json.loads(finished[0].path("recipe.json").read_text())
    assert recipe["model"] == "custom"
    assert (recipe["image_size"], recipe["precision"]) == (16, "float32")
    assert (recipe["head"], recipe["architecture"], recipe["weights"]) == (None, {}, None)


def test_model_is_trained_in_place(finished):
    run, model, _ = finished
    for found, expected in zip(model.get_weights(), run.load_model().get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    initial = keras.saving.load_model(run.path("architecture.keras"))
    assert np.any(initial.get_weights()[0] != model.get_weights()[0])


@pytest.mark.parametrize(("epoch", "given"), [(0, False), (0, True), (1, False), (1, True)])
def test_resume_gives_the_uninterrupted_result(finished, tables, tmp_path, epoch, given):
    run, _, folder = finished
    out = shutil.copytree(folder / str(epoch), tmp_path / "run")
    assert (out / "checkpoint").exists() == (epoch == 1)
    options = {"model": small_model()} if given else {}
    resumed = train(tables, out, resume=True, **options)
    pd.testing.assert_frame_equal(comparable(resumed), comparable(run), rtol=1e-5)
    for found, expected in zip(
        resumed.load_model().get_weights(), run.load_model().get_weights(), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_fresh_process_needs_no_builder(finished, faces, tmp_path):
    run, _, folder = finished
    out = shutil.copytree(folder / "1", tmp_path / "resumed")
    code = f"""
import kerasface
train = kerasface.data.identity_folder({str(faces / "train")!r})
dev = kerasface.data.identity_folder({str(faces / "dev")!r}, names=train.names)
options = {{"epochs": 2, "batch_size": 7, "learning_rate": 1e-2, "ema": 0.5, "keep": "last"}}
recipe = kerasface.Recipe(**options)
run = kerasface.train(
    recipe, train=train, validation=dev, out={str(out)!r}, resume=True, verbose=0
)
kerasface.predict(run, dev).to_csv({str(tmp_path / "predicted.csv")!r}, index=False)
kerasface.compare([run, {str(run.folder)!r}], {str(tmp_path / "compare.html")!r})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    pd.testing.assert_frame_equal(
        comparable(kerasface.Run(out)), comparable(run), rtol=1e-4, atol=1e-5
    )
    predicted = pd.read_csv(tmp_path / "predicted.csv")
    assert len(predicted) == 12
    assert "resumed" in (tmp_path / "compare.html").read_text()


@pytest.mark.parametrize("nested", [False, True])
def test_resume_freezes_the_layers_of_the_first_run(finished, tmp_path, nested):
    def make():
        if not nested:
            return small_model()
        return keras.Sequential([keras.Input((16, 16, 3)), small_model(), keras.layers.Softmax()])

    def frozen(model):
        return [variable.trainable for variable in model.weights]

    run = kerasface.Run(shutil.copytree(finished[0].folder, tmp_path / "run"))
    first, given = functional_model(make()), functional_model(make())
    inner = first.layers[1] if nested else first
    inner.layers[2].trainable = False
    first.save(run.path("architecture.keras"))
    given.layers[1].trainable = False
    assert frozen(resumed_model(run, given)) == frozen(first)
    assert frozen(first).count(False) == 4  # kernel, bias and two moving statistics


def test_resume_refuses_another_model(finished, tables, tmp_path):
    out = shutil.copytree(finished[2] / "1", tmp_path / "run")
    with pytest.raises(ValueError, match="must be resumed with the model that it started with"):
        train(tables, out, resume=True, model=small_model(activation="sigmoid"))
    with pytest.raises(ValueError, match="`image_size` follows the custom model"):
        train(tables, out, resume=True, image_size=32)
    with pytest.raises(ValueError, match="`model` follows the custom model"):
        train(tables, out, resume=True, model="convnext_nano")


def test_recipe_of_a_custom_run_needs_a_model(finished, tables, tmp_path):
    recipe = finished[0].recipe
    with pytest.raises(ValueError, match="needs a model"):
        kerasface.train(recipe, train=tables[0], out=tmp_path / "new")


def test_sequential_model_of_attributes(celeba_folder, tmp_path):
    parts = read_celeba(celeba_folder, attributes=["Smiling", "Beard"])
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="sigmoid"),
        ]
    )
    run = train(parts, tmp_path / "run", model=model, epochs=1)
    assert run.multi_label and run.predict(parts[2]).shape == (16, 2)
    assert len(run.thresholds) == 2
    loaded = keras.saving.load_model(run.path("model.keras"))
    assert not loaded.compiled  # so that plain Keras loads it


def test_embedding_model(tables, tmp_path):
    options = {"embedding": {"loss": "arcface", "scale": 16.0}, "epochs": 1}
    run = train(tables, tmp_path / "run", model=embedding_model(), **options)
    assert run.recipe.embedding["dimensions"] == 6
    vectors = kerasface.embed(tables[1], model=run)
    assert vectors.shape == (12, 6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_model_with_head_layers_can_be_frozen(tables, tmp_path):
    options = {"channels": [8], "blocks_per_stage": [1], "input_shape": (16, 16, 3)}
    model = kerasface.build("convnext_nano", 4, **options)
    before = {variable.path: variable.numpy() for variable in model.weights}
    train(tables, tmp_path / "run", model=model, trainable="head", epochs=1, ema=0.0)
    changed = {
        variable.path.split("_")[0]
        for variable in model.weights
        if np.any(variable.numpy() != before[variable.path])
    }
    assert changed == {"head"}


def test_muon_leaves_the_output_layer_to_adamw():
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Dense(8, name="dense")(keras.layers.Flatten()(inputs))
    x = keras.layers.Dense(4, name="dense_1")(x)
    hidden = keras.Model(inputs, keras.layers.Dense(5, name="dense_11")(x)).output
    outputs = keras.layers.Dense(4, activation="softmax", name="dense_1x")(hidden)
    model = functional_model(keras.Model(inputs, outputs))
    table = FaceTable("f", ["1.jpg"], [0], ["a", "b", "c", "d"])
    compile_model(model, RECIPE.replace(optimizer="muon", model="custom"), table)
    kernels = model.trainable_variables[::2]
    assert [model.optimizer.is_kernel(kernel) for kernel in kernels] == [True, True, True, False]


class Subclassed(keras.Model):
    def call(self, images):
        return images


class Classifier(keras.Model):
    """As in keras-hub: a functional model with methods of its own."""

    def __init__(self, outputs):
        model = small_model(outputs)
        super().__init__(model.input, model.output)
        self.classes = outputs

    def predict_names(self):
        return list(range(self.classes))


class WithTrainStep(Classifier):
    def train_step(self, data):
        return super().train_step(data)


def test_functional_subclass_is_accepted():
    table = FaceTable("f", ["1.jpg"], [0], ["a", "b", "c", "d"])
    plain = functional_model(Classifier(4))
    check_custom_model(plain, RECIPE, table)
    assert not isinstance(plain, Classifier)


class Unregistered(keras.layers.Layer):
    def call(self, images):
        return images * 2


def with_layer(layer):
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Flatten()(layer(inputs))
    return keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x))


def two_ended(inputs=1, outputs=1):
    first = [keras.Input((16, 16, 3)) for _ in range(inputs)]
    x = keras.layers.Flatten()(first[0] if inputs == 1 else keras.layers.Add()(first))
    return keras.Model(first, [keras.layers.Dense(4)(x) for _ in range(outputs)])


def of_shape(*shape):
    inputs = keras.Input(shape)
    x = keras.layers.GlobalAveragePooling2D()(inputs)
    return keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (Subclassed, "must be a functional keras.Model. .* subclass Subclassed"),
        (lambda: WithTrainStep(4), "must not override `train_step`. .* subclass WithTrainStep"),
        (lambda: keras.Sequential([keras.layers.Flatten()]), "Sequential model without an input"),
        (lambda: two_ended(inputs=2), "one input and one output. .* 2 inputs and 1 outputs. Pass"),
        (lambda: two_ended(outputs=2), "one input and one output. .* 1 inputs and 2 outputs. Pass"),
        (lambda: of_shape(16, 12, 3), r"square images. .*16, 12, 3\]. Build .*\(16, 16, 3\)"),
        (lambda: of_shape(None, None, 3), r"known size.*None, None, 3\]. Begin .*\(64, 64, 3\)"),
        (lambda: of_shape(16, 16, 1), r"RGB images.*\[None, 16, 16, 1\]. For a gray network"),
        (lambda: of_shape(3, 16, 16), r"RGB images.*\[None, 3, 16, 16\]. Channels come last"),
        (lambda: small_model(5), "one output per class. .* 5 outputs for 4. End .* of 4 units"),
        (lambda: small_model(activation=None), "must end with a softmax"),
        (lambda: with_layer(Unregistered()), "Could not locate class 'Unregistered'. Register"),
        (lambda: with_layer(keras.layers.Lambda(lambda x: x + 1)), "Replace its Lambda layers"),
    ],
)
def test_refused_model(tables, tmp_path, make, message):
    with pytest.raises(ValueError, match=message) as caught:
        train(tables, tmp_path / "run", model=make())
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainable": "head"}, "Only a model with head layers can be frozen"),
        ({"head": "pool"}, "`head` follows the custom model and cannot be set"),
        ({"architecture": {"channels": [8]}}, "`architecture` follows the custom model"),
        ({"weights": "imagenet"}, "`weights` follows the custom model"),
        ({"precision": "mixed_float16"}, "`precision` follows the custom model"),
        ({"embedding": {"dimensions": 9}}, r"dimensions=9 with a model of 4 outputs"),
        ({"embedding": {"loss": "arcface"}}, "must end with keras.layers.UnitNormalization"),
    ],
)
def test_refused_change(tables, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        train(tables, tmp_path / "run", model=small_model(), **changes)
    assert list(tmp_path.iterdir()) == []


ATTRIBUTES = FaceTable("f", ["1.jpg"], [[1, 0]], ["a", "b"])
CLASSES = FaceTable("f", ["1.jpg"], [0], ["a", "b"])


@pytest.mark.parametrize(
    ("table", "recipe", "rule"),
    [
        (ATTRIBUTES, RECIPE, "end with a sigmoid"),
        (CLASSES, RECIPE, "end with a softmax"),
        (CLASSES, RECIPE.replace(embedding={"dimensions": 2}), "UnitNormalization"),
    ],
)
def test_error_for_a_linear_output_names_a_remedy_that_works(table, recipe, rule):
    model = small_model(2, activation=None)
    with pytest.raises(ValueError, match=rule) as caught:
        check_custom_model(functional_model(model), recipe, table)
    remedy = re.search(r"pass (keras\.Model\(.*\))\.$", str(caught.value)).group(1)
    fixed = eval(remedy, {"keras": keras, "model": model})
    check_custom_model(functional_model(fixed), recipe, table)


def test_attributes_do_not_take_a_softmax():
    for activation in ("softmax", keras.ops.softmax):
        model = small_model(2, activation=None)
        outputs = keras.layers.Rescaling(1e3)(model.output)
        model = keras.Model(model.input, keras.layers.Activation(activation)(outputs))
        with pytest.raises(ValueError, match="Replace the softmax by a sigmoid"):
            check_custom_model(functional_model(model), RECIPE, ATTRIBUTES)


def test_attributes_take_any_sigmoid():
    model = small_model(2, activation=None)
    operation = keras.Model(model.input, keras.ops.sigmoid(model.output))
    check_custom_model(functional_model(operation), RECIPE, ATTRIBUTES)
    undecided = small_model(2, "sigmoid")
    undecided.layers[-1].kernel.assign(np.zeros((8, 2)))  # both outputs are 0.5
    check_custom_model(functional_model(undecided), RECIPE, ATTRIBUTES)


@pytest.mark.parametrize(
    ("stack", "unscaled"),
    [
        ([], True),
        ([keras.layers.Conv2D(4, 3, activation="relu")], True),
        ([keras.layers.RandomFlip(), keras.layers.Conv2D(4, 3)], True),
        ([keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(4, 3)], False),
        ([keras.layers.Conv2D(4, 3, use_bias=False), keras.layers.BatchNormalization()], False),
        ([keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.BatchNormalization()], True),
        ([keras.layers.Normalization(mean=100.0, variance=9.0), keras.layers.Conv2D(4, 3)], False),
    ],
)
def test_unscaled_input_is_warned_about(stack, unscaled):
    last = [keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")]
    model = keras.Sequential([keras.Input((16, 16, 3)), *stack, *last])
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always", UserWarning)
        check_custom_model(functional_model(model), RECIPE, CLASSES)
    texts = [str(warning.message) for warning in shown if "should scale" in str(warning.message)]
    assert len(texts) == unscaled
    for text in texts:
        assert "gets values up to 255. Put keras.layers.Rescaling(1 / 255)" in text


def test_other_changes_are_kept():
    recipe = recipe_for(RECIPE, {"epochs": 5, "image_size": 16}, Network(16, "float32", 4))
    assert (recipe.epochs, recipe.image_size, recipe.batch_size) == (5, 16, 7)


def test_random_states_follow_the_seed():
    images = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype("float32")
    model = small_model()
    outputs = []
    for seed in (1, 1, 2):
        set_random_states(model, seed)
        outputs.append(np.asarray(model(images, training=True)))
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert np.any(outputs[0] != outputs[2])


def test_float32_copy_of_a_half_precision_model():
    with dtype_policy("mixed_float16"):
        model = functional_model(small_model())
    copy = float32_copy(model)
    copy.set_weights(model.get_weights())
    assert {layer.dtype_policy.name for layer in copy.layers} == {"float32"}
    images = np.random.default_rng(0).uniform(0, 255, (4, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(copy(images), model(images), atol=5e-3)
    assert model.layers[2].dtype_policy.name == "mixed_float16"


def test_example_of_the_guide(tables, faces, tmp_path, monkeypatch):
    section = GUIDE.read_text(encoding="utf-8").split("## Train a finished model")[1]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1)
    (tmp_path / "data").symlink_to(faces, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    names = {"keras": keras, "kerasface": kerasface, "train": tables[0], "dev": tables[1]}
    exec(code, names)
    assert len(names["frame"]) == 8
    assert kerasface.Run("runs/finished").recipe.model == "custom"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": small_model},
            r"must be a keras\.Model or the name of a model\. Received: <func",
        ),
        ({"train": "data/train"}, r"`train` must be a FaceTable\. Received: 'data/train' of type"),
        ({"validation": "data/dev"}, r"`validation` must be a FaceTable.*identity_folder"),
    ],
)
def test_wrong_types_are_refused(tables, tmp_path, changes, message):
    options = {"train": tables[0], "model": small_model(), "out": tmp_path / "run", **changes}
    with pytest.raises(ValueError, match=message):
        kerasface.train(RECIPE, **options)
    assert not (tmp_path / "run").exists()
