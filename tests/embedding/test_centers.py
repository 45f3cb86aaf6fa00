"""Full and sampled class centers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasface
from kerasface.embedding.centers import ClassCenters, SampledCenters, sample_classes
from kerasface.embedding.margins import AdaFace, ArcFace, CosFace, NormFace
from kerasface.embedding.training import EmbeddingTraining
from kerasface.inference.vectors import unit_rows

CLASSES, DIMENSIONS = 12, 6


def batch(seed=0, count=8):
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(count, DIMENSIONS)).astype(np.float32)
    return tf.constant(points), tf.constant(rng.integers(0, CLASSES, count), tf.int32)


def twins(margin, **options):
    """Full and sampled centers with the same initial values."""
    full = ClassCenters(CLASSES, DIMENSIONS, margin(), seed=3, **options)
    sampled = SampledCenters(
        CLASSES, DIMENSIONS, margin(), share=1.0, optimizer="sgd", learning_rate=0.2, **options
    )
    sampled.centers.assign(full.centers)
    return full, sampled


@pytest.mark.parametrize("subcenters", [1, 3])
def test_share_of_one_matches_full_centers(subcenters):
    full, sampled = twins(lambda: ArcFace(10.0, 0.3), subcenters=subcenters)
    optimizer = keras.optimizers.SGD(0.2)
    for step in range(4):
        points, labels = batch(step)
        weights = tf.constant([1.0, 1, 0, 1, 1, 2, 1, 1])
        with tf.GradientTape() as tape:
            tape.watch(points)
            expected = full.loss(points, labels, weights)
        wanted, gradient = tape.gradient(expected.loss, [points, full.centers.value])
        optimizer.apply([gradient], [full.centers])
        with tf.GradientTape() as tape:
            tape.watch(points)
            found = sampled.loss(points, labels, weights)
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
        np.testing.assert_array_equal(found.hits, expected.hits)
        np.testing.assert_allclose(tape.gradient(found.loss, points), wanted, atol=1e-6)
        np.testing.assert_allclose(sampled.centers, full.centers, atol=1e-5)
    assert sampled.trainable_variables == []


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad"])
def test_a_step_changes_only_its_own_centers(optimizer):
    head = SampledCenters(
        CLASSES, DIMENSIONS, CosFace(8.0), share=0.25, optimizer=optimizer, seed=5
    )
    points, labels = batch(count=3)
    classes, places = sample_classes(labels, CLASSES, 3, seed=5, step=0)
    np.testing.assert_array_equal(classes.numpy()[places], labels)
    before = head.centers.numpy()
    outcome = head.loss(points, labels)
    after = head.centers.numpy()
    changed = np.flatnonzero((before != after).any(axis=(1, 2)))
    assert changed.tolist() == sorted(classes.numpy().tolist())
    assert set(labels.numpy()) <= set(changed)
    np.testing.assert_allclose(np.linalg.norm(after[changed], axis=2), 1, rtol=1e-5)

    # The loss is that of the sampled classes alone, and the update follows the formula.
    rows = tf.Variable(before[classes])
    with tf.GradientTape() as tape:
        unit = rows / tf.norm(rows, axis=2, keepdims=True)
        cosines = tf.math.l2_normalize(points, axis=1) @ tf.transpose(unit[:, 0])
        own = tf.one_hot(places, len(classes))
        losses = tf.nn.softmax_cross_entropy_with_logits(own, 8.0 * (cosines - 0.35 * own))
        loss = tf.reduce_mean(losses)
    np.testing.assert_allclose(outcome.loss, loss, rtol=1e-5)
    gradient = tape.gradient(loss, rows).numpy()
    if optimizer == "adagrad":
        squares = (gradient**2).sum(axis=2)
        gradient = gradient / np.sqrt(squares)[..., None]
        np.testing.assert_allclose(head.squares.numpy()[classes], squares, rtol=1e-4)
        assert (head.squares.numpy()[~np.isin(np.arange(CLASSES), classes)] == 0).all()
    moved = before[classes] - 0.1 * gradient
    moved /= np.linalg.norm(moved, axis=2, keepdims=True)
    np.testing.assert_allclose(after[classes], moved, atol=1e-5)


def test_adagrad_steps_become_smaller():
    head = SampledCenters(CLASSES, DIMENSIONS, NormFace(8.0), share=1.0, learning_rate=0.3)
    points, labels = batch()
    first = head.centers.numpy()
    head.loss(points, labels)
    second = head.centers.numpy()
    for _ in range(30):
        head.loss(points, labels)
    third = head.centers.numpy()
    head.loss(points, labels)
    moves = [
        np.linalg.norm(b - a, axis=2).mean()
        for a, b in ((first, second), (third, head.centers.numpy()))
    ]
    assert moves[1] < 0.5 * moves[0]


def test_evaluation_changes_nothing_and_uses_all_classes():
    full, sampled = twins(lambda: CosFace(9.0))
    some = SampledCenters(CLASSES, DIMENSIONS, CosFace(9.0), share=0.1)
    some.centers.assign(full.centers)
    points, labels = batch()
    expected = full.loss(points, labels, training=False)
    for head in (sampled, some):
        before = head.centers.numpy()
        found = head.loss(points, labels, training=False)
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-6)
        np.testing.assert_array_equal(head.centers, before)


@pytest.mark.parametrize(("classes", "count"), [(10, 3), (7, 7), (1000, 10), (9, 8), (5, 1)])
def test_samples_are_uniform_and_contain_the_batch(classes, count):
    labels = tf.constant([classes - 1, 0, 0], tf.int32)
    totals, pairs = np.zeros(classes), 0
    draws = 400 if classes < 100 else 20
    for step in range(draws):
        found, places = sample_classes(labels, classes, count, seed=1, step=step)
        found = found.numpy()
        assert len(set(found.tolist())) == len(found)
        assert found.min() >= 0 and found.max() < classes
        assert max(2, count) <= len(found) <= min(count + 2, classes)
        np.testing.assert_array_equal(found[places], labels)
        totals[found] += 1
        pairs += 1 in found and 2 in found
    if classes < 100 and count < classes:
        others = totals[1:-1] / draws
        assert np.abs(others - count / classes).max() < 0.12
        if count > 2:
            assert pairs  # neighbors too
    again = sample_classes(labels, classes, count, seed=1, step=3)[0]
    np.testing.assert_array_equal(again, sample_classes(labels, classes, count, seed=1, step=3)[0])


def test_the_nearest_subcenter_counts():
    head = ClassCenters(2, 2, NormFace(1.0), subcenters=2)
    head.centers.assign(np.array([[[1, 0], [0, 1]], [[-1, 0], [0, -3]]], np.float32))
    outcome = head.loss(tf.constant([[0.0, 5.0], [0.0, -2.0]]), tf.constant([0, 0]))
    # Cosines 1 and 0 with the classes, and 0 and 1.
    expected = [np.log1p(np.exp(-1)), np.log1p(np.exp(1))]
    assert float(outcome.loss) == pytest.approx(np.mean(expected), rel=1e-5)
    assert outcome.hits.numpy().tolist() == [1, 0]


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad"])
def test_nan_changes_no_center(optimizer):
    head = SampledCenters(CLASSES, DIMENSIONS, AdaFace(), share=0.5, optimizer=optimizer)
    before = [weight.numpy() for weight in head.weights]
    points = np.ones((2, DIMENSIONS), np.float16)
    points[0, 0] = np.nan  # as after an overflow
    head.loss(tf.constant(points), tf.constant([1, 2]))
    for weight, old in zip(head.weights, before, strict=True):
        if weight is head.centers:  # the first step normalizes them
            old, now = (unit_rows(value[:, 0]) for value in (old, weight.numpy()))
            np.testing.assert_allclose(now, old, atol=1e-6)
        elif "step" not in weight.path:  # the step is still counted
            np.testing.assert_allclose(weight.numpy(), old, atol=1e-6)
    head.loss(tf.ones((2, DIMENSIONS)), tf.constant([1, 2]))
    assert all(np.isfinite(weight.numpy()).all() for weight in head.weights)
    assert not np.allclose(head.centers.numpy(), before[0])


def test_xla_is_off_for_sampled_centers():
    head = SampledCenters(CLASSES, DIMENSIONS, ArcFace(), share=0.5)
    embedder = kerasface.build("convnext_nano", embedding=DIMENSIONS)
    model = EmbeddingTraining(embedder, head)
    model.compile("adam", jit_compile="auto")
    assert not model.jit_compile


def test_zero_embeddings_have_finite_gradients():
    head = ClassCenters(CLASSES, DIMENSIONS, ArcFace())
    points = tf.Variable(np.zeros((2, DIMENSIONS), np.float32))
    with tf.GradientTape() as tape:
        loss = head.loss(points, tf.constant([1, 2])).loss
    assert np.isfinite(loss) and np.isfinite(tape.gradient(loss, points)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "`num_classes` must be an integer of at least 2"),
        ({"dimensions": 0}, "`dimensions` must be an integer of at least 1"),
        ({"subcenters": 0}, "`subcenters` must be an integer of at least 1"),
        ({"share": 0.0}, r"`share` must be a number in \(0, 1\]"),
        ({"share": 1.1}, r"`share` must be a number in \(0, 1\]"),
        ({"optimizer": "adam"}, "one of .*adagrad.*sgd.*'adam'"),
    ],
)
def test_refused_options(options, message):
    with pytest.raises(ValueError, match=message):
        SampledCenters(**{"num_classes": 4, "dimensions": 3, "margin": NormFace(), **options})


def test_order_of_variables_is_fixed():
    """The checkpoints of runs store variables by position."""
    head = SampledCenters(CLASSES, DIMENSIONS, AdaFace())
    assert [variable.name for variable in head.variables] == [
        "centers",
        "squares",
        "step",
        "step",
        "seen_mean",
        "seen_deviation",
        "seen_weight",
    ]
    assert head.variables[2] is head.step and head.variables[3] is head.margin.step
    full = ClassCenters(CLASSES, DIMENSIONS, ArcFace())
    assert [variable.path for variable in full.variables] == [
        "centers/centers",
        f"{full.margin.name}/step",
    ]
