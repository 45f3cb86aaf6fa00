"""How a run resumes: what may differ from its start, and what follows from more epochs."""

from __future__ import annotations

import dataclasses
import filecmp
import os
import pathlib
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasface.data.table import FaceTable
from kerasface.files import replacing
from kerasface.models.weights import PRETRAINED
from kerasface.runs import run as run_files
from kerasface.runs.provenance import note_resumption
from kerasface.runs.recipe import Recipe
from kerasface.runs.recipe_epochs import extend_last_phase
from kerasface.runs.record import write_roots
from kerasface.runs.run import Run
from kerasface.training.progress import Phase, Progress

# Keys that may differ: they change no completed epoch. `epochs` and `phases` may only be extended.
CHANGEABLE = ("early_stopping", "epochs", "max_unreadable", "phases", "unmixed_epochs")


def resumed_run(folder: pathlib.Path, *, resume: bool, overwrite: bool) -> Run | None:
    """Returns the run in a folder if it resumes, and refuses a folder that must not be written to.

    Args:
        folder: Run folder.
        resume: As in `kerasface.train`.
        overwrite: As in `kerasface.train`.

    Returns:
        The run, or None for a new run.

    Raises:
        ValueError: If both options are set.
        FileNotFoundError: If a run should resume and the folder holds none.
        FileExistsError: If the folder is in use.
    """
    if resume and overwrite:
        raise ValueError("`resume` and `overwrite` are mutually exclusive. Received: both.")
    is_run = (folder / run_files.RECIPE).is_file()
    is_taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if is_taken and not is_run:
        raise FileExistsError(
            "A run needs a new folder. "
            f"Received: {os.fspath(folder)!r}, which exists and is not a run. Choose another."
        )
    if resume and not is_run:
        raise FileNotFoundError(
            "There must be a run to resume. "
            f"Received: {os.fspath(folder)!r}, which "
            f"{'is empty' if folder.exists() else 'does not exist'}. "
            "Check the folder, or leave out resume=True to start a new run."
        )
    if is_run and not resume and not overwrite:
        raise FileExistsError(
            f"A new run needs a new folder. Received: {os.fspath(folder)!r}, which holds a run. "
            "Choose another, or use resume=True to resume this run or "
            "overwrite=True to delete it."
        )
    return Run(folder) if is_run and resume else None


