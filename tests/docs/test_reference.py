"""The pages about files agree with the files that a run and the commands write."""

import fnmatch
import re

import numpy as np
import pandas as pd
import pytest

import kerasface

PAGE = "docs/reference/file_formats.md"
# Files of runs with weights of a file, a network of the user's own, cached features or a threshold.
NOT_IN_THESE_RUNS = {
    *("architecture.keras", "crops.json", "evaluation/NAME/by_group.csv", "features/*.npy"),
    *("verifier.json", "weights.json"),
}


def tables(text):
    """The names in the first column of each section's table, by title."""
    sections = re.split(r"^## ", text, flags=re.M)[1:]
    return {
        section.split("\n")[0]: re.findall(r"^\| `([^`]+)` \|", section, re.M)
        for section in sections
    }


@pytest.fixture(scope="module")
def runs(prepared_run):
    return [prepared_run(name) for name in ("first", "smiling", "faces")]


@pytest.fixture(scope="module")
def crops(drawn_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files") / "crops"
    kerasface.faces.crop(drawn_folder / "album", folder, size=32, processes=0)
    return folder


def test_run_folder(page_texts, runs):
    patterns = [
        name
        for names in tables(page_texts["docs/reference/run_folder.md"]).values()
        for name in names
    ]
    files = {
        path.relative_to(run).as_posix()
        for run in runs
        for path in run.rglob("*")
        if path.is_file()
    }
    unknown = {
        file for file in files if not any(fnmatch.fnmatch(file, pattern) for pattern in patterns)
    }
    assert not unknown
    missing = {pattern for pattern in patterns if not fnmatch.filter(files, pattern)}
    assert missing == NOT_IN_THESE_RUNS


def test_columns_of_a_run(page_texts, runs):
    documented = tables(page_texts[PAGE])
    first, smiling, faces = runs
    for title, path in {
        "images.csv": first / "images.csv",
        "history.csv": first / "history.csv",
        "unreadable.csv": first / "unreadable.csv",
        "predictions.csv of an evaluation": first / "validation/predictions.csv",
        "per_class.csv": first / "validation/per_class.csv",
        "per_attribute.csv": smiling / "validation/per_attribute.csv",
        "operating_points.csv": faces / "validation/operating_points.csv",
        "per_fold.csv": faces / "validation/per_fold.csv",
    }.items():
        assert documented[title] == pd.read_csv(path, nrows=0).columns.tolist(), title


def test_columns_of_crops_and_split(page_texts, crops, tmp_path):
    documented = tables(page_texts[PAGE])
    assert documented["crops.csv"] == pd.read_csv(crops / "crops.csv").columns.tolist()
    kerasface.data.split_folder(crops, tmp_path / "split")
    assert documented["split.csv"] == pd.read_csv(tmp_path / "split/split.csv").columns.tolist()


def test_columns_of_predictions_and_answers(page_texts, runs, drawn_folder, tmp_path):
    documented = tables(page_texts[PAGE])
    first, _, faces = runs
    frame = kerasface.predict(first, drawn_folder / "a.jpg")
    names = [f"p:{name}" for name in kerasface.Run(first).names]
    assert [*documented["Predictions of people"], *names] == frame.columns.tolist()
    gallery = kerasface.inference.enroll(drawn_folder / "staff", model=faces)
    gallery.save(tmp_path / "staff.npz")
    with np.load(tmp_path / "staff.npz") as arrays:
        assert documented["Gallery (.npz)"] == list(arrays)
    probes, out = drawn_folder / "unknown_test", tmp_path / "found"
    result = kerasface.identify(gallery, probes, model=faces, count=1, out=out)
    columns = pd.read_csv(out / "answers.csv").columns.tolist()
    assert documented["answers.csv"] == columns == result.answers.columns.tolist()
