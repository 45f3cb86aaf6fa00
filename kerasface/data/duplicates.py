"""Near-duplicates: images of the same photograph, found by their perceptual hashes."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np

from kerasface import images
from kerasface.data.reading import read_files, read_text_table
from kerasface.data.table import FaceTable

# Table that `kerasface.faces.crop` writes, and its column with the hashes of the photographs.
CROPS, PHOTOGRAPH = "crops.csv", "photograph_hash"
CROP_SETTINGS = "crops.json"

# Of the 256 bits of `images.perceptual_hash`. Measured on LFW, CelebA and celebrities' faces, 430
# to 500 images each: saving an image again (JPEG of quality 40, half the size, gray, less
# contrast, noise of 5 gray levels) changes at most 10 bits, making it a fifth brighter at most 30
# (16 or fewer for 95% of the images). Two photographs differ in 128 +- 13 bits, the nearest in 64.
# 24 is eight standard deviations away: among the 10^10 pairs of 140,000 images no pair is that
# near by chance. Cropping 2% at each border changes 50 to 64 bits and is not found.
NEAR_DUPLICATE = 24

_SHUFFLE = 0  # seed of the order in which the bits are divided into bands


@dataclasses.dataclass(frozen=True, eq=False)
class DuplicateGroups:
    """Near-duplicates of a table, as `duplicate_groups` finds them.

    Attributes:
        groups: int64 ``[N]``, the group of each file: the row of its first file.
        readable: bool ``[N]``. A file that cannot be read is a group of its own.
    """

    groups: np.ndarray
    readable: np.ndarray

    def __repr__(self) -> str:
        files, groups = len(self.groups), len(np.unique(self.groups))
        unreadable = int((~self.readable).sum())
        return f"DuplicateGroups({files:,} files, {groups:,} groups, {unreadable:,} unreadable)"


def near_duplicates(hashes: np.ndarray, distance: int = NEAR_DUPLICATE) -> np.ndarray:
    """Groups images with near hashes; chains of near hashes form one group.

    Hashes that differ in at most ``distance`` bits are equal in at least one of ``distance + 1``
    bands of bits. So only hashes that share a band are compared, and no near pair is missed.

    Args:
        hashes: uint8 ``[N, B]``, 8 B bits each; see `images.perceptual_hash`.
        distance: Largest number of bits in which two near hashes differ, 0 or more.

    Returns:
        int64 ``[N]``, the number of each image's group, from 0 in the order of their first
        images.

    Raises:
        ValueError: If ``hashes`` has another dtype or shape, or ``distance`` is out of range.

    Example:
        >>> near_duplicates(np.array([[0], [255], [1]], np.uint8), distance=1).tolist()
        [0, 1, 0]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    hashes = np.asarray(hashes)
    if hashes.dtype != np.uint8 or hashes.ndim != 2 or not hashes.shape[1]:
        raise ValueError(
            "Hashes must be uint8 of shape [N, bytes]. "
            f"Received: {hashes.dtype} of shape {hashes.shape}."
        )
    bits = 8 * hashes.shape[1]
    if not 0 <= distance < bits:
        raise ValueError(
            f"`distance` must be in [0, {bits}), a number of bits. Received: distance={distance}."
        )
    # Of equal hashes, such as those of a thousand blank images, only one is compared.
    unique, place = np.unique(hashes, axis=0, return_inverse=True)
    pairs = _near_pairs(unique, distance)
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(len(unique), len(unique)))
    # numpy 2.0 returns the places as a column.
    group = connected_components(graph, directed=False)[1][place.reshape(-1)]
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number.reshape(-1)]


def duplicate_groups(
    table: FaceTable, distance: int | None = NEAR_DUPLICATE, *, verbose: int = 0
) -> DuplicateGroups:
    """Finds the near-duplicates of a table, for splits that keep them together.

    Of crops, the photographs are compared too, if the table's folder or a folder above it has the
    ``crops.csv`` of `kerasface.faces.crop`: two crops of the same photograph may differ by a
    pixel or two, which changes their hashes more than the photograph's.

    Args:
        table: Images, with one class each where crops are compared by their photographs.
        distance: Largest number of bits in which near hashes differ, see `near_duplicates`. None
            makes every file its own group and only tests which files can be read.
        verbose: 1 shows the progress, 0 nothing.

    Returns:
        The group of every file, and which files can be read.

    Raises:
        ValueError: If ``distance`` is out of range.

    Example:
        >>> found = duplicate_groups(table)  # doctest: +SKIP
        >>> train, validation = table.split(0.1, groups=found.groups)  # doctest: +SKIP
    """
    hashes = read_files(_hash, table.full_paths(), description="Comparing images", verbose=verbose)
    readable = np.array([value is not None for value in hashes], dtype=bool)
    group = np.arange(len(table))
    if distance is not None and readable.any():
        known = np.stack([value for value in hashes if value is not None])
        number = near_duplicates(known, distance)
        number = _joined(number, _photographs(table.take(readable), distance))
        # A group has the number of its first file, which no unreadable file has.
        first = np.unique(number, return_index=True)[1]
        group[readable] = np.flatnonzero(readable)[first][number]
    return DuplicateGroups(group, readable)


