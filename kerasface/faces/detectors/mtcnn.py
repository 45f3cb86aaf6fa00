"""MTCNN: three small networks that propose, refine and confirm faces.

Zhang et al. 2016, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional
Networks" (arXiv:1604.02878), with the networks and weights of the package ``mtcnn``. The steps
between the networks are done here, image by image and compiled: the package calls the networks
layer by layer, and its result depends on the other images of a batch (boxes moved by up to 1.3
pixels, because equal scores were sorted in another order).
"""

from __future__ import annotations

import contextlib
import importlib.resources
import random
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf

from kerasface.checks import check_number
from kerasface.faces.face import Face
from kerasface.packages import import_package

CELL = 12  # side of the input of the first network in pixels
STRIDE = 2
PYRAMID_FACTOR = 0.709  # the area halves from scale to scale
# Values of the package, which are those of the paper's code.
PROPOSAL_THRESHOLD = 0.6
REFINEMENT_THRESHOLD = 0.7
SCALE_OVERLAP = 0.5
OVERLAP = 0.7
BLOCK = 512  # boxes compared with all others at once; a crowd has tens of thousands


def load_mtcnn(*, min_face: float = 20, threshold: float = 0.8) -> Callable:
    """Loads MTCNN with the weights in the package ``mtcnn``, without a download.

    Args:
        min_face: Size of the smallest face to detect, the shorter side in pixels, at least 12.
            Half the size takes up to four times as long.
        threshold: Smallest score of a face, in ``[0, 1]``.

    Returns:
        A function of a list of uint8 RGB images ``[H, W, 3]`` that returns a list of `Face` per
        image. A box may extend beyond the image if the face does.

    Raises:
        ImportError: If the package ``mtcnn`` is not installed.
        ValueError: If a number is out of range.
    """
    check_number("min_face", min_face, CELL, remedy="Enlarge the photographs for smaller faces.")
    check_number("threshold", threshold, 0, 1, remedy="It is the smallest score of a face.")
    with _settings_restored():
        propose, refine, confirm = _networks()

    def detect_one(image: np.ndarray) -> list[Face]:
        pixels = tf.constant((image.astype(np.float32) - 127.5) / 128)
        boxes = _proposals(propose, pixels, image.shape, CELL / min_face)
        boxes = _refined(refine, pixels, boxes)
        return _confirmed(confirm, pixels, boxes, threshold)

    def detect(images: Sequence[np.ndarray]) -> list[list[Face]]:
        with tf.device("CPU:0"):
            return [detect_one(image) for image in images]

    return detect


@contextlib.contextmanager
def _settings_restored() -> Iterator[None]:
    """Makes float32 layers under any policy, and restores the state of `random`."""
    policy, state = keras.config.dtype_policy(), random.getstate()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
        random.setstate(state)


