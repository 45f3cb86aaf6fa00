"""Tests of the callbacks in a plain `model.fit`."""

import json
import types

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from PIL import Image

from kerasface import reports
from kerasface.callbacks import AttributeReport, ConfusionMatrix, Curves, RocCurves, Submission
from kerasface.callbacks.inputs import check_scaling
from kerasface.data import FaceTable, read_celeba
from kerasface.metrics import attributes
from kerasface.models import build
from kerasface.pipeline import Crop, stream
from kerasface.pipeline.predict import predict_table

NAMES = ("ann", "bob", "cat", "NA")
SIZE = 8
NAN = float("nan")


def classifier(classes=4, learning_rate=0.1):
    """A linear classifier of 8 px images whose left and right halves count differently."""
    keras.utils.set_random_seed(3)
    image = keras.Input((SIZE, SIZE, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, keras.layers.Dense(classes, activation="softmax")(x))
    model.compile(
        keras.optimizers.SGD(learning_rate),
        "sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
        run_eagerly=True,  # so small that tracing would take far longer
    )
    return model


def fit(model, epochs=1, **options):
    """Trains on one batch of noise."""
    images = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype("float32")
    return model.fit(images, np.arange(4) % 2, epochs=epochs, verbose=0, **options)


def read(path):
    return pd.read_csv(path, float_precision="round_trip")


@pytest.fixture(scope="module")
def noise(tmp_path_factory):
    """12 images of noise as PNG, which every reader decodes alike, and their pixels."""
    folder = tmp_path_factory.mktemp("noise")
    pixels = np.random.default_rng(1).integers(0, 256, (12, SIZE, SIZE, 3), dtype=np.uint8)
    for index, image in enumerate(pixels):
        Image.fromarray(image).save(folder / f"{index:04d}.png")
    return folder, pixels


@pytest.fixture
def sample(tmp_path):
    """A sample submission of `noise` in the opposite order, with labels by name."""
    path = tmp_path / "sample.csv"
    path.write_text("file,person\n" + "".join(f"{i:04d},NA\n" for i in range(11, -1, -1)))
    return path


def test_curves_under_fit(tables, noise, tmp_path):
    batches = stream(tables[0], image_size=SIZE, batch_size=8, training=True, epochs=3)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, decay_steps=3, decay_rate=0.5)
    pictures, listings = [], []

    def look(epoch, logs):
        pictures.append((tmp_path / "curves.png").read_bytes())
        listings.append(sorted(path.name for path in tmp_path.iterdir()))

    history = classifier(learning_rate=schedule).fit(
        batches,
        validation_data=(noise[1], np.arange(12) % 4),
        epochs=3,
        steps_per_epoch=3,
        callbacks=[
            Curves(tmp_path / "curves.png"),
            keras.callbacks.LambdaCallback(on_epoch_end=look),
        ],
        verbose=0,
    )
    table = read(tmp_path / "history.csv")
    logged = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert sorted(history.history) == logged
    assert sorted(table) == sorted(["epoch", *logged, "learning_rate", "seconds"])
    assert table.columns[0] == "epoch"
    assert table["epoch"].tolist() == [1, 2, 3]
    for name in logged:
        assert table[name].tolist() == history.history[name]
    # 24 images in batches of 8: three steps an epoch.
    np.testing.assert_allclose(table["learning_rate"], [0.005, 0.0025, 0.00125], rtol=1e-6)
    assert (table["seconds"] > 0).all()
    assert len(set(pictures)) == 3
    assert all(picture.startswith(b"\x89PNG") for picture in pictures)
    assert listings == [["curves.png", "history.csv"]] * 3


@pytest.mark.parametrize(
    ("resume", "epochs", "losses"),
    [(True, [1, 2, 3, 4], [7.0, 6.0]), (False, [3, 4], [])],
)
def test_curves_of_a_resumed_fit(tmp_path, resume, epochs, losses):
    path = tmp_path / "tables" / "old.csv"
    path.parent.mkdir()
    # The third row came after the checkpoint that the fit goes on from.
    path.write_text("epoch,loss,learning_rate\n1,7.0,0.1\n2,6.0,0.1\n3,99.0,0.1\n")
    curves = Curves(tmp_path / "curves.png", history=path, resume=resume)
    history = fit(classifier(), epochs=4, initial_epoch=2, callbacks=[curves])
    table = read(path)
    assert table["epoch"].tolist() == epochs
    assert table["loss"].tolist() == losses + history.history["loss"]
    assert sorted(item.name for item in tmp_path.iterdir()) == ["curves.png", "tables"]
    assert [item.name for item in path.parent.iterdir()] == ["old.csv"]


