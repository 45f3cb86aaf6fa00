"""Describes detectors for `kerasface.faces.crop`, and checks that processes can share them."""

from __future__ import annotations

import functools
import os
import pathlib
import pickle
import sys
from collections.abc import Callable

from kerasface.faces.detectors.registry import BUILT_IN, Detector, registered_load


def describe_detector(detector: str | Detector) -> str:
    """Describes a detector by its name and its options, as far as they can be known.

    Args:
        detector: A name or a function.

    Returns:
        The same text in every process, by which `kerasface.faces.crop` recognizes a detector.

    Example:
        >>> describe_detector("mtcnn")
        'mtcnn'
    """
    if isinstance(detector, str):
        # A name of the user's own stays readable for `Preparation`.
        load = registered_load(detector) if detector in BUILT_IN else None
        return detector if load is None else f"{detector}: {full_name(load)}"
    settings = getattr(detector, "settings", None)
    if settings is not None:
        return f"{full_name(detector)}: {settings}"
    if isinstance(detector, functools.partial):
        given = [*map(_plain, detector.args)]
        given += [f"{key}={_plain(value)}" for key, value in sorted(detector.keywords.items())]
        return f"{describe_detector(detector.func)}({', '.join(given)})"
    return full_name(detector)


def _plain(value: object) -> str:
    """An argument as text that is the same in another process."""
    if isinstance(value, str | int | float | bool | pathlib.PurePath | None):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_plain, value))})"
    return full_name(value if callable(value) else type(value))


def full_name(function: str | Callable | type) -> str:
    """The module and the qualified name of a function or of an object's class."""
    kind = function if hasattr(function, "__qualname__") else type(function)
    return f"{kind.__module__}.{kind.__qualname__}"


def is_portable(detector: str | Detector) -> bool:
    """Whether a new process can receive the detector.

    Args:
        detector: A name or a function.

    Returns:
        False for a function that cannot be pickled or imported there.
    """
    try:
        pickle.dumps(detector)
    except Exception:  # pickle raises several kinds of errors
        return False
    while isinstance(detector, functools.partial):
        detector = detector.func
    # A new process cannot import what was typed into a notebook or read from standard input.
    script = getattr(sys.modules["__main__"], "__file__", None)
    is_file = script is not None and os.path.isfile(script)
    return is_file or getattr(detector, "__module__", "") != "__main__"
