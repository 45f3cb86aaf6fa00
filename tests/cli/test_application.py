"""Tests of the application: help, version, mistakes and exit codes."""

import io
import os
import re
import subprocess
import sys

import pytest

import kerasface
from kerasface import cli
from kerasface.cli import application, completion
from kerasface.cli.shell_words import in_shell_words
from kerasface.faces.detectors.registry import BUILT_IN
from kerasface.models import list_models
from kerasface.runs import RECIPES

ARGUMENTS = {
    "compare": "RUN RUN...",
    "crop": "SOURCE TARGET",
    "demo": "",
    "evaluate": "MODEL",
    "faces": "PHOTO|FOLDER",
    "identify": "GALLERY PROBES",
    "match": "MODEL",
    "models": "[PATTERN]",
    "predict": "MODEL... IMAGES...",
    "recipes": "[NAME]",
    "split": "SOURCE TARGET",
    "submit": "MODEL... IMAGES",
    "train": "[RECIPE]",
    "verify": "[IMAGE_A IMAGE_B]",
}


@pytest.mark.parametrize("command", ARGUMENTS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_of_command(shell, command, flag):
    code, out, err = shell(command, flag)
    assert (code, err) == (0, "")
    usage = " ".join(f"Usage: kerasface {command} {ARGUMENTS[command]} [OPTIONS]".split())
    assert out.startswith(f"{usage}\n")
    assert "{" not in out.splitlines()[0] and "<list" not in out
    for option in application.command_options([command]).values():
        assert option in out
    (function,) = [one for one in application.COMMANDS if one.__name__ == command]
    assert " ".join(function.__doc__.split()) in re.sub(r"\s+", " ", out)


def test_help(shell):
    code, out, err = shell("--help")
    assert (code, err) == (0, "")
    for word in [
        *ARGUMENTS,
        "--debug",
        "--verbose",
        "--version",
        "--install-completion",
        "Start with `kerasface demo`",
    ]:
        assert word in out


def test_version(shell):
    assert shell("--version") == (0, f"kerasface {kerasface.__version__}\n", "")


@pytest.mark.parametrize("name", ["ResourceExhaustedError", "MemoryError"])
def test_out_of_memory_error_suggests_smaller_batches(monkeypatch, capsys, name):
    kind = type(name, (Exception,), {})

    def out_of_memory(words, prog_name):
        raise kind("OOM when allocating tensor")

    monkeypatch.setattr(application, "app", out_of_memory)
    with pytest.raises(SystemExit) as caught:
        cli.main(["models"])
    assert caught.value.code == 2
    assert "--set batch_size=16" in capsys.readouterr().err
    with pytest.raises(kind):
        cli.main(["models", "--debug"])


def test_names_that_the_terminal_cannot_show_are_escaped(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setattr(application, "app", lambda words, prog_name: print("Яна \udce9"))
    cli.main(["models"])
    terminal.flush()
    assert terminal.buffer.getvalue().split() == [rb"\u042f\u043d\u0430", rb"\udce9"]


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["train"], "Missing option '--out'"),
        (["trian"], "No such command 'trian'. Did you mean 'train'?"),
        (["train", "demo", "--daat", "x"], "No such option: --daat (Possible options: --data)"),
        (["predict"], "Missing argument 'MODEL... IMAGES...'"),
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


@pytest.mark.parametrize(
    ("words", "suggestion"),
    [
        (["train", "demo", "--epochs", "3"], "--set epochs=3. Received: --epochs."),
        (["train", "demo", "--lr=0.1", "--out", "x"], "--set learning_rate=0.1. Received: --lr."),
        (["demo", "--batch-size", "--out", "x"], "--set batch_size=VALUE."),
        (["demo", "--bs", "8"], "--set batch_size=8. Received: --bs."),
    ],
)
def test_keys_that_are_written_as_options(mistake, words, suggestion):
    assert suggestion in mistake(*words)


@pytest.mark.parametrize("place", [0, 1, -1])
def test_debug_raises_the_error(tmp_path, place):
    words = ["train", "demo", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    words += ["--verbose"]
    words.insert(place if place >= 0 else len(words), "--debug")
    with pytest.raises(FileNotFoundError, match="There must be a folder of images") as error:
        cli.main(words)
    assert error.traceback[-1].path.parent.name == "data"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("`far` must be below 1. Received: far=2.", "`--far` must be below 1. Received: --far 2."),
        ("use resume=True (--resume) or far=0.1", "use --resume or --far 0.1"),
        ("Received: out='my run', far=None.", "Received: --out 'my run', no --far."),
        ("Received: [PosixPath('/a b'),\n WindowsPath('c')]", "Received: ['/a b', 'c']"),
        ("no_far=1 and x.far=2 and `far=0.1`", "no_far=1 and x.far=2 and `--far 0.1`"),
    ],
)
def test_messages_in_shell_words(message, expected):
    options = {"far": "--far", "out": "--out", "resume": "--resume"}
    assert in_shell_words(message, options) == expected


