"""What the functions here take as a model and as images."""

from __future__ import annotations

import dataclasses
import json
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

OLD_SHAPES = {"center_square": "square", "middle": "image"}  # in files of version 0.1
Source: TypeAlias = str | os.PathLike | Run | keras.Model
Images = str | os.PathLike | FaceTable | Sequence[str | os.PathLike]


def open_model(source: Source) -> keras.Model:
    """A model from a run, its folder, a ``.keras`` file or itself.

    Args:
        source: Which.

    Raises:
        FileNotFoundError: If there is no such run or file.
        ValueError: If the file is no Keras model.
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
    """The run of a source that is one, its folder, or the model in its folder."""
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
    """The region of each image that a run's model is given; None for a model that is no run."""
    run = run_of(source)
    return None if run is None else run.recipe.crop(training=False)


def write_crop(crop: Crop | None) -> str:
    """A crop as text, for files; an empty text for the whole image."""
    return "" if crop is None else json.dumps(dataclasses.asdict(crop))


def read_crop(text: str) -> Crop | None:
    """Reads what `write_crop` wrote, and the names that version 0.1 wrote.

    Raises:
        ValueError: If the text is no crop.

    Example:
        >>> read_crop("middle:0.8")
        Crop(share=0.8, shape='image', position='center')
    """
    if not text:
        return None
    if text.startswith("{"):
        return Crop(**json.loads(text))
    name, _, share = text.partition(":")
    if name not in OLD_SHAPES:
        raise ValueError(f"A crop must be one of {list(OLD_SHAPES)}. Received: {text!r}.")
    return Crop(float(share or 1.0), shape=OLD_SHAPES[name])


def readable_table(images: Images, *, once: bool = True) -> FaceTable:
    """A table of images every one of which can be read, in the order given.

    Args:
        images: A folder, whose images are sorted by path, or a table, or image files and folders.
        once: Whether of image files and folders one that is given again is left out.

    Returns:
        The table, with formats.

    Raises:
        ValueError: If an image cannot be read, the first few are named, or has a name that is not
            UTF-8.
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
            "Every image that is to be predicted must be readable. "
            f"Received: {len(report.unreadable)} that are not, for instance {'; '.join(first)}."
        )
    return report.table
