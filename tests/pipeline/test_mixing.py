"""Tests of mixup and CutMix."""

import numpy as np
import pytest
import tensorflow as tf

from kerasface.pipeline.mixing import mix

BATCH, SIZE = 6, 12
SEED = [3, 4]


def batch(size=BATCH, seed=0):
    """Noise and one class per image, so that the labels show the shares."""
    generator = np.random.default_rng(seed)
    images = generator.uniform(0, 255, (size, SIZE, SIZE, 3)).astype(np.float32)
    return images, np.eye(size, dtype=np.float32), np.ones(size, np.float32)


def mixed(seed=SEED, size=BATCH, weights=None, **alphas):
    images, labels, ones = batch(size)
    weights = ones if weights is None else np.array(weights, np.float32)
    return [
        part.numpy()
        for part in mix(
            tf.constant(images),
            tf.constant(labels),
            tf.constant(weights),
            tf.constant(seed),
            **alphas,
        )
    ]


def shares(labels):
    """How much of each example is its own, read off its label."""
    own, partner = np.diagonal(labels), labels[np.arange(len(labels)), np.arange(len(labels)) - 1]
    np.testing.assert_allclose(own + partner, 1, atol=1e-6)
    assert np.count_nonzero(labels) <= 2 * len(labels)
    return own


KINDS = [{"mixup": 1.0}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 0.8}]


@pytest.mark.parametrize("alphas", KINDS)
def test_shapes_types_and_sums(alphas):
    images, labels, weights = mixed(**alphas)
    assert images.shape == (BATCH, SIZE, SIZE, 3)
    assert images.dtype == labels.dtype == weights.dtype == np.float32
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(weights, 1)
    assert images.min() >= 0
    assert images.max() <= 255


def test_mixing_without_alpha_changes_nothing():
    for part, original in zip(mixed(), batch(), strict=True):
        np.testing.assert_array_equal(part, original)


@pytest.mark.parametrize("alphas", KINDS)
def test_batch_of_one_is_unchanged(alphas):
    for seed in range(10):
        for part, original in zip(mixed([0, seed], 1, **alphas), batch(1), strict=True):
            np.testing.assert_array_equal(part, original)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("alpha", [0.2, 1.0, 8.0])
def test_mixup_blends_images_by_the_share_of_the_labels(seed, alpha):
    images, labels, _ = mixed([seed, 0], mixup=alpha)
    share = shares(labels)[:, None, None, None]
    originals = batch()[0]
    expected = share * originals + (1 - share) * np.roll(originals, 1, axis=0)
    np.testing.assert_allclose(images, expected, atol=0.01)


@pytest.mark.parametrize("seed", range(8))
def test_cutmix_share_is_the_share_of_own_pixels(seed):
    images, labels, _ = mixed([seed, 0], cutmix=1.0)
    originals = batch()[0]
    own = (images == originals).all(axis=3)
    partners = (images == np.roll(originals, 1, axis=0)).all(axis=3)
    np.testing.assert_array_equal(own, ~partners)
    np.testing.assert_allclose(shares(labels), own.mean(axis=(1, 2)), atol=1e-6)
    for taken in partners:  # one rectangle, or none
        rows, columns = taken.any(axis=1), taken.any(axis=0)
        np.testing.assert_array_equal(taken, rows[:, None] & columns[None, :])
        for side in (rows, columns):
            assert np.count_nonzero(np.diff(side.astype(int), prepend=0) == 1) <= 1


def test_cutmix_replaces_and_keeps_every_pixel():
    originals = batch()[0]
    own = np.concatenate(
        [(mixed([seed, 1], cutmix=1.0)[0] == originals).all(axis=3) for seed in range(150)]
    )
    assert own.any(axis=0).all()
    assert (~own).any(axis=0).all()
    assert 0.5 < own.mean() < 0.85  # a half without the border, which cuts boxes off


@pytest.mark.parametrize("alpha", [0.5, 1.0, 5.0])
def test_mixup_shares_follow_the_beta_distribution(alpha):
    images, labels, weights = tf.zeros([2, 1, 1, 1]), tf.eye(2), tf.ones([2])
    draw = tf.function(lambda seed: mix(images, labels, weights, seed, mixup=alpha)[1][0, 0])
    share = np.array([draw(tf.constant([seed, 2])) for seed in range(1500)])
    assert abs(share.mean() - 0.5) < 0.04
    assert abs(share.var() - 1 / (8 * alpha + 4)) < 0.012


@pytest.mark.parametrize("alphas", KINDS)
def test_a_batch_has_one_share(alphas):
    found = [shares(mixed([seed, 0], **alphas)[1]).round(5) for seed in range(5)]
    assert [len({*share}) for share in found] == [1] * 5
    assert len({share[0] for share in found}) > 2


@pytest.mark.parametrize("alphas", KINDS)
@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1, 1, 0, 1, 1, 1], [1, 1, 0, 0, 1, 1]),
        ([1, 1, 1, 1, 1, 0], [0, 1, 1, 1, 1, 0]),
        ([0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]),
    ],
)
def test_mixture_with_an_unreadable_image_has_no_weight(alphas, weights, expected):
    np.testing.assert_array_equal(mixed(weights=weights, **alphas)[2], expected)


def test_mixup_and_cutmix_alternate_at_random():
    taken = []
    for seed in range(16):
        both = mixed([seed, 7], mixup=0.7, cutmix=1.3)
        kinds = {
            "mixup": mixed([seed, 7], mixup=0.7)[0],
            "cutmix": mixed([seed, 7], cutmix=1.3)[0],
        }
        taken += [kind for kind, images in kinds.items() if np.array_equal(both[0], images)]
    assert len(taken) == 16
    assert 3 <= taken.count("mixup") <= 13


@pytest.mark.parametrize("alphas", KINDS)
def test_mixture_depends_on_the_seed(alphas):
    first, same, other = (mixed(seed, **alphas) for seed in (SEED, SEED, [3, 5]))
    for part, again in zip(first, same, strict=True):
        np.testing.assert_array_equal(part, again)
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize("alpha", [1e-30, 1e-6, 1e-3, 1e3])
def test_extreme_alphas_give_numbers(kind, alpha):
    images, labels, _ = mixed(**{kind: alpha})
    assert np.isfinite(images).all()
    share = shares(labels)
    if alpha < 1:
        np.testing.assert_allclose(np.minimum(share, 1 - share), 0, atol=0.02)
    elif kind == "mixup":
        np.testing.assert_allclose(share, 0.5, atol=0.1)


def test_attributes_are_blended_too():
    images, _, weights = batch(2)
    labels = np.array([[1, 1, 0], [0, 1, 0]], np.float32)
    _, blended, _ = mix(
        tf.constant(images), tf.constant(labels), tf.constant(weights), tf.constant(SEED), mixup=1.0
    )
    np.testing.assert_allclose(blended[:, 1:], [[1, 0], [1, 0]], atol=1e-6)
    assert 0 < blended[0, 0] < 1
