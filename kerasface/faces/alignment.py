"""Crops of faces: aligned by their landmarks, or cut out around their box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kerasface.checks import check_choice, check_number
from kerasface.faces import dlib_chips
from kerasface.faces.face import Face
from kerasface.faces.warping import similarities, warp
from kerasface.images import AnyImage, as_image

# The five landmarks of ArcFace's 112 x 112 crops: ``arcface_dst`` in insightface's
# python-package/insightface/utils/face_align.py.
ARCFACE = (
    (38.2946, 51.6963),
    (73.5318, 51.5014),
    (56.0252, 71.7366),
    (41.5493, 92.3655),
    (70.7299, 92.2041),
)
# Names of the templates, with their landmarks and the size for which they are given.
_TEMPLATES = {"arcface": (ARCFACE, 112), "dlib": (dlib_chips.LANDMARKS, dlib_chips.SIZE)}
TEMPLATES = tuple(_TEMPLATES)
LARGEST_MARGIN = 5.0  # shows a face eleven times as wide; more is a percentage by mistake


def template(size: int | None = None, margin: float = 0.0, *, name: str = "arcface") -> np.ndarray:
    """Coordinates of the landmarks of an aligned face.

    Args:
        size: Side of the crop in pixels. None is 112 for ``"arcface"`` and 150 for ``"dlib"``.
        margin: Added at each side, as a share of the standard crop; 0 is the standard.
        name: ``"arcface"`` is the template of ArcFace (Deng et al. 2019, arXiv:1801.07698), as
            insightface has it. ``"dlib"`` has the mean places of the landmarks in the crops that
            `align` makes for dlib's networks, where each face has them a few pixels away.

    Returns:
        float64 ``[5, 2]``, x and y in pixels of the crop, in the order of ``Face.landmarks``.

    Raises:
        ValueError: If the name is unknown or a number is out of range.

    Example:
        >>> template(224)[2].round(2).tolist()
        [112.05, 143.47]
    """
    return _points(name, check_crop(size, margin, name), margin)


def align(
    image: AnyImage,
    landmarks: np.ndarray | Face,
    size: int | None = None,
    *,
    margin: float = 0.0,
    template: str = "arcface",
) -> np.ndarray:
    """Cuts out a face, turned, scaled and shifted so that its landmarks match a template.

    The face is upright afterwards. A face larger than the crop is shrunk without aliasing. With
    ``"arcface"``, the geometry is that of insightface's ``norm_crop``. With ``"dlib"``, the given
    landmarks only tell roughly where the face is. dlib's own predictor then finds the corners of
    the eyes and the base of the nose, and the crop is the one that dlib's networks expect.

    Args:
        image: A path, an array, a PIL image, the bytes of an image file, or a binary file, as for
            `kerasface.images.as_image`.
        landmarks: float ``[5, 2]`` in pixels, as in ``Face.landmarks``, or a face. With
            ``"dlib"``, a face without landmarks is found by its box.
        size: Side of the crop in pixels. None is 112 for ``"arcface"`` and 150 for ``"dlib"``.
        margin: As for `kerasface.faces.template`.
        template: ``"arcface"`` or ``"dlib"``.

    Returns:
        uint8 ``[size, size, 3]``; black where the crop extends beyond the image.

    Raises:
        ValueError: If shapes or numbers are out of range, or all landmarks are equal.
        RuntimeError: If dlib's predictor is neither installed nor can be downloaded.

    Example:
        >>> from kerasface.data import draw_face
        >>> face = draw_face(7, 0, size=200)
        >>> align(face.image, face.landmarks).shape
        (112, 112, 3)
    """
    return align_all([image], [landmarks], size, margin=margin, template=template)[0]


def align_all(
    images: Sequence[AnyImage],
    faces: Sequence[np.ndarray | Face],
    size: int | None = None,
    *,
    margin: float = 0.0,
    template: str = "arcface",
) -> np.ndarray:
    """Aligns one face of each image, faster than `align` one after the other.

    Args:
        images: Images, each of its own size, as for `align`.
        faces: Landmarks or a face for each image, as for `align`.
        size: As for `align`.
        margin: As for `align`.
        template: As for `align`.

    Returns:
        uint8 ``[N, size, size, 3]``.

    Raises:
        ValueError: As for `align`, or if there are not as many faces as images.
        RuntimeError: As for `align`.

    Example:
        >>> from kerasface.data import draw_face
        >>> faces = [draw_face(person, 0, size=200) for person in range(3)]
        >>> points = [face.landmarks for face in faces]
        >>> align_all([face.image for face in faces], points).shape
        (3, 112, 112, 3)
    """
    size = check_crop(size, margin, template)
    if len(images) != len(faces):
        raise ValueError(
            "There must be one face for each image. "
            f"Received: {len(images)} images and {len(faces)} faces."
        )
    if not len(images):
        return np.zeros((0, size, size, 3), np.uint8)
    landmarks = [_landmarks(face, template) for face in faces]
    pixels = [as_image(image) for image in images]
    if template == "dlib":
        matrices = dlib_chips.chip_matrices(pixels, landmarks, size, margin)
    else:
        points = np.stack(landmarks)
        target = _points(template, size, margin)
        matrices = similarities(points, np.broadcast_to(target, points.shape))
    return np.stack([warp(*pair, size) for pair in zip(pixels, matrices, strict=True)])


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
    image: AnyImage, box: Sequence[float], size: int = 224, *, margin: float = 0.2
) -> np.ndarray:
    """Cuts out the square around a face's box, without turning it.

    Args:
        image: As for `align`.
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
    _check_numbers(size, margin)
    left, top, side, _ = square_box(box, margin)
    if not (math.isfinite(left + top) and 0 < side < math.inf):
        raise ValueError(
            "`box` must be (left, top, width, height) with sides above 0. "
            f"Received: box={tuple(box)}."
        )
    # Pillow's resize takes parts of pixels, but none outside the image.
    low = math.floor(left), math.floor(top)
    high = math.ceil(left + side), math.ceil(top + side)
    part = Image.fromarray(as_image(image)).crop((*low, *high))
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


