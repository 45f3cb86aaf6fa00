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
