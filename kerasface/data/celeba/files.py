"""CelebA as tables: the attribute labels of Liu et al. 2015 (arXiv:1411.7766) and their images."""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
import re
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from kerasface import images
from kerasface.data.celeba.download import LABELS, PARTITION, PEOPLE, downloaded_celeba
from kerasface.data.partition import choose_partitions
from kerasface.data.table import FaceTable, attribute_columns
from kerasface.names import suggest

SUFFIXES = (".txt", ".csv")
# The label files lie beside the images, or as in the archive of CelebA's own site.
LABEL_FOLDERS = ("", "Anno", "Eval")
IMAGE_FOLDERS = (
    "img_align_celeba",
    "img_align_celeba/img_align_celeba",
    "img_align_celeba/Celebs",
    "Celebs",
    "Img/img_align_celeba",
    "",
)
OFFICIAL = "official"
SPLITS = (OFFICIAL, "identity")


class CelebA(NamedTuple):
    """CelebA's three tables, which unpack as ``train, validation, test``.

    Attributes:
        train: Table to learn from, 0/1 labels ``[N, attributes]``.
        validation: Table to choose by, with the same attributes.
        test: Table to be looked at once, with the same attributes.
    """

    train: FaceTable
    validation: FaceTable
    test: FaceTable


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
    """CelebA from a folder, or through tensorflow-datasets.

    The folder holds ``list_attr_celeba`` as ``.txt`` (the original: a count, a line of names, then
    a file name and -1 or 1 for each; the count may be missing) or as ``.csv``, and the images in
    ``img_align_celeba/``, in ``img_align_celeba/`` or ``Celebs/`` below that, in ``Celebs/``, or
    directly. Where there is both a ``.txt`` and a ``.csv`` file, the first is read.

    Args:
        path: The folder. None has tensorflow-datasets download CelebA, and writes its JPEG bytes
            and its labels to a folder, once. TensorFlow Datasets has an order and file names of
            its own, so ``first`` takes other images there than in the original files.
        attributes: Names in the order wanted, for instance ``["Smiling", "Male"]``, or one name;
            None takes all of the label file in its order.
        split: ``"official"``, the partition in ``list_eval_partition`` (in CelebA's own no person
            is in two parts; where ``identity_CelebA`` is there too, that is looked at), or
            ``"identity"``, a random one by people from ``identity_CelebA``.
        validation: Share of the images for the validation part of an identity split, in (0, 1),
            reached as nearly as whole people allow; None is 0.1.
        test: The same for the test part.
        seed: Seed of the identity split.
        first: At most so many images of the training part, in the label file's order; the other
            parts stay whole. None takes all.
        data_dir: Folder of tensorflow-datasets, where there is no ``path``; None takes
            ``TFDS_DATA_DIR`` or ``~/tensorflow_datasets``.

    Returns:
        Three tables with 0/1 labels ``[N, attributes]`` (a single attribute gives ``[N, 1]``),
        rows in the label file's order.

    Raises:
        FileNotFoundError: If the folder, a file that is needed or every image is missing.
        RuntimeError: If the download fails.
        ValueError: If an attribute is unknown, a file is cut off or damaged (naming the line), or
            an argument is out of range or does not fit the others.

    Warns:
        UserWarning: If labels have no image, images no labels, or labelled images no place in the
            partition; with their numbers and the first few names. They are left out. If a
            person is in two parts of the partition.

    Example:
        >>> train, validation, test = read_celeba("celeba", attributes="Smiling")  # doctest: +SKIP
    """
    _check_arguments(path, split, validation, test, first, data_dir)
    root = downloaded_celeba(data_dir) if path is None else pathlib.Path(path)
    if not root.is_dir():
        raise FileNotFoundError(
            f"CelebA must be a folder. Received: {os.fspath(root)!r}, which is none. "
            "Leave the path out to download CelebA through tensorflow-datasets."
        )
    table = _label_rows(_needed(root, LABELS))
    columns = list(range(len(table.columns)))
    if attributes is not None:
        columns = attribute_columns(attributes, table.columns)
    folder, present = _image_folder(root, table)

    part_file = _needed(root, PARTITION if split == OFFICIAL else PEOPLE)
    groups = _read_rows(part_file, header=False)
    place = pd.Index(groups.names).get_indexer(pd.Index(table.names))
    labelled = pd.Index(table.names).isin(present)  # numpy would compare all pairs of objects
    placed = place >= 0
    _warn_of_gaps(folder, part_file, table.names, labelled, placed, present)
    kept = np.flatnonzero(labelled & placed)
    if not len(kept):
        raise ValueError(
            f"{part_file.name} must be of the images that have labels. "
            f"Received: {part_file}, with none of the {labelled.sum()} labelled images."
        )
    values = groups.values[place[kept], 0]
    if split == OFFICIAL:
        groups.check((values >= 0) & (values <= 2), place[kept], "0, 1 or 2")
        part = values
        _warn_of_shared_people(root, table.names[kept], part)
    else:
        shares = [0.1 if share is None else share for share in (validation, test)]
        amounts = dict(zip(CelebA._fields, (1 - sum(shares), *shares), strict=True))
        part = choose_partitions(amounts, groups=values, seed=seed).index

    labels = (table.values[:, columns] > 0).astype(np.int64)
    names = tuple(table.columns[column] for column in columns)
    rows = [kept[part == index] for index in range(3)]
    rows[0] = rows[0][:first]
    return CelebA(*(FaceTable(folder, table.names[row], labels[row], names) for row in rows))


