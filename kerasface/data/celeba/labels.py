"""CelebA's label files: attributes, partition and people, as ``.txt`` or ``.csv``."""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasface.files import check_text_table

ATTRIBUTES, PARTITION, PEOPLE = "list_attr_celeba", "list_eval_partition", "identity_CelebA"
SUFFIXES = (".txt", ".csv")
# The label files are beside the images, or in these folders of the archive on CelebA's own site.
FOLDERS = ("", "Anno", "Eval")


@dataclasses.dataclass(frozen=True)
class LabelRows:
    """A label file: a name and integers for each image.

    Attributes:
        file: The file.
        text: Its content.
        skipped: Number of lines before the first row.
        columns: Names of the integers; empty if the file has none.
        names: str object ``[N]``, the first field of each row.
        values: int64 ``[N, columns]``.
    """

    file: pathlib.Path
    text: str
    skipped: int
    columns: tuple[str, ...]
    names: np.ndarray
    values: np.ndarray

    def check(self, valid: np.ndarray, rows: np.ndarray, rule: str) -> None:
        """Refuses the first invalid row, with its line number.

        Args:
            valid: bool ``[M]``.
            rows: int ``[M]``, positions in ``names``.
            rule: The values that are valid, in words.

        Raises:
            ValueError: If a row is invalid.
        """
        if not valid.all():
            row = int(rows[valid.argmin()])
            lines = [n for n, line in enumerate(self.text.split("\n"), 1) if line.strip()]
            before = sum(line <= self.skipped for line in lines)
            raise ValueError(
                f"Every value in {self.file.name} must be {rule}. Received: "
                f"{self.names[row]!r} with {sorted(set(self.values[row].tolist()))} in line "
                f"{lines[before + row]} of {self.file}."
            )

    def positions(self, names: np.ndarray) -> np.ndarray:
        """int64 ``[M]``, the row of each name; -1 for unknown names."""
        found: np.ndarray = pd.Index(self.names).get_indexer(pd.Index(names))
        return found


def find_label_file(root: pathlib.Path, stem: str) -> pathlib.Path | None:
    """Finds a label file of a CelebA folder; ``.txt`` comes before ``.csv``.

    Args:
        root: The folder.
        stem: File name without its suffix, for instance `ATTRIBUTES`.

    Returns:
        The path, or None if there is no such file.
    """
    for suffix in SUFFIXES:
        for folder in FOLDERS:
            file = root / folder / f"{stem}{suffix}"
            if file.is_file():
                return file
    return None


