"""Atomic writes of files and folders, locks on folders, and the kind of a file's content."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import filelock

if TYPE_CHECKING:  # the command line must not wait for pandas
    import pandas as pd

# The file in a locked folder that carries the lock. It exists while the lock is held; a process
# that is killed leaves it behind without the lock.
LOCK = ".kerasface.lock"
# Errors of network drives without file locks.
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)

HEAD = 4096  # bytes from which `content_kind` recognizes a file
HTML = "an HTML page"
JSON = "JSON"
EXCEL = "an Excel workbook or another zip archive"
# Patterns of the first bytes of a file.
_KINDS = (
    (rb"\xff\xd8\xff", "a JPEG image"),
    (rb"\x89PNG\r\n", "a PNG image"),
    (rb"GIF8[79]a", "a GIF image"),
    (rb"RIFF....WEBP", "a WebP image"),
    (rb"....ftyp(heic|heix|hevc|heim|heis|mif1|msf1)", "a HEIC image"),
    (rb"....ftypavi[fs]", "an AVIF image"),
    (rb"....ftyp", "a video"),
    (rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "a JPEG XL image"),
    (rb"%PDF", "a PDF file"),
    (rb"PK\x03\x04", EXCEL),
    (rb"\xd0\xcf\x11\xe0", "an Excel workbook"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf", "a compressed archive"),
    (rb"\x89HDF", "an HDF5 file"),
    (rb"PAR1", "a Parquet file"),
    (rb"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
    (rb"(\xef\xbb\xbf)?\s*(<!--.*-->\s*)?<(!doctype html|html|head|body|script|meta)\b", HTML),
    (rb"(\xef\xbb\xbf)?\s*<(\?xml|svg)\b", "an XML file"),
    (rb"(\xef\xbb\xbf)?\s*[\[{]\s*([\[{\"\]}]|$)", JSON),
    (rb"\xff\xfe|\xfe\xff", "UTF-16 text"),
)
_REMEDIES = {
    HTML: "A server sent a page, for instance its login page, instead of the file. Download it "
    "again.",
    EXCEL: "Export the sheet as CSV, or unpack the archive.",
    "an Excel workbook": "Export the sheet as CSV.",
    "a compressed archive": "Unpack it.",
    "UTF-16 text": "Save it as UTF-8.",
}


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


def content_kind(head: bytes) -> str | None:
    """Recognizes common kinds of files by their first bytes.

    Args:
        head: The first bytes of the file, `HEAD` or fewer.

    Returns:
        A description, for instance ``"an HTML page"``; None for plain text and unknown content.

    Example:
        >>> content_kind(b"<!DOCTYPE html><html>")
        'an HTML page'
    """
    for pattern, kind in _KINDS:
        if re.match(pattern, head, re.IGNORECASE | re.DOTALL):
            return kind
    return "a binary file" if b"\0" in head else None


def check_text_table(path: str | os.PathLike, content: str) -> None:
    """Refuses a file that is no table of text, such as an HTML page in place of a CSV file.

    Args:
        path: An existing file.
        content: What the file should be, for instance ``"A sample submission"``.

    Raises:
        ValueError: If the file is empty, an HTML page, JSON, a workbook, an archive or binary.
    """
    with open(path, "rb") as file:
        head = file.read(HEAD)
    kind = content_kind(head) if head.strip() else "an empty file"
    if kind is not None:
        remedy = _REMEDIES.get(kind, "Is it the right file?")
        raise ValueError(
            f"{content} must be a table of text, for instance CSV. "
            f"Received: {os.fspath(path)!r}, {kind}. {remedy}"
        )


def read_text_table(path: str | os.PathLike, content: str) -> str:
    """Reads a table of text, without the byte order mark that spreadsheets write.

    Args:
        path: An existing file.
        content: As for `check_text_table`.

    Returns:
        The text.

    Raises:
        ValueError: As `check_text_table`, or if the text is not UTF-8.
    """
    check_text_table(path, content)
    data = pathlib.Path(path).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{content} must be UTF-8. Received: {os.fspath(path)!r}, with the byte "
            f"0x{data[error.start]:02x} in line {line}. Save it as UTF-8."
        ) from error


def write_json(path: pathlib.Path, values: dict[str, Any]) -> None:
    """Writes a dictionary as JSON, with null for NaN and infinity, which JSON does not have."""
    plain = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
    with replacing(path) as part:
        part.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


def write_csv(path: str | os.PathLike, frame: pd.DataFrame) -> pathlib.Path:
    """Writes a table, the result of long work, to a CSV file without its index.

    Args:
        path: File to write. It appears complete or not at all.
        frame: The table.

    Returns:
        The path.

    Raises:
        OSError: If the file cannot be written, for instance to a full disk. The table is then in
            a temporary file, which the message names.
    """
    try:
        with replacing(path) as part:
            frame.to_csv(part, index=False)
    except OSError as error:
        saved = pathlib.Path(tempfile.mkdtemp(prefix="kerasface-"), pathlib.Path(path).name)
        frame.to_csv(saved, index=False)
        raise OSError(
            f"{os.fspath(path)!r} could not be written: {error}. "
            f"The results are in {os.fspath(saved)!r}."
        ) from error
    return pathlib.Path(path)


def check_file_to_write(
    name: str,
    path: str | os.PathLike,
    *,
    suffixes: Sequence[str] = (),
    overwrite: bool = True,
) -> None:
    """Refuses a path that a file cannot be written to, before the work that makes the file.

    Args:
        name: Name of the option, for the error message.
        path: File to write.
        suffixes: Accepted suffixes, in lower case; empty accepts all.
        overwrite: If False, an existing file is refused.

    Raises:
        ValueError: If the path is a folder, or has another suffix.
        FileExistsError: If the file exists and ``overwrite`` is False.
        PermissionError: If its folder cannot be created or written to.

    Example:
        >>> check_file_to_write("out", "compare.html", suffixes=(".html",))
    """
    file, received = pathlib.Path(path), f"Received: {name}={os.fspath(path)!r}"
    if file.is_dir():
        raise ValueError(f"`{name}` must be a file. {received}, a folder. Name a file in it.")
    if suffixes and file.suffix.lower() not in suffixes:
        raise ValueError(f"`{name}` must end in {' or '.join(suffixes)}. {received}.")
    if file.exists() and not overwrite:
        raise FileExistsError(
            f"`{name}` must be a new file. {received}, which exists. "
            "Replace it with --overwrite, or choose another file."
        )
    _check_parent(name, file, file)


def check_folder_to_write(name: str, path: str | os.PathLike, *, overwrite: bool = True) -> None:
    """Refuses a path that a folder of files cannot be written to, before the work.

    Args:
        name: Name of the option, for the error message.
        path: Folder to write to.
        overwrite: If False, an existing folder that holds something is refused.

    Raises:
        ValueError: If the path is a file.
        FileExistsError: If the folder is not empty and ``overwrite`` is False.
        PermissionError: If it cannot be created or written to.

    Example:
        >>> check_folder_to_write("out", "pictures")
    """
    folder, received = pathlib.Path(path), f"Received: {name}={os.fspath(path)!r}"
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"`{name}` must be a folder. {received}, a file.")
    if not overwrite and folder.is_dir() and any(folder.iterdir()):
        raise FileExistsError(
            f"`{name}` must be a new or empty folder. {received}, which holds files. "
            "Replace them with --overwrite, or choose another folder."
        )
    _check_parent(name, folder, folder / "file")


def _check_parent(name: str, path: pathlib.Path, file: pathlib.Path) -> None:
    """Refuses a path if the folder of a file there cannot be created or written to."""
    parent = next(folder for folder in file.absolute().parents if folder.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        problem = "cannot be written to" if parent.is_dir() else "is a file"
        raise PermissionError(
            f"`{name}` must be in a folder that can be written to. "
            f"Received: {name}={os.fspath(path)!r}, where {os.fspath(parent)!r} {problem}."
        )
