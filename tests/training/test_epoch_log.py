"""What a training shows while it runs."""

import io
import re
import sys

import pytest

from kerasface.training.epoch_log import EpochLog, shown_verbosity


class Terminal(io.StringIO):
    def isatty(self):
        return True


def show_two_epochs(log):
    for epoch in range(2):
        log.on_epoch_begin(epoch)
        for step in range(3):
            log.on_train_batch_end(step)
        log.on_test_begin()
        for step in range(2):
            log.on_test_batch_end(step)
        log.on_epoch_end(epoch, {"val_loss": 2.0, "accuracy": 0.25, "loss": 3.5})


LINE = r"Epoch {}/2  loss 3\.5000  accuracy 25\.0%  val_loss 2\.0000  [\d,]+ images/s  0 s{}"


@pytest.mark.parametrize("verbose", [1, 2])
def test_one_line_per_epoch(capsys, verbose):
    show_two_epochs(EpochLog(2, 24, 3, 12, verbose=verbose))
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert re.fullmatch(LINE.format(1, ", 0 s left"), first)
    assert re.fullmatch(LINE.format(2, ""), second)
    assert err == ""


def test_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    log = EpochLog(2, 24, 3, 12)
    log.on_epoch_begin(0)
    done = []
    for step in range(3):
        log.on_train_batch_end(step)
        done.append(log._bar.done)
    log.on_test_batch_end(0)
    assert done == [8, 16, 24]
    assert log._bar.done == 32
    log.close()
    text = sys.stderr.getvalue()
    assert "Epoch 1/2:" in text and "images/s" in text
    assert text.rstrip(" ").endswith("\r")  # the bar is removed


def test_auto_is_a_bar_on_a_terminal_only(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert shown_verbosity("auto") == 1
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert shown_verbosity("auto") == 2
    assert [shown_verbosity(verbose) for verbose in (0, 1, 2)] == [0, 1, 2]
