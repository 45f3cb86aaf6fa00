"""Drawn faces: a seeded data set of cartoon people that needs no download.

Every person (an *identity*) has a stable face: outline, eyes, brows, nose, mouth, ears and hair.
Every picture of a person (a *variant*) has its own pose, light, expression, clothes, background
and accessories. Light and background vary so much that colours say little about who it is; the
shapes do. The labels are exact: identity, face box, five landmarks and attributes.

All functions are deterministic: the same arguments give the same pixels, in any order and in any
process.

Example:
    >>> face = draw_face(identity=7, variant=0, size=96)
    >>> face.image.shape
    (96, 96, 3)
    >>> sorted(face.attributes) == list(ATTRIBUTES)
    True
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from PIL import Image

from kerasface.data.drawn.painting import backdrop, develop, paint, portrait
from kerasface.data.drawn.people import (
    ATTRIBUTES,
    Camera,
    Person,
    Shot,
    aim,
    face_box,
    face_landmarks,
    make_person,
    make_shot,
)

_FORMAT = 1  # raised whenever the drawings change, so that stale folders are refused
_MIN_SIZE = 24

# The first key of every random stream, so that no two purposes share numbers; the others are in
# `people`.
_PHOTO, _SCENE, _ORDER = 13, 14, 15


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


def draw_face(
    identity: int,
    variant: int,
    *,
    size: int = 96,
    seed: int = 0,
    attributes: Mapping[str, bool] | None = None,
) -> DrawnFace:
    """Draw one picture of one person.

    Args:
        identity: Number of the person, 0 or more; any number gives another person.
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
    _check_at_least(0, identity=identity, variant=variant, seed=seed)
    _check_at_least(_MIN_SIZE, size=size)
    unknown = sorted(set(attributes or {}) - set(ATTRIBUTES))
    if unknown:
        raise ValueError(
            f"`attributes` must have keys among {ATTRIBUTES}. Received: {unknown}. "
            "Drop or rename these keys."
        )
    person = make_person(seed, identity)
    shot = make_shot(seed, variant, person, attributes or {})
    values = shot.values
    centre = size * (0.5 + 0.5j + values["shift_x"] + 1j * values["shift_y"])
    camera = aim(person, shot, centre, size * values["height"] / 2)
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


def draw_scene(
    *,
    faces: int = 4,
    width: int = 640,
    height: int = 480,
    face_size: tuple[int, int] = (40, 140),
    seed: int = 0,
) -> DrawnScene:
    """Draw a picture with several people and some clutter, as a test for face detection.

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
        ValueError: If a number is out of range, or the faces find no room in the image.

    Example:
        >>> scene = draw_scene(faces=2, width=320, height=240, seed=1)
        >>> scene.image.shape, len(scene.faces)
        ((240, 320, 3), 2)
    """
    _check_at_least(0, faces=faces, seed=seed)
    _check_at_least(_MIN_SIZE, width=width, height=height)
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


def drawn_faces(
    folder: str | os.PathLike[str],
    *,
    identities: int = 50,
    train: int = 24,
    dev: int = 6,
    test: int = 4,
    size: int = 96,
    seed: int = 0,
    quality: int = 92,
) -> pathlib.Path:
    """Write a folder of drawn faces laid out like a face classification competition.

    The folder holds `train/<name>/<nnnn>.jpg` and `dev/<name>/<nnnn>.jpg` with one folder a
    person (`p0000`, ...), the unlabelled and shuffled `test/<nnnnnn>.jpg`, and

    - `sample_submission.csv`: `id` (a file name in `test`) and `label`, 0 everywhere;
    - `test_labels.csv`: `id` and `name`, the truth;
    - `attributes.csv`: `file` (like `train/p0007/0003.jpg`) and `ATTRIBUTES` as 0 or 1;
    - `landmarks.csv`: `file`, the box (`left`, `top`, `width`, `height`) and x and y of the five
      landmarks, in pixels;
    - `drawn.json`: the settings, written last. A folder that has it is complete.

    `train/p0007/0003.jpg` shows `draw_face(7, 3)`; the variants of `dev` and `test` follow those
    of `train`, so no picture occurs twice. A complete folder with the same settings is returned
    at once; one whose writing was interrupted is completed.

    Args:
        folder: Folder to write; must be new, empty, or written with the same settings.
        identities: Number of people, 1 or more.
        train: Training images a person, 0 or more, as are the next two.
        dev: Development images a person.
        test: Test images a person.
        size: Width and height of the images in pixels, at least 24.
        seed: Seed of the people and of the order of the test images, 0 or more.
        quality: JPEG quality, 1 to 95.

    Returns:
        The folder.

    Raises:
        ValueError: If a number is out of range, or the folder holds anything else.

    Example:
        >>> import tempfile
        >>> root = drawn_faces(tempfile.mkdtemp(), identities=2, train=2, dev=1, test=1)
        >>> sorted(path.name for path in (root / "train").iterdir())
        ['p0000', 'p0001']
    """
    _check_at_least(1, identities=identities, quality=quality)
    _check_at_least(0, train=train, dev=dev, test=test, seed=seed)
    _check_at_least(_MIN_SIZE, size=size)
    if quality > 95:
        raise ValueError(f"`quality` must be at most 95. Received: quality={quality}. Lower it.")
    root = pathlib.Path(folder)
    settings = {"format": _FORMAT, "identities": identities, "train": train, "dev": dev}
    settings |= {"test": test, "size": size, "seed": seed, "quality": quality}
    text = json.dumps({name: int(value) for name, value in settings.items()})
    if _is_complete(root, text):
        return root
    (root / "drawn.json.part").write_text(text, encoding="utf-8")
    faces: dict[str, DrawnFace] = {}
    for file, identity, variant in _plan(identities, train, dev, test, seed):
        faces[file] = face = draw_face(identity, variant, size=size, seed=seed)
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(face.image).save(root / file, quality=quality)
    _write_tables(root, faces)
    (root / "drawn.json.part").replace(root / "drawn.json")
    return root