def _hash(path: str) -> np.ndarray | None:
    try:
        return images.perceptual_hash(images.decode(pathlib.Path(path).read_bytes()))
    except (OSError, ValueError):
        return None


def _photographs(table: FaceTable, distance: int) -> np.ndarray:
    """Number of the photograph of each crop; near-duplicate photographs have the same number."""
    alone = np.arange(len(table))
    # The table may be in a folder above those of the people: crops/train/ann/1.jpg.
    root = pathlib.Path(table.root).resolve()
    folder = next((place for place in (root, *root.parents) if (place / CROPS).is_file()), None)
    if folder is None:
        return alone
    crops = read_text_table(folder / CROPS)
    if not {"crop", PHOTOGRAPH} <= set(crops):  # a table of another program
        return alone
    marks = dict(zip(crops["crop"], crops[PHOTOGRAPH], strict=True))
    below = root.relative_to(folder)
    found = [marks.get((below / path).as_posix(), "") for path in table.paths]
    known = np.flatnonzero([bool(mark) for mark in found])
    if not known.size:
        return alone
    hashes = np.stack([np.frombuffer(bytes.fromhex(found[row]), np.uint8) for row in known])
    number = near_duplicates(hashes, distance)
    # Crops of different people from one photograph are different images.
    people = np.zeros(len(known), np.int64) if table.labels is None else table.labels[known]
    keys = np.column_stack([number, people])
    alone[known] = len(table) + np.unique(keys, axis=0, return_inverse=True)[1].reshape(-1)
    return np.unique(alone, return_inverse=True)[1].reshape(-1)


def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Merges two groupings: rows that share a group in either one get the same number."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    places = one.max() + 1
    edges = (np.ones(len(one), bool), (one, places + other))
    size = places + other.max() + 1
    graph = coo_array(edges, shape=(size, size))
    joined: np.ndarray = connected_components(graph, directed=False)[1][one]
    return joined


def _near_pairs(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Positions ``[pairs, 2]`` of hashes within the distance; a pair may occur twice."""
    single = np.unpackbits(hashes, axis=1)
    words = np.zeros((len(hashes), -(-hashes.shape[1] // 8) * 8), np.uint8)
    words[:, : hashes.shape[1]] = hashes
    words = np.ascontiguousarray(words.view(np.uint64).T)
    # Adjacent frequencies are correlated. Shuffled bits keep a band from being alike in all images.
    order = np.random.default_rng(_SHUFFLE).permutation(single.shape[1])
    found = [np.zeros((0, 2), np.int64)]
    for band in np.array_split(order, distance + 1):
        shared = np.packbits(single[:, band], axis=1)
        keys = np.unique(shared, axis=0, return_inverse=True)[1].reshape(-1)
        rank = np.argsort(keys, kind="stable")
        keys = keys[rank]
        # Compare neighbors at distance one, then two, and so on, as long as any share the band.
        rows = np.arange(len(keys) - 1)
        for step in range(1, len(keys)):
            rows = rows[: np.searchsorted(rows, len(keys) - step)]
            rows = rows[keys[rows] == keys[rows + step]]
            if not len(rows):
                break
            pairs = np.stack([rank[rows], rank[rows + step]], axis=1)
            apart = np.zeros(len(pairs), np.int64)
            for word in words:  # most pairs differ too much after the first word
                apart += _ones(word[pairs[:, 0]] ^ word[pairs[:, 1]])
                near = apart <= distance
                pairs, apart = pairs[near], apart[near]
            found.append(pairs)
    return np.concatenate(found)


def _ones(words: np.ndarray) -> np.ndarray:
    """Counts the set bits of uint64 words (Warren, "Hacker's Delight"; numpy 1 has no function)."""
    twos = words - ((words >> np.uint64(1)) & np.uint64(0x5555555555555555))
    low = np.uint64(0x3333333333333333)
    fours = (twos & low) + ((twos >> np.uint64(2)) & low)
    eights = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    ones: np.ndarray = ((eights * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)
    return ones
