"""Splits a folder of people into folders for training, validation and test."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import warnings
from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from kerasface.checks import check_choice
from kerasface.data.duplicates import CROP_SETTINGS, NEAR_DUPLICATE, duplicate_groups
from kerasface.data.folders import identity_folder
from kerasface.data.partition import SKIP, Partitions, check_shares, choose_partitions
from kerasface.data.table import FaceTable
from kerasface.progress import track

UNREADABLE = "unreadable"
TABLE = "split.csv"
TEMPORARY = ".part"
SHOWN_PEOPLE = 5


def split_folder(
    source: str | os.PathLike,
    target: str | os.PathLike,
    *,
    train: float = 0.7,
    validation: float = 0.2,
    test: float = 0.1,
    seed: int = 0,
    how: str = "copy",
    small: str = "train",
    distance: int | None = NEAR_DUPLICATE,
    verbose: int = 0,
) -> pd.DataFrame:
    """Splits every person's images into ``train/``, ``validation/`` and ``test/``.

    Near-duplicates (an image that was saved again, made smaller or a little brighter) go to the
    same partition; otherwise the test would contain training images. Crops are also compared by
    their photographs, see `duplicate_groups`. The partitions are chosen by `choose_partitions`.

    The settings of `kerasface.faces.crop`, ``crops.json``, are copied with the images.

    A new ``target`` appears complete or not at all. An existing one is filled at the end, with
    ``split.csv`` last, which lists the partition of every file.

    Args:
        source: Folder with one subfolder of images for each person, as for `identity_folder`.
        target: Folder to write; must be new or empty.
        train: Share of each person's images for training, in ``[0, 1]``.
        validation: Share for validation.
        test: Share for the test. The three shares sum to 1. A partition with share 0 is not
            written; every other one gets at least one image of every person.
        seed: Seed of the choice.
        how: ``"copy"``, ``"link"`` (hard links, which need no space but the same disk) or
            ``"symlink"`` (to the absolute path).
        small: Partition for a person with too few different images for all partitions:
            ``"train"``, ``"validation"`` or ``"test"``, if it has a share, or ``"skip"`` for
            none; a warning names these people. Near-duplicates that they share with people in
            another partition are skipped.
        distance: Largest number of the 256 bits in which the hashes of near-duplicates differ
            (`near_duplicates`), 0 or more. None keeps no images together.
        verbose: 1 shows the progress, 0 nothing.

    Returns:
        The content of ``split.csv``: ``file`` (as in ``source``), ``person``, ``partition``
        (``skip`` and ``unreadable``: in none) and ``group``, the same number for
        near-duplicates.

    Raises:
        FileNotFoundError: If ``source`` is not a folder.
        ValueError: If an option is out of range, ``source`` has no people, or ``target`` is not
            empty or is inside ``source``.
        OSError: If links cannot be created.

    Warns:
        UserWarning: If people have too few different images, or files cannot be read.

    Example:
        >>> table = split_folder("crops", "data", how="link")  # doctest: +SKIP
        >>> table["partition"].value_counts()  # doctest: +SKIP
    """
    shares = {"train": train, "validation": validation, "test": test}
    check_shares(shares, zeros=True)
    shares = {name: share for name, share in shares.items() if share}
    check_choice("how", how, _WAYS)
    check_choice("small", small, (*shares, SKIP))
    # If `target` is a link, the folder that it points to is written.
    source, target = pathlib.Path(source), pathlib.Path(target).resolve()
    _check_target(source, target)
    table = identity_folder(source)
    found = duplicate_groups(table, distance, verbose=verbose)
    readable = np.flatnonzero(found.readable)
    labels = np.asarray(table.labels)
    chosen = choose_partitions(
        shares, labels=labels[readable], groups=found.groups[readable], seed=seed, small=small
    )
    partition = np.full(len(table), UNREADABLE, dtype=object)
    partition[readable] = np.array([*chosen.names, SKIP], dtype=object)[chosen.index]
    frame = pd.DataFrame(
        {
            # An object column: pandas's own strings cannot hold names that are not UTF-8.
            "file": pd.Series(table.paths, dtype=object),
            "person": np.asarray(table.names, dtype=object)[labels],
            "partition": partition,
            "group": found.groups,
        }
    )
    _warn(table, found.readable, chosen, small)
    _write(frame, source, target, how, chosen.names, verbose)
    return frame


def _warn(table: FaceTable, readable: np.ndarray, chosen: Partitions, small: str) -> None:
    few = [table.names[label] for label in chosen.small]
    if few:
        warnings.warn(
            f"{len(few)} of {len(table.names)} people have fewer different images than there are "
            f"partitions ({', '.join(chosen.names)}). All their images go to {small!r}: "
            f"{', '.join(few[:SHOWN_PEOPLE])}{', ...' if len(few) > SHOWN_PEOPLE else ''}.",
            stacklevel=3,
        )
    if not readable.all():
        warnings.warn(
            f"{(~readable).sum()} of {len(table)} files cannot be read and are skipped, for "
            f"example {table.paths[~readable][0]}.",
            stacklevel=3,
        )


def _check_target(source: pathlib.Path, target: pathlib.Path) -> None:
    outer = source.resolve()
    if target == outer or outer in target.parents:
        raise ValueError(
            "`target` must be outside the folder that is split. "
            f"Received: source={str(source)!r}, target={str(target)!r}."
        )
    if target.exists() and (not target.is_dir() or any(map(_is_foreign, target.iterdir()))):
        raise ValueError(
            "`target` must be a new or empty folder. "
            f"Received: {target}, which is not empty. Choose a new folder."
        )


def _is_foreign(path: pathlib.Path) -> bool:
    # A killed split leaves such folders behind.
    return not (path.name.startswith(".") and path.suffix == TEMPORARY)


def _write(
    frame: pd.DataFrame,
    source: pathlib.Path,
    target: pathlib.Path,
    how: str,
    partitions: Iterable[str],
    verbose: int,
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # An existing folder may be a mounted disk or a working folder. It is kept, and filled at the
    # end.
    inside = target.exists()
    part = (target if inside else target.parent) / f".{target.name}.{os.getpid()}{TEMPORARY}"
    shutil.rmtree(part, ignore_errors=True)  # left by a killed process with the same id
    part.mkdir()
    try:
        chosen = frame[frame["partition"].isin(list(partitions))]
        places = list(zip(chosen["partition"], chosen["file"], strict=True))
        for name, file in track(places, len(places), "Writing images", verbose=verbose):
            place = part / name / file
            place.parent.mkdir(parents=True, exist_ok=True)
            _WAYS[how](source.resolve() / file, place)
        _copy_settings(source / CROP_SETTINGS, part / CROP_SETTINGS)
        frame.to_csv(part / TABLE, index=False, lineterminator="\n", errors="surrogateescape")
        if inside:
            for name in sorted(os.listdir(part), key=lambda name: (name == TABLE, name)):
                os.replace(part / name, target / name)
        else:
            os.replace(part, target)
    except OSError as error:
        raise OSError(
            f"The files of a split must be writable with how={how!r}. Received: {error}. "
            "Hard links work on a single disk, and symbolic links need a system that supports "
            "them. Use how='copy'."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _copy_settings(source: pathlib.Path, place: pathlib.Path) -> None:
    """Copies how the crops were made, so that a run knows it."""
    if source.is_file():
        try:
            settings = dict(json.loads(source.read_text(encoding="utf-8")))
        except ValueError:  # a file of another program
            return
        settings.pop("source", None)  # without it, no photographs are cropped to there
        place.write_text(json.dumps(settings, indent=1), encoding="utf-8")


def _copy(source: pathlib.Path, place: pathlib.Path) -> None:
    shutil.copy2(source, place)


def _link(source: pathlib.Path, place: pathlib.Path) -> None:
    # Follows a symbolic link: the new file stays valid if that link is removed.
    os.link(source.resolve(), place)


def _symlink(source: pathlib.Path, place: pathlib.Path) -> None:
    place.symlink_to(source)


_WAYS: dict[str, Callable[[pathlib.Path, pathlib.Path], None]] = {
    "copy": _copy,
    "link": _link,
    "symlink": _symlink,
}
