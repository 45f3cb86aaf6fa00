"""RetinaFace through the package ``retina-face``, on onnxruntime and never on its TensorFlow.

Deng et al. 2020, "RetinaFace: Single-shot Multi-level Face Localisation in the Wild"
(arXiv:1905.00641).
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from kerasface.checks import check_flag, check_number
from kerasface.faces.face import Face
from kerasface.packages import import_package

WEIGHTS_FILE = "retinaface.onnx"
ENGINE = "DEEPFACE_BACKEND_ENGINE"


def load_retinaface(
    *,
    weights: str | os.PathLike | None = None,
    threshold: float = 0.9,
    upscale: bool = True,
    threads: int | None = None,
) -> Callable:
    """Loads RetinaFace with a ResNet-50, on the CPU or, with onnxruntime-gpu, on the GPU.

    Args:
        weights: ``retinaface.onnx``; None takes the one in the package's cache
            (``$DEEPFACE_HOME/.deepface/weights``, by default in the home folder), or downloads
            it there (about 100 MB).
        threshold: Smallest score of a face, in ``[0, 1]``.
        upscale: If True, enlarge images whose shorter side is under 1,024 pixels to that size, as
            the package does: it detects smaller faces and takes longer.
        threads: Number of threads of onnxruntime; None uses one per processor.

    Returns:
        A function of a list of uint8 RGB images ``[H, W, 3]`` that returns a list of `Face` per
        image. Boxes are whole pixels inside the image.

    Raises:
        FileNotFoundError: If ``weights`` does not exist.
        ConnectionError: If the weights are neither in the cache nor can be downloaded.
        ValueError: If ``weights`` is not an ONNX network or ``threshold`` is out of range.
    """
    _check(threshold, upscale)
    if threads is not None:
        check_number("threads", threads, 1, remedy="None uses one per processor.")
    path = pathlib.Path(weights) if weights is not None else cached_weights()
    if not path.is_file():
        raise FileNotFoundError(
            f"The weights of RetinaFace must be an ONNX file. Received: {os.fspath(path)!r}, "
            "which does not exist. Leave `weights` out to download them."
        )
    return retinaface_detector(_session(path, threads), threshold=threshold, upscale=upscale)


def retinaface_detector(
    network: Callable[[np.ndarray], Sequence[np.ndarray]],
    *,
    threshold: float = 0.9,
    upscale: bool = True,
) -> Callable:
    """Makes a detector from a network with RetinaFace's outputs.

    Args:
        network: Takes RGB float32 ``[1, H, W, 3]`` in ``[0, 255]`` and returns nine float32 arrays
            ``[1, H / s, W / s, C]``: probabilities (C = 4), box offsets (8) and landmark offsets
            (20), for the strides s = 32, 16, 8.
        threshold: As for `load_retinaface`.
        upscale: As for `load_retinaface`.

    Returns:
        As `load_retinaface`.

    Raises:
        ValueError: If ``threshold`` is out of range.
        RuntimeError: If the package runs on another engine because it was imported before.

    Example:
        >>> detector = retinaface_detector(network, threshold=0.8)  # doctest: +SKIP
        >>> faces = kerasface.faces.detect(photographs, detector)  # doctest: +SKIP
    """
    _check(threshold, upscale)
    package = import_retinaface("retinaface.RetinaFace")

    def detect_one(image: np.ndarray) -> list[Face]:
        # The package takes BGR, as OpenCV reads it, and hands RGB to the network.
        found = package.detect_faces(
            np.ascontiguousarray(image[..., ::-1]),
            threshold=threshold,
            model=network,
            allow_upscaling=upscale,
        )
        return [_face(answer) for answer in found.values()]

    def detect(images: Sequence[np.ndarray]) -> list[list[Face]]:
        return [detect_one(image) for image in images]

    return detect


def cached_weights() -> pathlib.Path:
    """Returns the path of the package's weights file, and downloads it if necessary.

    Raises:
        ConnectionError: If the download fails; the message says where a copy can be put.
    """
    utils = import_retinaface("retinaface.commons.weight_utils")
    urls = import_retinaface("retinaface.model.retinaface_onnx_model").WEIGHTS_URLS
    folder = pathlib.Path(os.getenv("DEEPFACE_HOME") or pathlib.Path.home(), ".deepface", "weights")
    path = folder / WEIGHTS_FILE
    if path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    # Downloaded next to the cache and then moved: an interrupted download would leave half a file,
    # which the package takes for a complete one.
    with tempfile.TemporaryDirectory(dir=folder) as part, _environment(DEEPFACE_HOME=part):
        try:
            found = utils.download_weights_if_necessary(file_name=WEIGHTS_FILE, source_urls=urls)
        except Exception as error:  # requests and gdown raise many kinds of errors
            raise ConnectionError(
                f"The weights of RetinaFace are downloaded on first use. Received: {error} Put "
                f"{WEIGHTS_FILE} (from {' or '.join(urls)}) at {path}, give its path as "
                "`weights`, or use the detector 'mtcnn', which needs no download."
            ) from error
        os.replace(found, path)
    return path


def import_retinaface(name: str) -> Any:
    """Imports a module of the package with its ONNX engine and restores the process's settings.

    The package chooses its engine when it is imported; its TensorFlow engine would set
    ``TF_USE_LEGACY_KERAS``, and the import turns all warnings off.

    Args:
        name: For instance ``"retinaface.RetinaFace"``.

    Returns:
        The module.

    Raises:
        ImportError: If the package is not installed.
        RuntimeError: If it was imported before and runs on another engine.
    """
    state = random.getstate()
    with warnings.catch_warnings(), _environment(**{ENGINE: "onnx"}):
        utils = _package_module("retinaface.commons.backend_utils")
        engine = utils.get_backend_engine()
        if engine != "onnx":
            raise RuntimeError(
                "RetinaFace runs here on its ONNX engine, which is chosen when it is imported. "
                f"Received: a process where it was imported before, on {engine!r}. Set "
                f"{ENGINE}=onnx before Python starts, or import it after kerasface has used it."
            )
        module = _package_module(name)
    random.setstate(state)
    return module


def _package_module(name: str) -> Any:
    return import_package(name, feature="The detector 'retinaface'", install="retina-face")


def _check(threshold: object, upscale: object) -> None:
    check_number("threshold", threshold, 0, 1, remedy="It is the smallest score of a face.")
    check_flag("upscale", upscale)


@contextlib.contextmanager
def _environment(**changes: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _session(path: pathlib.Path, threads: int | None) -> Callable:
    onnxruntime = import_package(
        "onnxruntime", feature="The detector 'retinaface'", install="onnxruntime"
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: the graph brings harmless warnings along
    options.intra_op_num_threads = int(threads or 0)
    wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
    providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no common class
        raise ValueError(
            "The weights of RetinaFace must be an ONNX network. "
            f"Received: {os.fspath(path)!r}, {error}. Check that the file is complete."
        ) from error
    (source,) = session.get_inputs()

    def network(pixels: np.ndarray) -> Sequence[np.ndarray]:
        return session.run(None, {source.name: np.ascontiguousarray(pixels, np.float32)})

    return network


def _face(answer: dict) -> Face:
    left, top, right, bottom = answer["facial_area"]  # the last pixels belong to the face
    points = answer["landmarks"]
    # The package's right is the person's, which is on the image's left.
    names = ("right_eye", "left_eye", "nose", "mouth_right", "mouth_left")
    return Face(
        box=(left, top, right - left + 1, bottom - top + 1),
        score=answer["score"],
        landmarks=np.array([points[name] for name in names]),
    )
