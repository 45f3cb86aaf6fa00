"""A folder of people to folders for training, validation and test."""

from __future__ import annotations

import collections
import os
import pathlib
import shutil
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kerasface import images
from kerasface.data.duplicates import NEAR_DUPLICATE, near_duplicates
from kerasface.data.folders import identity_folder
from kerasface.data.reading import read_files, read_text_table
from kerasface.data.table import FaceTable
from kerasface.names import suggest

SIDES = ("train", "validation", "test")
LEFT_OUT = "skip"
UNREADABLE = "unreadable"
TABLE = "split.csv"
PART = ".part"
# What `kerasface.faces.crop` leaves beside its crops, and its column of the photographs' hashes.
CROPS, PHOTOGRAPH = "crops.csv", "photograph_hash"


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
    progress: bool = False,
) -> pd.DataFrame:
    """Splits every person's images into ``train/``, ``validation/`` and ``test/``.

    Pictures that are nearly the same (stored anew, made smaller, a little brighter) all go to
    one side, else the test would ask for what was learnt by heart. Of crops it is also the
    photographs that count, where ``source``, or a folder that it is in, holds the ``crops.csv`` of
    `kerasface.faces.crop`: crops of one photograph stored twice differ by a pixel or two.
    A new ``target`` appears whole or not at all; one that was there is filled at the end,
    ``split.csv`` last, which tells where every file went.

    Args:
        source: Folder with one subfolder of images a person, as for `identity_folder`.
        target: Folder to write; must be new or empty.
        train: Share of each person's images for training, in ``[0, 1]``.
        validation: Share for validation.
        test: Share for the test; the three sum to 1. A side of share 0 is not made, every other
            one gets an image at least of every person.
        seed: Seed of the choice.
        how: ``"copy"``, ``"link"`` (hard links, no room needed, the same disk) or ``"symlink"``
            (to the absolute path).
        small: Where a person goes who has too few different pictures for all sides: ``"train"``,
            ``"validation"`` or ``"test"``, a side that is made, or ``"skip"``, nowhere; a warning
            names them. Pictures that they share with people who go elsewhere are left out.
        distance: Bits of 256 that the hashes of nearly equal pictures may differ in
            (`near_duplicates`), 0 or more; None keeps no pictures together.
        progress: Whether a bar is shown while images are read, if standard error is a terminal.

    Returns:
        What ``split.csv`` holds: ``file`` (as in ``source``), ``person``, ``side`` (``skip`` and
        ``unreadable``: in none) and ``group``, the same number for nearly equal pictures.

    Raises:
        FileNotFoundError: If ``source`` is no folder.
        ValueError: If an option is out of range, ``source`` holds no people, or ``target`` holds
            anything or lies in ``source``.
        OSError: If links cannot be made there.

    Example:
        >>> table = split_folder("crops", "data", how="link")  # doctest: +SKIP
        >>> table["side"].value_counts()  # doctest: +SKIP
    """
    shares = _checked_shares({"train": train, "validation": validation, "test": test})
    _check_choice("how", how, tuple(_WAYS))
    _check_choice("small", small, (*shares, LEFT_OUT))
    # A link to a folder is written to where it leads.
    source, target = pathlib.Path(source), pathlib.Path(target).resolve()
    _check_target(source, target)
    table = identity_folder(source)
    labels = np.asarray(table.labels)
    readable, group = _groups(table, distance, progress=progress)
    side = np.full(len(table), UNREADABLE, dtype=object)
    chosen, lonely = _choose(labels[readable], group[readable], shares, small, seed)
    side[readable] = chosen
    frame = pd.DataFrame(
        {
            # An object column: pandas's own strings hold no name that is not UTF-8.
            "file": pd.Series(table.paths, dtype=object),
            "person": np.asarray(table.names, dtype=object)[labels],
            "side": side,
            "group": group,
        }
    )
    if lonely.size:
        names = [table.names[label] for label in lonely[:5]]
        warnings.warn(
            f"{lonely.size} of {len(table.names)} people have fewer different pictures than there "
            f"are sides ({', '.join(shares)}) and go to {small!r} whole: "
            f"{', '.join(names)}{', ...' if lonely.size > 5 else ''}.",
            stacklevel=2,
        )
    if not readable.all():
        warnings.warn(
            f"{(~readable).sum()} of {len(table)} files cannot be read and are left out, for "
            f"instance {table.paths[~readable][0]}.",
            stacklevel=2,
        )
    _write(frame, source, target, how, shares)
    return frame


