"""A model as a function with constant weights."""

import keras
import numpy as np

from kerasface.models import build
from kerasface.pipeline.constants import with_constant_weights


def test_outputs_are_those_of_the_model():
    model = build(
        "convnext_nano", 3, input_shape=(32, 32, 3), channels=(8, 16), blocks_per_stage=(1, 1)
    )
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    expected = model(images).numpy()
    function = with_constant_weights(model)
    for weight in model.weights:
        weight.assign(keras.ops.zeros_like(weight))
    for count in (3, 1, 2):
        np.testing.assert_allclose(function(images[:count]), expected[:count], atol=1e-6)
    floats = with_constant_weights(model, "float32")
    np.testing.assert_allclose(floats(images.astype("float32")), model(images), atol=1e-6)
