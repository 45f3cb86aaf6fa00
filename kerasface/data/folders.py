"""Tables of the images in folders."""

from __future__ import annotations

import os
import pathlib
import warnings
from collections.abc import Iterable, Sequence

import numpy as np

from kerasface.data import notebook
from kerasface.data.listing import (
    COMMON_SUFFIXES,
    existing_folder,
    list_images,
    refuse_partitions,
    refuse_single_person,
    refuse_without_people,
    visible_folders,
    warn_of_ignored,
)
from kerasface.data.table import FaceTable


def identity_folder(folder: str | os.PathLike, *, names: Sequence[str] | None = None) -> FaceTable:
    """Reads a folder with one subfolder for each person, with images at any depth below it.

    The classes are the names of the subfolders, sorted, as strings (``0042``, ``NA``). Hidden
    files, and files that are not images, are ignored. Links to folders are followed.

    Args:
        folder: The folder, for instance ``data/train``.
        names: Class names in a fixed order, for instance those of the training table, which gives
            a validation folder the same numbers. None takes the subfolders of ``folder``.

    Returns:
        Table with class indices ``[N]``, sorted by class and path.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it has no subfolder with images, its subfolders are partitions (train/,
            test/), it has fewer than two people (unless ``names`` is given) or a person who is
            not among ``names``, or a name is not UTF-8.

    Warns:
        UserWarning: If subfolders have no images and so are not classes, or if images are ignored:
            directly in ``folder``, in formats that cannot be decoded (``.heic``), or without the
            suffix of an image.

    Example:
        >>> table = identity_folder("data/train")  # doctest: +SKIP
    """
    root = existing_folder(folder)
    everything = list_images(root)
    found = visible_folders(root)
    loose, images_of = _by_person(everything.found)
    people = sorted(images_of)
    if not people:
        refuse_without_people(root, everything, len(found))
    if names is None or not set(people) <= set(names):
        refuse_partitions(root, everything.found)
    if names is None:
        if len(people) < 2:
            refuse_single_person(root, people[0], images_of[people[0]])
        names = people
    unknown = sorted(set(people) - set(names))
    if unknown:
        raise ValueError(
            "Every person must be among the given class names. "
            f"Received: {root} with {notebook.shorten(unknown)}, not among the {len(names)} names. "
            "Does this folder have other people?"
        )
    check_encoding(root, [path for name in people for path in images_of[name]])
    warn_of_ignored(root, everything, loose)
    empty = sorted(set(found) - set(people))
    if empty:
        warnings.warn(
            f"{len(empty)} of the {len(found)} subfolders of {root} have no images and are not "
            f"classes: {notebook.shorten(empty)}.",
            stacklevel=2,
        )
    index = {name: label for label, name in enumerate(names)}
    paths = [path for name in people for path in images_of[name]]
    labels = np.repeat([index[name] for name in people], [len(images_of[name]) for name in people])
    return FaceTable(root, np.array(paths, dtype=object), labels, tuple(names))


def unlabeled_folder(folder: str | os.PathLike) -> FaceTable:
    """Reads all images in and below a folder, sorted by path, without labels.

    Links to folders are followed. Hidden files, and files that are not images, are ignored.

    Args:
        folder: The folder, for instance ``data/test``.

    Returns:
        Table with ``labels`` None.

    Raises:
        FileNotFoundError: If the folder does not exist.
        ValueError: If it has no image.

    Warns:
        UserWarning: If images are ignored: in formats that cannot be decoded (``.heic``), or
            without the suffix of an image.
    """
    root = existing_folder(folder)
    listing = list_images(root)
    if not listing.found:
        raise ValueError(
            f"A folder of images must have at least one ({COMMON_SUFFIXES}). "
            f"Received: {root} with {listing.describe()}. {listing.remedy()}"
        )
    warn_of_ignored(root, listing)
    return FaceTable(root, np.array(listing.found, dtype=object))


def check_encoding(root: pathlib.Path, paths: Iterable[str]) -> None:
    """Refuses names that are not UTF-8. Only `kerasface.faces.crop` accepts them.

    Args:
        root: The folder, for the error message.
        paths: Names of images in it.

    Raises:
        ValueError: If a name is not UTF-8.
    """
    for path in paths:
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                "Names of people and images must be UTF-8, because they are written to text "
                f"files. Received: {path!r} in {root}. Rename it."
            ) from error


def _by_person(files: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The images directly in a folder, and those of each subfolder."""
    loose: list[str] = []
    people: dict[str, list[str]] = {}
    for path in files:
        person, separator, _ = path.partition("/")
        if separator:
            people.setdefault(person, []).append(path)
        else:
            loose.append(path)
    return loose, people
