"""Submission files, with the ids, columns and order of the sample."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasface.checks import check_choice
from kerasface.files import check_text_table, write_csv

LABEL_KINDS = ("index", "name")


def read_sample(path: str | os.PathLike) -> pd.DataFrame:
    """Reads a sample submission, with all values as the strings in the file.

    Args:
        path: A CSV file with ids in the first column and labels in the second.

    Returns:
        Frame of strings; a person called ``NA`` and an id ``0042`` stay the same.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a CSV file, has fewer than two columns, no rows, or a repeated id.
    """
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(
            f"A sample submission must be a CSV file. Received: {os.fspath(path)!r}, which does "
            "not exist."
        )
    check_text_table(path, "A sample submission")
    try:
        sample = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:  # pandas does not name the file
        raise ValueError(
            f"A sample submission must be a CSV file. Received: {os.fspath(path)!r}: {error}"
        ) from error
    if sample.shape[1] < 2 or not len(sample):
        raise ValueError(
            "A sample submission has an id column, a label column and at least one row. "
            f"Received: {os.fspath(path)!r} with columns {list(sample.columns)} and "
            f"{len(sample)} rows."
        )
    ids = sample.iloc[:, 0]
    if ids.duplicated().any():
        raise ValueError(
            "The ids of a sample submission must be unique. Received: "
            f"{ids[ids.duplicated()].unique()[:3].tolist()} more than once in {os.fspath(path)!r}."
        )
    return sample


def submission_frame(
    paths: Sequence[str] | np.ndarray,
    predictions: np.ndarray,
    names: Sequence[str] | None,
    *,
    sample: pd.DataFrame | None = None,
    label: str | None = None,
) -> pd.DataFrame:
    """Makes the rows of a submission.

    Args:
        paths: The predicted files, relative to their folder, ``[N]``. An id is such a path, its
            file name, or either without the suffix.
        predictions: int class indices ``[N]``.
        names: Class names; None if the labels are indices.
        sample: Sample from `read_sample`, which gives the ids, their order and the columns. Further
            columns keep the sample's values. None makes the columns ``id,label`` in the order of
            ``paths``.
        label: ``"index"`` (the class index) or ``"name"``; None uses the kind
            of the sample's own labels, and without a sample the index.

    Returns:
        Frame of strings; write it without its index.

    Raises:
        ValueError: If ids and files do not match one to one (the message has the first few), or
            the sample's labels are ambiguous.
    """
    if label is not None:
        check_choice("label", label, LABEL_KINDS)
    if label == "name" and names is None:
        raise ValueError("Labels by name need the class names. Received: names=None.")
    if sample is None:
        sample = pd.DataFrame({"id": list(paths), "label": ""})
        label = label or "index"
        order = np.arange(len(paths))
    else:
        label = label or _label_kind(sample.iloc[:, 1], names)
        order = _match(sample.iloc[:, 0].tolist(), list(paths))
    chosen = np.asarray(predictions)[order]
    if label == "name" and names is not None:
        values = [names[int(index)] for index in chosen]
    else:
        values = [str(int(index)) for index in chosen]
    result = sample.copy()
    result[result.columns[1]] = values
    return result


def write_submission(path: str | os.PathLike, frame: pd.DataFrame) -> pathlib.Path:
    """Writes a submission atomically."""
    return write_csv(path, frame)


def _label_kind(labels: pd.Series, names: Sequence[str] | None) -> str:
    values = set(labels)
    # "0042" is a name: an index has no leading zeros.
    is_index = all(value.isdecimal() and value == str(int(value)) for value in values)
    is_name = names is not None and values <= set(names)
    if is_index and is_name and any(str(index) != name for index, name in enumerate(names or ())):
        problem = "which can be names and indices"
    elif is_index or is_name:
        return "name" if is_name else "index"
    else:
        problem = "which are neither names nor indices"
    raise ValueError(
        "The labels of a sample submission must be class names or indices. Received: "
        f"{sorted(values)[:3]}, {problem}. Use label='index' or label='name'"
        f"{', and the class names' if names is None else ''}."
    )


def _match(ids: list[str], paths: list[str]) -> np.ndarray:
    """The position of each id's file; every file has one id."""
    spellings = [
        lambda path: path,
        lambda path: path.rsplit("/", 1)[-1],
        lambda path: os.path.splitext(path)[0],
        lambda path: os.path.splitext(path.rsplit("/", 1)[-1])[0],
    ]
    best: list[dict[str, int]] = []
    for spell in spellings:
        keys = [spell(path) for path in paths]
        if len(set(keys)) == len(keys):
            best.append({key: index for index, key in enumerate(keys)})
    position = max(best, key=lambda keys: sum(name in keys for name in ids))
    missing = [name for name in ids if name not in position]
    extra = sorted(set(position) - set(ids))
    if missing or extra:
        raise ValueError(
            "Every id of the sample must have one file, and every file one id. Received: "
            f"{len(missing)} ids without a file {missing[:3]} and {len(extra)} files without an "
            f"id {extra[:3]}. Check the folder, and whether all files are readable."
        )
    return np.array([position[name] for name in ids])
