"""Splits of labelled rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def stratified_split(
    labels, share: float, seed: int = 0, *, names: Sequence[str] | None = None
) -> np.ndarray:
    """Chooses the same share of every class at random.

    Args:
        labels: int class indices ``[N]``.
        share: Share of each class that is chosen, in ``(0, 1)``, rounded; at least one image of
            a class is chosen and at least one is not.
        seed: Seed of the choice.
        names: Class names for the error message; None shows the indices.

    Returns:
        bool ``[N]``, True for the chosen rows.

    Raises:
        ValueError: If ``share`` is out of range or a class has a single image.

    Example:
        >>> int(stratified_split([0, 0, 0, 0, 1, 1], 0.25).sum())
        2
    """
    labels = np.asarray(labels)
    if not 0 < share < 1:
        raise ValueError(f"The share of a split must be in (0, 1). Received: {share}.")
    classes, counts = np.unique(labels, return_counts=True)
    if (counts < 2).any():
        lonely = [names[i] if names is not None else int(i) for i in classes[counts < 2]]
        raise ValueError(
            "Every class needs at least two images to be split. Received: a single image of "
            f"{lonely[:5]}{' and others' if len(lonely) > 5 else ''}. Add images, leave these "
            "classes out, or give a validation folder instead of a split."
        )
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    grouped = order[np.argsort(labels[order], kind="stable")]
    chosen = np.zeros(len(labels), dtype=bool)
    start = 0
    for count in counts:
        size = min(max(1, round(share * count)), count - 1)
        chosen[grouped[start : start + size]] = True
        start += count
    return chosen


def group_split(groups, shares: Sequence[float], seed: int = 0) -> np.ndarray:
    """Deals whole groups, such as people, out to parts at random.

    The groups are put in random order and laid end to end; each goes to the part that its middle
    lies in. So a part's share is missed by half a group at most.

    Args:
        groups: int or str ``[N]``, the group of each row.
        shares: Share of the rows for each part, each in ``(0, 1)``, summing to 1.
        seed: Seed of the order.

    Returns:
        int64 ``[N]``, the index of each row's part.

    Raises:
        ValueError: If the shares are no such shares or a part would stay empty.

    Example:
        >>> parts = group_split([7, 7, 3, 3, 9, 9], (2 / 3, 1 / 3))
        >>> sorted(parts.tolist())
        [0, 0, 0, 0, 1, 1]
    """
    if not all(0 < share < 1 for share in shares) or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(
            f"The shares of a split must be in (0, 1) and sum to 1. Received: {tuple(shares)}."
        )
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    sizes = np.bincount(members, minlength=len(names))[order]
    middles = np.cumsum(sizes) - sizes / 2
    part_of_group = np.empty(len(names), np.int64)
    edges = np.cumsum(shares[:-1]) * len(members)
    part_of_group[order] = np.searchsorted(edges, middles, side="right")
    empty = sorted(set(range(len(shares))) - set(part_of_group.tolist()))
    if empty:
        raise ValueError(
            "Every part of a split must get at least one group. Received: "
            f"{len(names)} groups and {len(members)} rows for the shares {tuple(shares)}, which "
            f"leave the parts {empty} empty. Give larger shares."
        )
    return part_of_group[members]
