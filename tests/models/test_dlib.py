"""The model dlib_resnet29: equal to dlib's own network, and trainable like other models."""

import sys

import keras
import numpy as np
import pytest

from kerasface.data import draw_face
from kerasface.dlib_files import FACE_NETWORK, FIVE_LANDMARKS, find_file
from kerasface.models import build, freeze_backbone, unfreeze_backbone
from kerasface.models.dlib_weights import read_tensors
from kerasface.training.assemble import dtype_policy

SMALLEST = (103, 103, 3)


@pytest.fixture(scope="module")
def network():
    return build("dlib_resnet29", embedding=128, weights="dlib")


@pytest.fixture(scope="module")
def chips():
    """Drawn faces, noise, black and white: uint8 ``[N, 150, 150, 3]``."""
    drawn = [draw_face(person, 0, size=150).image for person in range(3)]
    noise = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3), np.uint8)
    flat = [np.full((150, 150, 3), value, np.uint8) for value in (0, 255)]
    return np.stack([*drawn, *noise, *flat])


@pytest.fixture(scope="module")
def content():
    return find_file(FACE_NETWORK).read_bytes()


def test_equals_dlib(network, chips):
    dlib = pytest.importorskip("dlib")
    original = dlib.face_recognition_model_v1(str(find_file(FACE_NETWORK)))
    expected = np.array([original.compute_face_descriptor(chip) for chip in chips])
    linear = keras.Model(network.input, network.get_layer("head_embedding").output)
    np.testing.assert_allclose(linear(chips), expected, atol=1e-5)
    lengths = np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(network(chips), expected / lengths, atol=1e-5)


def test_package_of_the_weights_is_not_imported(network):
    assert "face_recognition_models" not in sys.modules


def test_stock_layers_only(network):
    assert {type(layer).__module__.split(".")[0] for layer in network.layers} == {"keras"}
    # Filters, biases and the projection, as counted from the published network.
    assert network.count_params() == 5_607_488 + 128  # the projection has a bias of zeros here
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in network.layers)


def test_saved_model_loads_without_kerasface(network, chips, tmp_path, monkeypatch):
    network.save(tmp_path / "model.keras")
    monkeypatch.setitem(sys.modules, "kerasface", None)  # any import of it fails
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(chips[:2]), network(chips[:2]))


@pytest.mark.parametrize("cut", [0, 10, 20, 1000, 30_000, 11_000_000, 22_466_066 - 1000])
def test_truncated_file(cut, content, tmp_path):
    path = tmp_path / "cut.dat"
    path.write_bytes(content[:cut])
    with pytest.raises(ValueError, match=rf"must be the file dlib_face.*cut\.dat' of {cut:,} byte"):
        build("dlib_resnet29", embedding=128, weights=path)


def test_file_cut_between_two_layers(content, tmp_path):
    path = tmp_path / "cut.dat"
    path.write_bytes(content[: content.rindex(b"\x04fc_2")])
    with pytest.raises(ValueError, match="with 58 layers instead of 59"):
        build("dlib_resnet29", embedding=128, weights=path)


def test_another_version_of_a_tensor(content, tmp_path):
    place = content.index(b"\x07affine_") + len(b"\x07affine_")
    assert content[place : place + 2] == b"\x01\x02"
    path = tmp_path / "version.dat"
    path.write_bytes(content[:place] + b"\x01\x03" + content[place + 2 :])
    with pytest.raises(ValueError, match="a tensor of version 3 and shape"):
        read_tensors(path)


def test_layers_of_another_size(content, tmp_path):
    # The last convolution loses its number of columns and, with it, most of its values.
    start = content.rindex(b"\x05con_4") + len(b"\x05con_4")
    (_, *shape), end = [2, 590_080, 1, 1, 1], start + 2 + 4 + 6
    assert read_tensors(find_file(FACE_NETWORK))[-3].shape == tuple(shape)
    path = tmp_path / "short.dat"
    half = b"\x01\x02" + b"\x03" + (295_040).to_bytes(3, "little") + b"\x01\x01" * 3
    path.write_bytes(
        content[:start] + half + content[end : end + 4 * 295_040] + content[end + 4 * 590_080 :]
    )
    with pytest.raises(ValueError, match=r"with \(295040, 512\) values for 'stage5_block1_conv2'"):
        build("dlib_resnet29", embedding=128, weights=path)


