"""Margins, against the papers' formulas at 180 angles."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasface.embedding.centers import ClassCenters
from kerasface.embedding.margins import MARGINS, Margin, named_margin, ramp

SCALE = 30.0
MARGIN_OF = {"normface": 0.0, "cosface": 0.35, "arcface": 0.5, "adaface": 0.4}
DEGREES = np.arange(180)
LENGTHS = 1 + np.arange(180) % 7  # norms of the embeddings, which AdaFace uses


def embeddings(dtype):
    """One embedding per degree from the first of two centers, with various norms."""
    radians = np.deg2rad(DEGREES)
    points = LENGTHS[:, None] * np.stack([np.cos(radians), np.sin(radians), 0 * radians], axis=1)
    return points.astype(dtype)


def made(name, **options):
    options = {"scale": SCALE, "margin": MARGIN_OF[name], **options}
    head = ClassCenters(2, 3, named_margin(name, **options))
    # The second center is at 60 degrees from the first, outside the plane of the embeddings.
    centers = [[[1, 0, 0]], [[np.cos(np.pi / 3), 0, np.sin(np.pi / 3)]]]
    head.centers.assign(np.array(centers, np.float32))
    return head


def plain_losses(name, points):
    """The cross-entropy of each image by the papers' formulas, in double precision."""
    points = points.astype(float)
    norms = np.linalg.norm(points, axis=1)
    units = points / norms[:, None]
    angle = np.arccos(np.clip(units[:, 0], -1, 1))
    margin = MARGIN_OF[name]
    if name == "adaface":
        quality = np.clip((norms - norms.mean()) / (norms.std() + 1e-3) * 0.333, -1, 1)
        turned = np.cos(np.clip(angle - margin * quality, 0, np.pi))
        target = turned - (margin + margin * quality)
    elif name == "arcface":
        beyond = np.cos(angle) - margin * np.sin(margin)
        target = np.where(angle + margin <= np.pi, np.cos(angle + margin), beyond)
    else:
        target = np.cos(angle) - margin
    other = units @ [np.cos(np.pi / 3), 0, np.sin(np.pi / 3)]
    return np.log(np.exp(SCALE * target) + np.exp(SCALE * other)) - SCALE * target


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("name", sorted(MARGINS))
def test_losses_match_the_formulas(name, dtype):
    points = embeddings(dtype)
    expected = plain_losses(name, points)
    weights = tf.ones(180)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        outcome = made(name).loss(tf.constant(points), tf.zeros(180, tf.int32), weights)
    assert outcome.loss.dtype == tf.float32
    # The derivative of the mean in an image's weight is the image's loss over the batch size.
    found = 180 * tape.gradient(outcome.loss, weights).numpy()
    # The tolerance is a few units in the last place of a cosine, times the scale.
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    assert float(outcome.loss) == pytest.approx(expected.mean(), rel=1e-5)
    units = points / np.linalg.norm(points.astype(float), axis=1, keepdims=True)
    nearer = units[:, 0] > units @ [np.cos(np.pi / 3), 0, np.sin(np.pi / 3)]
    rows = DEGREES != 90  # equally far from both
    np.testing.assert_array_equal(outcome.hits.numpy()[rows], nearer[rows])


@pytest.mark.parametrize("name", sorted(MARGINS))
@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("nudge", [0.0, 1e-7, 1e-4])
def test_gradients_are_finite_at_0_and_180_degrees(name, side, nudge):
    head = made(name)
    points = tf.Variable([[side, nudge, 0.0], [2 * side, 0.0, nudge], [0.5, 0.1, 0.7]])
    with tf.GradientTape() as tape:
        tape.watch(head.centers.value)
        loss = head.loss(points, tf.constant([0, 0, 1])).loss
    assert np.isfinite(loss)
    for gradient in tape.gradient(loss, [points, head.centers.value]):
        gradient = tf.convert_to_tensor(gradient)
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() < 1e3


# AdaFace has no gradient through the norms, by design.
@pytest.mark.parametrize("name", ["arcface", "cosface", "normface"])
def test_gradients_match_finite_differences(name):
    points = embeddings("float32")[5:175:10] / 3

    def loss(values):
        return float(made(name).loss(tf.constant(values), tf.zeros(len(values), tf.int32)).loss)

    values = tf.Variable(points)
    with tf.GradientTape() as tape:
        found = made(name).loss(values, tf.zeros(len(points), tf.int32)).loss
    gradient = tape.gradient(found, values).numpy()
    for row in range(0, len(points), 8):
        step = np.zeros_like(points)
        step[row, 1] = 1e-2
        difference = (loss(points + step) - loss(points - step)) / 2e-2
        assert gradient[row, 1] == pytest.approx(difference, rel=0.03, abs=2e-3)


