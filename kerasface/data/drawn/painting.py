"""Paints a drawn person: backdrop, parts from back to front, light and camera."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from kerasface.data.drawn.people import (
    ACROSS,
    NOSE_LIFT,
    Camera,
    Person,
    Shot,
    eye_center,
    lips,
    mouth_level,
    to_pixels,
)

_OVERSAMPLE = 3
_ARCH = np.linspace(-1, 1, 49)
_CIRCLE = np.exp(1j * np.linspace(0, 2 * np.pi, 20))
_HATS = ("beanie", "cap", "brimmed")


class Part(NamedTuple):
    """An area, or with a width a line, to be painted."""

    points: np.ndarray  # complex (n,), face units
    color: np.ndarray | Sequence[float]  # 0 to 255
    alpha: float = 255.0
    lift: float = 0.0  # over the face, in face units
    width: float = 0.0  # of the line, in face units


def backdrop(rng: np.random.Generator, width: int, height: int, clutter: int) -> Image.Image:
    """Makes an oversampled canvas with a blurred background and `clutter` sharp shapes on it."""
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
        color = tuple(rng.integers(30, 240, 3).tolist())
        kind = rng.integers(3)
        if kind == 0:
            draw.ellipse(bounds, fill=color)
        elif kind == 1:
            draw.rectangle(bounds, fill=color)
        else:
            draw.line(bounds, fill=color, width=int(1 + h / 4))
    return canvas


def develop(canvas: Image.Image, rng: np.random.Generator) -> np.ndarray:
    """Shrinks the canvas and adds random light and the errors of a camera."""
    # Strong enough that a color histogram hardly identifies a person.
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


def paint(canvas: Image.Image, camera: Camera, parts: Sequence[Part]) -> None:
    """Paints parts onto an oversampled canvas, in their order."""
    # All parts are mapped at once, because separate calls would take longer.
    sizes = [len(part.points) for part in parts]
    lift = np.repeat([part.lift for part in parts], sizes)
    pixels = _OVERSAMPLE * to_pixels(camera, np.concatenate([part.points for part in parts]), lift)
    corners = np.stack([pixels.real, pixels.imag], axis=1)
    colors = np.array([[*part.color, part.alpha] for part in parts]).clip(0, 255).astype(int)
    opaque, blending = ImageDraw.Draw(canvas), ImageDraw.Draw(canvas, "RGBA")
    stop = 0
    for part, size, color in zip(parts, sizes, colors.tolist(), strict=True):
        start, stop = stop, stop + size
        path = corners[start:stop].ravel().tolist()
        draw = opaque if part.alpha == 255 else blending
        if part.width:
            thick = max(1, round(part.width * abs(camera.spin) * _OVERSAMPLE))
            draw.line(path, fill=tuple(color), width=thick, joint="curve")
        else:
            draw.polygon(path, fill=tuple(color))


def portrait(person: Person, shot: Shot) -> list[Part]:
    """All parts of a person, from back to front."""
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


def ellipse(center: complex, width: float, height: float) -> np.ndarray:
    """The outline of an upright ellipse, from its half axes."""
    ring: np.ndarray = center + width * _CIRCLE.real + 1j * height * _CIRCLE.imag
    return ring


def _mirrored(points: np.ndarray, side: int) -> np.ndarray:
    return points if side > 0 else -points.conj()


def _body(person: Person, shot: Shot) -> list[Part]:
    shoulder, neck = person.shape["shoulder"], person.shape["cheek"] * person.shape["neck"]
    top = shoulder * ACROSS + 1j * (1.25 + 0.55 * abs(ACROSS) ** 2.5)
    throat = np.array([0.2j - neck, 0.2j + neck, 1.3j + 1.1 * neck, 1.3j - 1.1 * neck])
    return [
        Part(_band(top, 1.2 * shoulder * ACROSS + 5j), shot.cloth),
        Part(throat, person.color["skin"] * 0.8),
        Part(ellipse(1.3j, 1.1 * neck, 0.14), person.color["skin"] * 0.8),
    ]


def _head(person: Person, shot: Shot) -> list[Part]:
    shape, skin, outline = person.shape, person.color["skin"], person.outline
    cheek, ear, sunny = shape["cheek"], shape["ear"], shot.values["sunny_side"]
    parts = []
    for side in (-1, 1):
        center = side * (cheek + 0.25 * ear) + 0.08j
        parts.append(Part(ellipse(center, 0.62 * ear, ear), skin * 0.92))
        inner = ellipse(center + 0.1 * side * ear, 0.3 * ear, 0.6 * ear)
        parts.append(Part(inner, skin * 0.72))
    parts.append(Part(outline, skin))
    shaded = outline[outline.real * sunny <= 0]
    shaded = shaded[np.argsort(shaded.imag)]
    crescent = _band(shaded, 0.72 * shaded.real + 1j * shaded.imag)
    parts.append(Part(crescent, (0, 0, 0), 20 + 25 * abs(sunny)))
    if person.style["marks"] == "freckles":
        dots = (ellipse(dot, 0.025, 0.025) for dot in person.freckles)
        parts += [Part(dot, skin * 0.62) for dot in dots]
    if person.style["marks"] == "mole":
        mole = shape["mole_u"] * cheek + 1j * shape["mole_v"]
        parts.append(Part(ellipse(mole, 0.05, 0.05), (48, 30, 26)))
    return parts


def _beard(person: Person, shot: Shot) -> list[Part]:
    shape, grown = person.shape, shot.attributes["Beard"]
    # Only people who sometimes have a beard have stubble.
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
        area = ellipse(1j * middle, shape["mouth_width"] + 0.09, half)
    else:
        upper = lip if person.style["beard"] == "full" else 0.5 * mouth_level(person) + 0.45
        edge = jaw.real + 1j * (0.05 + (upper - 0.05) * (1 - x**3))
        area = _band(edge, jaw * (1 + 0.02 * grown) + 1j * length * (1 - x**2) ** 2)
    return [Part(area, person.color["hair"] * 0.9, alpha)]


def _nose(person: Person) -> list[Part]:
    shape, kind, skin = person.shape, person.style["nose"], person.color["skin"]
    tip, half, dark = 1j * shape["nose_level"], shape["nose_width"], skin * 0.66
    parts = []
    if kind != "button":
        left, right = {"round": (0.4, 0.4), "wide": (1.25, 1.25), "hooked": (1.0, 0.3)}[kind]
        top = 1j * (shape["eye_level"] + 0.02)
        sides = [top - 0.04, tip - left * half, tip + 0.06j, tip + right * half, top + 0.04]
        area = np.array(sides)
        parts.append(Part(area, skin * 0.86, lift=NOSE_LIFT))
        if kind == "round":
            area = ellipse(tip - 0.02j, half, 0.85 * half)
            parts.append(Part(area, skin * 0.86, lift=NOSE_LIFT))
        line = {"round": area[:11], "wide": area[1:4], "hooked": area[:3]}[kind]
        parts.append(Part(line, dark, lift=NOSE_LIFT, width=0.035))
    for side in (-0.5, 0.5):
        nostril = ellipse(tip + side * half + 0.02j, 0.32 * half, 0.03)
        parts.append(Part(nostril, dark, lift=NOSE_LIFT))
    return parts


def _mouth(person: Person, shot: Shot) -> list[Part]:
    shape, skin, line = person.shape, person.color["skin"], lips(person, shot)
    full = 1j * (1 - ACROSS**2)
    red = 0.62 * skin + 0.38 * np.array([176, 46, 62])
    gap = shot.values["gap"] * shot.attributes["Mouth_Slightly_Open"]
    bow = shape["lip_upper"] * full * (1 - 0.35 * np.exp(-((ACROSS / 0.25) ** 2)))
    below = line + gap * full
    parts = [
        Part(_band(line, below), (70, 20, 26)),
        Part(_band(line, line + gap * np.minimum(full.imag, 0.5) * 1j), (244, 242, 234)),
        Part(_band(line - bow, line), red * 0.9),
        Part(_band(below, below + shape["lip_lower"] * full), red),
    ]
    if not gap:
        parts.append(Part(line, skin * 0.42, width=0.035))
    if shot.attributes["Smiling"]:
        for corner, side in ((line[0], -1), (line[-1], 1)):
            dimple = corner + _mirrored(np.array([0.03 - 0.06j, 0.07 + 0j, 0.05 + 0.05j]), side)
            parts.append(Part(dimple, skin * 0.62, width=0.03))
    return parts


def _eye_parts(person: Person, shot: Shot, side: int) -> list[Part]:
    shape, values, center = person.shape, shot.values, eye_center(person, side)
    half = shape["eye_width"] * shape["cheek"]
    tall = half * shape["eye_height"] * (0.12 if values["lids"] < 0.05 else 1.0)
    slant = np.exp(-1j * shape["eye_tilt"])
    upper = half * ACROSS - 1j * tall * (1 - ACROSS**2) ** 0.7
    lower = half * ACROSS + 0.75j * tall * (1 - ACROSS**2)

    def placed(points: np.ndarray) -> np.ndarray:
        return center + _mirrored(points * slant, side)

    parts = [Part(placed(_band(upper, lower)), (246, 246, 242))]
    gaze = 0.6 * half * side * values["gaze_x"] + 1j * tall * (values["gaze_y"] - 0.1)
    for scale, color in ((1.0, person.color["iris"]), (0.5, np.array([14, 12, 14]))):
        disc = ellipse(gaze, half * shape["iris"] * scale, half * shape["iris"] * scale)
        lids = (np.interp(disc.real, half * ACROSS, lid.imag) for lid in (upper, lower))
        parts.append(Part(placed(disc.real + 1j * np.clip(disc.imag, *lids)), color))
    parts.append(Part(placed(upper), (36, 24, 24), width=shape["lash"]))
    parts.append(Part(placed(lower), person.color["skin"] * 0.6, width=0.02))
    rise = shape["brow_rise"] + values["brow_raise"]
    length = shape["brow_width"]
    spine = length * (ACROSS - 1j * np.tan(shape["brow_angle"]) * ACROSS)
    spine = spine - 1j * (rise + shape["brow_arch"] * (1 - ACROSS**2))
    thick = 1j * shape["brow_thickness"] * (1 - 0.55 * np.maximum(ACROSS, 0))
    brow = center + _mirrored(_band(spine - thick, spine + thick), side)
    parts.append(Part(brow, person.color["hair"] * 0.7))
    return parts


def _crown(person: Person, shot: Shot) -> np.ndarray:
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


def _back_hair(person: Person, shot: Shot, crown: np.ndarray) -> list[Part]:
    if person.style["crown"] == "bald":
        return []
    shape, dark = person.shape, person.color["hair"] * 0.72
    edge, parts = crown[-1], []
    if person.style["extra"] == "bun" and not shot.attributes["Wearing_Hat"]:
        parts.append(Part(ellipse(1j * (crown.imag.min() - 0.12), 0.3, 0.28), dark))
    if person.style["extra"] == "tails":
        tail = ellipse(edge.real + 0.2 + 0.25j, 0.24, 0.5)
        parts += [Part(_mirrored(tail, side), dark) for side in (-1, 1)]
    length = shape["hair_length"]
    if length > 0:
        y = np.linspace(0, 1, 16)
        wave = 0.07 * np.sin(y * 20) * (person.style["crown"] == "curly") + 0.15 * y
        right = (edge.real + wave) * (1 - y**8) + 1j * (edge.imag + (length - edge.imag) * y)
        crown = np.concatenate([crown, right, -right[::-1].conj()])
    return [*parts, Part(crown, dark)]


def _fringe(person: Person, x: np.ndarray) -> np.ndarray:
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


def _front_hair(person: Person, crown: np.ndarray) -> list[Part]:
    if person.style["crown"] == "bald":
        return []
    shape = person.shape
    side, end = 0.96 * shape["cheek"], 1j * shape["sideburn"]
    x = np.linspace(1, -1, 31)
    edge = side * x + 1j * np.maximum(_fringe(person, x), -0.97)
    right, left = [crown[-1].real + end, side + end], [-side + end, crown[0].real + end]
    parts = [Part(np.concatenate([crown, right, edge, left]), person.color["hair"])]
    for scale in (0.84, 0.92):
        strand = scale * (crown[10:-10] + 0.15j) - 0.15j
        parts.append(Part(strand, person.color["hair"] * 1.12 + 10, width=0.04))
    return parts


def _eyeglasses(person: Person, shot: Shot) -> list[Part]:
    shape, values, frame = person.shape, shot.values, 0.5 * shot.frame
    thin, right = values["frame_thickness"], eye_center(person, 1)
    half = min(shape["eye_width"] * shape["cheek"] * values["frame_width"], right.real - 0.04)
    tall = half * (0.7 + 0.3 * values["frame_squareness"])
    corner = values["frame_squareness"]
    u, v = (np.sign(w) * abs(w) ** corner for w in (_CIRCLE.real, _CIRCLE.imag))
    lens = right + 0.02j + half * u + 1j * tall * v
    arm = np.array([right + half, shape["cheek"] + 1j * (right.imag - 0.04)])
    parts = []
    for side in (-1, 1):
        glass = _mirrored(lens, side)
        parts.append(Part(glass, (215, 230, 240), values["lens_alpha"], lift=0.1))
        parts.append(Part(glass, frame, lift=0.1, width=thin))
        parts.append(Part(_mirrored(arm, side), frame, lift=0.1, width=thin))
    bridge = np.array([half - right.conjugate(), right.imag * 1j - 0.05j, right - half])
    return [*parts, Part(bridge, frame, lift=0.1, width=thin)]


def _hat(person: Person, shot: Shot) -> list[Part]:
    shape, felt = person.shape, shot.felt
    kind = _HATS[int(shot.values["hat"] * len(_HATS))]
    width = shape["cheek"] * 1.12 + 0.03
    # High enough to leave the eyes visible.
    brim = 1j * min(shape["hairline"] + 0.1, shape["eye_level"] - 0.36)
    top = -1j * (1 + shot.values["hat_height"])
    arch = 1 - ACROSS**2
    dome = width * ACROSS + brim + (top - brim) * arch ** (0.22 if kind == "brimmed" else 0.5)
    base = width * ACROSS + brim - 0.08j * arch
    parts = [Part(_band(dome, base), felt)]
    if kind == "beanie":
        cuff = _band(base - 0.12j, base + 0.1j)
        parts.append(Part(1.04 * cuff.real + 1j * cuff.imag, felt * 0.7))
        parts.append(Part(ellipse(top - 0.08j, 0.15, 0.15), felt * 0.7))
    elif kind == "cap":
        u = width * (0.95 * ACROSS + 0.25 * np.sign(shot.values["sunny_side"])) + brim
        parts.append(Part(_band(u - 0.14j, u + 0.14j - 0.2j * ACROSS**2), felt * 0.7))
    else:
        parts.append(Part(ellipse(brim - 0.02j, width * 1.45, 0.13), felt * 0.7))
        parts.append(Part(_band(base - 0.22j, base - 0.1j), felt * 0.45))
    return parts
