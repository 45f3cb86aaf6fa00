"""Plateau schedule that resumed runs continue exactly."""

from __future__ import annotations

from typing import Any

import keras

from kerasface.training.progress import Phase, Progress, plateaus


class Plateau(keras.callbacks.Callback):
    """Lowers the learning rate when the monitored value stops improving.

    Keras's ``ReduceLROnPlateau`` keeps its state in attributes, which a resumed run would lose.
    This callback reads the history instead.

    Args:
        progress: Holds the history.
        phase: The phase, with its schedule.
    """

    def __init__(self, progress: Progress, phase: Phase):
        super().__init__()
        self.progress = progress
        self.phase = phase

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the learning rate for the next epoch."""
        recipe = self.phase.recipe
        values = self.progress.phase_history(self.phase)[recipe.monitor]
        drops = plateaus(values, recipe.monitor, recipe.decay_epochs)
        self.model.optimizer.learning_rate = recipe.learning_rate * recipe.decay_factor**drops
