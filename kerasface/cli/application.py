"""The command line application: its commands, its errors and its entry point."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import Annotated

import typer

from kerasface import __version__
from kerasface.cli.console import USER_ERROR
from kerasface.cli.evaluation import compare, evaluate
from kerasface.cli.faces import crop, faces, split
from kerasface.cli.old_forms import refuse_old_form
from kerasface.cli.people import identify, match, verify
from kerasface.cli.prediction import predict, submit
from kerasface.cli.training import demo, models, train

COMMANDS = (
    *(faces, crop, split),
    *(demo, models, train),
    *(evaluate, compare),
    *(predict, submit),
    *(verify, identify, match),
)

app = typer.Typer(
    name="kerasface",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Face classification in Keras: from a folder of faces to a trained model.",
    epilog="Start with `kerasface demo`: it draws faces, trains on them and lists its output.",
)
for command in COMMANDS:
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"kerasface {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 success, 2 user error, 130 interrupted.

    Args:
        arguments: Words after the program's name. None: those of the shell.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    # Set before TensorFlow is imported. TensorFlow does not use its oneDNN kernels on older
    # processors, where these networks train a fifth faster with them.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files and people that the terminal cannot show are escaped.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        refuse_old_form([word for word in words if word != "--debug"])
        app(_repeat_set([word for word in words if word != "--debug"]))
    except (ValueError, OSError, RuntimeError) as error:
        if debug:
            raise
        print(f"kerasface: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except Exception as error:
        # TensorFlow's errors by name, because TensorFlow is not imported here.
        if debug or type(error).__name__ not in ("MemoryError", "ResourceExhaustedError"):
            raise
        print(
            "kerasface: Not enough memory for one training step. Use smaller batches or images, "
            "for example --set batch_size=16 accumulate_steps=4 or --set image_size=112.",
            file=sys.stderr,
        )
        sys.exit(USER_ERROR)


def _repeat_set(words: list[str]) -> list[str]:
    """Turns ``--set a=1 b=2`` into ``--set a=1 --set b=2``, the form that the parser knows."""
    repeated: list[str] = []
    after_set = False
    for word in words:
        if after_set and repeated[-1] != "--set" and re.match(r"[\w.]+=", word):
            repeated.append("--set")
        elif after_set and repeated[-1] != "--set":
            after_set = False
        after_set = after_set or word == "--set"
        repeated.append(word)
    return repeated
