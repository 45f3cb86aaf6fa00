"""Contract of every custom Keras object: config, saving, loading and one more training step."""

import copy
import dataclasses
import importlib
import json
import os
import pathlib
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasface
from kerasface import custom_objects
from kerasface.embedding import (
    AdaFace,
    ArcFace,
    ClassCenters,
    CosFace,
    EmbeddingTraining,
    NormFace,
    SampledCenters,
    SemiHardTriplets,
)
from kerasface.embedding.margins import Margin, ramp
from kerasface.models.heads import split_model
from kerasface.training import Muon
from kerasface.training.assemble import dtype_policy
from kerasface.training.features import HeadTraining
from kerasface.training.losses import AttributeAccuracy, AttributeLoss, ClassLoss

PREFIX = "kerasface>"
CLASSES, DIMENSIONS, SIZE, BATCH = 4, 6, 8, 6
RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (BATCH, SIZE, SIZE, 3)).astype("float32")
LABELS = np.array([0, 0, 1, 1, 2, 3], "int32")
ONE_HOT = np.eye(CLASSES, dtype="float32")[LABELS]
ATTRIBUTES = RNG.integers(0, 2, (BATCH, CLASSES)).astype("float32")
POINTS = RNG.normal(size=(BATCH, DIMENSIONS)).astype("float32")
OUTPUTS = RNG.uniform(0.05, 0.95, (BATCH, CLASSES)).astype("float32")


