"""Images as the functions of this package take them, all of them readable."""

from __future__ import annotations

import dataclasses
import os

from kerasface.data.folders import check_encoding
from kerasface.data.image_list import AnyImages, ImageList, image_list
from kerasface.data.table import check
from kerasface.inference.reading import is_model
from kerasface.pipeline.predict import FEW, unreadable_error


def readable_images(
    images: AnyImages, *, argument: str = "images", once: bool = True, verbose: int = 0
) -> ImageList:
    """Makes a list of images.

    Args:
        images: As for `kerasface.data.image_list`.
        argument: Name of the argument, for error messages.
        once: If True, skip an image file that is given again.
        verbose: 1 shows a progress bar.

    Returns:
        The list. Many files are read, so that unreadable ones are named before the predictions
        start; a few files are only read by the predictions.

    Raises:
        ValueError: If one of many files is unreadable, a file name is not UTF-8, or a model is
            given in the place of images.
        FileNotFoundError: If a path does not exist.
        TypeError: If an image is of another type.
    """
    for each in images if isinstance(images, (list, tuple)) else [images]:
        if isinstance(each, (str, os.PathLike)) and is_model(each):
            raise ValueError(
                f"`{argument}` must be images. Received: {os.fspath(each)!r}, a model. Models are "
                "the first argument."
            )
    listed = image_list(images, argument, once=once)
    if listed.table is None:
        return listed
    check_encoding(listed.table.root, listed.table.paths)
    if len(listed) <= FEW:
        return listed
    report = check(listed.table, max_unreadable=1.0, verbose=verbose)
    if len(report.unreadable):
        frame = report.unreadable
        raise unreadable_error(dict(zip(frame["path"], frame["reason"], strict=True)))
    return dataclasses.replace(listed, table=report.table)
