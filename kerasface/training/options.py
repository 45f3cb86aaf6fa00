"""Checks of the options of `kerasface.train` that need no data."""

from __future__ import annotations

import multiprocessing
import os
import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kerasface.runs.recipe import Recipe

VERBOSE = (0, 1, 2, "auto")


def check_process() -> None:
    """Refuses a training in a process that is still starting.

    `multiprocessing` imports the main script again in each process that it starts. A script
    without a guard would then start its training once more in every one of them.

    Raises:
        RuntimeError: If the main script is being imported by a starting process.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise RuntimeError(
            "A script that trains must be safe to import, because multiprocessing imports it in "
            "every process that it starts. Received: a call of kerasface.train during this "
            'import. Put the call under `if __name__ == "__main__":`.'
        )


def check_verbose(verbose: object) -> None:
    """Refuses what is no ``verbose`` of `kerasface.train`.

    Args:
        verbose: As in `kerasface.train`.

    Raises:
        ValueError: If it is none of 0, 1, 2 and ``"auto"``.
    """
    if verbose not in VERBOSE:
        raise ValueError(
            f"`verbose` must be one of {list(VERBOSE)}. Received: verbose={verbose!r}."
        )


def check_features_folder(features: str | os.PathLike[str] | None, recipe: Recipe) -> None:
    """Refuses a folder for cached features that is a file, or where nothing is cached.

    Args:
        features: As in `kerasface.train`.
        recipe: The recipe.

    Raises:
        ValueError: If the recipe caches no features.
        NotADirectoryError: If ``features`` is a file.
    """
    if features is None:
        return
    caches = recipe.head_start != "random" or any(part.cached for part in recipe.parts())
    if not caches:
        raise ValueError(
            "`features` is for recipes that cache the features of a frozen backbone. "
            f"Received: features={os.fspath(features)!r} with cache_features="
            f"{recipe.cache_features} and trainable={recipe.trainable!r}. Leave it out, or set "
            "cache_features=True and trainable='head'."
        )
    if pathlib.Path(features).is_file():
        raise NotADirectoryError(
            f"`features` must be a folder. Received: {os.fspath(features)!r}, which is a file."
        )
