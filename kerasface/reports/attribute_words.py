"""Predicted attributes in words, and attributes of CelebA that exclude each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasface.metrics.inputs import check_attribute_names, check_thresholds

# A face has at most one attribute of each group.
EXCLUSIVE = (
    ("Bald", "Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),
    ("Straight_Hair", "Wavy_Hair"),
)
# Words for an attribute and for its absence. The absence of other attributes is not mentioned.
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
    """Decides which attributes each image has.

    Of CelebA's hair colors (and baldness), and of straight and wavy hair, an image has only the
    most probable one, if it reaches its threshold. Metrics such as F1 evaluate each attribute by
    itself, without this rule.

    Args:
        probabilities: float ``[N, A]`` in [0, 1].
        names: Attribute names, ``[A]``.
        thresholds: One for all attributes or ``[A]``, in [0, 1].

    Returns:
        bool ``[N, A]``.

    Raises:
        ValueError: If shapes or ranges are invalid.

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
    predicted = probabilities >= check_thresholds(thresholds, attributes)
    for group in EXCLUSIVE:
        columns = [index for index, name in enumerate(names) if name in group]
        if len(columns) > 1:
            candidates = np.where(predicted[:, columns], probabilities[:, columns], -1.0)
            best = candidates.argmax(axis=1)
            predicted[:, columns] &= np.arange(len(columns)) == best[:, None]
    return predicted


def describe(predicted: Sequence[bool] | np.ndarray, names: Sequence[str]) -> str:
    """Describes the attributes of one image in words.

    Args:
        predicted: bool ``[A]``, a row of the result of `decide`.
        names: Attribute names, ``[A]``.

    Returns:
        The attributes that the image has, in the order of the names, and the opposites of some
        that it does not have (``"beard"`` without ``No_Beard``).

    Example:
        >>> describe([False, True, False], ["No_Beard", "Black_Hair", "Bald"])
        'beard, black hair'
    """
    words = []
    for name, present in zip(names, predicted, strict=True):
        yes, no = OPPOSITES.get(name, (name.replace("_", " ").lower(), ""))
        words.append(yes if present else no)
    return ", ".join(word for word in words if word)
