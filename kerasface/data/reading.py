"""Reads many files in threads, the headers of some, and tables of text."""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import pandas as pd
from PIL import Image

from kerasface.files import check_text_table
from kerasface.images import exif_orientation
from kerasface.progress import track

Result = TypeVar("Result")
SAMPLED_FILES = 200
TURNED = (5, 6, 7, 8)  # orientations that swap width and height


def read_files(
    read: Callable[[str], Result],
    paths: Sequence[str],
    *,
    description: str,
    workers: int | None = None,
    verbose: int | str = 0,
) -> list[Result]:
    """Calls a function on every file, in threads.

    Args:
        read: Function of a path; called from several threads.
        paths: The files.
        description: Title of the progress bar.
        workers: Number of threads; None for twice the processors.
        verbose: 1 shows the progress, 0 nothing.

    Returns:
        The results, in the order of the paths.

    Example:
        >>> read_files(len, ["a.jpg", "bc.jpg"], description="Measuring names")
        [5, 6]
    """
    workers = workers or 2 * (os.cpu_count() or 1)
    with warnings.catch_warnings(), concurrent.futures.ThreadPoolExecutor(workers) as pool:
        warnings.simplefilter("ignore")  # Pillow's warnings about odd EXIF blocks
        return list(track(pool.map(read, paths), len(paths), description, verbose=verbose))


def sampled_sizes(paths: Sequence[str], count: int = SAMPLED_FILES) -> np.ndarray:
    """Width and height of some images, after the EXIF orientation; reads only their headers.

    Args:
        paths: The files.
        count: Number of images, spread evenly over the paths.

    Returns:
        int ``[n, 2]``, n at most ``count``; files that are not images are skipped.
    """
    rows = np.linspace(0, len(paths) - 1, min(len(paths), count)).astype(int)
    sizes = []
    for row in rows:
        try:
            with warnings.catch_warnings(), Image.open(paths[row]) as image:
                warnings.simplefilter("ignore")  # Pillow's warnings about odd EXIF blocks
                # Pillow applies the orientation to the size of a TIFF.
                turned = image.format != "TIFF" and exif_orientation(image) in TURNED
                sizes.append(image.size[::-1] if turned else image.size)
        except Exception:  # Pillow's plugins raise many kinds of errors
            continue
    return np.array(sizes, int).reshape(-1, 2)


def read_text_table(path: str | os.PathLike) -> pd.DataFrame:
    """Reads a CSV file with all values as strings; missing values are empty strings.

    Args:
        path: The file. It may have names that are not UTF-8, which pandas's own strings cannot
            represent.

    Returns:
        Object columns.

    Raises:
        ValueError: If the file is not a CSV file.
    """
    check_text_table(path, pathlib.Path(path).name)
    return pd.read_csv(path, dtype=object, keep_default_na=False, encoding_errors="surrogateescape")
