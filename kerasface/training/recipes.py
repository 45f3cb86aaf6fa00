"""The named recipes, one a system; each docstring says where it is from and what it reached."""

from __future__ import annotations

from collections.abc import Callable

from kerasface.names import suggest
from kerasface.training.recipe import Recipe


def hw2p2() -> Recipe:
    """FaceClassifier on CMU 11-785 F23 HW2P2: 140,000 crops of 7,001 people, about 90%.

    The published 90% was trained on train and dev together, so it has no clean validation. One
    deviation: the original steps its schedule once an epoch, this steps every batch. Biases and
    norms are not decayed.
    """
    return Recipe(
        model="convnext_small",
        image_size=224,
        epochs=60,
        batch_size=256,
        learning_rate=1e-3,
        weight_decay=0.05,
        warmup_epochs=10,
        warmup_learning_rate=3e-4,
        final_learning_rate=1e-5,
        label_smoothing=0.1,
        mixup=1.0,
        augment=("face",),
    )


def demo() -> Recipe:
    """50 drawn people at 64 px, learnt within two minutes on two CPU cores.

    Its figure stands in the README's results. No published source: the smallest setting that
    learns the drawn faces well in that time.
    """
    return Recipe(
        model="convnext_nano",
        image_size=64,
        epochs=9,
        batch_size=32,
        learning_rate=2e-3,
        weight_decay=0.05,
        warmup_epochs=1,
        warmup_learning_rate=2e-4,
        final_learning_rate=1e-5,
        label_smoothing=0.1,
        augment=("flip", "rotation:10"),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {"demo": demo, "hw2p2": hw2p2}


def named_recipe(name: str) -> Recipe:
    """A recipe by name.

    Args:
        name: One of ``RECIPES``.

    Raises:
        ValueError: If there is none of that name.

    Example:
        >>> named_recipe("hw2p2").epochs
        60
    """
    if name not in RECIPES:
        raise ValueError(
            f"The recipes are {sorted(RECIPES)}. Received: {name!r}.{suggest(name, RECIPES)}"
        )
    return RECIPES[name]()
