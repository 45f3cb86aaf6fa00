"""Tables from folders of images."""

from __future__ import annotations

import os
import pathlib
import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from kerasface import images
from kerasface.data.table import FaceTable

# Formats of phones, cameras and browsers that neither TensorFlow nor Pillow opens by itself, or
# whose extension does not say which format it is.
UNREAD = (".avif", ".cr2", ".dng", ".heic", ".heif", ".jfif", ".jp2", ".nef")


def identity_folder(folder: str | os.PathLike, *, names: Sequence[str] | None = None) -> FaceTable:
    """Reads a folder with one subfolder for each person, with images at any depth below it.

    The classes are the names of the subfolders, sorted, as strings (``0042``, ``NA``). Hidden
    files and files without an image extension are left out. Links to folders are followed.

    Args:
        folder: The folder, for instance ``data/train``.
        names: Class names in a fixed order, for instance those of the training table, which gives
            a validation folder the same numbers. None takes the subfolders of ``folder``.

    Returns:
        Table with class indices ``[N]``, sorted by class and path.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it has no subfolder with images, fewer than two people (unless ``names`` is
            given), a person who is not among ``names``, or a name that is not UTF-8.

    Warns:
        UserWarning: If subfolders have no image, which makes them no class, or images in formats
            that cannot be read (``.heic``).

    Example:
        >>> table = identity_folder("data/train")  # doctest: +SKIP
    """
    root = _existing_folder(folder)
    found = sorted(entry.name for entry in os.scandir(root) if _is_visible_folder(entry))
    files = {name: _image_files(root, name) for name in found}
    images_of = {name: paths for name, (paths, _) in files.items()}
    people = [name for name in found if images_of[name]]
    if not people:
        raise ValueError(
            "An identity folder must hold one subfolder of images a person. "
            f"Received: {root} with {len(found)} subfolders and no image in them "
            f"({', '.join(sorted(images.EXTENSIONS))})."
        )
    if names is None:
        if len(people) < 2:
            raise ValueError(
                "A classifier needs at least two people. "
                f"Received: {root} with images of {people[0]!r} alone."
            )
        names = people
    unknown = sorted(set(people) - set(names))
    if unknown:
        raise ValueError(
            "Every person must be among the given class names. "
            f"Received: {root} with {unknown[:5]}, not among the {len(names)} names. "
            "Is it the folder of other people?"
        )
    check_encoding(root, [path for name in people for path in images_of[name]])
    _warn_of_unread(root, [path for _, unread in files.values() for path in unread])
    empty = sorted(set(found) - set(people))
    if empty:
        warnings.warn(
            f"{len(empty)} of the {len(found)} subfolders of {root} hold no image "
            f"({', '.join(sorted(images.EXTENSIONS))}) and are no class, for instance {empty[:3]}",
            stacklevel=2,
        )
    index = {name: label for label, name in enumerate(names)}
    paths = [path for name in people for path in images_of[name]]
    labels = np.repeat([index[name] for name in people], [len(images_of[name]) for name in people])
    return FaceTable(root, np.array(paths, dtype=object), labels, tuple(names))


def unlabeled_folder(folder: str | os.PathLike) -> FaceTable:
    """Reads all images in and below a folder, sorted by path, without labels.

    Links to folders are followed.

    Args:
        folder: The folder, for instance ``data/test``.

    Returns:
        Table with ``labels`` None.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it has no image.

    Warns:
        UserWarning: If it has images in formats that cannot be read (``.heic``).
    """
    root = _existing_folder(folder)
    paths, unread = _image_files(root, "")
    _warn_of_unread(root, unread)
    if not paths:
        raise ValueError(
            "A folder of images must hold at least one "
            f"({', '.join(sorted(images.EXTENSIONS))}). Received: {root}."
        )
    return FaceTable(root, np.array(paths, dtype=object))


def check_encoding(root: pathlib.Path, paths: Iterable[str]) -> None:
    """Refuses names that are not UTF-8, with a ValueError; only `kerasface.faces.crop` takes such.

    Args:
        root: The folder, for the error message.
        paths: Names of images in it.
    """
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                "Names of people and their images must be UTF-8, for they are written down. "
                f"Received: {path!r} in {root}. Rename it."
            ) from error


def _warn_of_unread(root: pathlib.Path, paths: list[str]) -> None:
    """Warns of images that are left out because of their format."""
    if paths:
        warnings.warn(
            f"{len(paths)} images in {root} have formats that cannot be read and are left out, "
            f"for instance {paths[:3]}: convert them to JPEG or PNG",
            stacklevel=3,
        )


def _existing_folder(folder: str | os.PathLike) -> pathlib.Path:
    root = pathlib.Path(folder)
    if not root.is_dir():
        what = "a file" if root.is_file() else "nothing at that path"
        raise FileNotFoundError(
            f"There must be a folder of images. Received: {os.fspath(folder)!r}, {what}."
        )
    return root


def _is_visible_folder(entry: os.DirEntry) -> bool:
    return _is_folder(entry) and not entry.name.startswith(".")


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _image_files(root: pathlib.Path, below: str) -> tuple[list[str], list[str]]:
    """Images below a folder, and images in formats that cannot be read.

    Unlike `os.walk`, this raises the errors of folders that cannot be read; otherwise their
    images would be missing silently.
    """
    found: list[str] = []
    unread: list[str] = []
    top = pathlib.Path(os.path.realpath(root))
    waiting = [(below, frozenset(map(os.fspath, (top, *top.parents))))]
    while waiting:
        folder, above = waiting.pop()
        place = os.path.realpath(root / folder)
        if folder and place in above:  # a link to a folder that it is in
            continue
        with os.scandir(root / folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = f"{folder}/{entry.name}" if folder else entry.name
                suffix = pathlib.Path(entry.name).suffix.lower()
                if _is_folder(entry):
                    waiting.append((path, above | {place}))
                elif suffix in images.EXTENSIONS:
                    found.append(path)
                elif suffix in UNREAD:
                    unread.append(path)
    return sorted(found), sorted(unread)
