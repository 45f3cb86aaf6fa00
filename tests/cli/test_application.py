"""Tests of the application: help, version, mistakes and exit codes."""

import io
import re

import pytest

import kerasface
from kerasface import cli
from kerasface.cli import application

COMMANDS = {
    "faces": ["PHOTO|FOLDER", "--out", "--contact-sheet", "--limit", "--detector", "--set"],
    "crop": [
        *("SRC", "DST", "--detector", "--set", "--size", "--margin", "--align", "--rule"),
        *("--without", "--suffix", "--processes"),
    ],
    "split": [
        *("SRC", "DST", "--train", "--validation", "--test", "--seed", "--how", "--small"),
        "--distance",
    ],
    "demo": ["--out", "--set", "--overwrite"],
    "models": [],
    "train": [
        *["RECIPE", "--data", "--out", "--set", "--split", "--resume", "--overwrite"],
        *["--features", "--first", "--partition"],
    ],
    "evaluate": [
        *("RUN", "--data", "--out", "--partition", "--flip", "--batch-size", "--allow-seen"),
    ],
    "compare": ["RUN RUN...", "--out"],
    "predict": [
        *["RUN... IMAGES...", "--out", "--crop", "--margin", "--pictures", "--flip"],
        "--batch-size",
    ],
    "submit": ["RUN... IMAGES", "--out", "--sample", "--label", "--flip", "--batch-size"],
    "verify": [
        *("RUN", "A B", "--pairs", "--images", "--out", "--far", "--threshold", "--flip"),
        *("--batch-size", "--allow-seen"),
    ],
    "identify": [
        *("RUN", "--gallery", "--probe", "--out", "--threshold", "--save-gallery", "--flip"),
        "--batch-size",
    ],
    "match": [
        *("RUN", "--known", "--unknown", "--out", "--threshold", "--dev", "--dev-labels"),
        *("--no-match", "--flip", "--batch-size"),
    ],
}


@pytest.mark.parametrize(("command", "words"), COMMANDS.items())
def test_help_of_command(shell, command, words):
    code, out, err = shell(command, "--help")
    assert (code, err) == (0, "")
    for word in words:
        assert word in out
    (function,) = [one for one in application.COMMANDS if one.__name__ == command]
    assert " ".join(function.__doc__.split()) in re.sub(r"\s+", " ", out)


def test_help(shell):
    code, out, err = shell("--help")
    assert (code, err) == (0, "")
    for word in [*COMMANDS, "--debug", "--version", "Start with `kerasface demo`"]:
        assert word in out


def test_version(shell):
    assert shell("--version") == (0, f"kerasface {kerasface.__version__}\n", "")


@pytest.mark.parametrize("name", ["ResourceExhaustedError", "MemoryError"])
def test_out_of_memory_error_suggests_smaller_batches(monkeypatch, capsys, name):
    kind = type(name, (Exception,), {})

    def out_of_memory(words):
        raise kind("OOM when allocating tensor")

    monkeypatch.setattr(application, "app", out_of_memory)
    with pytest.raises(SystemExit) as caught:
        cli.main(["train"])
    assert caught.value.code == 2
    assert "--set batch_size=16" in capsys.readouterr().err
    with pytest.raises(kind):
        cli.main(["train", "--debug"])


def test_names_that_the_terminal_cannot_show_are_escaped(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setattr(application, "app", lambda words: print("Яна \udce9"))
    cli.main(["models"])
    terminal.flush()
    assert terminal.buffer.getvalue().split() == [rb"\u042f\u043d\u0430", rb"\udce9"]


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["train", "demo"], "Missing option '--data'"),
        (["train"], "Missing argument 'RECIPE'"),
        (["trian"], "No such command 'trian'"),
        (["train", "demo", "--epochs", "3"], "No such option"),
        (["predict"], "Missing argument 'RUN... IMAGES...'"),
        (
            ["train", "demo", "--data", "x", "--out", "y", "--split", "half"],
            "Invalid value for '--split'",
        ),
    ],
)
def test_parser_errors(shell, words, fragment):
    code, out, err = shell(*words)
    assert (code, out) == (2, "")
    assert fragment in err
    assert "Traceback" not in err


@pytest.mark.parametrize("place", [0, 1, -1])
def test_debug_raises_the_error(tmp_path, place):
    words = ["train", "demo", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    words.insert(place if place >= 0 else len(words), "--debug")
    with pytest.raises(FileNotFoundError, match="There must be a folder of images") as error:
        cli.main(words)
    assert error.traceback[-1].path.name == "folders.py"
