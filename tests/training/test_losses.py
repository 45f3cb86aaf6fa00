"""Losses for imbalanced labels, against plain formulas."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasface.data import FaceTable
from kerasface.models import build
from kerasface.runs.recipe import Recipe
from kerasface.training.losses import (
    AttributeAccuracy,
    AttributeLoss,
    ClassLoss,
    balancing_weights,
    build_loss,
)

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(0, 3, (6, 4))
CLASSES = np.eye(4)[RNG.integers(0, 4, 6)]
ATTRIBUTES = RNG.integers(0, 2, (6, 4)).astype(float)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


@pytest.mark.parametrize("with_logits", [True, False])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_class_loss_matches_the_formula(with_logits, gamma, smoothing):
    weights = np.array([0.5, 1.0, 2.0, 3.0])
    loss = ClassLoss(weights, gamma=gamma, label_smoothing=smoothing)
    # The activation stores the logits on its output; a plain array has none.
    outputs = softmax(LOGITS).astype("float32")
    if with_logits:
        outputs = keras.activations.softmax(tf.constant(LOGITS, tf.float32))
    p = softmax(LOGITS)
    targets = CLASSES * (1 - smoothing) + smoothing / 4
    expected = (-targets * weights * (1 - p) ** gamma * np.log(p)).sum(axis=1)
    found = loss.call(tf.constant(CLASSES), outputs)
    np.testing.assert_allclose(found, expected, rtol=1e-3 if not with_logits else 1e-4, atol=1e-5)
    assert float(loss(CLASSES, outputs)) == pytest.approx(expected.mean(), rel=1e-3)


@pytest.mark.parametrize("with_logits", [True, False])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_attribute_loss_matches_the_formula(with_logits, gamma, smoothing):
    positive, negative = np.array([0.5, 1.0, 2.0, 3.0]), np.array([3.0, 1.0, 0.5, 0.1])
    loss = AttributeLoss(positive, negative, gamma=gamma, label_smoothing=smoothing)
    outputs = sigmoid(LOGITS).astype("float32")
    if with_logits:
        outputs = keras.activations.sigmoid(tf.constant(LOGITS, tf.float32))
    p = sigmoid(LOGITS)
    targets = ATTRIBUTES * (1 - smoothing) + smoothing / 2
    expected = -(
        targets * positive * (1 - p) ** gamma * np.log(p)
        + (1 - targets) * negative * p**gamma * np.log(1 - p)
    ).mean(axis=1)
    found = loss.call(tf.constant(ATTRIBUTES), outputs)
    np.testing.assert_allclose(found, expected, rtol=1e-3 if not with_logits else 1e-4, atol=1e-5)


def test_default_options_match_the_losses_of_keras():
    ones = np.ones(4)
    p = keras.activations.softmax(tf.constant(LOGITS, tf.float32))
    expected = keras.losses.CategoricalCrossentropy(label_smoothing=0.1)(CLASSES, p)
    assert float(ClassLoss(ones, label_smoothing=0.1)(CLASSES, p)) == pytest.approx(float(expected))
    p = keras.activations.sigmoid(tf.constant(LOGITS, tf.float32))
    expected = keras.losses.BinaryCrossentropy(label_smoothing=0.1)(ATTRIBUTES, p)
    found = AttributeLoss(ones, ones, label_smoothing=0.1)(ATTRIBUTES, p)
    assert float(found) == pytest.approx(float(expected))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
@pytest.mark.parametrize("multi_label", [False, True])
def test_certain_and_wrong_predictions_have_a_gradient(gamma, multi_label):
    """A loss of the probabilities alone would have none."""
    model = build(
        "smile_cnn", 2, multi_label=multi_label, input_shape=(8, 8, 3), channels=(4,), dropout=0.0
    )
    last = model.get_layer("head_logits")
    last.bias.assign([60.0, -60.0])
    ones = np.ones(2)
    loss = AttributeLoss(ones, ones, gamma=gamma) if multi_label else ClassLoss(ones, gamma=gamma)
    model.compile("sgd", loss, jit_compile=False)
    images, wrong = np.zeros((2, 8, 8, 3), "float32"), np.array([[0.0, 1.0]] * 2, "float32")
    with tf.GradientTape() as tape:
        value = model.compute_loss(images, wrong, model(images, training=True))
    [gradient] = tape.gradient(value, [last.bias.value])
    assert float(value) > 50
    assert np.isfinite(gradient).all() and (np.abs(gradient) > 0.2).all()
    # Certain and right predictions have a gradient of 0 and not NaN.
    with tf.GradientTape() as tape:
        value = model.compute_loss(images, 1 - wrong, model(images, training=True))
    [gradient] = tape.gradient(value, [last.bias.value])
    assert float(value) < 1e-6
    np.testing.assert_allclose(gradient, 0, atol=1e-4)


def table(labels, names):
    return FaceTable("none", [f"{i}.jpg" for i in range(len(labels))], labels, names)


def test_balancing_weights():
    counts = table([0] * 6 + [1] * 3 + [2], ["a", "b", "c", "never"])
    weights, none = balancing_weights(counts)
    assert none is None
    # 6, 3 and 1 images have equal total weights, which sum to ten.
    np.testing.assert_allclose(weights * [6, 3, 1, 1], [10 / 3, 10 / 3, 10 / 3, 1])
    np.testing.assert_array_equal(balancing_weights(counts, 0.0)[0], np.ones(4))
    half = balancing_weights(counts, 0.5)[0]
    assert half[2] / half[0] == pytest.approx(6**0.5)

    attributes = table([[1, 0, 1]] + [[0, 0, 1]] * 3, ["rare", "never", "always"])
    positive, negative = balancing_weights(attributes)
    np.testing.assert_allclose(positive, [2, 1, 1])
    np.testing.assert_allclose(negative, [2 / 3, 1, 1])


def test_recipe_selects_the_loss():
    people = table([0, 0, 1], ["a", "b"])
    faces = table([[1, 0], [0, 0], [0, 1]], ["a", "b"])
    recipe = Recipe(label_smoothing=0.1)
    plain = build_loss(recipe, people), build_loss(recipe, faces)
    assert [type(loss).__name__ for loss in plain] == [
        "CategoricalCrossentropy",
        "BinaryCrossentropy",
    ]
    assert build_loss(recipe.replace(focal_gamma=2.0), people).gamma == 2
    weighted = build_loss(recipe.replace(class_weighting=1.0), faces)
    np.testing.assert_allclose(weighted.positive, [1.5, 1.5])
    np.testing.assert_allclose(weighted.negative, [0.75, 0.75])
    assert weighted.label_smoothing == 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": -1}, "`gamma` must be a number of at least 0"),
        ({"label_smoothing": 1.0}, r"`label_smoothing` must be a number in \[0, 1\)"),
    ],
)
def test_refused_options(options, message):
    with pytest.raises(ValueError, match=message):
        ClassLoss(np.ones(2), **options)
    with pytest.raises(ValueError, match=message):
        AttributeLoss(np.ones(2), np.ones(2), **options)


def test_attribute_accuracy_of_mixed_labels():
    metric = AttributeAccuracy()
    targets = np.array([[0.9, 0.4, 1.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    predicted = np.array([[0.6, 0.7, 0.9, 0.2], [0.9, 0.1, 0.1, 0.1]])
    metric.update_state(targets, predicted, sample_weight=[1, 3])
    assert metric.name == "accuracy"
    assert float(metric.result()) == pytest.approx((0.75 + 3 * 0.25) / 4)
