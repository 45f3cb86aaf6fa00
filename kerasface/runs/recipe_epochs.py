"""What follows from another number of epochs: phases, warmup and epochs without mixing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def distribute_epochs(
    phases: Sequence[Mapping[str, Any]], epochs: int, *, warmup: int = 0
) -> tuple[dict[str, Any], ...]:
    """Distributes a number of epochs over phases, in the proportion of their present epochs.

    Args:
        phases: The phases, each with ``epochs``.
        epochs: Number of epochs in all, at least 1.
        warmup: Epochs of warmup of a phase that has none of its own.

    Returns:
        The phases with their new epochs, and with a shorter warmup where it would be too long. A
        phase that would have no epochs is left out.

    Example:
        >>> distribute_epochs([{"epochs": 3, "trainable": "head"}, {"epochs": 7}], 1)
        ({'epochs': 1},)
    """
    total = sum(phase["epochs"] for phase in phases)
    exact = [phase["epochs"] * epochs / total for phase in phases]
    counts = [int(count) for count in exact]
    # The largest remainders are rounded up; of equal ones the first.
    order = sorted(range(len(phases)), key=lambda index: counts[index] - exact[index])
    for index in order[: epochs - sum(counts)]:
        counts[index] += 1
    changed = []
    for phase, count in zip(phases, counts, strict=True):
        own = phase.get("warmup_epochs", warmup)
        fitting = fitting_warmup(own, phase["epochs"], count)
        shorter = {"warmup_epochs": fitting} if fitting != own else {}
        if count:
            changed.append({**phase, "epochs": count, **shorter})
    return tuple(changed)


def extend_last_phase(
    phases: Sequence[Mapping[str, Any]], epochs: int
) -> tuple[dict[str, Any], ...]:
    """Gives the epochs that are added to a training to its last phase.

    Args:
        phases: The phases, each with ``epochs``.
        epochs: New number of epochs in all.
    """
    *first, last = (dict(phase) for phase in phases)
    rest = epochs - sum(phase["epochs"] for phase in first)
    return (*first, {**last, "epochs": rest})


def fitting_warmup(warmup: int, before: int, epochs: int) -> int:
    """Returns the warmup of a training with another number of epochs.

    Args:
        warmup: Epochs of warmup.
        before: Number of epochs that it was meant for.
        epochs: New number of epochs.

    Returns:
        The same warmup if it is shorter than the training, otherwise its share, rounded down.
    """
    return warmup if warmup < epochs else warmup * epochs // before


def fitting_unmixed(unmixed: int, before: int, epochs: int) -> int:
    """Returns the epochs without mixing of a training with another number of epochs.

    Args:
        unmixed: Epochs without mixing.
        before: Number of epochs that they were meant for.
        epochs: New number of epochs.

    Returns:
        The same share, rounded up; at least one epoch is mixed if there are two or more.
    """
    return unmixed if epochs == before else min(-(-unmixed * epochs // before), epochs - 1)
