"""Checks of the tables that a run is trained and validated on."""

from __future__ import annotations

import os
import pathlib
import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd

from kerasface.data.table import CheckReport, FaceTable, check
from kerasface.runs.recipe import Recipe


def check_tables(train: FaceTable, validation: FaceTable | None, recipe: Recipe) -> None:
    """Refuses tables that do not fit each other or the recipe; reads no image.

    Args:
        train: Training images.
        validation: Validation images, or None.
        recipe: The recipe.

    Raises:
        ValueError: If labels are missing or do not fit, a table is empty, the recipe needs a
            validation table, or an image is in both tables.
    """
    _check_labels(train, validation, recipe)
    _check_validation_needs(validation, recipe)
    if validation is not None:
        _check_names(train, validation)
        _check_overlap(train, validation)


def check_types(train: object, validation: object) -> None:
    """Refuses a folder or another object in place of a table.

    Args:
        train: Training images.
        validation: Validation images, or None.

    Raises:
        ValueError: If one of them is no table.
    """
    for name, table in (("train", train), ("validation", validation)):
        is_left_out = name == "validation" and table is None
        if not is_left_out and not isinstance(table, FaceTable):
            raise ValueError(
                f"`{name}` must be a FaceTable. Received: {table!r} of type "
                f"{type(table).__name__}. Read a folder with kerasface.data.identity_folder."
            )


def _check_labels(train: FaceTable, validation: FaceTable | None, recipe: Recipe) -> None:
    for name, table in (("train", train), ("validation", validation)):
        if table is not None and table.labels is None:
            raise ValueError(f"`{name}` must be labeled. Received: {table.summary()}.")
        if table is not None and not len(table):
            raise ValueError(
                f"`{name}` must have images. Received: an empty table of {table.root}. "
                "Give another table, or leave the validation out."
            )
    if validation is not None and validation.multi_label != train.multi_label:
        raise ValueError(
            "`train` and `validation` must both have classes or both attributes. "
            f"Received: {train.summary()}; {validation.summary()}."
        )
    if recipe.embedding and train.multi_label:
        raise ValueError(
            "An embedding model needs one class per image. "
            f"Received: {train.summary()}, attributes."
        )
    if len(train.names) < 2 and not train.multi_label:
        raise ValueError(
            f"A classifier needs at least two classes. Received: {list(train.names)} in `train`."
        )


def _check_validation_needs(validation: FaceTable | None, recipe: Recipe) -> None:
    validated = validation is not None and not recipe.train_on_validation
    if recipe.early_stopping and not validated:
        raise ValueError(
            "Early stopping needs a validation table that is not trained on. "
            f"Received: early_stopping={recipe.early_stopping}. Give one, or set it to 0."
        )
    if any(part.schedule == "plateau" for part in recipe.parts()) and not validated:
        raise ValueError(
            "The schedule 'plateau' needs a validation table that is not trained on. "
            "Received: none. Give one, or choose another schedule."
        )
    if recipe.train_on_validation and validation is None:
        raise ValueError(
            "`train_on_validation` needs a validation table to train on. Received: validation=None."
        )


def _check_names(train: FaceTable, validation: FaceTable) -> None:
    if validation.names != train.names:
        odd = sorted(set(validation.names) ^ set(train.names))
        raise ValueError(
            "`train` and `validation` must have the same classes or attributes in the same order. "
            f"Received: {len(train.names)} and {len(validation.names)}; {odd[:5]} are in "
            "only one of them. Read the validation folder with names=train.names."
        )


def _check_overlap(train: FaceTable, validation: FaceTable) -> None:
    shared = sorted(
        {os.path.realpath(path) for path in train.full_paths()}
        & {os.path.realpath(path) for path in validation.full_paths()}
    )
    if shared:
        raise ValueError(
            "No image may be in `train` and in `validation`. "
            f"Received: {len(shared)} in both, for instance {shared[0]}."
        )


def check_files(
    tables: Mapping[str, FaceTable], *, max_unreadable: float, verbose: int = 0
) -> tuple[dict[str, FaceTable], pd.DataFrame]:
    """Reads every file of some tables once.

    Args:
        tables: Tables by partition.
        max_unreadable: Largest share of unreadable files of a table, in [0, 1].
        verbose: 1 shows a progress bar.

    Returns:
        The readable rows of the tables, and a frame of the other files with the columns
        ``root``, ``path`` and ``reason``.

    Raises:
        ValueError: If too many files of a table are unreadable.
    """
    reports = {
        name: check(table, max_unreadable=max_unreadable, verbose=verbose)
        for name, table in tables.items()
    }
    for name, report in reports.items():
        _warn_of_unreadable(name, tables[name], report)
    unreadable = pd.concat(
        [report.unreadable.assign(root=os.fspath(report.table.root)) for report in reports.values()]
    )
    readable = {name: report.table for name, report in reports.items()}
    return readable, unreadable[["root", "path", "reason"]]


def _warn_of_unreadable(name: str, table: FaceTable, report: CheckReport) -> None:
    if not len(report.unreadable):
        return
    text = (
        f"{len(report.unreadable)} of the {len(table)} images of `{name}` cannot be read and are "
        f"left out, for instance {report.unreadable['path'].head(3).tolist()}"
    )
    if not table.multi_label:
        emptied = table.counts().index[(table.counts() > 0) & (report.table.counts() == 0)]
        if len(emptied):
            text += f"; {len(emptied)} classes have no images left: {emptied[:3].tolist()}"
    warnings.warn(text, stacklevel=5)  # the caller of `kerasface.train`


def join_tables(train: FaceTable, validation: FaceTable) -> FaceTable:
    """Both tables in one, with absolute paths since their roots differ.

    Args:
        train: Labelled images.
        validation: Labelled images with the same names.
    """
    paths = [os.path.abspath(path) for path in train.full_paths() + validation.full_paths()]
    return FaceTable(
        pathlib.Path("/"),
        np.array(paths, dtype=object),
        np.concatenate([np.asarray(train.labels), np.asarray(validation.labels)]),
        train.names,
        np.concatenate([train.formats, validation.formats]),
    )
