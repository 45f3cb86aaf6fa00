"""Many files read at once."""

from __future__ import annotations

import concurrent.futures
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

from tqdm import tqdm

Result = TypeVar("Result")


def read_files(
    read: Callable[[str], Result],
    paths: Sequence[str],
    *,
    description: str,
    workers: int | None = None,
    progress: bool = False,
) -> list[Result]:
    """Calls a function on every file, in threads.

    Args:
        read: Takes a path; called from several threads.
        paths: The files.
        description: What the progress bar is headed with.
        workers: Threads; None for twice the processors.
        progress: Whether a progress bar is shown, if standard error is a terminal.

    Returns:
        The results, in the order of the paths.

    Example:
        >>> read_files(len, ["a.jpg", "bc.jpg"], description="measuring names")
        [5, 6]
    """
    workers = workers or 2 * (os.cpu_count() or 1)
    with warnings.catch_warnings(), concurrent.futures.ThreadPoolExecutor(workers) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd EXIF blocks
        return list(
            tqdm(
                pool.map(read, paths),
                total=len(paths),
                desc=description,
                unit=" files",
                disable=None if progress else True,  # None: where nobody looks
                leave=False,
            )
        )
