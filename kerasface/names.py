"""Suggestions for mistyped names and arguments, and counts in words."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

# Names of arguments in Keras, PyTorch, timm, insightface and pytorch-metric-learning.
OTHER_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "augment": ("augmentation", "augmentations", "data_augmentation", "transform", "transforms"),
    "batch_size": ("bs",),
    "beta_1": ("betas",),
    "cutmix": ("cutmix_alpha",),
    "dimensions": ("dim", "embedding_dim", "embedding_size", "feat_dim", "in_features"),
    "epochs": ("epoch", "num_epochs", "n_epochs"),
    "epsilon": ("eps",),
    "exclude_layers": ("exclude_embeddings",),
    "gamma": ("focal_gamma",),
    "image_size": ("img_size", "input_shape", "input_size", "size", "target_size"),
    "label_smoothing": ("smoothing",),
    "labels": ("class_mode", "label_mode"),
    "learning_rate": ("lr",),
    "margin": ("m",),
    "mixup": ("mixup_alpha",),
    "num_classes": ("class_num", "classes", "n_classes", "num_class", "out_features"),
    "positive": ("pos_weight",),
    "scale": ("gain", "s"),
    "seed": ("random_seed", "random_state"),
    "share": ("sample_rate",),
    "subcenters": ("k", "num_subcenters", "sub_centers"),
    "training": ("shuffle", "train"),
    "weight_decay": ("decay", "wd"),
    "weights": ("alpha", "class_weight", "class_weights", "weight"),
}


def suggest(name: str, known: Iterable[str]) -> str:
    """Suggests known names that are similar to an unknown one.

    Args:
        name: The unknown name.
        known: The known names.

    Returns:
        ``" Did you mean 'a' or 'b'?"`` with up to three near names, or an empty string.
    """
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(word) for word in near)}?" if near else ""


def counted(number: int, noun: str) -> str:
    """A number with its noun, for messages.

    Args:
        number: The number.
        noun: The noun in the singular, whose plural ends in -s.

    Example:
        >>> counted(1, "image"), counted(1200, "image")
        ('1 image', '1,200 images')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def suggest_arguments(function: Function) -> Function:
    """Decorates a function so that an unknown argument gets a message with the right name.

    Args:
        function: Function or ``__init__`` method. If it passes further arguments on to a base
            class, it must check these itself.

    Returns:
        A function with the same signature.

    Example:
        >>> @suggest_arguments
        ... def optimizer(learning_rate=0.1):
        ...     return learning_rate
        >>> optimizer(lr=0.2)
        Traceback (most recent call last):
        TypeError: `optimizer` has no argument `lr`. Received: lr=0.2. Use `learning_rate`.
    """
    signature = inspect.signature(function)
    known = signature.parameters
    name = function.__qualname__.removesuffix(".__init__").rpartition(".<locals>.")[2]

    @functools.wraps(function)
    def checked(*args: Any, **options: Any) -> Any:
        for option, value in options.items():
            if option not in known:
                raise TypeError(unknown_argument(name, option, value, known))
        return function(*args, **options)

    checked.__signature__ = signature  # type: ignore[attr-defined]  # Keras layers read it
    return checked  # type: ignore[return-value]


def unknown_argument(name: str, option: str, value: object, known: Iterable[str]) -> str:
    """Returns the message for an argument that a function does not have.

    Args:
        name: Name of the function.
        option: Name of the argument.
        value: Its value.
        known: The arguments that the function has.
    """
    arguments = [argument for argument in known if argument != "self"]
    own = [key for key in arguments if option in OTHER_ARGUMENTS.get(key, ())]
    remedy = f" Use `{own[0]}`." if own else suggest(option, arguments)
    return f"`{name}` has no argument `{option}`. Received: {option}={value!r}.{remedy}"