def _check_at_least(lowest: int, **numbers: int) -> None:
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < lowest:
            raise ValueError(
                f"`{name}` must be a whole number of at least {lowest}. "
                f"Received: {name}={value!r}. Pass {lowest} or more."
            )


def _name(identity: int) -> str:
    return f"p{identity:04d}"


def _plan(
    identities: int, train: int, dev: int, test: int, seed: int
) -> list[tuple[str, int, int]]:
    """All image files of a folder as `(file, identity, variant)`."""
    plan = []
    for identity in range(identities):
        for variant in range(train + dev):
            part = "train" if variant < train else "dev"
            plan.append((f"{part}/{_name(identity)}/{variant:04d}.jpg", identity, variant))
    order = np.random.default_rng([_ORDER, seed]).permutation(identities * test)
    for i, k in enumerate(order.tolist()):
        plan.append((f"test/{i:06d}.jpg", k // test, train + dev + k % test))
    return plan


def _is_complete(root: pathlib.Path, settings: str) -> bool:
    """Whether `drawn_faces` has nothing left to do; raises if the folder holds anything else."""
    if root.exists() and not root.is_dir():
        raise ValueError(f"`folder` must be a folder. Received: a file, {root}. Name a new folder.")
    for marker in (root / "drawn.json", root / "drawn.json.part"):
        if marker.is_file():
            found = marker.read_text(encoding="utf-8")
            if found == settings:
                return marker.suffix == ".json"
            raise ValueError(
                "`folder` must hold nothing drawn with other settings. Received: "
                f"folder={str(root)!r}, drawn with {found}, and now {settings}. "
                "Name a new folder or delete this one."
            )
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise ValueError(
            f"`folder` must be new or empty. Received: folder={str(root)!r}, which holds other "
            "files. Name a new folder."
        )
    return False


def _write_tables(root: pathlib.Path, faces: Mapping[str, DrawnFace]) -> None:
    tests = {file[5:]: face for file, face in faces.items() if file.startswith("test/")}
    names = [_name(face.identity) for face in tests.values()]
    points = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    places = ["left", "top", "width", "height"] + [f"{p}_{axis}" for p in points for axis in "xy"]
    numbers = np.array([[*face.box, *face.landmarks.ravel()] for face in faces.values()])
    flags = [[int(face.attributes[name]) for name in ATTRIBUTES] for face in faces.values()]
    tables = {
        "sample_submission": pd.DataFrame({"id": [*tests], "label": 0}),
        "test_labels": pd.DataFrame({"id": [*tests], "name": names}),
        "attributes": pd.DataFrame(flags, columns=[*ATTRIBUTES]),
        "landmarks": pd.DataFrame(numbers.reshape(-1, len(places)), columns=places),
    }
    for name, table in tables.items():
        if "id" not in table:
            table.insert(0, "file", [*faces])
        table.to_csv(root / f"{name}.csv", index=False, float_format="%.2f", lineterminator="\n")


def _places(
    people: Sequence[Person],
    shots: Sequence[Shot],
    canvas: tuple[int, int],
    face_size: tuple[int, int],
    rng: np.random.Generator,
) -> list[Camera]:
    """Cameras that put the faces beside each other; every new try makes them smaller."""
    pairs = zip(people, shots, strict=True)
    boxes = np.array([face_box(aim(*pair), pair[0]) for pair in pairs]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    # Hair and hats need room around the box, or they would cover the neighbour.
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
            centre = complex(*spots[free[0], :2])
            placed[i] = aim(people[i], shots[i], centre, float(scales[i]))
        if len(placed) == len(people):
            return [placed[i] for i in range(len(people))]
    raise ValueError(
        "The image must have room for all faces. Received: "
        f"faces={len(people)}, face_size={face_size}, width={canvas[0]}, height={canvas[1]}. "
        "Lower `faces` or `face_size`, or enlarge the image."
    )
