"""`train`: a recipe and tables to a run folder."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import platform
import shutil
import warnings
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from kerasface.callbacks import Curves
from kerasface.data.reading import sampled_sizes
from kerasface.data.table import CheckReport, FaceTable, check
from kerasface.embedding.training import EmbeddingTraining
from kerasface.files import new_folder, replacing
from kerasface.models.heads import split_model
from kerasface.pipeline.streams import steps_per_epoch, stream
from kerasface.runs import run as run_files
from kerasface.runs.embedding_evaluation import evaluate_embeddings
from kerasface.runs.evaluation import choose_thresholds, evaluate_run
from kerasface.runs.recipe import Recipe
from kerasface.runs.recipes import named_recipe
from kerasface.runs.record import same_images, write_images
from kerasface.runs.report import write_report
from kerasface.runs.run import Run
from kerasface.runs.seen import run_behind, seen_images
from kerasface.training.assemble import (
    accuracy,
    build_model,
    compile_model,
    dtype_policy,
    set_trainable,
)
from kerasface.training.discriminant import linear_layer, start_from_discriminant
from kerasface.training.embedding_head import build_head
from kerasface.training.features import (
    HeadTraining,
    extract,
    feature_stream,
    inference,
)
from kerasface.training.keeper import Keeper, Plateau, WholeTraining, best_row

# Seconds. An epoch on cached features takes less time than writing down what came of it.
CACHED_INTERVAL = 10.0
# The pictures of each image that a discriminant is made of, and how many of each kind. In five
# folds of 1,381 pictures of 23 celebrities the area under the ROC curves is with all of them .973,
# without the crops .971, with the images alone .967; rotations and changed colours lose.
DISCRIMINANT_PICTURES = (((), 1), (("flip:1",), 1), (("flip", "crop:0.7"), 4))


def train(
    recipe: str | Recipe,
    *,
    train: FaceTable,
    validation: FaceTable | None = None,
    out: str | os.PathLike,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    resume: bool = False,
    overwrite: bool = False,
    features: str | os.PathLike | None = None,
    report: bool = True,
    verbose: int | str = "auto",
    **changes,
) -> Run:
    """Trains a classifier, or an embedding model, and leaves a run folder.

    Args:
        recipe: Name of a recipe, or a recipe.
        train: Images to learn, with classes or attributes.
        validation: Images to judge by, labelled and numbered alike; None judges nothing. Of
            attributes, the thresholds that `kerasface.predict` applies are chosen on them.
        out: The run folder.
        callbacks: Further Keras callbacks.
        resume: Whether an unfinished run in ``out`` goes on after its last whole epoch (on
            cached features: the last one that was written, every ten seconds). Its recipe must
            be the same.
        overwrite: Whether a run in ``out`` is deleted first.
        features: Folder for cached features (``cache_features``), which several runs may share;
            None is ``features`` in ``out``.
        report: Whether the kept weights are judged on the validation at the end: figures,
            pictures and ``report.html``.
        verbose: As in ``model.fit``.
        **changes: Keys of the recipe to change, for instance ``epochs=30``.

    Returns:
        The run.

    Raises:
        ValueError: If recipe and tables do not fit, the same file is on both sides, ``weights``
            are of a run that was trained on images of the validation, or too many files cannot
            be read.
        FileExistsError: If ``out`` holds something and neither ``resume`` nor ``overwrite`` says
            what to do.

    Example:
        >>> run = train("hw2p2", train=train_table, validation=dev_table, out="runs/hw2p2",
        ...             image_size=112, batch_size=64, epochs=30)  # doctest: +SKIP
    """
    recipe = (named_recipe(recipe) if isinstance(recipe, str) else recipe).replace(**changes)
    if recipe.attributes:
        train = train.with_attributes(recipe.attributes)
        if validation is not None:
            validation = validation.with_attributes(recipe.attributes)
    _check_tables(train, validation, recipe)
    folder = pathlib.Path(out)
    goes_on = _check_folder(folder, recipe, train, resume, overwrite)
    keras.utils.set_random_seed(recipe.seed)
    with dtype_policy(recipe.precision):
        # A checkpoint holds all weights; those that it began with may be gone.
        empty = goes_on and (folder / run_files.CHECKPOINT).is_file()
        initial = recipe
        if goes_on and not empty:
            # The path in the recipe may be relative to another folder than the present one.
            started_from = Run(folder).weights_path
            if started_from is not None and started_from.is_file():
                initial = recipe.replace(weights=started_from)
        model = build_model(initial, len(train.names), multi_label=train.multi_label, empty=empty)
    if recipe.head_start == "lda":
        linear_layer(model, multi_label=train.multi_label)  # refuses other heads
    given = {"train": train} if validation is None else {"train": train, "validation": validation}
    if goes_on:
        readable = same_images(folder, given)
    else:
        readable, unreadable = _check_files(recipe, given, bool(verbose))
        _check_weights(recipe, readable.get("validation"))
        # Nothing is written before all that can be wrong has been looked at.
        _begin(folder, recipe, given, readable, unreadable, overwrite)
    train, validation = readable["train"], readable.get("validation")
    if recipe.train_on_validation and validation is not None:
        train, validation = _join(train, validation), None

    features = folder / run_files.FEATURES if features is None else pathlib.Path(features)
    _fit_phases(model, recipe, train, validation, folder, features, callbacks, goes_on, verbose)
    run = Run(folder)
    _write_metrics(run, recipe, train, validation, model)
    if report:
        evaluation, folder = None, run.path(run_files.VALIDATION)
        if validation is not None and run.embeds:
            evaluation = evaluate_embeddings(run, validation, folder)
        elif validation is not None:
            evaluation = evaluate_run(run, validation, folder, thresholds=run.multi_label)
        write_report(run, run.path(run_files.REPORT), evaluation)
    elif run.multi_label and validation is not None:
        choose_thresholds(run, validation, batch_size=recipe.batch_size)
    return run


def _check_tables(train: FaceTable, validation: FaceTable | None, recipe: Recipe) -> None:
    for name, table in (("train", train), ("validation", validation)):
        if table is not None and table.labels is None:
            raise ValueError(f"`{name}` must be labelled. Received: {table.summary()}.")
        if table is not None and not len(table):
            raise ValueError(
                f"`{name}` must hold images. Received: none of them, in {table.root}. "
                "Give other ones, or leave the validation out."
            )
    if validation is not None and validation.multi_label != train.multi_label:
        raise ValueError(
            "`train` and `validation` must both have classes or both attributes. "
            f"Received: {train.summary()}; {validation.summary()}."
        )
    if recipe.embedding and train.multi_label:
        raise ValueError(
            "An embedding tells people apart and needs one class an image. "
            f"Received: {train.summary()}, attributes."
        )
    if len(train.names) < 2 and not train.multi_label:
        raise ValueError(
            f"A classifier needs at least two classes. Received: {list(train.names)} in `train`."
        )
    if recipe.early_stopping and (validation is None or recipe.train_on_validation):
        raise ValueError(
            "Early stopping needs a validation table that is not trained on. "
            f"Received: early_stopping={recipe.early_stopping}. Give one, or set it to 0."
        )
    plateau = any(part.schedule == "plateau" for part in recipe.parts())
    if plateau and (validation is None or recipe.train_on_validation):
        raise ValueError(
            "The schedule 'plateau' needs a validation table that is not trained on. "
            "Received: none. Give one, or take another schedule."
        )
    if validation is None:
        if recipe.train_on_validation:
            raise ValueError(
                "`train_on_validation` needs a validation table to train on. "
                "Received: validation=None."
            )
        return
    if validation.names != train.names:
        odd = sorted(set(validation.names) ^ set(train.names))
        raise ValueError(
            "`train` and `validation` must number the same classes or attributes alike. Received: "
            f"{len(train.names)} and {len(validation.names)}, of which {odd[:5]} are in "
            "one alone. Read the validation folder with names=train.names."
        )
    shared = sorted(
        {os.path.realpath(path) for path in train.full_paths()}
        & {os.path.realpath(path) for path in validation.full_paths()}
    )
    if shared:
        raise ValueError(
            "No image may be in `train` and in `validation`. "
            f"Received: {len(shared)} in both, for instance {shared[0]}."
        )


def _check_weights(recipe: Recipe, validation: FaceTable | None) -> None:
    earlier = run_behind(recipe.weights)
    if earlier is None or validation is None or recipe.train_on_validation:
        return
    seen = set(seen_images(earlier, validation))
    if seen and not earlier.recipe.train_on_validation:
        # Copies of one picture may lie on both sides of that run, and it was judged by these.
        seen -= set(seen_images(earlier, validation, "validation"))
    if seen:
        raise ValueError(
            "A validation must be of images that the weights were not trained on. "
            f"Received: {len(seen)} of {len(validation)} that {earlier.folder} was trained on, "
            f"for instance {sorted(seen)[:3]}. Split the images as that run did (the same folder, "
            "share and seed), or validate nothing."
        )


def _check_folder(
    folder: pathlib.Path, recipe: Recipe, train: FaceTable, resume: bool, overwrite: bool
) -> bool:
    """Whether the folder holds a run that goes on; raises if it must not be written to."""
    if resume and overwrite:
        raise ValueError("Say `resume` or `overwrite`, not both. Received: both.")
    is_run = (folder / run_files.RECIPE).is_file()
    is_taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if is_taken and not is_run:
        raise FileExistsError(
            "A run needs a folder of its own. "
            f"Received: {os.fspath(folder)!r}, which holds something else. Choose another."
        )
    if is_run and not resume and not overwrite:
        raise FileExistsError(
            f"A new run needs a new folder. Received: {os.fspath(folder)!r}, which holds a run. "
            "Choose another, or say resume=True (--resume) to go on with it or overwrite=True "
            "(--overwrite) to delete it."
        )
    if resume and is_run:
        run = Run(folder)
        begun = run.recipe
        if os.path.basename(begun.weights or "") == os.path.basename(recipe.weights or ""):
            begun = begun.replace(weights=recipe.weights)  # the project may have been moved
        if begun != recipe:
            before, now = dataclasses.asdict(begun), dataclasses.asdict(recipe)
            changed = {key: (before[key], now[key]) for key in now if before[key] != now[key]}
            raise ValueError(
                "A run goes on with the recipe that it began with. Received: other values, as "
                f"(then, now): {changed}. Give the same ones, or start a new run."
            )
        if run.names != train.names or run.multi_label != train.multi_label:
            raise ValueError(
                "A run goes on with the classes or attributes that it began with. "
                f"Received: {len(train.names)} where there were {len(run.names)}, or others."
            )
    return resume and is_run


def _begin(folder, recipe, given, readable, unreadable, overwrite) -> None:
    """Makes the run's folder, with all that it holds before its first epoch."""
    train = given["train"]
    names = json.dumps(list(train.names), ensure_ascii=False, indent=0)
    with new_folder(folder) as part:
        unreadable.to_csv(part / run_files.UNREADABLE, index=False)
        file = run_files.ATTRIBUTES if train.multi_label else run_files.CLASSES
        _write_text(part / file, names)
        write_images(part, given, readable)
        _write_text(part / run_files.ENVIRONMENT, json.dumps(_environment(), indent=2) + "\n")
        run_files.write_weights_path(part, recipe.weights)
        _write_text(part / run_files.RECIPE, recipe.to_json())
        if overwrite and folder.exists():
            shutil.rmtree(folder)


