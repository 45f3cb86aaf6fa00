"""Tests of the commands that predict: predict and submit."""

import numpy as np
import pandas as pd
import pytest

from kerasface.inference.predictor import train_shares


def test_predict(shell, faces, run, tmp_path):
    out = tmp_path / "new" / "predictions.csv"
    words = ["predict", run.folder, faces / "test", "--out", out, "--batch-size", "3"]
    code, printed, err = shell(*words)
    assert (code, err) == (0, "")
    frame = pd.read_csv(out, dtype={"prediction": str})
    assert frame["path"].tolist() == [f"{index:06d}.jpg" for index in range(8)]
    columns = [f"p:p000{index}" for index in range(4)]
    assert list(frame) == ["path", "prediction", "probability", *columns]
    np.testing.assert_allclose(frame[columns].sum(axis=1), 1.0, atol=1e-5)
    assert f"Wrote 8 rows: {out}" in printed
    assert [path.name for path in out.parent.iterdir()] == ["predictions.csv"]


def test_predict_attributes_of_photographs(shell, attribute_run, celeba_folder, tmp_path):
    photos = sorted((celeba_folder / "img_align_celeba").iterdir())[:3]
    out, pictures = tmp_path / "predictions.csv", tmp_path / "pictures"
    words = ["predict", attribute_run.folder, *photos, "--out", out, "--pictures", pictures]
    code, printed, err = shell(*words)
    assert (code, err) == (0, "")
    frame = pd.read_csv(out)
    assert frame["path"].tolist() == [path.name for path in photos]
    assert set(frame["Smiling"]) <= {0, 1} and "smiling" in frame["prediction"][0]
    assert f"Wrote the pictures: {pictures}" in printed
    assert {path.name for path in pictures.iterdir()} == {f"{path.name}.png" for path in photos}


def test_summary_of_attributes_fits_the_terminal(
    shell, attribute_run, celeba_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "80")
    words = [attribute_run.folder, celeba_folder / "img_align_celeba", "--only", "Beard, Smiling"]
    code, printed, err = shell(
        "predict", *words, "--threshold", 0, "--out", tmp_path / "predictions.csv"
    )
    assert (code, err) == (0, "")
    assert max(map(len, printed.splitlines()[:-1])) <= 80  # the last one is the path
    images = len(pd.read_csv(tmp_path / "predictions.csv"))
    assert f"... and {images - 10} more" in printed
    share = train_shares(attribute_run)["Beard"]
    guess = f"{'yes' if share >= 0.5 else 'no'} ({max(share, 1 - share):.0%} correct)"
    [beard] = [line for line in printed.splitlines() if line.startswith("Beard")]
    assert f"{images} of {images}" in beard and beard.endswith(guess)
    assert "Wearing_Hat" not in printed


def test_predict_detects_faces(shell, run, faces, tmp_path, monkeypatch):
    calls = []

    def detect(images, detector):
        calls.append(detector)
        return [[] for _ in images]

    monkeypatch.setattr("kerasface.inference.photographs.detect", detect)
    out = tmp_path / "predictions.csv"
    words = ["predict", run.folder, faces / "test", "--out", out, "--detect"]
    code, _, err = shell(*words)
    assert (code, calls) == (0, ["blazeface"] * 8)
    assert "Warning: no face was found in 8 of 8 photographs" in err
    assert pd.read_csv(out)["face"].tolist() == [0] * 8


def test_submit(shell, faces, run, tmp_path, predictions):
    out, sample = tmp_path / "submission.csv", tmp_path / "sample.csv"
    ids = [f"{index:06d}" for index in (5, 0, 2, 1, 7, 6, 3, 4)]
    sample.write_text("file,who\n" + "".join(f"{name},0\n" for name in ids))
    words = ["submit", run.folder, run.folder, faces / "test", "--out", out, "--sample", sample]
    code, printed, err = shell(*words, "--flip", "--batch-size", "3", "--label", "name")
    assert (code, err) == (0, "")
    assert printed == f"Wrote {out}\n"
    assert predictions == [(run.folder, {"batch_size": 3, "flip": True, "verbose": 2})] * 2
    rows = [f"{name},p000{int(name) % 4}" for name in ids]
    assert out.read_text().splitlines() == ["file,who", *rows]


@pytest.mark.parametrize(
    ("command", "words", "fragment"),
    [
        ("submit", ["IMAGES"], "a folder without recipe.json"),
        (
            "submit",
            ["nowhere", "IMAGES"],
            "A model must be a run folder, a .keras file or the name",
        ),
        ("submit", ["RUN", "no.keras", "IMAGES"], "Received: 'no.keras', which does not exist."),
        ("submit", ["RUN", "IMAGES", "RUN"], "Models come before images. Received: "),
        (
            "submit",
            ["RUN", "IMAGES", "more"],
            "A submission needs exactly one folder",
        ),
        ("submit", ["RUN", "nowhere"], "Received: 'nowhere', which does not exist."),
        ("predict", ["IMAGES"], "a folder without recipe.json"),
        ("predict", ["IMAGE"], "000000.jpg', an image."),
        ("predict", ["RUN"], "is needed after the model. Received: "),
        ("predict", ["RUN", "RUN"], "2 models alone"),
        ("predict", ["nowhere", "IMAGE"], "Received: 'nowhere', which does not exist."),
        ("predict", ["old.h5", "IMAGE"], "Received: 'old.h5', which does not exist."),
        ("predict", ["IMAGES", "RUN"], "a folder without recipe.json"),
        ("predict", ["RUN", "IMAGES", "RUN"], "Use: kerasface predict "),
        ("predict", ["RUN", "nowhere"], "Received: 'nowhere', which does not exist."),
        ("predict", ["RUN", "IMAGE", "me.jpg"], "Received: 'me.jpg', which does not exist."),
        ("predict", ["RUN", "nowhere", "IMAGES"], "Received: 'nowhere', which does not exist."),
    ],
)
def test_wrong_folders(mistake, faces, run, tmp_path, command, words, fragment):
    places = {"IMAGES": faces / "test", "RUN": run.folder}
    places["IMAGE"] = faces / "test" / "000000.jpg"
    words = [places.get(word, word) for word in words]
    assert fragment in mistake(command, *words, "--out", tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_submit_with_wrong_sample(mistake, faces, run, tmp_path, predictions):
    sample = tmp_path / "sample.csv"
    sample.write_text("id,label\nsomebody.jpg,0\n")
    words = ["submit", run.folder, faces / "test", "--out", tmp_path / "out.csv"]
    line = mistake(*words, "--sample", sample)
    assert "1 ids without a file ['somebody.jpg'] and 8 files without an id" in line
    assert predictions == []
    assert not (tmp_path / "out.csv").exists()