def _warn_of_shared_people(root: pathlib.Path, names: np.ndarray, part: np.ndarray) -> None:
    """Looks whether a partition keeps each person in one part, where people are known."""
    file = _find(root, PEOPLE)
    if file is None:
        return
    people = _read_rows(file, header=False)
    place = pd.Index(people.names).get_indexer(pd.Index(names))
    known = place >= 0
    pairs = pd.DataFrame({"person": people.values[place[known], 0], "part": part[known]})
    parts = pairs.groupby("person")["part"].nunique()
    shared = int((parts > 1).sum())
    if shared:
        warnings.warn(
            f"{shared} of the {len(parts)} people of {file.name} are in two parts or more of the "
            "partition: figures on them say little about new people. split='identity' draws a "
            "partition without such",
            stacklevel=3,
        )


def is_celeba(folder: str | os.PathLike) -> bool:
    """Whether a folder has CelebA's attribute labels where `celeba` looks for them."""
    return _find(pathlib.Path(folder), LABELS) is not None


@dataclasses.dataclass(frozen=True)
class _Rows:
    """A label file: a name and whole numbers a row.

    Attributes:
        file: Where it was read from.
        text: What it holds.
        skipped: Lines before the first row.
        columns: Names of the numbers; empty where the file has none.
        names: str object ``[N]``, the first field of each row.
        values: int64 ``[N, columns]``.
    """

    file: pathlib.Path
    text: str
    skipped: int
    columns: tuple[str, ...]
    names: np.ndarray
    values: np.ndarray

    def check(self, right: np.ndarray, rows: np.ndarray, rule: str) -> None:
        """Refuses the first row that is not right, naming its line."""
        if not right.all():
            row = int(rows[right.argmin()])
            lines = [n for n, line in enumerate(self.text.split("\n"), 1) if line.strip()]
            before = sum(line <= self.skipped for line in lines)
            raise ValueError(
                f"Every value in {self.file.name} must be {rule}. Received: "
                f"{self.names[row]!r} with {sorted(set(self.values[row].tolist()))} in line "
                f"{lines[before + row]} of {self.file}."
            )


def _check_arguments(path, split, validation, test, first, data_dir) -> None:
    if split not in SPLITS:
        raise ValueError(
            f"`split` must be one of {SPLITS}. Received: split={split!r}.{suggest(split, SPLITS)}"
        )
    if split == OFFICIAL and (validation is not None or test is not None):
        raise ValueError(
            "The official partition has parts of its own size. "
            f"Received: validation={validation}, test={test}. Say split='identity', or leave "
            "them out."
        )
    if first is not None and first < 1:
        raise ValueError(f"`first` must be at least 1. Received: first={first}.")
    if path is not None and data_dir is not None:
        raise ValueError(
            "`data_dir` is where tensorflow-datasets keeps a download. "
            f"Received: data_dir={os.fspath(data_dir)!r} with a folder of CelebA. Leave one out."
        )


def _find(root: pathlib.Path, stem: str) -> pathlib.Path | None:
    for suffix in SUFFIXES:
        for folder in LABEL_FOLDERS:
            file = root / folder / f"{stem}{suffix}"
            if file.is_file():
                return file
    return None


def _needed(root: pathlib.Path, stem: str) -> pathlib.Path:
    file = _find(root, stem)
    if file is not None:
        return file
    remedy = {
        LABELS: "Give the folder that holds it and the images.",
        PARTITION: "Copy it there, or say split='identity' where identity_CelebA.txt is there.",
        PEOPLE: "Copy it there, or say split='official'.",
    }[stem]
    raise FileNotFoundError(
        f"There must be a file {stem}.txt or {stem}.csv. Received: {os.fspath(root)!r}, which "
        f"has none. {remedy}"
    )


def _label_rows(file: pathlib.Path) -> _Rows:
    table = _read_rows(file, header=True)
    values = table.values
    # People who have turned -1 into 0 still have the same labels.
    right = ((values == 1) | (values == -1) | (values == 0)).all(axis=1)
    table.check(right, np.arange(len(values)), "-1 (or 0) and 1")
    return table


