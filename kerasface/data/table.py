"""FaceTable: image files and their labels, without pixels."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kerasface import images
from kerasface.checks import check_number
from kerasface.data import notebook
from kerasface.data.partition import choose_partitions
from kerasface.data.reading import read_files
from kerasface.names import suggest

UNKNOWN_FORMAT = -1
DECODE_WITH_PILLOW = 0


@dataclasses.dataclass(frozen=True, eq=False)
class FaceTable:
    """A list of image files and their labels.

    Attributes:
        root: Folder that the paths are relative to.
        paths: str object array ``[N]``, with forward slashes, relative to ``root``.
        labels: int64 class indices ``[N]`` in ``[0, len(names))``, or 0/1 attributes
            ``[N, len(names)]``, or None for unlabeled images.
        names: Class or attribute names as strings, in the order of the labels.
        formats: int8 ``[N]``, the format of each file as `check` found it: 1 to 8 is the EXIF
            orientation of a plain JPEG or PNG, 0 is a file that Pillow decodes. None if the files
            were not checked; the pipeline then detects the format when it reads them.
    """

    root: pathlib.Path
    paths: np.ndarray
    labels: np.ndarray | None = None
    names: tuple[str, ...] = ()
    formats: np.ndarray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", pathlib.Path(self.root))
        object.__setattr__(self, "paths", np.asarray(self.paths, dtype=object))
        object.__setattr__(self, "names", tuple(self.names))
        if self.labels is not None:
            labels = np.asarray(self.labels)
            self._check_labels(labels)
            object.__setattr__(self, "labels", labels.astype(np.int64))
        if self.formats is not None:
            object.__setattr__(self, "formats", np.asarray(self.formats, dtype=np.int8))
            if len(self.formats) != len(self.paths):
                raise ValueError(
                    "`formats` must have one value per image. "
                    f"Received: {len(self.formats)} formats for {len(self.paths)} paths."
                )

    def _check_labels(self, labels: np.ndarray) -> None:
        if labels.ndim not in (1, 2) or (labels.size and labels.dtype.kind not in "biu"):
            raise ValueError(
                "`labels` must be integers, [N] class indices or [N, attributes] of 0 and 1. "
                f"Received: {labels.dtype} of shape {labels.shape}."
            )
        if len(labels) != len(self.paths):
            raise ValueError(
                "`labels` must have one row per image. "
                f"Received: {len(labels)} labels for {len(self.paths)} paths."
            )
        if labels.ndim == 2 and labels.shape[1] != len(self.names):
            raise ValueError(
                "`labels` must have one column per attribute name. "
                f"Received: {labels.shape[1]} columns for {len(self.names)} names."
            )
        upper = 2 if labels.ndim == 2 else len(self.names)
        if labels.size and not (labels.min() >= 0 and labels.max() < upper):
            raise ValueError(
                f"`labels` must be in [0, {upper}). "
                f"Received: values from {labels.min()} to {labels.max()}."
            )

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        kind = ""
        if self.labels is not None:
            noun = "attributes" if self.multi_label else "classes"
            kind = f", {len(self.names):,} {noun} ({notebook.shorten(self.names)})"
        return f"FaceTable({len(self):,} images{kind}, root={os.fspath(self.root)!r})"

    def _repr_html_(self) -> str:
        facts: dict[str, object] = {"root": self.root, "images": f"{len(self):,}"}
        if self.labels is not None:
            noun = "attributes" if self.multi_label else "classes"
            facts[noun] = f"{len(self.names):,} ({notebook.shorten(self.names)})"
        first = self.take(np.arange(min(len(self), notebook.SHOWN_ROWS))).to_frame()
        return notebook.facts_html("FaceTable", facts) + notebook.frame_html(first)

    @property
    def multi_label(self) -> bool:
        """Whether the labels are attributes, several of which may hold for one image."""
        return self.labels is not None and self.labels.ndim == 2

    def full_paths(self) -> list[str]:
        """Paths of the files with ``root``, in the order of the table."""
        root = os.fspath(self.root)
        return [os.path.join(root, path) for path in self.paths]

    def take(self, rows: ArrayLike) -> FaceTable:
        """Selects rows by integer positions, in their order, or by a boolean mask."""
        chosen = np.asarray(rows)
        if chosen.dtype != bool:
            chosen = chosen.astype(np.int64)
        return dataclasses.replace(
            self,
            paths=self.paths[chosen],
            labels=None if self.labels is None else self.labels[chosen],
            formats=None if self.formats is None else self.formats[chosen],
        )

    def with_attributes(self, names: str | Sequence[str]) -> FaceTable:
        """Selects attributes.

        Args:
            names: Attribute names, each once, or one name.

        Raises:
            ValueError: If the table has no attributes, or an attribute is unknown.

        Example:
            >>> table = FaceTable("faces", ["1.jpg"], [[0, 1]], ["Bald", "Young"])
            >>> table.with_attributes(["Young"]).labels.tolist()
            [[1]]
        """
        if not self.multi_label:
            raise ValueError(
                "Attributes can only be chosen from a table that has them. "
                f"Received: names={names!r} for {self.summary()}."
            )
        assert self.labels is not None
        columns = attribute_columns(names, self.names)
        chosen = tuple(self.names[column] for column in columns)
        return dataclasses.replace(self, labels=self.labels[:, columns], names=chosen)

    def split(
        self, validation: float = 0.1, seed: int = 0, *, groups: ArrayLike | None = None
    ) -> tuple[FaceTable, FaceTable]:
        """Splits at random, with the same share of every class.

        Args:
            validation: Share of the images for the second table, in ``(0, 1)``. Both tables get
                at least one image of every class.
            seed: Seed of the choice; the same table and seed give the same split.
            groups: int or str ``[N]``, the group of each image; images of one group stay
                together. For near-duplicates use `kerasface.data.duplicate_groups`. None splits
                image by image.

        Returns:
            ``(train, validation)``, each in this table's order, with the same names.

        Raises:
            ValueError: If the table has no class labels, or a class has a single image or group.

        Example:
            >>> table = FaceTable("faces", ["a/1.jpg", "a/2.jpg"], [0, 0], ["a"])
            >>> [len(part) for part in table.split(validation=0.5)]
            [1, 1]
        """
        if self.labels is None or self.multi_label:
            kind = "a table with attributes" if self.multi_label else "an unlabeled table"
            raise ValueError(f"A stratified split needs one class per image. Received: {kind}.")
        check_number("validation", validation, 0, 1, above=True, below=True)
        # The validation partition comes first: its size is rounded, the rest is for training.
        shares = {"validation": validation, "train": 1 - validation}
        chosen = choose_partitions(
            shares, labels=self.labels, groups=groups, seed=seed, names=self.names
        )
        return self.take(chosen.mask("train")), self.take(chosen.mask("validation"))

    def counts(self) -> pd.Series:
        """Images of each class (or with each attribute), indexed by name."""
        if self.labels is None:
            raise ValueError("An unlabeled table has no counts. Received: labels=None.")
        if self.multi_label:
            values = self.labels.sum(axis=0)
        else:
            values = np.bincount(self.labels, minlength=len(self.names))
        return pd.Series(values, index=pd.Index(self.names, dtype=object), name="images")

    def summary(self) -> str:
        """One line: images, classes, and the smallest, median and largest class."""
        if self.labels is None:
            return f"{len(self):,} unlabeled images in {self.root}"
        kind = "attributes" if self.multi_label else "classes"
        counts = self.counts()
        return (
            f"{len(self):,} images of {len(self.names):,} {kind} in {self.root} "
            f"({counts.min():,} to {counts.max():,} each, median {counts.median():,.0f})"
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per image: ``path``, then ``label`` and ``name`` or one column per attribute."""
        frame = pd.DataFrame({"path": self.paths})
        if self.labels is None:
            return frame
        if self.multi_label:
            attributes = pd.DataFrame(self.labels, columns=list(self.names))
            return pd.concat([frame, attributes], axis=1)
        names = np.asarray(self.names, dtype=object)
        return frame.assign(label=self.labels, name=names[self.labels])