def test_each_fit_starts_a_new_history(tmp_path):
    curves = Curves(tmp_path / "curves.svg", resume=True)
    model = classifier()
    fit(model, callbacks=[curves])
    curves.resume = False
    history = fit(model, epochs=2, callbacks=[curves])
    assert read(tmp_path / "history.csv")["loss"].tolist() == history.history["loss"]
    assert "<svg" in (tmp_path / "curves.svg").read_text()[:1000]


def test_seconds_exclude_the_validation(tmp_path, monkeypatch):
    now = iter([10.0, 12.0, 20.0, 23.5])
    clock = types.SimpleNamespace(perf_counter=lambda: next(now))
    monkeypatch.setattr("kerasface.callbacks.curves.time", clock)
    curves = Curves(tmp_path / "curves.png")
    curves.set_model(classifier())
    curves.on_train_begin()
    curves.on_epoch_begin(0)
    curves.on_test_begin()  # after 2 s of training
    curves.on_epoch_end(0, {"loss": 1.0})
    curves.on_epoch_begin(1)
    curves.on_epoch_end(1, {"loss": 0.5})
    assert read(tmp_path / "history.csv")["seconds"].tolist() == [2.0, 3.5]


def test_submission_is_the_models_prediction(noise, sample, tmp_path):
    folder, pixels = noise
    model = classifier()
    out = tmp_path / "out" / "submission.csv"
    fit(
        model,
        epochs=2,
        callbacks=[Submission(folder, out, sample=sample, names=NAMES, flip=True, batch_size=5)],
    )
    images = pixels.astype("float32")
    upright = model.predict_on_batch(images)
    both = (upright + model.predict_on_batch(images[:, :, ::-1])) / 2
    expected = both.argmax(axis=1)
    assert (expected != upright.argmax(axis=1)).any()
    lines = [f"{index:04d},{NAMES[expected[index]]}" for index in range(11, -1, -1)]
    assert out.read_text().splitlines() == ["file,person", *lines]
    assert [path.name for path in out.parent.iterdir()] == ["submission.csv"]


@pytest.fixture
def predicting_bias(monkeypatch):
    """Predictions of the bias alone, without reading the images; tests of the weights use it."""

    def predict(model, table, **options):
        return np.tile(model.get_weights()[1], (len(table), 1))

    monkeypatch.setattr("kerasface.callbacks.inputs.predict_table", predict)


