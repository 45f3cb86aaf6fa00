"""What several commands share: exit codes, warnings, metrics and progress."""

from __future__ import annotations

import contextlib
import pathlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import TextIO

from kerasface import files

USER_ERROR = 2
INTERRUPTED = 130


@contextlib.contextmanager
def one_line_warnings() -> Iterator[None]:
    """Prints warnings for the user in one line each, without their place in the code."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        print(f"Warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        # At the end, so that warnings of the libraries below stay silent.
        warnings.simplefilter("always", UserWarning, append=True)
        warnings.showwarning = show
        yield


def check_new_file(
    path: pathlib.Path, overwrite: bool, *suffixes: str, option: str = "--out"
) -> None:
    """Refuses a file that exists or cannot be written to, before any work.

    Args:
        path: The file.
        overwrite: Whether ``--overwrite`` was given.
        *suffixes: Accepted suffixes; none accepts all.
        option: Name of the option.
    """
    files.check_file_to_write(option, path, suffixes=suffixes, overwrite=overwrite)


def check_new_folder(path: pathlib.Path, overwrite: bool, option: str = "--out") -> None:
    """Refuses a folder that holds files or cannot be written to, before any work.

    Args:
        path: The folder.
        overwrite: Whether ``--overwrite`` was given.
        option: Name of the option.
    """
    files.check_folder_to_write(option, path, overwrite=overwrite)


def print_metrics(metrics: Mapping[str, float | int]) -> None:
    """Prints one metric per line."""
    width = max(len(name) for name in metrics)
    for name, value in metrics.items():
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
        print(f"{name:{width}} {shown}")


def verbosity() -> int:
    """``verbose`` of the library: a progress bar on a terminal, a few lines in a file."""
    return 1 if sys.stderr.isatty() else 2
