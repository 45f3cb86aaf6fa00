"""Check of the Keras backend: kerasface runs on TensorFlow only."""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import lazy_loader


def require_tensorflow() -> None:
    """Raises an error if Keras runs, or would run, on another backend than TensorFlow.

    Raises:
        RuntimeError: If Keras is imported with another backend, or if ``KERAS_BACKEND`` or
            Keras's configuration file names another one.

    Example:
        >>> require_tensorflow()
    """
    # Keras is not imported here: it would import the other backend, which may be missing.
    keras = sys.modules.get("keras")
    running = keras.config.backend() if keras and hasattr(keras, "config") else None
    chosen = running or os.environ.get("KERAS_BACKEND")
    backend = chosen or _configured_backend() or "tensorflow"
    if backend != "tensorflow":
        source = f"KERAS_BACKEND={backend!r}" if chosen else f"{backend!r} in {_configuration()}"
        raise RuntimeError(
            f"kerasface runs on Keras's TensorFlow backend. Received: {source}. "
            "Set KERAS_BACKEND=tensorflow before Python starts."
        )


def _configuration() -> pathlib.Path:
    home = os.environ.get("KERAS_HOME")
    return (pathlib.Path(home) if home else pathlib.Path.home() / ".keras") / "keras.json"


def _configured_backend() -> str | None:
    """The backend in Keras's configuration file, if any."""
    try:
        return json.loads(_configuration().read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError, RuntimeError):  # no file, or not a valid one
        return None


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Loads the names of a package lazily, as `lazy_loader.attach_stub`, and checks the backend.

    Args:
        package: ``__name__`` of the package.
        file: ``__file__`` of the package, whose ``__init__.pyi`` lists the names.

    Returns:
        ``(__getattr__, __dir__, __all__)`` of the package. Access to a name checks the backend.

    Example:
        >>> __getattr__, __dir__, __all__ = attach(__name__, __file__)  # doctest: +SKIP
    """
    load, listing, names = lazy_loader.attach_stub(package, file)

    def checked_load(name: str) -> Any:
        if name in names:
            require_tensorflow()
        return load(name)

    return checked_load, listing, names
