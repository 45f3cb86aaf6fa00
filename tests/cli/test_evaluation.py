"""Tests of the commands that evaluate runs: evaluate and compare."""

import json
import shutil

import pandas as pd
import pytest

from kerasface.data import identity_folder


def test_evaluate(shell, faces, run, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    groups = pd.DataFrame(
        {"image": [f"{path.parent.name}/{path.name}" for path in (faces / "dev").glob("*/*")]}
    ).assign(age="old")
    groups.to_csv(tmp_path / "ages.csv", index=False)
    words = ["evaluate", folder, "--data", faces / "dev", "--flip", "--batch-size", "5"]
    words += ["--groups", tmp_path / "ages.csv"]
    code, printed, err = shell(*words)
    (warning,) = err.splitlines()
    assert code == 0 and "12 of 12 images are in the validation set" in warning
    page = folder / "evaluation" / "dev" / "report.html"
    assert f"Report: {page} " in printed
    assert "images of dev are classified" in page.read_text()
    metrics = json.loads((page.parent / "metrics.json").read_text())
    shown = dict(line.split() for line in printed.splitlines() if len(line.split()) == 2)
    assert shown["images"] == "12"
    assert "age: old" in printed and "age: old" in page.read_text()
    assert float(shown["accuracy"]) == pytest.approx(metrics["accuracy"], abs=1e-4)
    flipped = run.predict(identity_folder(faces / "dev", names=run.names), flip=True)
    predictions = pd.read_csv(page.parent / "predictions.csv", dtype=str)
    assert predictions["prediction"].tolist() == [f"p000{row}" for row in flipped.argmax(axis=1)]


def test_evaluate_on_training_images(shell, mistake, faces, run, tmp_path):
    words = ["evaluate", run.folder, "--data", faces / "train", "--out", tmp_path / "out"]
    line = mistake(*words)
    assert "Received: 24 of 24 images are in the training set" in line
    assert "--allow-seen" in line
    assert not (tmp_path / "out").exists()
    code, printed, err = shell(*words, "--allow-seen")
    (warning,) = err.splitlines()
    assert code == 0 and warning.startswith("Warning: ")
    assert "24 of 24 images are in the training set" in warning
    assert f"Report: {tmp_path / 'out' / 'report.html'} " in printed


def test_compare(shell, mistake, run, tmp_path):
    twins = [shutil.copytree(run.folder, tmp_path / name) for name in ("one", "other")]
    out = tmp_path / "new" / "compare.html"
    code, printed, err = shell("compare", *twins, "--out", out)
    assert (code, err) == (0, "")
    rows = printed.splitlines()[:2]
    assert [row.split()[:2] for row in rows] == [["one", "accuracy"], ["other", "accuracy"]]
    assert all(len(row) < 100 for row in rows)
    assert f"Report: {out} " in printed
    assert ">one and other<" in out.read_text()
    assert "which exists" in mistake("compare", *twins, "--out", out)
    assert "must end in .html" in mistake("compare", *twins, "--out", tmp_path / "page")
    again = ["--out", out, "--overwrite"]
    assert "at least two runs. Received: 1." in mistake("compare", twins[0], *again)
    assert "one of them twice" in mistake("compare", twins[0], twins[0], *again)
