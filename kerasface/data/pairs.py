"""Pairs of images of one or two people: from LFW's lists, from CSV files, or from a folder."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from kerasface.data import notebook
from kerasface.data.table import FaceTable
from kerasface.files import read_text_table
from kerasface.names import counted, suggest

CSV_COLUMNS = ("file_a", "file_b", "same")
MORE_COLUMNS = ("fold", "person_a", "person_b")
TRUTHS = {"0": False, "1": True, "false": False, "true": True, "no": False, "yes": True}
LFW_SUFFIXES = (".jpg", ".jpeg", ".png")
SHOWN_ERRORS = 5


@dataclasses.dataclass(frozen=True, eq=False)
class PairTable:
    """Pairs of image files. Each file is listed once, even if it is in several pairs.

    Attributes:
        images: The files, unlabeled.
        rows: int64 ``[N, 2]``, the two images of a pair as rows of ``images``.
        same: bool ``[N]``, whether they show the same person.
        folds: int64 ``[N]``, or None if the source has none.
        people: str object ``[N, 2]``, the people shown, or None if they are not known.
    """

    images: FaceTable
    rows: np.ndarray
    same: np.ndarray
    folds: np.ndarray | None = None
    people: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"PairTable({self.summary()})"

    def _repr_html_(self) -> str:
        part = slice(notebook.SHOWN_ROWS)
        first = dataclasses.replace(
            self,
            rows=self.rows[part],
            same=self.same[part],
            folds=None if self.folds is None else self.folds[part],
            people=None if self.people is None else self.people[part],
        )
        text = notebook.facts_html("PairTable", {"pairs": self.summary()})
        return text + notebook.frame_html(first.to_frame())

    def summary(self) -> str:
        """One line: the number of genuine and impostor pairs, images and folds."""
        folds = "" if self.folds is None else f" in {len(np.unique(self.folds))} folds"
        return (
            f"{int(self.same.sum()):,} genuine and {int((~self.same).sum()):,} impostor pairs"
            f"{folds}, of {len(self.images):,} images in {self.images.root}"
        )

    def to_frame(self) -> pd.DataFrame:
        """One row for each pair, with the known columns of the CSV form."""
        first, second = self.images.paths[self.rows].T
        frame = pd.DataFrame({"file_a": first, "file_b": second, "same": self.same.astype(int)})
        if self.folds is not None:
            frame["fold"] = self.folds
        if self.people is not None:
            frame["person_a"], frame["person_b"] = self.people.T
        return frame


def read_pairs(path: str | os.PathLike, images: str | os.PathLike) -> PairTable:
    """Reads a list of pairs: LFW's ``pairs.txt`` or a CSV file.

    LFW's form (Huang et al. 2007): the first line has the number of folds and the number of
    genuine pairs in each fold, which is also the number of impostor pairs; a list without folds
    has only the second number. A genuine pair is ``name number number``, an impostor pair is
    ``name number name number``; the genuine pairs of a fold come first. Image 7 of ``Ann_Lee`` is
    ``Ann_Lee/Ann_Lee_0007.jpg`` (or ``.jpeg``, ``.png``).

    The CSV form has the columns ``file_a``, ``file_b`` and ``same`` (0 or 1) and, if known,
    ``fold`` (a whole number), ``person_a`` and ``person_b``.

    Args:
        path: The list; ``.csv`` is the CSV form, other files have LFW's form.
        images: The folder that the files are relative to; in LFW's form it has one subfolder for
            each person.

    Returns:
        The pairs, in the order of the list.

    Raises:
        FileNotFoundError: If the list or the folder does not exist.
        ValueError: If lines are invalid or images are missing; the message has the first five with
            their line numbers.

    Example:
        >>> pairs = read_pairs("lfw/pairs.txt", "lfw/lfw-deepfunneled")  # doctest: +SKIP
        >>> pairs.summary()  # doctest: +SKIP
    """
    path, root = pathlib.Path(path), pathlib.Path(images)
    if not path.is_file():
        raise FileNotFoundError(
            f"There must be a list of pairs. Received: {os.fspath(path)!r}, which does not exist."
        )
    if not root.is_dir():
        raise FileNotFoundError(
            f"The images must be in a folder. Received: {os.fspath(root)!r}, which is not a folder."
        )
    return _read_csv(path, root) if path.suffix.lower() == ".csv" else _read_lfw(path, root)


def folder_pairs(table: FaceTable, *, impostors: int | None = None, seed: int = 0) -> PairTable:
    """Makes all genuine pairs of a table of people, and random impostor pairs.

    Args:
        table: Images with one class each.
        impostors: Number of impostor pairs. None makes as many as there are genuine pairs, or all
            if there are fewer.
        seed: Seed of the choice.

    Returns:
        The pairs, the genuine ones first, without folds.

    Raises:
        ValueError: If the images do not have one class each, no person has two images, all images
            show one person, or ``impostors`` exceeds the number of different pairs.

    Example:
        >>> table = FaceTable("faces", ["a/1.jpg", "a/2.jpg", "b/1.jpg"], [0, 0, 1], ["a", "b"])
        >>> folder_pairs(table).rows.tolist()[0]
        [0, 1]
    """
    if table.labels is None or table.multi_label:
        raise ValueError(
            "Pairs are made of images with one class each. "
            f"Received: {'a table with attributes' if table.multi_label else 'an unlabeled table'}."
        )
    labels = np.asarray(table.labels)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    alike = np.concatenate([own[np.stack(np.triu_indices(len(own), 1), 1)] for own in members])
    count = len(labels)
    unlike = count * (count - 1) // 2 - len(alike)
    if not len(alike) or not unlike:
        raise ValueError(
            "Pairs need a person with two images and a second person. "
            f"Received: {len(alike)} genuine and {unlike} impostor pairs in {table.root}."
        )
    wanted = min(len(alike), unlike) if impostors is None else impostors
    if not 1 <= wanted <= unlike:
        raise ValueError(
            f"`impostors` must be in [1, {unlike}], the number of different impostor pairs. "
            f"Received: impostors={impostors}."
        )
    drawn = _draw_impostors(labels, wanted, np.random.default_rng(seed))
    rows = np.concatenate([alike, drawn])
    names = np.asarray(table.names, dtype=object)
    return PairTable(
        FaceTable(table.root, table.paths, formats=table.formats),
        rows,
        np.arange(len(rows)) < len(alike),
        people=names[labels[rows]],
    )


def _draw_impostors(labels: np.ndarray, wanted: int, generator: np.random.Generator) -> np.ndarray:
    """Draws different pairs of different people; every set of this size is equally likely."""
    count = len(labels)
    found = np.empty(0, np.int64)
    while len(found) < wanted:
        first, second = generator.integers(0, count, (2, 2 * wanted))
        low, high = np.minimum(first, second), np.maximum(first, second)
        codes = (low * count + high)[labels[low] != labels[high]]
        both = np.concatenate([found, codes])
        # Keep the random order: sorted pairs would prefer the first images.
        found = both[np.sort(np.unique(both, return_index=True)[1])]
    return np.stack(np.divmod(found[:wanted], count), axis=1)


def _read_lfw(path: pathlib.Path, root: pathlib.Path) -> PairTable:
    lines = read_text_table(path, "A list of pairs").splitlines()
    while lines and not lines[-1].strip():
        lines.pop()
    folds, size = _lfw_header(path, lines[0] if lines else "")
    expected = 2 * folds * size
    problems = []
    if len(lines) - 1 != expected:
        problems.append(
            f"line {len(lines)} is the last line, but line 1 announces {expected} pairs, so there "
            f"must be {expected + 1} lines"
        )
    pairs: list[tuple[str, str]] = []
    people: list[tuple[str, str]] = []
    numbers = []
    for number, line in enumerate(lines[1 : expected + 1], start=2):
        words = line.split("\t") if "\t" in line else line.split()
        genuine = (number - 2) // size % 2 == 0
        form = "name number number" if genuine else "name number name number"
        if len(words) != len(form.split()) or not all(
            word.strip().isdecimal() for word in [words[1], words[-1]]
        ):
            problems.append(f"line {number}: {line!r} is not {form!r}")
            continue
        first, second = words[0].strip(), words[-2].strip() if not genuine else words[0].strip()
        if not genuine and first == second:
            problems.append(f"line {number}: {line!r} is not an impostor pair")
            continue
        if genuine and int(words[1]) == int(words[-1]):
            problems.append(f"line {number}: {line!r} names the same image twice")
            continue
        pairs.append((_lfw_file(first, words[1]), _lfw_file(second, words[-1])))
        people.append((first, second))
        numbers.append(number)
    _refuse(path, problems)
    fold_numbers = (np.array(numbers) - 2) // (2 * size)
    found = _existing(path, root, pairs, numbers, LFW_SUFFIXES)
    return _pair_table(
        root,
        found,
        [first == second for first, second in people],
        fold_numbers if folds > 1 else None,
        people,
    )


def _lfw_header(path: pathlib.Path, line: str) -> tuple[int, int]:
    words = line.split()
    if len(words) not in (1, 2) or not all(word.isdecimal() and int(word) for word in words):
        raise ValueError(
            "The first line of a list in LFW's form must have the number of folds and the number "
            f"of genuine pairs per fold. Received: {line!r} in line 1 of {path}. A list with the "
            f"columns {','.join(CSV_COLUMNS)} must have the suffix .csv."
        )
    return (1, int(words[0])) if len(words) == 1 else (int(words[0]), int(words[1]))


def _lfw_file(name: str, number: str) -> str:
    return f"{name}/{name}_{int(number):04d}"


def _read_csv(path: pathlib.Path, root: pathlib.Path) -> PairTable:
    problems: list[str] = []
    values: list[dict[str, str]] = []
    numbers = []
    reader = csv.reader(io.StringIO(read_text_table(path, "A list of pairs"), newline=""))
    columns = next(reader, [])
    _check_columns(path, columns)
    for words in reader:
        if not words:
            continue
        row = dict(zip(columns, words, strict=False))
        problem = _csv_problem(columns, words, row)
        if problem:
            problems.append(f"line {reader.line_num}: {problem}")
        values.append(row)
        numbers.append(reader.line_num)
    _refuse(path, problems)
    if not values:
        raise ValueError(f"A list of pairs must have at least one. Received: {path} with none.")
    files = [(row["file_a"], row["file_b"]) for row in values]
    found = _existing(path, root, files, numbers, ("",))
    has_people = "person_a" in columns and "person_b" in columns
    return _pair_table(
        root,
        found,
        [TRUTHS[row["same"].strip().lower()] for row in values],
        np.array([int(row["fold"]) for row in values]) if "fold" in columns else None,
        [(row["person_a"], row["person_b"]) for row in values] if has_people else None,
    )


def _check_columns(path: pathlib.Path, columns: list[str]) -> None:
    known = (*CSV_COLUMNS, *MORE_COLUMNS)
    for column in CSV_COLUMNS:
        if column not in columns:
            raise ValueError(
                f"A CSV list of pairs must have the columns {','.join(CSV_COLUMNS)} and, if known, "
                f"{','.join(MORE_COLUMNS)}. Received: {columns} in line 1 of {path}."
                f"{suggest(column, [name for name in columns if name not in known])}"
            )


def _csv_problem(columns: list[str], words: list[str], row: dict[str, str]) -> str | None:
    if len(words) != len(columns):
        return f"{len(words)} values for {len(columns)} columns"
    if row["same"].strip().lower() not in TRUTHS:
        return f"same={row['same']!r} is not 0 or 1"
    if not row["file_a"] or not row["file_b"] or row["file_a"] == row["file_b"]:
        return f"{row['file_a']!r} and {row['file_b']!r} are not two different files"
    if "fold" in row and not row["fold"].strip().isdecimal():
        return f"fold={row['fold']!r} is not a whole number"
    same = TRUTHS[row["same"].strip().lower()]
    if "person_a" in row and "person_b" in row and (row["person_a"] == row["person_b"]) != same:
        return f"same={row['same']!r} contradicts {row['person_a']!r} and {row['person_b']!r}"
    return None


def _existing(
    path: pathlib.Path,
    root: pathlib.Path,
    pairs: Sequence[tuple[str, str]],
    numbers: Sequence[int],
    suffixes: Sequence[str],
) -> list[tuple[str, str]]:
    """Adds the suffixes of the files to the pairs; refuses missing files."""
    known: dict[str, str | None] = {}
    problems = []
    for files, number in zip(pairs, numbers, strict=True):
        for file in files:
            if file not in known:
                candidates = (f"{file}{suffix}" for suffix in suffixes)
                known[file] = next((name for name in candidates if (root / name).is_file()), None)
            if known[file] is None:
                problems.append(f"line {number}: {file}{suffixes[0]} is not in {root}")
    _refuse(path, problems)
    return [(str(known[first]), str(known[second])) for first, second in pairs]


def _refuse(path: pathlib.Path, problems: list[str]) -> None:
    if problems:
        more = len(problems) - SHOWN_ERRORS
        raise ValueError(
            f"Every line of a list of pairs must name two images. Received: {path} with "
            f"{counted(len(problems), 'invalid line')}: {'; '.join(problems[:SHOWN_ERRORS])}"
            f"{f'; and {more} more' if more > 0 else ''}."
        )


def _pair_table(
    root: pathlib.Path,
    pairs: Sequence[tuple[str, str]],
    same: Iterable[bool],
    folds: np.ndarray | None,
    people: Sequence[tuple[str, str]] | None,
) -> PairTable:
    place: dict[str, int] = {}
    rows = [[place.setdefault(file, len(place)) for file in pair] for pair in pairs]
    return PairTable(
        FaceTable(root, np.array(list(place), dtype=object)),
        np.array(rows, dtype=np.int64),
        np.array(list(same), dtype=bool),
        None if folds is None else folds.astype(np.int64),
        None if people is None else np.array(people, dtype=object),
    )