def _networks() -> tuple[Callable, Callable, Callable]:
    stages = import_package("mtcnn.stages", feature="The detector 'mtcnn'", install="mtcnn")
    folder = importlib.resources.files("mtcnn.assets.weights")
    # Full paths: the package would first look for a bare name in the working folder.
    first, second, third = (
        stage(weights=str(folder / name)).model
        for stage, name in (
            (stages.StagePNet, "pnet.lz4"),
            (stages.StageRNet, "rnet.lz4"),
            (stages.StageONet, "onet.lz4"),
        )
    )
    image = tf.TensorSpec([None, None, 3], tf.float32)
    size, corners = tf.TensorSpec([2], tf.int32), tf.TensorSpec([None, 4], tf.float32)

    @tf.function(input_signature=[image, size])
    def propose(pixels: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
        return first(tf.image.resize(pixels[None], size, method="area"))

    def patches(pixels: tf.Tensor, corners: tf.Tensor, side: int) -> tf.Tensor:
        rows = tf.zeros(tf.shape(corners)[:1], tf.int32)
        return tf.image.crop_and_resize(pixels[None], corners, rows, [side, side])

    @tf.function(input_signature=[image, corners])
    def refine(pixels: tf.Tensor, corners: tf.Tensor) -> tf.Tensor:
        return second(patches(pixels, corners, 24))

    @tf.function(input_signature=[image, corners])
    def confirm(pixels: tf.Tensor, corners: tf.Tensor) -> tf.Tensor:
        return third(patches(pixels, corners, 48))

    return propose, refine, confirm


def _proposals(
    propose: Callable, pixels: tf.Tensor, shape: tuple[int, ...], scale: float
) -> np.ndarray:
    """Returns squares ``[N, 4]`` (left, top, right, bottom) that the first network proposes."""
    boxes, scores = [np.zeros((0, 4))], [np.zeros(0)]
    while min(shape[:2]) * scale >= CELL:
        size = np.array([shape[0] * scale, shape[1] * scale], np.int32)
        offsets, probabilities = (output[0].numpy() for output in propose(pixels, size))
        rows, columns = np.nonzero(probabilities[..., 1] > PROPOSAL_THRESHOLD)
        corner = STRIDE * np.stack([columns, rows, columns, rows], axis=1)
        found = corner + np.array([1, 1, CELL, CELL]) + (CELL - 1) * offsets[rows, columns]
        score = probabilities[rows, columns, 1]
        kept = _without_overlaps(found, score, SCALE_OVERLAP)
        boxes.append(found[kept] / scale)
        scores.append(score[kept])
        scale *= PYRAMID_FACTOR
    found, score = np.concatenate(boxes), np.concatenate(scores)
    return _squares(found[_without_overlaps(found, score, OVERLAP)])


def _refined(refine: Callable, pixels: tf.Tensor, boxes: np.ndarray) -> np.ndarray:
    if not len(boxes):
        return boxes
    offsets, probabilities = (output.numpy() for output in refine(pixels, _corners(pixels, boxes)))
    boxes, score = _moved(boxes, offsets), probabilities[:, 1]
    likely = score > REFINEMENT_THRESHOLD
    boxes, score = boxes[likely], score[likely]
    return _squares(boxes[_without_overlaps(boxes, score, OVERLAP)])


def _confirmed(
    confirm: Callable, pixels: tf.Tensor, boxes: np.ndarray, threshold: float
) -> list[Face]:
    if not len(boxes):
        return []
    outputs = confirm(pixels, _corners(pixels, boxes))
    offsets, points, probabilities = (output.numpy() for output in outputs)
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    # Five x, then five y, the image-left eye first.
    landmarks = points.reshape(-1, 2, 5).swapaxes(1, 2) * sides[:, None] + boxes[:, None, :2] - 1
    boxes, score = _moved(boxes, offsets), probabilities[:, 1]
    likely = score > threshold
    boxes, score, landmarks = boxes[likely], score[likely], landmarks[likely]
    return [
        Face(
            box=(*boxes[i, :2].tolist(), *(boxes[i, 2:] - boxes[i, :2]).tolist()),
            score=float(score[i]),
            landmarks=landmarks[i],
        )
        for i in _without_overlaps(boxes, score, OVERLAP, of_the_smaller=True)
    ]


def _corners(pixels: tf.Tensor, boxes: np.ndarray) -> np.ndarray:
    """Boxes as TensorFlow cuts them: (top, left, bottom, right) in shares of the image."""
    height, width = pixels.shape[:2]
    return (boxes[:, [1, 0, 3, 2]] / [height, width, height, width]).astype(np.float32)


def _moved(boxes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    return boxes + offsets * np.tile(sides, 2)


def _squares(boxes: np.ndarray) -> np.ndarray:
    sides = boxes[:, 2:] - boxes[:, :2]
    longest = sides.max(axis=1, keepdims=True)
    corner = boxes[:, :2] + (sides - longest) / 2
    return np.concatenate([corner, corner + longest], axis=1)


def _without_overlaps(
    boxes: np.ndarray, scores: np.ndarray, threshold: float, *, of_the_smaller: bool = False
) -> np.ndarray:
    """Positions, best score first, of the boxes that overlap no better one.

    Equal scores keep their order. As in the package, a box that is dropped itself still hides
    others.
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes[order]
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    kept = np.ones(len(boxes), dtype=bool)
    for start in range(0, len(boxes), BLOCK):
        end = min(start + BLOCK, len(boxes))
        better, others = boxes[:end, None], boxes[None, start:end]
        sides = np.minimum(better[..., 2:], others[..., 2:])
        sides = sides - np.maximum(better[..., :2], others[..., :2])
        shared = np.prod(np.maximum(sides, 0), axis=2)
        if of_the_smaller:
            whole = np.minimum(areas[:end, None], areas[None, start:end])
        else:
            whole = areas[:end, None] + areas[None, start:end] - shared
        hidden = np.triu(shared > threshold * whole, k=1 - start)
        kept[start:end] = ~hidden.any(axis=0)
    positions: np.ndarray = order[kept]
    return positions
