"""Every callback in every common use of `fit`: it works, or refuses before the first batch."""

import contextlib
import dataclasses
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from matplotlib.figure import Figure
from PIL import Image

from kerasface import reports
from kerasface.callbacks import AttributeReport, ConfusionMatrix, Curves, RocCurves, Submission
from kerasface.data import FaceTable
from kerasface.metrics import attributes

SIZE, COUNT, BATCH = 16, 24, 8
CLASSES, ATTRIBUTES = ("ann", "bob", "cat", "NA"), ("smiling", "young")
RNG = np.random.default_rng(1)
PIXELS = RNG.integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)
LABELS = {4: np.arange(COUNT) % 4, 2: RNG.integers(0, 2, (COUNT, 2))}
LOSS = {4: "sparse_categorical_crossentropy", 2: "binary_crossentropy"}
ACTIVATION = {4: "softmax", 2: "sigmoid"}
FILES = [f"{index:04d}.png" for index in range(COUNT)]
CALLBACKS = ("Curves", "Submission", "ConfusionMatrix", "RocCurves", "AttributeReport")
REPORTS = CALLBACKS[1:]


def scaled(images):
    return images / 255.0


def centered(images):
    return images / 127.5 - 1.0


def caffe(images):
    return keras.applications.vgg16.preprocess_input(images + 0.0)


def features(image, scaling=True):
    x = keras.layers.Rescaling(1 / 255)(image) if scaling else image
    return keras.layers.Flatten()(x)


def dense(units, name=None):
    return keras.layers.Dense(units, activation=ACTIVATION[units], name=name)


def functional(units, scaling=True):
    image = keras.Input((SIZE, SIZE, 3))
    return keras.Model(image, dense(units)(features(image, scaling)))


def raw(units):
    return functional(units, scaling=False)


def sequential(units):
    return keras.Sequential([keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), dense(units)])


def raw_sequential(units):
    return keras.Sequential([keras.layers.Flatten(), dense(units)])


def normalizing(units):
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Flatten()(keras.layers.BatchNormalization()(image))
    return keras.Model(image, dense(units)(x))


def normalized_when_flat(units):
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Normalization(mean=127.5, variance=75.0**2)(keras.layers.Flatten()(image))
    return keras.Model(image, dense(units)(x))


class Subclassed(keras.Model):
    def __init__(self, units, scaling=True):
        super().__init__()
        self.scale = keras.layers.Rescaling(1 / 255) if scaling else keras.layers.Identity()
        self.flatten = keras.layers.Flatten()
        self.head = dense(units)

    def call(self, images):
        return self.head(self.flatten(self.scale(images)))


def two_outputs(units, dictionary=False):
    image = keras.Input((SIZE, SIZE, 3))
    x = features(image)
    outputs = [keras.layers.Dense(3, name="other")(x), dense(units, "main")(x)]
    if dictionary:
        return keras.Model(image, {"other": outputs[0], "main": outputs[1]})
    return keras.Model(image, outputs)


def dictionary_input(units):
    image = keras.Input((SIZE, SIZE, 3), name="photo")
    return keras.Model({"photo": image}, dense(units)(features(image)))


def half_precision(units):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return functional(units)
    finally:
        keras.config.set_dtype_policy(before)


def mirrored(units):
    with tf.distribute.MirroredStrategy(["/cpu:0"]).scope():
        return compiled(functional(units), units, run_eagerly=False, jit_compile=False)


def compiled(model, units, **options):
    loss = LOSS[units]
    if isinstance(getattr(model, "output", None), (dict, list)):
        loss = {"other": "mse", "main": loss}
    options = {"optimizer": keras.optimizers.SGD(0.1), "run_eagerly": True, **options}
    model.compile(loss=loss, **options)  # eagerly: tracing would take longer than the training
    return model


def decay():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=3, decay_rate=0.5)
    return keras.optimizers.SGD(schedule)


