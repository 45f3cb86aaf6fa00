"""Predictions of a user's own photographs."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kerasface
from kerasface.data import draw_scene
from kerasface.faces import Face
from kerasface.faces.alignment import align, template
from kerasface.faces.preparation import Preparation
from kerasface.inference.photographs import FACE_SIZE, FaceCutter, photographs
from kerasface.pipeline import Crop
from kerasface.pipeline.predict import predict_table

NAMES = ["Smiling", "Beard", "Wearing_Hat"]


@pytest.fixture
def photos(tmp_path):
    """A photograph, and a folder with two more; what is true of their faces."""
    folder = tmp_path / "photos"
    (folder / "holiday").mkdir(parents=True)
    scenes = [draw_scene(faces=count, seed=count, width=240, height=160) for count in (1, 2, 3)]
    for scene, name in zip(scenes, ("me.jpg", "holiday/a, b.png", "holiday/c.png"), strict=True):
        Image.fromarray(scene.image).save(folder / name)
    return folder, scenes


def detector_of(scenes):
    """A detector that knows the faces of the scenes, but misses that of the third."""

    def detect(images):
        [image] = images
        for scene in scenes[:2]:
            if (
                scene.image.shape == image.shape
                and np.abs(scene.image - image.astype(int)).mean() < 8
            ):
                return [[Face(face.box, 0.9, face.landmarks) for face in scene.faces]]
        return [[]]

    return detect


def test_files_and_folders_are_one_table(photos):
    folder, _ = photos
    table = photographs([folder / "holiday", folder / "me.jpg", folder / "holiday" / "c.png"])
    assert table.root == folder
    assert table.paths.tolist() == ["holiday/a, b.png", "holiday/c.png", "me.jpg"]
    assert table.labels is None
    single = photographs([folder / "me.jpg"])
    assert (single.root, single.paths.tolist()) == (folder, ["me.jpg"])


def test_files_on_several_drives(photos, monkeypatch):
    folder, _ = photos

    def no_common_path(paths):
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr("os.path.commonpath", no_common_path)
    files = [folder / "me.jpg", folder / "holiday" / "c.png"]
    table = photographs(files)
    assert table.paths.tolist() == [file.as_posix() for file in files]
    assert all(map(os.path.samefile, table.full_paths(), files))


def test_refused_paths(photos):
    folder, _ = photos
    with pytest.raises(FileNotFoundError, match=r"you\.jpg', which does not exist"):
        photographs([folder / "me.jpg", folder / "you.jpg"])
    with pytest.raises(ValueError, match="at least one image"):
        photographs([])


def test_frame_of_attributes(attribute_run, photos):
    folder, _ = photos
    frame = kerasface.predict(attribute_run, [folder / "me.jpg", folder / "holiday"])
    columns = [f"p:{name}" for name in NAMES]
    assert list(frame) == ["path", "prediction", *NAMES, *columns]
    assert frame["path"].tolist() == ["me.jpg", "holiday/a, b.png", "holiday/c.png"]
    expected = attribute_run.predict(photographs([folder / "me.jpg", folder / "holiday"]))
    np.testing.assert_allclose(frame[columns], expected, atol=1e-6)
    said = (expected >= attribute_run.thresholds).astype(int)
    np.testing.assert_array_equal(frame[NAMES], said)
    for words, row in zip(frame["prediction"], said, strict=True):
        assert ("not smiling" in words) == (row[0] == 0)
        assert ("wearing hat" in words) == (row[2] == 1)


def test_square_crop_is_that_of_the_validation(attribute_run, photos):
    """The photographs are wider than high, so that squashing would change them."""
    folder, _ = photos
    table = photographs([folder / "holiday"])
    model = attribute_run.load_model()
    cut = predict_table(model, table, crop=Crop())
    squashed = predict_table(model, table)
    np.testing.assert_array_equal(attribute_run.predict(table), cut)
    assert np.abs(cut - squashed).max() > 1e-4


def test_every_face_is_predicted(attribute_run, photos, tmp_path):
    folder, scenes = photos
    pictures = tmp_path / "pictures"
    with pytest.warns(UserWarning, match=r"no face was found in 1 of 3 .*holiday/c\.png") as caught:
        frame = kerasface.predict(
            attribute_run,
            [folder / "me.jpg", folder / "holiday"],
            detect=True,
            detector=detector_of(scenes),
            pictures=pictures,
        )
    assert caught[0].filename == __file__
    assert frame["path"].tolist() == ["me.jpg", *["holiday/a, b.png"] * 2, "holiday/c.png"]
    assert frame["face"].tolist() == [1, 1, 2, 0]
    assert sorted(path.relative_to(pictures).as_posix() for path in pictures.rglob("*.png")) == [
        "holiday/a, b.png face 1.png",
        "holiday/a, b.png face 2.png",
        "holiday/a, b.png.png",
        "holiday/c.png.png",
        "me.jpg face 1.png",
        "me.jpg.png",
    ]
    # Boxes are in pixels of the photographs, and drawn there.
    boxes = frame[["left", "top", "width", "height"]]
    faces = [face for scene in scenes[:2] for face in scene.faces]
    np.testing.assert_allclose(boxes[:3], [face.box for face in faces], atol=0.051)
    assert boxes.iloc[3].isna().all()
    drawn = np.asarray(Image.open(pictures / "holiday" / "a, b.png.png"))
    for left, top, _, height in boxes[1:3].to_numpy().round().astype(int):
        assert drawn[top + height // 2, left].tolist() == [255, 220, 0]
    # A face alone is not predicted like the photograph that it is in.
    whole = kerasface.predict(attribute_run, folder / "me.jpg")
    assert abs(whole["p:Smiling"][0] - frame["p:Smiling"][0]) > 1e-6


def test_faces_of_photographs_in_memory(attribute_run, photos, tmp_path):
    folder, scenes = photos
    options = {"detect": True, "detector": detector_of(scenes)}
    files = kerasface.predict(attribute_run, folder / "holiday" / "a, b.png", **options)
    pixels = np.asarray(Image.open(folder / "holiday" / "a, b.png"))
    frame = kerasface.predict(attribute_run, pixels, pictures=tmp_path / "pictures", **options)
    assert frame["path"].tolist() == ["image 1"] * 2
    pd.testing.assert_frame_equal(frame.drop(columns="path"), files.drop(columns="path"))
    written = sorted(path.name for path in (tmp_path / "pictures").iterdir())
    assert written == ["image 1 face 1.png", "image 1 face 2.png", "image 1.png"]


def test_faces_are_cut_as_for_the_training(attribute_run, photos, tmp_path, monkeypatch):
    folder, scenes = photos
    known = Preparation("mtcnn", template="arcface", size=64, margin=0.5)
    monkeypatch.setattr(kerasface.Run, "preparation", known)
    options = {"detect": True, "detector": detector_of(scenes)}
    given = folder / "holiday" / "a, b.png"
    frame = kerasface.predict(attribute_run, given, faces="largest", **options)
    assert len(frame) == 1
    largest = max(scenes[1].faces, key=lambda face: face.box[2] * face.box[3])
    np.testing.assert_allclose(frame[["left", "width"]].iloc[0], largest.box[::2], atol=0.051)
    [crop] = known.cut(scenes[1].image, [Face(largest.box, 0.9, largest.landmarks)])
    columns = [f"p:{name}" for name in NAMES]
    expected = kerasface.predict(attribute_run, crop)[columns]
    np.testing.assert_allclose(frame[columns], expected, atol=1e-6)
    other = kerasface.predict(attribute_run, given, faces="largest", margin=0.0, **options)
    assert np.abs(other[columns] - expected).to_numpy().max() > 1e-6
    with pytest.raises(ValueError, match=r"`faces` has no effect without detection"):
        kerasface.predict(attribute_run, given, faces="largest")


def test_many_photographs_are_predicted_in_parts(attribute_run, photos, monkeypatch):
    folder, scenes = photos
    options = {"detect": True, "detector": detector_of(scenes)}
    given = [folder / "me.jpg", folder / "holiday" / "a, b.png"]
    expected = kerasface.predict(attribute_run, given, **options)
    monkeypatch.setattr("kerasface.inference.prediction.AT_ONCE", 1)
    parts = kerasface.predict(attribute_run, given, **options)
    pd.testing.assert_frame_equal(parts, expected)


def test_margin_changes_the_prediction(attribute_run, photos):
    folder, scenes = photos
    tight, wide = (
        kerasface.predict(
            attribute_run,
            folder / "me.jpg",
            detect=True,
            detector=detector_of(scenes),
            margin=margin,
        )
        for margin in (0.0, 0.5)
    )
    assert abs(tight["p:Smiling"][0] - wide["p:Smiling"][0]) > 1e-6


@pytest.mark.parametrize("height_to_width", [1.0, 218 / 178, 0.8])
def test_faces_have_the_aspect_ratio_of_the_training(photos, height_to_width):
    folder, scenes = photos
    preparation = Preparation(detector_of(scenes), template="arcface", size=FACE_SIZE, margin=0.2)
    cutter = FaceCutter(preparation, height_to_width)
    [pixels], _ = cutter(np.asarray(Image.open(folder / "me.jpg")))
    height, width = pixels.shape[:2]
    assert height / width == pytest.approx(height_to_width, abs=0.01)
    assert max(height, width) == FACE_SIZE
    # The nearer sides are as far from the face as those of a square cut.
    inner, outer = min(height, width), max(height, width)
    [eyes] = np.diff(template(outer, ((1.4 * outer / inner) - 1) / 2)[:2, 0])
    [usual] = np.diff(template(inner, 0.2)[:2, 0])
    assert eyes == pytest.approx(usual, rel=1e-6)
    square = align(
        np.asarray(Image.open(folder / "me.jpg")),
        scenes[0].faces[0].landmarks,
        FACE_SIZE,
        margin=((1.4 * outer / inner) - 1) / 2,
    )
    top, left = (FACE_SIZE - height) // 2, (FACE_SIZE - width) // 2
    expected = square[top : top + height, left : left + width].astype(int)
    assert np.abs(pixels - expected).mean() < 2


def test_run_records_the_aspect_ratio(run, attribute_run):
    assert run.height_to_width == 1.0
    assert attribute_run.height_to_width == 1.0  # squares were cut out of them
    assert attribute_run.metrics["height_to_width"] == pytest.approx(218 / 178, abs=0.01)


def test_pictures_of_classes(run, photos, tmp_path):
    folder, _ = photos
    kerasface.predict(run, folder, pictures=tmp_path / "pictures")
    assert (tmp_path / "pictures" / "me.jpg.png").stat().st_size > 5000


def test_runs_of_equal_attributes_are_averaged(attribute_run, run, photos, tmp_path):
    folder, _ = photos
    other = shutil.copytree(attribute_run.folder, tmp_path / "other")
    model = attribute_run.load_model()
    bias = model.get_layer("head_logits").bias
    bias.assign(bias + 2.0)
    model.save(other / "model.keras")
    limits = dict.fromkeys(NAMES, 0.9)
    (other / "thresholds.json").write_text(json.dumps(limits))
    one, two = (kerasface.predict(each, folder) for each in (attribute_run.folder, other))
    mean = kerasface.predict([attribute_run, other], folder)
    columns = [f"p:{name}" for name in NAMES]
    expected = (one[columns] + two[columns]) / 2
    assert np.abs(one[columns] - two[columns]).to_numpy().max() > 0.1
    np.testing.assert_allclose(mean[columns], expected, rtol=1e-5)
    said = expected.to_numpy() >= (attribute_run.thresholds + 0.9) / 2
    np.testing.assert_array_equal(mean[NAMES], said)
    with pytest.raises(ValueError, match="same classes or attributes"):
        kerasface.predict([attribute_run, run], folder)


def test_submission_refuses_attributes(attribute_run, photos, tmp_path):
    with pytest.raises(ValueError, match="a model of attributes"):
        kerasface.submit(attribute_run, photos[0], tmp_path / "submission.csv")