def extend_changes(recipe: Recipe, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns changes to the recipe of a run that resumes.

    Args:
        recipe: The recipe of the run.
        changes: Keys to change. More ``epochs`` of a training in phases are given to the last
            phase, since the earlier ones may be complete.

    Returns:
        Keys for `Recipe.replace`.
    """
    epochs = changes.get("epochs")
    if not recipe.phases or "phases" in changes or not isinstance(epochs, int):
        return dict(changes)
    if epochs <= recipe.total_epochs:
        return dict(changes)
    phases = extend_last_phase(recipe.phases, epochs)
    return {key: changes[key] for key in changes if key != "epochs"} | {"phases": phases}


def check_same_recipe(run: Run, recipe: Recipe) -> None:
    """Refuses to resume a run with a recipe that differs in more than it may.

    Args:
        run: The run.
        recipe: The recipe to resume with.

    Raises:
        ValueError: If completed epochs would have been different, or there would be fewer epochs.
    """
    started = run.recipe
    if are_same_weights(run, recipe.weights):
        started = started.replace(weights=recipe.weights)  # the project may have been moved
    before, now = dataclasses.asdict(started), dataclasses.asdict(recipe)
    changed = [key for key in now if before[key] != now[key]]
    refused = [key for key in changed if key not in CHANGEABLE]
    if refused:
        shown = ", ".join(f"{key}: {before[key]!r} -> {now[key]!r}" for key in refused)
        raise ValueError(
            "A run must be resumed with the recipe that it started with. "
            f"Received: other values (was -> now): {shown}. "
            "Leave them out, or start a new run."
        )
    _check_more_epochs(started, recipe)


def _check_more_epochs(started: Recipe, recipe: Recipe) -> None:
    if recipe.total_epochs < started.total_epochs:
        raise ValueError(
            "A run may be resumed with more epochs, not with fewer. "
            f"Received (was -> now): epochs: {started.total_epochs} -> {recipe.total_epochs}."
        )
    *kept, last = started.phases or ({"epochs": started.total_epochs},)
    *kept_now, last_now = recipe.phases or ({"epochs": recipe.total_epochs},)
    same = {**last, "epochs": 0} == {**last_now, "epochs": 0}
    if kept != kept_now or not same:
        raise ValueError(
            "Only the last phase of a run that resumes may be changed, to have more epochs. "
            f"Received (was -> now): phases: {list(started.phases)} -> {list(recipe.phases)}."
        )


def check_same_names(run: Run, train: FaceTable) -> None:
    """Refuses to resume a run with other classes or attributes.

    Args:
        run: The run.
        train: The training images.

    Raises:
        ValueError: If they differ.
    """
    if run.names != train.names or run.multi_label != train.multi_label:
        raise ValueError(
            "A run must be resumed with the classes or attributes that it started with. "
            f"Received: {len(train.names)} names for a run with {len(run.names)}, or other names."
        )


def are_same_weights(run: Run, weights: str | None) -> bool:
    """Whether a run started from these weights, under this path or another.

    Args:
        run: The run.
        weights: As in a recipe.
    """
    started = run.recipe.weights
    if started is None or weights is None or {started, weights} & set(PRETRAINED):
        return started == weights
    if run.weights_path is not None and run.weights_path.is_file() and os.path.isfile(weights):
        return os.path.samefile(run.weights_path, weights) or filecmp.cmp(
            run.weights_path, weights, shallow=False
        )
    # A checkpoint is enough to resume, so either file may be missing.
    return os.path.basename(started) == os.path.basename(weights)


def completed_epochs(run: Run) -> int:
    """Number of epochs that the checkpoint of a run holds; 0 without a checkpoint."""
    path = run.path(run_files.CHECKPOINT)
    if not path.is_file():
        return 0
    with np.load(path) as saved:
        return int(saved["epochs"])


def checkpoint_precision(run: Run) -> str | None:
    """Dtype policy of the checkpoint of a run; None without a checkpoint."""
    path = run.path(run_files.CHECKPOINT)
    if not path.is_file():
        return None
    with np.load(path) as saved:
        return str(saved["policy"]) if "policy" in saved else None


def is_complete(run: Run, recipe: Recipe | None = None) -> bool:
    """Whether a run has no epochs left to train and all of its results.

    Args:
        run: The run.
        recipe: The recipe to resume with. None: that of the run.
    """
    progress = Progress(run.folder, recipe or run.recipe, completed_epochs(run))
    has_results = run.path(run_files.METRICS).is_file() and run.path(run_files.MODEL).is_file()
    return has_results and not any(progress.remaining())


def begin_resumption(run: Run, recipe: Recipe, tables: Mapping[str, FaceTable]) -> None:
    """Writes what a run resumes with, and says what more epochs change.

    Args:
        run: The run.
        recipe: The recipe to resume with, which passed `check_same_recipe`.
        tables: The tables by partition. Their folders may have been moved.

    Warns:
        UserWarning: If the learning rate or the mixing of the next epochs follow from another
            number of epochs.
    """
    started, completed = run.recipe, completed_epochs(run)
    write_roots(run.folder, tables)
    note_resumption(run.folder)
    if recipe == started:
        return
    if recipe.total_epochs > started.total_epochs and completed:
        warnings.warn(_consequence(started, recipe, completed), stacklevel=4)
    kept = recipe.replace(weights=started.weights) if recipe.weights else recipe
    with replacing(run.path(run_files.RECIPE)) as part:
        part.write_text(kept.to_json(), encoding="utf-8")


def _consequence(started: Recipe, recipe: Recipe, completed: int) -> str:
    """One line about the epochs that follow when a run is extended."""
    total = recipe.total_epochs
    text = f"the run was planned with {started.total_epochs} epochs and now has {total}: "
    phase = _phase_at(recipe, completed)
    if phase.recipe.schedule == "cosine":
        text += (
            f"the cosine schedule now ends with epoch {phase.end}, so the learning rate of epoch "
            f"{completed + 1} is {_cosine_rate(phase, completed):.2g}"
        )
        earlier = _phase_at(started, completed - 1)
        text += f", after {_cosine_rate(earlier, completed):.2g} at the end of epoch {completed}"
    elif phase.recipe.schedule in ("step", "plateau"):
        text += f"the schedule {phase.recipe.schedule!r} continues"
    else:
        text += f"the learning rate stays {phase.recipe.learning_rate:g}"
    last_mixed = total - recipe.unmixed_epochs
    if (recipe.mixup or recipe.cutmix) and last_mixed > completed:
        text += f"; images are mixed until epoch {last_mixed}"
    return text


def _phase_at(recipe: Recipe, epoch: int) -> Phase:
    phases = Progress(pathlib.Path(), recipe).phases
    return next((phase for phase in phases if phase.start <= epoch < phase.end), phases[-1])


def _cosine_rate(phase: Phase, epoch: int) -> float:
    """The learning rate of a cosine schedule at the beginning of an epoch, counted from 0."""
    part, done = phase.recipe, epoch - phase.start
    if done < part.warmup_epochs:
        rise = part.learning_rate - part.warmup_learning_rate
        return part.warmup_learning_rate + rise * done / part.warmup_epochs
    share = (done - part.warmup_epochs) / (part.total_epochs - part.warmup_epochs)
    fall = part.learning_rate - part.final_learning_rate
    return part.final_learning_rate + fall * (1 + float(np.cos(np.pi * share))) / 2
