"""The example scripts, run as a user runs them."""

import json
import pathlib
import re
import runpy
import subprocess
import sys

import pandas as pd
import pytest
from PIL import Image

import kerasface

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


@pytest.fixture
def drawn(faces, monkeypatch, unpainted):
    """Examples use the drawn faces of the other tests, which are fewer and smaller.

    Their reports have no figures.
    """
    monkeypatch.setattr("kerasface.data.drawn_faces", lambda folder, **_: faces)
    with unpainted():
        yield


@pytest.fixture
def narrow(monkeypatch):
    """The network convnext_nano has two narrow blocks, which saves time."""
    options = {"channels": [8, 16], "blocks_per_stage": [1, 1]}
    build, train = kerasface.build, kerasface.train

    def narrow_build(name, **others):
        return build(name, **others, **(options if name == "convnext_nano" else {}))

    def narrow_train(recipe, *, model, **others):
        architecture = options if model == "convnext_nano" else {}
        return train(recipe, model=model, architecture=architecture, **others)

    monkeypatch.setattr("kerasface.build", narrow_build)
    monkeypatch.setattr("kerasface.train", narrow_train)


def test_hw2p2(tmp_path, faces, narrow, monkeypatch):
    words = f"--data {faces} --out {tmp_path} --model convnext_nano --image-size 32 --batch-size 8"
    monkeypatch.setattr(sys, "argv", ["hw2p2.py", *words.split(), "--epochs", "2"])
    runpy.run_path(str(EXAMPLES / "hw2p2.py"), run_name="__main__")
    submission = pd.read_csv(tmp_path / "submission.csv", dtype=str)
    sample = pd.read_csv(faces / "sample_submission.csv", dtype=str)
    assert submission["id"].tolist() == sample["id"].tolist()
    assert set(submission["label"]) <= {"0", "1", "2", "3"}
    assert len(pd.read_csv(tmp_path / "history.csv")) == 2
    assert (tmp_path / "curves.png").stat().st_size > 10_000
    assert (tmp_path / "model.keras").exists()


def test_celebrities(tmp_path, drawn, narrow, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["celebrities.py", "--out", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "celebrities.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for model in ("mobilenet_v3_small", "convnext_nano"):
        run = kerasface.Run(tmp_path / model)
        assert (run.recipe.model, len(run.history)) == (model, 2)
        assert run.recipe.cache_features and list(run.path("features").glob("*.npy"))
        assert (run.metrics["train_images"], run.metrics["validation_images"]) == (20, 4)
        assert "validation images are classified" in run.path("report.html").read_text()
        flipped = json.loads(run.path("flipped/metrics.json").read_text())
        assert f"{model}, with mirror images: accuracy {flipped['accuracy']:.1%}" in printed
        assert f"Report: {run.path('report.html')}" in printed
    page = (tmp_path / "compare.html").read_text()
    assert "McNemar" in page and "Cached epochs" in page
    assert f"Comparison: {tmp_path / 'compare.html'}" in printed


def test_cs405(tmp_path, drawn, narrow, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["cs405.py", "--out", str(tmp_path)])
    runpy.run_path(str(EXAMPLES / "cs405.py"), run_name="__main__")
    run = kerasface.Run(tmp_path / "convnext_nano")
    assert run.history["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert run.history["learning_rate"].tolist() == pytest.approx([1e-4, *4 * [1e-3]])
    assert (run.metrics["train_images"], run.metrics["validation_images"]) == (16, 4)
    folder = run.folder / "evaluation" / "test"
    evaluated = pd.read_csv(folder / "predictions.csv")
    assert len(evaluated) == 4
    printed = capsys.readouterr().out
    assert f"Test accuracy {evaluated['correct'].mean():.1%} (" in printed
    assert f"Page: {folder / 'report.html'}" in printed
    assert "images of test are classified" in (folder / "report.html").read_text()


def test_crop_and_train(tmp_path):
    # In a new process, because it starts others that import the script.
    words = f"--out {tmp_path} --people 3 --pictures 10 --epochs 1".split()
    done = subprocess.run(
        [sys.executable, EXAMPLES / "crop_and_train.py", *words],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"test accuracy [\d.]+% of \d+ images", done.stdout)
    table = pd.read_csv(tmp_path / "crops" / "crops.csv")
    assert len(table) == 30
    assert set(table["outcome"]) <= {"face", "center"}
    assert (table["outcome"] == "face").sum() >= 8
    assert {path.name for path in (tmp_path / "data").iterdir()} >= {"train", "test"}
    for name in ("boxes.png", "crops.png", "run/curves.png"):
        assert (tmp_path / name).stat().st_size > 10_000


def test_attributes(tmp_path, celeba_folder, monkeypatch, capsys):
    monkeypatch.setattr("kerasface.data.drawn_celeba", lambda folder, **_: celeba_folder)
    photo = next((celeba_folder / "img_align_celeba").iterdir())
    words = f"--out {tmp_path} --epochs 1 --photos {photo}".split()
    monkeypatch.setattr(sys, "argv", ["attributes.py", *words])
    runpy.run_path(str(EXAMPLES / "attributes.py"), run_name="__main__")
    run = kerasface.Run(tmp_path / "smiling")
    assert (len(run.history), len(run.names)) == (1, 5)
    evaluated = pd.read_csv(run.path("test/per_attribute.csv"))
    printed = capsys.readouterr().out
    assert f"Test: mean accuracy {evaluated['accuracy_at_half'].mean():.2%}" in printed
    assert f"Page: {run.path('test/report.html')}" in printed
    assert run.path(f"photographs/{photo.name}.png").exists()


def test_verify_lfw(tmp_path, drawn, narrow, monkeypatch, capsys):
    words = ["verify_lfw.py", "--out", str(tmp_path), "--epochs", "5", "--center", "0.9"]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(EXAMPLES / "verify_lfw.py"), run_name="__main__")
    printed = capsys.readouterr().out
    run = kerasface.Run(tmp_path / "run")
    assert run.recipe.embedding["loss"] == "arcface" and len(run.history) == 5
    folder = run.folder / "verification" / "pairs"
    folds = pd.read_csv(folder / "per_fold.csv")
    assert folds["pairs"].tolist() == [60] * 4
    assert f"accuracy {folds['accuracy'].mean():.1%} +- " in printed
    assert f"Page: {folder / 'report.html'}" in printed
    assert "Stranger_0_0001.png and Stranger_0_0002.png: Decision(similarity=" in printed
    frame = pd.read_csv(folder / "pairs.csv")
    assert list(frame["person_a"].head(4)) == ["Stranger_0"] * 4


def test_verify_photographs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["verify_photographs.py", "--out", str(tmp_path)])
    names = runpy.run_path(str(EXAMPLES / "verify_photographs.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert names["vectors"].shape == (5, 128)
    answers = names["found"].answers
    assert answers["face"].tolist() == [1, 2, 3, 1, 2]
    assert set(answers["answer"]) <= {"", "person_0", "person_1", "person_2", "person_3"}
    decision = names["decision"]
    assert f"same person: {bool(decision)}, similarity {decision.similarity:.3f}" in printed
    with Image.open(tmp_path / "compared.png") as picture:
        assert picture.width > picture.height > 200