def _environment() -> dict:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


def _check_files(recipe, given, progress) -> tuple[dict[str, FaceTable], pd.DataFrame]:
    """The readable rows of the tables, and the list of the other files."""
    reports = {
        side: check(table, max_unreadable=recipe.max_unreadable, progress=progress)
        for side, table in given.items()
    }
    for side, report in reports.items():
        _warn_of_losses(side, given[side], report)
    unreadable = pd.concat(
        [report.unreadable.assign(root=os.fspath(report.table.root)) for report in reports.values()]
    )
    tables = {side: report.table for side, report in reports.items()}
    return tables, unreadable[["root", "path", "reason"]]


def _warn_of_losses(side: str, table: FaceTable, report: CheckReport) -> None:
    """Tells of files that cannot be read, and of classes that have no others."""
    if not len(report.unreadable):
        return
    text = (
        f"{len(report.unreadable)} of the {len(table)} images of `{side}` cannot be read and are "
        f"left out, for instance {report.unreadable['path'].head(3).tolist()}"
    )
    if not table.multi_label:
        emptied = table.counts().index[(table.counts() > 0) & (report.table.counts() == 0)]
        if len(emptied):
            text += f"; {len(emptied)} classes have none left: {emptied[:3].tolist()}"
    warnings.warn(text, stacklevel=4)


