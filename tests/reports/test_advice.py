"""Notes on curves, on histories that show one pattern each."""

import numpy as np
import pandas as pd
import pytest

from kerasface.reports.advice import curve_notes

OVERFITTING, EARLY, UNDERFITTING = "Overfitting", "stopped too early", "Underfitting"
HIGH_RATE, HARDLY, BROKEN = "rate may be too high", "hardly learned", "not a number"


def history(loss, val_loss=None, accuracy=None, val_accuracy=None):
    columns = {"loss": loss, "val_loss": val_loss}
    columns |= {"accuracy": accuracy, "val_accuracy": val_accuracy}
    frame = pd.DataFrame({key: value for key, value in columns.items() if value is not None})
    return frame.assign(epoch=np.arange(1, len(frame) + 1))


def falling(start, end, epochs=20):
    return np.geomspace(start, end, epochs)


def settling(start, end, epochs=20):
    """Falls fast at first and hardly at the end."""
    return end + (start - end) * np.exp(-np.arange(epochs) / 2)


U_SHAPE = np.concatenate([falling(2, 1, 10), falling(1.02, 1.5, 10)])
ZIGZAG = settling(2, 1) * np.where(np.arange(20) % 3 == 1, 1.3, 1.0)
GOOD = {"accuracy": settling(0.1, 0.97), "val_accuracy": settling(0.1, 0.93)}
POOR = {"accuracy": settling(0.1, 0.5), "val_accuracy": settling(0.1, 0.48)}
GAP = {"accuracy": settling(0.1, 0.99), "val_accuracy": settling(0.1, 0.6)}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (history(settling(2, 0.1), settling(2, 0.2), **GOOD), []),
        (history(falling(2, 0.1), U_SHAPE), [OVERFITTING]),
        (history(settling(2, 0.1), settling(2, 0.9), **GAP), [OVERFITTING]),
        (history(falling(2, 0.1), falling(2, 0.2), **GAP), [OVERFITTING]),  # not "too early"
        (history(falling(2, 0.5), falling(2, 0.6)), [EARLY]),
        (history(falling(2, 0.5)), []),  # no validation
        (history(settling(2, 1.4), settling(2, 1.5), **POOR), [UNDERFITTING]),
        (history(ZIGZAG, settling(2, 1)), [HIGH_RATE]),
        (history(falling(2, 8), settling(2, 1)), [HIGH_RATE]),
        (history(ZIGZAG * falling(1, 0.2), U_SHAPE), [HIGH_RATE, OVERFITTING]),
        (history(np.linspace(2, 1.99, 20), settling(2, 1.99)), [HARDLY]),
        (history(np.where(np.arange(20) < 7, 1.0, np.nan), falling(2, 1)), [BROKEN]),
        (history(falling(2, 0.1, 4), [2, 1, 3, 9]), []),  # too few epochs
    ],
)
def test_patterns(frame, expected):
    titles = [note.title for note in curve_notes(frame)]
    assert len(titles) == len(expected)
    for title, words in zip(titles, expected, strict=True):
        assert words in title


def test_notes_tell_the_numbers():
    (note,) = curve_notes(history(falling(2, 0.1), U_SHAPE, **GAP))
    assert "lowest in epoch 10" in note.seen and "rises by 50%" in note.seen
    assert "99.0% on the training images and 60.0% on the validation images" in note.seen
    frame = history(np.where(np.arange(20) < 7, 1.0, np.nan))
    assert "from epoch 8 on" in curve_notes(frame)[0].seen


def test_incomparable_accuracies_are_not_compared():
    frame = history(settling(2, 0.1), settling(2, 0.9), **GAP)
    assert curve_notes(frame, comparable=False) == []
    frame = history(settling(2, 1.4), settling(2, 1.5), **POOR)
    assert curve_notes(frame, comparable=False) == []


def test_validation_every_few_epochs():
    values = np.where(np.arange(20) % 2, U_SHAPE, np.nan)
    assert [note.title for note in curve_notes(history(falling(2, 0.1), values))] == [OVERFITTING]
    sparse = np.where(np.arange(20) % 7 == 6, U_SHAPE, np.nan)  # two values say too little
    assert curve_notes(history(falling(2, 0.1), sparse)) == []


def test_one_jump_between_phases_is_no_high_rate():
    losses = np.concatenate([settling(2, 1, 10), settling(1.4, 0.5, 10)])
    assert curve_notes(history(losses, settling(2, 1))) == []