@pytest.mark.parametrize(
    ("start", "begins"),
    [(b"\xff\xd8\xff\xe0 JPEG", "JPEG"), (b"\x01\x01\x01\x0bloss_mmod_", "loss_mmod_")],
    ids=["image", "detector"],
)
def test_foreign_file(start, begins, tmp_path):
    path = tmp_path / "foreign.dat"
    path.write_bytes(start + bytes(100))
    with pytest.raises(ValueError, match=f"which begins with b'.*{begins}.*Copy or download"):
        build("dlib_resnet29", 3, weights=path)


def test_another_file_of_dlib():
    with pytest.raises(ValueError, match=r"shape_predictor_5_face_landmarks\.dat' of 9,150,489"):
        build("dlib_resnet29", 3, weights=find_file(FIVE_LANDMARKS))


def test_weights_belong_to_this_model_only():
    with pytest.raises(ValueError, match="Received: 'smile_cnn'"):
        build("smile_cnn", 1, weights="dlib")


@pytest.mark.parametrize("embedding", [64, 128])
def test_projection_is_for_pooled_features_only(embedding):
    # The hidden layer of the head "double" has 512 units: 512 x 64 = 256 x 128 values.
    model = build("dlib_resnet29", embedding=embedding, head="double", weights="dlib")
    kernel = model.get_layer("head_embedding").get_weights()[0]
    projection = read_tensors(find_file(FACE_NETWORK))[-1].values
    assert kernel.size != projection.size or not np.allclose(kernel.ravel(), projection)


@pytest.fixture(scope="module")
def classifier():
    """Three classes on dlib's frozen features, at the smallest image size."""
    keras.utils.set_random_seed(0)
    return build("dlib_resnet29", 3, input_shape=SMALLEST, weights="dlib", freeze=True)


def test_classes_on_pretrained_features(classifier, network):
    for layer in classifier.layers:
        if isinstance(layer, keras.layers.Conv2D):
            for weight, other in zip(
                layer.get_weights(), network.get_layer(layer.name).get_weights(), strict=True
            ):
                np.testing.assert_array_equal(weight, other)
    assert [layer.name for layer in classifier.layers if layer.trainable_weights] == ["head_logits"]


def test_training_steps(classifier, chips):
    """The first step, with a frozen backbone, changes the head; the second changes all layers."""
    images = chips[:3, :103, :103]
    features = keras.Model(classifier.input, classifier.get_layer("head_pool").output)
    before = features(images).numpy()

    def changed_layers():
        """Names of the layers that a small training step changes."""
        weights = {layer.name: layer.get_weights() for layer in classifier.layers if layer.weights}
        optimizer = keras.optimizers.SGD(1e-4)
        classifier.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
        classifier.train_on_batch(images, np.arange(3))
        return {
            name
            for name, old in weights.items()
            if not all(map(np.array_equal, classifier.get_layer(name).get_weights(), old))
        }

    assert changed_layers() == {"head_logits"}
    np.testing.assert_array_equal(features(images), before)
    unfreeze_backbone(classifier)
    assert changed_layers() == {layer.name for layer in classifier.layers if layer.weights}
    np.testing.assert_allclose(features(images), before, atol=0.1)  # up to 3: still dlib's
    freeze_backbone(classifier)


@pytest.mark.parametrize("shape", [SMALLEST, (112, 112, 3), (104, 131, 3)])
def test_other_image_sizes(shape, chips):
    model = build("dlib_resnet29", embedding=128, input_shape=shape, weights="dlib")
    vectors = model(chips[:3, : shape[0], : shape[1]]).numpy()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.max(vectors @ vectors.T - np.eye(3)) < 0.99  # people differ


def test_images_below_the_smallest_size():
    with pytest.raises(ValueError, match="'dlib_resnet29' needs images of at least 103 pixels"):
        build("dlib_resnet29", 3, input_shape=(102, 120, 3))


def test_mixed_float16(network, chips):
    with dtype_policy("mixed_float16"):
        model = build("dlib_resnet29", embedding=128, weights="dlib")
    vectors = model(chips).numpy()
    assert vectors.dtype == np.float32
    assert np.sum(vectors * network(chips), axis=1).min() > 0.999