def _join(train: FaceTable, validation: FaceTable) -> FaceTable:
    """Both tables in one, with absolute paths since their roots differ."""
    paths = [os.path.abspath(path) for path in train.full_paths() + validation.full_paths()]
    return FaceTable(
        pathlib.Path("/"),
        np.array(paths, dtype=object),
        np.concatenate([train.labels, validation.labels]),
        train.names,
        np.concatenate([train.formats, validation.formats]),
    )


def _fit_phases(
    model, recipe, train, validation, folder, features, callbacks, goes_on, verbose
) -> None:
    """Every phase that is not done yet, each compiled anew."""
    # One for all phases: its centers go on with the network.
    centers = build_head(recipe, train) if recipe.embedding else None
    keeper = Keeper(folder, recipe, model, centers.variables if centers else ())
    done = keeper.epochs_done() if goes_on else 0
    if recipe.head_start == "lda" and not done:
        _start_head(model, recipe, train, keeper, features, verbose)
    parts, start, begins = recipe.parts(), 0, True
    for index, part in enumerate(parts):
        end = start + part.total_epochs
        keeper.begin_phase(index, start, end, CACHED_INTERVAL if part.cached else 0.0)
        if done < end and not (goes_on and keeper.stopped_early(done)):
            set_trainable(model, parts[: index + 1])
            backbone, fitted = None, model
            if centers is not None:
                with dtype_policy(recipe.precision):
                    frozen = part.trainable == "head"
                    fitted = EmbeddingTraining(model, centers, frozen_backbone=frozen)
            elif part.trainable == "head":
                with dtype_policy(recipe.precision):  # it decides about the scaling of the loss
                    backbone, head = split_model(model)
                    fitted = head if part.cached else HeadTraining(backbone, head)
            compile_model(fitted, part, train)
            if centers is not None:
                model.compile(fitted.optimizer)
            elif fitted is not model:  # for callbacks, which look at the whole model
                model.compile(fitted.optimizer, fitted.loss, weighted_metrics=accuracy(train))
            if goes_on and done:
                keeper.restore(fitted.optimizer)
            goes_on = False
            first = max(start, done)
            if part.cached:
                batches, judged = _feature_batches(
                    backbone, recipe, train, validation, keeper, features, first, verbose
                )
            else:
                batches, judged = _image_batches(recipe, train, validation, keeper, first)
            last = index == len(parts) - 1
            users = [WholeTraining(callback, model, begins, last) for callback in callbacks]
            begins = False
            steps = steps_per_epoch(train, recipe.batch_size)
            _fit(fitted, recipe, part, batches, judged, keeper, users, first, steps, verbose)
            if fitted.stop_training and not keeper.stopped_early():
                # A user's callback ends the training, not the phase.
                if not last:
                    for callback in callbacks:
                        callback.on_train_end()
                break
        start = end
    set_trainable(model, parts)  # of a run that was finished before, for its figures


