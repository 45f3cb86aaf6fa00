"""Which images a run was made with: written at its start, held against what it is resumed with."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping

import numpy as np
import pandas as pd

from kerasface.data.table import UNKNOWN_FORMAT, FaceTable
from kerasface.files import replacing

IMAGES = "images.csv"
ROOTS = "roots.json"


def write_images(
    folder: pathlib.Path, given: Mapping[str, FaceTable], readable: Mapping[str, FaceTable]
) -> None:
    """Writes which images are on which side of a run.

    Args:
        folder: The run's folder.
        given: Tables by side, ``"train"`` and ``"validation"``, as they were handed in.
        readable: The same after `kerasface.data.check`: what is left, with formats.
    """
    frames = []
    for side, table in given.items():
        # -1 stays with the files that cannot be read.
        formats = np.full(len(table), UNKNOWN_FORMAT)
        kept = np.isin(table.paths.astype(str), readable[side].paths.astype(str))
        formats[kept] = readable[side].formats
        columns = {"path": table.paths, "label": _label_texts(table), "format": formats}
        frames.append(pd.DataFrame({"side": side, **columns}))
    with replacing(folder / IMAGES) as part:
        pd.concat(frames).to_csv(part, index=False)
    roots = {side: os.path.abspath(table.root) for side, table in given.items()}
    with replacing(folder / ROOTS) as part:
        part.write_text(json.dumps(roots, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_images(folder: pathlib.Path) -> pd.DataFrame:
    """What `write_images` wrote.

    Args:
        folder: The run's folder.

    Returns:
        Columns ``side``, ``path`` (relative), ``label`` (the number of the class, or a 0 or 1 an
        attribute, ``"0110"``) and ``format``.
    """
    types = {"path": str, "label": str}
    return pd.read_csv(folder / IMAGES, dtype=types, keep_default_na=False)


def _label_texts(table: FaceTable) -> np.ndarray:
    labels = np.asarray(table.labels)
    if table.multi_label:
        return np.array(["".join(row) for row in labels.astype(str)], dtype=object)
    return labels.astype(str).astype(object)


def same_images(folder: pathlib.Path, given: Mapping[str, FaceTable]) -> dict[str, FaceTable]:
    """The tables of a run that goes on, as they were checked when it began.

    A file that broke since stays in its place, or every later batch would be another; the stream
    makes it a black image of no weight.

    Args:
        folder: The run's folder.
        given: Tables by side, as they are handed in now. The roots may be others.

    Returns:
        The readable rows, with formats.

    Raises:
        ValueError: If the images or labels of a side are not those that the run began with.
    """
    known = read_images(folder)
    sides = set(known["side"])
    if sides != set(given):
        raise ValueError(
            "A run goes on with the images that it began with. "
            f"Received: tables for {sorted(given)} where there were {sorted(sides)}."
        )
    tables = {}
    for side, table in given.items():
        rows = known[known["side"] == side]
        same = np.array_equal(rows["path"].to_numpy(object), table.paths)
        if not same or not np.array_equal(rows["label"].to_numpy(object), _label_texts(table)):
            odd = sorted(set(rows["path"]) ^ set(table.paths))
            raise ValueError(
                "A run goes on with the images that it began with. "
                f"Received: {len(table)} images in `{side}` where there were {len(rows)}; "
                f"{len(odd)} are in one of them alone, for instance {odd[:3]}. Give the same "
                "folder and split, or start a new run."
            )
        formats = rows["format"].to_numpy()
        checked = dataclasses.replace(table, formats=formats)
        tables[side] = checked.take(formats != UNKNOWN_FORMAT)
    return tables
