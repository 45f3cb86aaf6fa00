"""`convnext_small` against the PyTorch network that it is a port of, narrow, with equal weights.

The figures are those of ``python benchmarks/pytorch_original.py reference``.
"""

import json
import math
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasface.models import build

REFERENCE = json.loads(pathlib.Path(__file__).with_name("pytorch_original.json").read_text())
# PyTorch's axes: a convolution [out, in, rows, columns], a dense layer [out, in].
TO_KERAS = {1: (0,), 2: (1, 0), 4: (2, 3, 1, 0)}
TO_KERAS_DEPTHWISE = (2, 3, 0, 1)


def to_keras(variable):
    is_depthwise = variable.path.endswith("depthwise/kernel")
    return TO_KERAS_DEPTHWISE if is_depthwise else TO_KERAS[len(variable.shape)]


def drawn_like(variable, drawn):
    """Random numbers of a variable, drawn in PyTorch's order, and what feeds one output."""
    axes = to_keras(variable)
    shape = [0] * len(axes)
    for place, axis in enumerate(axes):
        shape[axis] = variable.shape[place]
    fan_in = math.prod(shape[1:]) if len(shape) > 1 else 100
    return drawn.normal(size=shape).transpose(axes), fan_in


@pytest.fixture(scope="module")
def network():
    """The narrow network, images in [0, 255], and the generator where PyTorch's was."""
    model = build(
        "convnext_small",
        num_classes=REFERENCE["classes"],
        channels=REFERENCE["channels"],
        blocks_per_stage=REFERENCE["blocks"],
        input_shape=(REFERENCE["side"], REFERENCE["side"], 3),
        activation=None,
    )
    drawn = np.random.default_rng(0)
    for variable in model.trainable_variables:
        values, fan_in = drawn_like(variable, drawn)
        ones = 1.0 if variable.path.endswith("gamma") else 0.0
        variable.assign(ones + values / math.sqrt(fan_in))
    images = drawn.uniform(0, 1, (4, 3, REFERENCE["side"], REFERENCE["side"]))
    return model, (255 * images.transpose(0, 2, 3, 1)).astype("float32"), drawn


def test_outputs_gradients_and_moving_averages(network):
    model, images, drawn = network
    np.testing.assert_allclose(model(images), REFERENCE["evaluated"], atol=1e-4)
    crossentropy = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    with tf.GradientTape() as tape:
        logits = model(images, training=True)
        loss = crossentropy(tf.one_hot(range(4), REFERENCE["classes"]), logits)
    np.testing.assert_allclose(logits, REFERENCE["trained"], atol=2e-4)
    assert float(loss) == pytest.approx(REFERENCE["loss"], abs=1e-4)
    variables = model.trainable_variables
    gradients = tape.gradient(loss, variables)
    products = [
        float(tf.reduce_sum(gradient * drawn_like(variable, drawn)[0]))
        for variable, gradient in zip(variables, gradients, strict=True)
    ]
    np.testing.assert_allclose(products, REFERENCE["gradients"], rtol=2e-3, atol=2e-3)
    means = [w.numpy().sum() for w in model.weights if w.path.endswith("moving_mean")]
    np.testing.assert_allclose(means, REFERENCE["moving_means"], rtol=1e-3, atol=1e-4)
