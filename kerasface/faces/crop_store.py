"""The folder of crops: settings, journal and table.

While a run lasts, every finished job is a line of the journal. At the end, the rows of the
journal and of the old table become the new table. So a killed run can be resumed.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import pandas as pd

from kerasface.data.duplicates import CROP_SETTINGS, CROPS
from kerasface.data.reading import read_text_table
from kerasface.faces.crop_image import COLUMNS, NUMBERS, STAMP, CropPlan, Row
from kerasface.files import LOCK, replacing

JOURNAL = "journal.jsonl"
FORMAT = 3  # raised when crops change, so that old and new ones are not mixed
SHOWN_FILES = 3

Rows = dict[str, list[Row]]  # the rows of each photograph, by its path


class CropStore:
    """The state of a folder of crops.

    Args:
        plan: Options of the run.

    Attributes:
        rows: The rows of every photograph that is in the table or in the journal.
    """

    def __init__(self, plan: CropPlan) -> None:
        self._plan = plan
        self.rows: Rows = {}

    def claim(self, detector: str, options: Mapping[str, Any]) -> None:
        """Accepts a new or empty folder, or one of an earlier run with the same settings.

        Args:
            detector: Description of the detector.
            options: Options of the detector.

        Raises:
            ValueError: If the folder has other files, or crops with other settings.
        """
        plan = self._plan
        settings: dict[str, Any] = {"format": FORMAT, "detector": detector}
        settings |= {f"options.{key}": options[key] for key in sorted(options)}
        names = ("size", "margin", "align", "template", "faces", "without", "suffix")
        settings |= {key: getattr(plan, key) for key in names}
        settings["source"] = os.fspath(plan.source.resolve())
        text = json.dumps(settings, indent=1, default=str)
        path = plan.target / CROP_SETTINGS
        own = (CROP_SETTINGS, plan.work_folder.name, LOCK)
        begun = any(entry.name not in own for entry in os.scandir(plan.target))
        if path.is_file():
            wanted = json.loads(text)
            found = {"template": "arcface"} | json.loads(path.read_text(encoding="utf-8"))
            changed = [key for key in {**wanted, **found} if found.get(key) != wanted.get(key)]
            if not changed:
                return
            if begun:
                now, then = (
                    ", ".join(f"{key}={values.get(key)!r}" for key in changed)
                    for values in (wanted, found)
                )
                raise ValueError(
                    "A folder of crops must have one setting. "
                    f"Received: {now}, but the crops in {plan.target} have {then}. Choose a new "
                    "folder or delete this one."
                )
        elif begun:
            raise ValueError(
                "Crops must be written to a new or empty folder, or to that of an earlier run. "
                f"Received: {plan.target}, which has other files. Choose a new folder."
            )
        # No crops were made with other settings.
        shutil.rmtree(plan.work_folder, ignore_errors=True)
        with replacing(path, folder=plan.work_folder) as part:
            part.parent.mkdir()
            part.write_text(text, encoding="utf-8")

    def load(self) -> None:
        """Reads the table and the journal of earlier runs."""
        rows: Rows = {}
        table = self._plan.target / CROPS
        if table.is_file():
            for row in read_rows(table):
                # Older tables have fewer columns.
                rows.setdefault(row["file"], []).append(dict.fromkeys(COLUMNS, "") | row)
        journal = self._plan.work_folder / JOURNAL
        if journal.is_file():
            for line in journal.read_text(encoding="utf-8").split("\n"):
                with contextlib.suppress(ValueError):  # cut off by a killed run
                    for name, found in json.loads(line).items():
                        rows[name] = [dict.fromkeys(COLUMNS, "") | row for row in found]
        self.rows = rows

    def is_done(self, name: str) -> bool:
        """Whether a photograph was cropped, did not change since, and still has its crops."""
        rows = self.rows.get(name)
        if rows is None or rows[0]["outcome"] == "unreadable":
            return False
        stamp = file_stamp(self._plan.source / name)
        # Without a stamp (older table, missing disk) changes cannot be detected.
        if stamp and rows[0][STAMP] not in ("", stamp):
            return False
        return all((self._plan.target / row["crop"]).is_file() for row in rows if row["crop"])

    @contextlib.contextmanager
    def journal(self) -> Iterator[TextIO]:
        """Opens the journal for `add`."""
        self._plan.work_folder.mkdir(exist_ok=True)
        with open(self._plan.work_folder / JOURNAL, "a", encoding="utf-8") as journal:
            journal.write("\n")  # ends a line that a killed run may have cut off
            yield journal

    def add(self, results: Rows, journal: TextIO) -> None:
        """Adds the rows of one complete job."""
        self._delete_replaced(results)
        self.rows |= results
        journal.write(json.dumps(results) + "\n")
        journal.flush()

    def finish(self, names: set[str]) -> pd.DataFrame:
        """Writes the table and removes the journal.

        Args:
            names: All photographs of this run.

        Returns:
            The table, with numbers.
        """
        self._forget_missing(names)
        # Within a file, the faces are already in order.
        rows = [row for name in sorted(self.rows) for row in self.rows[name]]
        with replacing(self._plan.target / CROPS, folder=self._plan.work_folder) as part:
            pd.DataFrame(rows, columns=list(COLUMNS), dtype=object).to_csv(
                part, index=False, lineterminator="\n", errors="surrogateescape"
            )
        # A worker of a killed run may still write its last job there.
        shutil.rmtree(self._plan.work_folder, ignore_errors=True)
        return typed_rows(rows)

    def _delete_replaced(self, results: Rows) -> None:
        """Deletes the crops that a photograph no longer has since it was replaced."""
        for name, rows in results.items():
            if not rows[0][STAMP]:  # the photograph itself was missing
                continue
            before = {row["crop"] for row in self.rows.get(name, []) if row["crop"]}
            for crop_name in before - {row["crop"] for row in rows}:
                (self._plan.target / crop_name).unlink(missing_ok=True)

    def _forget_missing(self, names: set[str]) -> None:
        """Drops missing photographs without crops, and warns of those that still have crops."""
        others = {row["crop"] for name in names for row in self.rows[name]}
        kept = []
        for name in sorted(self.rows.keys() - names):
            crops = {row["crop"] for row in self.rows[name] if row["crop"]} - others
            if any((self._plan.target / crop_name).is_file() for crop_name in crops):
                kept.append(name)
            else:
                del self.rows[name]
        if kept:
            warnings.warn(
                f"{len(kept)} photographs of an earlier run are missing, for instance "
                f"{kept[:SHOWN_FILES]}; their crops are kept. Delete these crops if the "
                "photographs were moved or removed on purpose.",
                stacklevel=5,
            )


def file_stamp(photograph: pathlib.Path) -> str:
    """Size and time of the last change, by which a replaced file is recognized.

    Args:
        photograph: The file.

    Returns:
        ``size-nanoseconds``; empty if there is no such file.
    """
    try:
        status = photograph.stat()
    except OSError:  # reading it will raise with the reason
        return ""
    return f"{status.st_size}-{status.st_mtime_ns}"


def read_rows(path: pathlib.Path) -> list[Row]:
    """Reads a table of crops as text."""
    frame = read_text_table(path)
    return [{str(key): value for key, value in row.items()} for row in frame.to_dict("records")]


def typed_rows(rows: list[Row]) -> pd.DataFrame:
    """A table of rows, with numbers where the columns are `NUMBERS`, ``face`` and ``faces``."""
    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype=object)
    numbers = frame[["face", "faces", *NUMBERS]].apply(pd.to_numeric)
    return frame.assign(**numbers)
