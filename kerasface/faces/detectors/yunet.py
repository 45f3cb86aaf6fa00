"""YuNet: a small network for OpenCV's detector.

Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector" (MIT license). OpenCV runs the
network; the model file is given or downloaded.
"""

from __future__ import annotations

import os
import pathlib
import threading
from collections.abc import Callable, Sequence

import numpy as np

from kerasface.checks import check_number
from kerasface.faces.face import Face
from kerasface.packages import import_package

FILE = "face_detection_yunet_2023mar.onnx"
ADDRESS = (
    "https://github.com/opencv/opencv_zoo/raw/refs/heads/main/models/face_detection_yunet/" + FILE
)
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
CACHE = "kerasface"  # subfolder of Keras's cache
OVERLAP = 0.3  # from which boxes are of one face; OpenCV's own value
MOST_FACES = 5000  # before overlapping boxes are dropped; OpenCV's own value


def load_yunet(*, weights: str | os.PathLike | None = None, threshold: float = 0.7) -> Callable:
    """Loads YuNet, which OpenCV runs.

    Args:
        weights: Path of YuNet's ``.onnx`` file. None downloads it once into Keras's cache.
        threshold: Smallest score of a face, in ``[0, 1]``.

    Returns:
        A function of a list of uint8 RGB images ``[H, W, 3]`` that returns a list of `Face` per
        image. A box may extend beyond the image if the face does.

    Raises:
        FileNotFoundError: If ``weights`` does not exist.
        ConnectionError: If the file is neither in the cache nor can be downloaded.
        ImportError: If OpenCV is not installed.
        ValueError: If ``weights`` is not such a network, or ``threshold`` is out of range.
    """
    check_number("threshold", threshold, 0, 1, remedy="It is the smallest score of a face.")
    cv2 = import_package("cv2", feature="The detector 'yunet'", install="opencv-python-headless")
    path = pathlib.Path(weights) if weights is not None else _downloaded()
    if not path.is_file():
        raise FileNotFoundError(
            f"The weights of YuNet must be an ONNX file. Received: {os.fspath(path)!r}, which does "
            f"not exist. Leave `weights` out to download {FILE}."
        )
    try:
        network = cv2.FaceDetectorYN.create(
            os.fspath(path), "", (320, 320), threshold, OVERLAP, MOST_FACES
        )
        network.detect(np.zeros((320, 320, 3), np.uint8))
    except cv2.error as error:
        raise ValueError(
            f"The weights of YuNet must be an ONNX file of OpenCV's model zoo ({FILE}). "
            f"Received: {os.fspath(path)!r}. Leave `weights` out to download it."
        ) from error
    lock = threading.Lock()  # its size of input belongs to the network

    def detect_one(image: np.ndarray) -> list[Face]:
        with lock:
            network.setInputSize(image.shape[1::-1])
            _, rows = network.detect(np.ascontiguousarray(image[..., ::-1]))
        return [] if rows is None else [_face(row) for row in rows.astype(np.float64)]

    def detect(images: Sequence[np.ndarray]) -> list[list[Face]]:
        return [detect_one(image) for image in images]

    return detect


def _face(row: np.ndarray) -> Face:
    """A face from OpenCV's box, five points with the image-left eye first, and score."""
    left, top, width, height = row[:4].tolist()
    return Face((left, top, width, height), min(float(row[14]), 1.0), row[4:14].reshape(5, 2))


def _downloaded() -> pathlib.Path:
    import keras  # not needed for a file of the user's

    home = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras")
    path = home / CACHE / FILE
    try:
        found = keras.utils.get_file(
            origin=ADDRESS, file_hash=SHA256, cache_dir=home, cache_subdir=CACHE
        )
    except Exception as error:  # Keras raises a plain Exception
        raise ConnectionError(
            "The weights of YuNet are downloaded on first use. "
            f"Received: {' '.join(str(error).split())} Put {FILE} (from {ADDRESS}) at {path}, or "
            "give its path as `weights`."
        ) from error
    return pathlib.Path(found)
