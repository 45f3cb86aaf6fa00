"""The command line application: its commands, its errors and its entry point."""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand

from kerasface import __version__
from kerasface.cli.console import USER_ERROR
from kerasface.cli.evaluation import compare, evaluate
from kerasface.cli.faces import crop, faces, split
from kerasface.cli.old_forms import refuse_old_form
from kerasface.cli.people import identify, match
from kerasface.cli.prediction import predict, submit
from kerasface.cli.quiet import quiet_libraries
from kerasface.cli.recipes import models, recipes
from kerasface.cli.shell_words import in_shell_words
from kerasface.cli.training import demo, train
from kerasface.cli.verification import verify

COMMANDS = (
    *(faces, crop, split),
    *(demo, recipes, models, train),
    *(evaluate, compare),
    *(predict, submit),
    *(verify, identify, match),
)

# Options of every command; the parser of the application lists them in its help.
DEBUG, VERBOSE = "--debug", "--verbose"


class Command(TyperCommand):
    """A command whose help names its arguments as a user types them, without Python's types."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for parameter in self.params:
            if isinstance(parameter, TyperArgument):
                vars(parameter)["display_type_rich"] = lambda ctx: ""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Returns the arguments, then ``[OPTIONS]``."""
        pieces = []
        for parameter in self.get_params(ctx):
            if isinstance(parameter, TyperArgument):
                name = parameter.metavar or str(parameter.name).upper()
                is_optional = not parameter.required and not name.startswith("[")
                pieces.append(f"[{name}]" if is_optional else name)
        return [*pieces, "[OPTIONS]"]


app = typer.Typer(
    name="kerasface",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Face classification in Keras: from a folder of faces to a trained model.",
    epilog="Start with `kerasface demo`: it draws faces, trains on them and lists its output.",
)
for command in COMMANDS:
    app.command(cls=Command)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"kerasface {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[
        bool,
        typer.Option(VERBOSE, help="Show the log lines of TensorFlow. For every command."),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option(
            DEBUG, help="Show the log lines and the traceback of an error. For every command."
        ),
    ] = False,
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
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug, verbose = DEBUG in given, VERBOSE in given
    words = [word for word in given if word not in (DEBUG, VERBOSE)]
    # Set before TensorFlow is imported. TensorFlow does not use its oneDNN kernels on older
    # processors, where these networks train a fifth faster with them.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # Names of files and people that the terminal cannot show are escaped.
        sys.stdout.reconfigure(errors="backslashreplace")
    with contextlib.nullcontext() if debug or verbose else quiet_libraries():
        _run(words, debug=debug)


def _run(words: list[str], *, debug: bool) -> None:
    try:
        refuse_old_form(words)
        refuse_keys_as_options(words)
        app(_repeat_set(words), prog_name="kerasface")
    except (ValueError, OSError, RuntimeError) as error:
        if debug:
            raise
        print(f"kerasface: {in_shell_words(str(error), command_options(words))}", file=sys.stderr)
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


def command_options(words: Sequence[str]) -> dict[str, str]:
    """Returns the options of the command in some words.

    Args:
        words: The command and its arguments.

    Returns:
        Name of the parameter in Python to the option, such as ``{"batch_size": "--batch-size"}``.
    """
    functions = {function.__name__: function for function in COMMANDS}
    name = next((word for word in words if word in functions), None)
    if name is None:
        return {}
    commands = getattr(typer.main.get_command(app), "commands", {})
    return {
        str(parameter.name): parameter.opts[0]
        for parameter in commands[name].params
        if not isinstance(parameter, TyperArgument)
    }


def refuse_keys_as_options(words: Sequence[str]) -> None:
    """Refuses keys of a recipe that are written as options, such as ``--epochs 30``.

    Args:
        words: The command and its arguments.

    Raises:
        ValueError: If an option of `train` or `demo` is a key, or another library's name of one.
    """
    if not words or words[0] not in ("train", "demo"):
        return
    from kerasface.runs.other_names import OWN_NAME
    from kerasface.runs.recipe_keys import KEYS

    repeated = _repeat_set(list(words))
    for before, word in zip(["", *repeated], repeated, strict=False):
        if before == "--set" and "=" not in word:
            raise ValueError(
                f"`--set` takes KEY=VALUE, for example --set epochs=30. Received: --set {word}."
            )
        if before != "--set" and word.partition("=")[0].partition(".")[0] in KEYS and "=" in word:
            raise ValueError(
                f"Keys of the recipe are changed with --set, here --set {word}. Received: {word}."
            )
    options = command_options(words).values()
    for index, word in enumerate(words):
        name, _, value = word.removeprefix("--").replace("-", "_").partition("=")
        key = name if name in KEYS else OWN_NAME.get(name.lower())
        option = word.partition("=")[0]
        if not word.startswith("--") or option in options or key is None:
            continue
        value = value or next(iter(words[index + 1 : index + 2]), "")
        value = "VALUE" if not value or value.startswith("-") else value
        raise ValueError(
            f"Keys of the recipe are changed with --set, here --set {key}={value}. "
            f"Received: {option}."
        )


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
