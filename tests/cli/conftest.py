"""What the tests of the command line share."""

import shutil

import numpy as np
import pytest

from kerasface import cli
from kerasface.runs import Run


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Keeps the settings for TensorFlow out of the processes of later tests."""
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")


@pytest.fixture
def shell(capsys):
    """Runs the command line; returns ``(exit code, standard output, standard error)``."""

    def call(*words):
        with pytest.raises(SystemExit) as leaving:
            cli.main([str(word) for word in words])
        return leaving.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def mistake(shell):
    """Runs the command line, which must fail with one line on standard error; returns that line."""

    def call(*words):
        code, _, err = shell(*words)
        assert code == 2
        assert "Traceback" not in err
        (line,) = err.splitlines()
        assert line.startswith("kerasface: ")
        return line.removeprefix("kerasface: ")

    return call


@pytest.fixture
def trainings(run, monkeypatch):
    """Calls of `kerasface.training.train`, which is replaced and returns `run`."""
    calls = []

    def train(recipe, **options):
        calls.append({"recipe": recipe, **options})
        return run

    monkeypatch.setattr("kerasface.training.train", train)
    return calls


@pytest.fixture
def data(faces, tmp_path):
    """A copy of the train/ folder of `faces` that a test may change."""
    folder = tmp_path / "data"
    shutil.copytree(faces / "train", folder / "train")
    return folder


@pytest.fixture
def predictions(monkeypatch):
    """Calls of `Run.predict`, which is replaced and predicts person ``i % 4`` for image ``i``."""
    calls = []

    def predict(self, table, **options):
        calls.append((self.folder, options))
        return np.eye(4, dtype=np.float32)[np.arange(len(table)) % 4]

    monkeypatch.setattr(Run, "predict", predict)
    return calls
