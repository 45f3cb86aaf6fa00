"""Files and folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import Any

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# What network drives answer that know no locks.
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike, *, folder: str | os.PathLike | None = None
) -> Iterator[pathlib.Path]:
    """A temporary path beside ``path`` that takes its place when the block ends well.

    Args:
        path: The file to be written; its folder is made where it is missing.
        folder: Where the temporary file lies instead, on the same file system: a kill leaves it,
            and in a folder of their own such files are found again.

    Yields:
        The path to write to, with the same suffix. After an error it is removed and the old file
        stays.

    Example:
        >>> with replacing("table.csv") as part:  # doctest: +SKIP
        ...     frame.to_csv(part)
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if folder is None:
        part = path.parent / f".{path.stem}.{os.getpid()}.part{path.suffix}"
    else:  # short, as the longest names that are allowed leave no room for more
        part = pathlib.Path(folder) / f".{os.getpid()}.part{path.suffix}"
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """A temporary folder beside ``path`` that takes its name when the block ends well.

    Args:
        path: The folder to be made, which does not exist; the folder above it is made where it is
            missing.

    Yields:
        The folder to write into. After an error it is removed. Where another process has made
        ``path`` in the meantime, that folder stays and this one is removed.

    Example:
        >>> with new_folder("faces") as part:  # doctest: +SKIP
        ...     (part / "labels.txt").write_text("ann\\n")
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a process of the same number that was killed
    part.mkdir()
    try:
        yield part
        try:
            os.rename(part, path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Keeps other processes from entering the same block with the same folder.

    The system lets go of it when the process ends, however it ends. Where there are no such locks
    (Windows, some network drives) nothing is kept out.

    Args:
        folder: An existing folder.

    Raises:
        ValueError: If another process is in the block.

    Example:
        >>> with locked("crops"):  # doctest: +SKIP
        ...     ...
    """
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(
                "Only one process at a time may write to a folder. "
                f"Received: {os.fspath(folder)!r}, which another one is writing to. "
                "Wait for it, or name another folder."
            ) from error
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
        yield
    finally:
        os.close(handle)


def write_json(path: pathlib.Path, values: dict[str, Any]) -> None:
    """Writes numbers by name; what is no number becomes null, which JSON has."""
    plain = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
    with replacing(path) as part:
        part.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
