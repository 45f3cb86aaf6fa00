"""Registers users' own networks."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, TypeVar, overload

import keras

from kerasface.checks import check_number
from kerasface.models import heads
from kerasface.models.factory import build
from kerasface.models.registry import CUSTOM_MODEL, MODELS, Builder, ModelSpec, builder_options

AnyBuilder = TypeVar("AnyBuilder", bound=Builder)


@overload
def register_model(
    builder: AnyBuilder,
    /,
    *,
    name: str | None = None,
    image_size: int = 112,
    smallest: int = 1,
    head: str = "pool",
    description: str | None = None,
    overwrite: bool = False,
) -> AnyBuilder: ...


@overload
def register_model(
    *,
    name: str | None = None,
    image_size: int = 112,
    smallest: int = 1,
    head: str = "pool",
    description: str | None = None,
    overwrite: bool = False,
) -> Callable[[AnyBuilder], AnyBuilder]: ...


def register_model(
    builder: Builder | None = None,
    /,
    *,
    name: str | None = None,
    image_size: int = 112,
    smallest: int = 1,
    head: str = "pool",
    description: str | None = None,
    overwrite: bool = False,
) -> Any:
    """Registers a builder of your own network, as a decorator or as a function.

    Afterwards `build` and recipes accept the name, and `list_models` shows it. The registration
    lasts as long as the process: a script that trains or resumes the network registers it first.
    A saved model needs no registration to load.

    A builder is a function ``(inputs, **options) -> features``:

    - ``inputs`` is a float32 `keras.KerasTensor` ``[batch, height, width, 3]``, RGB in
      ``[0, 255]``. The builder normalizes it, for instance with `keras.layers.Rescaling` or
      `kerasface.models.preprocess.normalize`.
    - It returns the last feature map, a `keras.KerasTensor` ``[batch, h, w, channels]``. The head
      follows: pooling, hidden layers, and classes or an embedding.
    - The options are its other parameters. Recipes keep them as JSON in ``architecture``, so a
      tuple arrives as a list.
    - Every call makes new layers, in the same order for the same options. It sets no dtype, so
      that mixed precision works.
    - Layer names must not start with ``head_``. Layers are applied to the graph one by one: a
      nested model is a single layer when a recipe unfreezes the last few.
    - With stock Keras layers the saved model loads where kerasface is not installed. Register
      other layers with `keras.saving.register_keras_serializable`.

    Args:
        builder: The function. None returns a decorator.
        name: Name in the registry: letters, digits, ``_``, ``-`` and ``.``. None uses the
            function's name.
        image_size: Default side of the images in pixels.
        smallest: Smallest side of the images in pixels, at most ``image_size``.
        head: Default head, see `build`.
        description: One line for `list_models`. None uses the first line of the docstring.
        overwrite: If True, replace a model of the same name.

    Returns:
        The builder, unchanged.

    Raises:
        TypeError: If the builder is not a function with a parameter for its inputs.
        ValueError: If the name is in use or malformed, an option of the builder has the name of
            an argument of `build`, or another argument is out of range.

    Example:
        >>> import keras
        >>> @register_model(image_size=64, overwrite=True)
        ... def tiny_network(inputs, *, width=16):
        ...     "Three convolutions for small faces."
        ...     x = keras.layers.Rescaling(1 / 255)(inputs)
        ...     for factor in (1, 2, 4):
        ...         x = keras.layers.Conv2D(factor * width, 3, activation="relu")(x)
        ...         x = keras.layers.MaxPooling2D()(x)
        ...     return x
        >>> build("tiny_network", num_classes=5, width=8).output_shape
        (None, 5)
    """
    if builder is None:
        return lambda function: register_model(
            function,
            name=name,
            image_size=image_size,
            smallest=smallest,
            head=head,
            description=description,
            overwrite=overwrite,
        )
    check_number("image_size", image_size, 1, whole=True)
    check_number("smallest", smallest, 1, image_size, whole=True)
    heads.parse_head(head)
    if not callable(builder) or isinstance(builder, (type, keras.Model)):
        raise TypeError(
            "A builder must be a function from inputs to features. "
            f"Received: {builder!r}. Pass a function, or train a finished Keras model with "
            "kerasface.train(..., model=model)."
        )
    name = _checked_name(builder, name, overwrite)
    _check_parameters(name, builder)
    if description is None:
        description = (inspect.getdoc(builder) or "").partition("\n")[0]
    MODELS[name] = ModelSpec(
        description, builder, image_size=image_size, smallest=smallest, head=head
    )
    return builder


def _checked_name(builder: Builder, name: str | None, overwrite: bool) -> str:
    name = getattr(builder, "__name__", "") if name is None else name
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):
        raise ValueError(
            "`name` must consist of letters, digits, '_', '-' and '.'. "
            f"Received: name={name!r}. Pass another one as `name`."
        )
    if name == CUSTOM_MODEL:
        raise ValueError(
            f"The name {CUSTOM_MODEL!r} is reserved for models that users pass to kerasface.train. "
            f"Received: name={name!r}. Choose another name."
        )
    if name in MODELS and not overwrite:
        raise ValueError(
            f"`name` must not be in use. Received: name={name!r}, "
            f"which is {MODELS[name].description!r}. "
            "Choose another name, or replace the model with overwrite=True."
        )
    return name


def _check_parameters(name: str, builder: Builder) -> None:
    parameters = list(inspect.signature(builder).parameters.values())
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    if not parameters or parameters[0].kind not in positional:
        raise TypeError(
            "The first parameter of a builder must take its inputs. "
            f"Received: {name}{inspect.signature(builder)}. "
            "Define it as (inputs, *, option=default)."
        )
    taken = set(inspect.signature(build).parameters) & set(builder_options(builder)) - {
        "architecture"
    }
    if taken:
        raise ValueError(
            "The options of a builder must not have the name of an argument of kerasface.build. "
            f"Received: {sorted(taken)} in {name}{inspect.signature(builder)}. Rename them."
        )
