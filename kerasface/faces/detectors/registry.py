"""Detects faces in images, with a detector given by name or as a function."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from kerasface.backend import require_tensorflow
from kerasface.cache import cached, file_key
from kerasface.checks import check_flag, check_number
from kerasface.data.image_list import AnyImages, image_list
from kerasface.faces.face import Face
from kerasface.names import suggest

Detector = Callable[[Sequence[np.ndarray]], Sequence[Sequence[Face]]]

MAX_SIDE = 2000  # about the largest size that RetinaFace itself uses
AT_ONCE = 64  # images that are read and given to a detector at once
SAME_FACE = (
    0.4  # overlap from which two boxes of rotated images are one face; the value of RetinaFace
)
DEFAULT = "blazeface"
# Read by the shell's completion without an import.
_LOADERS = ("blazeface", "mmod", "mtcnn", "retinaface", "yunet")
_registered: dict[str, Callable[..., Detector]] = {}


def list_detectors() -> list[str]:
    """Names of the detectors for `detect`, `load_detector` and `crop`, sorted.

    Example:
        >>> list_detectors()
        ['blazeface', 'mmod', 'mtcnn', 'retinaface', 'yunet']
    """
    return sorted({*_LOADERS, *_registered})


def register_detector(name: str, load: Callable[..., Detector]) -> None:
    """Gives a detector of your own a name that stands for it in every function.

    Args:
        name: The name. If it is that of another detector, yours takes its place.
        load: A function that returns a detector as for `detect`. Its keyword arguments are the
            options of the detector; for the processes of `crop`, it must be a function of a module
            that other processes can import.

    Raises:
        TypeError: If ``load`` is not a function.
        ValueError: If the name is empty.

    Example:
        >>> def load_whole_image():
        ...     def detector(images):
        ...         return [[Face((0, 0, *image.shape[1::-1]), 1.0)] for image in images]
        ...
        ...     return detector
        >>> register_detector("whole_image", load_whole_image)
        >>> detect([np.zeros((20, 30, 3), np.uint8)], "whole_image")
        [[Face(box=(0.0, 0.0, 30.0, 20.0), score=1.000, no landmarks)]]
    """
    if not isinstance(name, str) or not name:
        raise ValueError(
            f"The name of a detector must be a text with a letter or more. Received: {name!r}."
        )
    if not callable(load):
        raise TypeError(
            "`load` must be a function that returns a detector. "
            f"Received: {type(load).__name__}. Wrap a detector: `lambda: detector`."
        )
    _registered[name] = load


def detect(
    images: AnyImages, detector: str | Detector = DEFAULT, **options: Any
) -> list[list[Face]]:
    """Detects the faces in images.

    The result for an image does not depend on the other images.

    Args:
        images: A list of images, each of its own size, or one image, in the forms of
            `kerasface.images.as_image`; a folder; a table; or an array ``[N, H, W, channels]``.
        detector: A name from `list_detectors`, a detector from `load_detector`, or your own
            function of a list of uint8 RGB images that returns a list of `Face` for each image. A
            detector given by name stays open in kerasface's cache for further calls.
        **options: As for `load_detector`, only for a detector given by name.

    Returns:
        One list for each image, the best score first; boxes and landmarks in pixels of the image.

    Raises:
        ImportError: If the detector's package is not installed.
        TypeError: If an image is of another type.
        FileNotFoundError: If a path does not exist.
        ValueError: If an image has another shape or range or is unreadable, an option or a name is
            unknown, or a function does not return faces.

    Example:
        >>> from kerasface.data import draw_scene
        >>> [faces] = detect([draw_scene(faces=3, seed=2).image])
        >>> faces[0].landmarks.shape
        (5, 2)
    """
    opened = open_detector(detector, **options)
    if isinstance(images, (list, tuple)) and not images:
        return []
    listed = image_list(images)
    answers: list[list[Face]] = []
    for start in range(0, len(listed), AT_ONCE):  # a folder may not fit in the memory
        rows = range(start, min(start + AT_ONCE, len(listed)))
        pixels = [listed.read(row) for row in rows]
        answers += _sorted_answers(opened(pixels), len(pixels))
    return answers


def open_detector(detector: str | Detector, **options: Any) -> Detector:
    """Returns a detector that stays open in kerasface's cache.

    Args:
        detector: A name from `list_detectors`, or a function, which is returned as it is.
        **options: As for `load_detector`, only for a detector given by name.

    Raises:
        ValueError: If there are options with a function, or as for `load_detector`.

    Example:
        >>> open_detector("mtcnn") is open_detector("mtcnn")
        True
    """
    if isinstance(detector, str):
        files = [
            file_key(value)
            for value in options.values()
            if isinstance(value, (str, os.PathLike)) and os.path.isfile(value)
        ]
        # Not the name, which `register_detector` may give to another function.
        key = ("detector", _loader(detector), repr(sorted(options.items())), *files)
        return cached(key, functools.partial(load_detector, detector, **options))
    if options:
        raise ValueError(
            "Options are only for a detector given by name. "
            f"Received: {sorted(options)} with a function. Build them into the function."
        )
    return detector


def load_detector(
    name: str, *, max_side: int | None = MAX_SIDE, turned: bool = False, **options: Any
) -> Detector:
    """Loads a detector of your own, which `kerasface.clear_cache` does not close.

    Args:
        name: ``"blazeface"``, a fast network for upright faces of 30 pixels and more;
            ``"mtcnn"``, slower, for faces of 20 pixels and more; ``"mmod"``, dlib's network
            without landmarks; ``"yunet"``, a network that OpenCV runs; ``"retinaface"``, a large
            network that detects harder faces; or a name of `register_detector`.
        max_side: Images with a longer side than this are shrunk to it for the detection, in
            pixels. None never shrinks them.
        turned: If True, also detect faces in the image rotated by 90, 180 and 270 degrees, for
            scans and photographs that lie on their side. Takes four times as long.
        **options: blazeface: ``min_face`` (pixels, 30) and ``threshold`` (0.6); mtcnn:
            ``min_face`` (20) and ``threshold`` (0.8); mmod: ``min_face`` (40), ``threshold``
            (0.5) and ``weights`` (a path); yunet: ``threshold`` (0.7) and ``weights``;
            retinaface: ``threshold`` (0.9), ``weights``, ``upscale`` (True) and ``threads``.

    Returns:
        A function of a list of uint8 RGB images that returns a list of `Face` for each image, for
        `detect`.

    Raises:
        ValueError: If the name or an option is unknown or out of range.
        FileNotFoundError: If a weights file is missing.
        ImportError: If the detector's package is not installed.
        ConnectionError: If weights cannot be downloaded.

    Example:
        >>> detector = load_detector("blazeface", min_face=20)  # doctest: +SKIP
        >>> faces = detect(photographs, detector)  # doctest: +SKIP
    """
    load = _loader(name)
    known = [*inspect.signature(load).parameters, "max_side", "turned"]
    unknown = [key for key in options if key not in known]
    if unknown:
        raise ValueError(
            f"The options of {name!r} are {known}. Received: {unknown[0]!r}."
            f"{suggest(unknown[0], known)}"
        )
    if max_side is not None:
        check_number("max_side", max_side, 32, remedy="None does not shrink photographs.")
    check_flag("turned", turned)
    detector = load(**options)
    if turned:
        detector = _in_four_turns(detector)
    if max_side is not None:
        detector = _at_most(detector, max_side)
    # `crop` reads these settings to notice another detector.
    settings = {"name": name, "max_side": max_side, "turned": turned, **options}
    detector.settings = settings
    return detector


def overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes.

    Args:
        first: ``(left, top, width, height)``.
        second: As ``first``.

    Returns:
        A share in ``[0, 1]``.

    Example:
        >>> overlap((0, 0, 10, 10), (0, 5, 10, 10)) == 50 / 150
        True
    """
    sides = [
        min(first[k] + first[k + 2], second[k] + second[k + 2]) - max(first[k], second[k])
        for k in (0, 1)
    ]
    shared = max(sides[0], 0.0) * max(sides[1], 0.0)
    return shared / (first[2] * first[3] + second[2] * second[3] - shared)


