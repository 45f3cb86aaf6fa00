"""Answers calls in the argument order of version 0.1 with the present form."""

from __future__ import annotations

import functools
import inspect
import os
import reprlib
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import keras

from kerasface.inference.reading import is_model
from kerasface.runs.run import Run

P = ParamSpec("P")
T = TypeVar("T")

OLD_NAMES = ("source", "run", "runs")  # of the parameter `model`


def explain_old_calls(function: Callable[P, T]) -> Callable[P, T]:
    """Makes a function answer a call in its old form with the present form.

    Args:
        function: A function with a parameter ``model``: the first one, or a required keyword.

    Returns:
        The function with the same signature. A call such as ``verify(run, a, b)`` raises a
        ``TypeError`` that shows the call with the same values in the present form.

    Example:
        >>> @explain_old_calls
        ... def embed(images, *, model):
        ...     return images
        >>> embed(source="runs/faces", images="photos")
        Traceback (most recent call last):
        TypeError: `embed` takes the images first and the model as `model=`. Received: \
embed(source='runs/faces', images='photos'). Use embed(images='photos', model='runs/faces').
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        takes_images = signature.parameters["model"].kind is inspect.Parameter.KEYWORD_ONLY
        has_model_first = takes_images and bool(args) and is_model(args[0])
        if has_model_first or not _binds(signature.bind, args, kwargs):
            answer = _answer(function.__name__, signature, args, kwargs)
            if answer:
                raise TypeError(answer)
        return function(*args, **kwargs)

    return call


def _answer(
    name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> str:
    """The present form of a call; empty for mistakes of another kind."""
    if "model" in kwargs:
        return ""
    by_keyword = signature.parameters["model"].kind is inspect.Parameter.KEYWORD_ONLY
    old_name = next((word for word in OLD_NAMES if word in kwargs), None)
    rest, others = list(args), {key: kwargs[key] for key in kwargs if key != old_name}
    if old_name is not None:
        model = _spell(kwargs[old_name])
    elif not by_keyword:
        return ""
    elif _has_model_first(signature, args, kwargs):
        model = _spell(rest.pop(0))
    elif signature.parameters["model"].default is not inspect.Parameter.empty:
        return ""
    else:
        model = "MODEL"
    if not _binds(signature.bind_partial, tuple(rest), others):
        return ""  # Python names the other mistake
    words = [_spell(value) for value in rest]
    positional = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.name != "model"
    ]
    for parameter in positional[len(rest) :]:
        if parameter.default is parameter.empty and parameter.name not in others:
            words.append(parameter.name.upper())
    options = [f"{key}={_spell(value)}" for key, value in others.items()]
    if by_keyword:
        rule = f"`{name}` takes the images first and the model as `model=`."
        words = [*words, *options, f"model={model}"]
    else:
        rule = f"The first argument of `{name}` is `model`."
        words = [model, *words, *options]
    received = [*map(_spell, args), *(f"{key}={_spell(value)}" for key, value in kwargs.items())]
    return f"{rule} Received: {name}({', '.join(received)}). Use {name}({', '.join(words)})."


def _has_model_first(
    signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> bool:
    if not args:
        return False
    fits_without = _binds(signature.bind_partial, args[1:], kwargs)
    return is_model(args[0]) or (fits_without and not _binds(signature.bind_partial, args, kwargs))


def _binds(bind: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    try:
        bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def _spell(value: object) -> str:
    """A value as the user could type it, shortened."""
    if isinstance(value, Run):
        return f"Run({os.fspath(value.folder)!r})"
    if isinstance(value, keras.Model):
        return value.name
    if isinstance(value, os.PathLike):
        return repr(os.fspath(value))
    if isinstance(value, (str, int, float, bool, type(None))):
        return repr(value)
    if isinstance(value, (list, tuple, set)):
        return reprlib.repr(value)
    return type(value).__name__