def check_crop(size: int | None, margin: float, template: str) -> int:
    """Checks the numbers of an aligned crop.

    Args:
        size: Side in pixels. None is the standard of the template.
        margin: Added at each side, as a share of the standard crop.
        template: One of `TEMPLATES`.

    Returns:
        The size.

    Raises:
        ValueError: If the template is unknown or a number is out of range.
    """
    check_choice("template", template, TEMPLATES)
    size = _TEMPLATES[template][1] if size is None else size
    _check_numbers(size, margin)
    return int(size)


def _check_numbers(size: int, margin: float) -> None:
    check_number("size", size, 1, whole=True, remedy="It is in pixels.")
    remedy = "It is a share of the face: 0.2 is 20%."
    check_number("margin", margin, 0, LARGEST_MARGIN, remedy=remedy)


def _points(name: str, size: int, margin: float) -> np.ndarray:
    points, standard = _TEMPLATES[name]
    return (np.array(points) + margin * standard) * (size / (standard * (1 + 2 * margin)))


def _landmarks(face: np.ndarray | Face, template: str) -> np.ndarray:
    if isinstance(face, Face):
        if face.landmarks is not None:
            return face.landmarks
        if template == "dlib":
            return dlib_chips.box_landmarks(face.box)
        raise ValueError(
            f"Aligning to the template {template!r} needs the landmarks of every face. "
            "Received: a face without landmarks. Use another detector, or the template 'dlib'."
        )
    landmarks = np.asarray(face, np.float64)
    if landmarks.shape != (5, 2) or not np.isfinite(landmarks).all():
        raise ValueError(
            "`landmarks` must be five points [5, 2] in pixels. "
            f"Received: shape {landmarks.shape}: {landmarks.tolist()}."
        )
    return landmarks