def _start_head(model, recipe, train, keeper, folder, verbose) -> None:
    """The last layer as the discriminant of the training images and further pictures of them."""
    backbone, _ = split_model(model)
    infer = inference(backbone)
    known = [
        extract(
            backbone,
            train,
            folder,
            infer=infer,
            image_size=recipe.image_size,
            batch_size=recipe.batch_size,
            crop=recipe.crop(training=False),
            augment=augment,
            variants=variants,
            seed=recipe.seed,
            on_unreadable=keeper.note_unreadable,
            verbose=bool(verbose),
        )
        for augment, variants in DISCRIMINANT_PICTURES
    ]
    readable = known[0].weights[0] > 0
    features = np.concatenate([each.values[:, readable] for each in known])
    start_from_discriminant(linear_layer(model), features, train.labels[readable])


def _image_batches(recipe, train, validation, keeper, first_epoch):
    """Training batches from an epoch on to the end of the run, and those that are judged by."""
    labels = "index" if recipe.embedding else "one_hot"
    common = {"image_size": recipe.image_size, "labels": labels}
    common |= {"batch_size": recipe.batch_size, "on_unreadable": keeper.note_unreadable}
    batches = stream(
        train,
        **common,
        training=True,
        crop=recipe.crop(training=True),
        augment=recipe.augment,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
        mix_epochs=recipe.total_epochs - recipe.unmixed_epochs,
        seed=recipe.seed,
        epochs=recipe.total_epochs,
        start_step=first_epoch * steps_per_epoch(train, recipe.batch_size),
    )
    if validation is None:
        return batches, None
    return batches, stream(validation, **common, crop=recipe.crop(training=False))


