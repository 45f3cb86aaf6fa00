"""Training of embedding models with their heads, and the triplet loss."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasface.embedding.centers import ClassCenters, SampledCenters
from kerasface.embedding.margins import ArcFace, NormFace, named_margin, ramp
from kerasface.embedding.training import EmbeddingTraining
from kerasface.embedding.triplets import SemiHardTriplets
from kerasface.inference.embedding import embedder as inference_embedder
from kerasface.models import build
from kerasface.pipeline import stream
from kerasface.training.assemble import dtype_policy

SIZE = 16
SMALL = {"channels": [8, 16], "blocks_per_stage": [1, 1], "head": "pool"}


def embedder(dimensions=8):
    keras.utils.set_random_seed(0)
    return build("convnext_nano", embedding=dimensions, input_shape=(SIZE, SIZE, 3), **SMALL)


def head_of(kind):
    return {
        "full": lambda: ClassCenters(4, 8, ArcFace(16.0, ramp(0.3, 6))),
        "sampled": lambda: SampledCenters(4, 8, ArcFace(16.0, 0.1), share=0.5),
        "triplets": SemiHardTriplets,
    }[kind]()


@pytest.fixture
def batches(tables):
    return stream(tables[0], image_size=SIZE, batch_size=12, training=True, epochs=8)


@pytest.mark.parametrize("kind", ["full", "sampled", "triplets"])
def test_embedder_and_head_are_trained_together(kind, batches, tmp_path):
    model = EmbeddingTraining(embedder(), head_of(kind))
    model.compile(keras.optimizers.Adam(3e-3), jit_compile=False)
    before = [weight.numpy() for weight in model.weights]
    history = model.fit(batches, steps_per_epoch=2, epochs=8, shuffle=False, verbose=0).history
    assert set(history) == {"loss", "accuracy"}
    assert min(history["loss"][4:]) < history["loss"][0]
    changed = {
        weight.path
        for weight, old in zip(model.weights, before, strict=True)
        if not np.array_equal(weight, old)
    }
    trained = {weight.path for weight in model.embedder.trainable_weights}
    centers = {weight.path for weight in model.weights if "centers" in weight.path}
    assert trained | centers <= changed
    assert bool(centers) is (kind != "triplets")
    metrics = model.evaluate(batches.take(2), verbose=0, return_dict=True)
    assert set(metrics) == {"loss", "accuracy"} and 0 <= metrics["accuracy"] <= 1

    # The saved embedding model consists of stock layers and has the trained weights.
    if kind == "full":
        model.embedder.save(tmp_path / "model.keras")
        loaded = keras.saving.load_model(tmp_path / "model.keras")
        assert {type(layer).__module__.split(".")[0] for layer in loaded.layers} == {"keras"}
        images = next(iter(batches))[0][:3]
        found = loaded(images)
        np.testing.assert_array_equal(found, model.embedder(images))
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_full_and_sampled_heads_give_the_network_equal_gradients(batches):
    weights = []
    for head in (
        ClassCenters(4, 8, NormFace(16.0), seed=2),
        SampledCenters(
            4, 8, NormFace(16.0), share=1.0, optimizer="sgd", learning_rate=0.05, seed=2
        ),
    ):
        model = EmbeddingTraining(embedder(), head)
        model.compile(keras.optimizers.SGD(0.05), jit_compile=False)
        model.fit(batches, steps_per_epoch=4, epochs=1, verbose=0)
        weights.append([*model.embedder.get_weights(), head.centers.numpy()])
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)


def test_frozen_layers_do_not_change(batches):
    model = EmbeddingTraining(embedder(), head_of("full"))
    stem = model.embedder.layers[2:4]
    for layer in model.embedder.layers:
        layer.trainable = layer.name.startswith("head_")
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    before = model.embedder.get_weights()
    model.fit(batches, steps_per_epoch=2, epochs=1, verbose=0)
    changed = [
        weight.path
        for weight, old in zip(model.embedder.weights, before, strict=True)
        if not np.array_equal(weight, old) and "moving" not in weight.path
    ]
    assert stem and sorted(changed) == ["head_embedding/bias", "head_embedding/kernel"]


@pytest.mark.parametrize("kind", ["full", "sampled", "triplets"])
def test_head_is_float32_in_half_precision(kind, batches):
    with dtype_policy("mixed_float16"):
        network = embedder()
        model = EmbeddingTraining(network, head_of(kind))
    images, labels, _ = next(iter(batches))
    features = model(images, training=True)
    assert features.dtype == tf.float16
    model.compile(keras.optimizers.SGD(0.01), jit_compile=False)
    loss = model.compute_loss(images, labels, features, None)
    assert loss.dtype == tf.float32 and np.isfinite(loss)
    assert {str(weight.dtype) for weight in model.head.weights} <= {"float32", "int64"}
    assert network(images).dtype == tf.float32
    if kind == "sampled":
        model.train_step((images, labels))
        assert np.isfinite(model.head.centers.numpy()).all()


def test_images_of_weight_0_are_ignored():
    head = ClassCenters(4, 8, named_margin("adaface"))
    model = EmbeddingTraining(embedder(), head)
    model.compile("sgd", jit_compile=False)
    images = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype("float32")
    labels, weights = np.array([0, 1, 2, 3]), np.array([1.0, 1.0, 0.0, 0.0])
    metrics = model.evaluate(images, labels, sample_weight=weights, batch_size=4, verbose=0)
    alone = model.evaluate(images[:2], labels[:2], batch_size=4, verbose=0)
    assert metrics[0] == pytest.approx(alone[0] / 2, rel=1e-4)  # Keras divides by the batch
    assert metrics[1] == pytest.approx(alone[1])


def test_embedding_of_a_classifier_is_trainable(batches):
    options = {"input_shape": (SIZE, SIZE, 3), **SMALL, "head": "double"}
    features = inference_embedder(build("convnext_nano", num_classes=3, **options))
    model = EmbeddingTraining(features, ClassCenters(4, features.output_shape[1], ArcFace(16.0)))
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False)
    before = [weight.numpy() for weight in features.trainable_weights]
    model.fit(batches, steps_per_epoch=1, epochs=1, verbose=0)
    for weight, old in zip(features.trainable_weights, before, strict=True):
        assert not np.array_equal(weight, old), weight.path


def test_classifier_is_refused():
    model = build("convnext_nano", num_classes=3, input_shape=(SIZE, SIZE, 3), **SMALL)
    with pytest.raises(ValueError, match=r"last layer is 'head_output'.*embedding=512"):
        EmbeddingTraining(model, head_of("full"))
    cosine = build(
        "convnext_nano", num_classes=3, input_shape=(SIZE, SIZE, 3), **{**SMALL, "head": "cosine"}
    )
    with pytest.raises(ValueError, match="last layer is"):
        EmbeddingTraining(cosine, head_of("full"))


def plain_triplets(points, labels, margin):
    """Semi-hard triplet loss, computed pair by pair."""
    points = points / np.linalg.norm(points, axis=1, keepdims=True)
    distances = ((points[:, None] - points[None]) ** 2).sum(axis=2)
    losses = []
    for anchor in range(len(points)):
        negatives = distances[anchor][labels != labels[anchor]]
        for positive in np.flatnonzero(labels == labels[anchor]):
            if positive != anchor and len(negatives):
                near = distances[anchor, positive]
                farther = negatives[negatives > near]
                chosen = farther.min() if len(farther) else negatives.max()
                losses.append(max(near - chosen + margin, 0))
    return np.mean(losses) if losses else 0.0


@pytest.mark.parametrize("seed", range(4))
def test_triplets_match_plain_loops(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, 14)
    points = (rng.normal(size=(14, 3)) + 2 * np.eye(4)[labels][:, :3]).astype(np.float32)
    outcome = SemiHardTriplets(0.3).loss(tf.constant(points), tf.constant(labels))
    assert float(outcome.loss) == pytest.approx(plain_triplets(points, labels, 0.3), rel=1e-4)
    used = np.arange(14) != 3
    outcome = SemiHardTriplets(0.3).loss(
        tf.constant(points), tf.constant(labels), tf.constant(used.astype(np.float32))
    )
    expected = plain_triplets(points[used], labels[used], 0.3)
    assert float(outcome.loss) == pytest.approx(expected, rel=1e-4)
    units = points / np.linalg.norm(points, axis=1, keepdims=True)
    cosines = units @ units.T - 9 * np.eye(14)
    cosines[:, 3] = -9
    nearest = labels[cosines.argmax(axis=1)] == labels
    counted = np.array(
        [u and (labels[used] == label).sum() > 1 for u, label in zip(used, labels, strict=True)]
    )
    np.testing.assert_array_equal(outcome.weights, counted)
    np.testing.assert_array_equal(np.asarray(outcome.hits)[counted], nearest[counted])


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 0, 0]])
def test_loss_is_0_without_triplets(labels):
    points = tf.Variable([[1.0, 0], [0, 1], [1, 1]])
    with tf.GradientTape() as tape:
        loss = SemiHardTriplets().loss(points, tf.constant(labels)).loss
    assert float(loss) == 0
    assert np.isfinite(tape.gradient(loss, points)).all()


def test_refused_triplets():
    with pytest.raises(ValueError, match=r"above 0\. Received: margin=0"):
        SemiHardTriplets(0)
    with pytest.raises(ValueError, match="must have one"):
        SemiHardTriplets().loss(tf.ones((2, 3)), tf.ones((2, 2)))
