"""A table of images in any form whose labels the caller gives."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from kerasface.data.image_list import AnyImages, ImageList, image_list
from kerasface.data.table import FaceTable

Labels = Sequence[str] | ArrayLike


@contextlib.contextmanager
def labeled_images(
    images: AnyImages, labels: Labels | None, names: Sequence[str], *, multi_label: bool
) -> Iterator[FaceTable | str | os.PathLike]:
    """Makes a table of images and their labels.

    Args:
        images: As for `kerasface.predict`. Images in memory are written to a temporary folder.
        labels: The class of each image, a name or an index, or 0/1 attributes
            ``[N, len(names)]``. None takes a folder or a table as it is.
        names: Class or attribute names.
        multi_label: Whether the labels are attributes.

    Yields:
        The table, or what was given without labels.

    Raises:
        ValueError: If there is not one valid label per image, or images in memory have no labels.
    """
    if labels is None:
        if not isinstance(images, (str, os.PathLike, FaceTable)):
            raise ValueError(
                "`labels` must be given for images that are not a folder or a table. "
                f"Received: labels=None for a value of type {type(images).__name__}."
            )
        yield images
        return
    listed = image_list(images, "data")
    values = _label_values(labels, len(listed), names, multi_label)
    with contextlib.ExitStack() as stack:
        table = listed.table
        if table is None:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="kerasface-"))
            table = _written(listed, pathlib.Path(place, "images"))
        yield FaceTable(table.root, table.paths, values, tuple(names))


def _label_values(
    labels: Labels, count: int, names: Sequence[str], multi_label: bool
) -> np.ndarray:
    values = np.asarray(labels)
    shape = (count, len(names)) if multi_label else (count,)
    if values.shape != shape:
        kind = "row of 0 and 1" if multi_label else "class"
        raise ValueError(
            f"`labels` must have one {kind} per image, shape {list(shape)}. "
            f"Received: shape {list(values.shape)}."
        )
    if values.dtype.kind in "UO" and not multi_label:
        index = {name: position for position, name in enumerate(names)}
        unknown = [str(value) for value in values if value not in index]
        if unknown:
            raise ValueError(
                f"`labels` must be among the {len(names)} classes of the run. "
                f"Received: {unknown[0]!r}."
            )
        return np.array([index[value] for value in values])
    highest = 2 if multi_label else len(names)
    if values.dtype.kind not in "biu" or not ((values >= 0) & (values < highest)).all():
        rule = "0 or 1" if multi_label else f"class names, or indices from 0 to {highest - 1}"
        raise ValueError(
            f"`labels` must be {rule}. "
            f"Received: {values.dtype} from {values.min()} to {values.max()}."
        )
    return values.astype(np.int64)


def _written(images: ImageList, folder: pathlib.Path) -> FaceTable:
    """Writes images in memory, and copies of the files among them, to a folder."""
    folder.mkdir()
    names = [f"image {number}.png" for number in range(1, len(images) + 1)]
    for name, pixels in zip(names, images, strict=True):
        Image.fromarray(pixels).save(folder / name)
    return FaceTable(folder, np.array(names, dtype=object))
