"""Reads the groups of images: columns of a table, or attributes of CelebA."""

from __future__ import annotations

import io
import os
import pathlib
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from kerasface.data.celeba.labels import ATTRIBUTES, find_label_file, read_attributes
from kerasface.data.table import FaceTable
from kerasface.files import read_text_table
from kerasface.names import suggest

Groups: TypeAlias = str | os.PathLike | pd.DataFrame | Sequence[str]

IMAGE_COLUMNS = ("image", "path", "file")
MOST_VALUES = 20
RULE = (
    "Groups must be a CSV file or DataFrame with one row per image, or attributes of CelebA, for "
    "instance ['Male', 'Young']."
)


def read_groups(groups: Groups, images: FaceTable) -> pd.DataFrame:
    """Reads the groups of images.

    Args:
        groups: A ``.csv`` file, whose first column has the images, or a DataFrame, whose column
            ``image``, ``path`` or ``file`` (else its index) has them; the other columns are kinds
            of groups. Images are named by their path in the folder, or by their file name if all
            of these differ. Or the names of attributes: of the images' own labels, or of the
            ``list_attr_celeba`` file beside the images.
        images: The images.

    Returns:
        One row per image, in their order, and one column per kind of group.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an image has no row, an attribute is unknown, or a column has more than 20
            values.

    Example:
        >>> table = FaceTable("faces", ["1.jpg", "2.jpg"])
        >>> groups = pd.DataFrame({"image": ["2.jpg", "1.jpg"], "age": ["old", "young"]})
        >>> read_groups(groups, table)["age"].tolist()
        ['young', 'old']
    """
    if isinstance(groups, pd.DataFrame):
        return _of_frame(groups, images, "the DataFrame")
    if isinstance(groups, os.PathLike) or (
        isinstance(groups, str) and groups.lower().endswith(".csv")
    ):
        path = pathlib.Path(groups)
        if not path.is_file():
            raise FileNotFoundError(f"{RULE} Received: {os.fspath(path)!r}, which does not exist.")
        text = read_text_table(path, "A table of groups")
        frame = pd.read_csv(io.StringIO(text), dtype={0: str})
        return _of_frame(frame.set_index(frame.columns[0]), images, path.name)
    names = [groups] if isinstance(groups, str) else list(groups)
    if not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{RULE} Received: {groups!r}.")
    if images.multi_label and set(names) <= set(images.names):
        columns = [images.names.index(name) for name in names]
        return _yes_or_no(np.asarray(images.labels)[:, columns], names)
    return _of_celeba(names, images)


def _of_frame(frame: pd.DataFrame, images: FaceTable, source: str) -> pd.DataFrame:
    key = next((name for name in IMAGE_COLUMNS if name in frame.columns), None)
    if key is not None:
        frame = frame.set_index(key)
    if not frame.shape[1]:
        raise ValueError(f"{RULE} Received: {source} without a column of groups.")
    frame.index = pd.Index([str(name).replace("\\", "/") for name in frame.index])
    wanted = pd.Index([str(path) for path in images.paths])
    places = frame.index.drop_duplicates().get_indexer(wanted)
    if (places < 0).any():
        short = pd.Index([name.rsplit("/", 1)[-1] for name in frame.index])
        plain = pd.Index([name.rsplit("/", 1)[-1] for name in wanted])
        if short.is_unique and plain.is_unique:
            frame, wanted = frame.set_axis(short), plain
    if not frame.index.is_unique:
        double = frame.index[frame.index.duplicated()][0]
        raise ValueError(f"{RULE} Received: {source} with two rows for {double!r}.")
    places = frame.index.get_indexer(wanted)
    missing = np.flatnonzero(places < 0)
    if len(missing):
        raise ValueError(
            f"Every image must have a row in the table of groups. Received: {len(missing)} of "
            f"{len(wanted)} images that are not in {source}, for instance {wanted[missing[0]]!r}."
        )
    found = frame.iloc[places].reset_index(drop=True)
    for column in found:
        values = found[column].nunique()
        if values > MOST_VALUES:
            raise ValueError(
                f"A kind of group must have at most {MOST_VALUES} values. Received: {values} in "
                f"the column {column!r} of {source}. Leave the column out, or make it coarser."
            )
    return found


def _of_celeba(names: Sequence[str], images: FaceTable) -> pd.DataFrame:
    for folder in (images.root, *images.root.resolve().parents[:2]):
        file = find_label_file(folder, ATTRIBUTES)
        if file is not None:
            break
    else:
        raise ValueError(
            f"{RULE} Received: {list(names)}, but there is no {ATTRIBUTES} file in or above "
            f"{os.fspath(images.root)!r}."
        )
    table = read_attributes(file)
    for name in names:
        if name not in table.columns:
            raise ValueError(
                f"A group must be an attribute in {file.name}. Received: {name!r}."
                f"{suggest(name, table.columns)}"
            )
    columns = [table.columns.index(name) for name in names]
    frame = _yes_or_no(table.values[:, columns], names).set_axis(pd.Index(table.names))
    return _of_frame(frame, images, file.name)


def _yes_or_no(values: np.ndarray, names: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(np.where(values == 1, "yes", "no").astype(object), columns=list(names))
