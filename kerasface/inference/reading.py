"""What the functions of this package accept as a model and as images."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Hashable, Sequence
from typing import TypeAlias

import keras

from kerasface import images as image_files
from kerasface.cache import cached, file_key
from kerasface.data.folders import check_encoding, unlabeled_folder
from kerasface.data.image_list import AnyImages
from kerasface.data.table import FaceTable, check
from kerasface.inference.photographs import photographs
from kerasface.inference.pretrained import PREPARATIONS, build_pretrained, is_pretrained
from kerasface.models.model_file import describe, load_model_file
from kerasface.pipeline.crop import Crop
from kerasface.runs.run import MODEL, RECIPE, Run

AnyModel: TypeAlias = str | os.PathLike | Run | keras.Model
Images: TypeAlias = str | os.PathLike | FaceTable | Sequence[str | os.PathLike]

SUFFIX = ".keras"
MODEL_RULE = (
    "A model must be a run folder, a .keras file or the name of a pretrained network "
    f"({', '.join(PREPARATIONS)})."
)
IMAGES_RULE = "Images must be a folder, image files, or a FaceTable."


def load_model(model: AnyModel) -> keras.Model:
    """Loads the model of a run, of a ``.keras`` file or of a name, for a caller who may change it.

    Args:
        model: As for `open_model`.

    Returns:
        A new model; a Keras model is returned as it is.

    Raises:
        FileNotFoundError: If there is no such run or file.
        ValueError: If the file is not a Keras model.
        TypeError: If ``model`` is of another type.
    """
    if isinstance(model, keras.Model):
        return model
    if is_pretrained(model):
        return build_pretrained(model)
    run = run_of(model)
    if run is not None:
        return run.load_model()
    return load_model_file(_model_path(model))


def open_model(model: AnyModel) -> keras.Model:
    """Opens a model, which stays open in kerasface's cache: nobody may change it.

    Args:
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model. A Keras model is
            returned as it is.

    Raises:
        FileNotFoundError: If there is no such run or file.
        ValueError: If the file is not a Keras model.
        TypeError: If ``model`` is of another type.
    """
    key = model_key(model)
    return load_model(model) if key is None else cached(("model", key), lambda: load_model(model))


def model_key(model: AnyModel) -> Hashable | None:
    """Returns the key of a model for `kerasface.cache.cached`; None for a Keras model.

    A Keras model in memory may change between two calls, so nothing about it is kept.

    Args:
        model: As for `open_model`.
    """
    if isinstance(model, keras.Model):
        return None
    if is_pretrained(model):
        return model
    run = run_of(model)
    path = _model_path(model) if run is None else run.path(MODEL)
    return file_key(path) if path.is_file() else None


def check_model(model: str | os.PathLike) -> None:
    """Raises an error that says what a path is if it is not a run folder or a ``.keras`` file.

    Args:
        model: A path, or the name of a pretrained network.

    Raises:
        FileNotFoundError: If the path does not exist, or is a folder without a run.
        ValueError: If it is another file.
    """
    if not is_pretrained(model):
        _model_path(model)


def is_model(value: object) -> bool:
    """Returns whether a value is a model: a run, a run folder, a ``.keras`` path or a model.

    Args:
        value: Anything. A path with the suffix ``.keras`` counts whether or not it exists.
    """
    if isinstance(value, (str, os.PathLike)):
        path = pathlib.Path(value)
        return path.suffix == SUFFIX or (path / RECIPE).is_file()
    return isinstance(value, (Run, keras.Model))


def run_of(model: AnyModel) -> Run | None:
    """Returns the run of a run, a run folder or the model file in a run folder, else None.

    Args:
        model: As for `open_model`.

    Raises:
        FileNotFoundError: If there is no such run or file.
        ValueError: If the path is not that of a model.
        TypeError: If ``model`` is of another type.
    """
    if isinstance(model, Run):
        return model
    if isinstance(model, keras.Model) or is_pretrained(model):
        return None
    path = _model_path(model)
    if path.suffix != SUFFIX:
        return Run(path)
    is_kept = path.name == MODEL and (path.parent / RECIPE).is_file()
    return Run(path.parent) if is_kept else None


def crop_of(model: AnyModel) -> Crop | None:
    """Returns the region of each image that a run's model sees; None for other models."""
    run = run_of(model)
    return None if run is None else run.recipe.crop(training=False)