def _feature_batches(backbone, recipe, train, validation, keeper, folder, first_epoch, verbose):
    """As `_image_batches`, of the features that a frozen backbone makes of the images."""
    common = {"batch_size": recipe.batch_size}
    options = {"image_size": recipe.image_size, "verbose": bool(verbose), **common}
    options["infer"] = inference(backbone)
    options["on_unreadable"] = keeper.note_unreadable
    known = extract(
        backbone,
        train,
        folder,
        **options,
        crop=recipe.crop(training=True),
        augment=recipe.augment,
        variants=recipe.feature_variants if recipe.augment or recipe.square_crop else 1,
        seed=recipe.seed,
    )
    batches = feature_stream(
        known,
        train,
        **common,
        training=True,
        seed=recipe.seed,
        epochs=recipe.total_epochs,
        start_step=first_epoch * steps_per_epoch(train, recipe.batch_size),
    )
    if validation is None:
        return batches, None
    judged = extract(backbone, validation, folder, **options, crop=recipe.crop(training=False))
    return batches, feature_stream(judged, validation, **common)


def _fit(
    model, recipe, part, batches, judged, keeper, callbacks, first_epoch, steps, verbose
) -> None:
    """One phase, from an epoch on; epochs and steps are counted over the whole run."""
    curves = Curves(
        keeper.folder / run_files.CURVES,
        title=f"{keeper.folder.name}: {recipe.model}",
        resume=first_epoch > 0,
        interval=CACHED_INTERVAL if part.cached else 0.0,
    )
    average = [keeper.average] if recipe.ema else []
    # Behind the curves, which show the rate of the epoch that ends, and before the checkpoint.
    plateau = [Plateau(keeper, part)] if part.schedule == "plateau" else []
    model.fit(
        batches,
        epochs=keeper.end,
        initial_epoch=first_epoch,
        steps_per_epoch=steps,
        shuffle=False,  # the stream shuffles
        validation_data=judged,
        # The average first: the others are to see the weights that were judged.
        callbacks=[*average, curves, *plateau, keeper, *callbacks],
        verbose=verbose,
    )


def _write_metrics(run: Run, recipe: Recipe, train, validation, model) -> None:
    history = run.history
    monitor = recipe.monitor if recipe.monitor in history else None
    row = best_row(history, monitor) if monitor else len(history) - 1
    seconds = max(float(history["seconds"].median()), 0.001)  # what a row resolves
    metrics = {
        "best": _plain(history.iloc[row]),
        "last": _plain(history.iloc[-1]),
        "kept": "best" if monitor and recipe.keep == "best" else "last",
        "train_images": len(train),
        "height_to_width": _shape(train),
        "validation_images": 0 if validation is None else len(validation),
        "attributes" if train.multi_label else "classes": len(train.names),
        "parameters": model.count_params(),
        "trainable_parameters": int(sum(np.prod(v.shape) for v in model.trainable_variables)),
        "seconds_per_epoch": round(seconds, 3),
        "images_per_second": round(len(train) / seconds, 2),
    }
    _write_text(run.path(run_files.METRICS), json.dumps(metrics, indent=2) + "\n")


def _shape(table: FaceTable) -> float:
    """Median of the images' height over their width, of a sample."""
    sizes = sampled_sizes(table.full_paths())
    return round(float(np.median(sizes[:, 1] / sizes[:, 0])), 3) if len(sizes) else 1.0


def _plain(row: pd.Series) -> dict:
    return {key: int(value) if key == "epoch" else float(value) for key, value in row.items()}


def _write_text(path: pathlib.Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")
