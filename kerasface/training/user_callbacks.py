"""Runs users' callbacks across phases, as in one training of the whole model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from kerasface.callbacks.types import Logs


class UserCallbacks(keras.callbacks.Callback):
    """Forwards the events of several calls of ``fit`` to callbacks as those of one call.

    Each phase is a separate call of ``fit``, and its model may be a head on cached features.
    The callbacks get the whole model, one ``on_train_begin`` and, from `end`, one
    ``on_train_end``.

    Args:
        callbacks: The user's callbacks.
        whole: The whole model.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback], whole: keras.Model):
        super().__init__()
        self.callbacks = tuple(callbacks)
        self.whole = whole
        self._begun = False
        self._last_logs: Logs = None

    def end(self) -> None:
        """Ends the training for the callbacks, if it has begun."""
        if self._begun:
            for callback in self.callbacks:
                callback.on_train_end(self._last_logs)

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self.whole.stop_training = False
        for callback in self.callbacks:
            callback.set_model(self.whole)

    def on_train_begin(self, logs: Logs = None) -> None:
        if not self._begun:
            self._begun = True
            for callback in self.callbacks:
                callback.on_train_begin(logs)

    def on_train_end(self, logs: Logs = None) -> None:
        self._last_logs = logs

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
        self._pass_stop_on()

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        for callback in self.callbacks:
            callback.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)
        self._pass_stop_on()

    def on_test_begin(self, logs: Logs = None) -> None:
        for callback in self.callbacks:
            callback.on_test_begin(logs)

    def on_test_end(self, logs: Logs = None) -> None:
        for callback in self.callbacks:
            callback.on_test_end(logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        for callback in self.callbacks:
            callback.on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        for callback in self.callbacks:
            callback.on_test_batch_end(batch, logs)

    def _pass_stop_on(self) -> None:
        if self.whole.stop_training:
            self.model.stop_training = True
