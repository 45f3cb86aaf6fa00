"""CelebA as tables: the attribute labels of Liu et al. 2015 (arXiv:1411.7766) and their images."""

from __future__ import annotations

import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from kerasface import images
from kerasface.checks import check_choice, check_number
from kerasface.data import notebook
from kerasface.data.celeba.download import downloaded_celeba
from kerasface.data.celeba.labels import (
    ATTRIBUTES,
    PARTITION,
    PEOPLE,
    LabelRows,
    find_label_file,
    quote_few,
    read_attributes,
    read_label_rows,
    required_label_file,
)
from kerasface.data.partition import choose_partitions
from kerasface.data.table import FaceTable, attribute_columns

IMAGE_FOLDERS = (
    "img_align_celeba",
    "img_align_celeba/img_align_celeba",
    "img_align_celeba/Celebs",
    "Celebs",
    "Img/img_align_celeba",
    "",
)
OFFICIAL, IDENTITY = "official", "identity"
SPLITS = (OFFICIAL, IDENTITY)
IDENTITY_SHARE = 0.1  # default share of the validation and of the test partition


class CelebA(NamedTuple):
    """CelebA's three tables, which unpack as ``train, validation, test``.

    Attributes:
        train: Table for training, 0/1 labels ``[N, attributes]``.
        validation: Table for choosing between models, with the same attributes.
        test: Table for the final evaluation, with the same attributes.
    """

    train: FaceTable
    validation: FaceTable
    test: FaceTable

    def __repr__(self) -> str:
        parts = (f"  {name}={table!r}," for name, table in self._asdict().items())
        return "\n".join(["CelebA(", *parts, ")"])

    def _repr_html_(self) -> str:
        facts = {name: table.summary() for name, table in self._asdict().items()}
        return notebook.facts_html("CelebA", facts)


def read_celeba(
    path: str | os.PathLike | None = None,
    *,
    attributes: str | Sequence[str] | None = None,
    split: str = OFFICIAL,
    validation: float | None = None,
    test: float | None = None,
    seed: int = 0,
    first: int | None = None,
    data_dir: str | os.PathLike | None = None,
) -> CelebA:
    """Reads CelebA from a folder, or through tensorflow-datasets.

    The folder has ``list_attr_celeba`` as ``.txt`` (the original: a count, a line of names, then
    a file name and -1 or 1 for each attribute; the count may be missing) or as ``.csv``, and the
    images in ``img_align_celeba/``, in ``img_align_celeba/`` or ``Celebs/`` below that, in
    ``Celebs/``, or directly. If there is a ``.txt`` and a ``.csv`` file, the ``.txt`` is read.

    Args:
        path: The folder. None downloads CelebA with tensorflow-datasets, once, and writes its
            JPEG files and labels to a folder. The order and the file names of tensorflow-datasets
            differ from the original, so ``first`` selects other images than in the original files.
        attributes: Names in the desired order, for instance ``["Smiling", "Male"]``, or one name.
            None takes all of the label file in its order.
        split: ``"official"``, the partition in ``list_eval_partition`` (in the original, no
            person is in two partitions; if there is an ``identity_CelebA``, this is checked), or
            ``"identity"``, a random split by people from ``identity_CelebA``.
        validation: Share of the images for the validation partition of an identity split, in
            (0, 1), met as closely as whole people allow; None is 0.1.
        test: Share for the test partition, as ``validation``.
        seed: Seed of the identity split.
        first: Number of images of the training partition to use, in the label file's order; the
            other partitions stay complete. None takes all.
        data_dir: Folder of tensorflow-datasets, only without ``path``; None takes
            ``TFDS_DATA_DIR`` or ``~/tensorflow_datasets``.

    Returns:
        Three tables with 0/1 labels ``[N, attributes]`` (a single attribute gives ``[N, 1]``),
        rows in the label file's order.

    Raises:
        FileNotFoundError: If the folder, a required file or every image is missing.
        ImportError: If tensorflow-datasets is needed and not installed.
        RuntimeError: If the download fails.
        ValueError: If an attribute is unknown, a file is damaged (the message has the
            line number), or an argument is out of range or conflicts with another.

    Warns:
        UserWarning: If labels without an image, images without labels, or labeled images without
            a partition are skipped; and if a person is in two partitions.

    Example:
        >>> train, validation, test = read_celeba("celeba", attributes="Smiling")  # doctest: +SKIP
    """
    _check_arguments(path, split, validation, test, first, data_dir)
    root = downloaded_celeba(data_dir) if path is None else pathlib.Path(path)
    if not root.is_dir():
        raise FileNotFoundError(
            f"CelebA must be a folder. Received: {os.fspath(root)!r}, which is not a folder. "
            "Leave the path out to download CelebA through tensorflow-datasets."
        )
    table = read_attributes(required_label_file(root, ATTRIBUTES))
    columns = list(range(len(table.columns)))
    if attributes is not None:
        columns = attribute_columns(attributes, table.columns)
    folder, present = _image_folder(root, table)
    file = required_label_file(root, PARTITION if split == OFFICIAL else PEOPLE)
    groups = read_label_rows(file, header=False)
    kept = _kept_rows(folder, table, groups, present)
    placed = groups.positions(table.names[kept])
    values = groups.values[placed, 0]
    if split == OFFICIAL:
        groups.check((values >= 0) & (values <= 2), placed, "0, 1 or 2")
        index = values
        _warn_of_shared_people(root, table.names[kept], index)
    else:
        held_out = [IDENTITY_SHARE if share is None else share for share in (validation, test)]
        shares = dict(zip(CelebA._fields, (1 - sum(held_out), *held_out), strict=True))
        index = choose_partitions(shares, groups=values, seed=seed).index

    labels = (table.values[:, columns] > 0).astype(np.int64)
    names = tuple(table.columns[column] for column in columns)
    rows = [kept[index == number] for number in range(3)]
    rows[0] = rows[0][:first]
    return CelebA(*(FaceTable(folder, table.names[row], labels[row], names) for row in rows))


