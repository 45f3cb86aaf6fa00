"""Tests of the progress bar, on a terminal and in a file."""

import io
import types

import pytest

from kerasface import progress
from kerasface.progress import ProgressBar, track


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    """Replaces the module `time`; `seconds` is set by the test."""

    def __init__(self):
        self.seconds = 0.0

    def monotonic(self):
        return self.seconds


def replace_stderr(monkeypatch, stream):
    # Not in `sys`, where pytest's own capture replaces it again.
    monkeypatch.setattr(progress, "sys", types.SimpleNamespace(stderr=stream))
    return stream


@pytest.fixture
def terminal(monkeypatch):
    return replace_stderr(monkeypatch, Terminal())


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_bar_on_a_terminal(terminal):
    with ProgressBar(40, "Cropping", verbose=1) as bar:
        for _ in range(4):
            bar.update(10)
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("Cropping: 100% |")
    assert "40/40 images [" in last
    assert " images/s, " in last


def test_bar_of_unknown_length_on_a_terminal(terminal):
    with ProgressBar(None, "Writing", verbose=1) as bar:
        bar.update(7)
    last = terminal.getvalue().split("\r")[-1]
    assert last.startswith("Writing: 7 images [")
    assert "None" not in last
    assert "?" not in last.split("[")[0]


def test_lines_in_a_file(capsys, clock):
    with ProgressBar(1200, "Checking", verbose=1) as bar:
        for second in range(1, 61):
            clock.seconds = float(second)
            bar.update(20)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Checking: 600 of 1,200 images (50%), 20.0 images/s, 00:30 remaining",
        "Checking: 1,200 of 1,200 images (100%), 20.0 images/s, 00:00 remaining",
        "Checking: 1,200 images in 01:00 (20.0 images/s)",
    ]


def test_lines_of_unknown_length(capsys, clock):
    with ProgressBar(None, "Writing", unit="pairs", verbose=1) as bar:
        clock.seconds = 30.0
        bar.update(3000)
    assert capsys.readouterr().err.splitlines() == [
        "Writing: 3,000 pairs, 100.0 pairs/s",
        "Writing: 3,000 pairs in 00:30 (100.0 pairs/s)",
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(9.9, ""), (10.0, "Reading: 5 images in 00:10 (0.5 images/s)\n")],
)
def test_last_line_of_short_loops(capsys, clock, seconds, expected):
    for item in track(range(5), 5, "Reading", verbose=1):
        clock.seconds = seconds * (item + 1) / 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == expected


def test_speed_counts_only_new_images(capsys, clock):
    with ProgressBar(100, "Cropping", initial=80, verbose=1) as bar:
        clock.seconds = 30.0
        bar.update(15)
    assert capsys.readouterr().err.splitlines()[0] == (
        "Cropping: 95 of 100 images (95%), 0.5 images/s, 00:10 remaining"
    )


def test_batches_count_their_images(terminal):
    batches = [[1, 2, 3], [4, 5]]
    assert list(track(batches, 5, "Predicting", size=len, verbose=1)) == batches
    assert "5/5 images" in terminal.getvalue()


@pytest.mark.parametrize("shown", [True, False])
def test_silent(shown, monkeypatch):
    stream = replace_stderr(monkeypatch, Terminal() if shown else io.StringIO())
    assert list(track(range(3), 3, "Reading", verbose=0)) == [0, 1, 2]
    assert stream.getvalue() == ""


def test_nested_bar_is_silent(terminal):
    for _ in range(2):  # the second bar can be shown after the first one has ended
        with ProgressBar(2, "Outer", verbose=1) as bar:
            for _ in range(2):
                list(track(range(3), 3, "Inner", verbose=1))
                bar.update()
    assert terminal.getvalue().count("Outer: 100%") == 2
    assert "Inner" not in terminal.getvalue()


def test_failed_loop_prints_no_result_and_releases_the_bar(capsys, clock):
    def images():
        yield 1
        clock.seconds = 20.0
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        list(track(images(), 2, "First", verbose=1))
    for _ in track([1], 1, "Second", verbose=1):
        clock.seconds = 40.0
    error = capsys.readouterr().err
    assert "First" not in error
    assert error.startswith("Second: 1 images")


def test_no_standard_error(monkeypatch, capsys):
    replace_stderr(monkeypatch, None)  # Python without a console on Windows
    list(track([1], 1, "Reading", verbose=1))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("verbose", [2, "auto", True])
def test_values_of_keras_show_progress(verbose, terminal):
    list(track([1], 1, "Reading", verbose=verbose))
    assert "Reading" in terminal.getvalue()


@pytest.mark.parametrize("verbose", [3, "yes", None, -1])
def test_other_values_are_refused(verbose):
    with pytest.raises(ValueError, match=r"`verbose` must be 0 .*Received: verbose="):
        ProgressBar(1, "Reading", verbose=verbose)
