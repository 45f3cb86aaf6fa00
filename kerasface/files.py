"""Atomic writes of files and folders, and locks on folders."""

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

import filelock

# The file in a locked folder that carries the lock. It exists while the lock is held; a process
# that is killed leaves it behind without the lock.
LOCK = ".kerasface.lock"
# Errors of network drives without file locks.
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike, *, folder: str | os.PathLike | None = None
) -> Iterator[pathlib.Path]:
    """Writes a file atomically: a temporary file replaces ``path`` when the block succeeds.

    Args:
        path: File to write. Its folder is created if it does not exist.
        folder: Folder for the temporary file, on the same file system. Default: the folder of
            ``path``. A process that is killed leaves its temporary file behind, and files in a
            folder of their own are easy to remove.

    Yields:
        The temporary path, with the suffix of ``path``. If the block raises an error, the
        temporary file is removed and the old file is kept.

    Example:
        >>> with replacing("table.csv") as part:  # doctest: +SKIP
        ...     frame.to_csv(part)
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if folder is None:
        part = path.parent / f".{path.stem}.{os.getpid()}.part{path.suffix}"
    else:  # a short name, since ``path`` may have the longest name that the system allows
        part = pathlib.Path(folder) / f".{os.getpid()}.part{path.suffix}"
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike, *, exist_ok: bool = True) -> Iterator[pathlib.Path]:
    """Creates a folder atomically: a temporary folder is renamed when the block succeeds.

    Args:
        path: Folder to create, which must not exist or be empty. Its parent is created if it does
            not exist.
        exist_ok: If another process creates the folder in the meantime, its folder is kept. False
            raises an error then; True is for folders that are the same in every process.

    Yields:
        The temporary folder. It is removed if it does not become ``path``.

    Raises:
        FileExistsError: If another process has created the folder and ``exist_ok`` is False.

    Example:
        >>> with new_folder("faces") as part:  # doctest: +SKIP
        ...     (part / "labels.txt").write_text("ann\\n")
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(part, ignore_errors=True)  # left by a killed process with the same id
    part.mkdir()
    try:
        yield part
        with contextlib.suppress(OSError):
            path.rmdir()  # only an empty folder, which Windows does not replace
        try:
            os.rename(part, path)
        except OSError as error:
            if not path.is_dir() or not any(path.iterdir()):
                raise
            if not exist_ok:
                raise FileExistsError(
                    f"A new folder must not exist. Received: {os.fspath(path)!r}, which another "
                    "process has created in the meantime. Choose another."
                ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
    """Holds a lock on a folder, so that one process at a time can enter the block.

    The operating system releases the lock when the process ends, also when it is killed. On a
    network drive without file locks, other processes are not kept out.

    Args:
        folder: An existing folder that can be written to.

    Raises:
        ValueError: If another process holds the lock.

    Example:
        >>> with locked("crops"):  # doctest: +SKIP
        ...     ...
    """
    file = pathlib.Path(folder, LOCK)
    lock = filelock.FileLock(file)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout as error:
        raise ValueError(
            "Only one process at a time can write to a folder. "
            f"Received: {os.fspath(folder)!r}, which another process is writing to. "
            "Wait until it ends, or use another folder."
        ) from error
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
    try:
        yield
    finally:
        # Removed while the lock is held, so that nobody else's lock file is removed. Windows does
        # not remove open files; there, filelock removes the file.
        with contextlib.suppress(OSError):
            file.unlink()
        lock.release()


def write_json(path: pathlib.Path, values: dict[str, Any]) -> None:
    """Writes a dictionary as JSON, with null for NaN and infinity, which JSON does not have."""
    plain = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
    with replacing(path) as part:
        part.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")
