"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Iterator


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    Args:
        path: The file to be written; its folder is made where it is missing.

    Yields:
        The path to write to, with the same suffix. After an error it is removed and the old file
        stays.

    Example:
        >>> with replacing("table.csv") as part:  # doctest: +SKIP
        ...     frame.to_csv(part)
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
