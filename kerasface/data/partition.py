"""Chooses the partition of each row of a data set: by shares, by class, with groups."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from kerasface.checks import check_choice

SKIP = "skip"
LEFT_OUT = -1
SHOWN_CLASSES = 5


@dataclasses.dataclass(frozen=True, eq=False)
class Partitions:
    """The partition of every row, as `choose_partitions` returns it.

    Attributes:
        names: Names of the partitions.
        index: int64 ``[N]``, the position in ``names`` of each row's partition; -1 for a row that
            is in none.
        small: int64 ``[S]``, the classes that have too few groups for all partitions.
    """

    names: tuple[str, ...]
    index: np.ndarray
    small: np.ndarray

    def mask(self, name: str) -> np.ndarray:
        """bool ``[N]``, True for the rows of the named partition."""
        mask: np.ndarray = self.index == self.names.index(name)
        return mask

    def __repr__(self) -> str:
        counts = [f"{name}={int(self.mask(name).sum()):,}" for name in self.names]
        left_out = int((self.index == LEFT_OUT).sum())
        return f"Partitions({', '.join(counts)}, left_out={left_out:,})"


def choose_partitions(
    shares: Mapping[str, float],
    *,
    labels: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    seed: int = 0,
    small: str | None = None,
    names: Sequence[str] | None = None,
) -> Partitions:
    """Chooses a partition for every row at random.

    Rows of one group (near-duplicates, images of one person) always go to the same partition.
    With labels, the shares hold for every class, and every class is in every partition.

    Without groups, or without labels, the groups are put in random order and laid end to end,
    class by class. Each goes to the partition that contains its middle, so a share differs by at
    most half a group. With both, a group may have rows of several classes. Then the groups are
    placed one by one, the largest first, each in the partition where its classes lack most rows.

    Args:
        shares: Share of the rows for each partition, by name; each in (0, 1], summing to 1.
        labels: int class indices ``[N]``; None does not balance classes.
        groups: int or str ``[N]``, the group of each row; None makes every row its own group.
        seed: Seed of the choice. The same arguments always give the same partitions.
        small: Partition for classes with fewer groups than there are partitions, or ``"skip"``
            for none; only with labels and groups. None refuses such classes.
        names: Class names for the error message; None shows the indices.

    Returns:
        The partition of every row, and the small classes.

    Raises:
        ValueError: If neither labels nor groups are given, the shares are invalid, a class has
            too few images or groups, or a partition would be empty.

    Example:
        >>> shares = {"train": 2 / 3, "test": 1 / 3}
        >>> chosen = choose_partitions(shares, groups=[7, 7, 3, 3, 9, 9])
        >>> sorted(chosen.index.tolist())
        [0, 0, 0, 0, 1, 1]
    """
    check_shares(shares)
    _check_rows(labels, groups)
    parts = tuple(shares)
    if small is not None:
        check_choice("small", small, (*parts, SKIP))
        if labels is None or groups is None:
            raise ValueError(f"`small` needs labels and groups. Received: small={small!r}.")
    amounts = np.array(list(shares.values()), dtype=np.float64)
    generator = np.random.default_rng(seed)
    none = np.zeros(0, np.int64)
    if labels is None:
        members = np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)
        index = _lay_end_to_end(None, members, amounts, generator)
        _check_filled(index, parts, int(members.max(initial=-1)) + 1)
        return Partitions(parts, index, none)
    classes, class_of = np.unique(np.asarray(labels), return_inverse=True)
    class_of = class_of.reshape(-1)
    if groups is None:
        counts = np.bincount(class_of, minlength=len(classes))
        _refuse_small(classes[counts < len(parts)], "image", len(parts), names)
        members = np.arange(len(class_of))
        return Partitions(parts, _lay_end_to_end(class_of, members, amounts, generator), none)
    units = _shuffled_units(class_of, np.asarray(groups), generator)
    few = _small_classes(units, len(classes), len(parts))
    if small is None:
        _refuse_small(classes[few], "group", len(parts), names)
    rest = parts.index(small) if small in parts else LEFT_OUT
    index = _place_largest_first(class_of, units, few, amounts, rest)
    return Partitions(parts, index, classes[few])


def check_shares(shares: Mapping[str, float], *, zeros: bool = False) -> None:
    """Refuses shares that do not sum to 1.

    Args:
        shares: Share of each partition.
        zeros: If True, a share may be 0.

    Raises:
        ValueError: If a share is out of range or the sum is not 1.

    Example:
        >>> check_shares({"train": 0.8, "validation": 0.2})
    """
    values = list(shares.values())
    within = all(0 < share <= 1 or (zeros and share == 0) for share in values)
    if not within or abs(sum(values) - 1) > 1e-6:
        given = ", ".join(f"{name}={share}" for name, share in shares.items())
        raise ValueError(
            f"The shares of a split must be in {'[' if zeros else '('}0, 1] and sum to 1. "
            f"Received: {given}, the sum {sum(values):g}."
        )


def _check_rows(labels: ArrayLike | None, groups: ArrayLike | None) -> None:
    given = {"labels": labels, "groups": groups}
    shapes = {name: np.shape(rows) for name, rows in given.items() if rows is not None}
    if not shapes or len(set(shapes.values())) > 1 or any(len(s) != 1 for s in shapes.values()):
        received = ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
        raise ValueError(
            "A split needs `labels` or `groups`, with one value for each row. "
            f"Received: {received or 'neither'}."
        )


def _lay_end_to_end(
    classes: np.ndarray | None,
    members: np.ndarray,
    shares: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """Lays groups end to end in random order, class by class, and cuts at the shares.

    Args:
        classes: int64 ``[N]``, where every row is a group; None does not balance classes.
        members: ``[N]``, group numbers from 0 without gaps.
        shares: ``[P]``.
        generator: Puts the groups in order.
    """
    sizes = np.bincount(members)
    order = generator.permutation(len(sizes))
    if classes is None:
        stratum = np.zeros(len(order), np.int64)
        edges = (np.cumsum(shares[:-1]) * len(members))[None]
    else:
        stratum = classes
        edges = _whole_edges(np.bincount(classes), shares)
        order = order[np.argsort(stratum[order], kind="stable")]
    lengths = sizes[order]
    ends = np.cumsum(lengths)
    totals = np.bincount(stratum[order], weights=lengths, minlength=len(edges))
    starts = np.cumsum(totals) - totals
    middles = ends - lengths / 2 - starts[stratum[order]]
    part = np.empty(len(order), np.int64)
    part[order] = (edges[stratum[order]] <= middles[:, None]).sum(axis=1)
    placed: np.ndarray = part[members]
    return placed


def _whole_edges(counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Where classes of single rows are cut, ``[C, P - 1]``; every partition gets a row."""
    parts = len(shares)
    edges = np.rint(counts[:, None] * np.cumsum(shares[:-1]))
    first = np.arange(1, parts)
    bounded: np.ndarray = np.clip(edges, first, counts[:, None] - first[::-1])
    return bounded


