"""Record of a run's images: written when the run starts, read or compared when it resumes."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kerasface.data.table import UNKNOWN_FORMAT, FaceTable
from kerasface.files import replacing

IMAGES = "images.csv"
ROOTS = "roots.json"


def write_images(
    folder: pathlib.Path, given: Mapping[str, FaceTable], readable: Mapping[str, FaceTable]
) -> None:
    """Writes which images are in which partition of a run.

    Args:
        folder: Run folder.
        given: Tables by partition, ``"train"`` and ``"validation"``, as the user gave them.
        readable: The same tables after `kerasface.data.check`: the readable rows, with formats.
    """
    frames = []
    for partition, table in given.items():
        # -1 stays with the files that cannot be read.
        formats = np.full(len(table), UNKNOWN_FORMAT)
        kept = np.isin(table.paths.astype(str), readable[partition].paths.astype(str))
        formats[kept] = readable[partition].formats
        columns = {"path": table.paths, "label": _label_texts(table), "format": formats}
        frames.append(pd.DataFrame({"partition": partition, **columns}))
    with replacing(folder / IMAGES) as part:
        pd.concat(frames).to_csv(part, index=False)
    write_roots(folder, given)


def write_roots(folder: pathlib.Path, tables: Mapping[str, FaceTable]) -> None:
    """Writes the folders that the images of each partition are relative to.

    Args:
        folder: Run folder.
        tables: Tables by partition.
    """
    roots = {name: os.path.abspath(table.root) for name, table in tables.items()}
    with replacing(folder / ROOTS) as part:
        part.write_text(json.dumps(roots, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_images(folder: pathlib.Path) -> pd.DataFrame:
    """Reads what `write_images` wrote.

    Args:
        folder: Run folder.

    Returns:
        Columns ``partition``, ``path`` (relative), ``label`` (the number of the class, or a 0 or 1
        per attribute, ``"0110"``) and ``format``.
    """
    types = {"path": str, "label": str}
    frame = pd.read_csv(folder / IMAGES, dtype=types, keep_default_na=False)
    return frame.rename(columns={"side": "partition"})  # its name before version 0.2


def read_roots(folder: pathlib.Path) -> dict[str, str]:
    """Reads the folders that the images of each partition are relative to.

    Args:
        folder: Run folder.

    Returns:
        Partition to absolute path.
    """
    return json.loads((folder / ROOTS).read_text(encoding="utf-8"))


def recorded_tables(
    folder: pathlib.Path,
    names: Sequence[str],
    *,
    multi_label: bool,
    data: str | os.PathLike[str] | None = None,
) -> dict[str, FaceTable]:
    """Returns the tables that a run was started with.

    Args:
        folder: Run folder.
        names: Names of the run's classes or attributes.
        multi_label: Whether the labels are attributes.
        data: New location of the data folder, if it was moved. None expects the images where they
            were.

    Returns:
        Tables by partition, ``"train"`` and, with validation, ``"validation"``. The formats are
        not set.

    Raises:
        FileNotFoundError: If images are missing, or not in the given folder.
    """
    frame, roots = read_images(folder), read_roots(folder)
    tables = {}
    for name, rows in frame.groupby("partition", sort=False):
        partition = str(name)
        paths = rows["path"].to_numpy(object)
        readable = paths[rows["format"].to_numpy() != UNKNOWN_FORMAT]
        root = pathlib.Path(roots[partition])
        if data is not None:
            root = _moved_root(root, pathlib.Path(data), readable)
        _check_present(partition, root, readable)
        labels = _labels_of(rows["label"].tolist(), multi_label)
        tables[partition] = FaceTable(root, paths, labels, tuple(names))
    return tables


def _labels_of(texts: Sequence[str], multi_label: bool) -> np.ndarray:
    """Labels from their texts, see `_label_texts`."""
    if multi_label:
        return np.array([list(text) for text in texts]).astype(np.int64)
    return np.array(texts).astype(np.int64)


def _moved_root(root: pathlib.Path, data: pathlib.Path, paths: np.ndarray) -> pathlib.Path:
    """The folder of a partition in a data folder that was moved.

    ``root`` may have been the data folder or a folder in it, such as ``train`` or
    ``img_align_celeba/img_align_celeba``.
    """
    candidates = [data.joinpath(*root.parts[len(root.parts) - depth :]) for depth in range(4)]
    first = paths[0] if len(paths) else ""
    for candidate in candidates:
        if (candidate / first).exists():
            return candidate
    raise FileNotFoundError(
        "The moved data folder must hold the images of the run. "
        f"Received: {os.fspath(data)!r}, where {first!r} is in none of "
        f"{[os.fspath(candidate) for candidate in candidates]}."
    )


def _check_present(partition: str, root: pathlib.Path, paths: np.ndarray) -> None:
    missing = [path for path in paths if not (root / path).is_file()]
    if missing:
        raise FileNotFoundError(
            "A run must be resumed with the images that it started with. "
            f"Received: {len(missing)} of {len(paths)} images of `{partition}` missing in "
            f"{os.fspath(root)!r}, for instance {missing[0]!r}. If the data folder was moved, name "
            "its new location (--data), or pass `train` and `validation`."
        )


def same_images(folder: pathlib.Path, given: Mapping[str, FaceTable]) -> dict[str, FaceTable]:
    """Returns the tables of a resumed run as they were checked when it started.

    A file that became unreadable since then keeps its row, because every later batch would differ
    otherwise. The stream reads it as a black image of weight 0.

    Args:
        folder: Run folder.
        given: Tables by partition, as the user gave them now. The roots may differ.

    Returns:
        The readable rows, with formats.

    Raises:
        ValueError: If the images or labels of a partition differ from those at the start.
    """
    known = read_images(folder)
    partitions = set(known["partition"])
    if partitions != set(given):
        raise ValueError(
            "A run must be resumed with the images that it started with. "
            f"Received: tables for {sorted(given)}, but it started with {sorted(partitions)}."
        )
    tables = {}
    for name, table in given.items():
        rows = known[known["partition"] == name]
        same = np.array_equal(rows["path"].to_numpy(object), table.paths)
        if not same or not np.array_equal(rows["label"].to_numpy(object), _label_texts(table)):
            odd = sorted(set(rows["path"]) ^ set(table.paths))
            raise ValueError(
                "A run must be resumed with the images that it started with. "
                f"Received: {len(table)} images in `{name}`, but it started with {len(rows)}; "
                f"{len(odd)} are in only one of the two, for instance {odd[:3]}. Use the same "
                "folder and split, or start a new run."
            )
        formats = rows["format"].to_numpy()
        checked = dataclasses.replace(table, formats=formats)
        tables[name] = checked.take(formats != UNKNOWN_FORMAT)
    return tables


def _label_texts(table: FaceTable) -> np.ndarray:
    labels = np.asarray(table.labels)
    if table.multi_label:
        return np.array(["".join(row) for row in labels.astype(str)], dtype=object)
    return labels.astype(str).astype(object)
