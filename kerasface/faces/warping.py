"""Similarity transforms, and images drawn through them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image


def similarity(source: ArrayLike, target: ArrayLike) -> np.ndarray:
    """The rotation, scaling and shift that moves points closest to others.

    Least squares in closed form: Umeyama 1991, "Least-squares estimation of transformation
    parameters between two point patterns" (IEEE TPAMI 13). Nothing is ever mirrored.

    Args:
        source: float ``[N, 2]``, N of 2 or more, not all the same.
        target: float ``[N, 2]``.

    Returns:
        float64 ``[2, 3]``; ``matrix @ [x, y, 1]`` is the place of a point of ``source``.

    Raises:
        ValueError: If shapes do not fit, or all points of ``source`` are equal.

    Example:
        >>> similarity([[0, 0], [1, 0]], [[5, 5], [5, 7]]).round(6).tolist()
        [[0.0, -2.0, 5.0], [2.0, 0.0, 5.0]]
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 2 or len(source) < 2:
        raise ValueError(
            "Points must be two arrays [N, 2] of the same N, 2 or more. "
            f"Received: shapes {source.shape} and {target.shape}."
        )
    return similarities(source[None], target[None])[0]


def similarities(sources: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Computes `similarity` for many sets of points at once.

    Args:
        sources: float64 ``[F, N, 2]``.
        targets: float64 ``[F, N, 2]``.

    Returns:
        float64 ``[F, 2, 3]``.

    Raises:
        ValueError: If all points of a source are equal.
    """
    middles, goals = sources.mean(axis=1, keepdims=True), targets.mean(axis=1, keepdims=True)
    spread = ((sources - middles) ** 2).sum(axis=(1, 2))
    if not (spread > 0).all():
        place = int(np.argmin(spread > 0))
        raise ValueError(f"Points must not all be equal. Received: {sources[place].tolist()}.")
    # In the plane the best rotation needs no decomposition: as complex numbers, rotation and
    # scale are one factor, and one factor never mirrors.
    unit = np.array([1, 1j])
    factor = ((sources - middles) @ unit).conj() * ((targets - goals) @ unit)
    factor = factor.sum(axis=1) / spread
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]]).transpose(2, 0, 1)
    shift = goals.transpose(0, 2, 1) - linear @ middles.transpose(0, 2, 1)
    return np.concatenate([linear, shift], axis=2)


def warp(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Draws an image through a transform, without aliasing where it shrinks.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        matrix: float64 ``[2, 3]`` from pixels of the image to pixels of the result. Whole
            coordinates are centers of pixels, as in OpenCV.
        size: Side of the result in pixels.

    Returns:
        uint8 ``[size, size, 3]``; black where the result extends beyond the image.
    """
    linear, shift = matrix[:, :2], matrix[:, 2]
    back = np.linalg.inv(linear)
    picture = Image.fromarray(image)
    # The part of the image that the crop shows, and a few pixels for the interpolation.
    corners = np.array([[0, 0], [size, 0], [0, size], [size, size]]) - shift
    corners = corners @ back.T
    scale = math.sqrt(abs(np.linalg.det(linear)))
    room = 4 * max(1.0, 1 / scale)
    low = np.clip(np.floor(corners.min(axis=0) - room), 0, picture.size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0) + room), 0, picture.size).astype(int)
    if (high <= low).any():
        return np.zeros((size, size, 3), np.uint8)
    sides = high - low
    picture = picture.crop((*low.tolist(), *high.tolist()))
    # Interpolation alone would skip pixels where the image shrinks.
    smaller = np.maximum(np.ceil(sides * min(scale, 1.0)), 1).astype(int)
    if (smaller < sides).any():
        picture = picture.resize(tuple(smaller.tolist()), Image.Resampling.BICUBIC)
    # From a pixel of the crop to a place in the part, where Pillow counts from pixels' corners.
    offset = back @ (-shift - linear @ low) + 0.5 - back @ [0.5, 0.5]
    places = np.column_stack([back, offset]) * (smaller / sides)[:, None]
    # Band by band in floating point, because Pillow truncates bytes instead of rounding them.
    bands = [
        band.convert("F").transform(
            (size, size),
            Image.Transform.AFFINE,
            places.ravel().tolist(),
            resample=Image.Resampling.BICUBIC,
        )
        for band in picture.split()
    ]
    crop = np.stack([np.asarray(band) for band in bands], axis=-1)
    return np.clip(np.rint(crop), 0, 255).astype(np.uint8)
