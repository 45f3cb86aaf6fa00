"""dlib's five-point landmark predictor, in numpy.

Kazemi & Sullivan 2014, "One Millisecond Face Alignment with an Ensemble of Regression Trees" (CVPR
2014), with the trees of dlib's ``shape_predictor_5_face_landmarks.dat`` (Davis King, public
domain). Trees in several rounds move the points of a mean face; each split compares two pixels.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from kerasface.cache import cached, file_key
from kerasface.dlib_files import FIVE_LANDMARKS, find_file, read_integers

VERSION = 1  # of the file's format
POINTS = 5


@dataclasses.dataclass(frozen=True, eq=False)
class FivePointPredictor:
    """dlib's trees for the four corners of the eyes and the base of the nose.

    Places are in a frame, where the face's box is the unit square. T is the number of trees of a
    round, S of splits of a tree, P of pixels that a round reads.

    Attributes:
        mean: float32 ``[5, 2]``, the points before the first round.
        anchors: int64 ``[rounds, P]``, the point that a pixel moves with.
        offsets: float32 ``[rounds, P, 2]``, the way from that point to the pixel.
        first: int64 ``[rounds, T, S]``, number of the pixel that a split reads.
        second: As ``first``, of the pixel that it subtracts.
        thresholds: float32 ``[rounds, T, S]``; a larger difference goes to the left.
        leaves: float32 ``[rounds, T, S + 1, 10]``, by how much a leaf moves the points.
    """

    mean: np.ndarray
    anchors: np.ndarray
    offsets: np.ndarray
    first: np.ndarray
    second: np.ndarray
    thresholds: np.ndarray
    leaves: np.ndarray

    def predict(self, images: Sequence[np.ndarray], frames: np.ndarray) -> np.ndarray:
        """Finds the five points in faces.

        Args:
            images: N uint8 RGB arrays ``[H, W, 3]``, each of its own size.
            frames: float ``[N, 2, 3]``; ``frame @ [x, y, 1]`` is the place in pixels of a point of
                the unit square: see `box_frames`. A rotated frame is for a rotated face.

        Returns:
            float64 ``[N, 5, 2]`` in pixels, whole numbers at the middle of a pixel: the outer and
            the inner corner of the eye on the image's right, the same of the eye on the left, and
            the base of the nose. dlib rounds them to whole pixels.
        """
        linear, shift = frames[:, :, :2].transpose(0, 2, 1), frames[:, None, :, 2]
        pixels = [np.ascontiguousarray(image).reshape(-1, 3) for image in images]
        sizes = np.array([image.shape[1::-1] for image in images]).reshape(-1, 1, 2)
        mean = self.mean.astype(np.float64)
        reference = (mean - mean.mean(axis=0)) @ np.array([1, 1j])
        reference = reference.conj() / (abs(reference) ** 2).sum()
        points = np.repeat(self.mean[None], len(images), axis=0)
        for turn in range(len(self.anchors)):
            # The rotation and scale from the mean face to the present points turn the offsets.
            factor = points[..., 0] @ reference + points[..., 1] @ (reference * 1j)
            cos, sin = factor.real.astype(np.float32), factor.imag.astype(np.float32)
            right, down = self.offsets[turn].T
            places = points[:, self.anchors[turn]]
            # In float32 like dlib: with other rounding, some faces would read other pixels.
            places[..., 0] += cos[:, None] * right - sin[:, None] * down
            places[..., 1] += sin[:, None] * right + cos[:, None] * down
            places = np.floor(places @ linear + shift + 0.5).astype(np.int64)
            points = self._moved(turn, points, _gray_values(pixels, sizes, places))
        return points @ linear + shift

    def _moved(self, turn: int, points: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The points after a round: each tree adds the leaf that it reaches."""
        trees, splits = self.first.shape[1:]
        first, second = self.first[turn].ravel(), self.second[turn].ravel()
        thresholds, values = self.thresholds[turn].ravel(), values.ravel()
        root = np.arange(trees) * splits
        face = np.arange(len(values) // self.anchors.shape[1])[:, None] * self.anchors.shape[1]
        node = np.zeros((len(face), trees), np.int64)
        for _ in range(_depth(splits)):
            split = node + root
            difference = values[first[split] + face] - values[second[split] + face]
            node = 2 * node + 2 - (difference > thresholds[split])
        leaf = node - splits + np.arange(trees) * (splits + 1)
        moves = self.leaves[turn].reshape(-1, *points.shape[1:])[leaf]
        moves[:, 0] += points  # in dlib's order of additions
        return moves.sum(axis=1)


def box_frames(boxes: np.ndarray) -> np.ndarray:
    """Frames of upright faces.

    Args:
        boxes: float ``[N, 4]``, left, top, right and bottom in pixels. The last pixel of a box
            belongs to it, as in dlib.

    Returns:
        float64 ``[N, 2, 3]`` for `FivePointPredictor.predict`.

    Example:
        >>> box_frames(np.array([[10, 20, 49, 59]])).tolist()
        [[[39.0, 0.0, 10.0], [0.0, 39.0, 20.0]]]
    """
    boxes = np.asarray(boxes, np.float64)
    frames = np.zeros((len(boxes), 2, 3))
    frames[:, [0, 1], [0, 1]] = boxes[:, 2:] - boxes[:, :2]
    frames[:, :, 2] = boxes[:, :2]
    return frames


def load_five_points(path: str | os.PathLike | None = None) -> FivePointPredictor:
    """Opens dlib's five-point predictor, once for all calls.

    Args:
        path: dlib's ``shape_predictor_5_face_landmarks.dat``. None finds or downloads it, see
            `kerasface.dlib_files.find_file`.

    Raises:
        FileNotFoundError: If ``path`` does not exist.
        RuntimeError: If the file is neither installed nor can be downloaded.
        ValueError: If the file is not dlib's five-point predictor, or incomplete.
    """
    found = find_file(FIVE_LANDMARKS, path)
    return cached(("five points", file_key(found)), lambda: read_five_points(found))


def read_five_points(path: str | os.PathLike) -> FivePointPredictor:
    """Reads dlib's five-point predictor.

    Args:
        path: dlib's file, a flat sequence of integers. A float is two of them: mantissa and
            exponent of two.

    Raises:
        ValueError: If the file is not dlib's five-point predictor, or incomplete.
    """
    data = pathlib.Path(path).read_bytes()
    try:
        numbers = _Numbers(read_integers(data))
        numbers.expect("version", VERSION)
        # The sides of a matrix are negative, which marks the newer of two formats.
        numbers.expect("number of coordinates", -2 * POINTS)
        numbers.expect("columns of coordinates", -1)
        mean = numbers.floats(2 * POINTS)
        rounds = [_read_trees(numbers) for _ in range(numbers.count())]
        anchors = [numbers.take(numbers.count()) for _ in range(numbers.count())]
        offsets = [numbers.floats(2 * numbers.count()) for _ in range(numbers.count())]
        numbers.expect_end()
        first, second, thresholds, leaves = (np.stack(parts) for parts in zip(*rounds, strict=True))
        predictor = FivePointPredictor(
            mean.reshape(POINTS, 2),
            np.stack(anchors),
            np.stack(offsets).reshape(len(rounds), -1, 2),
            first,
            second,
            thresholds,
            leaves,
        )
        _check_numbers(predictor)
    except ValueError as error:
        raise ValueError(
            f"dlib's five-point predictor must be the file {FIVE_LANDMARKS.name} "
            f"({FIVE_LANDMARKS.size:,} bytes). Received: {os.fspath(path)!r} of {len(data):,} "
            f"bytes: {error} Copy or download it again."
        ) from error
    return predictor


class _Numbers:
    """The integers of a file, read one after the other."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = values
        self._position = 0

    def take(self, count: int) -> np.ndarray:
        part = self._values[self._position : self._position + count]
        if len(part) < count:
            raise ValueError("it ends too early.")
        self._position += count
        return part

    def count(self) -> int:
        """A number of things that follow."""
        count = int(self.take(1)[0])
        if not 1 <= count <= len(self._values):
            raise ValueError(f"it has a list of {count} values.")
        return count

    def floats(self, count: int) -> np.ndarray:
        return as_floats(self.take(2 * count))

    def expect(self, what: str, value: int) -> None:
        found = int(self.take(1)[0])
        if found != value:
            raise ValueError(f"its {what} is {found} instead of {value}.")

    def expect_end(self) -> None:
        if self._position < len(self._values):
            raise ValueError(f"it has {len(self._values) - self._position:,} numbers too many.")


def as_floats(pairs: np.ndarray) -> np.ndarray:
    """Floats from mantissas and exponents, one after the other."""
    mantissas, exponents = pairs.reshape(-1, 2).T
    if abs(exponents).max(initial=0) > np.finfo(np.float64).maxexp:
        raise ValueError("it has numbers that are not finite.")
    return np.ldexp(mantissas.astype(np.float64), exponents.astype(np.int32)).astype(np.float32)


def _read_trees(numbers: _Numbers) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """First and second pixel, threshold and leaves of all trees of a round."""
    trees = numbers.count()
    # All trees have as many splits as the first, so that they are one array.
    splits = numbers.count()
    if splits != 2 ** _depth(splits) - 1:
        raise ValueError(f"a tree has {splits} splits.")
    leaf = 2 + 4 * POINTS  # the sides of the matrix, then its values
    length = 1 + 4 * splits + 1 + (splits + 1) * leaf
    # The number of splits was taken already, except for that of the trees after the first.
    rest = numbers.take(trees * length - 1)
    rows = np.concatenate([[splits], rest]).reshape(trees, length)
    nodes = rows[:, 1 : 1 + 4 * splits].reshape(trees, splits, 4)
    ends = rows[:, 2 + 4 * splits :].reshape(trees, splits + 1, leaf)
    # The sides of matrices are negative here, too.
    same = (rows[:, 0] == splits).all() and (rows[:, 1 + 4 * splits] == splits + 1).all()
    if not (same and (ends[..., :2] == [-2 * POINTS, -1]).all()):
        raise ValueError("its trees have different sizes.")
    return (
        nodes[..., 0],
        nodes[..., 1],
        as_floats(nodes[..., 2:].ravel()).reshape(trees, splits),
        as_floats(ends[..., 2:].ravel()).reshape(trees, splits + 1, 2 * POINTS),
    )


def _depth(splits: int) -> int:
    """Splits on the way to a leaf of a full tree."""
    return (splits + 1).bit_length() - 1


def _check_numbers(predictor: FivePointPredictor) -> None:
    """Refuses numbers of points and pixels that do not exist."""
    rounds, count = predictor.anchors.shape
    if predictor.offsets.shape != (rounds, count, 2) or len(predictor.first) != rounds:
        raise ValueError("its rounds have different sizes.")
    pixels = np.stack([predictor.first, predictor.second])
    if not (pixels.min() >= 0 and pixels.max() < count):
        raise ValueError("a tree reads a pixel that does not exist.")
    if not (predictor.anchors.min() >= 0 and predictor.anchors.max() < POINTS):
        raise ValueError("a pixel belongs to a point that does not exist.")


def _gray_values(pixels: Sequence[np.ndarray], sizes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Gray values at whole places, ``[N, P]``; black outside the images."""
    inside = ((places >= 0) & (places < sizes)).all(axis=-1)
    numbers = np.where(inside, places[..., 1] * sizes[..., 0] + places[..., 0], 0)
    values = np.empty(inside.shape, np.float32)
    for value, image, number in zip(values, pixels, numbers, strict=True):
        # dlib's gray is the mean of the colors, rounded down.
        value[:] = image.take(number, axis=0).sum(axis=1, dtype=np.int64) // 3
    return values * inside
