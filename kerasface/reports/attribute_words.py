"""What attributes say of a face, in words, and which of CelebA's attributes exclude one another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasface.metrics.attributes import check_attribute_names, check_thresholds

# Of each of these a face has one at most.
EXCLUSIVE = (
    ("Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),
    ("Straight_Hair", "Wavy_Hair"),
)
# What is said when an attribute holds and when it does not; of all others only the former.
OPPOSITES = {
    "Male": ("male", "female"),
    "Mouth_Slightly_Open": ("mouth slightly open", "mouth closed"),
    "No_Beard": ("no beard", "beard"),
    "Smiling": ("smiling", "not smiling"),
    "Young": ("young", "not young"),
}


def decide(
    probabilities: np.ndarray,
    names: Sequence[str],
    thresholds: float | Sequence[float] | np.ndarray,
) -> np.ndarray:
    """Which attributes are said of each image.

    Of CelebA's hair colours (and baldness), and of straight and wavy hair, only the most probable
    is said, if it reaches its threshold. Figures such as F1 are about each attribute by itself
    and are not made of these decisions.

    Args:
        probabilities: float ``[N, A]`` in [0, 1].
        names: Attribute names, ``[A]``.
        thresholds: One for all or ``[A]``, in [0, 1].

    Returns:
        bool ``[N, A]``.

    Raises:
        ValueError: If shapes or ranges do not fit.

    Example:
        >>> decide(np.array([[0.6, 0.9]]), ["Black_Hair", "Brown_Hair"], 0.5).tolist()
        [[False, True]]
    """
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2:
        raise ValueError(
            "`probabilities` must be of shape [images, attributes]. "
            f"Received: shape={probabilities.shape}."
        )
    attributes = probabilities.shape[1]
    check_attribute_names(names, attributes)
    said = probabilities >= check_thresholds(thresholds, attributes)
    for group in EXCLUSIVE:
        columns = [index for index, name in enumerate(names) if name in group]
        if len(columns) > 1:
            candidates = np.where(said[:, columns], probabilities[:, columns], -1.0)
            best = candidates.argmax(axis=1)
            said[:, columns] &= np.arange(len(columns)) == best[:, None]
    return said


def describe(said: Sequence[bool] | np.ndarray, names: Sequence[str]) -> str:
    """What is said of one image.

    Args:
        said: bool ``[A]``, a row of `decide`.
        names: Attribute names, ``[A]``.

    Returns:
        The attributes that hold, in words and in the order of the names, and the opposites of
        some that do not (``"beard"`` where ``No_Beard`` does not hold).

    Example:
        >>> describe([False, True, False], ["No_Beard", "Black_Hair", "Bald"])
        'beard, black hair'
    """
    words = []
    for name, holds in zip(names, said, strict=True):
        yes, no = OPPOSITES.get(name, (name.replace("_", " ").lower(), ""))
        words.append(yes if holds else no)
    return ", ".join(word for word in words if word)
