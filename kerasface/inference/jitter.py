"""Randomly moved copies of a face, whose embeddings are averaged (dlib's ``num_jitters``)."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

# ``jitter_image`` of dlib's examples/dnn_face_recognition_ex.cpp: the copy shows the crop without
# its outermost pixels, shifted, enlarged and rotated.
SHRINK = 3  # pixels at each side of a crop of 150
CROP_SIZE = 150
SHIFT = 0.02  # of the crop's side
SMALLEST, LARGEST = 0.97, 0.99999  # share of the copy that the crop takes up
DEGREES = 3.0
SEED = 0


def jittered(crops: np.ndarray, copies: int, *, seed: int = SEED) -> np.ndarray:
    """Makes randomly shifted, scaled, rotated and mirrored copies of faces.

    Args:
        crops: uint8 ``[N, size, size, 3]``.
        copies: Number of copies of each, at least 1.
        seed: Seed of the moves. All faces are moved in the same ways, so that the result for one
            face does not depend on the others.

    Returns:
        uint8 ``[N, copies, size, size, 3]``.

    Source:
        dlib, ``examples/dnn_face_recognition_ex.cpp``: its published 99.38% on LFW are with 100
        copies.

    Example:
        >>> jittered(np.zeros((2, 8, 8, 3), np.uint8), 3).shape
        (2, 3, 8, 8, 3)
    """
    size = crops.shape[1]
    random = np.random.default_rng(seed)
    result = np.zeros((len(crops), copies, size, size, 3), np.uint8)
    pictures = [Image.fromarray(crop) for crop in crops]
    for copy in range(copies):
        mirrored, coefficients = _move(random, size)
        for row, picture in enumerate(pictures):
            moved = np.asarray(
                picture.transform(
                    (size, size),
                    Image.Transform.AFFINE,
                    coefficients,
                    resample=Image.Resampling.BILINEAR,
                )
            )
            result[row, copy] = moved[:, ::-1] if mirrored else moved
    return result


def _move(random: np.random.Generator, size: int) -> tuple[bool, tuple[float, ...]]:
    """One move: whether it mirrors, and Pillow's coefficients from the copy to the crop."""
    side = size * (1 - 2 * SHRINK / CROP_SIZE)
    shift = random.uniform(-SHIFT, SHIFT, 2) * side
    scale = side / random.uniform(SMALLEST, LARGEST) / size
    angle = math.radians(random.uniform(-DEGREES, DEGREES))
    mirrored = bool(random.random() < 0.5)
    cosine, sine = scale * math.cos(angle), scale * math.sin(angle)
    middle = size / 2
    across = middle + shift[0] - (cosine - sine) * middle
    down = middle + shift[1] - (sine + cosine) * middle
    return mirrored, (cosine, -sine, across, sine, cosine, down)