def _checked_shares(shares: Mapping[str, float]) -> dict[str, float]:
    within = all(0 <= share <= 1 for share in shares.values())
    if not within or abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(
            "The shares of a split must be in [0, 1] and sum to 1. Received: "
            f"{', '.join(f'{name}={share}' for name, share in shares.items())}, "
            f"the sum {sum(shares.values()):g}."
        )
    return {name: share for name, share in shares.items() if share}


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(
            f"`{name}` must be one of {list(known)}. Received: {name}={value!r}."
            f"{suggest(str(value), known)}"
        )


def _check_target(source: pathlib.Path, target: pathlib.Path) -> None:
    outer = source.resolve()
    if target == outer or outer in target.parents:
        raise ValueError(
            "A split must lie outside the folder that it splits. "
            f"Received: source={str(source)!r}, target={str(target)!r}."
        )
    if target.exists() and (not target.is_dir() or any(map(_is_foreign, target.iterdir()))):
        raise ValueError(
            "A split must go to a folder that is new or empty. "
            f"Received: {target}, which holds something. Name a new folder."
        )


def _is_foreign(path: pathlib.Path) -> bool:
    # What a split leaves that was killed is its own.
    return not (path.name.startswith(".") and path.suffix == PART)


def _groups(
    table: FaceTable, distance: int | None, *, progress: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Which files can be read, and the number of each file's group."""
    hashes = read_files(
        _hash, table.full_paths(), description="comparing images", progress=progress
    )
    readable = np.array([value is not None for value in hashes])
    group = np.arange(len(table))
    if distance is not None and readable.any():
        known = np.stack([value for value in hashes if value is not None])
        # Groups take the number of their first file, which no unreadable one has.
        number = near_duplicates(known, distance)
        labels = np.asarray(table.labels)[readable]
        number = _joined(number, _photographs(table.take(readable), labels, distance))
        first = np.unique(number, return_index=True)[1]
        group[readable] = np.flatnonzero(readable)[first][number]
    return readable, group


def _photographs(table: FaceTable, labels: np.ndarray, distance: int) -> np.ndarray:
    """Numbers of the photographs that crops of one person are from, alike for near duplicates."""
    alone = np.arange(len(table))
    # The photographs may have had folders above the people's: crops/train/ann/1.jpg.
    root = pathlib.Path(table.root).resolve()
    folder = next((place for place in (root, *root.parents) if (place / CROPS).is_file()), None)
    if folder is None:
        return alone
    crops = read_text_table(folder / CROPS)
    if not {"crop", PHOTOGRAPH} <= set(crops):  # another program's
        return alone
    marks = dict(zip(crops["crop"], crops[PHOTOGRAPH], strict=True))
    below = root.relative_to(folder)
    found = [marks.get((below / path).as_posix(), "") for path in table.paths]
    known = np.flatnonzero([bool(mark) for mark in found])
    if not known.size:
        return alone
    hashes = np.stack([np.frombuffer(bytes.fromhex(found[row]), np.uint8) for row in known])
    number = near_duplicates(hashes, distance)
    # People of one photograph are different pictures.
    keys = np.stack([number, labels[known]])
    alone[known] = len(table) + np.unique(keys, axis=1, return_inverse=True)[1].reshape(-1)
    return np.unique(alone, return_inverse=True)[1].reshape(-1)


def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Groups of what is in one group by either numbering, or by a chain of both."""
    places = one.max() + 1
    edges = (np.ones(len(one), bool), (one, places + other))
    size = places + other.max() + 1
    return connected_components(coo_array(edges, shape=(size, size)), directed=False)[1][one]


def _hash(path: str) -> np.ndarray | None:
    try:
        return images.perceptual_hash(images.decode(pathlib.Path(path).read_bytes()))
    except (OSError, ValueError):
        return None


def _choose(
    labels: np.ndarray, group: np.ndarray, shares: Mapping[str, float], small: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The side of every image, and the classes that are too small for all sides."""
    sides = np.array(list(shares), dtype=object)
    members: dict[int, list[int]] = {}
    for position in np.random.default_rng(seed).permutation(len(labels)).tolist():
        members.setdefault(int(group[position]), []).append(position)
    # A group of several people is one person's, or each would rely on it.
    owner_of = {number: int(labels[rows[0]]) for number, rows in members.items()}
    groups_left = collections.Counter(owner_of.values())
    classes, counts = np.unique(labels, return_counts=True)
    is_small = {label for label in classes.tolist() if groups_left[label] < len(sides)}
    wanted = np.array(list(shares.values()))
    missing = {
        label: _quotas(count, wanted)
        for label, count in zip(classes.tolist(), counts.tolist(), strict=True)
    }
    empty = {label: np.ones(len(sides), dtype=bool) for label in classes.tolist()}
    chosen = np.full(len(labels), small, dtype=object)
    # Large groups first, while there is room for them; the order is random otherwise.
    for number, rows in sorted(members.items(), key=lambda item: len(item[1]), reverse=True):
        owners = [label for label in labels[rows].tolist() if label not in is_small]
        if not owners:
            continue
        room = np.sum([missing[label] for label in owners], axis=0)
        owner = owner_of[number]
        if owner not in is_small and groups_left[owner] <= empty[owner].sum():
            room = np.where(empty[owner], room, -np.inf)
        groups_left[owner] -= 1
        best = int(np.argmax(room))
        chosen[rows] = sides[best]
        for label in owners:
            missing[label][best] -= 1
            empty[label][best] = False
    # Groups take pictures of small people along, who would be on that side with these alone.
    chosen[np.isin(labels, list(is_small)) & (chosen != small)] = LEFT_OUT
    return chosen, np.array(sorted(is_small), dtype=int)


def _quotas(count: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers in the ratio of the shares, each 1 at least where there is enough."""
    quotas = np.maximum(np.floor(count * shares + 1e-9), 1 if count >= len(shares) else 0)
    while quotas.sum() != count:
        step = 1 if quotas.sum() < count else -1
        gain = step * (count * shares - quotas)
        gain[(quotas + step < 1) & (step < 0)] = -np.inf
        quotas[np.argmax(gain)] += step
    return quotas


def _write(
    frame: pd.DataFrame,
    source: pathlib.Path,
    target: pathlib.Path,
    how: str,
    shares: Mapping[str, float],
) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # A folder that is there may be a disk of its own, or the one that somebody works in: it stays,
    # and is filled at once at the end.
    inside = target.exists()
    part = (target if inside else target.parent) / f".{target.name}.{os.getpid()}{PART}"
    shutil.rmtree(part, ignore_errors=True)  # of a process of the same number that was killed
    part.mkdir()
    try:
        for file, side in zip(frame["file"].tolist(), frame["side"].tolist(), strict=True):
            if side in shares:
                place = part / side / file
                place.parent.mkdir(parents=True, exist_ok=True)
                _WAYS[how](source.resolve() / file, place)
        frame.to_csv(part / TABLE, index=False, lineterminator="\n", errors="surrogateescape")
        if inside:
            for name in sorted(os.listdir(part), key=lambda name: (name == TABLE, name)):
                os.replace(part / name, target / name)
        else:
            os.replace(part, target)
    except OSError as error:
        raise OSError(
            f"Files of a split are made with how={how!r}. Received: {error}. "
            "Hard links need one disk, symbolic ones a system that allows them; 'copy' works "
            "wherever there is room."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _copy(source: pathlib.Path, place: pathlib.Path) -> None:
    shutil.copy2(source, place)


def _link(source: pathlib.Path, place: pathlib.Path) -> None:
    # A symbolic link is followed: the new name holds the picture, whatever becomes of the link.
    os.link(source.resolve(), place)


def _symlink(source: pathlib.Path, place: pathlib.Path) -> None:
    place.symlink_to(source)


_WAYS: dict[str, Callable[[pathlib.Path, pathlib.Path], None]] = {
    "copy": _copy,
    "link": _link,
    "symlink": _symlink,
}