class Scripted(keras.callbacks.Callback):
    """Makes the model predict class `e` for every image after epoch `e`, and logs a score."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        kernel, bias = self.model.get_weights()
        self.model.set_weights([np.zeros_like(kernel), np.eye(len(bias))[epoch]])
        logs[self.name] = self.values[epoch]


@pytest.mark.usefixtures("predicting_bias")
@pytest.mark.parametrize(
    ("best", "values", "epoch"),
    [
        (None, [0.9, 0.1, 0.2], 2),
        ("score", [0.1, 0.9, 0.5], 1),
        ("score", [0.1, 0.5, 0.9], 2),
        ("score", [0.7, 0.7, 0.7], 0),
        ("score_loss", [0.9, 0.1, 0.5], 1),
        ("score", [NAN, 0.9, 0.5], 1),
        ("score", [0.9, NAN, 0.5], 0),
        ("score_loss", [NAN, NAN, NAN], 2),
    ],
)
def test_best_epoch_predicts_and_last_weights_stay(noise, tmp_path, best, values, epoch):
    model = classifier(learning_rate=0.0)
    out = tmp_path / "submission.csv"
    submission = Submission(noise[0], out, best=best)
    fit(model, epochs=3, callbacks=[Scripted(best or "score", values), submission])
    assert pd.read_csv(out)["label"].tolist() == [epoch] * 12
    np.testing.assert_array_equal(model.get_weights()[1], [0, 0, 1, 0])


@pytest.mark.usefixtures("predicting_bias")
def test_second_fit_ignores_the_best_of_the_first(noise, tmp_path):
    model = classifier(learning_rate=0.0)
    out = tmp_path / "submission.csv"
    submission = Submission(noise[0], out, best="score")
    fit(model, epochs=2, callbacks=[Scripted("score", [0.9, 0.8]), submission])
    assert pd.read_csv(out)["label"].tolist() == [0] * 12
    fit(model, epochs=2, callbacks=[Scripted("score", [0.1, 0.2]), submission])
    assert pd.read_csv(out)["label"].tolist() == [1] * 12


def test_failed_prediction_keeps_the_last_weights(noise, tmp_path, monkeypatch):
    def fail(model, table, **options):
        if len(table) == 12:  # not the first one, before the training
            raise OSError("the disk is gone")
        return np.zeros((1, 4))

    monkeypatch.setattr("kerasface.callbacks.inputs.predict_table", fail)
    model = classifier(learning_rate=0.0)
    submission = Submission(noise[0], tmp_path / "submission.csv", best="score")
    with pytest.raises(OSError, match="the disk is gone"):
        fit(model, epochs=2, callbacks=[Scripted("score", [0.9, 0.1]), submission])
    np.testing.assert_array_equal(model.get_weights()[1], [0, 1, 0, 0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("best", ["score", "val_score"])
def test_unknown_best_is_refused_after_the_first_epoch(noise, tmp_path, best):
    submission = Submission(noise[0], tmp_path / "submission.csv", best=best)
    options = {}
    if best == "val_score":
        options["validation_data"] = (noise[1].astype("float32"), np.arange(12) % 4)
    epochs = []
    count = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    message = rf"among the logs \['accuracy', 'loss'.*\]\. Received: best='{best}'"
    with pytest.raises(ValueError, match=message):
        fit(classifier(), epochs=3, callbacks=[count, submission], **options)
    assert epochs == [0]


@pytest.mark.parametrize("best", ["val_acc", "val_accurcy", "acc"])
def test_misspelled_best_gets_a_suggestion(noise, tmp_path, best):
    submission = Submission(noise[0], tmp_path / "submission.csv", best=best)
    validation = (noise[1].astype("float32"), np.arange(12) % 4)
    with pytest.raises(ValueError, match=r"Did you mean .*accuracy'"):
        fit(classifier(), callbacks=[submission], validation_data=validation)


def test_single_output_is_refused_before_training(noise, tmp_path):
    submission = Submission(noise[0], tmp_path / "submission.csv")
    with pytest.raises(ValueError, match="a model with 1 output"):
        fit(classifier(classes=1), callbacks=[submission])


@pytest.mark.parametrize("name", ["curves", "curves.xyz"])
def test_curves_refuse_an_unknown_format(name):
    with pytest.raises(ValueError, match="suffix must be one of"):
        Curves(name)


def test_wrong_number_of_names_is_refused_before_training(noise, tmp_path):
    submission = Submission(noise[0], tmp_path / "submission.csv", names=NAMES, label="name")
    model = classifier(classes=3)
    before = model.get_weights()
    with pytest.raises(ValueError, match="4 names for 3 outputs"):
        fit(model, callbacks=[submission])
    for first, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(first, now)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("file,person\n9999,ann\n", {"names": NAMES}, r"1 ids without a file \['9999'\]"),
        ("file,person\n0000,ann\n", {"names": NAMES}, r"11 files without an id \['0001'"),
        ("file\n0000\n", {"names": NAMES}, "an id column, a label column"),
        (None, {"label": "name"}, "need the class names"),
        (None, {"label": "number"}, r"one of \['index', 'name'\]"),
    ],
)
def test_invalid_options_are_refused_by_the_constructor(noise, tmp_path, text, options, message):
    path = None
    if text is not None:
        path = tmp_path / "sample.csv"
        path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Submission(noise[0], tmp_path / "submission.csv", sample=path, **options)
    assert not (tmp_path / "submission.csv").exists()


@pytest.mark.parametrize("missing", ["test", "sample"])
def test_missing_files_are_refused_by_the_constructor(noise, tmp_path, missing):
    test = tmp_path / "none" if missing == "test" else noise[0]
    sample = tmp_path / "none.csv" if missing == "sample" else None
    with pytest.raises(FileNotFoundError, match="none"):
        Submission(test, tmp_path / "submission.csv", sample=sample)


def test_submission_of_a_table_in_its_order(noise, tmp_path, monkeypatch):
    calls = []

    def predict(model, table, **options):
        calls.append((table.paths.tolist(), options))
        return np.eye(4)[[3, 0, 2]][: len(table)]

    monkeypatch.setattr("kerasface.callbacks.inputs.predict_table", predict)
    paths = ["0007.png", "0002.png", "0009.png"]
    submission = Submission(FaceTable(noise[0], paths), tmp_path / "submission.csv", batch_size=7)
    fit(classifier(), callbacks=[submission])
    options = {"batch_size": 7, "crop": None, "flip": False, "image_size": None}
    options |= {"preprocess": None, "output": None}
    assert calls == [(paths[:1], options), (paths, options)]  # the first before the training
    frame = pd.read_csv(tmp_path / "submission.csv")
    assert frame.to_dict("list") == {"id": paths, "label": [3, 0, 2]}


@pytest.mark.parametrize(
    ("kind", "figure"), [(ConfusionMatrix, "confusion_matrix"), (RocCurves, "roc_curves")]
)
def test_pictures_of_a_table(noise, tmp_path, monkeypatch, kind, figure):
    folder, pixels = noise
    files = [f"{i:04d}.png" for i in range(len(pixels))]
    table = FaceTable(folder, files, np.arange(len(files)) % 4, NAMES)
    drawn = []
    draw = getattr(reports, figure)

    def note(labels, outputs, names, *, title):
        drawn.append((labels, outputs, names, title))
        return draw(labels, outputs, names, title=title)

    monkeypatch.setattr(reports, figure, note)
    model = classifier()
    fit(model, epochs=3, callbacks=[kind(table, tmp_path / "picture.png", every=2)])
    assert [title for *_, title in drawn] == ["epoch 2", None]
    labels, outputs, names, _ = drawn[-1]
    expected = model.predict(pixels.astype("float32"), verbose=0)
    if kind is ConfusionMatrix:
        expected = expected.argmax(axis=1)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    np.testing.assert_array_equal(labels, table.labels)
    assert names == NAMES
    assert Image.open(tmp_path / "picture.png").width > 100


def test_pictures_need_classes(noise):
    folder, _ = noise
    with pytest.raises(ValueError, match="one class per image"):
        ConfusionMatrix(FaceTable(folder, ["0000.png"]))


def test_report_of_attributes(celeba_folder, tmp_path):
    table = read_celeba(celeba_folder).validation.with_attributes(["Smiling", "Beard"])
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, activation="sigmoid"),
        ]
    )
    model.compile("sgd", "binary_crossentropy", jit_compile=False)
    folder = tmp_path / "attributes"
    report = AttributeReport(
        table, folder, thresholds=[0.4, 0.6], every=2, crop=Crop(), preprocess=None
    )
    titles = []
    report.report = lambda title, write=report.report: (titles.append(title), write(title))
    images = np.zeros((4, 8, 8, 3), "float32")
    model.fit(images, np.zeros((4, 2)), epochs=3, verbose=0, callbacks=[report])
    assert titles == ["epoch 2", None]
    probabilities = predict_table(model, table, crop=Crop())
    expected = attributes.evaluate(
        table.labels, probabilities, table.names, thresholds=[0.4, 0.6]
    ).per_attribute
    written = json.loads((folder / "metrics.json").read_text())
    assert {"mean_accuracy", "f1_macro", "f1_micro", "f1_example_based"} <= set(written)
    found = pd.read_csv(folder / "per_attribute.csv")
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    assert {path.name for path in folder.glob("*.png")} == {
        "co_occurrence.png",
        "gain_over_the_majority_guess.png",
        "label_distribution.png",
        "precision_and_recall.png",
    }


def test_report_of_attributes_needs_attributes(tables, celeba_folder):
    with pytest.raises(ValueError, match="needs a table with attributes"):
        AttributeReport(tables[1])
    with pytest.raises(ValueError, match="`thresholds` must be"):
        AttributeReport(read_celeba(celeba_folder).test, thresholds=[0.5, 0.5])


@pytest.mark.parametrize("callback", [AttributeReport, ConfusionMatrix, RocCurves])
def test_wrong_number_of_outputs_is_refused_before_training(
    tables, celeba_folder, tmp_path, callback
):
    table = read_celeba(celeba_folder).test if callback is AttributeReport else tables[1]
    report = callback(table, tmp_path / "out.png")
    report.set_model(classifier(classes=2))
    with pytest.raises(ValueError, match=f"Received: 2 outputs for {len(table.names)}"):
        report.on_train_begin()


@pytest.mark.parametrize("make", [ConfusionMatrix, RocCurves, Submission])
def test_wrong_models_are_refused_before_training(noise, tmp_path, make):
    folder, _ = noise
    paths = sorted(path.name for path in folder.iterdir())
    images = folder if make is Submission else FaceTable(folder, paths, np.arange(12) % 4, NAMES)
    path = tmp_path / ("a.csv" if make is Submission else "a.png")
    callback = make(images, path, preprocess=None)
    inputs = keras.Input((None, None, 3) if make is not RocCurves else (8, 8, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(4)(pooled))  # logits
    callback.set_model(model)
    with pytest.raises(ValueError, match="Apply a softmax" if make is RocCurves else "None x None"):
        callback.on_train_begin()


@pytest.mark.parametrize("make", [ConfusionMatrix, Submission])
def test_crop_is_passed_to_every_prediction(noise, tmp_path, monkeypatch, make):
    folder, _ = noise
    seen = []

    def note(model, table, *, crop=None, **options):
        seen.append(crop)
        return predict_table(model, table, crop=crop, **options)

    monkeypatch.setattr("kerasface.callbacks.inputs.predict_table", note)
    images = folder
    if make is ConfusionMatrix:
        paths = sorted(path.name for path in folder.iterdir())
        images = FaceTable(folder, paths, np.arange(12) % 4, NAMES)
    path = tmp_path / ("a.csv" if make is Submission else "a.png")
    fit(classifier(), callbacks=[make(images, path, crop=Crop()), make(images, path)])
    assert seen == [Crop(), None] * 2  # the first image, and all


def test_missing_validation_warns_and_the_last_weights_predict(noise, tmp_path):
    out = tmp_path / "submission.csv"
    model = classifier()
    submission = Submission(noise[0], out, best="val_accuracy")
    with pytest.warns(UserWarning, match="in epoch 1, which has no validation") as caught:
        fit(model, epochs=2, callbacks=[submission])
    assert not any("Did you mean" in str(w.message) for w in caught)
    assert len([w for w in caught if "no validation" in str(w.message)]) == 1
    expected = model.predict_on_batch(noise[1].astype("float32")).argmax(axis=1)
    assert pd.read_csv(out)["label"].tolist() == expected.tolist()


def test_metric_of_several_values_is_written_and_not_drawn(tmp_path):
    curves = Curves(tmp_path / "curves.png")
    curves.set_model(classifier())
    curves.on_train_begin()
    curves.on_epoch_begin(0)
    curves.on_epoch_end(0, {"loss": 1.0, "f1": np.array([0.5, 0.25])})
    assert read(tmp_path / "history.csv")["f1"].tolist() == ["[0.5, 0.25]"]
    assert (tmp_path / "curves.png").is_file()


def test_model_without_an_optimizer_has_no_learning_rate(tmp_path):
    model = classifier()
    model.optimizer = None
    curves = Curves(tmp_path / "curves.png")
    curves.set_model(model)
    curves.on_train_begin()
    curves.on_epoch_begin(0)
    curves.on_epoch_end(0, {"loss": 1.0})
    assert list(read(tmp_path / "history.csv")) == ["epoch", "loss", "seconds"]


L = keras.layers
IMAGE = (SIZE, SIZE, 3)


class Scale(L.Layer):
    def call(self, images):
        return images / 255.0


class ScaledConvolution(L.Layer):
    def __init__(self):
        super().__init__()
        self.convolution = L.Conv2D(2, 3)

    def call(self, images):
        return self.convolution(images / 255.0)


class ScaledInCall(keras.Model):
    """Scales its input with the given function in ``call``, without a layer."""

    def __init__(self, scale):
        super().__init__()
        self.scale, self.convolution = scale, L.Conv2D(2, 3)

    def call(self, images):
        return self.convolution(self.scale(images))


@pytest.mark.parametrize(
    ("layers", "refused"),
    [
        ([L.Rescaling(1 / 255)], None),
        ([L.RandomFlip(), L.Rescaling(1 / 127.5, offset=-1)], None),
        ([L.Normalization(mean=[130.0] * 3, variance=[70.0**2] * 3)], None),
        ([L.Lambda(lambda x: x / 255)], None),
        ([keras.Sequential([L.Rescaling(1 / 255)])], None),
        ([L.BatchNormalization()], None),
        ([Scale()], None),
        ([ScaledConvolution()], None),
        ([L.Flatten(), L.Normalization(mean=128.0, variance=64.0**2), L.Reshape(IMAGE)], None),
        ([], 255),
        ([L.RandomFlip()], 255),
        ([L.GaussianNoise(0.1), L.RandomErasing()], 255),
        # As adapted to images in [0, 1].
        ([L.Normalization(mean=[0.5] * 3, variance=[0.01] * 3)], 2545),
    ],
)
def test_unscaled_pixels_are_refused(layers, refused):
    model = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers, L.Conv2D(2, 3)])
    if refused is None:
        check_scaling(model, SIZE)
        return
    with pytest.raises(ValueError, match=f"gets values up to {refused}"):
        check_scaling(model, SIZE)


def test_scaling_is_checked_along_the_graph():
    image = keras.Input(IMAGE)
    branches = [L.Rescaling(200.0)(image), L.Rescaling(1 / 255)(image), image]
    small, large = L.Conv2D(2, 3), L.Conv2D(2, 3)
    check_scaling(keras.Model(image, [small(branches[1]), branches[0]]), SIZE)
    with pytest.raises(ValueError, match="gets values up to 255"):
        check_scaling(keras.Model(image, large(L.Concatenate()(branches[1:]))), SIZE)
    with pytest.raises(ValueError, match="gets values up to 255"):
        # `small` is shared with the model above, which scales.
        check_scaling(keras.Model(image, small(L.Identity()(image))), SIZE)


@pytest.mark.parametrize(
    ("scale", "refused"),
    [
        (lambda images: images / 255.0, False),
        (tf.image.per_image_standardization, False),  # not symbolic, so not known
        (lambda images: images, True),
    ],
)
def test_scaling_of_subclassed_models(scale, refused):
    model = ScaledInCall(scale)
    model(np.zeros((1, *IMAGE)))
    if not refused:
        check_scaling(model, SIZE)
        return
    with pytest.raises(ValueError, match="gets values up to 255"):
        check_scaling(model, SIZE)


@pytest.mark.parametrize("name", ["vgg16", "mobilenet_v2", "convnext_nano", "resnet_small"])
def test_models_of_the_registry_scale_their_input(name):
    check_scaling(build(name, num_classes=3, input_shape=(32, 32, 3)), 32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preprocess": "scale"}, "must be a function, None or 'auto'"),
        ({"every": -1}, "`every` must be an integer"),
        ({"batch_size": 0}, "`batch_size` must be an integer"),
        ({"image_size": 9}, "8 x 8 pixels.* and image_size=9"),
        ({"names": NAMES}, "`names` has no effect with a table"),
    ],
)
def test_invalid_report_options(noise, tmp_path, options, message):
    table = FaceTable(noise[0], ["0000.png"], [1], NAMES)
    with pytest.raises(ValueError, match=message):
        fit(classifier(), callbacks=[ConfusionMatrix(table, tmp_path / "a.png", **options)])


def test_table_options_are_refused_with_a_dataset():
    dataset = tf.data.Dataset.from_tensors((np.zeros((4, SIZE, SIZE, 3)), np.zeros(4)))
    with pytest.raises(ValueError, match="`crop` has no effect with a tf"):
        ConfusionMatrix(dataset, crop=Crop())
