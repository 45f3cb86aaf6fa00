"""ImageList: what a caller gave as images, in one form."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from PIL import Image

from kerasface.data import notebook
from kerasface.data.folders import unlabeled_folder
from kerasface.data.table import FaceTable
from kerasface.images import BYTES, FORMS, AnyImage, as_image, check_image, is_image, read_binary

AnyImages: TypeAlias = AnyImage | FaceTable | Sequence[AnyImage]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ImageList:
    """Images from files and from memory, in the order given.

    Attributes:
        names: One name per image. Files have their path, relative to the deepest folder that
            contains all files of the list; images in memory are ``image 1``, ``image 2`` and so
            on, by their position.
        sources: The full path of each file, and the array, PIL image or bytes of each other
            image.
        arguments: What each image is called in error messages: ``images``, or ``images[2]`` for
            an image in memory.
        table: The files as a table, if all images are files; else None.
    """

    names: tuple[str, ...]
    sources: Sequence[AnyImage]
    arguments: Sequence[str]
    table: FaceTable | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Reads one image after the other."""
        return map(self.read, range(len(self)))

    def __repr__(self) -> str:
        return f"ImageList({len(self):,} images: {notebook.shorten(self.names)})"

    @property
    def paths(self) -> tuple[str, ...] | None:
        """Full paths, if all images are files; else None."""
        return None if self.table is None else tuple(self.table.full_paths())

    def read(self, position: int) -> np.ndarray:
        """Reads one image.

        Args:
            position: Position in the list, from 0.

        Returns:
            uint8 RGB array ``[H, W, 3]``, upright, as from `kerasface.images.as_image`.

        Raises:
            FileNotFoundError: If the file has been removed.
            ValueError: If the file is not an image, or an array's values are out of range.
        """
        return as_image(self.sources[position], self.arguments[position])


def image_list(images: AnyImages, argument: str = "images", *, once: bool = False) -> ImageList:
    """Makes one list of images that a caller gave in one of several forms.

    Args:
        images: One image in a form of `kerasface.images.as_image`; a folder, whose images at any
            depth are included, sorted by path; a list or tuple of images and folders; a table; or
            a uint8 or float array ``[N, H, W, channels]``.
        argument: Name of the argument, for error messages.
        once: If True, skip a file that is given again, by its path or its folder.

    Returns:
        The list. Types and shapes are checked, and binary files are read; other files and the
        values of arrays are read by `ImageList.read`.

    Raises:
        TypeError: If ``images``, or an image in it, is of another type.
        FileNotFoundError: If a path does not exist.
        ValueError: If there is no image, a folder has none, or an array has another shape or type.

    Warns:
        UserWarning: As `kerasface.data.unlabeled_folder`.

    Example:
        >>> image_list(np.zeros((2, 8, 8, 3), np.uint8)).names
        ('image 1', 'image 2')
    """
    if isinstance(images, FaceTable):
        return _of_table(images, argument)
    if isinstance(images, (str, os.PathLike)) and os.path.isdir(images):
        return _of_table(unlabeled_folder(images), argument)
    found: list[tuple[AnyImage, str]] = []
    given, is_list = _listed(images, argument)
    for position, image in enumerate(given):
        if isinstance(image, (str, os.PathLike)) and os.path.isdir(image):
            found += [(path, argument) for path in unlabeled_folder(image).full_paths()]
        else:
            name = f"{argument}[{position}]" if is_list else argument
            if isinstance(image, (str, os.PathLike)) and not os.path.isfile(image):
                raise FileNotFoundError(
                    f"`{name}` must be an image file or a folder of images. "
                    f"Received: {os.fspath(image)!r}, which does not exist."
                )
            check_image(image, name)
            found.append((_held(image, name), name))
    if once:
        first = {
            source if isinstance(source, str) else position: (source, name)
            for position, (source, name) in enumerate(found)
        }
        found = list(first.values())
    return _named(found)


def _of_table(table: FaceTable, argument: str) -> ImageList:
    if not len(table):
        raise ValueError(_none(argument))
    every = (argument,) * len(table)
    return ImageList(tuple(table.paths), table.full_paths(), every, table)


def _listed(images: object, argument: str) -> tuple[Sequence, bool]:
    """The given images as a sequence, and whether they were more than a single image."""
    if isinstance(images, np.ndarray) and images.ndim == 4:
        images = list(images)
    if isinstance(images, (list, tuple)):
        if not images:
            raise ValueError(_none(argument))
        return images, True
    if not is_image(images):
        remedy = " Use list(images)." if hasattr(images, "__iter__") else ""
        if hasattr(images, "__array__"):
            remedy = " Convert it with numpy.asarray or list."
        raise TypeError(
            f"`{argument}` must be an image, a list of images, a folder, a FaceTable or an array "
            f"[images, height, width, channels]. An image is {FORMS}. "
            f"Received: {type(images).__name__}.{remedy}"
        )
    return [images], False


def _none(argument: str) -> str:
    return f"`{argument}` must have at least one image. Received: none."


def _held(image: AnyImage, argument: str) -> AnyImage:
    """An image that can be read several times."""
    if isinstance(image, (str, os.PathLike)):
        return os.path.abspath(image)
    if isinstance(image, (np.ndarray, Image.Image, *BYTES)):
        return image
    return read_binary(image, argument)


def _named(found: Sequence[tuple[AnyImage, str]]) -> ImageList:
    sources, arguments = zip(*found, strict=True)
    files = [source for source in sources if isinstance(source, str)]
    root, relative = _relative(files)
    names = iter(relative)
    every = tuple(
        next(names) if isinstance(source, str) else f"image {number}"
        for number, source in enumerate(sources, start=1)
    )
    in_files = len(files) == len(sources)
    table = FaceTable(root, np.array(relative, dtype=object)) if in_files else None
    return ImageList(every, sources, arguments, table)


def _relative(files: Sequence[str]) -> tuple[pathlib.Path, list[str]]:
    """The deepest folder that contains all files, and their paths in it."""
    if not files:
        return pathlib.Path(), []
    try:
        root = pathlib.Path(os.path.commonpath([os.path.dirname(file) for file in files]))
        return root, [pathlib.Path(file).relative_to(root).as_posix() for file in files]
    except ValueError:  # on several drives of Windows
        return pathlib.Path(files[0]).parent, [pathlib.Path(file).as_posix() for file in files]