def test_errors_name_the_options(mistake, tmp_path):
    words = ["train", "demo", "--data", tmp_path, "--out", tmp_path / "run", "--resume"]
    assert "`--resume` and `--overwrite` are mutually exclusive" in mistake(*words, "--overwrite")


def complete(words, monkeypatch, capsys):
    monkeypatch.setenv("_KERASFACE_COMPLETE", "complete_zsh")
    monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"kerasface {words}")
    with pytest.raises(SystemExit):
        cli.main([])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "found", "missing"),
    [
        ("tr", ["train"], "demo"),
        ("train emb", ["embedding_arcface", "embedding_softmax"], "demo"),
        ("train a", ["auto", "attributes15"], "cs405"),
        ("recipes ", ["hw2p2", "smiling_small"], "auto"),
        ("train demo --set le", ["learning_rate="], "epochs="),
        ("train demo --set optimizer=a", ["optimizer=adam", "optimizer=adamw"], "sgd"),
        ("train demo --set model=convnext_n", ["model=convnext_nano"], "resnet"),
        ("crop a b --detector ", ["blazeface", "mmod", "mtcnn", "retinaface", "yunet"], "train"),
        ("models --task e", ["embedding"], "classes"),
    ],
)
def test_completion(words, found, missing, monkeypatch, capsys):
    out = complete(words, monkeypatch, capsys)
    for word in found:
        assert f'"{word.replace(":", "")}"' in out
    assert missing not in out


def test_completed_names_are_those_that_exist():
    built_in = list_models()["parameters"].dropna()  # others are registered by tests
    assert completion.model_names() == list(built_in.index)
    assert [name for name, _ in completion.complete_recipe("")] == list(RECIPES)
    assert completion.complete_detector("") == list(BUILT_IN)


def test_completion_does_not_import_tensorflow():
    code = (
        "import sys\nfrom kerasface.cli import main\ntry:\n    main([])\n"
        "finally:\n    print('HEAVY', [m for m in ('tensorflow', 'keras') if m in sys.modules])"
    )
    environment = {
        **os.environ,
        "_KERASFACE_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "kerasface train demo --set model=convnext",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
    )
    assert "model=convnext_small" in done.stdout
    assert done.stdout.rstrip().endswith("HEAVY []")


NOISE = (
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795880140.556711   28209 port.cc:153] oneDNN custom operations are on.",
    "2026-11-28 15:00:00.123456: E external/local_xla/xla/stream_executor/cuda.cc:1] cuInit",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.",
)


def test_quiet_drops_log_lines_alone():
    """In a process of its own, since pytest replaces standard error."""
    code = (
        "import logging, os, sys\nfrom kerasface.cli.quiet import quiet_libraries\n"
        "with quiet_libraries():\n"
        f"    os.write(2, {chr(10).join(NOISE)!r}.encode())\n"
        "    os.write(2, b'\\nSegmentation fault\\nF0000 x')\n"
        "    print('from Python', file=sys.stderr)\n"
        "    logging.getLogger('tensorflow').warning('5 out of 5 calls triggered retracing')\n"
        "os.write(2, b'\\nI0000 00:00:1.5 after the block')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert sorted(done.stderr.split("\n")) == sorted(
        ["from Python", "Segmentation fault", "F0000 x", "I0000 00:00:1.5 after the block"]
    )


@pytest.mark.parametrize(("flags", "lines"), [([], 0), (["--verbose"], 1)])
def test_terminal_is_quiet(flags, lines):
    """`recipes NAME` imports TensorFlow."""
    words = [sys.executable, "-m", "kerasface", "recipes", "demo", *flags]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "0"}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0 and "batch_size" in done.stdout
    assert min(1, len(done.stderr.splitlines())) == lines
