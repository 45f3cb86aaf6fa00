"""Cached features: the same training, without the backbone in it."""

import keras
import numpy as np
import pandas as pd
import pytest

import kerasface
from kerasface.data import FaceTable
from kerasface.models import build
from kerasface.models.heads import split_model
from kerasface.pipeline import stream
from kerasface.runs.recipe import Recipe
from kerasface.training.assemble import dtype_policy
from kerasface.training.features import HeadTraining, extract, feature_stream, inference

pytestmark = pytest.mark.usefixtures("empty_pictures")
RECIPE = Recipe(
    model="convnext_nano",
    architecture={"channels": [8], "blocks_per_stage": [1]},
    trainable="head",
    image_size=16,
    epochs=3,
    batch_size=7,
    learning_rate=1e-2,
    weight_decay=0.0,
    dropout=0.2,
)
SMALL = {"channels": (8,), "blocks_per_stage": (1,), "input_shape": (16, 16, 3)}


@pytest.fixture
def backbone():
    keras.utils.set_random_seed(0)
    return split_model(build("convnext_nano", 4, freeze=True, **SMALL))[0]


def extracted(backbone, table, folder, **options):
    return extract(backbone, table, folder, image_size=16, batch_size=5, **options)


def test_inference_accepts_other_batch_sizes(backbone):
    images = np.random.default_rng(0).uniform(0, 255, (3, 16, 16, 3)).astype("float32")
    infer = inference(backbone)
    for size in (3, 2, 3):
        expected = np.asarray(backbone(images[:size], training=False))
        np.testing.assert_allclose(infer(images[:size]), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", ["pool", "double", "cosine", "mlp", "vgg"])
def test_both_parts_are_the_model(head):
    model = build("convnext_nano", 4, head=head, **SMALL)
    backbone, top = split_model(model)
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    np.testing.assert_allclose(top(backbone(images)), model(images), rtol=1e-5, atol=1e-6)
    assert len(backbone.output_shape) == (4 if head == "vgg" else 2)
    # They share their layers: without a kernel all images look alike.
    kernel = top.get_layer("head_logits").kernel
    kernel.assign(np.zeros(kernel.shape))
    assert np.ptp(model(images).numpy(), axis=0).max() < 1e-6


def test_frozen_backbone_is_in_inference_mode_while_its_head_trains():
    keras.utils.set_random_seed(0)
    options = {**SMALL, "blocks_per_stage": (2,), "drop_path": 0.9}
    model = build("convnext_nano", 4, head="pool", freeze=True, **options)
    images = np.random.default_rng(0).uniform(0, 255, (16, 16, 16, 3)).astype("float32")
    expected = model(images).numpy()
    assert np.abs(model(images, training=True) - expected).max() > 1e-2  # what is to be avoided
    fitted = HeadTraining(*split_model(model))
    np.testing.assert_allclose(fitted(images, training=True), expected, rtol=1e-5, atol=1e-6)
    assert [variable.path for variable in fitted.trainable_variables] == [
        variable.path for variable in model.trainable_variables
    ]


def test_the_head_is_in_training_mode():
    model = build("convnext_nano", 4, head="pool", dropout=0.5, freeze=True, **SMALL)
    images = np.random.default_rng(0).uniform(0, 255, (16, 16, 16, 3)).astype("float32")
    fitted = HeadTraining(*split_model(model))
    one, other = (fitted(images, training=True).numpy() for _ in range(2))
    assert np.any(one != other)


def test_features_are_those_of_the_images_in_the_order_of_the_table(backbone, tables, tmp_path):
    features = extracted(backbone, tables[0], tmp_path)
    expected = backbone.predict(
        stream(FaceTable(tables[0].root, tables[0].paths), image_size=16), verbose=0
    )
    assert features.values.dtype == np.float16
    np.testing.assert_allclose(features.values[0], expected, rtol=2e-3, atol=1e-3)
    np.testing.assert_array_equal(features.weights, np.ones((1, 24)))


def test_large_backbones_keep_their_variables(backbone, tables, tmp_path, monkeypatch):
    expected = extracted(backbone, tables[0], tmp_path / "constants").values
    monkeypatch.setattr("kerasface.training.features.LARGEST_CONSTANTS", 0)
    monkeypatch.setattr(keras.Model, "stateless_call", None)  # would make constants
    found = extracted(backbone, tables[0], tmp_path / "variables").values
    np.testing.assert_allclose(found, expected, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_constant_weights_give_equal_features(tables, tmp_path, policy):
    keras.utils.set_random_seed(0)
    table = tables[0]
    with dtype_policy(policy):
        options = SMALL | {"head": "pool", "stem_stride": 1}
        backbone = split_model(build("resnet_small", 4, **options))[0]
    images = np.concatenate(
        [batch for batch, *_ in stream(table, image_size=16, batch_size=5).as_numpy_iterator()]
    )
    found = extracted(backbone, table, tmp_path).values[0]
    expected = backbone.predict(images, verbose=0)
    assert expected.max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0.02, atol=0.02 * expected.max())


def test_batches_come_in_the_order_of_the_stream(backbone, tables, tmp_path):
    table = tables[0]
    features = extracted(backbone, table, tmp_path)
    options = {"batch_size": 5, "training": True, "seed": 3, "epochs": 2, "start_step": 2}
    found = feature_stream(features, table, **options)
    assert found.options().autotune.enabled is False  # see `ready_batches`
    images = stream(table, image_size=16, labels="one_hot", **options)
    assert int(found.cardinality()) == int(images.cardinality())
    for (values, labels, weights), (pixels, targets, ones) in zip(found, images, strict=True):
        np.testing.assert_allclose(values, backbone(pixels), rtol=2e-3, atol=1e-3)
        np.testing.assert_array_equal(labels, targets)
        np.testing.assert_array_equal(weights, ones)


def test_variants_are_the_pictures_of_the_first_epochs(backbone, tables, tmp_path):
    table = tables[0]
    augment = ("flip", "rotation:20")
    features = extracted(backbone, table, tmp_path, augment=augment, variants=2, seed=3)
    options = {"batch_size": 7, "training": True, "seed": 3, "epochs": 2}
    found = feature_stream(features, table, **options)
    for (values, _, _), (pixels, _, _) in zip(
        found, stream(table, image_size=16, augment=augment, **options), strict=True
    ):
        np.testing.assert_allclose(values, backbone(pixels), rtol=2e-3, atol=1e-3)


def count(folder):
    return len([path for path in folder.glob("*.npy") if "weights" not in path.name])


def computed_again(*arguments):
    pytest.fail("computed a second time")


def test_cache_depends_on_files_seed_and_weights(backbone, tables, tmp_path):
    known = extracted(backbone, tables[0], tmp_path)
    again = extracted(backbone, tables[0], tmp_path, infer=computed_again)
    np.testing.assert_array_equal(again.values, known.values)
    assert count(tmp_path) == 1
    extracted(backbone, tables[1], tmp_path)  # other files
    assert count(tmp_path) == 2
    extracted(backbone, tables[0], tmp_path, augment=("flip",), seed=1)
    extracted(backbone, tables[0], tmp_path, augment=("flip",), seed=2)
    assert count(tmp_path) == 4
    weight = backbone.trainable_variables or backbone.weights
    weight[0].assign(weight[0] + 1)
    extracted(backbone, tables[0], tmp_path)
    assert count(tmp_path) == 5


def test_cache_does_not_depend_on_layer_numbers(tables, tmp_path):
    # Names of layers count up; that must not make other features of the same network.
    for _ in range(2):
        keras.utils.set_random_seed(0)
        model = build("mobilenet_v3_small", 4, freeze=True, input_shape=(32, 32, 3))
        backbone = split_model(model)[0]
        extract(backbone, tables[0], tmp_path, image_size=32, batch_size=5)
    assert count(tmp_path) == 1


def test_broken_file_has_weight_zero(backbone, tables, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    paths = [*tables[0].full_paths(), str(tmp_path / "broken.jpg")]
    table = FaceTable("/", paths, np.append(tables[0].labels, 0), tables[0].names)
    with pytest.warns(UserWarning, match="cannot be read"):
        features = extracted(backbone, table, tmp_path)
    assert features.weights[0].tolist() == [1.0] * 24 + [0.0]


def train(tables, out, **changes):
    return kerasface.train(
        RECIPE,
        train=tables[0],
        validation=tables[1],
        out=out,
        report=False,
        verbose=0,
        **changes,
    )


def test_training_gives_the_same_with_and_without_cache(tables, tmp_path):
    # The dropouts of the frozen backbone are off in both.
    architecture = {"blocks_per_stage": [2], "drop_path": 0.5}
    live = train(tables, tmp_path / "live", architecture=architecture)
    cached = train(tables, tmp_path / "cached", architecture=architecture, cache_features=True)
    columns = ["loss", "val_loss", "learning_rate"]
    pd.testing.assert_frame_equal(
        cached.history[columns], live.history[columns], rtol=5e-3, check_exact=False
    )
    images = np.random.default_rng(0).uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    outputs = [run.load_model()(images).numpy() for run in (live, cached)]
    np.testing.assert_allclose(*outputs, atol=5e-3)
    assert (cached.folder / "features").is_dir()


@pytest.mark.parametrize("variants", [2, 3])
def test_cache_holds_feature_variants(tables, tmp_path, variants):
    options = {"cache_features": True, "augment": ("flip",), "feature_variants": variants}
    train(tables, tmp_path / "run", epochs=1, **options)
    shapes = [np.load(path).shape for path in (tmp_path / "run" / "features").glob("*.npy")]
    counts = {(shape[0], shape[1]) for shape in shapes if len(shape) > 2}
    assert counts == {(variants, len(tables[0])), (1, len(tables[1]))}


def test_cached_epochs_are_saved_at_intervals(tables, tmp_path, monkeypatch):
    """A kill loses what is not written, and the run that goes on has the same history."""
    saved = []

    class Kill(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            saved.append((out / "model.keras").exists())
            if epoch == 1:
                raise KeyboardInterrupt

    whole = train(tables, tmp_path / "whole", cache_features=True)
    out = tmp_path / "run"
    for interval, expected in ((1e9, [False, False]), (0.0, [True, True])):
        monkeypatch.setattr("kerasface.training.phases.CACHED_INTERVAL", interval)
        saved.clear()
        with pytest.raises(KeyboardInterrupt):
            train(tables, out, cache_features=True, callbacks=[Kill()], overwrite=True)
        assert saved == expected
        run = train(tables, out, cache_features=True, resume=True)
        columns = ["epoch", "loss", "val_loss", "val_accuracy"]
        pd.testing.assert_frame_equal(run.history[columns], whole.history[columns], rtol=1e-3)


def test_stop_by_a_callback_saves_the_model_of_cached_epochs(tables, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    run = train(tables, tmp_path / "run", cache_features=True, callbacks=[Stop()])
    assert len(run.history) == 1
    table = tables[1]
    found = run.predict(table).argmax(axis=1) == table.labels
    assert found.mean() == pytest.approx(run.metrics["last"]["val_accuracy"], abs=1e-6)
    assert run.path("curves.png").is_file()


def test_runs_share_a_folder_of_features(tables, tmp_path, monkeypatch):
    shared = tmp_path / "shared"
    options = {"cache_features": True, "features": shared, "epochs": 1}
    train(tables, tmp_path / "one", **options)
    assert count(shared) == 2  # training and validation
    monkeypatch.setattr("kerasface.training.features._inferred", computed_again)
    train(tables, tmp_path / "two", learning_rate=1e-3, **options)
    assert count(shared) == 2
    assert not (tmp_path / "two" / "features").exists()


def test_cached_phase_before_a_phase_on_images(tables, tmp_path):
    phases = ({"epochs": 1}, {"epochs": 1, "trainable": "all", "learning_rate": 1e-4})
    run = train(tables, tmp_path / "run", cache_features=True, phases=phases)
    assert run.history["epoch"].tolist() == [1, 2]
    assert run.metrics["trainable_parameters"] > 200  # the head has 108
