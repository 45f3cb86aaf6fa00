"""TensorFlow or nothing: the data streams and the streams' models run on it alone."""

from __future__ import annotations

import json
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import lazy_loader


def require_tensorflow() -> None:
    """Says that TensorFlow is needed where Keras runs, or would run, on another backend.

    Raises:
        RuntimeError: If the running Keras, ``KERAS_BACKEND`` or Keras's own file of settings
            names another backend.
    """
    # Asking Keras would import it, and with it the other backend, which may not be installed.
    keras = sys.modules.get("keras")
    running = keras.config.backend() if keras and hasattr(keras, "config") else None
    told = running or os.environ.get("KERAS_BACKEND")
    backend = told or _configured() or "tensorflow"
    if backend != "tensorflow":
        source = f"KERAS_BACKEND={backend!r}" if told else f"{backend!r} in {_settings()}"
        raise RuntimeError(
            f"kerasface runs on Keras's TensorFlow backend. Received: {source}. "
            "Set KERAS_BACKEND=tensorflow before Python starts."
        )


def _settings() -> pathlib.Path:
    home = os.environ.get("KERAS_HOME")
    return (pathlib.Path(home) if home else pathlib.Path.home() / ".keras") / "keras.json"


def _configured() -> str | None:
    """The backend of Keras's file of settings, where it has one."""
    try:
        return json.loads(_settings().read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError, RuntimeError):  # none, or none that Keras reads
        return None


def attach(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """`lazy_loader.attach_stub` for a package that needs TensorFlow.

    Args:
        package: ``__name__`` of the package.
        file: ``__file__`` of the package, beside which its ``__init__.pyi`` lies.

    Returns:
        ``(__getattr__, __dir__, __all__)``; the first access checks the backend.
    """
    load, listing, names = lazy_loader.attach_stub(package, file)

    def checked_load(name: str) -> Any:
        if name in names:
            require_tensorflow()
        return load(name)

    return checked_load, listing, names