def attribute_columns(attributes: str | Sequence[str], known: Sequence[str]) -> list[int]:
    """Positions of attributes among the known ones.

    Args:
        attributes: Names, each once, or one name.
        known: All names.

    Returns:
        Their positions, in the order of ``attributes``.

    Raises:
        ValueError: If a name is unknown (the message suggests near names) or given twice, or
            ``attributes`` is empty.
    """
    wanted = [attributes] if isinstance(attributes, str) else list(attributes)
    for name in wanted:
        if name not in known:
            raise ValueError(
                f"`attributes` must be among the {len(known)} attributes of the labels. "
                f"Received: {name!r}.{suggest(name, known) or f' They are {list(known)}.'} "
                f"Choose some of them, in a shell with --set attributes={','.join(known[:2])}."
            )
    if not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(
            f"`attributes` must be one or more different names. Received: attributes={wanted}."
        )
    return [list(known).index(name) for name in wanted]


@dataclasses.dataclass(frozen=True)
class CheckReport:
    """The readable and the unreadable files of a table, as `check` returns them.

    Attributes:
        table: The readable rows, in order, with their formats.
        unreadable: One row for each broken file: ``path`` (relative) and ``reason``.
    """

    table: FaceTable
    unreadable: pd.DataFrame

    def __repr__(self) -> str:
        few = notebook.shorten(self.unreadable["path"])
        return (
            f"CheckReport({len(self.table):,} readable, {len(self.unreadable):,} unreadable"
            f"{f' ({few})' if few else ''}, root={os.fspath(self.table.root)!r})"
        )

    def _repr_html_(self) -> str:
        facts = {
            "root": self.table.root,
            "readable": f"{len(self.table):,}",
            "unreadable": f"{len(self.unreadable):,}",
        }
        text = notebook.facts_html("CheckReport", facts)
        return text + (notebook.frame_html(self.unreadable) if len(self.unreadable) else "")


