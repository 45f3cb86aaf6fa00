"""Crops of faces: aligned by their landmarks, or cut out around their box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from kerasface.checks import check_number

# The five landmarks of ArcFace's 112 x 112 crops: ``arcface_dst`` in insightface's
# python-package/insightface/utils/face_align.py.
TEMPLATE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
TEMPLATE_SIZE = 112
LARGEST_MARGIN = 5.0  # shows a face eleven times as wide; more is a percentage by mistake


def template(size: int = TEMPLATE_SIZE, margin: float = 0.0) -> np.ndarray:
    """Coordinates of the landmarks of an aligned face.

    Args:
        size: Side of the crop in pixels.
        margin: Added at each side, as a share of the standard crop; 0 is the standard
            template of ArcFace (Deng et al. 2019, arXiv:1801.07698), as insightface has it.

    Returns:
        float64 ``[5, 2]``, x and y in pixels of the crop, in the order of ``Face.landmarks``.

    Example:
        >>> template(224)[2].round(2).tolist()
        [112.05, 143.47]
    """
    _check_crop(size, margin)
    points = np.array(TEMPLATE) + margin * TEMPLATE_SIZE
    return points * (size / (TEMPLATE_SIZE * (1 + 2 * margin)))


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
    middle, goal = source.mean(axis=0), target.mean(axis=0)
    spread = ((source - middle) ** 2).sum()
    if not spread > 0:
        raise ValueError(f"Points must not all be equal. Received: {source.tolist()}.")
    # In the plane the best rotation needs no decomposition: as complex numbers, rotation and
    # scale are one factor, and one factor never mirrors.
    numbers = (source - middle) @ [1, 1j]
    factor = (numbers.conj() * ((target - goal) @ [1, 1j])).sum() / spread
    linear = np.array([[factor.real, -factor.imag], [factor.imag, factor.real]])
    return np.column_stack([linear, goal - linear @ middle])


def align(
    image: np.ndarray, landmarks: np.ndarray, size: int = TEMPLATE_SIZE, *, margin: float = 0.0
) -> np.ndarray:
    """Cuts out a face, turned, scaled and shifted so that its landmarks match the template.

    The face is upright afterwards. The geometry is that of
    insightface's ``norm_crop``; a face larger than the crop is shrunk without aliasing.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        landmarks: float ``[5, 2]`` in pixels, as in ``Face.landmarks``.
        size: Side of the crop in pixels.
        margin: As for `template`.

    Returns:
        uint8 ``[size, size, 3]``; black where the crop extends beyond the image.

    Raises:
        ValueError: If shapes or numbers are out of range, or all landmarks are equal.

    Example:
        >>> from kerasface.data import draw_face
        >>> face = draw_face(7, 0, size=200)
        >>> align(face.image, face.landmarks).shape
        (112, 112, 3)
    """
    landmarks = np.asarray(landmarks, np.float64)
    if landmarks.shape != (5, 2) or not np.isfinite(landmarks).all():
        raise ValueError(
            "`landmarks` must be five points [5, 2] in pixels. "
            f"Received: shape {landmarks.shape}: {landmarks.tolist()}."
        )
    matrix = similarity(landmarks, template(size, margin))
    return _warp(image, matrix, size)


def square_box(box: Sequence[float], margin: float = 0.0) -> tuple[float, float, float, float]:
    """The square around a face's box.

    Args:
        box: ``(left, top, width, height)`` in pixels.
        margin: Added at each side, as a share of the box's longer side.

    Returns:
        ``(left, top, side, side)`` with the same center.

    Example:
        >>> square_box((10, 20, 30, 40), margin=0.25)
        (-5.0, 10.0, 60.0, 60.0)
    """
    left, top, width, height = box
    side = max(width, height) * (1 + 2 * margin)
    return (left + (width - side) / 2, top + (height - side) / 2, side, side)


def cut(
    image: np.ndarray, box: Sequence[float], size: int = 224, *, margin: float = 0.2
) -> np.ndarray:
    """Cuts out the square around a face's box, without turning it.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        box: ``(left, top, width, height)`` in pixels; may extend beyond the image.
        size: Side of the crop in pixels.
        margin: As for `square_box`.

    Returns:
        uint8 ``[size, size, 3]``; black where the square extends beyond the image, so that the
        face stays in the middle.

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> cut(np.zeros((100, 80, 3), np.uint8), (60, 10, 30, 40), size=64).shape
        (64, 64, 3)
    """
    _check_crop(size, margin)
    left, top, side, _ = square_box(box, margin)
    if not (math.isfinite(left + top) and 0 < side < math.inf):
        raise ValueError(
            "`box` must be (left, top, width, height) with sides above 0. "
            f"Received: box={tuple(box)}."
        )
    # Pillow's resize takes parts of pixels, but none outside the image.
    low = math.floor(left), math.floor(top)
    high = math.ceil(left + side), math.ceil(top + side)
    part = Image.fromarray(image).crop((*low, *high))
    part = part.resize(
        (size, size),
        Image.Resampling.BICUBIC,
        box=(left - low[0], top - low[1], left - low[0] + side, top - low[1] + side),
    )
    return np.array(part)


def center_square(image: np.ndarray, size: int) -> np.ndarray:
    """The largest square in the middle of an image.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        size: Side of the result in pixels.

    Returns:
        uint8 ``[size, size, 3]``.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    return cut(image, ((width - side) / 2, (height - side) / 2, side, side), size, margin=0.0)


def _check_crop(size: int, margin: float) -> None:
    check_number("size", size, 1, whole=True, remedy="It is in pixels.")
    remedy = "It is a share of the face: 0.2 is 20%."
    check_number("margin", margin, 0, LARGEST_MARGIN, remedy=remedy)


def _warp(image: np.ndarray, matrix: np.ndarray, size: int) -> np.ndarray:
    """Maps an image by ``[2, 3]``; whole coordinates are centers of pixels, as in OpenCV."""
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