class Interrupt(keras.callbacks.Callback):
    """Stops the second epoch as Ctrl-C does."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1:
            raise KeyboardInterrupt


@dataclasses.dataclass(frozen=True)
class Situation:
    """A use of `fit`, and what the callbacks do in it.

    ``refuses`` is the error of all callbacks but `Curves`, or of those named; the rest works.
    """

    build: Callable[[int], keras.Model] = functional
    images: Callable[[Any], Any] = lambda images: images
    select: Callable[[Any], Any] = lambda outputs: outputs
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    compile: Callable[[], dict[str, Any]] = dict
    fit: dict[str, Any] = dataclasses.field(default_factory=dict)
    before: Callable[[], list[keras.callbacks.Callback]] = list
    after: Callable[[], list[keras.callbacks.Callback]] = list
    validation: bool = True
    fits: int = 1
    epochs: tuple[int, ...] = (1, 2)
    validated: tuple[int, ...] = (1, 2)
    rates: tuple[float, ...] = (0.1, 0.1)
    weights_of: int = -1
    interrupted: bool = False
    dataset: bool = False
    refuses: str | dict[str, str] = ""
    tolerance: float = 1e-5


MAIN = {"options": {"output": "main"}}
NO_SIZE = "`image_size` must be given for a model without a fixed input size. Received: "
NO_SIZE += "image_size=None for a {} model. Pass it, or build the model with keras.Input."
NO_OUTPUT = "`output` must be one of ['other', 'main']. Received: output=None."
NOT_SCALED = (
    "The model must scale its input, because the images of a table have values in [0, 255]. "
)
NOT_SCALED += "Received: a model whose first layer with weights, 'dense"
NO_IDS = "`test` must be a folder or a FaceTable. Their paths are the ids. Received: _BatchDataset"
PLATEAU = {"monitor": "loss", "mode": "max", "patience": 1, "factor": 0.5}
SITUATIONS = {
    "plain": Situation(),
    "validation_freq": Situation(fit={"validation_freq": 2}, validated=(2,)),
    "no_validation": Situation(validation=False, validated=()),
    "sequential": Situation(sequential, refuses=NO_SIZE.format("Sequential")),
    "sequential_with_size": Situation(sequential, options={"image_size": SIZE}),
    "subclassed": Situation(Subclassed, refuses=NO_SIZE.format("Subclassed")),
    "subclassed_with_size": Situation(Subclassed, options={"image_size": SIZE}),
    "dictionary_outputs": Situation(
        lambda units: two_outputs(units, dictionary=True), refuses=NO_OUTPUT
    ),
    "dictionary_outputs_with_output": Situation(
        lambda units: two_outputs(units, dictionary=True), select=lambda y: y["main"], **MAIN
    ),
    "multiple_outputs": Situation(two_outputs, refuses=NO_OUTPUT),
    "multiple_outputs_by_name": Situation(two_outputs, select=lambda y: y[1], **MAIN),
    "multiple_outputs_by_position": Situation(
        two_outputs, select=lambda y: y[1], options={"output": 1}
    ),
    "dictionary_input": Situation(dictionary_input, images=lambda x: {"photo": x}),
    "mirrored_strategy": Situation(mirrored),
    "reduce_on_plateau": Situation(
        compile=lambda: {"optimizer": keras.optimizers.SGD(1e-3)},  # so the loss falls
        fit={"epochs": 3},
        after=lambda: [keras.callbacks.ReduceLROnPlateau(**PLATEAU)],
        epochs=(1, 2, 3),
        validated=(1, 2, 3),
        rates=(1e-3, 1e-3, 5e-4),
    ),
    "schedule": Situation(compile=lambda: {"optimizer": decay()}, rates=(0.05, 0.025)),
    "rate_scheduler": Situation(
        before=lambda: [keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))],
        rates=(0.1, 0.05),
    ),
    "mixed_precision": Situation(
        half_precision,
        compile=lambda: {"optimizer": keras.optimizers.LossScaleOptimizer(decay(), 1.0)},
        rates=(0.05, 0.025),
        tolerance=2e-3,
    ),
    "steps_per_execution": Situation(
        compile=lambda: {"steps_per_execution": 2, "run_eagerly": False, "jit_compile": False}
    ),
    "second_fit": Situation(fits=2),
    "initial_epoch": Situation(
        fit={"initial_epoch": 1, "epochs": 3}, epochs=(2, 3), validated=(2, 3)
    ),
    "scaled_outside": Situation(raw, images=scaled, refuses=NOT_SCALED),
    "scaled_outside_sequential": Situation(
        raw_sequential, images=scaled, options={"image_size": SIZE}, refuses=NOT_SCALED
    ),
    "scaled_outside_subclassed": Situation(
        functools.partial(Subclassed, scaling=False),
        images=scaled,
        options={"image_size": SIZE},
        refuses=NOT_SCALED,
    ),
    "sequential_with_preprocess": Situation(
        raw_sequential, images=scaled, options={"image_size": SIZE, "preprocess": scaled}
    ),
    "sequential_with_dataset": Situation(
        raw_sequential, images=scaled, dataset=True, refuses={"Submission": NO_IDS}
    ),
    "batch_normalization_first": Situation(normalizing),
    "normalization_after_flatten": Situation(normalized_when_flat),
    "scaled_with_preprocess": Situation(raw, images=scaled, options={"preprocess": scaled}),
    "centered_with_preprocess": Situation(raw, images=centered, options={"preprocess": centered}),
    "caffe_with_preprocess": Situation(
        raw,
        images=caffe,
        options={"preprocess": caffe},
        compile=lambda: {"optimizer": keras.optimizers.SGD(1e-5)},
        rates=(1e-5, 1e-5),
    ),
    "scaled_with_dataset": Situation(
        raw, images=scaled, dataset=True, refuses={"Submission": NO_IDS}
    ),
    "unscaled": Situation(
        raw,
        options={"preprocess": None},
        compile=lambda: {"optimizer": keras.optimizers.SGD(1e-5)},
        rates=(1e-5, 1e-5),
    ),
    "best_weights": Situation(
        compile=lambda: {"optimizer": keras.optimizers.SGD(1e-3)},  # so the loss falls
        rates=(1e-3, 1e-3),
        before=lambda: [
            keras.callbacks.EarlyStopping("loss", mode="max", patience=1, restore_best_weights=True)
        ],
        weights_of=0,
    ),
    "interrupted": Situation(
        after=lambda: [Interrupt()],
        epochs=(1,),
        validated=(1,),
        rates=(0.1,),
        weights_of=0,
        interrupted=True,
    ),
}


class Witness(keras.callbacks.Callback):
    """Counts the training batches and keeps the weights of every epoch."""

    def __init__(self):
        super().__init__()
        self.batches, self.weights, self.logs = 0, [], []

    def on_train_batch_begin(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        self.weights.append(self.model.get_weights())
        self.logs.append(dict(logs))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise")
    for name, pixels in zip(FILES, PIXELS, strict=True):
        Image.fromarray(pixels).save(folder / name)
    return folder


def small_figure():
    return Figure(figsize=(2, 2))


class Figures:
    """What the figures are drawn from; drawing them takes longer than the training."""

    def __init__(self):
        self.drawn = {}

    def patch(self, patch):
        for name in ("training_curves", "confusion_matrix", "roc_curves"):
            patch.setattr(reports, name, functools.partial(self.note, name))
        figures = {"Label distribution": small_figure()}
        patch.setattr(reports, "attribute_figures", lambda *_, **__: figures)
        patch.setattr("kerasface.pipeline.predict.stream", self.stream)

    def note(self, name, *arguments, **_):
        self.drawn[name] = arguments
        return small_figure()

    def stream(self, table, *, image_size, batch_size, crop):
        """The images from memory; a real stream takes as long as the training."""
        assert (image_size, crop) == (SIZE, None)
        images = PIXELS[: len(table)].astype("float32")
        return tf.data.Dataset.from_tensor_slices(images).batch(batch_size)


def make(name, situation, folder, out):
    """The callback, and the file to look at."""
    if name == "Curves":
        return Curves(out / "curves.png"), out / "history.csv"
    options = dict(situation.options)
    if situation.interrupted and name != "Submission":
        options["every"] = 1
    units = 2 if name == "AttributeReport" else 4
    images = FaceTable(folder, FILES, LABELS[units], ATTRIBUTES if units == 2 else CLASSES)
    if situation.dataset:
        values = situation.images(PIXELS.astype("float32"))
        images = tf.data.Dataset.from_tensor_slices((values, LABELS[units])).batch(7)
        if name != "Submission":
            options["names"] = ATTRIBUTES if units == 2 else CLASSES
    if name == "AttributeReport":
        return AttributeReport(images, out, **options), out / "per_attribute.csv"
    if name == "Submission":
        best = "val_loss" if situation.validated == (2,) else None
        return Submission(images, out / "a.csv", best=best, **options), out / "a.csv"
    kind = {"ConfusionMatrix": ConfusionMatrix, "RocCurves": RocCurves}[name]
    return kind(images, out / "a.png", **options), out / "a.png"


def train(model, situation, units, callbacks, witness):
    """Runs `fit` with the callbacks, as often as the situation says."""
    images = situation.images(PIXELS.astype("float32"))
    labels = LABELS[units]
    if isinstance(getattr(model, "output", None), (dict, list)):
        labels = {"other": np.zeros((COUNT, 3)), "main": labels}
        labels = labels if isinstance(model.output, dict) else [labels["other"], labels["main"]]
    options = {"epochs": 2, "batch_size": BATCH, "verbose": 0, **situation.fit}
    if situation.validation:
        options["validation_data"] = (images, labels)
    stop = pytest.raises(KeyboardInterrupt) if situation.interrupted else contextlib.nullcontext()
    for _ in range(situation.fits):
        witness.weights, witness.logs = [], []
        others = [*situation.before(), *callbacks, *situation.after()]
        with stop:
            # The witness sees each epoch before the others change anything at its end.
            model.fit(images, labels, callbacks=[witness, *others], **options)


def model_of(situation, units):
    keras.utils.set_random_seed(3)
    model = situation.build(units)
    return model if model.compiled else compiled(model, units, **situation.compile())


def refusal_of(situation, name):
    """The beginning of the error of a callback, or nothing if it works."""
    if isinstance(situation.refuses, dict):
        return situation.refuses.get(name, "")
    return situation.refuses if name in REPORTS else ""


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Trains a situation once for all callbacks that work in it."""
    known = {}

    def get(key, units):
        if (key, units) not in known:
            situation, witness, figures = SITUATIONS[key], Witness(), Figures()
            model, callbacks, paths = model_of(situation, units), [], {}
            for name in CALLBACKS:
                if (name == "AttributeReport") == (units == 2) and not refusal_of(situation, name):
                    out = tmp_path_factory.mktemp(name)
                    callback, paths[name] = make(name, situation, folder, out)
                    callbacks.append(callback)
            with pytest.MonkeyPatch.context() as patch:
                figures.patch(patch)
                train(model, situation, units, callbacks, witness)
            known[key, units] = model, witness, figures.drawn, paths
        return known[key, units]

    return get


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("key", SITUATIONS)
def test_callback_in_situation(key, name, folder, trained, tmp_path, monkeypatch):
    situation = SITUATIONS[key]
    units = 2 if name == "AttributeReport" else 4
    refusal = refusal_of(situation, name)
    if refusal:
        Figures().patch(monkeypatch)
        witness, model = Witness(), model_of(situation, units)

        def refused():
            callback, _ = make(name, situation, folder, tmp_path)
            train(model, situation, units, [callback], witness)

        with pytest.raises(ValueError) as caught:  # noqa: PT011
            refused()
        message = str(caught.value)
        assert message.startswith(refusal)
        assert "\n" not in message
        assert witness.batches == 0
        assert list(tmp_path.iterdir()) == []
        return
    model, witness, drawn, paths = trained(key, units)
    path = paths[name]
    if name in REPORTS and isinstance(model, keras.Sequential):
        assert model.input_shape == (None, SIZE, SIZE, 3)
    if name == "Curves":
        check_history(situation, witness.logs, path, drawn)
        return
    if name == "Submission" and situation.interrupted:
        assert not path.exists()
        return
    kept = witness.weights[situation.weights_of]
    if situation.weights_of == 0 and not situation.interrupted:
        # The first epoch's weights are those restored, and differ from the last ones.
        assert not np.array_equal(kept[0], witness.weights[-1][0])
    model.set_weights(kept)
    outputs = model(situation.images(PIXELS.astype("float32")), training=False)
    outputs = np.asarray(situation.select(outputs), "float32")
    check_report(name, path, outputs, drawn, situation.tolerance)


