"""Many files read at once, the headers of some, and tables of text."""

from __future__ import annotations

import concurrent.futures
import os
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from kerasface.images import exif_orientation

Result = TypeVar("Result")
SAMPLED_FILES = 200
TURNED = (5, 6, 7, 8)  # orientations that swap width and height


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


def sampled_sizes(paths: Sequence[str], count: int = SAMPLED_FILES) -> np.ndarray:
    """Width and height of some images, as they are shown; their headers alone are read.

    Args:
        paths: The files.
        count: Of how many, spread evenly over the paths.

    Returns:
        int ``[n, 2]``, n of at most ``count``; files that are no images are left out.
    """
    rows = np.linspace(0, len(paths) - 1, min(len(paths), count)).astype(int)
    sizes = []
    for row in rows:
        try:
            with warnings.catch_warnings(), Image.open(paths[row]) as image:
                warnings.simplefilter("ignore")  # Pillow's remarks on odd EXIF blocks
                # Of a TIFF, Pillow tells the sides as they are shown.
                turned = image.format != "TIFF" and exif_orientation(image) in TURNED
                sizes.append(image.size[::-1] if turned else image.size)
        except Exception:  # Pillow's plugins raise whatever their format provokes
            continue
    return np.array(sizes, int).reshape(-1, 2)


def read_text_table(path: str | os.PathLike) -> pd.DataFrame:
    """A CSV file whose every value is a string, an empty one where there is none.

    Args:
        path: The file; names in it need not be UTF-8, which pandas's own strings cannot hold.

    Returns:
        Object columns.
    """
    return pd.read_csv(path, dtype=object, keep_default_na=False, encoding_errors="surrogateescape")
