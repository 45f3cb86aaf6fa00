"""TensorFlow or nothing: the data streams and the streams' models run on it alone."""

from __future__ import annotations

import os
import sys

import lazy_loader


def require_tensorflow() -> None:
    """Says that TensorFlow is needed where Keras runs, or would run, on another backend.

    Raises:
        RuntimeError: If ``KERAS_BACKEND`` or the running Keras names another backend.
    """
    # Asking Keras would import it, and with it the other backend, which may not be installed.
    keras = sys.modules.get("keras")
    running = keras.config.backend() if keras and hasattr(keras, "config") else None
    backend = running or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend != "tensorflow":
        raise RuntimeError(
            "kerasface runs on Keras's TensorFlow backend. "
            f"Received: KERAS_BACKEND={backend!r}. Unset it, or set KERAS_BACKEND=tensorflow "
            "before Python starts."
        )


def attach(package: str, **attributes):
    """`lazy_loader.attach` for a package that needs TensorFlow.

    Args:
        package: ``__name__`` of the package.
        **attributes: ``submodules`` and ``submod_attrs`` as in lazy_loader.

    Returns:
        ``(__getattr__, __dir__, __all__)``; the first access checks the backend.
    """
    load, listing, names = lazy_loader.attach(package, **attributes)

    def checked_load(name: str):
        if name in names:
            require_tensorflow()
        return load(name)

    return checked_load, listing, names