def check_history(situation, logs, path, drawn):
    table = pd.read_csv(path, float_precision="round_trip")
    assert table["epoch"].tolist() == list(situation.epochs)
    assert table["loss"].tolist() == [log["loss"] for log in logs]
    if situation.validated:
        known = table[table["val_loss"].notna()]
        assert known["epoch"].tolist() == list(situation.validated)
        assert known["val_loss"].tolist() == [log["val_loss"] for log in logs if "val_loss" in log]
    else:
        assert "val_loss" not in table
    np.testing.assert_allclose(table["learning_rate"], situation.rates, rtol=1e-6)
    assert (table["seconds"] > 0).all()
    pd.testing.assert_frame_equal(
        drawn["training_curves"][0].reset_index(drop=True), table, check_dtype=False
    )
    assert Image.open(path.with_name("curves.png")).width > 100


def check_report(name, path, outputs, drawn, tolerance):
    if name == "Submission":
        frame = pd.read_csv(path)
        assert frame["id"].tolist() == FILES
        assert frame["label"].tolist() == outputs.argmax(axis=1).tolist()
        return
    if name == "AttributeReport":
        expected = attributes.evaluate(LABELS[2], outputs, ATTRIBUTES)
        columns = ["name", "positives", "accuracy", "f1", "auc"]
        pd.testing.assert_frame_equal(
            pd.read_csv(path)[columns], expected.per_attribute[columns], check_dtype=False
        )
        written = json.loads((path.parent / "metrics.json").read_text())
        assert written["mean_accuracy"] == pytest.approx(expected.metrics["mean_accuracy"])
        assert Image.open(path.parent / "label_distribution.png").width > 100
        return
    figure = "confusion_matrix" if name == "ConfusionMatrix" else "roc_curves"
    labels, found, names = drawn[figure]
    np.testing.assert_array_equal(labels, LABELS[4])
    assert tuple(names) == CLASSES
    expected = outputs.argmax(axis=1) if name == "ConfusionMatrix" else outputs
    np.testing.assert_allclose(found, expected, atol=tolerance)
    assert Image.open(path).width > 100