def embedder():
    """A small network with batch normalization and dropout that ends as embedding models do."""
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(4, 3, strides=2, kernel_regularizer=keras.regularizers.L2(0.01))(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = keras.layers.Dropout(0.3, name="head_dropout")(x)
    x = keras.layers.Dense(DIMENSIONS, name="head_embedding")(x)
    return keras.Model(images, keras.layers.UnitNormalization(dtype="float32", name="head_unit")(x))


def classifier(activation="softmax", dropout=0.0):
    """A small network; without dropout, whose random state Keras does not save."""
    images = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(4, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout")(x)
    x = keras.layers.Dense(CLASSES, name="head_logits")(x)
    return keras.Model(images, keras.layers.Activation(activation, name="head_output")(x))


def compiled(model, optimizer=None, **options):
    # Eager steps need no tracing, which would take most of the time.
    model.compile(optimizer or keras.optimizers.Adam(0.01), run_eagerly=True, **options)
    return model


def with_head(head, optimizer=None, **options):
    return compiled(EmbeddingTraining(embedder(), head, **options), optimizer)


def with_margin(margin):
    return with_head(ClassCenters(CLASSES, DIMENSIONS, margin))


def muon():
    schedule = keras.optimizers.schedules.CosineDecay(0.02, 10)
    return Muon(schedule, weight_decay=0.5, use_ema=True, exclude_layers=("head_logits",))


def with_muon(optimizer):
    model = classifier()
    flat = [variable for variable in model.trainable_variables if len(variable.shape) < 2]
    optimizer.exclude_from_weight_decay(var_list=flat)
    return compiled(model, optimizer, loss="categorical_crossentropy", jit_compile=False)


def frozen(model):
    for layer in model.layers:
        layer.trainable = False
    return model


def head_training():
    backbone, head = split_model(classifier(dropout=0.4))
    return HeadTraining(frozen(backbone), head)


def embedding_training():
    network = embedder()
    for layer in network.layers[:-3]:
        layer.trainable = False
    head = SampledCenters(CLASSES, DIMENSIONS, AdaFace(8.0), share=0.5, optimizer="sgd")
    return EmbeddingTraining(network, head, frozen_backbone=True)


def sampled_centers():
    rate = keras.optimizers.schedules.ExponentialDecay(0.3, 2, 0.5)
    margin = CosFace(8.0, ramp(0.2, 4))
    return SampledCenters(
        CLASSES, DIMENSIONS, margin, share=0.4, learning_rate=rate, subcenters=2, seed=7
    )


def after_logits(margin):
    cosines = tf.constant(np.tanh(OUTPUTS[:, :CLASSES]))
    norms = tf.constant(np.linalg.norm(POINTS, axis=1))
    return [margin.logits(cosines, tf.constant(LABELS), norms, training=True) for _ in range(2)]


def after_loss(head):
    return [head.loss(tf.constant(POINTS), tf.constant(LABELS)).loss for _ in range(2)]


def after_metric(metric):
    metric.update_state(ATTRIBUTES, OUTPUTS, np.arange(BATCH))
    return [metric.result()]


def after_updates(optimizer):
    variables = [keras.Variable(POINTS, name="kernel"), keras.Variable(POINTS[0], name="bias")]
    for _ in range(2):
        optimizer.apply([POINTS[::-1] + 1, POINTS[1]], variables)
    return variables


def after_prediction(model):
    model.set_weights([0.1 + np.cos(np.ones(weight.shape)) for weight in model.weights])
    return [model(IMAGES)]


@dataclasses.dataclass(frozen=True)
class Case:
    """How a registered object is made, used and trained.

    Attributes:
        make: Creates the object, with options that differ from the defaults.
        use: Returns outputs of the object that depend on its options.
        train: Puts the object into a compiled model.
        targets: Labels of the model.
    """

    make: Callable[[], Any]
    use: Callable[[Any], list]
    train: Callable[[Any], keras.Model]
    targets: np.ndarray = dataclasses.field(default_factory=lambda: LABELS)


CASES = {
    "AdaFace": Case(
        lambda: AdaFace(9.0, ramp(0.3, 5), concentration=0.5, momentum=0.8, name="mine"),
        after_logits,
        with_margin,
    ),
    "ArcFace": Case(lambda: ArcFace(9.0, ramp(0.3, 5)), after_logits, with_margin),
    "AttributeAccuracy": Case(
        lambda: AttributeAccuracy("right"),
        after_metric,
        lambda metric: compiled(
            classifier("sigmoid"), loss="binary_crossentropy", weighted_metrics=[metric]
        ),
        ATTRIBUTES,
    ),
    "AttributeLoss": Case(
        lambda: AttributeLoss(
            [1, 2, 3, 0.1], [0.5, 1, 1, 1], gamma=1.5, label_smoothing=0.1, reduction="sum"
        ),
        lambda loss: [loss(ATTRIBUTES, OUTPUTS)],
        lambda loss: compiled(classifier("sigmoid"), loss=loss),
        ATTRIBUTES,
    ),
    "ClassCenters": Case(
        lambda: ClassCenters(CLASSES, DIMENSIONS, ArcFace(7.0, 0.2), subcenters=3, seed=5),
        after_loss,
        with_head,
    ),
    "ClassLoss": Case(
        lambda: ClassLoss([1, 2, 3, 0.1], gamma=1.5, label_smoothing=0.1, reduction="sum"),
        lambda loss: [loss(ONE_HOT, OUTPUTS)],
        lambda loss: compiled(classifier(), loss=loss),
        ONE_HOT,
    ),
    "CosFace": Case(lambda: CosFace(9.0, ramp(0.3, 5)), after_logits, with_margin),
    "EmbeddingTraining": Case(embedding_training, after_prediction, compiled),
    "HeadTraining": Case(
        head_training,
        after_prediction,
        lambda model: compiled(model, loss="categorical_crossentropy"),
        ONE_HOT,
    ),
    "Margin": Case(lambda: Margin(9.0), after_logits, with_margin),
    "Muon": Case(muon, after_updates, with_muon, ONE_HOT),
    "NormFace": Case(
        lambda: NormFace(keras.optimizers.schedules.ExponentialDecay(9.0, 1, 0.5)),
        after_logits,
        with_margin,
    ),
    "SampledCenters": Case(sampled_centers, after_loss, with_head),
    "SemiHardTriplets": Case(lambda: SemiHardTriplets(0.7), after_loss, with_head),
}


def registered():
    """Names of all registered objects of kerasface."""
    names = keras.saving.get_custom_objects()
    return {name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)}


def subclasses(base):
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


def assert_equal(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def state(model):
    """What a file must hold: weights, random states and the optimizer's variables."""
    return [*model.variables, *model.optimizer.variables]


def step(model, targets):
    """Trains one step and returns its loss and metrics, which `fit` resets every epoch too."""
    model.reset_metrics()
    return model.train_on_batch(IMAGES, targets, return_dict=True)


def test_every_registered_object_has_a_case():
    assert registered() == set(CASES)
    assert registered() == set(custom_objects.__all__)


def test_every_custom_keras_class_is_registered():
    for module in pkgutil.walk_packages(kerasface.__path__, "kerasface."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    bases = (
        keras.Layer,
        keras.Loss,
        keras.Metric,
        keras.Optimizer,
        keras.Initializer,
        keras.Regularizer,
        keras.constraints.Constraint,
        keras.optimizers.schedules.LearningRateSchedule,
    )
    ours = {
        child
        for base in bases
        for child in subclasses(base)
        if child.__module__.split(".")[0] == "kerasface"
    }
    assert {keras.saving.get_registered_name(child) for child in ours} == {
        f"{PREFIX}{name}" for name in CASES
    }


@pytest.mark.parametrize("name", CASES)
def test_config_round_trip(name):
    case = CASES[name]
    instance = case.make()
    config = instance.get_config()
    before = copy.deepcopy(config)
    revived = type(instance).from_config(config)
    assert config == before
    assert revived.get_config() == config

    text = json.dumps(keras.saving.serialize_keras_object(instance))
    restored = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(restored) is type(instance)
    assert json.dumps(keras.saving.serialize_keras_object(restored)) == text
    assert set(dir(restored)) == set(dir(instance))
    expected = case.use(instance)
    assert_equal(case.use(revived), expected)
    assert_equal(case.use(restored), expected)


@pytest.mark.parametrize("name", CASES)
def test_one_more_step_after_loading(name, tmp_path):
    case = CASES[name]
    keras.utils.set_random_seed(0)
    model = case.train(case.make())
    for _ in range(2):
        model.train_on_batch(IMAGES, case.targets)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is type(model)
    assert_equal(state(loaded), state(model))
    before = [variable.numpy() for variable in loaded.variables]
    assert step(loaded, case.targets) == step(model, case.targets)
    assert_equal(state(loaded), state(model))
    changed = [np.any(old != new) for old, new in zip(before, loaded.variables, strict=True)]
    assert any(changed)
    assert_equal([loaded(IMAGES)], [model(IMAGES)])


@pytest.mark.parametrize("frozen_centers", [False, True])
def test_half_precision_and_frozen_centers_survive(frozen_centers, tmp_path):
    keras.utils.set_random_seed(0)
    with dtype_policy("mixed_float16"):
        model = with_head(ClassCenters(CLASSES, DIMENSIONS, AdaFace(8.0)), Muon(0.01))
    model.head.trainable = not frozen_centers
    compiled(model, Muon(0.01))
    model.train_on_batch(IMAGES, LABELS)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, keras.optimizers.LossScaleOptimizer)
    paths = [variable.path for variable in loaded.trainable_variables]
    assert ("centers/centers" in paths) is not frozen_centers
    for each in (model, loaded):
        each.train_on_batch(IMAGES, LABELS)
    assert_equal(state(loaded), state(model))


def test_loading_in_a_new_process(tmp_path):
    """Needs `import kerasface.custom_objects`; `import kerasface` does not import Keras."""
    keras.utils.set_random_seed(0)
    model = with_head(sampled_centers(), muon())
    model.train_on_batch(IMAGES, LABELS)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "batch.npz", images=IMAGES, labels=LABELS)
    code = (
        "import sys, keras, kerasface, numpy as np\n"
        "batch = np.load('batch.npz')\n"
        "try:\n    keras.saving.load_model('model.keras')\n"
        "except TypeError as error:\n    assert 'Could not locate' in str(error), error\n"
        "else:\n    sys.exit('loaded without registration')\n"
        "import kerasface.custom_objects\n"
        "model = keras.saving.load_model('model.keras')\n"
        "model.train_on_batch(batch['images'], batch['labels'])\n"
        "state = [*model.variables, *model.optimizer.variables]\n"
        "np.savez('state.npz', *[variable.numpy() for variable in state])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(kerasface.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    model.train_on_batch(IMAGES, LABELS)
    with np.load(tmp_path / "state.npz") as found:
        assert_equal(list(found.values()), [*model.variables, *model.optimizer.variables])


def batches():
    return tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)).batch(3)


