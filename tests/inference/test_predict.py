"""Predictions and submissions of runs."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasface.data import FaceTable
from kerasface.inference import predict, submit
from kerasface.runs import Run

SIZE = 16  # what the run was trained at, so that nothing is resized
FILES = ["a b/2.png", "a b/NA.png", "z, z.png", "ü/0001.png", "ü/1.png"]
CLASSES = ["p0000", "p0001", "p0002", "p0003"]

# What two runs say of the five files. Neither's best classes are those of the mean.
FIRST = np.array([[6, 1, 3, 0], [5, 5, 0, 0], [1, 1, 8, 0], [0, 1, 0, 9], [3, 4, 2, 1]], np.float32)
SECOND = np.array(
    [[1, 0, 5, 4], [0, 6, 2, 2], [1, 9, 0, 0], [5, 0, 5, 0], [4, 0, 3, 3]], np.float32
)
BEST_OF_MEAN = [2, 1, 1, 3, 0]


@pytest.fixture(scope="module")
def pictures(faces, tmp_path_factory):
    """Folder of `FILES`, and their pixels."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = []
    for name, source in zip(FILES, sorted((faces / "test").iterdir()), strict=False):
        (folder / name).parent.mkdir(exist_ok=True)
        with Image.open(source) as image:
            small = image.resize((SIZE, SIZE))
        small.save(folder / name)
        pixels.append(np.asarray(small, np.float32))
    (folder / "notes.txt").write_text("no image")
    return folder, np.stack(pixels)


@pytest.fixture
def two_runs(run, tmp_path, monkeypatch):
    """Folders of two runs that predict `FIRST` and `SECOND` (tenths), and the calls of theirs."""
    calls = []

    def predict_known(self, images, **options):
        calls.append((self.folder.name, list(images.names), options))
        return {"first": FIRST, "second": SECOND}[self.folder.name] / 10

    monkeypatch.setattr(Run, "predict", predict_known)
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        for name in ("recipe.json", "classes.json"):
            shutil.copy(run.path(name), folder)
    return folders, calls


def probabilities(frame):
    return frame.filter(regex="^p:").to_numpy()


def test_frame_of_a_run(run, pictures):
    folder, pixels = pictures
    frame = predict(run.folder, folder)
    assert list(frame) == [
        "path",
        "prediction",
        "probability",
        *(f"p:{name}" for name in CLASSES),
    ]
    assert frame["path"].tolist() == FILES
    expected = run.load_model().predict_on_batch(pixels)
    np.testing.assert_allclose(probabilities(frame), expected, atol=1e-6)
    np.testing.assert_allclose(probabilities(frame).sum(axis=1), 1.0, atol=1e-5)
    assert frame["prediction"].tolist() == [CLASSES[i] for i in expected.argmax(axis=1)]
    np.testing.assert_array_equal(frame["probability"], probabilities(frame).max(axis=1))


def test_flip_averages_and_order_is_kept(run, pictures):
    folder, pixels = pictures
    rows = [3, 0, 4]
    table = FaceTable(folder, [FILES[row] for row in rows])
    frame = predict(run, table, flip=True, batch_size=2)
    model = run.load_model()
    upright = model.predict_on_batch(pixels[rows])
    mirrored = model.predict_on_batch(pixels[rows][:, :, ::-1])
    assert np.abs(upright - mirrored).max() > 1e-4
    assert np.ptp(upright, axis=0).max() > 1e-4
    assert frame["path"].tolist() == table.paths.tolist()
    np.testing.assert_allclose(probabilities(frame), (upright + mirrored) / 2, atol=1e-6)


def test_several_runs_are_averaged(two_runs, pictures):
    folders, calls = two_runs
    frame = predict([folders[0], Run(folders[1])], pictures[0], flip=True, batch_size=3)
    np.testing.assert_allclose(probabilities(frame), (FIRST + SECOND) / 20, rtol=1e-6)
    assert frame["prediction"].tolist() == [CLASSES[index] for index in BEST_OF_MEAN]
    np.testing.assert_allclose(frame["probability"], [0.4, 0.55, 0.5, 0.45, 0.35], rtol=1e-6)
    options = {"batch_size": 3, "flip": True, "verbose": 0}
    assert calls == [("first", FILES, options), ("second", FILES, options)]


@pytest.mark.parametrize("form", ["path", "text", "run", "list", "tuple"])
def test_ways_to_name_one_run(two_runs, pictures, form):
    folder = two_runs[0][0]
    given = {
        "path": folder,
        "text": str(folder),
        "run": Run(folder),
        "list": [folder],
        "tuple": (Run(folder),),
    }[form]
    frame = predict(given, str(pictures[0]))
    np.testing.assert_allclose(probabilities(frame), FIRST / 10, rtol=1e-6)