TWO_REPLICAS = """
import sys
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from kerasface.callbacks import ConfusionMatrix, Curves, RocCurves, Submission
from kerasface.data import FaceTable
from kerasface import reports

folder, out = sys.argv[1:]
files = [f"{index:04d}.png" for index in range(24)]
labels, names = np.arange(24) % 4, ("a", "b", "c", "d")
pixels = np.stack([keras.utils.img_to_array(keras.utils.load_img(f"{folder}/{f}")) for f in files])
drawn, draw = [], reports.confusion_matrix
reports.confusion_matrix = lambda *given, **o: drawn.append(given) or draw(*given, **o)
curves, draw_curves = [], reports.roc_curves
reports.roc_curves = lambda *given, **o: curves.append(given) or draw_curves(*given, **o)
strategy = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    image = keras.Input((16, 16, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Dense(4, activation="softmax")(x))
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
batches = tf.data.Dataset.from_tensor_slices((pixels, labels)).batch(7)
model.fit(pixels, labels, batch_size=8, epochs=1, verbose=0, callbacks=[
    Curves(f"{out}/curves.png"),
    Submission(folder, f"{out}/a.csv"),
    ConfusionMatrix(FaceTable(folder, files, labels, names), f"{out}/table.png"),
    ConfusionMatrix(batches, f"{out}/batches.png", names=names),
    RocCurves(batches, f"{out}/curves_of_batches.png", names=names),
])
outputs = np.asarray(model(pixels, training=False))
expected = outputs.argmax(axis=1)
for found_labels, found, _ in drawn:
    np.testing.assert_array_equal(found_labels, labels)
    np.testing.assert_array_equal(found, expected)
[(found_labels, found, _)] = curves
np.testing.assert_array_equal(found_labels, labels)
np.testing.assert_allclose(found, outputs, atol=1e-5)
print("EXPECTED", len(drawn), expected.tolist())
"""


def test_two_replicas(folder, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TWO_REPLICAS, folder, tmp_path],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count, expected = done.stdout.rsplit("EXPECTED ", 1)[1].split(" ", 1)
    assert count == "2"
    assert pd.read_csv(tmp_path / "a.csv")["label"].tolist() == json.loads(expected)
    history = pd.read_csv(tmp_path / "history.csv")
    np.testing.assert_allclose(history["learning_rate"], [0.1], rtol=1e-6)
