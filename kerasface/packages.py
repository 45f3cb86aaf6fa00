"""Packages that a single feature needs, imported when it is used."""

from __future__ import annotations

import importlib
from typing import Any


def import_package(module: str, *, feature: str, install: str) -> Any:
    """Imports a module, with an error that says what to install if it is missing.

    Args:
        module: Full name of the module.
        feature: What needs the module; the subject of the error message.
        install: What to pass to ``pip install``.

    Returns:
        The module.

    Raises:
        ImportError: If the module's package is not installed.

    Example:
        >>> import_package("json", feature="A report", install="json").dumps([1])
        '[1]'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != package:
            raise
        raise ImportError(
            f"{feature} needs a package that is not installed. Received: no module {package!r}. "
            f"Install it with `pip install {install}`.",
            name=error.name,
        ) from error