def _loader(name: str) -> Callable:
    if name in _registered:
        return _registered[name]
    # Imported late, with what they need: LiteRT, TensorFlow, onnxruntime and OpenCV.
    if name == "blazeface":
        from kerasface.faces.detectors.blazeface import load_blazeface

        return load_blazeface
    if name == "mtcnn":
        require_tensorflow()
        from kerasface.faces.detectors.mtcnn import load_mtcnn

        return load_mtcnn
    if name == "mmod":
        require_tensorflow()
        from kerasface.faces.detectors.mmod import load_mmod

        return load_mmod
    if name == "yunet":
        from kerasface.faces.detectors.yunet import load_yunet

        return load_yunet
    if name == "retinaface":
        from kerasface.faces.detectors.retinaface import load_retinaface

        return load_retinaface
    raise ValueError(
        f"A detector must be one of {list_detectors()} or a function. "
        f"Received: {name!r}.{suggest(str(name), list_detectors())}"
    )


def _sorted_answers(answers: Iterable[Iterable[Face]], images: int) -> list[list[Face]]:
    found = list(answers)
    if len(found) != images or not all(isinstance(faces, Iterable) for faces in found):
        kinds = sorted({type(faces).__name__ for faces in found})
        raise ValueError(
            "A detector must return one list of faces for each image. "
            f"Received: {len(found)} answers ({', '.join(kinds)}) for {images} images."
        )
    results = [list(faces) for faces in found]
    for faces in results:
        for face in faces:
            if not isinstance(face, Face):
                raise ValueError(
                    "A detector must return lists of kerasface.faces.Face. "
                    f"Received: {type(face).__name__}."
                )
        faces.sort(key=lambda face: (-face.score, face.box))
    return results


