"""Results in a run folder, which a repeated command replaces."""

from __future__ import annotations

import os
import pathlib


def earlier_results(model: str | os.PathLike, name: str) -> set[pathlib.Path]:
    """Finds the results that a run folder already holds.

    Args:
        model: Run folder, the model file in it, or another model.
        name: Folder of the results in the run folder, for instance ``"evaluation"``.

    Returns:
        The folders that hold files; empty for a model that is not in a run folder.
    """
    path = pathlib.Path(model)
    run = path if path.is_dir() else path.parent
    return {folder for folder in (run / name).glob("*/") if any(folder.iterdir())}


def print_replaced(folder: pathlib.Path | None, earlier: set[pathlib.Path]) -> None:
    """Says that a folder of earlier results was replaced, if it was.

    Args:
        folder: Folder of the new results; None if none were written.
        earlier: Result of `earlier_results` before the work.
    """
    if folder in earlier:
        print(f"Replaced the earlier results in {folder}")
