"""The example scripts, run as a user runs them."""

import pathlib
import re
import runpy
import subprocess
import sys

import pandas as pd

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples"


def test_hw2p2(tmp_path, faces, monkeypatch):
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


def test_crop_and_train(tmp_path):
    # In a process of its own, for it starts others, which import the script.
    words = f"--out {tmp_path} --people 4 --pictures 12 --epochs 1".split()
    done = subprocess.run(
        [sys.executable, EXAMPLES / "crop_and_train.py", *words],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"test accuracy [\d.]+% of \d+ pictures", done.stdout)
    table = pd.read_csv(tmp_path / "crops" / "crops.csv")
    assert len(table) == 48
    assert set(table["outcome"]) <= {"face", "centre"}
    assert (table["outcome"] == "face").sum() >= 12
    assert {path.name for path in (tmp_path / "data").iterdir()} >= {"train", "test"}
    for name in ("boxes.png", "crops.png", "run/curves.png"):
        assert (tmp_path / name).stat().st_size > 10_000
