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

AnyModel: TypeAlias = str | os.PathLike | Run | keras.Model
Images: TypeAlias = str | os.PathLike | FaceTable | Sequence[str | os.PathLike]


def open_model(model: AnyModel) -> keras.Model:
    """Opens the model of a run, of a run folder or of a ``.keras`` file.

    Args:
        model: Run, run folder, ``.keras`` file or Keras model. A Keras model is returned as it is.

    Raises:
        FileNotFoundError: If there is no such run or file.
        ValueError: If the file is not a Keras model.
    """
    if isinstance(model, keras.Model):
        return model
    if isinstance(model, Run):
        return model.load_model()
    path = pathlib.Path(model)
    if path.suffix != ".keras":
        return Run(path).load_model()
    if not path.is_file():
        raise FileNotFoundError(
            f"A model is a run folder or a .keras file. Received: {os.fspath(path)!r}, which does "
            "not exist."
        )
    return keras.saving.load_model(path, compile=False)


def is_model(value: object) -> bool:
    """Returns whether a value is a model: a run, a run folder, a ``.keras`` path or a model.

    Args:
        value: Anything. A path with the suffix ``.keras`` counts whether or not it exists.
    """
    if isinstance(value, (str, os.PathLike)):
        path = pathlib.Path(value)
        return path.suffix == ".keras" or (path / RECIPE).is_file()
    return isinstance(value, (Run, keras.Model))


def run_of(model: AnyModel) -> Run | None:
    """Returns the run of a run, a run folder or the model file in a run folder, else None."""
    if isinstance(model, Run):
        return model
    if isinstance(model, keras.Model):
        return None
    path = pathlib.Path(model)
    if path.suffix != ".keras":
        return Run(path)
    is_kept = path.name == MODEL and (path.parent / RECIPE).is_file()
    return Run(path.parent) if is_kept else None


def crop_of(model: AnyModel) -> Crop | None:
    """Returns the region of each image that a run's model sees; None for other models."""
    run = run_of(model)
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
