"""What the functions of this package accept as a model and as images."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import TypeAlias

import keras

from kerasface.data.folders import check_encoding, unlabeled_folder
from kerasface.data.table import FaceTable, check
from kerasface.inference.photographs import photographs
from kerasface.pipeline.crop import Crop
from kerasface.runs.run import MODEL, RECIPE, Run

Source: TypeAlias = str | os.PathLike | Run | keras.Model
Images: TypeAlias = str | os.PathLike | FaceTable | Sequence[str | os.PathLike]


def open_model(source: Source) -> keras.Model:
    """Opens the model of a run, of a run folder or of a ``.keras`` file.

    Args:
        source: Run, run folder, ``.keras`` file or model. A model is returned unchanged.

    Raises:
        FileNotFoundError: If there is no such run or file.
        ValueError: If the file is not a Keras model.
    """
    if isinstance(source, keras.Model):
        return source
    if isinstance(source, Run):
        return source.load_model()
    path = pathlib.Path(source)
    if path.suffix != ".keras":
        return Run(path).load_model()
    if not path.is_file():
        raise FileNotFoundError(
            f"A model is a run folder or a .keras file. Received: {os.fspath(path)!r}, which does "
            "not exist."
        )
    return keras.saving.load_model(path, compile=False)


def run_of(source: Source) -> Run | None:
    """Returns the run of a run, a run folder or the model file in a run folder, else None."""
    if isinstance(source, Run):
        return source
    if isinstance(source, keras.Model):
        return None
    path = pathlib.Path(source)
    if path.suffix != ".keras":
        return Run(path)
    is_kept = path.name == MODEL and (path.parent / RECIPE).is_file()
    return Run(path.parent) if is_kept else None


def crop_of(source: Source) -> Crop | None:
    """Returns the region of each image that a run's model sees; None for other models."""
    run = run_of(source)
    return None if run is None else run.recipe.crop(training=False)


def readable_table(images: Images, *, once: bool = True) -> FaceTable:
    """Makes a table of images that are all readable, in the order given.

    Args:
        images: A folder, whose images are sorted by path, a table, or image files and folders.
        once: If True, skip an image file that is given again.

    Returns:
        The table, with formats.

    Raises:
        ValueError: If an image is unreadable, or a file name is not UTF-8.
    """
    if isinstance(images, FaceTable):
        table = images
    elif isinstance(images, (str, os.PathLike)) and not os.path.isfile(images):
        table = unlabeled_folder(images)
    else:
        paths = [images] if isinstance(images, (str, os.PathLike)) else images
        table = photographs(paths, once=once)
    check_encoding(table.root, table.paths)
    report = check(table, max_unreadable=1.0)
    if len(report.unreadable):
        first = [f"{row.path} ({row.reason})" for row in report.unreadable.head(3).itertuples()]
        raise ValueError(
            "All images must be readable. "
            f"Received: {len(report.unreadable)} that are not, for instance {'; '.join(first)}."
        )
    return report.table
