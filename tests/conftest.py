"""What several test files share: drawn faces, their tables and one very small finished run."""

import contextlib
import os

import pytest
from matplotlib.figure import Figure

import kerasface

PICTURES = (
    "confusion_matrix",
    "curves_overlay",
    "mistakes_gallery",
    "reliability_diagram",
    "roc_curves",
    "training_curves",
)


def pytest_configure():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def pytest_terminal_summary(terminalreporter):
    """Prints how many blocks of README.md and docs/ were run."""
    name = "tests/docs/test_blocks.py::test_block["
    counts = {
        outcome: sum(name in report.nodeid for report in terminalreporter.getreports(outcome))
        for outcome in ("passed", "skipped")
    }
    if counts["passed"]:
        text = "{passed} blocks of README.md and docs/ were run, {skipped} skipped"
        terminalreporter.write_line(text.format(**counts))


@pytest.fixture(scope="session")
def unpainted():
    """A context in which what a run draws stays empty: it takes a third of a tiny run's time.

    The pictures have tests of their own, and `run` and the evaluations of it draw real ones.
    """

    @contextlib.contextmanager
    def context():
        with pytest.MonkeyPatch.context() as patch:
            for name in PICTURES:
                patch.setattr(kerasface.reports, name, lambda *_, **__: Figure())
            yield

    return context


@pytest.fixture(scope="module")
def empty_pictures(unpainted):
    """Training runs without figures, of which every epoch draws one."""
    with unpainted():
        yield


@pytest.fixture(scope="session")
def faces(tmp_path_factory):
    """Folder of 4 drawn people: 24 training, 12 validation and 8 test images of 32 px."""
    folder = tmp_path_factory.mktemp("data") / "faces"
    return kerasface.data.drawn_faces(folder, identities=4, train=6, dev=3, test=2, size=32)


@pytest.fixture(scope="session")
def tables(faces):
    """Training and validation table of `faces`."""
    train = kerasface.data.identity_folder(faces / "train")
    return train, kerasface.data.identity_folder(faces / "dev", names=train.names)


@pytest.fixture(scope="session")
def celeba_folder(tmp_path_factory):
    """A folder like CelebA's: 40, 16 and 16 images of 36 x 44 px of 18 drawn people."""
    folder = tmp_path_factory.mktemp("data") / "celeba"
    return kerasface.data.drawn_celeba(folder, people=(10, 4, 4), images=4, height=44)


@pytest.fixture(scope="session")
def attribute_run(celeba_folder, tmp_path_factory):
    """A finished run of two epochs on three attributes; tests that write into it copy it first."""
    train, validation, _ = kerasface.data.read_celeba(celeba_folder)
    return kerasface.train(
        "smiling",
        train=train,
        validation=validation,
        out=tmp_path_factory.mktemp("runs") / "attributes",
        verbose=0,
        architecture={"channels": [8, 16], "block_dropout": 0.0},
        attributes=("Smiling", "Beard", "Wearing_Hat"),
        image_size=16,
        epochs=2,
    )


@pytest.fixture(scope="session")
def run(tables, tmp_path_factory):
    """A finished run of two epochs; tests that write into it copy it first."""
    train, validation = tables
    return kerasface.train(
        "demo",
        train=train,
        validation=validation,
        out=tmp_path_factory.mktemp("runs") / "tiny",
        verbose=0,
        architecture={"channels": [8, 16], "blocks_per_stage": [1, 1]},
        augment=(),
        image_size=16,
        batch_size=8,
        epochs=2,
    )
