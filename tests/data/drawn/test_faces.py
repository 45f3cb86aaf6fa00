"""Tests of the drawn faces."""

import hashlib
import json
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

from kerasface.data.drawn import faces as synthetic
from kerasface.data.drawn import painting as synthetic_painting
from kerasface.data.drawn import people as synthetic_people
from kerasface.data.drawn.faces import ATTRIBUTES, draw_face, draw_scene, drawn_faces

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
    grey = np.asarray(Image.fromarray(image).convert("L").resize((side, side)), float)
    down, right = np.gradient(grey)
    direction = (np.arctan2(down, right) % np.pi / np.pi * bins).astype(int) % bins
    y, x = np.indices(grey.shape) // cell
    cells = np.zeros((side // cell, side // cell, bins))
    np.add.at(cells, (y, x, direction), np.hypot(down, right))
    padded = np.pad(np.hypot.reduce(cells, axis=2), 1, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).mean(axis=(2, 3))
    return np.sqrt(cells / (around[..., None] + 1e-3)).ravel()


@pytest.mark.parametrize("describe", [joint_histogram, channel_histograms])
def test_colours_say_little_about_the_identity(task, describe):
    assert dev_accuracy(task, describe) < 0.30


def test_shapes_say_much_about_the_identity(task):
    assert dev_accuracy(task, edge_directions, strength=0.01) > 0.60


def test_face_is_labelled():
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
        "from kerasface.data.drawn.faces import draw_face\n"
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
    people = [synthetic_people.make_person(0, identity) for identity in range(300)]
    low, high = np.array([*synthetic_people.FEATURES.values()]).T
    shapes = (np.array([[*person.shape.values()] for person in people]) - low) / (high - low)
    apart = np.linalg.norm(shapes[:, None] - shapes[None], axis=2)
    # Of at most sqrt(35) = 5.9, when all features are at opposite ends.
    assert apart[np.triu_indices(300, 1)].min() > 1.0


def test_a_person_keeps_the_features():
    first, again = (synthetic_people.make_person(0, 12) for _ in range(2))
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
    person = synthetic_people.make_person(0, 9)
    nose = 1j * person.shape["nose_level"]
    spots = [
        (synthetic_people.eye_centre(person, -1), 0.0),
        (synthetic_people.eye_centre(person, 1), 0.0),
    ]
    spots.append((nose, synthetic_people.NOSE_LIFT))
    parts = synthetic.portrait
    plain = draw_face(9, 6, size=128)
    for k, (spot, lift) in enumerate(spots):
        dot = synthetic_painting.Part(
            synthetic_painting.ellipse(spot, 0.04, 0.04), (255, 0, 255), lift=lift
        )
        monkeypatch.setattr(synthetic, "portrait", lambda *args, dot=dot: [*parts(*args), dot])
        marked = changed_pixels(draw_face(9, 6, size=128), plain)
        np.testing.assert_allclose(marked.mean(axis=0), plain.landmarks[k], atol=0.8)


def test_eyes_are_drawn_at_their_landmarks():
    contrasts = []
    for identity in range(30):
        face = draw_face(identity, 0, size=128, attributes=PLAIN)
        grey = face.image.mean(axis=2)
        left_eye, right_eye, nose, left_mouth, right_mouth = face.landmarks
        cheeks = [
            0.3 * eye + 0.3 * nose + 0.4 * mouth
            for eye, mouth in ((left_eye, left_mouth), (right_eye, right_mouth))
        ]
        spread = [
            grey[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5].std()
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


@pytest.mark.parametrize("faces", [0, 1, 4, 9])
def test_scene_faces_lie_apart_in_the_image(faces):
    scene = draw_scene(faces=faces, width=400, height=300, face_size=(24, 70), seed=faces)
    assert scene.image.shape == (300, 400, 3) and scene.image.dtype == np.uint8
    assert len(scene.faces) == len({face.identity for face in scene.faces}) == faces
    for i, face in enumerate(scene.faces):
        left, top, width, height = face.box
        assert left >= 0 and left + width <= 400 and top >= 0 and top + height <= 300
        assert 23.9 <= height <= 70.1
        assert (face.landmarks > [left, top]).all()
        assert (face.landmarks < [left + width, top + height]).all()
        assert tuple(face.attributes) == ATTRIBUTES
        for other in scene.faces[:i]:
            x, y, w, h = other.box
            assert left >= x + w or x >= left + width or top >= y + h or y >= top + height


def test_scene_is_deterministic():
    first, again, other = (
        draw_scene(faces=2, width=160, height=120, face_size=(20, 40), seed=seed)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.image, again.image)
    assert [face.box for face in first.faces] == [face.box for face in again.faces]
    assert (first.image != other.image).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"faces": -1}, "faces=-1"),
        ({"width": 10}, "width=10"),
        ({"height": 10}, "height=10"),
        ({"seed": -1}, "seed=-1"),
        ({"face_size": (90, 40)}, r"face_size=\(90, 40\)"),
        ({"face_size": (4, 40)}, r"face_size=\(4, 40\)"),
        ({"face_size": (40,)}, r"face_size=\(40,\)"),
        ({"faces": 50, "width": 100, "height": 100}, "faces=50"),
        ({"faces": 1, "width": 100, "height": 100, "face_size": (200, 200)}, "room"),
    ],
)
def test_draw_scene_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_scene(**arguments)


