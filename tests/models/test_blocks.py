"""The building blocks against plain formulas."""

import keras
import numpy as np
import pytest

from kerasface.models import blocks


def as_model(build, shape=(8, 8, 3)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, build(inputs))


@pytest.mark.parametrize("size", [6, 7])
@pytest.mark.parametrize(("strides", "padding"), [(2, 1), (1, 1), (1, 0), (1, 2)])
def test_convolution_pads_on_both_sides(size, strides, padding):
    shape = (size, size, 1)
    model = as_model(
        lambda x: blocks.conv(x, 1, 3, "conv", strides=strides, padding=padding), shape
    )
    kernel = np.zeros((3, 3, 1, 1))
    kernel[0, 0] = 1  # each output shows the first pixel that it covers
    model.get_layer("conv").set_weights([kernel, np.zeros(1)])
    image = np.arange(1, size**2 + 1, dtype="float32").reshape(1, *shape)
    padded = np.pad(image[0, :, :, 0], padding)
    np.testing.assert_array_equal(
        model.predict(image)[0, :, :, 0], padded[:-2:strides, :-2:strides]
    )


@pytest.mark.parametrize("size", [8, 9])
def test_max_pooling_of_the_stem_ignores_the_border(size):
    model = as_model(lambda x: blocks.classic_stem(x, 2), (4 * size, 4 * size, 3))
    values = np.random.default_rng(0).normal(size=(1, 2 * size, 2 * size, 2)).astype("float32")
    tail = keras.Model(model.get_layer("stem_norm").output, model.output)
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    expected = np.stack(
        [
            [padded[0, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3].max((0, 1)) for x in range(size)]
            for y in range(size)
        ]
    )
    np.testing.assert_array_equal(tail.predict(values)[0], expected)


def test_initial_values_equal_pytorch():
    model = as_model(lambda x: blocks.convnext_block(x, "block"), (8, 8, 64))
    depthwise = model.get_layer("block_depthwise").kernel.numpy()
    expand = model.get_layer("block_expand").kernel.numpy()
    assert 0.95 / 7 < np.abs(depthwise).max() <= 1 / 7  # fan-in 49, whatever the channels
    assert 0.95 / 8 < np.abs(expand).max() <= 1 / 8  # fan-in 64
    # Biases are drawn from the same ranges.
    assert 0.8 / 7 < np.abs(model.get_layer("block_depthwise").bias.numpy()).max() <= 1 / 7
    assert 0.8 / 8 < np.abs(model.get_layer("block_expand").bias.numpy()).max() <= 1 / 8


def test_pointwise_is_a_convolution():
    model = as_model(lambda x: blocks.pointwise(x, 5, "point"))
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    kernel, bias = model.get_layer("point").get_weights()
    expected = keras.ops.conv(images, kernel[None, None]) + bias
    np.testing.assert_allclose(model.predict(images), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("block", [blocks.convnext_block, blocks.inverted_bottleneck])
def test_residual_blocks_add_their_input(block):
    model = as_model(lambda x: block(x, "block"))
    project = model.get_layer("block_project")
    project.set_weights([np.zeros_like(array) for array in project.get_weights()])
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(model.predict(images), images, atol=1e-6)


def test_classic_bottleneck_adds_its_input():
    model = as_model(lambda x: blocks.bottleneck(x, "block"), (8, 8, 8))
    project = model.get_layer("block_project")
    project.set_weights([np.zeros_like(array) for array in project.get_weights()])
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 8)).astype("float32")
    np.testing.assert_allclose(model.predict(images), np.maximum(images, 0), atol=1e-6)


def test_drop_path_drops_whole_branches():
    model = as_model(lambda x: blocks.convnext_block(x, "block", drop_path=0.5))
    images = np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype("float32")
    change = np.abs(np.asarray(model(images, training=True)) - images).max((1, 2, 3))
    assert 10 < (change == 0).sum() < 54


def test_basic_block_adds_its_input():
    model = as_model(lambda x: blocks.basic_block(x, "block", filters=8), (8, 8, 8))
    model.get_layer("block_norm2").gamma.assign(np.zeros(8))
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 8)).astype("float32")
    np.testing.assert_allclose(model.predict(images), np.maximum(images, 0), atol=1e-6)


@pytest.mark.parametrize("size", [8, 9])
def test_basic_block_halves_and_its_shortcut_averages(size):
    shape = (size, size, 3)
    model = as_model(lambda x: blocks.basic_block(x, "block", filters=4, strides=2), shape)
    model.get_layer("block_norm2").gamma.assign(np.zeros(4))
    model.get_layer("block_shortcut").kernel.assign(np.eye(3, 4)[None, None])
    half = (size + 1) // 2
    outputs = model.predict(np.ones((1, *shape), "float32"))
    expected = np.tile([1, 1, 1, 0], (1, half, half, 1))
    np.testing.assert_allclose(outputs, expected, atol=1e-4)


def test_plain_convolution_pads_on_both_sides():
    model = as_model(lambda x: blocks.plain_conv(x, 1, 3, "conv", strides=2), (6, 6, 1))
    kernel = np.zeros((3, 3, 1, 1))
    kernel[0, 0] = 1  # each output shows the pixel one up and one left of its place
    model.get_layer("conv").set_weights([kernel])
    image = np.arange(1, 37, dtype="float32").reshape(1, 6, 6, 1)
    expected = np.zeros((3, 3))
    expected[1:, 1:] = image[0, 1:5:2, 1:5:2, 0]
    np.testing.assert_array_equal(model.predict(image)[0, :, :, 0], expected)


def test_downsampling_halves_and_has_no_residual():
    model = as_model(lambda x: blocks.inverted_bottleneck(x, "down", filters=6, strides=2))
    assert model.output_shape == (None, 4, 4, 6)
    assert not [layer for layer in model.layers if isinstance(layer, keras.layers.Add)]


def test_patchify_stem():
    model = as_model(lambda x: blocks.patchify_stem(x, 4, patch_size=2))
    assert model.output_shape == (None, 4, 4, 4)
