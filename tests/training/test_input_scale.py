"""The warning about models that do not scale their images."""

import keras
import pytest
from keras import layers

from kerasface.training.custom_model import functional_model
from kerasface.training.input_scale import has_unscaled_input, warn_of_unscaled_input


def model(*stack):
    plain = keras.Sequential([keras.Input((8, 8, 3)), *stack, layers.Flatten(), layers.Dense(2)])
    return functional_model(plain)


@pytest.mark.parametrize(
    ("stack", "unscaled"),
    [
        ([], True),
        ([layers.Conv2D(4, 3, activation="relu")], True),
        ([layers.RandomFlip(), layers.Conv2D(4, 3)], True),
        ([layers.Rescaling(1 / 255), layers.Conv2D(4, 3)], False),
        ([layers.Conv2D(4, 3, use_bias=False), layers.BatchNormalization()], False),
        ([layers.Conv2D(4, 3, activation="relu"), layers.BatchNormalization()], True),
        ([layers.Normalization(mean=100.0, variance=9.0), layers.Conv2D(4, 3)], False),
    ],
)
def test_layers(stack, unscaled):
    assert has_unscaled_input(model(*stack)) is unscaled


def test_operations_and_inner_models_count_as_scaling():
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Dense(2)(layers.Flatten()(inputs / 255))
    assert not has_unscaled_input(keras.Model(inputs, outputs))
    inner = model(layers.Rescaling(1 / 255))
    assert not has_unscaled_input(keras.Model(inputs, inner(inputs)))


def test_warning():
    with pytest.warns(UserWarning, match=r"images in \[0, 255\].*Rescaling\(1 / 255\)"):
        warn_of_unscaled_input(model())
