"""Tests of drawn faces."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kerasface.data.drawn import draw_face
from kerasface.data.drawn import face as face_module
from kerasface.data.drawn import painting as painting_module
from kerasface.data.drawn import people as people_module
from kerasface.data.drawn.people import ATTRIBUTES

IDENTITIES, TRAIN, DEV = 50, 24, 6
PLAIN = dict.fromkeys(ATTRIBUTES, False)


@pytest.fixture(scope="module")
def task():
    """Images of 50 people, train and dev: `(50, 24, ...)` and `(50, 6, ...)`."""
    images = [
        [draw_face(identity, variant, size=48).image for variant in range(TRAIN + DEV)]
        for identity in range(IDENTITIES)
    ]
    return np.split(np.array(images), [TRAIN], axis=1)


def dev_accuracy(task, describe, strength=1.0):
    (x_train, y_train), (x_dev, y_dev) = (
        (
            np.array([describe(image) for image in images.reshape(-1, *images.shape[2:])]),
            np.repeat(np.arange(len(images)), images.shape[1]),
        )
        for images in task
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
    return model.fit(x_train, y_train).score(x_dev, y_dev)


def joint_histogram(image):
    red, green, blue = np.moveaxis(image // 32, 2, 0).astype(int)
    return np.bincount((red * 64 + green * 8 + blue).ravel(), minlength=512) / red.size


def channel_histograms(image):
    bands = np.moveaxis(image // 8, 2, 0).reshape(3, -1)
    return np.concatenate([np.bincount(band, minlength=32) for band in bands]) / bands.shape[1]


def edge_directions(image, side=32, cell=4, bins=8):
    """Gradient directions in cells, normalised by the local contrast (in the manner of HOG)."""
    gray = np.asarray(Image.fromarray(image).convert("L").resize((side, side)), float)
    down, right = np.gradient(gray)
    direction = (np.arctan2(down, right) % np.pi / np.pi * bins).astype(int) % bins
    y, x = np.indices(gray.shape) // cell
    cells = np.zeros((side // cell, side // cell, bins))
    np.add.at(cells, (y, x, direction), np.hypot(down, right))
    padded = np.pad(np.hypot.reduce(cells, axis=2), 1, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).mean(axis=(2, 3))
    return np.sqrt(cells / (around[..., None] + 1e-3)).ravel()


@pytest.mark.parametrize("describe", [joint_histogram, channel_histograms])
def test_colors_say_little_about_the_identity(task, describe):
    assert dev_accuracy(task, describe) < 0.30


def test_shapes_say_much_about_the_identity(task):
    assert dev_accuracy(task, edge_directions, strength=0.01) > 0.60


def test_face_is_labeled():
    face = draw_face(3, 5, size=80)
    assert face.image.shape == (80, 80, 3) and face.image.dtype == np.uint8
    assert face.landmarks.shape == (5, 2) and face.landmarks.dtype == np.float32
    assert face.identity == 3
    assert tuple(face.attributes) == ATTRIBUTES
    assert all(type(value) is bool for value in face.attributes.values())


def test_same_arguments_same_face_in_any_order():
    keys = [(0, 0), (0, 1), (4, 0), (4, 9)]
    first = {key: draw_face(*key) for key in keys}
    for key in reversed(keys):
        again = draw_face(*key)
        np.testing.assert_array_equal(again.image, first[key].image)
        np.testing.assert_array_equal(again.landmarks, first[key].landmarks)
        assert (again.box, again.attributes) == (first[key].box, first[key].attributes)


def test_same_face_in_another_process():
    code = (
        "import hashlib\n"
        "from kerasface.data.drawn.face import draw_face\n"
        "print(hashlib.sha256(draw_face(5, 7, seed=2).image.tobytes()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "123"},
        capture_output=True,
        text=True,
        check=True,
    )
    here = hashlib.sha256(draw_face(5, 7, seed=2).image.tobytes()).hexdigest()
    assert other.stdout.split()[-1] == here


def test_variants_identities_and_seeds_differ():
    images = [
        draw_face(identity, variant, size=32, seed=seed).image.tobytes()
        for identity in range(4)
        for variant in range(4)
        for seed in range(2)
    ]
    assert len(set(images)) == len(images)


def test_hundreds_of_people_differ_in_their_features():
    people = [people_module.make_person(0, identity) for identity in range(300)]
    low, high = np.array([*people_module.FEATURES.values()]).T
    shapes = (np.array([[*person.shape.values()] for person in people]) - low) / (high - low)
    apart = np.linalg.norm(shapes[:, None] - shapes[None], axis=2)
    # Of at most sqrt(35) = 5.9, when all features are at opposite ends.
    assert apart[np.triu_indices(300, 1)].min() > 1.0


def test_person_keeps_the_features():
    first, again = (people_module.make_person(0, 12) for _ in range(2))
    assert (first.shape, first.style) == (again.shape, again.style)


def test_attributes_vary():
    drawn = [draw_face(identity, 0, size=24).attributes for identity in range(120)]
    shares = pd.DataFrame(drawn).mean()
    assert (shares > 0.03).all() and (shares < 0.75).all()


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_forced_attribute_changes_only_its_part(name):
    for identity in range(6):
        on, off = (
            draw_face(identity, 1, attributes={**PLAIN, name: value}) for value in (True, False)
        )
        assert on.attributes == {**PLAIN, name: True}
        assert off.attributes == PLAIN
        assert on.box == off.box
        changed = (on.image != off.image).any(axis=2).mean()
        assert 0.002 < changed < 0.35


def test_forced_attributes_leave_the_others():
    free = draw_face(8, 2)
    forced = draw_face(8, 2, attributes={"Smiling": not free.attributes["Smiling"]})
    assert forced.attributes == {**free.attributes, "Smiling": not free.attributes["Smiling"]}
    same = draw_face(8, 2, attributes={"Smiling": free.attributes["Smiling"]})
    np.testing.assert_array_equal(same.image, free.image)


def changed_pixels(one, other):
    """Positions `(n, 2)`, x and y, of the pixels in which two drawings differ."""
    rows, columns = np.nonzero((one.image != other.image).any(axis=2))
    return np.stack([columns, rows], axis=1) + 0.5


def test_eye_landmarks_are_in_the_eyeglasses():
    for identity in range(12):
        on = draw_face(identity, 3, size=128, attributes={**PLAIN, "Eyeglasses": True})
        off = draw_face(identity, 3, size=128, attributes=PLAIN)
        glasses = changed_pixels(on, off)
        left, right = on.landmarks[:2]
        # Frame and arms are symmetric but for the turn of the head.
        assert np.linalg.norm(glasses.mean(axis=0) - (left + right) / 2) < 8
        for eye in (left, right):
            assert np.linalg.norm(glasses - eye, axis=1).min() < 2


def test_mouth_landmarks_bound_the_opening():
    for identity in range(12):
        on = draw_face(identity, 4, size=128, attributes={**PLAIN, "Mouth_Slightly_Open": True})
        off = draw_face(identity, 4, size=128, attributes=PLAIN)
        left, right = on.landmarks[3:]
        axis = (right - left) / np.linalg.norm(right - left)
        along = (changed_pixels(on, off) - left) @ axis
        length = np.linalg.norm(right - left)
        assert -4 < along.min() < 0.25 * length
        assert 0.75 * length < along.max() < length + 4


def test_landmarks_go_through_the_geometry_of_the_drawing(monkeypatch):
    person = people_module.make_person(0, 9)
    nose = 1j * person.shape["nose_level"]
    spots = [
        (people_module.eye_center(person, -1), 0.0),
        (people_module.eye_center(person, 1), 0.0),
    ]
    spots.append((nose, people_module.NOSE_LIFT))
    parts = face_module.portrait
    plain = draw_face(9, 6, size=128)
    for k, (spot, lift) in enumerate(spots):
        dot = painting_module.Part(
            painting_module.ellipse(spot, 0.04, 0.04), (255, 0, 255), lift=lift
        )
        monkeypatch.setattr(face_module, "portrait", lambda *args, dot=dot: [*parts(*args), dot])
        marked = changed_pixels(draw_face(9, 6, size=128), plain)
        np.testing.assert_allclose(marked.mean(axis=0), plain.landmarks[k], atol=0.8)


def test_eyes_are_drawn_at_their_landmarks():
    contrasts = []
    for identity in range(30):
        face = draw_face(identity, 0, size=128, attributes=PLAIN)
        gray = face.image.mean(axis=2)
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        cheeks = [
            0.3 * eye + 0.3 * nose + 0.4 * mouth
            for eye, mouth in ((left_eye, left_mouth), (right_eye, right_mouth))
        ]
        spread = [
            gray[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5].std()
            for x, y in (left_eye, right_eye, *cheeks)
        ]
        contrasts.append(min(spread[:2]) > max(spread[2:]))
    assert np.mean(contrasts) > 0.8


def test_landmarks_are_in_order_in_the_face():
    inside, upright = [], []
    for identity in range(100):
        face = draw_face(identity, identity % 7, size=96)
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        across = (right_eye - left_eye) / np.linalg.norm(right_eye - left_eye)
        down = np.array([-across[1], across[0]])
        assert across[0] > 0.8
        assert (right_mouth - left_mouth) @ across > 0
        assert left_eye @ down < nose @ down < (left_mouth + right_mouth) @ down / 2
        left, top, width, height = face.box
        low, high = np.array([left, top]), np.array([left + width, top + height])
        assert ((face.landmarks > low) & (face.landmarks < high)).all()
        inside.append((low >= 0).all() and (high <= 96).all())
        mouth = right_mouth - left_mouth
        turn = np.arctan2(mouth[1], mouth[0]) - np.arctan2(across[1], across[0])
        upright.append(abs(np.degrees(turn)))
    assert np.mean(inside) > 0.95
    assert max(upright) < 8


def test_smile_lifts_the_mouth_corners():
    on, off = (draw_face(2, 0, attributes={**PLAIN, "Smiling": value}) for value in (True, False))
    axis = off.landmarks[4] - off.landmarks[3]
    down = np.array([-axis[1], axis[0]]) / np.linalg.norm(axis)
    assert (on.landmarks[3:] @ down < off.landmarks[3:] @ down).all()
    np.testing.assert_array_equal(on.landmarks[:3], off.landmarks[:3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"identity": -1, "variant": 0}, "identity=-1"),
        ({"identity": 0, "variant": -2}, "variant=-2"),
        ({"identity": 0, "variant": 0, "size": 23}, "size=23"),
        ({"identity": 0, "variant": 0, "seed": -1}, "seed=-1"),
        ({"identity": 0.5, "variant": 0}, "identity=0.5"),
        ({"identity": True, "variant": 0}, "identity=True"),
        ({"identity": 0, "variant": 0, "attributes": {"Bald": True}}, "Received: .'Bald'."),
    ],
)
def test_draw_face_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_face(**arguments)


def test_face_is_shown_in_notebooks():
    face = draw_face(7, 0, size=400)
    assert repr(face).startswith("DrawnFace(identity=7, 400 x 400 pixels, [")
    page = face._repr_html_()
    assert page.count('src="data:image/png;base64,') == 1
    assert len(page) < 200_000