def _at_most(detector: Detector, max_side: int) -> Detector:
    def shrinking(images: Sequence[np.ndarray]) -> list[list[Face]]:
        factors = [max(1.0, max(image.shape[:2]) / max_side) for image in images]
        answers = detector([_shrunk(*pair) for pair in zip(images, factors, strict=True)])
        return [
            [_mapped(face, functools.partial(np.multiply, factor)) for face in faces]
            for faces, factor in zip(answers, factors, strict=True)
        ]

    return shrinking


def _shrunk(image: np.ndarray, factor: float) -> np.ndarray:
    if factor == 1:
        return image
    height, width = (max(1, round(side / factor)) for side in image.shape[:2])
    # The box keeps the factor exact, although the sides are rounded.
    box = (0, 0, min(width * factor, image.shape[1]), min(height * factor, image.shape[0]))
    picture = Image.fromarray(image)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _in_four_turns(detector: Detector) -> Detector:
    def turning(images: Sequence[np.ndarray]) -> list[list[Face]]:
        answers: list[list[Face]] = [[] for _ in images]
        for turns in range(4):
            turned = [np.ascontiguousarray(np.rot90(image, turns)) for image in images]
            for image, found, faces in zip(images, answers, detector(turned), strict=True):
                back = _turner_back(turns, image.shape)
                found.extend(_mapped(face, back) for face in faces)
        return [_without_doubles(faces) for faces in answers]

    return turning


def _turner_back(turns: int, shape: tuple[int, ...]) -> Callable[[np.ndarray], np.ndarray]:
    """Maps points of ``np.rot90(image, turns)`` to the image."""
    height, width = shape[:2]

    def back(points: np.ndarray) -> np.ndarray:
        x, y = points[..., 0], points[..., 1]
        # One turn to the left takes (x, y) to (y, width - x).
        mapped = {
            0: (x, y),
            1: (width - y, x),
            2: (width - x, height - y),
            3: (y, height - x),
        }[turns]
        return np.stack(mapped, axis=-1)

    return back


def _mapped(face: Face, transform: Callable[[np.ndarray], np.ndarray]) -> Face:
    left, top, width, height = face.box
    corners = transform(np.array([[left, top], [left + width, top + height]]))
    low, high = corners.min(axis=0), corners.max(axis=0)
    # A box names edges of pixels, a landmark the middle of one.
    landmarks = None if face.landmarks is None else transform(face.landmarks + 0.5) - 0.5
    return Face((*low.tolist(), *(high - low).tolist()), face.score, landmarks)


def _without_doubles(faces: list[Face]) -> list[Face]:
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: (-face.score, face.box)):
        if all(overlap(face.box, other.box) < SAME_FACE for other in kept):
            kept.append(face)
    return kept
