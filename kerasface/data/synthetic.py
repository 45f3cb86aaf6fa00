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
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFilter

ATTRIBUTES = ("Beard", "Eyeglasses", "Mouth_Slightly_Open", "Smiling", "Wearing_Hat")

_FORMAT = 1  # raised whenever the drawings change, so that stale folders are refused
_OVERSAMPLE = 3
_MIN_SIZE = 24

# The first key of every random stream, so that no two purposes share numbers.
_PERSON, _SHOT, _PHOTO, _SCENE, _ORDER = 11, 12, 13, 14, 15

# Shapes are arrays of complex numbers u + vi in face units: the head reaches from v = -1 (skull)
# to v = +1 (chin), and u points to the right of the image.
_X = np.linspace(-1, 1, 21)
_ARCH = np.linspace(-1, 1, 49)
_CIRCLE = np.exp(1j * np.linspace(0, 2 * np.pi, 20))
_NOSE_LIFT = 0.3  # how far the tip of the nose stands out of the face, in face units

# fmt: off
# What is stable in a person. Lengths are in face units, widths of the outline below the cheeks and
# places across the face in half widths of the face, eye heights and irises in eye widths, angles
# in radians, the mouth's level in parts of the way from the nose tip to the chin, and the pitch
# of the hair in bumps from ear to ear.
_FEATURES: Mapping[str, tuple[float, float]] = {
    "cheek": (0.58, 0.90), "jaw": (0.64, 1.02), "chin": (0.22, 0.62), "temple": (0.84, 1.03),
    "ear": (0.11, 0.27), "neck": (0.52, 0.72), "shoulder": (1.05, 1.60),
    "eye_level": (-0.12, 0.06), "eye_offset": (0.40, 0.55), "eye_width": (0.18, 0.31),
    "eye_height": (0.45, 0.95), "eye_tilt": (-0.28, 0.28), "iris": (0.45, 0.60),
    "brow_rise": (0.20, 0.30), "brow_width": (0.17, 0.27), "brow_thickness": (0.02, 0.085),
    "brow_angle": (-0.40, 0.40), "brow_arch": (0.00, 0.10), "lash": (0.03, 0.06),
    "nose_level": (0.20, 0.42), "nose_width": (0.08, 0.20),
    "mouth_level": (0.38, 0.56), "mouth_width": (0.18, 0.36),
    "lip_upper": (0.02, 0.08), "lip_lower": (0.03, 0.11), "beard_length": (0.02, 0.35),
    "hairline": (-0.70, -0.42), "hair_volume": (0.08, 0.46), "hair_length": (-0.35, 1.35),
    "hair_part": (-0.75, 0.75), "hair_pitch": (5.0, 11.0), "sideburn": (-0.25, 0.25),
    "mole_u": (-0.6, 0.6), "mole_v": (0.1, 0.5),
}
_STYLES: Mapping[str, tuple[str, ...]] = {
    "crown": ("smooth", "smooth", "curly", "curly", "spiky", "tall", "flat", "bald"),
    "fringe": ("arc", "bangs", "parted", "peak", "jagged", "receding"),
    "extra": ("none", "none", "none", "bun", "tails"),
    "nose": ("round", "wide", "hooked", "button"),
    "beard": ("full", "goatee", "curtain"),
    "marks": ("none", "none", "mole", "mole", "freckles"),
}
_PALETTES: Mapping[str, tuple[tuple[int, int, int], ...]] = {
    "skin": ((255, 224, 200), (243, 198, 160), (224, 172, 128), (190, 132, 92), (142, 94, 66)),
    "hair": ((28, 24, 26), (62, 42, 30), (104, 68, 42), (178, 92, 44), (212, 172, 104),
             (176, 176, 180)),
    "iris": ((70, 45, 28), (106, 76, 40), (84, 124, 70), (70, 118, 168), (110, 122, 130)),
}