def required_label_file(root: pathlib.Path, stem: str) -> pathlib.Path:
    """Finds a label file, as `find_label_file`, and raises an error if there is none.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    file = find_label_file(root, stem)
    if file is not None:
        return file
    remedy = {
        ATTRIBUTES: "Give the folder that has this file and the images.",
        PARTITION: "Copy it there, or use split='identity' if there is an identity_CelebA.txt.",
        PEOPLE: "Copy it there, or use split='official'.",
    }[stem]
    raise FileNotFoundError(
        f"There must be a file {stem}.txt or {stem}.csv. Received: {os.fspath(root)!r}, which "
        f"does not have it. {remedy}"
    )


def read_attributes(file: pathlib.Path) -> LabelRows:
    """Reads ``list_attr_celeba``: -1 (or 0) and 1 for each image and attribute.

    Raises:
        ValueError: If the file is damaged; the message has the line number.
    """
    table = read_label_rows(file, header=True)
    values = table.values
    # In some copies -1 was replaced by 0.
    valid = ((values == 1) | (values == -1) | (values == 0)).all(axis=1)
    table.check(valid, np.arange(len(values)), "-1 (or 0) and 1")
    return table


def read_label_rows(file: pathlib.Path, *, header: bool) -> LabelRows:
    """Reads a label file.

    Args:
        file: The file, its fields separated by spaces or commas.
        header: If True, the file has a line of column names. If False, it has one integer for
            each image, and column names are optional.

    Raises:
        ValueError: If the file is damaged; the message has the line number.
    """
    check_text_table(file, file.name)
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    form = _read_form(file, text, header)
    frame = _parse(file, text, form)
    if form.count is not None and form.count != len(frame):
        last = text.rstrip().count("\n") + 1
        raise ValueError(
            f"The first line of {file.name} must be the number of its rows. Received: "
            f"{form.count} in the first line and {len(frame)} rows, the last in line {last} of "
            f"{file}. Check whether the file is truncated."
        )
    names = frame[0].to_numpy(object)
    repeated = frame[0].duplicated().to_numpy()
    if repeated.any():
        raise ValueError(
            f"{file.name} must have one row per image. Received: {quote_few(names[repeated])} "
            f"more than once in {file}."
        )
    return LabelRows(file, text, form.skipped, form.columns, names, frame.iloc[:, 1:].to_numpy())


@dataclasses.dataclass(frozen=True)
class _Form:
    """The form of a label file, by its first lines.

    Attributes:
        count: Number of rows, if the first line has it.
        skipped: Number of lines before the first row.
        separator: ``","``, or None for white space.
        columns: Column names.
        width: Number of fields in a row.
    """

    count: int | None
    skipped: int
    separator: str | None
    columns: tuple[str, ...]
    width: int


def _read_form(file: pathlib.Path, text: str, header: bool) -> _Form:
    lines = text.split("\n", 3)[:3]
    count = int(lines[0]) if lines[0].strip().isdecimal() else None
    head = lines[0 if count is None else 1 :]
    separator = "," if head and "," in head[0] else None
    fields = [_fields(line, separator) for line in head]
    titled = header or (bool(fields) and not _is_number(fields[0][-1]))
    skipped = (count is not None) + titled
    if len(fields) <= titled or not "".join(fields[titled]):
        raise ValueError(
            f"{file.name} must have {'a line of names and ' if header else ''}one row per image. "
            f"Received: nothing in line {skipped + 1} of {file}. "
            "Check whether the file is truncated."
        )
    width = len(fields[titled]) if header else 2
    # The original file has no name for its first column, CSV files have one.
    columns = fields[0][-(width - 1) :] if header else []
    named = len(set(columns)) == width - 1 and not any(map(_is_number, columns))
    if header and (len(fields[0]) not in (width - 1, width) or not named):
        raise ValueError(
            f"{file.name} must have a line of different attribute names before its rows. Received: "
            f"line {skipped} of {file} with {len(fields[0])} names for the {width - 1} values of "
            f"line {skipped + 1}: {' '.join(fields[0])[:60]!r}."
        )
    return _Form(count, skipped, separator, tuple(columns), width)


def _parse(file: pathlib.Path, text: str, form: _Form) -> pd.DataFrame:
    try:
        with np.errstate(invalid="raise"):  # otherwise 9e99 becomes the smallest integer
            frame = pd.read_csv(
                io.StringIO(text),
                sep=form.separator or r"\s+",
                header=None,
                skiprows=form.skipped,
                dtype={0: str, **dict.fromkeys(range(1, form.width), np.int64)},
                keep_default_na=False,
            )
        if frame.shape[1] != form.width:
            raise ValueError(f"{frame.shape[1]} fields per row")
    except (
        ValueError,
        ArithmeticError,
    ) as error:  # without file and line
        raise ValueError(
            f"Every row of {file.name} must have a file name and {form.width - 1} whole numbers. "
            f"Received: {_first_fault(text, form) or error} of {file}. "
            "Check whether the file is truncated."
        ) from error
    return frame


def _fields(line: str, separator: str | None) -> list[str]:
    return [field.strip().strip('"') for field in line.strip().split(separator)]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d{1,18}", text) is not None


def _first_fault(text: str, form: _Form) -> str:
    """Describes the first invalid row with its line; empty if all rows are valid."""
    for number, line in enumerate(text.split("\n"), start=1):
        fields = _fields(line, form.separator)
        if number <= form.skipped or not line.strip():
            continue
        if len(fields) != form.width:
            return f"{len(fields) - 1} values in line {number}"
        for field in fields[1:]:
            if not _is_number(field):
                return f"{field!r} in line {number}"
    return ""


def quote_few(names: np.ndarray, limit: int = 3) -> str:
    """The first few names in quotes, for messages."""
    listed = ", ".join(map(repr, names[:limit].tolist()))
    return f"{listed} and others" if len(names) > limit else listed


def write_label_files(
    folder: pathlib.Path,
    names: Sequence[str],
    attributes: Sequence[str],
    labels: Sequence[Sequence[bool]],
    partitions: Sequence[int],
    people: Sequence[int] = (),
) -> None:
    """Writes CelebA's label files in their original form.

    Args:
        folder: Folder to write to.
        names: File names, ``[N]``.
        attributes: Attribute names, ``[A]``.
        labels: Whether each image has each attribute, ``[N, A]``.
        partitions: 0, 1 or 2 for train, validation and test, ``[N]``.
        people: Number of each image's person, ``[N]``. If empty, ``identity_CelebA.txt`` is not
            written.
    """
    signs = np.where(np.array(labels), " 1", "-1")
    rows = [f"{name} {' '.join(row)}" for name, row in zip(names, signs, strict=True)]
    _write_lines(folder / f"{ATTRIBUTES}.txt", [str(len(rows)), " ".join(attributes), *rows])
    for stem, values in ((PARTITION, partitions), (PEOPLE, people)):
        if len(values):
            rows = [f"{name} {value}" for name, value in zip(names, values, strict=True)]
            _write_lines(folder / f"{stem}.txt", rows)


def _write_lines(path: pathlib.Path, lines: list[str]) -> None:
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