def checked_images(images: AnyImages) -> AnyImages:
    """Returns images as they are, and refuses a model in their place.

    Args:
        images: What a caller gave as images.

    Raises:
        ValueError: If it is, or contains, a run folder or a ``.keras`` file.
    """
    for each in images if isinstance(images, (list, tuple)) else [images]:
        if isinstance(each, (str, os.PathLike)):
            _check_no_model(each)
    return images


def readable_table(images: Images, *, once: bool = True, verbose: int = 0) -> FaceTable:
    """Makes a table of images that are all readable, in the order given.

    Args:
        images: A folder, whose images are sorted by path, a table, or image files and folders.
        once: If True, skip an image file that is given again.
        verbose: 1 shows a progress bar.

    Returns:
        The table, with formats.

    Raises:
        ValueError: If an image is unreadable, or a file name is not UTF-8.
        FileNotFoundError: If a path does not exist.
        TypeError: If ``images`` is of another type, such as an array.
    """
    if isinstance(images, FaceTable):
        table = images
    elif isinstance(images, (str, os.PathLike)) and os.path.isdir(images):
        _check_no_model(images)
        table = unlabeled_folder(images)
    else:
        table = photographs(_paths(images), once=once)
    check_encoding(table.root, table.paths)
    report = check(table, max_unreadable=1.0, verbose=verbose)
    if len(report.unreadable):
        first = [f"{row.path} ({row.reason})" for row in report.unreadable.head(3).itertuples()]
        raise ValueError(
            "All images must be readable. "
            f"Received: {len(report.unreadable)} that are not, for instance {'; '.join(first)}."
        )
    return report.table


def _paths(images: object) -> list[str | os.PathLike]:
    """The paths of a sequence of paths; arrays and other objects are refused."""
    if isinstance(images, (str, os.PathLike)):
        images = [images]
    listed = images if isinstance(images, (list, tuple)) else None
    odd = next((each for each in listed or () if not isinstance(each, (str, os.PathLike))), None)
    if listed is None or odd is not None:
        found = images if odd is None else odd
        shape = getattr(found, "shape", None)
        kind = type(found).__name__ + (f" of shape {tuple(shape)}" if shape is not None else "")
        inside = "" if odd is None else " in a list"
        raise TypeError(
            f"{IMAGES_RULE} Received: {kind}{inside}. Save the pixels as image files, or call the "
            "Keras model itself: run.load_model().predict(pixels)."
        )
    for path in listed:
        _check_no_model(path)
    return list(listed)


def _check_no_model(path: str | os.PathLike) -> None:
    if is_model(path):
        raise ValueError(
            f"{IMAGES_RULE} Received: {os.fspath(path)!r}, a model. Models are the first argument."
        )


def _model_path(model: object) -> pathlib.Path:
    """The path of a model; raises an error that says what was found in its place."""
    if not isinstance(model, (str, os.PathLike)):
        remedy = (
            "Give one model."
            if isinstance(model, (list, tuple))
            else ("In Python it may also be a Run or a Keras model.")
        )
        raise TypeError(f"{MODEL_RULE} Received: {type(model).__name__}. {remedy}")
    path = pathlib.Path(model)
    shown = repr(os.fspath(path))
    if not path.exists():
        raise FileNotFoundError(f"{MODEL_RULE} Received: {shown}, which does not exist.")
    suffix = path.suffix.lower()
    if path.is_dir():
        if (path / RECIPE).is_file():
            return path
        runs = sorted(file.parent.name for file in path.glob(f"*/{RECIPE}"))
        found = f"a folder without {RECIPE}" + (f" that holds the runs {runs[:3]}" if runs else "")
        remedy = f" Give one of them: {os.fspath(path / runs[0])!r}." if runs else ""
        raise FileNotFoundError(f"{MODEL_RULE} Received: {shown}, {found}.{remedy}")
    if suffix == SUFFIX:
        return path
    if suffix in image_files.EXTENSIONS:
        raise ValueError(f"{MODEL_RULE} Received: {shown}, an image.")
    raise ValueError(f"{MODEL_RULE} Received: {shown}, {describe(path)}.")
