"""Moving average of the weights (EMA), which is evaluated and saved if a recipe uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


class EvaluateAverage(keras.callbacks.Callback):
    """Replaces the weights by their moving average, which the optimizer keeps (EMA).

    The average is in place from the validation to the end of the epoch, so that all callbacks
    after this one see the weights that were validated, and after the training.

    Keras's ``SwapEMAWeights`` swaps by adding and subtracting, which rounds; a resumed run would
    not repeat its history.
    """

    def __init__(self) -> None:
        super().__init__()
        self._raw: list[np.ndarray] | None = None

    @property
    def raw(self) -> list[np.ndarray]:
        """The trainable variables as the optimizer left them."""
        if self._raw is not None:
            return self._raw
        return [variable.numpy() for variable in self.model.trainable_variables]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Restores the weights."""
        if self._raw is not None:
            assign(self.model.trainable_variables, self._raw)
            self._raw = None

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Replaces the weights before the validation."""
        self._raw = self.raw
        assign(self.model.trainable_variables, averaged(self.model))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Replaces the weights if there was no validation."""
        if self._raw is None:
            self.on_test_begin()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Leaves the average in the model."""
        assign(self.model.trainable_variables, averaged(self.model))
        self._raw = None


def averaged(model: keras.Model) -> list[np.ndarray]:
    """Returns the moving averages of the trainable variables of a compiled model, in order."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    # Keras has no public name for them.
    averages = optimizer._model_variables_moving_average
    # The mean of unit vectors is shorter than they are, so a layer's constraint holds for the
    # average too.
    return [
        np.asarray(variable.constraint(average) if variable.constraint else average)
        for variable, average in zip(model.trainable_variables, averages, strict=True)
    ]


def assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    """Assigns arrays to variables, one by one."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