def is_celeba(folder: str | os.PathLike) -> bool:
    """Whether a folder has CelebA's attribute labels in a place where `read_celeba` reads them.

    Args:
        folder: Any folder.

    Example:
        >>> is_celeba("data/train")
        False
    """
    return find_label_file(pathlib.Path(folder), ATTRIBUTES) is not None


def _check_arguments(
    path: str | os.PathLike | None,
    split: str,
    validation: float | None,
    test: float | None,
    first: int | None,
    data_dir: str | os.PathLike | None,
) -> None:
    if split != OFFICIAL:
        check_choice("split", split, SPLITS)
    elif validation is not None or test is not None:
        raise ValueError(
            "`validation` and `test` have no effect on the official partitions. "
            f"Received: validation={validation}, test={test}. Use split='identity', or leave "
            "them out."
        )
    if first is not None:
        check_number("first", first, 1, whole=True)
    if path is not None and data_dir is not None:
        raise ValueError(
            "`data_dir` is the download folder of tensorflow-datasets. "
            f"Received: data_dir={os.fspath(data_dir)!r} with a folder of CelebA. Give one of them."
        )


def _image_folder(root: pathlib.Path, table: LabelRows) -> tuple[pathlib.Path, set[str]]:
    """The folder with most of the labeled images, and the names of all images in it."""
    labeled = set(table.names)
    best, found = root, set[str]()
    for below in IMAGE_FOLDERS:
        folder = root / below
        if not folder.is_dir():
            continue
        here = {
            entry.name
            for entry in os.scandir(folder)
            if not entry.name.startswith(".")
            and os.path.splitext(entry.name)[1].lower() in images.EXTENSIONS
        }
        if len(here & labeled) > len(found & labeled):
            best, found = folder, here
    if not found:
        raise FileNotFoundError(
            f"The images must be in one of {[folder or '.' for folder in IMAGE_FOLDERS]}. "
            f"Received: {os.fspath(root)!r}, without any of the {len(labeled)} images in "
            f"{table.file.name}, such as {table.names[0]!r}."
        )
    return best, found


def _kept_rows(
    folder: pathlib.Path, table: LabelRows, groups: LabelRows, present: set[str]
) -> np.ndarray:
    """Positions of the labeled images that exist and have a partition; warns of the others."""
    names = table.names
    labeled = pd.Index(names).isin(present)  # numpy would compare all pairs of objects
    placed = groups.positions(names) >= 0
    gaps = [
        (names[~labeled], "labels without an image"),
        (np.array(sorted(present - set(names)), dtype=object), "images without labels"),
        (names[labeled & ~placed], f"labeled images that are not in {groups.file.name}"),
    ]
    found = [f"{len(few):,} {what} ({quote_few(few)})" for few, what in gaps if len(few)]
    if found:
        warnings.warn(f"{folder}: {'; '.join(found)}. They are skipped.", stacklevel=3)
    kept = np.flatnonzero(labeled & placed)
    if not len(kept):
        raise ValueError(
            f"{groups.file.name} must list the labeled images. "
            f"Received: {groups.file}, with none of the {labeled.sum()} labeled images."
        )
    return kept


def _warn_of_shared_people(root: pathlib.Path, names: np.ndarray, index: np.ndarray) -> None:
    """Warns if a person is in two partitions, where people are known."""
    file = find_label_file(root, PEOPLE)
    if file is None:
        return
    people = read_label_rows(file, header=False)
    place = people.positions(names)
    known = place >= 0
    pairs = pd.DataFrame({"person": people.values[place[known], 0], "partition": index[known]})
    counts = pairs.groupby("person")["partition"].nunique()
    shared = int((counts > 1).sum())
    if shared:
        warnings.warn(
            f"{shared} of the {len(counts)} people of {file.name} are in more than one partition: "
            "results on these partitions say little about new people. split='identity' splits by "
            "people",
            stacklevel=3,
        )