def check(
    table: FaceTable,
    *,
    max_unreadable: float = 0.05,
    workers: int | None = None,
    verbose: int = 0,
) -> CheckReport:
    """Reads every file completely, to find unreadable files before training starts.

    Args:
        table: The files to read.
        max_unreadable: Largest share of unreadable files to accept, in ``[0, 1]``.
        workers: Number of threads; None for twice the processors.
        verbose: 1 shows the progress, 0 nothing.

    Returns:
        The readable rows, and the unreadable files with reasons.

    Raises:
        ValueError: If more than ``max_unreadable`` of the files cannot be read; the message
            lists the first few.
    """
    check_number("max_unreadable", max_unreadable, 0, 1, remedy="It is a share of the files.")
    outcomes = read_files(
        _check_file,
        table.full_paths(),
        description="Checking images",
        workers=workers,
        verbose=verbose,
    )
    readable = np.array([reason is None for _, reason in outcomes], dtype=bool)
    formats = np.array([code for code, _ in outcomes], dtype=np.int8)
    unreadable = pd.DataFrame(
        {
            "path": table.paths[~readable],
            "reason": [reason for _, reason in outcomes if reason is not None],
        }
    )
    if len(unreadable) > max_unreadable * len(table):
        raise ValueError(
            f"At most {max_unreadable:.0%} of the images may be unreadable. Received: "
            f"{len(unreadable)} of {len(table)} in {table.root}: {_first_few(unreadable)}. "
            "Repair or remove them, or allow a larger share with `max_unreadable`."
        )
    checked = dataclasses.replace(table, formats=formats)
    return CheckReport(checked.take(readable), unreadable)


def _check_file(path: str) -> tuple[int, str | None]:
    try:
        info = images.inspect(pathlib.Path(path).read_bytes())
    except (OSError, ValueError) as error:
        return UNKNOWN_FORMAT, str(error) or type(error).__name__
    return (info.orientation if info.plain else DECODE_WITH_PILLOW), None


def _first_few(unreadable: pd.DataFrame, limit: int = 3) -> str:
    rows = unreadable.head(limit).itertuples(index=False)
    text = "; ".join(f"{row.path} ({row.reason})" for row in rows)
    return text if len(unreadable) <= limit else f"{text}; ..."
