"""Messages of the library in the words of a shell: ``--threshold`` in place of ``threshold=``."""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Mapping

PATH = re.compile(r"(?:Posix|Windows|Pure)?(?:Posix|Windows)?Path\(('[^']*'|\"[^\"]*\")\)")
VALUE = r"'[^']*'|\"[^\"]*\"|\[[^\]]*\]|[^\s,;)`]*[^\s,;).`]"


def in_shell_words(message: str, options: Mapping[str, str]) -> str:
    """Rewrites the parameters of a function in a message as the options of its command.

    Args:
        message: Message of an error or a warning.
        options: Name of a parameter to its option, for instance ``{"far": "--far"}``.

    Returns:
        The message in one line.

    Example:
        >>> in_shell_words("`far` must be a number. Received: far=2.", {"far": "--far"})
        '`--far` must be a number. Received: --far 2.'
    """
    text = PATH.sub(r"\1", " ".join(message.split()))
    # Messages for Python and the shell name the option in brackets already.
    text = re.sub(
        r"`?(\w+)(?:=True)?`? \((--[\w-]+)\)", functools.partial(_only_option, options), text
    )
    for name, option in options.items():
        text = text.replace(f"`{name}`", f"`{option}`")
        written = functools.partial(_with_value, option)
        text = re.sub(rf"(?<![\w.-]){name}=({VALUE})", written, text)
    return text


def _only_option(options: Mapping[str, str], found: re.Match[str]) -> str:
    return found[2] if options.get(found[1]) == found[2] else found[0]


def _with_value(option: str, found: re.Match[str]) -> str:
    return _word(option, found[1])


def _word(option: str, value: str) -> str:
    """An option with its value as a user types it."""
    if value == "True":
        return option
    if value in ("False", "None"):
        return f"no {option}"
    if value[0] in "'\"":
        value = shlex.quote(value[1:-1])
    return f"{option} {value}"
