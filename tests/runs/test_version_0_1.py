"""Run folders that version 0.1 wrote: they open, predict, resume and compare.

The folders were trained on the drawn faces and the drawn CelebA of tests/conftest.py.
"""

import pathlib
import shutil

import numpy as np
import pandas as pd
import pytest

import kerasface
from kerasface.runs import Run

OLD_RUNS = pathlib.Path(__file__).parent / "version_0_1"


@pytest.fixture
def old_run(tmp_path):
    """Copies one of the folders, so that a test may write to it."""

    def copy(name):
        return Run(shutil.copytree(OLD_RUNS / name, tmp_path / name))

    return copy


def test_opens(old_run):
    run = old_run("classes")
    assert run.recipe.model == "convnext_nano"
    assert run.recipe.architecture["channels"] == [8, 16]
    assert run.names == ("p0000", "p0001", "p0002", "p0003")
    assert run.history["epoch"].tolist() == [1, 2]
    assert run.metrics["kept"] == "best"
    attributes = old_run("attributes")
    assert attributes.multi_label
    assert len(attributes.thresholds) == 3
    assert attributes.metrics["kept"] == "last"


def test_predicts_classes(old_run, faces):
    run = old_run("classes")
    frame = kerasface.predict(run, faces / "dev")
    expected = pd.read_csv(run.path("validation/predictions.csv"))
    assert frame["path"].tolist() == expected["path"].tolist()
    assert frame["prediction"].tolist() == expected["prediction"].tolist()
    np.testing.assert_allclose(frame["probability"], expected["probability"], rtol=1e-4)


def test_predicts_attributes(old_run, celeba_folder):
    run = old_run("attributes")
    validation = kerasface.data.read_celeba(celeba_folder, attributes=run.names).validation
    frame = kerasface.predict(run, validation)
    expected = pd.read_csv(run.path("validation/predictions.csv"))
    for name in run.names:
        np.testing.assert_allclose(frame[f"p:{name}"], expected[f"p:{name}"], rtol=1e-4)


def test_evaluates(old_run, faces):
    run = old_run("classes")
    expected = pd.read_json(run.path("validation/metrics.json"), typ="series")
    lost = "24 of the 24 train images of the run are missing, so copies of them cannot be detected"
    with pytest.warns(UserWarning, match=lost):
        metrics = kerasface.evaluate(run, faces / "dev").metrics
    assert metrics["accuracy"] == pytest.approx(expected["accuracy"])
    assert metrics["log_loss"] == pytest.approx(expected["log_loss"], rel=1e-4)


def test_resumes_and_compares(old_run, tables, tmp_path):
    train, validation = tables
    unfinished = old_run("classes_unfinished")
    assert len(unfinished.history) == 1
    resumed = kerasface.train(
        unfinished.recipe,
        train=train,
        validation=validation,
        out=unfinished.folder,
        resume=True,
        verbose=0,
    )
    expected = pd.read_csv(OLD_RUNS / "resumed_history.csv")
    numbers = [name for name in expected if name != "seconds"]
    # Another processor may compute other last bits.
    np.testing.assert_allclose(resumed.history[numbers], expected[numbers], rtol=1e-5)
    frame = kerasface.compare([old_run("classes"), resumed], tmp_path / "compare.html")
    assert sorted(frame["run"]) == ["classes", "classes_unfinished"]
