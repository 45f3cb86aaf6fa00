"""What the curves of a training suggest to try next.

The rules read nothing but the history. They can be wrong, so the notes say what is seen first and
then what may help. With fewer than five epochs there are no notes.

- *Not a number*: a loss is not finite in some epoch.
- *Learning rate too high*: the training loss is at the end above its first value, or it rises by
  more than 10% in at least a quarter of the epochs (and in two or more).
- *Hardly learned*: the training loss falls by less than 1% in all.
- *Overfitting*: the validation loss rises by more than 5% after its lowest value while the
  training loss falls further by more than 5%, and the lowest value is at least two epochs and a
  tenth of the training before the end. Or, where the training accuracy is comparable, it is at the
  end at least 15 points above that of the validation images.
- *Stopped early*: none of the above, and in the last fifth of the epochs (at least two) the
  validation loss still falls by more than 3%, with its lowest value in the last epoch.
- *Underfitting*: none of the above, the training accuracy is comparable and below 90% and at most
  5 points above that of the validation images, and in the last fifth of the epochs the training
  loss falls by less than 2%.

The training accuracy is comparable unless images are mixed, or a margin makes the training harder.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

FEWEST_EPOCHS = 5
JUMP = 0.10  # rise of the training loss in one epoch
JUMPING_SHARE, FEWEST_JUMPS = 0.25, 2
MOVED = 0.01  # fall of the training loss in all
OVERFITTED = 0.05  # rise of the validation loss after its lowest value
GAP = 0.15  # training accuracy minus validation accuracy
IMPROVING = 0.03  # fall of the validation loss in the last epochs
LAST_SHARE, FEWEST_LAST = 0.2, 2
FITTED = 0.90  # training accuracy
SMALL_GAP = 0.05
FLAT = 0.02  # fall of the training loss in the last epochs


@dataclass(frozen=True)
class Note:
    """What the curves suggest.

    Attributes:
        title: Name of the pattern.
        seen: What is seen in the curves.
        advice: What may help.
    """

    title: str
    seen: str
    advice: str


def curve_notes(history: pd.DataFrame, *, comparable: bool = True) -> list[Note]:
    """Reads the curves of a training; see the module's text for the rules.

    Args:
        history: One row per epoch: ``epoch``, ``loss`` and, if present, ``val_loss``,
            ``accuracy`` and ``val_accuracy``. Validation values may be missing in some epochs.
        comparable: If False, the training accuracy is not compared with that of the validation
            images: images are mixed or a margin makes the training harder.

    Returns:
        The notes, the most important first. Empty if no rule applies.

    Example:
        >>> history = pd.DataFrame({"epoch": range(1, 7), "loss": [2, 1.6, 1.2, 0.8, 0.4, 0.2]})
        >>> history["val_loss"] = [2.1, 1.7, 1.5, 1.6, 1.9, 2.3]
        >>> [note.title for note in curve_notes(history)]
        ['Overfitting']
    """
    if len(history) < FEWEST_EPOCHS or "loss" not in history:
        return []
    broken = _not_a_number(history)
    if broken:
        return [broken]
    notes = [_rate_too_high(history) or _hardly_learned(history), _overfitting(history, comparable)]
    found = [note for note in notes if note]
    if not found:
        last = _stopped_early(history) or (_underfitting(history) if comparable else None)
        found = [last] if last else []
    return found


def _not_a_number(history: pd.DataFrame) -> Note | None:
    bad = ~np.isfinite(history["loss"].to_numpy(float))
    if not bad.any():
        return None
    epoch = int(history["epoch"].iloc[int(bad.argmax())])
    return Note(
        "The loss is not a number",
        f"The training loss is not finite from epoch {epoch} on, so the weights are unusable "
        "from there.",
        "A lower learning rate, a longer warmup, or the precision float32.",
    )


def _rate_too_high(history: pd.DataFrame) -> Note | None:
    losses = history["loss"].to_numpy(float)
    rises = losses[1:] > losses[:-1] * (1 + JUMP)
    count = int(rises.sum())
    if losses[-1] > losses[0]:
        seen = (
            f"The training loss is higher at the end ({losses[-1]:.3g}) than in the first epoch "
            f"({losses[0]:.3g})."
        )
    elif count >= max(FEWEST_JUMPS, JUMPING_SHARE * len(rises)):
        seen = (
            f"The training loss rises by more than {JUMP:.0%} in {count} of {len(rises)} epochs "
            "instead of falling steadily."
        )
    else:
        return None
    return Note(
        "The learning rate may be too high",
        seen,
        "A third of the learning rate, or a longer warmup. Very small batches also make the loss "
        "jump; a larger batch size or more batches per update make it steadier.",
    )


def _hardly_learned(history: pd.DataFrame) -> Note | None:
    losses = history["loss"].to_numpy(float)
    if losses.min() > (1 - MOVED) * losses[0]:
        return Note(
            "The model hardly learned",
            f"The training loss falls from {losses[0]:.4g} to only {losses.min():.4g} in "
            f"{len(losses)} epochs.",
            "A higher learning rate or more epochs. Also look at some images with their labels: "
            "labels that do not fit the images cannot be learned.",
        )
    return None


def _overfitting(history: pd.DataFrame, comparable: bool) -> Note | None:
    seen = _rising_validation_loss(history)
    gap = _gap(history) if comparable else math.nan
    if gap >= GAP:
        train = float(history["accuracy"].iloc[-1])
        words = (
            f"At the end the accuracy is {train:.1%} on the training images and "
            f"{train - gap:.1%} on the validation images."
        )
        seen = f"{seen} {words}" if seen else words
    if not seen:
        return None
    return Note(
        "Overfitting",
        seen,
        "More images per class first of all. Otherwise stronger augmentation, a pretrained model, "
        "more dropout or weight decay, a smaller network, or early stopping, which saves time.",
    )


def _rising_validation_loss(history: pd.DataFrame) -> str:
    if "val_loss" not in history:
        return ""
    known = history[np.isfinite(history["val_loss"].to_numpy(float))]
    if len(known) < FEWEST_EPOCHS:
        return ""
    values, losses = known["val_loss"].to_numpy(float), known["loss"].to_numpy(float)
    lowest = int(values.argmin())
    epoch = int(known["epoch"].iloc[lowest])
    late = int(known["epoch"].iloc[-1]) - epoch < max(2, 0.1 * len(history))
    rises = values[-1] > (1 + OVERFITTED) * values[lowest] if values[lowest] > 0 else False
    if late or not rises or losses[-1] > (1 - OVERFITTED) * losses[lowest]:
        return ""
    return (
        f"The validation loss is lowest in epoch {epoch} and then rises by "
        f"{values[-1] / values[lowest] - 1:.0%}, while the training loss keeps falling."
    )


def _stopped_early(history: pd.DataFrame) -> Note | None:
    if "val_loss" not in history:
        return None
    known = history[np.isfinite(history["val_loss"].to_numpy(float))]
    values = known["val_loss"].to_numpy(float)
    if len(values) < FEWEST_EPOCHS:
        return None
    last = max(FEWEST_LAST, round(LAST_SHARE * len(values)))
    fall = 1 - values[-1] / values[-1 - last] if values[-1 - last] > 0 else 0.0
    if values.argmin() != len(values) - 1 or fall <= IMPROVING:
        return None
    return Note(
        "The training may have stopped too early",
        f"The validation loss still falls by {fall:.0%} in the last {last} epochs and is lowest "
        "in the last one.",
        "More epochs, in a new run with the whole schedule: a learning rate that has reached its "
        "end cannot be continued.",
    )


def _underfitting(history: pd.DataFrame) -> Note | None:
    gap = _gap(history)
    if not gap <= SMALL_GAP:
        return None
    losses = history["loss"].to_numpy(float)
    train = float(history["accuracy"].iloc[-1])
    last = max(FEWEST_LAST, round(LAST_SHARE * len(losses)))
    if train >= FITTED or losses[-1] < (1 - FLAT) * losses[-1 - last]:
        return None
    return Note(
        "Underfitting",
        f"The accuracy is only {train:.1%} on the training images, little more than on the "
        f"validation images or less, and the training loss hardly falls in the last {last} epochs.",
        "A higher learning rate, weaker augmentation or regularization, larger images, a larger "
        "network or a pretrained model.",
    )


def _gap(history: pd.DataFrame) -> float:
    """Training accuracy minus validation accuracy in the last epoch that has both; else NaN."""
    if not {"accuracy", "val_accuracy"} <= set(history):
        return math.nan
    known = history.dropna(subset=["accuracy", "val_accuracy"])
    if not len(known):
        return math.nan
    return float(known["accuracy"].iloc[-1] - known["val_accuracy"].iloc[-1])
