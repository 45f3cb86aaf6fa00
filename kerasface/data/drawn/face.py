"""One picture of one drawn person.

Every person (an *identity*) has a stable face: outline, eyes, brows, nose, mouth, ears and hair.
Every picture of a person (a *variant*) has its own pose, light, expression, clothes, background
and accessories. Light and background vary so much that colors say little about the person; shapes
say more. The labels are exact: identity, face box, five landmarks and attributes.

All functions are deterministic: the same arguments give the same pixels, in any order and in any
process.

Example:
    >>> face = draw_face(identity=7, variant=0, size=96)
    >>> face.image.shape
    (96, 96, 3)
    >>> sorted(face.attributes) == list(ATTRIBUTES)
    True
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from kerasface.checks import check_number
from kerasface.data import notebook
from kerasface.data.drawn.painting import backdrop, develop, paint, portrait
from kerasface.data.drawn.people import (
    ATTRIBUTES,
    aim,
    face_box,
    face_landmarks,
    make_person,
    make_shot,
)

MIN_SIZE = 24  # pixels
_PHOTO = 13  # first key of the random numbers; see `people`


@dataclasses.dataclass(frozen=True)
class DrawnFace:
    """A picture of one drawn person, with its labels.

    Pixel coordinates have their origin at the top left corner of the image.

    Attributes:
        image: uint8 array of shape `(size, size, 3)`, RGB.
        box: `(left, top, width, height)` of the face in pixels: hair line to chin, cheek to cheek.
        landmarks: float32 array of shape `(5, 2)`, x and y in pixels, of the image-left eye, the
            image-right eye, the nose tip, the image-left and the image-right mouth corner.
        attributes: Whether each of `ATTRIBUTES` holds.
        identity: Number of the person.
    """

    image: np.ndarray
    box: tuple[float, float, float, float]
    landmarks: np.ndarray
    attributes: dict[str, bool]
    identity: int

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        held = [name for name, holds in self.attributes.items() if holds]
        return f"DrawnFace(identity={self.identity}, {width} x {height} pixels, {held})"

    def _repr_html_(self) -> str:
        return notebook.picture_html(self.image, repr(self))


def draw_face(
    identity: int,
    variant: int,
    *,
    size: int = 96,
    seed: int = 0,
    attributes: Mapping[str, bool] | None = None,
) -> DrawnFace:
    """Draws one picture of one person.

    Args:
        identity: Number of the person, 0 or more. Every number is another person.
        variant: Number of the picture of this person, 0 or more.
        size: Width and height of the image in pixels, at least 24.
        seed: Seed of the population, 0 or more: another seed, other people.
        attributes: Attributes to force, by name; the others, and everything else in the drawing,
            stay as they are without it.

    Returns:
        The picture with its face box, landmarks and attributes.

    Raises:
        ValueError: If a number is out of range or an attribute is unknown.

    Example:
        >>> draw_face(3, 0, attributes={"Smiling": True}).attributes["Smiling"]
        True
    """
    for name, value in (("identity", identity), ("variant", variant), ("seed", seed)):
        check_number(name, value, 0, whole=True)
    check_number("size", size, MIN_SIZE, whole=True)
    unknown = sorted(set(attributes or {}) - set(ATTRIBUTES))
    if unknown:
        raise ValueError(
            f"`attributes` must have keys among {ATTRIBUTES}. Received: {unknown}. "
            "Drop or rename these keys."
        )
    person = make_person(seed, identity)
    shot = make_shot(seed, variant, person, attributes or {})
    values = shot.values
    center = size * (0.5 + 0.5j + values["shift_x"] + 1j * values["shift_y"])
    camera = aim(person, shot, center, size * values["height"] / 2)
    rng = np.random.default_rng([_PHOTO, seed, identity, variant])
    canvas = backdrop(rng, size, size, clutter=3)
    paint(canvas, camera, portrait(person, shot))
    return DrawnFace(
        image=develop(canvas, rng),
        box=face_box(camera, person),
        landmarks=face_landmarks(camera, person, shot),
        attributes=shot.attributes,
        identity=int(identity),
    )
