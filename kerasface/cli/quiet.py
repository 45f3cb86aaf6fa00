"""Keeps the log lines of TensorFlow and its libraries off the terminal."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import TextIO

# Python's loggers of the libraries below.
LOGGERS = ("tensorflow", "absl", "h5py")
# What the C++ code of TensorFlow, XLA, CUDA and absl writes to the file descriptor of standard
# error. TF_CPP_MIN_LOG_LEVEL does not silence the lines that are written during the import.
# Fatal errors (F) are shown.
LOG_LINE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[IWE]\d{4} \d\d:\d\d:\d+\.\d+ "
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
    rb"|To enable the following instructions: "
    rb"|WARNING:tensorflow:"
    rb"|WARNING:absl:"
    rb"|INFO: Created TensorFlow Lite "
)
STANDARD_ERROR = 2
# Modules whose warnings users of the command line cannot act on.
LIBRARIES = r"(keras|tensorflow|numpy|h5py|absl)(\.|$)"


@contextlib.contextmanager
def quiet_libraries() -> Iterator[None]:
    """Drops the log lines of TensorFlow and its libraries inside the block.

    Python's standard error is not filtered. Where it is not the file descriptor of the process, as
    in tests and notebooks, only Python's loggers are silenced.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), _filtered_descriptor():
            warnings.filterwarnings("ignore", module=LIBRARIES)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def _filtered_descriptor() -> Iterator[None]:
    """Filters what C++ code writes to standard error, line by line."""
    python_stream = sys.stderr
    if not _is_standard_error(python_stream):
        yield
        return
    python_stream.flush()
    terminal = os.dup(STANDARD_ERROR)
    reading, writing = os.pipe()
    # Python writes to the terminal itself, so that progress bars are not delayed.
    sys.stderr = os.fdopen(
        os.dup(terminal),
        "w",
        buffering=1,
        encoding=python_stream.encoding,
        errors=python_stream.errors,
    )
    os.dup2(writing, STANDARD_ERROR)
    os.close(writing)
    thread = threading.Thread(target=_copy_lines, args=(reading, terminal), daemon=True)
    thread.start()
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = python_stream
        os.dup2(terminal, STANDARD_ERROR)  # closes the pipe, unless a child process holds it
        thread.join(timeout=1)
        if not thread.is_alive():
            os.close(reading)
            os.close(terminal)


def _is_standard_error(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.fileno() == STANDARD_ERROR
    except (OSError, ValueError, AttributeError):
        return False


def _copy_lines(reading: int, terminal: int) -> None:
    """Copies lines from one file descriptor to another, without log lines."""
    rest = b""
    while block := os.read(reading, 2**16):
        *lines, rest = (rest + block).split(b"\n")
        kept = [line + b"\n" for line in lines if not LOG_LINE.match(line)]
        if kept:
            os.write(terminal, b"".join(kept))
    if rest and not LOG_LINE.match(rest):
        os.write(terminal, rest)
