"""Checks everything that can be wrong before the first epoch, and makes the run folder."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import shutil
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from kerasface.data.table import FaceTable
from kerasface.files import new_folder
from kerasface.models.registry import CUSTOM_MODEL
from kerasface.runs import run as run_files
from kerasface.runs.provenance import write_preparation, write_provenance
from kerasface.runs.recipe import Recipe
from kerasface.runs.recipes import RECIPES, named_recipe
from kerasface.runs.record import recorded_tables, same_images, write_images
from kerasface.runs.run import Run
from kerasface.runs.seen import run_behind, seen_images
from kerasface.training.assemble import build_model, dtype_policy
from kerasface.training.custom_model import (
    describe,
    describe_run,
    functional_model,
    recipe_for,
    resumed_model,
    set_random_states,
)
from kerasface.training.custom_model_checks import check_custom_model
from kerasface.training.discriminant import linear_layer
from kerasface.training.job import Job
from kerasface.training.options import check_features_folder, check_process, check_verbose
from kerasface.training.resuming import (
    begin_resumption,
    check_same_names,
    check_same_recipe,
    checkpoint_precision,
    extend_changes,
    resumed_run,
)
from kerasface.training.tables import check_files, check_tables, check_types, join_tables


def prepare(
    recipe: str | Recipe | None,
    *,
    train: FaceTable | None,
    validation: FaceTable | None,
    out: str | os.PathLike,
    model: keras.Model | str | None,
    callbacks: Sequence[keras.callbacks.Callback],
    resume: bool,
    overwrite: bool,
    features: str | os.PathLike | None,
    verbose: int | str,
    changes: Mapping[str, Any],
) -> Job:
    """Checks the arguments of `kerasface.train` and makes the run folder.

    Nothing is written before all checks have passed.

    Args:
        recipe: As in `kerasface.train`.
        train: As in `kerasface.train`.
        validation: As in `kerasface.train`.
        out: As in `kerasface.train`.
        model: As in `kerasface.train`.
        callbacks: As in `kerasface.train`.
        resume: As in `kerasface.train`.
        overwrite: As in `kerasface.train`.
        features: As in `kerasface.train`.
        verbose: As in `kerasface.train`.
        changes: Keys of the recipe to change.

    Returns:
        The training to run.

    Raises:
        ValueError: If recipe, tables, weights and folder do not fit.
        FileNotFoundError: If there is no run to resume, or its images are missing.
        FileExistsError: If ``out`` is in use.
    """
    check_process()
    check_verbose(verbose)
    _check_model(model)
    folder = pathlib.Path(out)
    run = resumed_run(folder, resume=resume, overwrite=overwrite)
    custom = functional_model(model) if isinstance(model, keras.Model) else None
    if isinstance(model, str):
        changes = {**changes, "model": model}
    resolved = _resolved(recipe, changes, custom, run)
    check_features_folder(features, resolved)
    train, validation = _tables(train, validation, resolved, run)
    check_tables(train, validation, resolved)
    tables = {"train": train} if validation is None else {"train": train, "validation": validation}
    if run is not None:
        check_same_recipe(run, resolved)
        check_same_names(run, train)
        whole = _initial_model(_in_precision_of(run, resolved), train, custom, run)
        readable = same_images(folder, tables)
        begin_resumption(run, resolved, tables)
        resolved = _in_precision_of(run, resolved)
    else:
        whole = _initial_model(resolved, train, custom, run)
        readable, unreadable = check_files(
            tables, max_unreadable=resolved.max_unreadable, verbose=int(bool(verbose))
        )
        _check_weights(resolved, readable.get("validation"))
        with _new_run(folder, resolved, tables, readable, unreadable, overwrite=overwrite) as part:
            write_provenance(part, resolved.name)
            write_preparation(part, train.root)
            if custom is not None:
                custom.save(part / run_files.ARCHITECTURE)
    train, validation = readable["train"], readable.get("validation")
    if resolved.train_on_validation and validation is not None:
        train, validation = join_tables(train, validation), None
    return Job(
        recipe=resolved,
        folder=folder,
        model=whole,
        train=train,
        validation=validation,
        features=folder / run_files.FEATURES if features is None else pathlib.Path(features),
        resume=run is not None,
        callbacks=tuple(callbacks),
        verbose=verbose,
    )


def _check_model(model: object) -> None:
    """Refuses what is neither a Keras model nor the name of a model."""
    if model is None or isinstance(model, keras.Model):
        return
    is_file = isinstance(model, os.PathLike) or str(model).endswith((".keras", ".h5"))
    if isinstance(model, str) and not is_file:
        return
    remedy = ""
    if is_file:
        remedy = (
            " Load a model with keras.saving.load_model, or start from its weights with "
            "weights=PATH."
        )
    elif isinstance(model, type):
        remedy = f" Make an instance of {model.__name__}."
    raise ValueError(
        "`model` must be a keras.Model or the name of a model. "
        f"Received: {model!r} of type {type(model).__name__}.{remedy}"
    )


def _resolved(
    recipe: str | Recipe | None,
    changes: Mapping[str, Any],
    custom: keras.Model | None,
    run: Run | None,
) -> Recipe:
    """The recipe with the user's changes; its network is that of a custom model, if there is one.

    Args:
        recipe: Name of a recipe, or a recipe; None takes that of the run.
        changes: Keys to change.
        custom: The user's model.
        run: The run that resumes.
    """
    if recipe is None:
        if run is None:
            raise ValueError(
                "A new run needs a `recipe`. Received: None. Only with resume=True it comes from "
                f"the run. Recipes: {', '.join(RECIPES)}."
            )
        recipe = run.recipe
        changes = extend_changes(recipe, changes)
    elif isinstance(recipe, str):
        recipe = named_recipe(recipe)
    elif not isinstance(recipe, Recipe):
        raise ValueError(
            "`recipe` must be the name of a recipe or a Recipe. "
            f"Received: {recipe!r} of type {type(recipe).__name__}."
        )
    name, network = recipe.name, None
    if custom is not None:
        network = describe(custom)
    elif run is not None:
        network = describe_run(run)
    if network is not None:
        return recipe_for(recipe, changes, network).named(name)
    recipe = recipe.replace(**changes) if changes else recipe
    if recipe.model == CUSTOM_MODEL:
        raise ValueError(
            "The recipe of a run with a custom model needs a model. "
            f"Received: model={CUSTOM_MODEL!r}. Pass it as `model`."
        )
    return recipe


def _tables(
    train: FaceTable | None, validation: FaceTable | None, recipe: Recipe, run: Run | None
) -> tuple[FaceTable, FaceTable | None]:
    """The tables with the attributes of the recipe; those of the run if none are given."""
    if train is None and validation is None and run is not None:
        recorded = recorded_tables(run.folder, run.names, multi_label=run.multi_label)
        return recorded["train"], recorded.get("validation")
    check_types(train, validation)
    assert train is not None
    if recipe.attributes:
        train = train.with_attributes(recipe.attributes)
        if validation is not None:
            validation = validation.with_attributes(recipe.attributes)
    return train, validation


def _in_precision_of(run: Run, recipe: Recipe) -> Recipe:
    """The recipe with the precision that the run started with, which may depend on the device."""
    precision = checkpoint_precision(run)
    if recipe.precision != "auto" or precision is None:
        return recipe
    return dataclasses.replace(recipe, precision=precision)


def _initial_model(
    recipe: Recipe, train: FaceTable, custom: keras.Model | None, run: Run | None
) -> keras.Model:
    """The model for the first epoch, or for the checkpoint of the run that resumes."""
    keras.utils.set_random_seed(recipe.seed)
    if recipe.model == CUSTOM_MODEL:
        if run is not None:
            model = resumed_model(run, custom)
        else:
            assert custom is not None
            check_custom_model(custom, recipe, train)
            model = custom
        set_random_states(model, recipe.seed)
    else:
        # A checkpoint holds all weights; the file of the initial ones may be gone.
        empty = run is not None and run.path(run_files.CHECKPOINT).is_file()
        initial = recipe
        if run is not None and run.weights_path is not None and run.weights_path.is_file():
            # The path in the recipe may be relative to another folder than the present one.
            initial = recipe.replace(weights=os.fspath(run.weights_path))
        multi_label = train.multi_label
        with dtype_policy(recipe.precision):
            model = build_model(initial, len(train.names), multi_label=multi_label, empty=empty)
    if recipe.head_start != "random":
        linear_layer(model, multi_label=train.multi_label)  # refuses other heads
    return model


def _check_weights(recipe: Recipe, validation: FaceTable | None) -> None:
    """Refuses weights of a run that was trained on validation images."""
    earlier = run_behind(recipe.weights)
    if earlier is None or validation is None or recipe.train_on_validation:
        return
    seen = set(seen_images(earlier, validation))
    if seen and not earlier.recipe.train_on_validation:
        # Copies of one picture may be in both partitions of that run, which validated on these.
        seen -= set(seen_images(earlier, validation, "validation"))
    if seen:
        raise ValueError(
            "The weights must not have been trained on validation images. "
            f"Received: {len(seen)} of {len(validation)} that {earlier.folder} was trained on, "
            f"for instance {sorted(seen)[:3]}. Split the images as that run did (the same folder, "
            "share and seed), or train without validation."
        )


@contextlib.contextmanager
def _new_run(
    folder: pathlib.Path,
    recipe: Recipe,
    tables: Mapping[str, FaceTable],
    readable: Mapping[str, FaceTable],
    unreadable: pd.DataFrame,
    *,
    overwrite: bool,
) -> Iterator[pathlib.Path]:
    """Makes the run folder with everything that every run holds before its first epoch."""
    train = tables["train"]
    names = json.dumps(list(train.names), ensure_ascii=False, indent=0)
    environment = json.dumps(_environment(), indent=2) + "\n"
    with new_folder(folder, exist_ok=False) as part:
        unreadable.to_csv(part / run_files.UNREADABLE, index=False)
        file = run_files.ATTRIBUTES if train.multi_label else run_files.CLASSES
        (part / file).write_text(names, encoding="utf-8")
        write_images(part, tables, readable)
        (part / run_files.ENVIRONMENT).write_text(environment, encoding="utf-8")
        run_files.write_weights_path(part, recipe.weights)
        (part / run_files.RECIPE).write_text(recipe.to_json(), encoding="utf-8")
        yield part
        if overwrite and folder.exists():
            shutil.rmtree(folder)


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }
