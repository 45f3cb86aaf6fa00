"""Predictions and submissions of runs."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasface.data import FaceTable
from kerasface.inference import predict, submit
from kerasface.training import Run

SIZE = 16  # what the run was trained at, so that nothing is resized


@pytest.fixture(scope="module")
def pictures(faces, tmp_path_factory):
    """Five PNG files in two folders, in the order of their paths, and their pixels."""
    folder = tmp_path_factory.mktemp("pictures")
    names = ["a b/2.png", "a b/NA.png", "ü/0001.png", "ü/1.png", "z, z.png"]
    pixels = []
    for name, source in zip(names, sorted((faces / "test").iterdir()), strict=False):
        (folder / name).parent.mkdir(exist_ok=True)
        with Image.open(source) as image:
            small = image.resize((SIZE, SIZE))
        small.save(folder / name)
        pixels.append(np.asarray(small, np.float32))
    (folder / "notes.txt").write_text("no image")
    return folder, names, np.stack(pixels)


def copy_with(run, folder, change):
    """A copy of a run whose model's weights are changed."""
    shutil.copytree(run.folder, folder)
    model = run.load_model()
    model.set_weights([change(weight) for weight in model.get_weights()])
    model.save(folder / "model.keras")
    return Run(folder)


@pytest.fixture(scope="module")
def other_run(run, tmp_path_factory):
    """A run of the same classes and other weights."""
    return copy_with(run, tmp_path_factory.mktemp("other") / "run", lambda weight: weight * 0.8)


@pytest.fixture(scope="module")
def single(run, pictures):
    """What one run predicts of `pictures`, as a frame."""
    return predict(run.folder, pictures[0])


def probabilities(frame):
    return frame.filter(regex="^p:").to_numpy()


def test_frame_of_predictions(run, pictures, single):
    _, names, pixels = pictures
    classes = ["p0000", "p0001", "p0002", "p0003"]
    assert list(single) == [
        "path",
        "prediction",
        "probability",
        *(f"p:{name}" for name in classes),
    ]
    assert single["path"].tolist() == names
    expected = run.load_model().predict_on_batch(pixels)
    np.testing.assert_allclose(probabilities(single), expected, atol=1e-6)
    np.testing.assert_allclose(probabilities(single).sum(axis=1), 1.0, atol=1e-5)
    best = expected.argmax(axis=1)
    assert single["prediction"].tolist() == [classes[index] for index in best]
    np.testing.assert_array_equal(single["probability"], probabilities(single).max(axis=1))


def test_table_keeps_its_order_and_flip_is_the_mean(run, pictures):
    folder, names, pixels = pictures
    rows = [3, 0, 4]
    table = FaceTable(folder, [names[row] for row in rows])
    frame = predict(run, table, flip=True, batch_size=2)
    model = run.load_model()
    upright = model.predict_on_batch(pixels[rows])
    mirrored = model.predict_on_batch(pixels[rows][:, :, ::-1])
    assert np.abs(upright - mirrored).max() > 1e-4
    assert frame["path"].tolist() == [names[row] for row in rows]
    np.testing.assert_allclose(probabilities(frame), (upright + mirrored) / 2, atol=1e-6)


def test_several_runs_are_averaged(run, other_run, pictures, single):
    other = other_run.load_model().predict_on_batch(pictures[2])
    assert np.abs(other - probabilities(single)).max() > 1e-4
    both = predict([run.folder, other_run], pictures[0])
    np.testing.assert_allclose(probabilities(both), (probabilities(single) + other) / 2, atol=1e-6)
    assert both["path"].tolist() == single["path"].tolist()


@pytest.mark.parametrize("classes", [["p0000", "p0001", "p0002"], ["p0001", "p0000", "p0002", "x"]])
def test_runs_of_other_classes(run, pictures, tmp_path, classes):
    other = shutil.copytree(run.folder, tmp_path / "other")
    (other / "classes.json").write_text(json.dumps(classes))
    message = f"must know the same classes.* with 4 classes and .*other with {len(classes)}"
    with pytest.raises(ValueError, match=message):
        predict([run, other], pictures[0])


@pytest.mark.parametrize("function", [predict, submit])
def test_unreadable_images_are_named(run, pictures, tmp_path, function):
    folder = shutil.copytree(pictures[0], tmp_path / "pictures")
    (folder / "ü" / "1.png").write_bytes(b"no image")
    out = [tmp_path / "out.csv"] if function is submit else []
    with pytest.raises(ValueError, match=r"must be readable\. Received: 1 .*ü/1\.png \(.+\)"):
        function(run, folder, *out)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"holds a recipe\.json\. Received: '.*nothing', which does not exist"),
        ("empty", r"holds a recipe\.json\. Received: '.*nothing', which has none"),
        ("unfinished", r"finished run holds a model\.keras\. Received: '.*nothing'.*--resume"),
    ],
)
def test_folder_that_is_no_finished_run(run, pictures, tmp_path, kind, message):
    folder = tmp_path / "nothing"
    if kind != "missing":
        folder.mkdir()
    if kind == "unfinished":
        for name in ("recipe.json", "classes.json"):
            shutil.copy(run.path(name), folder)
    with pytest.raises(FileNotFoundError, match=message):
        predict(folder, pictures[0])


def test_no_run_at_all(pictures):
    with pytest.raises(ValueError, match="At least one run is needed"):
        predict([], pictures[0])


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, FileNotFoundError, "must be a folder of images"),
        ("notes.txt", ValueError, "must hold at least one"),
    ],
)
def test_folder_without_images(run, tmp_path, content, error, message):
    folder = tmp_path / "images"
    if content:
        folder.mkdir()
        (folder / content).write_text("no image")
    with pytest.raises(error, match=message):
        predict(run, folder)


def test_submission_matches_the_sample_line_for_line(run, other_run, pictures, single, tmp_path):
    folder, names, pixels = pictures
    sample = tmp_path / "sample.csv"
    order = [4, 2, 0, 1, 3]
    ids = [names[row].removesuffix(".png") for row in order]
    pd.DataFrame({"file": ids, "who": "p0000", "note": range(5)}).to_csv(sample, index=False)
    out = tmp_path / "new folder" / "submission.csv"
    assert submit([run, other_run.folder], folder, out, sample=sample) == out
    other = other_run.load_model().predict_on_batch(pixels)
    best = (probabilities(single) + other).argmax(axis=1)
    written = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert written.to_dict("list") == {
        "file": ids,
        "who": [f"p000{best[row]}" for row in order],
        "note": ["0", "1", "2", "3", "4"],
    }
    assert [path.name for path in out.parent.iterdir()] == ["submission.csv"]


def test_submission_without_a_sample(run, pictures, single, tmp_path):
    folder, names, _ = pictures
    out = submit(run, folder, tmp_path / "submission.csv")
    written = pd.read_csv(out, dtype=str, keep_default_na=False)
    expected = probabilities(single).argmax(axis=1)
    assert written.to_dict("list") == {"id": names, "label": [str(index) for index in expected]}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("id,label\nz,p0000\n", {}, r"1 ids without a file \['z'\] and 5 files"),
        ("id,label\nz,somebody\n", {}, r"\['somebody'\], which are neither"),
        (None, {"label": "person"}, r"one of \('index', 'name'\)"),
    ],
)
def test_mistakes_are_told_before_the_prediction(
    run, pictures, tmp_path, monkeypatch, text, options, message
):
    def too_late(*args, **options):
        raise AssertionError("predicted already")

    monkeypatch.setattr(Run, "predict", too_late)
    sample = None
    if text is not None:
        sample = tmp_path / "sample.csv"
        sample.write_text(text)
    with pytest.raises(ValueError, match=message):
        submit(run, pictures[0], tmp_path / "out.csv", sample=sample, **options)
    assert not (tmp_path / "out.csv").exists()
