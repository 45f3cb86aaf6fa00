"""Text of architectures, for comparisons and hashes."""

import keras
import pytest

from kerasface.training.model_config import architecture_text


def scaled_1(x):
    return x


def scaled_2(x):
    return 2 * x


def chain(names=(None, None), end=1, activation="relu", trainable=True):
    """Two dense layers; `end` is the one whose output is used a second time."""
    inputs = keras.Input((4,))
    layers = [keras.layers.Dense(4, name=name, activation=activation) for name in names]
    layers[0].trainable = trainable
    first = layers[0](inputs)
    second = layers[1](first)
    outputs = keras.layers.Add()([second, (first, second)[end]])
    inner = keras.Model(inputs, outputs)
    whole = keras.Input((4,))
    return keras.Model(whole, inner(whole))


def test_automatic_names_do_not_matter():
    assert architecture_text(chain()) == architecture_text(chain())


@pytest.mark.parametrize("names", [(None, None), ("block_1", "block_2"), ("stem", "top")])
def test_wiring_matters(names):
    assert architecture_text(chain(names)) != architecture_text(chain(names, end=0))


def test_names_and_options_matter():
    assert architecture_text(chain(("a", "b"))) != architecture_text(chain(("a", "c")))
    assert architecture_text(chain()) != architecture_text(chain(activation="tanh"))


def test_numbers_outside_of_names_matter():
    texts = [architecture_text(chain(activation=each)) for each in (scaled_1, scaled_2)]
    assert texts[0] != texts[1]


def test_frozen_layers_matter_if_asked_for():
    pair = [chain(trainable=True), chain(trainable=False)]
    assert len({architecture_text(model) for model in pair}) == 2
    assert len({architecture_text(model, with_trainable=False) for model in pair}) == 1