# What changes from picture to picture. The angle is in radians, shifts and the height (skull to
# chin) in parts of the image, frame widths in eye widths, the rest in face units or as shares.
_VARIATIONS: Mapping[str, tuple[float, float]] = {
    "angle": (-0.35, 0.35), "yaw": (-0.18, 0.18), "pitch": (-0.11, 0.11),
    "height": (0.58, 0.70), "shift_x": (-0.04, 0.04), "shift_y": (-0.01, 0.06),
    "smiling": (0.6, 1.0), "serious": (-0.25, 0.10), "gap": (0.09, 0.18), "stubble": (0.0, 70.0),
    "gaze_x": (-0.3, 0.3), "gaze_y": (-0.15, 0.15), "lids": (0.0, 1.0), "brow_raise": (-0.03, 0.06),
    "frame_width": (1.25, 1.70), "frame_squareness": (0.4, 1.0), "frame_thickness": (0.03, 0.06),
    "lens_alpha": (15.0, 80.0), "hat_height": (0.25, 0.55), "hat": (0.0, 1.0),
    "sunny_side": (-1.0, 1.0),
}
# fmt: on
_CHANCES = {"Eyeglasses": 0.25, "Mouth_Slightly_Open": 0.35, "Smiling": 0.5, "Wearing_Hat": 0.12}
_HATS = ("beanie", "cap", "brimmed")


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
    person = _person(seed, identity)
    shot = _shot(seed, variant, person, attributes or {})
    values = shot.values
    centre = size * (0.5 + 0.5j + values["shift_x"] + 1j * values["shift_y"])
    camera = _camera(person, shot, centre, size * values["height"] / 2)
    rng = np.random.default_rng([_PHOTO, seed, identity, variant])
    canvas = _backdrop(rng, size, size, clutter=3)
    _paint(canvas, camera, _parts(person, shot))
    return DrawnFace(
        image=_develop(canvas, rng),
        box=_box(camera, person),
        landmarks=_landmarks(camera, person, shot),
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
    people = [_person(seed, int(identity)) for identity in identities]
    shots = [_shot(seed, int(rng.integers(1000)), person, {}) for person in people]
    cameras = _places(people, shots, (width, height), face_size, rng)
    labels = tuple(
        SceneFace(
            _box(camera, person), _landmarks(camera, person, shot), shot.attributes, person.identity
        )
        for person, shot, camera in zip(people, shots, cameras, strict=True)
    )
    canvas = _backdrop(rng, width, height, clutter=14)
    # Shoulders reach down and to the sides only: painted from the highest chin to the lowest,
    # they never cover another face.
    for i in sorted(range(faces), key=lambda i: labels[i].box[1] + labels[i].box[3]):
        _paint(canvas, cameras[i], _parts(people[i], shots[i]))
    return DrawnScene(_develop(canvas, rng), labels)


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


@dataclasses.dataclass(frozen=True)
class _Person:
    """What stays the same in all pictures of a person; colours are `(3,)`, 0 to 255."""

    identity: int
    shape: dict[str, float]  # values of `_FEATURES`
    style: dict[str, str]  # one of each of `_STYLES`
    colour: dict[str, np.ndarray]  # one of each of `_PALETTES`
    outline: np.ndarray  # of the head, complex (n,)
    freckles: np.ndarray  # complex (n,)
    beard_tendency: float  # share of the pictures with a beard


@dataclasses.dataclass(frozen=True)
class _Shot:
    """What belongs to one picture of a person; colours are `(3,)`, 0 to 255."""

    values: dict[str, float]  # values of `_VARIATIONS`
    attributes: dict[str, bool]
    cloth: np.ndarray
    frame: np.ndarray
    felt: np.ndarray


def _within(ranges: Mapping[str, tuple[float, float]], share: np.ndarray) -> dict[str, float]:
    """A number of each range, at the given share (0 to 1) of the way through it."""
    bounds = zip(ranges.items(), share.tolist(), strict=True)
    return {name: low + (high - low) * part for (name, (low, high)), part in bounds}


def _person(seed: int, identity: int) -> _Person:
    rng = np.random.default_rng([_PERSON, seed, identity])
    # Most values lie near the ends of their range: faces that differ, differ visibly.
    shape = _within(_FEATURES, 0.5 - 0.5 * np.cos(np.pi * rng.random(len(_FEATURES))))
    style = {name: options[rng.integers(len(options))] for name, options in _STYLES.items()}
    colour = {}
    for name, palette in _PALETTES.items():
        place = rng.random() * (len(palette) - 1)
        low, high = np.array(palette[int(place) : int(place) + 2])
        colour[name] = low + (place % 1) * (high - low) + rng.normal(0, 6, 3)
    if abs(colour["hair"].mean() - colour["skin"].mean()) < 60:
        colour["hair"] *= 0.5
    tendency = (0.03, 0.03, 0.3, 0.9)[rng.integers(4)]
    return _Person(
        identity=identity,
        shape=shape,
        style=style,
        colour=colour,
        outline=_outline(shape),
        freckles=shape["cheek"] * rng.uniform(-0.75, 0.75, 22) + 1j * rng.normal(0.12, 0.08, 22),
        beard_tendency=0.02 if style["extra"] == "tails" else tendency,
    )


def _shot(seed: int, variant: int, person: _Person, attributes: Mapping[str, bool]) -> _Shot:
    rng = np.random.default_rng([_SHOT, seed, person.identity, variant])
    chances = {"Beard": person.beard_tendency, **_CHANCES}
    drawn = {name: bool(rng.random() < chances[name]) for name in ATTRIBUTES}
    forced = {name: bool(value) for name, value in attributes.items()}
    values = _within(_VARIATIONS, rng.random(len(_VARIATIONS)))
    return _Shot(values, drawn | forced, *rng.uniform(30, 240, (3, 3)))


@dataclasses.dataclass(frozen=True)
class _Camera:
    """Maps face units to pixels."""

    centre: complex
    spin: complex  # pixels per face unit, turned by the angle in the image plane
    look: complex  # yaw and pitch: how far the middle of the face moves, in face units
    cheek: float  # half width of the face, where turning the head moves nothing


def _camera(person: _Person, shot: _Shot, centre: complex = 0j, scale: float = 1.0) -> _Camera:
    values = shot.values
    spin = scale * complex(np.exp(1j * values["angle"]))
    return _Camera(centre, spin, values["yaw"] + 1j * values["pitch"], person.shape["cheek"])


def _pixels(camera: _Camera, points: np.ndarray, lift: np.ndarray | float = 0.0) -> np.ndarray:
    """Map complex points in face units to complex pixels; `lift` is their height over the face."""
    across = np.maximum(1 - (points.real / camera.cheek) ** 2, 0)
    bulge = across * np.maximum(1 - points.imag**2, 0) + lift
    pixels: np.ndarray = camera.centre + camera.spin * (points + camera.look * bulge)
    return pixels


def _box(camera: _Camera, person: _Person) -> tuple[float, float, float, float]:
    outline = person.outline
    face = _pixels(camera, outline.real + 1j * np.maximum(outline.imag, person.shape["hairline"]))
    left, top = float(face.real.min()), float(face.imag.min())
    return left, top, float(face.real.max()) - left, float(face.imag.max()) - top


def _landmarks(camera: _Camera, person: _Person, shot: _Shot) -> np.ndarray:
    eyes = [_eye(person, side) for side in (-1, 1)]
    nose = 1j * person.shape["nose_level"]
    mouth = _lips(person, shot)[[0, -1]]
    lift = np.array([0, 0, _NOSE_LIFT, 0, 0])
    points = _pixels(camera, np.array([*eyes, nose, *mouth]), lift)
    return np.stack([points.real, points.imag], axis=1).astype(np.float32)


def _places(
    people: Sequence[_Person],
    shots: Sequence[_Shot],
    canvas: tuple[int, int],
    face_size: tuple[int, int],
    rng: np.random.Generator,
) -> list[_Camera]:
    """Cameras that put the faces beside each other; every new try makes them smaller."""
    pairs = zip(people, shots, strict=True)
    boxes = np.array([_box(_camera(*pair), pair[0]) for pair in pairs]).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    # Hair and hats need room around the box, or they would cover the neighbour.
    roomy = boxes + np.array([-0.5, -0.9, 0.5, 0.2])
    for largest in np.linspace(face_size[1], face_size[0], 12):
        scales = rng.uniform(face_size[0], largest, len(people)) / (boxes[:, 3] - boxes[:, 1])
        placed: dict[int, _Camera] = {}
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
            placed[i] = _camera(people[i], shots[i], centre, float(scales[i]))
        if len(placed) == len(people):
            return [placed[i] for i in range(len(people))]
    raise ValueError(
        "The image must have room for all faces. Received: "
        f"faces={len(people)}, face_size={face_size}, width={canvas[0]}, height={canvas[1]}. "
        "Lower `faces` or `face_size`, or enlarge the image."
    )


def _backdrop(rng: np.random.Generator, width: int, height: int, clutter: int) -> Image.Image:
    """An oversampled canvas with a blurred background and `clutter` crisp things before it."""
    rows, columns = rng.integers(2, 5, 2)
    cells = rng.uniform(30, 240, (rows, columns, 3)).astype(np.uint8)
    canvas = Image.fromarray(cells).resize((width, height), Image.Resampling.BILINEAR)
    wide, high = width * _OVERSAMPLE, height * _OVERSAMPLE
    canvas = canvas.resize((wide, high), Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(canvas)
    for _ in range(clutter):
        x, y = rng.random(2) * (wide, high)
        w, h = rng.uniform(0.03, 0.25, 2) * high
        bounds = (x - w, y - h, x + w, y + h)
        colour = tuple(rng.integers(30, 240, 3).tolist())
        kind = rng.integers(3)
        if kind == 0:
            draw.ellipse(bounds, fill=colour)
        elif kind == 1:
            draw.rectangle(bounds, fill=colour)
        else:
            draw.line(bounds, fill=colour, width=int(1 + h / 4))
    return canvas


def _develop(canvas: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Shrink the canvas and see it in a random light through an imperfect camera."""
    # Just strong enough that a colour histogram hardly tells who it is.
    warmth = rng.normal(0.0, 0.07) * np.array([1.0, 0.0, -1.0])
    gain = np.exp(warmth + rng.normal(0.0, 0.06, 3) + rng.uniform(-0.22, 0.14))
    saturation, contrast = rng.uniform(0.65, 1.2), rng.uniform(0.82, 1.1)
    gamma = np.exp(rng.uniform(-0.18, 0.18))
    blur, noise = rng.uniform(0.0, 0.6), rng.uniform(1.0, 4.0)
    slope = rng.uniform(0.0, 0.25) * np.exp(2j * np.pi * rng.random())
    small = canvas.reduce(_OVERSAMPLE).filter(ImageFilter.BoxBlur(blur))
    mix = (saturation * np.eye(3) + (1 - saturation) / 3) * gain[:, None]
    small = small.convert("RGB", np.insert(mix, 3, 0.0, axis=1).ravel().tolist())
    tones = 0.5 + contrast * (np.linspace(0, 1, 256) ** gamma - 0.5)
    tones = np.clip(255 * tones, 0, 255).astype(np.float32)
    x = np.linspace(-slope.real, slope.real, small.width, dtype=np.float32)
    y = np.linspace(-slope.imag, slope.imag, small.height, dtype=np.float32)
    image: np.ndarray = tones[np.asarray(small)] * (1 + x + y[:, None])[..., None]
    image += np.float32(noise) * rng.standard_normal(image.shape, np.float32)
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


class _Part(NamedTuple):
    """An area, or with a width a line, to be painted."""

    points: np.ndarray  # complex (n,), face units
    colour: np.ndarray | Sequence[float]  # 0 to 255
    alpha: float = 255.0
    lift: float = 0.0  # over the face, in face units
    width: float = 0.0  # of the line, in face units


def _paint(canvas: Image.Image, camera: _Camera, parts: Sequence[_Part]) -> None:
    # All parts are mapped at once: the calls would cost more than the arithmetic.
    sizes = [len(part.points) for part in parts]
    lift = np.repeat([part.lift for part in parts], sizes)
    pixels = _OVERSAMPLE * _pixels(camera, np.concatenate([part.points for part in parts]), lift)
    corners = np.stack([pixels.real, pixels.imag], axis=1)
    colours = np.array([[*part.colour, part.alpha] for part in parts]).clip(0, 255).astype(int)
    opaque, blending = ImageDraw.Draw(canvas), ImageDraw.Draw(canvas, "RGBA")
    stop = 0
    for part, size, colour in zip(parts, sizes, colours.tolist(), strict=True):
        start, stop = stop, stop + size
        path = corners[start:stop].ravel().tolist()
        draw = opaque if part.alpha == 255 else blending
        if part.width:
            thick = max(1, round(part.width * abs(camera.spin) * _OVERSAMPLE))
            draw.line(path, fill=tuple(colour), width=thick, joint="curve")
        else:
            draw.polygon(path, fill=tuple(colour))


def _parts(person: _Person, shot: _Shot) -> list[_Part]:
    """The whole drawing, from back to front."""
    worn = shot.attributes
    crown = _crown(person, shot)
    return [
        *_back_hair(person, shot, crown),
        *_body(person, shot),
        *_head(person, shot),
        *_beard(person, shot),
        *_nose(person),
        *_mouth(person, shot),
        *(part for side in (-1, 1) for part in _eye_parts(person, shot, side)),
        *_front_hair(person, crown),
        *(_eyeglasses(person, shot) if worn["Eyeglasses"] else ()),
        *(_hat(person, shot) if worn["Wearing_Hat"] else ()),
    ]


def _band(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """The area between two curves that run in the same direction."""
    return np.concatenate([upper, lower[::-1]])


def _ellipse(centre: complex, width: float, height: float) -> np.ndarray:
    ring: np.ndarray = centre + width * _CIRCLE.real + 1j * height * _CIRCLE.imag
    return ring


def _mirrored(points: np.ndarray, side: int) -> np.ndarray:
    return points if side > 0 else -points.conj()


def _outline(shape: Mapping[str, float]) -> np.ndarray:
    """The head as a closed Catmull-Rom curve, from the top over the image-right side."""
    half = shape["cheek"] * np.array([0.58, shape["temple"], 1.0, shape["jaw"], shape["chin"]])
    right = half + 1j * np.array([-0.9, -0.5, 0.0, 0.5, 0.88])
    here = np.concatenate([[-1j], right, [1j], -right[::-1].conj()])[:, None]
    before, after, last = (np.roll(here, n) for n in (1, -1, -2))
    t = np.linspace(0, 1, 6, endpoint=False)
    bend = 2 * before - 5 * here + 4 * after - last + t * (3 * (here - after) + last - before)
    return np.ravel(here + 0.5 * t * (after - before + t * bend))


def _body(person: _Person, shot: _Shot) -> list[_Part]:
    shoulder, neck = person.shape["shoulder"], person.shape["cheek"] * person.shape["neck"]
    top = shoulder * _X + 1j * (1.25 + 0.55 * abs(_X) ** 2.5)
    throat = np.array([0.2j - neck, 0.2j + neck, 1.3j + 1.1 * neck, 1.3j - 1.1 * neck])
    return [
        _Part(_band(top, 1.2 * shoulder * _X + 5j), shot.cloth),
        _Part(throat, person.colour["skin"] * 0.8),
        _Part(_ellipse(1.3j, 1.1 * neck, 0.14), person.colour["skin"] * 0.8),
    ]


def _head(person: _Person, shot: _Shot) -> list[_Part]:
    shape, skin, outline = person.shape, person.colour["skin"], person.outline
    cheek, ear, sunny = shape["cheek"], shape["ear"], shot.values["sunny_side"]
    parts = []
    for side in (-1, 1):
        centre = side * (cheek + 0.25 * ear) + 0.08j
        parts.append(_Part(_ellipse(centre, 0.62 * ear, ear), skin * 0.92))
        inner = _ellipse(centre + 0.1 * side * ear, 0.3 * ear, 0.6 * ear)
        parts.append(_Part(inner, skin * 0.72))
    parts.append(_Part(outline, skin))
    shaded = outline[outline.real * sunny <= 0]
    shaded = shaded[np.argsort(shaded.imag)]
    crescent = _band(shaded, 0.72 * shaded.real + 1j * shaded.imag)
    parts.append(_Part(crescent, (0, 0, 0), 20 + 25 * abs(sunny)))
    if person.style["marks"] == "freckles":
        dots = (_ellipse(dot, 0.025, 0.025) for dot in person.freckles)
        parts += [_Part(dot, skin * 0.62) for dot in dots]
    if person.style["marks"] == "mole":
        mole = shape["mole_u"] * cheek + 1j * shape["mole_v"]
        parts.append(_Part(_ellipse(mole, 0.05, 0.05), (48, 30, 26)))
    return parts


def _beard(person: _Person, shot: _Shot) -> list[_Part]:
    shape, grown = person.shape, shot.attributes["Beard"]
    # Stubble shows only on those who sometimes have a beard.
    alpha = 245.0 if grown else shot.values["stubble"]
    if not grown and person.beard_tendency < 0.1:
        return []
    lip = shape["nose_level"] + 0.1
    length = shape["beard_length"] * grown
    jaw = person.outline[person.outline.imag >= 0.05]
    jaw = jaw[np.argsort(jaw.real)]
    x = abs(jaw.real) / shape["cheek"]
    if person.style["beard"] == "goatee":
        middle, half = 0.5 * (1 + length + lip), 0.5 * (1 + length - lip)
        area = _ellipse(1j * middle, shape["mouth_width"] + 0.09, half)
    else:
        upper = lip if person.style["beard"] == "full" else 0.5 * _mouth_level(person) + 0.45
        edge = jaw.real + 1j * (0.05 + (upper - 0.05) * (1 - x**3))
        area = _band(edge, jaw * (1 + 0.02 * grown) + 1j * length * (1 - x**2) ** 2)
    return [_Part(area, person.colour["hair"] * 0.9, alpha)]


def _nose(person: _Person) -> list[_Part]:
    shape, kind, skin = person.shape, person.style["nose"], person.colour["skin"]
    tip, half, dark = 1j * shape["nose_level"], shape["nose_width"], skin * 0.66
    parts = []
    if kind != "button":
        left, right = {"round": (0.4, 0.4), "wide": (1.25, 1.25), "hooked": (1.0, 0.3)}[kind]
        top = 1j * (shape["eye_level"] + 0.02)
        sides = [top - 0.04, tip - left * half, tip + 0.06j, tip + right * half, top + 0.04]
        area = np.array(sides)
        parts.append(_Part(area, skin * 0.86, lift=_NOSE_LIFT))
        if kind == "round":
            area = _ellipse(tip - 0.02j, half, 0.85 * half)
            parts.append(_Part(area, skin * 0.86, lift=_NOSE_LIFT))
        line = {"round": area[:11], "wide": area[1:4], "hooked": area[:3]}[kind]
        parts.append(_Part(line, dark, lift=_NOSE_LIFT, width=0.035))
    for side in (-0.5, 0.5):
        nostril = _ellipse(tip + side * half + 0.02j, 0.32 * half, 0.03)
        parts.append(_Part(nostril, dark, lift=_NOSE_LIFT))
    return parts


def _mouth_level(person: _Person) -> float:
    nose = person.shape["nose_level"]
    return nose + (1 - nose) * person.shape["mouth_level"]


def _lips(person: _Person, shot: _Shot) -> np.ndarray:
    """The line where the lips meet, from the image-left to the image-right corner."""
    smile = shot.values["smiling" if shot.attributes["Smiling"] else "serious"]
    half = person.shape["mouth_width"] * (1 + 0.22 * smile)
    return half * _X + 1j * (_mouth_level(person) + smile * (0.05 - 0.16 * _X**2))


def _mouth(person: _Person, shot: _Shot) -> list[_Part]:
    shape, skin, line = person.shape, person.colour["skin"], _lips(person, shot)
    full = 1j * (1 - _X**2)
    red = 0.62 * skin + 0.38 * np.array([176, 46, 62])
    gap = shot.values["gap"] * shot.attributes["Mouth_Slightly_Open"]
    bow = shape["lip_upper"] * full * (1 - 0.35 * np.exp(-((_X / 0.25) ** 2)))
    below = line + gap * full
    parts = [
        _Part(_band(line, below), (70, 20, 26)),
        _Part(_band(line, line + gap * np.minimum(full.imag, 0.5) * 1j), (244, 242, 234)),
        _Part(_band(line - bow, line), red * 0.9),
        _Part(_band(below, below + shape["lip_lower"] * full), red),
    ]
    if not gap:
        parts.append(_Part(line, skin * 0.42, width=0.035))
    if shot.attributes["Smiling"]:
        for corner, side in ((line[0], -1), (line[-1], 1)):
            dimple = corner + _mirrored(np.array([0.03 - 0.06j, 0.07 + 0j, 0.05 + 0.05j]), side)
            parts.append(_Part(dimple, skin * 0.62, width=0.03))
    return parts


def _eye(person: _Person, side: int) -> complex:
    """The centre of an eye; `side` is -1 for the one on the left of the image, else 1."""
    shape = person.shape
    return side * shape["eye_offset"] * shape["cheek"] + 1j * shape["eye_level"]


def _eye_parts(person: _Person, shot: _Shot, side: int) -> list[_Part]:
    shape, values, centre = person.shape, shot.values, _eye(person, side)
    half = shape["eye_width"] * shape["cheek"]
    tall = half * shape["eye_height"] * (0.12 if values["lids"] < 0.05 else 1.0)
    slant = np.exp(-1j * shape["eye_tilt"])
    upper = half * _X - 1j * tall * (1 - _X**2) ** 0.7
    lower = half * _X + 0.75j * tall * (1 - _X**2)

    def placed(points: np.ndarray) -> np.ndarray:
        return centre + _mirrored(points * slant, side)

    parts = [_Part(placed(_band(upper, lower)), (246, 246, 242))]
    gaze = 0.6 * half * side * values["gaze_x"] + 1j * tall * (values["gaze_y"] - 0.1)
    for scale, colour in ((1.0, person.colour["iris"]), (0.5, np.array([14, 12, 14]))):
        disc = _ellipse(gaze, half * shape["iris"] * scale, half * shape["iris"] * scale)
        lids = (np.interp(disc.real, half * _X, lid.imag) for lid in (upper, lower))
        parts.append(_Part(placed(disc.real + 1j * np.clip(disc.imag, *lids)), colour))
    parts.append(_Part(placed(upper), (36, 24, 24), width=shape["lash"]))
    parts.append(_Part(placed(lower), person.colour["skin"] * 0.6, width=0.02))
    rise = shape["brow_rise"] + values["brow_raise"]
    length = shape["brow_width"]
    spine = length * (_X - 1j * np.tan(shape["brow_angle"]) * _X)
    spine = spine - 1j * (rise + shape["brow_arch"] * (1 - _X**2))
    thick = 1j * shape["brow_thickness"] * (1 - 0.55 * np.maximum(_X, 0))
    brow = centre + _mirrored(_band(spine - thick, spine + thick), side)
    parts.append(_Part(brow, person.colour["hair"] * 0.7))
    return parts


def _crown(person: _Person, shot: _Shot) -> np.ndarray:
    """The outer edge of the hair, from the image-left ear over the head to the other one."""
    shape, kind, t = person.shape, person.style["crown"], _ARCH
    wave = shape["hair_pitch"] * t
    profiles: dict[str, np.ndarray] = {
        "smooth": 1.0 - 0.4 * abs(t),
        "curly": 0.9 + 0.3 * abs(np.cos(np.pi * wave)),
        "spiky": (0.4 + 1.3 * abs(1 - wave % 2)) * (1 - 0.5 * abs(t)),
        "tall": 0.35 + 1.6 * np.maximum(1 - abs(t + 0.25 * np.sign(shape["hair_part"])), 0),
        "flat": 0.3 + 0 * t,
        "bald": 0 * t,
    }
    radius = 1 + shape["hair_volume"] * profiles[kind]
    sin, cos = np.sin(t * np.pi / 2), np.cos(t * np.pi / 2)
    across = np.sign(sin) * abs(sin) ** (0.45 if kind == "flat" else 1.0)
    u = shape["cheek"] * (0.12 + 0.9 * radius) * across
    v = -0.15 - (0.88 * radius + 0.3 * shape["hair_volume"] * (kind == "flat")) * cos
    if shot.attributes["Wearing_Hat"]:
        v = np.maximum(v, shape["hairline"] - 0.1)
    crown: np.ndarray = u + 1j * v
    return crown


def _back_hair(person: _Person, shot: _Shot, crown: np.ndarray) -> list[_Part]:
    if person.style["crown"] == "bald":
        return []
    shape, dark = person.shape, person.colour["hair"] * 0.72
    edge, parts = crown[-1], []
    if person.style["extra"] == "bun" and not shot.attributes["Wearing_Hat"]:
        parts.append(_Part(_ellipse(1j * (crown.imag.min() - 0.12), 0.3, 0.28), dark))
    if person.style["extra"] == "tails":
        tail = _ellipse(edge.real + 0.2 + 0.25j, 0.24, 0.5)
        parts += [_Part(_mirrored(tail, side), dark) for side in (-1, 1)]
    length = shape["hair_length"]
    if length > 0:
        y = np.linspace(0, 1, 16)
        wave = 0.07 * np.sin(y * 20) * (person.style["crown"] == "curly") + 0.15 * y
        right = (edge.real + wave) * (1 - y**8) + 1j * (edge.imag + (length - edge.imag) * y)
        crown = np.concatenate([crown, right, -right[::-1].conj()])
    return [*parts, _Part(crown, dark)]


def _fringe(person: _Person, x: np.ndarray) -> np.ndarray:
    """Level of the lower edge of the front hair at `x`, -1 to 1 between the temples."""
    shape = person.shape
    top, part = shape["hairline"], shape["hair_part"]
    brows = shape["eye_level"] - shape["brow_rise"] - 0.1
    swept = np.clip((part - x) * np.sign(part) / (1 + abs(part)), 0, 1)
    edges: dict[str, np.ndarray] = {
        "arc": top + 0.25 * x**4,
        "bangs": max(top, brows) + 0 * x,
        "parted": top - 0.1 + 0.5 * swept**0.8,
        "peak": top - 0.12 + 0.3 * np.exp(-((x / 0.22) ** 2)) + 0.3 * x**6,
        "jagged": top + 0.3 * abs((x * 2.5) % 1 - 0.5) + 0.1 * abs(x),
        "receding": top - 0.3 + 0.5 * abs(x) ** 3,
    }
    return edges[person.style["fringe"]]


def _front_hair(person: _Person, crown: np.ndarray) -> list[_Part]:
    if person.style["crown"] == "bald":
        return []
    shape = person.shape
    side, end = 0.96 * shape["cheek"], 1j * shape["sideburn"]
    x = np.linspace(1, -1, 31)
    edge = side * x + 1j * np.maximum(_fringe(person, x), -0.97)
    right, left = [crown[-1].real + end, side + end], [-side + end, crown[0].real + end]
    parts = [_Part(np.concatenate([crown, right, edge, left]), person.colour["hair"])]
    for scale in (0.84, 0.92):
        strand = scale * (crown[10:-10] + 0.15j) - 0.15j
        parts.append(_Part(strand, person.colour["hair"] * 1.12 + 10, width=0.04))
    return parts


def _eyeglasses(person: _Person, shot: _Shot) -> list[_Part]:
    shape, values, frame = person.shape, shot.values, 0.5 * shot.frame
    thin, right = values["frame_thickness"], _eye(person, 1)
    half = min(shape["eye_width"] * shape["cheek"] * values["frame_width"], right.real - 0.04)
    tall = half * (0.7 + 0.3 * values["frame_squareness"])
    corner = values["frame_squareness"]
    u, v = (np.sign(w) * abs(w) ** corner for w in (_CIRCLE.real, _CIRCLE.imag))
    lens = right + 0.02j + half * u + 1j * tall * v
    arm = np.array([right + half, shape["cheek"] + 1j * (right.imag - 0.04)])
    parts = []
    for side in (-1, 1):
        glass = _mirrored(lens, side)
        parts.append(_Part(glass, (215, 230, 240), values["lens_alpha"], lift=0.1))
        parts.append(_Part(glass, frame, lift=0.1, width=thin))
        parts.append(_Part(_mirrored(arm, side), frame, lift=0.1, width=thin))
    bridge = np.array([half - right.conjugate(), right.imag * 1j - 0.05j, right - half])
    return [*parts, _Part(bridge, frame, lift=0.1, width=thin)]


def _hat(person: _Person, shot: _Shot) -> list[_Part]:
    shape, felt = person.shape, shot.felt
    kind = _HATS[int(shot.values["hat"] * len(_HATS))]
    width = shape["cheek"] * 1.12 + 0.03
    # Never so low that it would hide the eyes.
    brim = 1j * min(shape["hairline"] + 0.1, shape["eye_level"] - 0.36)
    top = -1j * (1 + shot.values["hat_height"])
    arch = 1 - _X**2
    dome = width * _X + brim + (top - brim) * arch ** (0.22 if kind == "brimmed" else 0.5)
    base = width * _X + brim - 0.08j * arch
    parts = [_Part(_band(dome, base), felt)]
    if kind == "beanie":
        cuff = _band(base - 0.12j, base + 0.1j)
        parts.append(_Part(1.04 * cuff.real + 1j * cuff.imag, felt * 0.7))
        parts.append(_Part(_ellipse(top - 0.08j, 0.15, 0.15), felt * 0.7))
    elif kind == "cap":
        u = width * (0.95 * _X + 0.25 * np.sign(shot.values["sunny_side"])) + brim
        parts.append(_Part(_band(u - 0.14j, u + 0.14j - 0.2j * _X**2), felt * 0.7))
    else:
        parts.append(_Part(_ellipse(brim - 0.02j, width * 1.45, 0.13), felt * 0.7))
        parts.append(_Part(_band(base - 0.22j, base - 0.1j), felt * 0.45))
    return parts
