"""The backbones of keras.applications: input, weights, saving, training."""

import re
import types
import urllib.error

import h5py
import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from kerasface.models import build, freeze_backbone, list_models, unfreeze_backbone
from kerasface.models.applications import APPLICATIONS, construct
from kerasface.models.weights import load_weights
from kerasface.training.assemble import dtype_policy

# What the first layer with weights must see of each.
PREPROCESSED = {
    "densenet121": keras.applications.densenet.preprocess_input,
    "efficientnet_b0": lambda images: (
        (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    ),
    "efficientnet_v2_b0": lambda images: (
        (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    ),
    "keras_convnext_tiny": lambda images: (
        (images - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    ),
    "mobilenet_v2": keras.applications.mobilenet_v2.preprocess_input,
    "mobilenet_v3_small": lambda images: images / 127.5 - 1,
    "resnet50": keras.applications.resnet.preprocess_input,
    "resnet50_v2": keras.applications.resnet_v2.preprocess_input,
    "vgg16": keras.applications.vgg16.preprocess_input,
}
# Those that are preprocessed stand first in all lists: pytest then takes the tests of one model
# together, and each model is built once for them.
FAMILIES = [
    *PREPROCESSED,
    "inception_resnet_v2",
    "inception_v3",
    "mobilenet",
    "nasnet_mobile",
    "xception",
]
GIANT = 60_000_000  # parameters from which on a model is built and no more
NAMES = [
    *FAMILIES,
    *(pytest.param(name, marks=pytest.mark.slow) for name in APPLICATIONS if name not in FAMILIES),
]


def smallest(name, num_classes=3, **options):
    side = APPLICATIONS[name].smallest
    return build(name, num_classes, input_shape=(side, side, 3), **options)


def noise(model, examples=1, seed=0):
    shape = (examples, *model.input_shape[1:])
    return np.random.default_rng(seed).uniform(0, 255, shape).astype("float32")


def weighted(model):
    return [layer for layer in model.layers if layer.weights]


@pytest.fixture(scope="module")
def classifier(request):
    """A backbone's name, and its model of 1,000 classes at its smallest input."""
    keras.utils.set_random_seed(0)
    return request.param, smallest(request.param, num_classes=1000)


@pytest.mark.parametrize("classifier", NAMES, indirect=True)
def test_smallest_input_builds_saves_and_loads(classifier, tmp_path):
    name, model = classifier
    assert list_models().loc[name, "parameters"] == sum(
        int(np.prod(variable.shape)) for variable in model.trainable_variables
    )
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    assert {norm.momentum for norm in norms} <= {0.9}
    if model.count_params() > GIANT:
        return
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    images = noise(model)
    outputs = np.asarray(model(images))
    assert np.isfinite(outputs).all()
    np.testing.assert_array_equal(loaded(images), outputs)


@pytest.mark.parametrize("classifier", FAMILIES, indirect=True)
def test_one_of_each_family_trains_a_step(classifier):
    _, model = classifier
    keras.utils.set_random_seed(0)
    # Eagerly: tracing such a graph takes far longer than its one step.
    model.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    before = [variable.numpy() for variable in model.trainable_variables]
    loss = model.train_on_batch(noise(model, 2), np.array([0, 2]))
    assert np.isfinite(loss)
    assert any(
        np.any(now.numpy() != then)
        for now, then in zip(model.trainable_variables, before, strict=True)
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_one_of_each_family_runs_in_half_precision(name):
    with dtype_policy("mixed_float16"):
        model = smallest(name)
    outputs = model(noise(model))
    assert outputs.dtype == "float32"
    assert np.isfinite(outputs).all()


def backbone_input(model):
    """What the first layer with weights of a model sees."""
    first = next(layer for layer in weighted(model) if "normalization" not in layer.name)
    return keras.Model(model.input, first.input)


@pytest.mark.parametrize("classifier", PREPROCESSED, indirect=True)
def test_model_preprocesses_exactly_once(classifier):
    name, model = classifier
    images = noise(model)
    seen = np.asarray(backbone_input(model)(images))
    expected = np.asarray(PREPROCESSED[name](images.copy()))
    height, width = expected.shape[1:3]
    if seen.shape != expected.shape:  # padded for a strided convolution
        top, left = (seen.shape[1] - height) // 2, (seen.shape[2] - width) // 2
        seen = seen[:, top : top + height, left : left + width]
    np.testing.assert_allclose(seen, expected, rtol=1e-4, atol=1e-3)


def test_preprocessing_does_not_depend_on_the_source_of_the_weights(tmp_path):
    # Keras adds a layer for weights="imagenet" alone, and the file's own statistics are others.
    source = construct("efficientnet_b0", input_shape=(32, 32, 3))
    statistics = next(
        layer for layer in source.layers if isinstance(layer, keras.layers.Normalization)
    )
    for weight in statistics.weights:
        weight.assign(np.full(weight.shape, 7))
    source.save_weights(tmp_path / "b0.weights.h5")
    model = smallest("efficientnet_b0", weights=tmp_path / "b0.weights.h5")
    images = noise(model)
    expected = PREPROCESSED["efficientnet_b0"](images)
    seen = np.asarray(backbone_input(model)(images))[:, : expected.shape[1], : expected.shape[2]]
    found = seen[:, -expected.shape[1] :, -expected.shape[2] :]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_of_a_backbone_without_its_top(tmp_path, suffix):
    source = construct("mobilenet_v2", input_shape=(32, 32, 3))
    path = tmp_path / f"backbone{suffix}"
    (source.save_weights if suffix == ".weights.h5" else source.save)(path)
    model = smallest("mobilenet_v2", weights=path)
    images = noise(model, 2)
    features = keras.Model(model.input, model.get_layer("head_pool").output)(images)
    expected = np.asarray(source(images / 127.5 - 1)).mean(axis=(1, 2))
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)


def test_weights_of_another_run_keep_the_backbone(tmp_path):
    source = smallest("mobilenet_v2", 5)
    source.save(tmp_path / "model.keras")
    model = smallest("mobilenet_v2", 3, weights=tmp_path / "model.keras")
    for one, other in zip(weighted(source)[:-1], weighted(model)[:-1], strict=True):
        for given, taken in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_array_equal(given, taken)


def test_weights_of_another_network_name_the_layer_and_both_shapes(tmp_path):
    path = tmp_path / "other.weights.h5"
    construct("mobilenet", input_shape=(32, 32, 3)).save_weights(path)
    with pytest.raises(ValueError, match=r"block1_conv1' has shape \(3, 3, 3, 64\), in the file"):
        smallest("vgg16", weights=path)


@pytest.fixture
def older_file(tmp_path):
    """Writes an ``.h5`` file in the older form with given layers; gives its path."""

    def write(layers):
        path = tmp_path / "older.h5"
        with h5py.File(path, "w") as file:
            # Long lists of names are kept in numbered parts.
            file.attrs["layer_names0"] = [name.encode() for name in layers][:2]
            file.attrs["layer_names1"] = [name.encode() for name in layers][2:]
            for name, shapes in layers.items():
                group = file.create_group(name)
                weights = [f"{name}/{index}:0" for index in range(len(shapes))]
                group.attrs["weight_names"] = [weight.encode() for weight in weights]
                for weight, shape in zip(weights, shapes, strict=True):
                    # Values that are not written take no space.
                    group.create_dataset(weight, shape, np.float32, fillvalue=0.5)
        return path

    return write


def vgg16_layers():
    layers = {"input_1": []}
    channels = 3
    for block, (depth, width) in enumerate([(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)], 1):
        for index in range(1, depth + 1):
            layers[f"block{block}_conv{index}"] = [(3, 3, channels, width), (width,)]
            channels = width
    return layers


def test_older_weights_are_read(older_file):
    model = smallest("vgg16", weights=older_file(vgg16_layers()))
    for layer in weighted(model):
        if not layer.name.startswith("head_"):
            assert all(np.all(weight == 0.5) for weight in layer.get_weights())


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (
            {"block2_conv1": [(3, 3, 64, 96), (96,)]},
            "the layer 'block2_conv1' has shapes [(3, 3, 64, 128), (128,)], in the file "
            "'block2_conv1' has [(3, 3, 64, 96), (96,)]",
        ),
        (
            {"block5_conv3": []},
            "the file has no weights for the layer 'block5_conv3' of shapes "
            "[(3, 3, 512, 512), (512,)]",
        ),
        (
            {"fc1": [(25088, 16), (16,)]},
            "the model has no layer 'fc1' of shapes [(25088, 16), (16,)]",
        ),
    ],
)
def test_wrong_older_weights_name_the_layer_and_both_shapes(older_file, change, fragment):
    path = older_file({**vgg16_layers(), **change})
    with pytest.raises(ValueError, match=r"VGG16 without its top\. Received: .*older\.h5") as error:
        smallest("vgg16", weights=path)
    assert fragment in str(error.value)


def test_older_weights_without_any_layer(tmp_path):
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(ValueError, match="the file has no weights for the layer 'block1_conv1'"):
        smallest("vgg16", weights=tmp_path / "empty.h5")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(ValueError, match=r"must be readable HDF5\. Received: .*text\.h5"):
        smallest("vgg16", weights=tmp_path / "text.h5")


def test_imagenet_weights_without_a_network(monkeypatch):
    def unreachable(**options):
        raise Exception("URL fetch failure on https://example.org/a/notop.h5: None -- no network")

    monkeypatch.setattr("kerasface.models.weights.construct", lambda name, **_: unreachable())
    with pytest.raises(RuntimeError, match=r"put notop\.h5 into ~/\.keras/models, or give"):
        smallest("mobilenet_v2", weights="imagenet")


@pytest.mark.parametrize("name", NAMES)
def test_message_names_the_file_of_imagenet_weights_in_the_cache_of_keras(
    name, tmp_path, monkeypatch
):
    def unreachable(*_):
        raise urllib.error.URLError("no network")

    asked = []
    get_file = file_utils.get_file

    def noted(fname, origin, **options):
        asked.append((fname, origin.rsplit("/", 1)[-1]))
        return get_file(fname, origin, cache_dir=tmp_path, **options)

    monkeypatch.setattr(file_utils, "urlretrieve", unreachable)
    monkeypatch.setattr(file_utils, "get_file", noted)
    side = APPLICATIONS[name].image_size  # NASNet has ImageNet weights at this one alone
    model = types.SimpleNamespace(input_shape=(None, side, side, 3))
    with pytest.raises(RuntimeError, match="downloaded at their first use") as error:
        load_weights(model, "imagenet", application=name)
    ((kept_as, at_address),) = asked
    assert kept_as.endswith(("_notop.h5", "_no_top.h5", "_no_top_v2.h5"))
    told = re.search(r"put (\S+) (?:as (\S+) )?into ~/\.keras/models", str(error.value))
    assert (told[1], told[2] or told[1]) == (at_address, kept_as)


def test_imagenet_weights_of_a_model_that_has_none():
    with pytest.raises(ValueError, match=r"Only the backbones of keras\.applications"):
        build("convnext_nano", 3, weights="imagenet")


def test_imagenet_weights_are_loaded_into_the_backbone(monkeypatch):
    images = np.random.default_rng(1).uniform(0, 255, (1, 32, 32, 3)).astype("float32")
    source = construct("mobilenet_v2", input_shape=(32, 32, 3))

    def downloaded(name, *, weights, input_shape):
        assert (name, weights, input_shape) == ("mobilenet_v2", "imagenet", (32, 32, 3))
        return source

    monkeypatch.setattr("kerasface.models.weights.construct", downloaded)
    model = smallest("mobilenet_v2", weights="imagenet")
    features = keras.Model(model.input, model.get_layer("head_pool").output)(images)
    expected = np.asarray(source(images / 127.5 - 1)).mean(axis=(1, 2))
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)


