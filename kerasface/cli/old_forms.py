"""Answers commands in the form of version 0.1 with the present form."""

from __future__ import annotations

import pathlib
import shlex
from collections.abc import Sequence

MODEL_OPTION = "--model"
IMAGES_FIRST = ("verify", "identify")
HELP = ("--help", "-h")
FLAGS = (
    *("--detect", "--no-detect", "--flip", "--no-flip"),
    *("--allow-seen", "--overwrite", "--verbose", "--debug"),
)
# Options of `identify` that are arguments now.
GALLERY_AND_PROBES = ("--gallery", "--probe", "--probes")
# Of each command, options and what they are called now.
RENAMED = {
    "crop": {"--rule": "--faces"},
    "predict": {"--crop": "--detect --detector"},
}


def refuse_old_form(words: Sequence[str]) -> None:
    """Refuses a command in its old form and shows the present one.

    Args:
        words: The command and its arguments, as in ``verify RUN A B``.

    Raises:
        ValueError: If the command is in its old form.

    Example:
        >>> refuse_old_form(["verify", "run", "a.jpg", "b.jpg"])
        Traceback (most recent call last):
        ValueError: `verify` takes its model with --model. Received: kerasface verify run a.jpg \
b.jpg. Use: kerasface verify a.jpg b.jpg --model run
    """
    if not words or any(word in HELP for word in words):
        return
    command, *rest = words
    rule, present = "", None
    if command in RENAMED:
        rule, present = _renamed(rest, RENAMED[command])
    elif command in IMAGES_FIRST:
        rule = f"`{command}` takes its model with {MODEL_OPTION}."
        present = _with_model_option(rest)
    if present is not None:
        raise ValueError(
            f"{rule} Received: kerasface {shlex.join(words)}. "
            f"Use: kerasface {shlex.join([command, *present])}"
        )


def _renamed(words: Sequence[str], names: dict[str, str]) -> tuple[str, list[str] | None]:
    """Why the words are in an old form, and the words with the present names of options."""
    split = _split_options(words, names)
    old = next((word for word in split if word in names), None)
    if old is None:
        return "", None
    present = [part for word in split for part in names.get(word, word).split(" ")]
    return f"`{old}` is now `{names[old]}`.", present


def _with_model_option(words: Sequence[str]) -> list[str] | None:
    """The words of verify or identify with the model as an option; None if it is one already."""
    if any(word.split("=")[0] == MODEL_OPTION for word in words):
        return None
    arguments: list[str] = []
    moved: dict[str, str] = {}
    options: list[str] = []
    remaining = iter(_split_options(words, GALLERY_AND_PROBES))
    for word in remaining:
        if word in GALLERY_AND_PROBES:
            moved[word] = next(remaining, word.lstrip("-").upper())
        elif not word.startswith("-"):
            arguments.append(word)
        else:
            options.append(word)
            if word not in FLAGS and "=" not in word:
                options += [value for value in [next(remaining, None)] if value is not None]
    if not arguments:
        return None
    people = [moved[word] for word in GALLERY_AND_PROBES if word in moved]
    is_model = pathlib.Path(arguments[0]).suffix in ("", ".keras")
    if people or len(arguments) == 3 or (len(arguments) == 1 and is_model):
        return [*arguments[1:], *people, *options, MODEL_OPTION, arguments[0]]
    return None


def _split_options(words: Sequence[str], names: Sequence[str] | dict[str, str]) -> list[str]:
    """Splits ``--option=value`` of the named options into two words."""
    split: list[str] = []
    for word in words:
        name, equals, value = word.partition("=")
        split += [name, value] if equals and name in names else [word]
    return split
