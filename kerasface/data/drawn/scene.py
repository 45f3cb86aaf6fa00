"""A picture with several drawn people, as a test for face detection."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from kerasface.checks import check_number
from kerasface.data import notebook
from kerasface.data.drawn.face import MIN_SIZE
from kerasface.data.drawn.painting import backdrop, develop, paint, portrait
from kerasface.data.drawn.people import (
    Camera,
    Person,
    Shot,
    aim,
    face_box,
    face_landmarks,
    make_person,
    make_shot,
)

_SCENE = 14  # first key of the random numbers; see `people`


@dataclasses.dataclass(frozen=True)
class SceneFace:
    """One face of a `DrawnScene`; the fields are those of `DrawnFace`, in pixels of the scene."""

    box: tuple[float, float, float, float]
    landmarks: np.ndarray
    attributes: dict[str, bool]
    identity: int


@dataclasses.dataclass(frozen=True)
class DrawnScene:
    """A picture with several drawn people.

    Attributes:
        image: uint8 array of shape `(height, width, 3)`, RGB.
        faces: The faces; their boxes lie in the image and do not overlap.
    """

    image: np.ndarray
    faces: tuple[SceneFace, ...]

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"DrawnScene({len(self.faces)} faces, {width} x {height} pixels)"

    def _repr_html_(self) -> str:
        return notebook.picture_html(self.image, repr(self))


def draw_scene(
    *,
    faces: int = 4,
    width: int = 640,
    height: int = 480,
    face_size: tuple[int, int] = (40, 140),
    seed: int = 0,
) -> DrawnScene:
    """Draws a picture with several people and some clutter, as a test for face detection.

    The people are those of `draw_face` with the same `seed`, each at most once.

    Args:
        faces: Number of faces, 0 or more.
        width: Width of the image in pixels, at least 24.
        height: Height of the image in pixels, at least 24.
        face_size: Smallest and largest height of a face box in pixels, at least 8. In a crowd the
            faces are drawn towards the smallest.
        seed: Seed of people, places and light, 0 or more.

    Returns:
        The picture with all its faces.

    Raises:
        ValueError: If a number is out of range, or the faces do not fit into the image.

    Example:
        >>> scene = draw_scene(faces=2, width=320, height=240, seed=1)
        >>> scene.image.shape, len(scene.faces)
        ((240, 320, 3), 2)
    """
    for name, value, lowest in (
        ("faces", faces, 0),
        ("seed", seed, 0),
        ("width", width, MIN_SIZE),
        ("height", height, MIN_SIZE),
    ):
        check_number(name, value, lowest, whole=True)
    if len(face_size) != 2 or not 8 <= face_size[0] <= face_size[1]:
        raise ValueError(
            "`face_size` must be (smallest, largest) with 8 <= smallest <= largest. "
            f"Received: face_size={face_size}. Swap or raise the numbers."
        )
    rng = np.random.default_rng([_SCENE, seed])
    identities = rng.choice(max(1000, 2 * faces), size=faces, replace=False)
    people = [make_person(seed, int(identity)) for identity in identities]
    shots = [make_shot(seed, int(rng.integers(1000)), person, {}) for person in people]
    cameras = _places(people, shots, (width, height), face_size, rng)
    labels = tuple(
        SceneFace(
            face_box(camera, person),
            face_landmarks(camera, person, shot),
            shot.attributes,
            person.identity,
        )
        for person, shot, camera in zip(people, shots, cameras, strict=True)
    )
    canvas = backdrop(rng, width, height, clutter=14)
    # Shoulders reach down and to the sides only: painted from the highest chin to the lowest,
    # they never cover another face.
    for i in sorted(range(faces), key=lambda i: labels[i].box[1] + labels[i].box[3]):
        paint(canvas, cameras[i], portrait(people[i], shots[i]))
    return DrawnScene(develop(canvas, rng), labels)


def _places(
    people: Sequence[Person],
    shots: Sequence[Shot],
    canvas: tuple[int, int],
    face_size: tuple[int, int],
    rng: np.random.Generator,
) -> list[Camera]:
    """Cameras that place the faces beside each other, smaller with every try."""
    pairs = zip(people, shots, strict=True)
    boxes = np.array([face_box(aim(*pair), pair[0]) for pair in pairs]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    # Hair and hats need room around the box, or they would cover the next face.
    roomy = boxes + np.array([-0.5, -0.9, 0.5, 0.2])
    for largest in np.linspace(face_size[1], face_size[0], 12):
        scales = rng.uniform(face_size[0], largest, len(people)) / (boxes[:, 3] - boxes[:, 1])
        placed: dict[int, Camera] = {}
        taken = np.zeros((0, 4))
        for i in np.argsort(-scales).tolist():
            low, high = 1 - boxes[i, :2] * scales[i], canvas - boxes[i, 2:] * scales[i] - 1
            if np.any(low > high):
                break
            spots = np.tile(rng.uniform(low, high, (200, 2)), 2)
            areas = (roomy[i] * scales[i] + spots)[:, None]
            apart = (areas[..., :2] >= taken[:, 2:]) | (areas[..., 2:] <= taken[:, :2])
            free = np.flatnonzero(apart.any(axis=2).all(axis=1))
            if not len(free):
                break
            taken = np.vstack([taken, areas[free[0]]])
            center = complex(*spots[free[0], :2])
            placed[i] = aim(people[i], shots[i], center, float(scales[i]))
        if len(placed) == len(people):
            return [placed[i] for i in range(len(people))]
    raise ValueError(
        "The image must have room for all faces. Received: "
        f"faces={len(people)}, face_size={face_size}, width={canvas[0]}, height={canvas[1]}. "
        "Lower `faces` or `face_size`, or enlarge the image."
    )