def _check_filled(index: np.ndarray, parts: Sequence[str], groups: int) -> None:
    empty = [name for place, name in enumerate(parts) if not (index == place).any()]
    if empty:
        raise ValueError(
            "Every partition must get at least one group. Received: "
            f"{groups} groups and {len(index)} rows, which leave {', '.join(empty)} empty. "
            "Use larger shares."
        )


def _refuse_small(few: np.ndarray, unit: str, parts: int, names: Sequence[str] | None) -> None:
    """Refuses classes with fewer images, or groups of images, than there are partitions."""
    if not few.size:
        return
    shown = [names[label] if names is not None else int(label) for label in few[:SHOWN_CLASSES]]
    number = "two" if parts == 2 else str(parts)
    received = f"a single {unit}" if parts == 2 else f"fewer {unit}s"
    raise ValueError(
        f"Every class needs at least {number} {unit}s to be split. Received: {received} of "
        f"{shown}{' and others' if len(few) > SHOWN_CLASSES else ''}. Add images, remove these "
        "classes, or give a validation folder instead of a split."
    )


@dataclasses.dataclass(frozen=True)
class _Unit:
    """The rows of one group.

    Attributes:
        rows: Positions in the data set.
        owner: Class of the first row. A group of several classes counts for this one alone, or
            each class would rely on it.
    """

    rows: list[int]
    owner: int


def _shuffled_units(
    classes: np.ndarray, groups: np.ndarray, generator: np.random.Generator
) -> list[_Unit]:
    """The groups in random order, each with its rows in random order."""
    members: dict[int | str, list[int]] = {}
    keys = groups.tolist()
    for row in generator.permutation(len(classes)).tolist():
        members.setdefault(keys[row], []).append(row)
    return [_Unit(rows, int(classes[rows[0]])) for rows in members.values()]


def _small_classes(units: Iterable[_Unit], classes: int, parts: int) -> np.ndarray:
    """The classes that own fewer groups than there are partitions."""
    owned = np.bincount([unit.owner for unit in units], minlength=classes)
    return np.flatnonzero(owned < parts)


def _place_largest_first(
    classes: np.ndarray,
    units: Sequence[_Unit],
    few: np.ndarray,
    shares: np.ndarray,
    rest: int,
) -> np.ndarray:
    """Places group by group in the partition where its classes lack most rows.

    Args:
        classes: int64 ``[N]``, from 0 without gaps.
        units: The groups, in random order.
        few: Small classes, which count for no share.
        shares: ``[P]``.
        rest: Partition of the small classes; -1 for none.
    """
    small, is_small = set(few.tolist()), np.isin(classes, few)
    counts = np.bincount(classes)
    missing = np.array([_quotas(int(count), shares) for count in counts]).reshape(-1, len(shares))
    empty = np.ones(missing.shape, dtype=bool)
    groups_left = np.bincount([unit.owner for unit in units], minlength=len(missing))
    index = np.full(len(classes), rest, np.int64)
    # Large groups first, while there is room for them; the order is random otherwise.
    for unit in sorted(units, key=lambda unit: len(unit.rows), reverse=True):
        present = classes[[row for row in unit.rows if not is_small[row]]]
        if not len(present):
            continue
        room = missing[present].sum(axis=0)
        owner = unit.owner
        # The last groups of a class go to the partitions that still have none of it.
        if owner not in small and groups_left[owner] <= empty[owner].sum():
            room = np.where(empty[owner], room, -np.inf)
        groups_left[owner] -= 1
        best = int(np.argmax(room))
        index[unit.rows] = best
        np.subtract.at(missing[:, best], present, 1)
        empty[present, best] = False
    # Images of small classes in such groups: alone in that partition, they are left out.
    index[is_small & (index != rest)] = LEFT_OUT
    return index


def _quotas(count: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers in the ratio of the shares, each at least 1 where there are enough rows."""
    quotas = np.maximum(np.floor(count * shares + 1e-9), 1 if count >= len(shares) else 0)
    while quotas.sum() != count:
        step = 1 if quotas.sum() < count else -1
        gain = step * (count * shares - quotas)
        gain[(quotas + step < 1) & (step < 0)] = -np.inf
        quotas[np.argmax(gain)] += step
    return quotas
