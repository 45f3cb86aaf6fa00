"""The last layer that begins as the linear discriminant of the features."""

import keras
import numpy as np
import pytest
from sklearn.covariance import ShrunkCovariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import log_loss

import kerasface
from kerasface.models import build
from kerasface.runs.recipe import Recipe
from kerasface.training.discriminant import SHRINKAGE, linear_layer, start_from_discriminant
from kerasface.training.features import extract

SMALL = {"channels": (8,), "blocks_per_stage": (1,), "input_shape": (16, 16, 3)}


def people(classes, images, dimensions=12, spread=1.0, seed=0):
    """Features around a place for each class, in directions that spread differently."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), images)
    noise = random.normal(size=(len(labels), dimensions)) * np.geomspace(0.2, 3, dimensions)
    return random.normal(size=(classes, dimensions))[labels] + spread * noise, labels


def started(features, labels, classes, *variants):
    layer = keras.layers.Dense(classes)
    layer.build((None, features.shape[1]))
    start_from_discriminant(layer, np.stack([features, *variants]), labels)
    return layer


def test_directions_are_those_of_scikit_learn():
    features, labels = people(5, 8)
    shrunk = ShrunkCovariance(shrinkage=SHRINKAGE)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=shrunk)
    expected = theirs.fit(features, labels).decision_function(features)
    logits = started(features, labels, 5)(features).numpy()
    # Softmax takes no notice of what is added to all.
    expected -= expected.mean(axis=1, keepdims=True)
    logits -= logits.mean(axis=1, keepdims=True)
    factor = np.sum(logits * expected) / np.sum(expected**2)
    np.testing.assert_allclose(logits, factor * expected, rtol=1e-3, atol=1e-4)
    assert 0.02 <= factor <= 1.001


def test_a_second_picture_of_each_image_counts_as_one_more_of_its_class():
    features, labels = people(4, 30, spread=2.0)
    others = features + np.random.default_rng(1).normal(size=features.shape)
    shrunk = ShrunkCovariance(shrinkage=SHRINKAGE)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=shrunk)
    theirs.fit(np.concatenate([features, others]), np.tile(labels, 2))
    expected = theirs.decision_function(features)
    logits = started(features, labels, 4, others)(features).numpy()
    expected -= expected.mean(axis=1, keepdims=True)
    logits -= logits.mean(axis=1, keepdims=True)
    factor = np.sum(logits * expected) / np.sum(expected**2)
    np.testing.assert_allclose(logits, factor * expected, rtol=1e-3, atol=1e-4)


def test_pictures_of_one_image_are_left_out_together():
    """Else a memory of its other picture would make it look easy, and the posterior sure."""
    features, labels = people(10, 6, dimensions=60, spread=3.0)
    alone, twice = started(features, labels, 10), started(features, labels, 10, features)
    sure = [keras.ops.softmax(layer(features)).numpy().max() for layer in (alone, twice)]
    assert sure[1] == pytest.approx(sure[0], abs=1e-3)


def test_new_images_are_told_with_less_confidence():
    features, labels = people(10, 200, dimensions=60, spread=3.0)
    learnt = np.arange(len(labels)) % 40 == 0  # 5 of each class, in 60 dimensions
    layer = started(features[learnt], labels[learnt], 10)
    posterior = keras.ops.softmax(layer(features[~learnt])).numpy()
    # What it would be without the factor: too sure of itself.
    shrunk = ShrunkCovariance(shrinkage=SHRINKAGE)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=shrunk)
    plain = theirs.fit(features[learnt], labels[learnt]).predict_proba(features[~learnt])
    right = plain.argmax(axis=1) == labels[~learnt]
    assert 0.4 < right.mean() < plain.max(axis=1).mean() - 0.1
    assert log_loss(labels[~learnt], posterior) < 0.95 * log_loss(labels[~learnt], plain)


def test_people_of_one_image_do_not_decide_the_confidence():
    features, labels = people(10, 30, spread=0.7)
    random = np.random.default_rng(1)
    single = 3 * random.normal(size=(3, features.shape[1]))
    more = np.concatenate([features, single]), np.concatenate([labels, [10, 11, 12]])
    with_them, without = started(*more, 13), started(features, labels, 10)
    sure = [
        keras.ops.softmax(layer(features)).numpy().max(axis=1) for layer in (with_them, without)
    ]
    assert sure[0].mean() == pytest.approx(sure[1].mean(), abs=0.1)


@pytest.mark.parametrize(("classes", "images"), [(2, 5), (4, 1), (2, 1), (3, 2)])
def test_few_classes_and_few_images(classes, images):
    features, labels = people(classes, images, spread=0.1)
    logits = started(features, labels, classes)(features).numpy()
    assert np.isfinite(logits).all()
    assert logits.argmax(axis=1).tolist() == labels.tolist()


@pytest.mark.parametrize("head", ["double", "mlp", "cosine"])
def test_other_heads_are_refused(head):
    with pytest.raises(ValueError, match=r"Received: .*head.*Say head='pool'"):
        linear_layer(build("convnext_nano", 4, head=head, **SMALL))


def test_embeddings_and_attributes_are_refused():
    with pytest.raises(ValueError, match="needs classes"):
        linear_layer(build("convnext_nano", embedding=8, **SMALL))
    with pytest.raises(ValueError, match="Received: attributes"):
        linear_layer(build("convnext_nano", 4, head="pool", **SMALL), multi_label=True)


def test_a_run_begins_with_it(tables, tmp_path, empty_pictures):
    train, validation = tables
    recipe = Recipe(
        model="convnext_nano",
        architecture={"channels": [8], "blocks_per_stage": [1]},
        head="pool",
        head_start="lda",
        image_size=16,
        epochs=1,
        batch_size=8,
        optimizer="sgd",
        learning_rate=0.0,
        weight_decay=0.0,
        trainable="head",
    )
    parts = {"train": train, "validation": validation, "report": False}
    run = kerasface.train(recipe, out=tmp_path / "run", **parts)
    model = keras.saving.load_model(run.path("model.keras"))
    backbone = keras.Model(model.input, model.get_layer("head_logits").input)
    options = {"image_size": 16, "batch_size": 8}
    pictures = np.concatenate(
        [
            extract(backbone, train, tmp_path, augment=augment, variants=variants, **options).values
            for augment, variants in [((), 1), (("flip:1",), 1), (("flip", "crop:0.7"), 4)]
        ]
    ).astype(np.float32)
    features = pictures[0]
    expected = started(features, train.labels, len(train.names), *pictures[1:])(features).numpy()
    found = model.get_layer("head_logits")(features).numpy()
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)  # features in float16
    again = kerasface.train(recipe, out=tmp_path / "run", resume=True, **parts)
    assert again.metrics["last"] == run.metrics["last"]


def test_a_run_with_another_head_is_refused_before_anything_is_written(tables, tmp_path):
    recipe = Recipe(model="convnext_nano", head="double", head_start="lda", image_size=16, epochs=1)
    with pytest.raises(ValueError, match="Say head='pool'"):
        kerasface.train(recipe, train=tables[0], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
