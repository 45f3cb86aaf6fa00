"""Tests of the splits: the same share of each class, and whole groups."""

import numpy as np
import pytest

from kerasface.data.split import group_split, stratified_split

LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [2, 10, 33]))


@pytest.mark.parametrize(
    ("share", "chosen"),
    [(0.01, [1, 1, 1]), (0.1, [1, 1, 3]), (0.25, [1, 2, 8]), (0.5, [1, 5, 16]), (0.99, [1, 9, 32])],
)
def test_every_class_gives_its_share_and_at_least_one_to_either_side(share, chosen):
    mask = stratified_split(LABELS, share)
    assert mask.dtype == bool
    assert mask.shape == LABELS.shape
    np.testing.assert_array_equal(np.bincount(LABELS[mask], minlength=3), chosen)


def test_same_seed_same_choice():
    first, second = (stratified_split(LABELS, 0.3, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_other_seed_other_choice():
    choices = {stratified_split(LABELS, 0.3, seed=seed).tobytes() for seed in range(20)}
    assert len(choices) == 20


def test_choice_is_uniform():
    times = sum(stratified_split([0] * 10, 0.3, seed=seed).astype(int) for seed in range(400))
    assert times.sum() == 1200
    assert times.min() > 80  # 120 expected, 9 standard deviation
    assert times.max() < 160


def test_gaps_in_the_labels_do_no_harm():
    mask = stratified_split([7, 7, 100, 100], 0.5)
    assert mask[:2].sum() == 1
    assert mask[2:].sum() == 1


def test_no_rows():
    assert stratified_split([], 0.5).shape == (0,)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_share_out_of_range(share):
    with pytest.raises(ValueError, match=r"in \(0, 1\)\. Received: "):
        stratified_split(LABELS, share)


def test_class_with_a_single_image_is_named():
    with pytest.raises(ValueError, match=r"single image of \['bob'\]\."):
        stratified_split([0, 0, 1, 2, 2], 0.5, names=["ann", "bob", "cy"])
    with pytest.raises(ValueError, match=r"single image of \[1\]\."):
        stratified_split([0, 0, 1, 2, 2], 0.5)


def test_many_single_images_are_not_all_listed():
    with pytest.raises(ValueError, match=r"\[0, 1, 2, 3, 4\] and others\."):
        stratified_split(range(9), 0.5)


# Whole groups

GROUPS = np.repeat(np.arange(40), np.random.default_rng(3).integers(1, 20, 40))


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.5, 0.5), (0.2, 0.3, 0.3, 0.2)])
@pytest.mark.parametrize("seed", range(4))
def test_groups_stay_whole_and_shares_are_met(shares, seed):
    rows = np.random.default_rng(seed).permutation(GROUPS)
    parts = group_split(rows, shares, seed)
    assert parts.dtype == np.int64
    for group in np.unique(rows):
        assert len(set(parts[rows == group])) == 1
    found = np.bincount(parts, minlength=len(shares))
    # Half of the largest group may lie over the edge at either end.
    assert np.abs(found - np.multiply(shares, len(rows))).max() <= np.bincount(rows).max()


def test_groups_by_name_and_in_any_order():
    names = np.array([f"person {group}" for group in GROUPS], dtype=object)
    parts = group_split(names, (0.7, 0.3), seed=2)
    order = np.random.default_rng(0).permutation(len(names))
    np.testing.assert_array_equal(group_split(names[order], (0.7, 0.3), seed=2), parts[order])


def test_group_seeds():
    same = [group_split(GROUPS, (0.7, 0.3), seed=5) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert len({group_split(GROUPS, (0.7, 0.3), seed=seed).tobytes() for seed in range(20)}) == 20


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.0, 0.0), (1.2, -0.2), (float("nan"), 0.5), (1,)])
def test_group_shares_out_of_range(shares):
    with pytest.raises(ValueError, match=r"in \(0, 1\) and sum to 1. Received: "):
        group_split(GROUPS, shares)


def test_part_without_a_group():
    with pytest.raises(ValueError, match=r"2 groups and 6 rows .* parts \[1\] empty"):
        group_split([0, 0, 0, 1, 1, 1], (0.5, 0.01, 0.49))
    with pytest.raises(ValueError, match="0 groups and 0 rows"):
        group_split([], (0.5, 0.5))