@pytest.mark.parametrize("classes", [["p0000", "p0001", "p0002"], ["p0001", "p0000", "p0002", "x"]])
def test_runs_of_other_classes_are_refused(two_runs, pictures, classes):
    folders, calls = two_runs
    (folders[1] / "classes.json").write_text(json.dumps(classes))
    message = (
        f"if they have the same classes.*first with 4 classes and .*second with {len(classes)}"
    )
    with pytest.raises(ValueError, match=message):
        predict(folders, pictures[0])
    assert calls == []


@pytest.mark.parametrize("function", [predict, submit])
def test_unreadable_images_are_named(run, pictures, tmp_path, function):
    folder = shutil.copytree(pictures[0], tmp_path / "pictures")
    (folder / "ü" / "1.png").write_bytes(b"no image")
    out = [tmp_path / "out.csv"] if function is submit else []
    with pytest.raises(
        ValueError, match=r"images must be readable\. Received: 1 .*ü/1\.png \(.+\)"
    ):
        function(run, folder, *out)
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", r"must be a run folder, .*Received: '.*nothing', which does not exist"),
        ("empty", r"Received: '.*nothing', a folder without recipe\.json"),
        ("unfinished", r"finished run must have a model\.keras\. Received: '.*nothing'.*--resume"),
    ],
)
def test_unfinished_runs_are_refused(run, pictures, tmp_path, kind, message):
    folder = tmp_path / "nothing"
    if kind != "missing":
        folder.mkdir()
    if kind == "unfinished":
        for name in ("recipe.json", "classes.json"):
            shutil.copy(run.path(name), folder)
    with pytest.raises(FileNotFoundError, match=message):
        predict(folder, pictures[0])


def test_no_run_is_refused(pictures):
    with pytest.raises(ValueError, match="At least one model is needed"):
        predict([], pictures[0])


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, FileNotFoundError, "which does not exist"),
        ("notes.txt", ValueError, "must have at least one"),
    ],
)
def test_folder_without_images(run, tmp_path, content, error, message):
    folder = tmp_path / "images"
    if content:
        folder.mkdir()
        (folder / content).write_text("no image")
    with pytest.raises(error, match=message):
        predict(run, folder)


@pytest.mark.parametrize(
    ("placeholder", "label", "style"),
    [("p0000", None, "p000{}"), ("0", None, "{}"), ("0", "name", "p000{}"), ("", "index", "{}")],
)
def test_submission_matches_the_sample_line_for_line(
    two_runs, pictures, tmp_path, placeholder, label, style
):
    folders, calls = two_runs
    order = [4, 2, 0, 1, 3]
    ids = [FILES[row].removesuffix(".png") for row in order]
    sample = tmp_path / "sample.csv"
    pd.DataFrame({"file": ids, "who": placeholder, "note": range(5)}).to_csv(sample, index=False)
    out = tmp_path / "new folder" / "submission.csv"
    written = submit(folders, pictures[0], out, sample=sample, label=label, flip=True, batch_size=2)
    assert written == out
    frame = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert frame.to_dict("list") == {
        "file": ids,
        "who": [style.format(BEST_OF_MEAN[row]) for row in order],
        "note": ["0", "1", "2", "3", "4"],
    }
    assert [path.name for path in out.parent.iterdir()] == ["submission.csv"]
    options = {"batch_size": 2, "flip": True, "verbose": 0}
    assert calls == [("first", FILES, options), ("second", FILES, options)]


def test_submission_without_a_sample(two_runs, pictures, tmp_path):
    out = submit(two_runs[0][1], pictures[0], tmp_path / "submission.csv")
    frame = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert frame.to_dict("list") == {"id": FILES, "label": ["2", "1", "1", "0", "0"]}


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("id,label\nz,p0000\n", {}, r"1 ids without a file \['z'\] and 5 files"),
        ("id,label\nz,somebody\n", {}, r"\['somebody'\], which are neither"),
        (None, {"label": "person"}, r"one of \['index', 'name'\]"),
    ],
)
def test_submission_is_checked_before_the_prediction(
    two_runs, pictures, tmp_path, text, options, message
):
    folders, calls = two_runs
    sample = None
    if text is not None:
        sample = tmp_path / "sample.csv"
        sample.write_text(text)
    with pytest.raises(ValueError, match=message):
        submit(folders, pictures[0], tmp_path / "out.csv", sample=sample, **options)
    assert calls == []
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
def test_file_names_must_be_utf8(run, tmp_path):
    name = b"\xe9.png".decode(errors="surrogateescape")
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / name)
    with pytest.raises(ValueError, match=r"must be UTF-8.*udce9\.png"):
        predict(run, tmp_path)
