"""Tests of choosing partitions: by class, by groups, and by both."""

import hashlib

import numpy as np
import pytest

from kerasface.data import FaceTable, choose_partitions


def chosen(labels, share, seed=0, **options):
    """True for the rows of the smaller of two partitions of every class."""
    shares = {"validation": share, "train": 1 - share}
    return choose_partitions(shares, labels=labels, seed=seed, **options).mask("validation")


def parts(groups, shares, seed=0):
    """The partition of rows in groups, without classes."""
    named = {str(number): share for number, share in enumerate(shares)}
    return choose_partitions(named, groups=groups, seed=seed).index


LABELS = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [2, 10, 33]))


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0.01, [1, 1, 1]), (0.1, [1, 1, 3]), (0.25, [1, 2, 8]), (0.5, [1, 5, 16]), (0.99, [1, 9, 32])],
)
def test_every_class_has_its_share_in_both_partitions(share, expected):
    mask = chosen(LABELS, share)
    assert mask.dtype == bool
    assert mask.shape == LABELS.shape
    np.testing.assert_array_equal(np.bincount(LABELS[mask], minlength=3), expected)


def test_same_seed_gives_the_same_choice():
    first, second = (chosen(LABELS, 0.3, seed=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_other_seed_gives_another_choice():
    choices = {chosen(LABELS, 0.3, seed=seed).tobytes() for seed in range(20)}
    assert len(choices) == 20


def test_choice_is_uniform():
    times = sum(chosen([0] * 10, 0.3, seed=seed).astype(int) for seed in range(400))
    assert times.sum() == 1200
    assert times.min() > 80  # 120 expected, 9 standard deviation
    assert times.max() < 160


def test_labels_may_have_gaps():
    mask = chosen([7, 7, 100, 100], 0.5)
    assert mask[:2].sum() == 1
    assert mask[2:].sum() == 1


def test_no_rows():
    assert chosen([], 0.5).shape == (0,)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_share_out_of_range(share):
    with pytest.raises(ValueError, match=r"in \(0, 1\] and sum to 1\. Received: "):
        chosen(LABELS, share)


def test_class_with_a_single_image_is_named():
    with pytest.raises(ValueError, match=r"single image of \['bob'\]\."):
        chosen([0, 0, 1, 2, 2], 0.5, names=["ann", "bob", "cy"])
    with pytest.raises(ValueError, match=r"single image of \[1\]\."):
        chosen([0, 0, 1, 2, 2], 0.5)


def test_error_lists_only_a_few_classes():
    with pytest.raises(ValueError, match=r"\[0, 1, 2, 3, 4\] and others\."):
        chosen(range(9), 0.5)


# Whole groups

GROUPS = np.repeat(np.arange(40), np.random.default_rng(3).integers(1, 20, 40))


@pytest.mark.parametrize("shares", [(0.8, 0.1, 0.1), (0.5, 0.5), (0.2, 0.3, 0.3, 0.2)])
@pytest.mark.parametrize("seed", range(4))
def test_groups_stay_whole_and_shares_are_met(shares, seed):
    rows = np.random.default_rng(seed).permutation(GROUPS)
    index = parts(rows, shares, seed)
    assert index.dtype == np.int64
    for group in np.unique(rows):
        assert len(set(index[rows == group])) == 1
    found = np.bincount(index, minlength=len(shares))
    # Half of the largest group may lie over the edge at either end.
    assert np.abs(found - np.multiply(shares, len(rows))).max() <= np.bincount(rows).max()


def test_groups_by_name_and_in_any_order():
    names = np.array([f"person {group}" for group in GROUPS], dtype=object)
    index = parts(names, (0.7, 0.3), seed=2)
    order = np.random.default_rng(0).permutation(len(names))
    np.testing.assert_array_equal(parts(names[order], (0.7, 0.3), seed=2), index[order])


def test_group_seeds():
    same = [parts(GROUPS, (0.7, 0.3), seed=5) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert len({parts(GROUPS, (0.7, 0.3), seed=seed).tobytes() for seed in range(20)}) == 20


@pytest.mark.parametrize("shares", [(0.5, 0.4), (1.0, 0.0), (1.2, -0.2), (float("nan"), 0.5)])
def test_group_shares_out_of_range(shares):
    with pytest.raises(ValueError, match=r"in \(0, 1\] and sum to 1\. Received: "):
        parts(GROUPS, shares)


def test_partition_without_a_group():
    with pytest.raises(ValueError, match="2 groups and 6 rows, which leave 1 empty"):
        parts([0, 0, 0, 1, 1, 1], (0.5, 0.01, 0.49))
    with pytest.raises(ValueError, match="0 groups and 0 rows"):
        parts([], (0.5, 0.5))


# Classes and groups

CLASSES = np.random.default_rng(11).permutation(np.repeat(np.arange(7), [2, 3, 5, 9, 10, 25, 35]))
SHARED = np.random.default_rng(5).integers(0, 60, len(CLASSES))
THREE = {"train": 0.7, "validation": 0.2, "test": 0.1}


@pytest.mark.parametrize("seed", range(3))
def test_groups_of_several_classes_stay_whole(seed):
    found = choose_partitions(THREE, labels=CLASSES, groups=SHARED, seed=seed, small="skip")
    for group in np.unique(SHARED):
        assert len(set(found.index[group == SHARED].tolist()) - {-1}) <= 1
    left_out = found.index == -1
    assert left_out.any()
    assert np.isin(CLASSES[left_out], found.small).all()
    for label in set(range(7)) - set(found.small.tolist()):
        assert set(found.index[label == CLASSES].tolist()) == {0, 1, 2}


def test_table_is_split_with_groups():
    labels = np.repeat([0, 1], 30)
    table = FaceTable("faces", [f"{row}.jpg" for row in range(60)], labels, ["ann", "bob"])
    groups = np.arange(60) // 3
    train, validation = table.split(0.2, seed=3, groups=groups)
    assert [validation.counts().tolist(), train.counts().tolist()] == [[6, 6], [24, 24]]
    rows = {int(path[:-4]) // 3 for path in validation.paths}
    assert len(rows) == 4
    with pytest.raises(ValueError, match=r"single group of \['bob'\]"):
        table.split(0.2, groups=np.minimum(groups, 10))


def test_class_with_a_single_group_is_named():
    with pytest.raises(ValueError, match=r"at least two groups .* single group of \['bob'\]"):
        chosen([0, 0, 1, 1], 0.5, groups=[1, 2, 3, 3], names=["ann", "bob"])
    with pytest.raises(ValueError, match=r"at least 3 images .* fewer images of \[1\]"):
        choose_partitions(THREE, labels=[0, 0, 0, 1, 1])


@pytest.mark.parametrize("grouped", [False, True])
def test_shares_are_met_for_every_size(grouped):
    for count in range(3, 200):
        groups = np.arange(count) if grouped else None
        found = choose_partitions(THREE, labels=np.zeros(count, int), groups=groups)
        counts = np.bincount(found.index)
        assert counts.sum() == count
        assert counts.min() >= 1
        assert abs(counts - count * np.array(list(THREE.values()))).max() < 1.21


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Received: neither"),
        ({"labels": [0, 1], "groups": [1]}, r"labels of shape \(2,\), groups of shape \(1,\)"),
        ({"labels": [[0, 1]]}, r"labels of shape \(1, 2\)"),
        ({"groups": [0, 1, 2], "small": "train"}, "`small` needs labels and groups"),
        ({"labels": [0], "groups": [0], "small": "dev"}, "`small` must be one of"),
    ],
)
def test_unfit_rows(options, message):
    with pytest.raises(ValueError, match=message):
        choose_partitions(THREE, **options)


def test_no_rows_with_groups():
    assert choose_partitions(THREE, labels=[], groups=[], small="skip").index.shape == (0,)


def test_representation_counts_rows():
    found = choose_partitions({"train": 0.5, "test": 0.5}, labels=[0, 0, 0, 0])
    assert repr(found) == "Partitions(train=2, test=2, left_out=0)"


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:8]


def test_choices_of_earlier_versions():
    # Published results depend on these splits: the same seed must go on giving the same rows.
    by_class = [digest(chosen(CLASSES, share, 7)) for share in (0.1, 0.15, 0.25, 0.5)]
    assert by_class == ["505112b9", "76f40ac2", "beb750c4", "961c9047"]
    groups = np.random.default_rng(3).permutation(GROUPS)
    by_group = [digest(parts(groups, shares, 7)) for shares in ((0.8, 0.1, 0.1), (0.5, 0.5))]
    assert by_group == ["31a3dfcb", "b3ec46f3"]
    both = [
        digest(choose_partitions(THREE, labels=CLASSES, groups=rows, seed=7, small="skip").index)
        for rows in (np.arange(len(CLASSES)), SHARED)
    ]
    assert both == ["05e0e578", "dc288c0a"]
