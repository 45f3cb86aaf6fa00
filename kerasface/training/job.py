"""Job: a training whose inputs are checked."""

from __future__ import annotations

import dataclasses
import pathlib

import keras

from kerasface.data.table import FaceTable
from kerasface.runs.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Job:
    """A training that is ready to start: checked inputs and a run folder that exists.

    Attributes:
        recipe: The recipe that the run folder holds.
        folder: The run folder.
        model: The model for images, with its initial weights, not compiled.
        train: Readable training images.
        validation: Readable validation images; None without validation, and where they are
            trained on.
        features: Folder for cached features.
        resume: Whether the run continues from its checkpoint.
        callbacks: The user's Keras callbacks.
        verbose: As in ``model.fit``.
    """

    recipe: Recipe
    folder: pathlib.Path
    model: keras.Model
    train: FaceTable
    validation: FaceTable | None
    features: pathlib.Path
    resume: bool = False
    callbacks: tuple[keras.callbacks.Callback, ...] = ()
    verbose: int | str = "auto"
