"""What several commands share: exit codes, warnings, metrics and progress."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import TextIO

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
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = show
        yield


def print_metrics(metrics: Mapping[str, float | int]) -> None:
    """Prints one metric per line."""
    for name, value in metrics.items():
        print(f"{name:28} {value:,}" if isinstance(value, int) else f"{name:28} {value:.4f}")


def verbosity() -> int:
    """Keras's ``verbose``: a progress bar on a terminal, one line per epoch in a file."""
    return 1 if sys.stdout.isatty() else 2
