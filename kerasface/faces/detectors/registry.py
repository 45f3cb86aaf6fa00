"""Faces in photographs, by name of a detector or by a function of one's own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image

from kerasface.backend import require_tensorflow
from kerasface.checks import check_flag, check_number
from kerasface.faces.face import Face
from kerasface.names import suggest

Detector = Callable[[Sequence[np.ndarray]], Sequence[Sequence[Face]]]

MAX_SIDE = 2000  # about what RetinaFace itself goes up to; a face of 20 pixels in it is small
SAME_FACE = 0.4  # overlap from which two boxes of turned images are one face; RetinaFace's own
_LOADERS = ("mtcnn", "retinaface")


def list_detectors() -> list[str]:
    """Names that `detect`, `load_detector` and `crop` take.

    Example:
        >>> list_detectors()
        ['mtcnn', 'retinaface']
    """
    return list(_LOADERS)


def detect(
    images: Sequence[np.ndarray], detector: str | Detector = "mtcnn", **options
) -> list[list[Face]]:
    """Finds the faces in images.

    An answer depends on its image alone, never on what else is in the list.

    Args:
        images: uint8 RGB arrays ``[H, W, 3]``, each of its own size.
        detector: A name of `list_detectors`, what `load_detector` gave (which is loaded once for
            many calls), or a function of one's own, from a list of images to a list of `Face` an
            image.
        **options: As for `load_detector`, for a detector that is named.

    Returns:
        One list an image, the best score first; boxes and landmarks in pixels of that image.

    Raises:
        ValueError: If an image is no such array, an option or a name is unknown, or a function
            gives anything but faces.

    Example:
        >>> from kerasface.data import draw_scene
        >>> [faces] = detect([draw_scene(faces=3, seed=2).image])
        >>> faces[0].landmarks.shape
        (5, 2)
    """
    for position, image in enumerate(images):
        if (
            not isinstance(image, np.ndarray)
            or image.dtype != np.uint8
            or image.ndim != 3
            or image.shape[2] != 3
            or not image.size
        ):
            raise ValueError(
                "Images must be uint8 RGB arrays of shape [height, width, 3]. Received: "
                f"{getattr(image, 'dtype', type(image).__name__)} of shape "
                f"{getattr(image, 'shape', None)} at position {position}."
            )
    if isinstance(detector, str):
        detector = load_detector(detector, **options)
    elif options:
        raise ValueError(
            "Options are for a detector that is named. "
            f"Received: {sorted(options)} with a function. Build them into the function."
        )
    return _sorted_answers(detector(list(images)), len(images))


def load_detector(
    name: str, *, max_side: int | None = MAX_SIDE, turned: bool = False, **options
) -> Detector:
    """Loads a detector once, for many calls of `detect`.

    Args:
        name: ``"mtcnn"``, which is small, needs no download and finds upright faces of 20 pixels
            and more, or ``"retinaface"``, which is large and finds harder ones.
        max_side: Photographs whose longer side is over so many pixels are shrunk to it for the
            search; None searches them as they are.
        turned: Whether faces are looked for in the photograph turned by 90, 180 and 270 degrees
            too: for scans and photographs that lie on their side. Takes four times as long.
        **options: mtcnn: ``min_face`` (pixels, 20) and ``threshold`` (0.8); retinaface:
            ``weights`` (a path), ``threshold`` (0.9), ``upscale`` (True) and ``threads``.

    Returns:
        A function of a list of uint8 RGB images that gives a list of `Face` an image, for
        `detect`.

    Raises:
        ValueError: If the name or an option is unknown or out of range.
        FileNotFoundError: If a weights file is missing.
        ConnectionError: If weights cannot be downloaded.

    Example:
        >>> detector = load_detector("mtcnn", min_face=12)  # doctest: +SKIP
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
        check_number("max_side", max_side, 32, remedy="None searches photographs as they are.")
    check_flag("turned", turned)
    detector = load(**options)
    if turned:
        detector = _in_four_turns(detector)
    if max_side is not None:
        detector = _at_most(detector, max_side)
    # By which `crop` knows that another one was loaded.
    settings = {"name": name, "max_side": max_side, "turned": turned, **options}
    detector.settings = settings
    return detector


def overlap(first: Sequence[float], second: Sequence[float]) -> float:
    """Intersection over union of two boxes.

    Args:
        first: ``(left, top, width, height)``.
        second: Likewise.

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
    # Imported by need: one brings TensorFlow along, the other onnxruntime and OpenCV.
    if name == "mtcnn":
        require_tensorflow()
        from kerasface.faces.detectors.mtcnn import load_mtcnn

        return load_mtcnn
    if name == "retinaface":
        from kerasface.faces.detectors.retinaface import load_retinaface

        return load_retinaface
    raise ValueError(
        f"A detector must be one of {list_detectors()} or a function. "
        f"Received: {name!r}.{suggest(str(name), _LOADERS)}"
    )


def _sorted_answers(answers, images: int) -> list[list[Face]]:
    answers = list(answers)
    if len(answers) != images or not all(isinstance(faces, Iterable) for faces in answers):
        kinds = sorted({type(faces).__name__ for faces in answers})
        raise ValueError(
            "A detector must give one list of faces an image. "
            f"Received: {len(answers)} answers ({', '.join(kinds)}) for {images} images."
        )
    answers = [list(faces) for faces in answers]
    for faces in answers:
        for face in faces:
            if not isinstance(face, Face):
                raise ValueError(
                    "A detector must give lists of kerasface.faces.Face. "
                    f"Received: {type(face).__name__}."
                )
        faces.sort(key=lambda face: (-face.score, face.box))
    return answers


def _at_most(detector: Detector, max_side: int) -> Detector:
    def shrinking(images):
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
    # The box keeps the factor exact, which whole sides alone would not.
    box = (0, 0, min(width * factor, image.shape[1]), min(height * factor, image.shape[0]))
    picture = Image.fromarray(image)
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR, box=box))


def _in_four_turns(detector: Detector) -> Detector:
    def turning(images):
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
