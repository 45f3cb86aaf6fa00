"""Drawn people: stable features, variations from picture to picture, and geometry."""

import dataclasses
from collections.abc import Mapping

import numpy as np

ATTRIBUTES = ("Beard", "Eyeglasses", "Mouth_Slightly_Open", "Smiling", "Wearing_Hat")

# The first key of every random stream, so that no two purposes share numbers; the others are in
# `face`, `scene` and `folder`.
_PERSON, _SHOT = 11, 12

# Shapes are arrays of complex numbers u + vi in face units: the head reaches from v = -1 (skull)
# to v = +1 (chin), and u points to the right of the image.
ACROSS = np.linspace(-1, 1, 21)
NOSE_LIFT = 0.3  # height of the nose tip over the face, in face units

# fmt: off
# Stable features of a person. Lengths are in face units, widths of the outline below the cheeks and
# places across the face in half widths of the face, eye heights and irises in eye widths, angles
# in radians, the mouth's level in parts of the way from the nose tip to the chin, and the pitch
# of the hair in bumps from ear to ear.
FEATURES: Mapping[str, tuple[float, float]] = {
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

# Variations from picture to picture. The angle is in radians, shifts and the height (skull to
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


@dataclasses.dataclass(frozen=True)
class Person:
    """The features of a person in all pictures; colors are `(3,)`, 0 to 255."""

    identity: int
    shape: dict[str, float]  # values of `FEATURES`
    style: dict[str, str]  # one of each of `_STYLES`
    color: dict[str, np.ndarray]  # one of each of `_PALETTES`
    outline: np.ndarray  # of the head, complex (n,)
    freckles: np.ndarray  # complex (n,)
    beard_tendency: float  # share of the pictures with a beard


@dataclasses.dataclass(frozen=True)
class Shot:
    """The variations of one picture of a person; colors are `(3,)`, 0 to 255."""

    values: dict[str, float]  # values of `_VARIATIONS`
    attributes: dict[str, bool]
    cloth: np.ndarray
    frame: np.ndarray
    felt: np.ndarray


@dataclasses.dataclass(frozen=True)
class Camera:
    """Maps face units to pixels."""

    center: complex
    spin: complex  # pixels per face unit, turned by the angle in the image plane
    look: complex  # yaw and pitch: shift of the middle of the face, in face units
    cheek: float  # half width of the face, where turning the head moves nothing


def make_person(seed: int, identity: int) -> Person:
    """Makes a person of a population; the same arguments give the same person."""
    rng = np.random.default_rng([_PERSON, seed, identity])
    # Most values are near the ends of their range, which makes differences visible.
    shape = _within(FEATURES, 0.5 - 0.5 * np.cos(np.pi * rng.random(len(FEATURES))))
    style = {name: options[rng.integers(len(options))] for name, options in _STYLES.items()}
    color = {}
    for name, palette in _PALETTES.items():
        place = rng.random() * (len(palette) - 1)
        low, high = np.array(palette[int(place) : int(place) + 2])
        color[name] = low + (place % 1) * (high - low) + rng.normal(0, 6, 3)
    if abs(color["hair"].mean() - color["skin"].mean()) < 60:
        color["hair"] *= 0.5
    tendency = (0.03, 0.03, 0.3, 0.9)[rng.integers(4)]
    return Person(
        identity=identity,
        shape=shape,
        style=style,
        color=color,
        outline=_outline(shape),
        freckles=shape["cheek"] * rng.uniform(-0.75, 0.75, 22) + 1j * rng.normal(0.12, 0.08, 22),
        beard_tendency=0.02 if style["extra"] == "tails" else tendency,
    )


def make_shot(seed: int, variant: int, person: Person, attributes: Mapping[str, bool]) -> Shot:
    """Makes the variations of one picture; forced attributes change nothing else."""
    rng = np.random.default_rng([_SHOT, seed, person.identity, variant])
    chances = {"Beard": person.beard_tendency, **_CHANCES}
    drawn = {name: bool(rng.random() < chances[name]) for name in ATTRIBUTES}
    forced = {name: bool(value) for name, value in attributes.items()}
    values = _within(_VARIATIONS, rng.random(len(_VARIATIONS)))
    return Shot(values, drawn | forced, *rng.uniform(30, 240, (3, 3)))


def aim(person: Person, shot: Shot, center: complex = 0j, scale: float = 1.0) -> Camera:
    """Makes a camera that shows a person at `center`, with `scale` pixels per face unit."""
    values = shot.values
    spin = scale * complex(np.exp(1j * values["angle"]))
    return Camera(center, spin, values["yaw"] + 1j * values["pitch"], person.shape["cheek"])


def to_pixels(camera: Camera, points: np.ndarray, lift: np.ndarray | float = 0.0) -> np.ndarray:
    """Maps complex points in face units to complex pixels; `lift` is their height over the face."""
    across = np.maximum(1 - (points.real / camera.cheek) ** 2, 0)
    bulge = across * np.maximum(1 - points.imag**2, 0) + lift
    pixels: np.ndarray = camera.center + camera.spin * (points + camera.look * bulge)
    return pixels


def face_box(camera: Camera, person: Person) -> tuple[float, float, float, float]:
    """`(left, top, width, height)` in pixels: hair line to chin, cheek to cheek."""
    outline = person.outline
    face = to_pixels(camera, outline.real + 1j * np.maximum(outline.imag, person.shape["hairline"]))
    left, top = float(face.real.min()), float(face.imag.min())
    return left, top, float(face.real.max()) - left, float(face.imag.max()) - top


def face_landmarks(camera: Camera, person: Person, shot: Shot) -> np.ndarray:
    """float32 `(5, 2)`, x and y in pixels, in the order of `DrawnFace.landmarks`."""
    eyes = [eye_center(person, side) for side in (-1, 1)]
    nose = 1j * person.shape["nose_level"]
    mouth = lips(person, shot)[[0, -1]]
    lift = np.array([0, 0, NOSE_LIFT, 0, 0])
    points = to_pixels(camera, np.array([*eyes, nose, *mouth]), lift)
    return np.stack([points.real, points.imag], axis=1).astype(np.float32)


def eye_center(person: Person, side: int) -> complex:
    """The center of an eye; `side` is -1 for the one on the left of the image, else 1."""
    shape = person.shape
    return side * shape["eye_offset"] * shape["cheek"] + 1j * shape["eye_level"]


def mouth_level(person: Person) -> float:
    """How far down the mouth is, in face units."""
    nose = person.shape["nose_level"]
    return nose + (1 - nose) * person.shape["mouth_level"]


def lips(person: Person, shot: Shot) -> np.ndarray:
    """The line where the lips meet, from the image-left to the image-right corner."""
    smile = shot.values["smiling" if shot.attributes["Smiling"] else "serious"]
    half = person.shape["mouth_width"] * (1 + 0.22 * smile)
    return half * ACROSS + 1j * (mouth_level(person) + smile * (0.05 - 0.16 * ACROSS**2))


def _within(ranges: Mapping[str, tuple[float, float]], share: np.ndarray) -> dict[str, float]:
    """A number of each range, at the given share (0 to 1) of the way through it."""
    bounds = zip(ranges.items(), share.tolist(), strict=True)
    return {name: low + (high - low) * part for (name, (low, high)), part in bounds}


def _outline(shape: Mapping[str, float]) -> np.ndarray:
    """The head as a closed Catmull-Rom curve, from the top over the image-right side."""
    half = shape["cheek"] * np.array([0.58, shape["temple"], 1.0, shape["jaw"], shape["chin"]])
    right = half + 1j * np.array([-0.9, -0.5, 0.0, 0.5, 0.88])
    here = np.concatenate([[-1j], right, [1j], -right[::-1].conj()])[:, None]
    before, after, last = (np.roll(here, n) for n in (1, -1, -2))
    t = np.linspace(0, 1, 6, endpoint=False)
    bend = 2 * before - 5 * here + 4 * after - last + t * (3 * (here - after) + last - before)
    return np.ravel(here + 0.5 * t * (after - before + t * bend))
