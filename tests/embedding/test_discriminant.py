"""Linear discriminants: directions for embeddings, and a classifier with a temperature."""

import numpy as np
import pytest
import scipy.special
from sklearn.covariance import ShrunkCovariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import log_loss

from kerasface.embedding.discriminant import (
    CLASSIFIER_SHRINKAGE,
    class_statistics,
    discriminant_classifier,
    discriminant_directions,
)


def clusters(seed, people=6, pictures=20, dimensions=8):
    """People who differ in the first two directions, pictures in the others much more."""
    drawn = np.random.default_rng(seed)
    spread = np.array([0.3, 0.3] + [3.0] * (dimensions - 2))
    centers = drawn.normal(size=(people, dimensions)) * np.array([2.0, 2] + [0.1] * 6)
    labels = np.repeat(np.arange(people), pictures)
    return centers[labels] + drawn.normal(size=(len(labels), dimensions)) * spread, labels


def hits(vectors, labels):
    """Share of vectors whose nearest other one is of the same person."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return (labels[cosines.argmax(axis=1)] == labels).mean()


def test_directions_equal_scikit_learn_and_separate_strangers():
    features, labels = clusters(0)
    kernel, bias = discriminant_directions(features, labels, 0.2)
    known = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.2).fit(features, labels)
    found, expected = features @ kernel, known.transform(features)
    signs = np.sign((found * expected).sum(axis=0))  # a direction may point either way
    np.testing.assert_allclose(found * signs, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose((features @ kernel + bias).mean(axis=0), 0, atol=1e-4)
    assert kernel.shape == (8, 5)
    strangers, theirs = clusters(1)
    before = hits(unit(strangers), theirs)
    assert hits(unit(strangers @ kernel + bias), theirs) > before + 0.2


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_statistics_do_not_depend_on_the_step_size(monkeypatch):
    features, labels = people(5, 8)
    expected = class_statistics(features[None], labels, 7)
    assert expected.present.tolist() == [0, 1, 2, 3, 4]
    centered = features - expected.means[labels]
    np.testing.assert_allclose(expected.within, centered.T @ centered / 40, atol=1e-12)
    total = np.cov(features, rowvar=False, bias=True)
    np.testing.assert_allclose(expected.within + expected.between, total, atol=1e-12)
    monkeypatch.setattr("kerasface.embedding.discriminant.IMAGES_PER_STEP", 3)
    found = class_statistics(features[None], labels, 7)
    np.testing.assert_allclose(found.means, expected.means, atol=1e-12)
    np.testing.assert_allclose(found.within, expected.within, atol=1e-12)


def people(classes, images, dimensions=12, spread=1.0, seed=0):
    """Features around a place for each class, in directions that spread differently."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), images)
    noise = random.normal(size=(len(labels), dimensions)) * np.geomspace(0.2, 3, dimensions)
    return random.normal(size=(classes, dimensions))[labels] + spread * noise, labels


def fitted(features, labels, classes, *variants):
    """The classifier's logits as a function of features."""
    kernel, bias = discriminant_classifier(np.stack([features, *variants]), labels, classes)
    return lambda inputs: inputs @ kernel + bias


def test_classifier_equals_scikit_learn():
    features, labels = people(5, 8)
    shrunk = ShrunkCovariance(shrinkage=CLASSIFIER_SHRINKAGE)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=shrunk)
    expected = theirs.fit(features, labels).decision_function(features)
    logits = fitted(features, labels, 5)(features)
    # Softmax ignores what is added to all.
    expected -= expected.mean(axis=1, keepdims=True)
    logits -= logits.mean(axis=1, keepdims=True)
    factor = np.sum(logits * expected) / np.sum(expected**2)
    np.testing.assert_allclose(logits, factor * expected, rtol=1e-6, atol=1e-8)
    assert 0.02 <= factor <= 1.001


def test_variants_count_as_images():
    features, labels = people(4, 30, spread=2.0)
    others = features + np.random.default_rng(1).normal(size=features.shape)
    shrunk = ShrunkCovariance(shrinkage=CLASSIFIER_SHRINKAGE)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=shrunk)
    theirs.fit(np.concatenate([features, others]), np.tile(labels, 2))
    expected = theirs.decision_function(features)
    logits = fitted(features, labels, 4, others)(features)
    expected -= expected.mean(axis=1, keepdims=True)
    logits -= logits.mean(axis=1, keepdims=True)
    factor = np.sum(logits * expected) / np.sum(expected**2)
    np.testing.assert_allclose(logits, factor * expected, rtol=1e-6, atol=1e-8)


def test_variants_of_an_image_are_in_one_fold():
    """Otherwise the other variant would make it easy, and the posterior overconfident."""
    features, labels = people(10, 6, dimensions=60, spread=3.0)
    alone, twice = fitted(features, labels, 10), fitted(features, labels, 10, features)
    sure = [scipy.special.softmax(layer(features), axis=1).max() for layer in (alone, twice)]
    assert sure[1] == pytest.approx(sure[0], abs=1e-3)


def test_temperature_lowers_the_confidence():
    features, labels = people(10, 200, dimensions=60, spread=3.0)
    is_training = np.arange(len(labels)) % 40 == 0  # 5 of each class, in 60 dimensions
    layer = fitted(features[is_training], labels[is_training], 10)
    posterior = scipy.special.softmax(layer(features[~is_training]), axis=1)
    # What it would be without the factor: too sure of itself.
    shrunk = ShrunkCovariance(shrinkage=CLASSIFIER_SHRINKAGE)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", covariance_estimator=shrunk)
    plain = theirs.fit(features[is_training], labels[is_training]).predict_proba(
        features[~is_training]
    )
    right = plain.argmax(axis=1) == labels[~is_training]
    assert 0.4 < right.mean() < plain.max(axis=1).mean() - 0.1
    assert log_loss(labels[~is_training], posterior) < 0.95 * log_loss(labels[~is_training], plain)


def test_classes_of_one_image_do_not_decide_the_temperature():
    features, labels = people(10, 30, spread=0.7)
    random = np.random.default_rng(1)
    single = 3 * random.normal(size=(3, features.shape[1]))
    more = np.concatenate([features, single]), np.concatenate([labels, [10, 11, 12]])
    with_them, without = fitted(*more, 13), fitted(features, labels, 10)
    sure = [
        scipy.special.softmax(layer(features), axis=1).max(axis=1) for layer in (with_them, without)
    ]
    assert sure[0].mean() == pytest.approx(sure[1].mean(), abs=0.1)


@pytest.mark.parametrize(("classes", "images"), [(2, 5), (4, 1), (2, 1), (3, 2)])
def test_few_classes_and_few_images(classes, images):
    features, labels = people(classes, images, spread=0.1)
    logits = fitted(features, labels, classes)(features)
    assert np.isfinite(logits).all()
    assert logits.argmax(axis=1).tolist() == labels.tolist()
