"""Pictures that are the same photograph, told by their perceptual hashes."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# Of the 256 bits of `images.perceptual_hash`. Measured on LFW, CelebA and celebrities' faces, 430
# to 500 pictures each: stored anew (JPEG of quality 40, half the size, grey, less contrast, noise
# of 5 grey levels) a picture moves by at most 10, a fifth brighter by 30 (95% of them by up to
# 16). Two photographs lie 128 +- 13 apart, the nearest at 64: at 24, eight standard deviations
# away, the 10^10 pairs of 140,000 pictures hold none by chance. A crop of 2% at each border moves
# a picture by 50 to 64 and is not found.
NEAR_DUPLICATE = 24

_SHUFFLE = 0  # seed of the order in which bits are dealt to bands


def near_duplicates(hashes: np.ndarray, distance: int = NEAR_DUPLICATE) -> np.ndarray:
    """Groups pictures whose hashes are near, and those that are near to these, and so on.

    Hashes that differ in at most ``distance`` bits agree wholly in one of ``distance + 1`` bands,
    so only those that share a band are compared: every such pair is found, without comparing all.

    Args:
        hashes: uint8 ``[N, B]``, 8 B bits each; see `images.perceptual_hash`.
        distance: Largest number of bits that two hashes of one group differ in, 0 or more.

    Returns:
        int ``[N]``, the number of each picture's group, from 0 in the order of their first
        pictures.

    Raises:
        ValueError: If the array or the number is out of range.

    Example:
        >>> near_duplicates(np.array([[0], [255], [1]], np.uint8), distance=1).tolist()
        [0, 1, 0]
    """
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
    # Of pictures that are wholly equal, a thousand blank ones for instance, one is compared.
    unique, place = np.unique(hashes, axis=0, return_inverse=True)
    pairs = _near_pairs(unique, distance)
    graph = coo_array((np.ones(len(pairs), bool), pairs.T), shape=(len(unique), len(unique)))
    # numpy 2.0 gives the places as a column.
    group = connected_components(graph, directed=False)[1][place.reshape(-1)]
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[number.reshape(-1)]


def _near_pairs(hashes: np.ndarray, distance: int) -> np.ndarray:
    """Positions ``[pairs, 2]`` of hashes within the distance; a pair may come twice."""
    single = np.unpackbits(hashes, axis=1)
    words = np.zeros((len(hashes), -(-hashes.shape[1] // 8) * 8), np.uint8)
    words[:, : hashes.shape[1]] = hashes
    words = np.ascontiguousarray(words.view(np.uint64).T)
    # Neighbouring frequencies go together in pictures; dealt out, no band is much the same in all.
    order = np.random.default_rng(_SHUFFLE).permutation(single.shape[1])
    found = [np.zeros((0, 2), np.int64)]
    for band in np.array_split(order, distance + 1):
        shared = np.packbits(single[:, band], axis=1)
        keys = np.unique(shared, axis=0, return_inverse=True)[1].reshape(-1)
        rank = np.argsort(keys, kind="stable")
        keys = keys[rank]
        # Neighbours at one step, then at two, ... as long as any share the band.
        rows = np.arange(len(keys) - 1)
        for step in range(1, len(keys)):
            rows = rows[: np.searchsorted(rows, len(keys) - step)]
            rows = rows[keys[rows] == keys[rows + step]]
            if not len(rows):
                break
            pairs = np.stack([rank[rows], rank[rows + step]], axis=1)
            apart = np.zeros(len(pairs), np.int64)
            for word in words:  # most pairs are out after the first word
                apart += _ones(word[pairs[:, 0]] ^ word[pairs[:, 1]])
                near = apart <= distance
                pairs, apart = pairs[near], apart[near]
            found.append(pairs)
    return np.concatenate(found)


def _ones(words: np.ndarray) -> np.ndarray:
    """Bits that are set in uint64 words (Warren, "Hacker's Delight"; numpy 1 has no function)."""
    twos = words - ((words >> np.uint64(1)) & np.uint64(0x5555555555555555))
    low = np.uint64(0x3333333333333333)
    fours = (twos & low) + ((twos >> np.uint64(2)) & low)
    eights = (fours + (fours >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    ones: np.ndarray = ((eights * np.uint64(0x0101010101010101)) >> np.uint64(56)).astype(np.int64)
    return ones
