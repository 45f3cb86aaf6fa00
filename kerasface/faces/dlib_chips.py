"""The crops ("chips") on which dlib trained its face networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kerasface.faces.five_points import load_five_points
from kerasface.faces.warping import similarities

SIZE = 150
PADDING = 0.25  # at each side, as a share of the face
# The corners of the eyes and the base of the nose in dlib's mean face, as shares of the face:
# ``get_face_chip_details`` in dlib's image_transforms/interpolation.h.
FIVE_POINTS = (
    (0.8595674595992, 0.2134981538014),
    (0.6460604764104, 0.2289674387677),
    (0.1205750620789, 0.2137274526848),
    (0.3340850613712, 0.2290642403242),
    (0.4901123135679, 0.6277975316475),
)
# Where a chip has the landmarks of `kerasface.faces.Face`: eyes and nose between the medians of
# MTCNN's and BlazeFace's, corners of the mouth the medians of MTCNN's, in 4,956 training images of
# CelebA in which dlib's own detector found the face.
LANDMARKS = (
    (46.8, 45.8),
    (100.5, 45.7),
    (73.2, 79.8),
    (49.7, 100.3),
    (97.8, 100.1),
)
# Where a chip has the box of dlib's detectors, in which the predictor expects the face: left, top,
# right and bottom, medians over the same images, in whole pixels.
BOX = (11.0, 8.0, 138.0, 135.0)


def chip_matrices(
    images: Sequence[np.ndarray],
    landmarks: Sequence[np.ndarray],
    size: int = SIZE,
    margin: float = 0.0,
) -> np.ndarray:
    """Transforms of images to dlib's chips.

    Args:
        images: N uint8 RGB arrays ``[H, W, 3]``, one or more.
        landmarks: float ``[5, 2]`` for each image, from which the face's place is known roughly.
        size: Side of the chip in pixels.
        margin: Added at each side, as a share of the standard chip.

    Returns:
        float64 ``[N, 2, 3]``, from pixels of the image to pixels of the chip.

    Raises:
        ValueError: If all landmarks of a face are equal.
        RuntimeError: If dlib's predictor is neither installed nor can be downloaded.
    """
    places = np.stack(landmarks)
    # The landmarks lie apart or this raises; the other direction would accept equal ones.
    back = _inverse(similarities(places, np.broadcast_to(LANDMARKS, places.shape)))
    points = load_five_points().predict(images, _frames(back))
    return _inverse(_dlib_rule(points, size, margin))


def box_landmarks(box: Sequence[float]) -> np.ndarray:
    """Where a face of which only the box is known has its landmarks, roughly.

    Args:
        box: ``(left, top, width, height)`` in pixels, tight like that of dlib's detectors.

    Returns:
        float64 ``[5, 2]`` in pixels, in the order of ``Face.landmarks``.
    """
    left, top, width, height = box
    scale = (width + height) / (BOX[2] - BOX[0] + BOX[3] - BOX[1])
    middle = np.array([left + width / 2 - 0.5, top + height / 2 - 0.5])
    return middle + scale * (np.array(LANDMARKS) - [(BOX[0] + BOX[2]) / 2, (BOX[1] + BOX[3]) / 2])


def _frames(back: np.ndarray) -> np.ndarray:
    """The predictor's boxes in the images, from transforms of chips to images."""
    to_box = np.array([[BOX[2] - BOX[0], 0, BOX[0]], [0, BOX[3] - BOX[1], BOX[1]], [0, 0, 1]])
    return back @ to_box


def _dlib_rule(points: np.ndarray, size: int, margin: float) -> np.ndarray:
    """Transforms of pixels of chips to pixels of images, ``[N, 2, 3]``."""
    padding = PADDING + margin * (1 + 2 * PADDING)
    mean = (np.array(FIVE_POINTS) + padding) * (size / (1 + 2 * padding))
    matrices = similarities(np.broadcast_to(mean, points.shape), points)
    linear, shift = matrices[..., :2], matrices[..., 2:]
    middle = linear @ np.full((2, 1), size / 2) + shift
    # dlib takes a square of so many pixels around the middle, and puts the middles of the chip's
    # outermost pixels onto those of the square: both sides count one pixel less.
    scale = np.hypot(linear[:, :1, :1], linear[:, 1:, :1])
    if size > 1:
        linear = linear * (np.maximum(size * scale - 1, 0.5) / ((size - 1) * scale))
    shift = middle - linear @ np.full((2, 1), (size - 1) / 2)
    return np.concatenate([linear, shift], axis=2)


def _inverse(matrices: np.ndarray) -> np.ndarray:
    linear = np.linalg.inv(matrices[..., :2])
    return np.concatenate([linear, -linear @ matrices[..., 2:]], axis=2)