@pytest.mark.parametrize("name", sorted(MARGINS))
def test_margin_increases_the_loss_in_training_only(name):
    points, labels = tf.constant(embeddings("float32")), tf.zeros(180, tf.int32)
    plain = float(ClassCenters.loss(made("normface"), points, labels, training=False).loss)
    assert float(made(name).loss(points, labels, training=False).loss) == pytest.approx(plain)
    assert (float(made(name).loss(points, labels).loss) > 1.05 * plain) == (name != "normface")


def test_adaface_gives_short_embeddings_a_smaller_loss():
    head = made("adaface")
    # Both are at 80 degrees.
    direction = np.array([np.cos(np.deg2rad(80)), np.sin(np.deg2rad(80)), 0])
    points = tf.constant(np.stack([1 * direction, 9 * direction]).astype(np.float32))
    losses = [
        float(made("adaface").loss(points, tf.constant([0, 0]), tf.constant(weights)).loss)
        for weights in ([2.0, 0.0], [0.0, 2.0])
    ]
    assert losses[0] < losses[1]
    # The statistics start with the first batch; every later batch counts for a hundredth.
    head.loss(points, tf.constant([0, 0]))
    mean, deviation, weight = (float(value) for value in head.margin.seen)
    assert (mean / weight, deviation / weight) == pytest.approx((5, 4), rel=1e-5)
    head.loss(tf.constant(direction[None].astype(np.float32)) * 100, tf.constant([0]))
    mean, _, weight = (float(value) for value in head.margin.seen)
    assert mean / weight == pytest.approx((0.99 * 5 + 100) / 1.99, rel=1e-4)


def test_schedules_count_training_steps():
    points, labels = tf.constant(embeddings("float32")), tf.zeros(180, tf.int32)
    head = made("cosface", margin=ramp(0.4, 4))
    ramped = [float(head.loss(points, labels).loss) for _ in range(6)]
    head.loss(points, labels, training=False)
    assert int(head.margin.step) == 6
    expected = [
        float(made("cosface", margin=margin).loss(points, labels).loss)
        for margin in (0, 0.1, 0.2, 0.3, 0.4, 0.4)
    ]
    assert ramped == pytest.approx(expected, rel=1e-5)
    scales = keras.optimizers.schedules.PiecewiseConstantDecay([0], [10.0, 20.0])
    head = made("normface", scale=scales)
    found = [float(head.loss(points, labels).loss) for _ in range(2)]
    expected = [float(made("normface", scale=s).loss(points, labels).loss) for s in (10.0, 20.0)]
    assert found == pytest.approx(expected, rel=1e-5)
    assert ramp(0.5, 0) == 0.5


def test_custom_margin():
    class Halved(Margin):
        largest = 1.0

        def target(self, cosine, norms, margin):
            return cosine * margin

    head = ClassCenters(2, 3, Halved(1.0, 0.5))
    head.centers.assign(np.array([[[1, 0, 0]], [[0, 1, 0]]], np.float32))
    loss = head.loss(tf.constant([[4.0, 0, 0]]), tf.constant([0])).loss
    assert float(loss) == pytest.approx(np.log(1 + np.exp(-0.5)), rel=1e-5)


@pytest.mark.parametrize(
    "labels", [[[1.0, 0.0], [0.5, 0.5]], [[0, 1], [1, 0]], [0.0, 1.0], [[0], [1]]]
)
def test_mixed_and_smoothed_labels_are_refused(labels):
    head = made("arcface")
    with pytest.raises(ValueError, match="Label smoothing, mixup and CutMix share an image"):
        head.loss(tf.ones((2, 3)), tf.constant(labels))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("arcfaces", {}, "Did you mean 'arcface'"),
        ("arcface", {"scale": 0}, "`scale` must be a number above 0. Received: scale=0"),
        ("arcface", {"scale": float("inf")}, "`scale` must be a number above 0"),
        (
            "arcface",
            {"margin": 1.6},
            r"in \[0, 1.5708\]. Received: margin=1.6. This is the range of ArcFace",
        ),
        (
            "cosface",
            {"margin": -0.1},
            r"in \[0, 1\]. Received: margin=-0.1. This is the range of CosFace",
        ),
        (
            "normface",
            {"margin": 0.1},
            r"in \[0, 0\]. Received: margin=0.1. This is the range of NormFace",
        ),
        ("adaface", {"concentration": 0}, "concentration=0"),
        ("adaface", {"momentum": 1.0}, "momentum=1.0"),
    ],
)
def test_refused_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        named_margin(name, **options)