def _read_rows(file: pathlib.Path, *, header: bool) -> _Rows:
    """Reads a label file: with names of its columns, or a name and one number a row."""
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    lines = text.split("\n", 3)[:3]
    count = int(lines[0]) if lines[0].strip().isdecimal() else None
    head = lines[0 if count is None else 1 :]
    separator = "," if head and "," in head[0] else None
    fields = [_fields(line, separator) for line in head]
    titled = header or (bool(fields) and not _is_number(fields[0][-1]))
    skipped = (count is not None) + titled
    if len(fields) <= titled or not "".join(fields[titled]):
        raise ValueError(
            f"{file.name} must have {'a line of names and ' if header else ''}a row an image. "
            f"Received: nothing in line {skipped + 1} of {file}. Is it cut off?"
        )
    width = len(fields[titled]) if header else 2
    # The original has no name for its first column, CSV files have one.
    columns = fields[0][-(width - 1) :] if header else []
    named = len(set(columns)) == width - 1 and not any(map(_is_number, columns))
    if header and (len(fields[0]) not in (width - 1, width) or not named):
        raise ValueError(
            f"{file.name} must have a line of different attribute names before its rows. Received: "
            f"line {skipped} of {file} with {len(fields[0])} names for the {width - 1} values of "
            f"line {skipped + 1}: {' '.join(fields[0])[:60]!r}."
        )
    try:
        with np.errstate(invalid="raise"):  # 9e99 would become the smallest integer
            frame = pd.read_csv(
                io.StringIO(text),
                sep=separator or r"\s+",
                header=None,
                skiprows=skipped,
                dtype={0: str, **dict.fromkeys(range(1, width), np.int64)},
                keep_default_na=False,
            )
        if frame.shape[1] != width:
            raise ValueError(f"{frame.shape[1]} fields a row")
    except (ValueError, ArithmeticError) as error:  # pandas names neither the file nor the line
        raise ValueError(
            f"Every row of {file.name} must have a file name and {width - 1} whole numbers. "
            f"Received: {_first_fault(text, skipped, separator, width) or error} of {file}. "
            "Is it cut off?"
        ) from error
    if count is not None and count != len(frame):
        raise ValueError(
            f"The first line of {file.name} must be the number of its rows. Received: {count} in "
            f"the first line and {len(frame)} rows, the last in line "
            f"{text.rstrip().count(chr(10)) + 1} of {file}. Is it cut off?"
        )
    names = frame[0].to_numpy(object)
    twice = frame[0].duplicated().to_numpy()
    if twice.any():
        raise ValueError(
            f"{file.name} must have one row an image. Received: {_few(names[twice])} more than "
            f"once in {file}."
        )
    return _Rows(file, text, skipped, tuple(columns), names, frame.iloc[:, 1:].to_numpy())


def _fields(line: str, separator: str | None) -> list[str]:
    return [field.strip().strip('"') for field in line.strip().split(separator)]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d{1,18}", text) is not None


def _first_fault(text: str, skipped: int, separator: str | None, width: int) -> str:
    """Where the first unfit row is and what is wrong with it; empty if all are fit."""
    for number, line in enumerate(text.split("\n"), start=1):
        fields = _fields(line, separator)
        if number <= skipped or not line.strip():
            continue
        if len(fields) != width:
            return f"{len(fields) - 1} values in line {number}"
        for field in fields[1:]:
            if not _is_number(field):
                return f"{field!r} in line {number}"
    return ""


def _image_folder(root: pathlib.Path, table: _Rows) -> tuple[pathlib.Path, set[str]]:
    """The folder with most of the labelled images, and the names of all images in it."""
    labelled = set(table.names)
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
        if len(here & labelled) > len(found & labelled):
            best, found = folder, here
    if not found:
        raise FileNotFoundError(
            f"The images must be in one of {[folder or '.' for folder in IMAGE_FOLDERS]}. "
            f"Received: {os.fspath(root)!r}, without any of the {len(labelled)} images in "
            f"{table.file.name}, such as {table.names[0]!r}."
        )
    return best, found


def _warn_of_gaps(folder, part_file, names, labelled, placed, present) -> None:
    gaps = [
        (names[~labelled], "labels without an image"),
        (np.array(sorted(present - set(names)), dtype=object), "images without labels"),
        (names[labelled & ~placed], f"labelled images that are not in {part_file.name}"),
    ]
    told = [f"{len(few):,} {what} ({_few(few)})" for few, what in gaps if len(few)]
    if told:
        warnings.warn(f"{folder}: {'; '.join(told)}. They are left out.", stacklevel=3)


def _few(names: np.ndarray, limit: int = 3) -> str:
    listed = ", ".join(map(repr, names[:limit].tolist()))
    return f"{listed} and others" if len(names) > limit else listed
