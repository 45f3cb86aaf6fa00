"""`train`: a recipe and tables to a run folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import keras

from kerasface.data.table import FaceTable
from kerasface.dlib_files import LEARNED_PEOPLE
from kerasface.models.weights import DLIB
from kerasface.runs.recipe import Recipe
from kerasface.runs.run import Run
from kerasface.training.epoch_log import shown_verbosity
from kerasface.training.finish import finish
from kerasface.training.phases import fit_phases
from kerasface.training.preflight import prepare


def train(
    recipe: str | Recipe | None = None,
    *,
    train: FaceTable | None = None,
    validation: FaceTable | None = None,
    out: str | os.PathLike,
    model: keras.Model | str | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    resume: bool = False,
    overwrite: bool = False,
    features: str | os.PathLike | None = None,
    report: bool = True,
    verbose: int | str = "auto",
    **changes: Any,
) -> Run:
    """Trains a classifier or an embedding model and writes a run folder.

    Args:
        recipe: Name of a recipe, or a recipe. Only with ``resume`` it may be left out: then it is
            that of the run.
        train: Training images, labeled with classes or attributes. Only with ``resume`` they may
            be left out: then they are the images that the run has recorded, as are the validation
            images.
        validation: Validation images, labeled in the same way; None trains without validation.
            For attributes, the thresholds that `kerasface.predict` uses are chosen on them.
        out: Run folder to write.
        model: Your own model, or the name of another model than the recipe's; None uses that of
            the recipe. Your own is a functional or `Sequential` `keras.Model`, or an instance of a
            functional subclass that overrides none of ``call``, ``train_step``, ``test_step``,
            ``compute_loss`` and ``compute_metrics``. It has one input, RGB images in [0, 255] of
            shape ``[None, size, size, 3]``, and one output of shape ``[None, outputs]``: a softmax
            over the classes (not logits), a sigmoid per attribute, or, for a recipe with
            ``embedding``, a `keras.layers.UnitNormalization`. It is trained in place, so it has
            the weights of the last epoch afterwards. The recipe's keys about the network,
            ``image_size`` and ``precision`` follow it. The run keeps a plain model of its layers:
            ``resume``, `kerasface.predict` and `kerasface.compare` do not need the code that
            made it, except for custom layers, which must be registered.
        callbacks: Keras callbacks to add.
        resume: If True, the run in ``out`` resumes from its last completed epoch. On cached
            features it resumes from the last one that was saved, at most ten seconds before. The
            images may be in another folder, the device may be another, and ``epochs`` may be
            larger: the schedule is then that of the larger number, which a warning states. Any
            other change of the recipe is refused.
        overwrite: If True, a run in ``out`` is deleted first.
        features: Folder for cached features (``cache_features``), which several runs may share;
            None is ``features`` in ``out``.
        report: If True, evaluate the kept weights on the validation images at the end: metrics,
            figures and ``report.html``.
        verbose: 0 shows nothing, 1 a progress bar and a line per epoch, 2 a line per epoch.
            ``"auto"`` is 1 on a terminal and 2 elsewhere.
        **changes: Keys of the recipe to change, for instance ``epochs=30``.

    Returns:
        The run.

    Raises:
        ValueError: If recipe, model and tables do not fit, an image is in both tables, ``weights``
            are those of a run that was trained on validation images, or too many files cannot
            be read.
        FileExistsError: If ``out`` is not empty and neither ``resume`` nor ``overwrite`` is set.
        FileNotFoundError: If there is no run to resume, or its images are missing.
        RuntimeError: If a script calls it while multiprocessing imports the script.

    Example:
        >>> run = train("hw2p2", train=train_table, validation=dev_table, out="runs/hw2p2",
        ...             image_size=112, batch_size=64, epochs=30)  # doctest: +SKIP
    """
    job = prepare(
        recipe,
        train=train,
        validation=validation,
        out=out,
        model=model,
        callbacks=callbacks,
        resume=resume,
        overwrite=overwrite,
        features=features,
        verbose=verbose,
        changes=changes,
    )
    if shown_verbosity(verbose) and job.recipe.weights == DLIB:
        print(f"{LEARNED_PEOPLE} Figures on these people are too high.", flush=True)
    fit_phases(job)
    return finish(job, report=report)