SMALL = {"identities": 3, "train": 4, "dev": 2, "test": 2, "size": 32}


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return drawn_faces(tmp_path_factory.mktemp("drawn") / "faces", **SMALL)


def test_folder_layout(folder):
    files = contents(folder)
    people = ["p0000", "p0001", "p0002"]
    expected = [f"train/{name}/{k:04d}.jpg" for name in people for k in range(4)]
    expected += [f"dev/{name}/{k:04d}.jpg" for name in people for k in (4, 5)]
    expected += [f"test/{k:06d}.jpg" for k in range(6)]
    tables = ["sample_submission", "test_labels", "attributes", "landmarks"]
    assert sorted(files) == sorted([*expected, *(f"{name}.csv" for name in tables), "drawn.json"])
    images = [files[name] for name in expected]
    assert len(set(images)) == len(images)
    assert json.loads(files["drawn.json"])["identities"] == 3
    with Image.open(folder / "train/p0002/0003.jpg") as image:
        difference = np.asarray(image, float) - draw_face(2, 3, size=32).image
    assert abs(difference).mean() < 8


def test_folder_tables(folder):
    sample = pd.read_csv(folder / "sample_submission.csv")
    truth = pd.read_csv(folder / "test_labels.csv")
    assert list(sample) == ["id", "label"] and (sample["label"] == 0).all()
    assert list(truth) == ["id", "name"]
    assert list(sample["id"]) == list(truth["id"]) == [f"{k:06d}.jpg" for k in range(6)]
    assert sorted(truth["name"]) == ["p0000", "p0000", "p0001", "p0001", "p0002", "p0002"]
    attributes = pd.read_csv(folder / "attributes.csv")
    assert list(attributes) == ["file", *ATTRIBUTES]
    landmarks = pd.read_csv(folder / "landmarks.csv").set_index("file")
    assert sorted(attributes["file"]) == sorted(landmarks.index) and len(landmarks) == 24
    face = draw_face(1, 5, size=32)
    row = landmarks.loc["dev/p0001/0005.jpg"]
    np.testing.assert_allclose(row[["left", "top", "width", "height"]], face.box, atol=0.01)
    np.testing.assert_allclose(row.iloc[4:], face.landmarks.ravel(), atol=0.01)
    flags = attributes.set_index("file").loc["dev/p0001/0005.jpg"]
    assert flags.to_dict() == face.attributes


def test_test_labels_are_true(folder):
    for _, row in pd.read_csv(folder / "test_labels.csv").iterrows():
        with Image.open(folder / "test" / row["id"]) as image:
            pixels = np.asarray(image, float)
        candidates = [draw_face(int(row["name"][1:]), k, size=32).image for k in (6, 7)]
        assert min(abs(pixels - candidate).mean() for candidate in candidates) < 8


def test_finished_folder_is_left_alone(folder, monkeypatch):
    before = contents(folder)

    def refuse(*args, **kwargs):
        raise AssertionError("drawn again")

    monkeypatch.setattr(synthetic, "draw_face", refuse)
    assert drawn_faces(folder, **SMALL) == folder
    assert contents(folder) == before


def test_interrupted_folder_is_completed(folder, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "_write_tables", interrupt)
    with pytest.raises(KeyboardInterrupt):
        drawn_faces(tmp_path, **SMALL)
    assert not (tmp_path / "drawn.json").exists()
    with pytest.raises(ValueError, match="other settings"):
        drawn_faces(tmp_path, **{**SMALL, "seed": 1})
    monkeypatch.undo()
    drawn_faces(tmp_path, **SMALL)
    assert contents(tmp_path) == contents(folder)


def test_folder_without_test_images(tmp_path):
    root = drawn_faces(str(tmp_path / "a" / "b"), identities=1, train=1, dev=0, test=0, size=24)
    assert (root / "sample_submission.csv").read_text() == "id,label\n"
    assert len(pd.read_csv(root / "attributes.csv")) == 1


@pytest.mark.parametrize(
    "other", [{"identities": 4}, {"train": 5}, {"dev": 1}, {"seed": 1}, {"quality": 80}]
)
def test_folder_with_other_settings_is_refused(folder, other):
    with pytest.raises(ValueError, match="other settings"):
        drawn_faces(folder, **{**SMALL, **other})


def test_foreign_folders_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="new or empty"):
        drawn_faces(tmp_path, **SMALL)
    with pytest.raises(ValueError, match="must be a folder"):
        drawn_faces(tmp_path / "notes.txt", **SMALL)
    assert contents(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("identities", 0),
        ("train", -1),
        ("dev", -1),
        ("test", -1),
        ("size", 23),
        ("seed", -1),
        ("quality", 0),
        ("quality", 96),
    ],
)
def test_drawn_faces_refuses(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"{name}={value}"):
        drawn_faces(tmp_path / "new", **{**SMALL, name: value})
    assert not (tmp_path / "new").exists()