def test_training_resumes_from_a_checkpoint(tmp_path):
    keras.utils.set_random_seed(0)
    model = EmbeddingTraining(embedder(), sampled_centers())
    model.compile(muon(), jit_compile=False)
    every = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}.keras")
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best.keras", monitor="val_accuracy", mode="max", save_best_only=True
    )
    options = {"epochs": 3, "shuffle": False, "validation_data": batches(), "verbose": 0}
    history = model.fit(batches(), callbacks=[every, best], **options).history
    row = int(np.argmax(history["val_accuracy"]))
    kept = keras.saving.load_model(tmp_path / "best.keras")
    assert_equal(
        kept.get_weights(), keras.saving.load_model(tmp_path / f"{row + 1}.keras").get_weights()
    )

    loaded = keras.saving.load_model(tmp_path / "1.keras")
    resumed = loaded.fit(batches(), initial_epoch=1, **options).history
    assert resumed == {key: values[1:] for key, values in history.items()}
    assert_equal(state(loaded), state(model))


def test_checkpoint_of_the_best_attribute_classifier(tmp_path):
    """Keras knows that larger is better for `AttributeAccuracy`, so `mode` is not needed."""
    keras.utils.set_random_seed(0)
    loss = AttributeLoss(np.ones(CLASSES), np.ones(CLASSES), gamma=1.0)
    model = classifier("sigmoid")
    model.compile(Muon(0.05), loss, metrics=[AttributeAccuracy()], jit_compile=False)
    path = tmp_path / "best.keras"
    checkpoint = keras.callbacks.ModelCheckpoint(path, monitor="val_accuracy", save_best_only=True)
    history = model.fit(
        IMAGES,
        ATTRIBUTES,
        epochs=3,
        validation_data=(IMAGES, ATTRIBUTES),
        callbacks=[checkpoint],
        verbose=0,
    ).history
    judged = keras.saving.load_model(path).evaluate(IMAGES, ATTRIBUTES, verbose=0, return_dict=True)
    assert judged["accuracy"] == max(history["val_accuracy"])