def test_input_below_the_smallest_size():
    with pytest.raises(ValueError, match="'xception' needs images of at least 71 pixels"):
        build("xception", 3, input_shape=(70, 70, 3))


def test_published_head_on_a_frozen_vgg19():
    # System 4: 25088 * 4096 + 4096 + 4096 * 4096 + 4096 + 4096 * 31 + 31
    model = build("vgg19", 31, head="vgg", freeze=True)
    count = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    assert count == 119_672_863


def test_head_of_the_cs405_competition():
    model = build("mobilenet_v2", 7, head="mlp", input_shape=(32, 32, 3))
    names = [layer.name for layer in model.layers if layer.name.startswith("head_")]
    assert names == [
        "head_pool",
        *(f"head_{kind}1" for kind in ("hidden", "norm", "relu", "dropout")),
        *(f"head_{kind}2" for kind in ("hidden", "norm", "relu", "dropout")),
        "head_logits",
        "head_output",
    ]
    units = [model.get_layer(f"head_{name}").units for name in ("hidden1", "hidden2", "logits")]
    rates = [model.get_layer(f"head_dropout{index}").rate for index in (1, 2)]
    assert (units, rates) == ([1024, 512, 7], [0.5, 0.3])


def test_unfreezing_keeps_norms_frozen_by_default():
    model = smallest("mobilenet_v2", freeze=True)
    assert {variable.path.split("/")[0] for variable in model.trainable_variables} == {
        "head_logits"
    }
    unfreeze_backbone(model, last=5)
    names = [layer.name for layer in weighted(model)]
    free = {layer.name for layer in weighted(model) if layer.trainable}
    norms = {
        layer.name for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
    }
    assert free == set(names[-6:]) - norms
    unfreeze_backbone(model)
    assert {layer.name for layer in weighted(model) if not layer.trainable} == norms
    before = model.get_layer("Conv1_bn" if "Conv1_bn" in names else "bn_Conv1").moving_mean.numpy()
    model(noise(model, 4), training=True)
    after = model.get_layer("Conv1_bn" if "Conv1_bn" in names else "bn_Conv1").moving_mean.numpy()
    np.testing.assert_array_equal(after, before)
    unfreeze_backbone(model, norms=True)
    assert all(layer.trainable for layer in weighted(model))
    freeze_backbone(model)
    assert [layer.name for layer in weighted(model) if layer.trainable] == ["head_logits"]


def test_unfreezing_no_layer_is_refused():
    with pytest.raises(ValueError, match="`last` must be an integer of at least 1"):
        unfreeze_backbone(smallest("mobilenet_v2"), last=0)
