"""Which epochs of a run are complete, and what its history says about them."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator

import numpy as np
import pandas as pd

from kerasface.runs.recipe import Recipe
from kerasface.runs.run import Run


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of a training that is compiled on its own.

    Attributes:
        index: Position among the phases, from 0.
        recipe: The recipe with the options of this phase.
        start: First epoch, counted from 0 over the whole run.
        end: First epoch after it.
    """

    index: int
    recipe: Recipe
    start: int
    end: int


class Progress:
    """The phases of a run and how far they have come.

    Everything but the number of completed epochs is read from ``history.csv``, so a resumed run
    decides as the uninterrupted one.

    Args:
        folder: The run folder.
        recipe: The recipe of the run.
        completed: Number of epochs that a checkpoint holds; 0 for a new run.
    """

    def __init__(self, folder: pathlib.Path, recipe: Recipe, completed: int = 0):
        self.folder = folder
        self.recipe = recipe
        self.completed = completed
        phases, start = [], 0
        for index, part in enumerate(recipe.parts()):
            phases.append(Phase(index, part, start, start + part.total_epochs))
            start += part.total_epochs
        self.phases = tuple(phases)

    def remaining(self) -> Iterator[Phase]:
        """Yields each phase with epochs left, as they are when the phase before it has ended."""
        for phase in self.phases:
            if self.completed < phase.end and not self.stopped_early(phase, self.completed):
                yield phase

    def first_epoch(self, phase: Phase) -> int:
        """The first epoch of a phase that is not complete, counted from 0 over the whole run."""
        return max(phase.start, self.completed)

    def phase_history(self, phase: Phase, completed: int | None = None) -> pd.DataFrame:
        """The rows of ``history.csv`` that belong to a phase.

        Args:
            phase: The phase.
            completed: Number of completed epochs. The history may have more rows than a
                checkpoint has epochs. None takes all rows.
        """
        history = Run(self.folder).history
        if not len(history):
            return history
        end = phase.end if completed is None else min(completed, phase.end)
        return history[(history["epoch"] > phase.start) & (history["epoch"] <= end)]

    def stopped_early(self, phase: Phase, completed: int | None = None) -> bool:
        """Whether the best epoch of a phase is ``early_stopping`` epochs ago.

        Args:
            phase: The phase.
            completed: As in `phase_history`.
        """
        patience, monitor = self.recipe.early_stopping, self.recipe.monitor
        history = self.phase_history(phase, completed)
        if not patience or monitor not in history or not len(history):
            return False
        return len(history) - 1 - best_row(history, monitor) >= patience

    def last_is_kept(self) -> bool:
        """Whether the model file takes the weights of the last epoch in the history."""
        history = Run(self.folder).history
        if self.recipe.keep == "last" or self.recipe.monitor not in history:
            return True
        return best_row(history, self.recipe.monitor) == len(history) - 1


def best_row(history: pd.DataFrame, monitor: str) -> int:
    """The position of the best epoch; the first of equal ones, and NaN is worst.

    Args:
        history: One row per epoch.
        monitor: Column to compare; smaller is better where its name ends in ``loss``.
    """
    values = history[monitor].to_numpy(float)
    if monitor.endswith("loss"):
        return int(np.where(np.isnan(values), np.inf, values).argmin())
    return int(np.where(np.isnan(values), -np.inf, values).argmax())


def plateaus(values: pd.Series, monitor: str, patience: int) -> int:
    """How often ``patience`` epochs in a row brought no better value.

    Args:
        values: One value per epoch.
        monitor: Name of the value; smaller is better where it ends in ``loss``.
        patience: Number of epochs; the count starts again after each plateau.
    """
    sign = 1 if monitor.endswith("loss") else -1
    best, waited, count = np.inf, 0, 0
    for value in sign * values.to_numpy(float):
        waited = 0 if value < best else waited + 1
        best = min(best, value) if value == value else best
        if waited == patience:
            count, waited = count + 1, 0
    return count
