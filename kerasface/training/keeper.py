"""What a training keeps as it goes: the best weights, checkpoints, and the moving average."""

from __future__ import annotations

import pathlib
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerasface.files import replacing
from kerasface.training import run as run_files
from kerasface.training.assemble import build_model, dtype_policy
from kerasface.training.recipe import Recipe
from kerasface.training.run import Run


class EvaluateAverage(keras.callbacks.Callback):
    """Puts the moving average of the weights that the optimizer keeps (EMA) in their place.

    It is there from the validation to the end of the epoch, so that all callbacks behind this
    one see the weights that were judged, and after the training.

    Keras's ``SwapEMAWeights`` swaps by adding and subtracting, which rounds; a resumed run would
    not repeat its history.
    """

    def __init__(self):
        super().__init__()
        self._raw: list[np.ndarray] | None = None

    @property
    def raw(self) -> list[np.ndarray]:
        """The trainable variables as the optimizer left them."""
        if self._raw is not None:
            return self._raw
        return [variable.numpy() for variable in self.model.trainable_variables]

    def on_epoch_begin(self, epoch, logs=None):
        if self._raw is not None:
            assign(self.model.trainable_variables, self._raw)
            self._raw = None

    def on_test_begin(self, logs=None):
        self._raw = self.raw
        assign(self.model.trainable_variables, averaged(self.model))

    def on_epoch_end(self, epoch, logs=None):
        if self._raw is None:  # nothing is validated
            self.on_test_begin()

    def on_train_end(self, logs=None):
        assign(self.model.trainable_variables, averaged(self.model))


def averaged(model: keras.Model) -> list[np.ndarray]:
    """The moving averages of a compiled model's trainable variables, in their order."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    # Keras offers no public name for them.
    averages = optimizer._model_variables_moving_average
    # The mean of unit vectors is shorter than they are: what a layer holds its weights to, their
    # average is held to as well.
    return [
        np.asarray(variable.constraint(average) if variable.constraint else average)
        for variable, average in zip(model.trainable_variables, averages, strict=True)
    ]


def assign(variables, values) -> None:
    """Assigns arrays to variables, one by one."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class Keeper(keras.callbacks.Callback):
    """Keeps the best weights, a checkpoint a whole epoch, and stops early.

    Args:
        folder: The run's folder, whose history another callback has written before.
        recipe: What decides which epoch is best and when to stop.
    """

    def __init__(self, folder: pathlib.Path, recipe: Recipe):
        super().__init__()
        self.folder = folder
        self.recipe = recipe
        self.average = EvaluateAverage()
        self._unreadable: set[str] = set()
        self._export: keras.Model | None = None

    def note_unreadable(self, path: str) -> None:
        """Adds a file that broke during the training to the list in the folder."""
        if path not in self._unreadable:
            self._unreadable.add(path)
            with open(self.folder / run_files.UNREADABLE, "a", newline="") as file:
                row = pd.DataFrame([["", path, "broke during the training"]])
                row.to_csv(file, header=False, index=False)

    def on_epoch_end(self, epoch, logs=None):
        history = Run(self.folder).history
        if self._is_kept(history):
            self._save_model()
        self._save_checkpoint(epoch + 1)
        if self.stopped_early(history):
            self.model.stop_training = True

    def stopped_early(self, history: pd.DataFrame) -> bool:
        """Whether the best epoch is ``early_stopping`` epochs ago."""
        patience, monitor = self.recipe.early_stopping, self.recipe.monitor
        if not patience or monitor not in history:
            return False
        return len(history) - 1 - best_row(history, monitor) >= patience

    def _is_kept(self, history: pd.DataFrame) -> bool:
        if self.recipe.keep == "last" or self.recipe.monitor not in history:
            return True
        return best_row(history, self.recipe.monitor) == len(history) - 1

    def _save_model(self) -> None:
        if self._export is None:
            # Always float32, so that a file trained in half precision runs well on CPUs too, and
            # never compiled, so that no optimizer state doubles its size.
            with dtype_policy("float32"):
                self._export = build_model(self.recipe, self.model.output_shape[-1])
        self._export.set_weights(self.model.get_weights())
        with replacing(self.folder / run_files.MODEL) as part:
            self._export.save(part)

    def _save_checkpoint(self, epochs: int) -> None:
        state = {id(variable): variable for variable in _state(self.model)}
        if self.recipe.ema:
            # Their places hold the averages now; the next epoch goes on with the weights.
            raws = zip(self.model.trainable_variables, self.average.raw, strict=True)
            state |= {id(variable): raw for variable, raw in raws}
        values: dict[str, Any] = {_key(i): np.asarray(v) for i, v in enumerate(state.values())}
        values |= {"epochs": np.asarray(epochs), "policy": np.asarray(_policy(self.model))}
        with replacing(self.folder / run_files.CHECKPOINT) as part:
            np.savez(part, **values)

    def restore(self, model: keras.Model) -> int:
        """Brings a freshly compiled model to the last whole epoch; returns how many are done."""
        path = self.folder / run_files.CHECKPOINT
        if not path.is_file():
            return 0
        model.optimizer.build(model.trainable_variables)
        state = _state(model)
        with np.load(path) as saved:
            if str(saved["policy"]) != _policy(model):
                raise ValueError(
                    "A run goes on in the precision that it began with. "
                    f"Received: {_policy(model)} where it was {saved['policy']}, which "
                    "precision='auto' takes from whether there is a GPU. Go on where it began."
                )
            assign(state, [saved[_key(i)] for i in range(len(state))])
            return int(saved["epochs"])


def _key(index: int) -> str:
    return f"{index:05d}"


def _policy(model: keras.Model) -> str:
    return model.dtype_policy.name


def _state(model: keras.Model) -> list:
    """All that a training changes: weights, dropout seeds, optimizer (with EMA, loss scale)."""
    return [*model.variables, *model.optimizer.variables]


def best_row(history: pd.DataFrame, monitor: str) -> int:
    """Position of the best epoch; of equals the first, and NaN is worst."""
    values = history[monitor].to_numpy(float)
    if monitor.endswith("loss"):
        return int(np.where(np.isnan(values), np.inf, values).argmin())
    return int(np.where(np.isnan(values), -np.inf, values).argmax())
