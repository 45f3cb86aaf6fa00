"""What a training keeps as it goes: the best weights, checkpoints, and the moving average."""

from __future__ import annotations

import os
import pathlib
import shutil
import time
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerasface.files import replacing
from kerasface.runs import run as run_files
from kerasface.runs.recipe import Recipe
from kerasface.runs.record import read_images
from kerasface.runs.run import Run
from kerasface.training.assemble import build_model, dtype_policy


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
        self._raw = None


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


class WholeTraining(keras.callbacks.Callback):
    """Shows a user's callback one training of the whole model.

    Phases are fits of their own, and where features are cached the model that is fitted is the
    head. A callback that predicts images, or that writes when the training ends, knows neither.

    Args:
        callback: The user's.
        whole: The whole model.
        begins: Whether this phase begins the training.
        ends: Whether it ends it.
    """

    def __init__(self, callback: keras.callbacks.Callback, whole: keras.Model, begins, ends):
        super().__init__()
        self.callback = callback
        self.whole = whole
        self.begins = begins
        self.ends = ends

    def set_params(self, params):
        super().set_params(params)
        self.callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        self.whole.stop_training = False
        self.callback.set_model(self.whole)

    def on_train_begin(self, logs=None):
        if self.begins:
            self.callback.on_train_begin(logs)

    def on_train_end(self, logs=None):
        if self.ends:
            self.callback.on_train_end(logs)

    def on_epoch_begin(self, epoch, logs=None):
        self.callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        self.callback.on_epoch_end(epoch, logs)
        self._pass_on_the_stop()

    def on_train_batch_begin(self, batch, logs=None):
        self.callback.on_train_batch_begin(batch, logs)

    def on_train_batch_end(self, batch, logs=None):
        self.callback.on_train_batch_end(batch, logs)
        self._pass_on_the_stop()

    def on_test_begin(self, logs=None):
        self.callback.on_test_begin(logs)

    def on_test_end(self, logs=None):
        self.callback.on_test_end(logs)

    def on_test_batch_begin(self, batch, logs=None):
        self.callback.on_test_batch_begin(batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        self.callback.on_test_batch_end(batch, logs)

    def _pass_on_the_stop(self):
        if self.whole.stop_training:
            self.model.stop_training = True


class Plateau(keras.callbacks.Callback):
    """Lowers the learning rate where the monitored value does not get better.

    Keras's ``ReduceLROnPlateau`` counts in attributes, which a resumed run would have lost; this
    counts in the history.

    Args:
        keeper: Knows the history of the phase.
        part: The phase's recipe.
    """

    def __init__(self, keeper: Keeper, part: Recipe):
        super().__init__()
        self.keeper = keeper
        self.part = part

    def on_epoch_end(self, epoch, logs=None):
        values = self.keeper.phase_history()[self.part.monitor]
        drops = plateaus(values, self.part.monitor, self.part.decay_epochs)
        rate = self.part.learning_rate * self.part.decay_factor**drops
        self.model.optimizer.learning_rate = rate


def plateaus(values: pd.Series, monitor: str, patience: int) -> int:
    """How often a value went ``patience`` epochs without getting better; each one counts anew."""
    sign = 1 if monitor.endswith("loss") else -1
    best, waited, count = np.inf, 0, 0
    for value in sign * values.to_numpy(float):
        waited = 0 if value < best else waited + 1
        best = min(best, value) if value == value else best
        if waited == patience:
            count, waited = count + 1, 0
    return count


class Keeper(keras.callbacks.Callback):
    """Keeps the best weights, a checkpoint a whole epoch, and stops early.

    Args:
        folder: The run's folder, whose history another callback has written before.
        recipe: What decides which epoch is best and when to stop.
        whole: The whole model, of which the one that is fitted may be the head.
        further: Variables that are learnt with it and are not in it, such as class centers.
    """

    def __init__(
        self, folder: pathlib.Path, recipe: Recipe, whole: keras.Model, further: Sequence = ()
    ):
        super().__init__()
        self.further = further
        self.folder = folder
        self.recipe = recipe
        self.whole = whole
        self.average = EvaluateAverage()
        self.end = recipe.total_epochs
        self._phase = 0
        self._start = 0
        self._unreadable: set[str] = set()
        self._told_unreadable = True
        self._export: keras.Model | None = None
        self._unsaved: list[np.ndarray] | None = None
        # The epochs that are done, and the weights that go on where their average is in place.
        self._unwritten: tuple[int, list[np.ndarray] | None] | None = None
        self._batches = 0
        self._interval = 0.0
        self._saved_at = 0.0

    def begin_phase(self, phase: int, start: int, end: int, interval: float = 0.0) -> None:
        """Tells which phase comes next.

        Args:
            phase: Its number.
            start: Its first epoch, counted from 0.
            end: The first epoch behind it.
            interval: Seconds between two epochs that are written, for phases whose epochs are
                shorter than the writing; the last one always is.
        """
        self._phase, self._start, self.end = phase, start, end
        self._interval = interval

    def note_unreadable(self, path: str) -> None:
        """Adds a file that broke during the training to the list in the folder.

        At the end of the epoch a warning tells how many there are, and the training ends if they
        are more than the recipe's ``max_unreadable``.
        """
        if path not in self._unreadable:
            self._unreadable.add(path)
            self._told_unreadable = False
            with open(self.folder / run_files.UNREADABLE, "a", newline="") as file:
                row = pd.DataFrame([["", path, "broke during the training"]])
                row.to_csv(file, header=False, index=False)

    def on_train_begin(self, logs=None):
        self._saved_at = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        self._batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self._batches += 1

    def on_epoch_end(self, epoch, logs=None):
        self._check_loss(epoch, logs)
        self._check_unreadable()
        if self._is_kept(Run(self.folder).history):
            self._unsaved = self.whole.get_weights()
        stops = self.stopped_early()
        ends = stops or epoch + 1 == self.end
        # An epoch that another callback broke off is done again by a run that goes on, from
        # what is on disk: the variables are neither here nor there.
        self._unwritten = None
        if self._batches >= ((self.params or {}).get("steps") or 0):
            raw = self.average.raw if self.recipe.ema and not ends else None
            self._unwritten = (epoch + 1, raw)
        if ends or time.monotonic() - self._saved_at >= self._interval:
            self._write()
        if stops:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self._write()  # another callback may have ended it between two

    def _check_loss(self, epoch: int, logs) -> None:
        loss = (logs or {}).get("loss", 0.0)
        if np.isfinite(loss):
            return
        # In half precision a batch may overflow, whose step is left out; the weights stay sound.
        if not all(np.isfinite(weight).all() for weight in self.whole.get_weights()):
            raise ValueError(
                f"The weights must stay numbers. Received: others, and a loss of {loss}, in epoch "
                f"{epoch + 1}. What was learnt before is in {os.fspath(self.folder)!r}; lower "
                "learning_rate, or make warmup_epochs longer."
            )
        warnings.warn(f"the loss of epoch {epoch + 1} was {loss}", stacklevel=2)

    def _check_unreadable(self) -> None:
        if self._told_unreadable:
            return
        self._told_unreadable = True
        images = len(read_images(self.folder))
        words = (
            f"{len(self._unreadable)} of {images} images broke during the training and count no "
            f"more, for instance {sorted(self._unreadable)[:3]}"
        )
        if len(self._unreadable) > self.recipe.max_unreadable * images:
            raise ValueError(
                f"At most a share of {self.recipe.max_unreadable:g} of the images may be "
                f"unreadable (max_unreadable). Received: {words}. Mend them, and go on with "
                "resume=True (--resume)."
            )
        warnings.warn(words, stacklevel=2)

    def _write(self) -> None:
        """The kept weights and the checkpoint, as far as they are not on disk.

        Both together: a resumed run begins with what was best before its checkpoint.
        """
        if self._unsaved is not None:
            self._save_model(self._unsaved)
            self._unsaved = None
        if self._unwritten is not None:
            self._save_checkpoint(*self._unwritten)
            self._unwritten = None
        self._saved_at = time.monotonic()

    def phase_history(self, done: int | None = None) -> pd.DataFrame:
        """The rows of the history that belong to the phase, at most to the epoch ``done``."""
        history = Run(self.folder).history
        if not len(history):
            return history
        end = self.end if done is None else min(done, self.end)
        return history[(history["epoch"] > self._start) & (history["epoch"] <= end)]

    def stopped_early(self, done: int | None = None) -> bool:
        """Whether the phase's best epoch is ``early_stopping`` epochs ago.

        Args:
            done: The last epoch that a checkpoint holds; the history may know more. None takes
                all.
        """
        patience, monitor = self.recipe.early_stopping, self.recipe.monitor
        history = self.phase_history(done)
        if not patience or monitor not in history or not len(history):
            return False
        return len(history) - 1 - best_row(history, monitor) >= patience

    def _is_kept(self, history: pd.DataFrame) -> bool:
        if self.recipe.keep == "last" or self.recipe.monitor not in history:
            return True
        return best_row(history, self.recipe.monitor) == len(history) - 1

    def _save_model(self, weights: list[np.ndarray]) -> None:
        if self._export is None:
            # Always float32, so that a file trained in half precision runs well on CPUs too, and
            # never compiled, so that no optimizer state doubles its size.
            with dtype_policy("float32"):
                run = Run(self.folder)
                self._export = build_model(
                    self.recipe, len(run.names), multi_label=run.multi_label, empty=True
                )
        self._export.set_weights(weights)
        # What the end of the run, if it had one before, said of other weights.
        for name in (run_files.METRICS, run_files.THRESHOLDS, run_files.REPORT):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / run_files.VALIDATION, ignore_errors=True)
        with replacing(self.folder / run_files.MODEL) as part:
            self._export.save(part)

    def _save_checkpoint(self, epochs: int, raw: list[np.ndarray] | None) -> None:
        state = {id(variable): variable for variable in self._variables()}
        if raw is not None:
            # Their places hold the averages now; the next epoch goes on with the weights.
            raws = zip(self.model.trainable_variables, raw, strict=True)
            state |= {id(variable): value for variable, value in raws}
        values: dict[str, Any] = {
            "epochs": np.asarray(epochs),
            "phase": np.asarray(self._phase),
            "policy": np.asarray(_policy(self.whole)),
        }
        values |= {_key("model", i): np.asarray(v) for i, v in enumerate(state.values())}
        for i, variable in enumerate(self.model.optimizer.variables):
            values[_key("optimizer", i)] = np.asarray(variable)
        with replacing(self.folder / run_files.CHECKPOINT) as part:
            np.savez(part, **values)

    def _variables(self) -> list:
        return [*self.whole.variables, *self.further]

    def epochs_done(self) -> int:
        """How many whole epochs the checkpoint holds; 0 without one."""
        path = self.folder / run_files.CHECKPOINT
        if not path.is_file():
            return 0
        with np.load(path) as saved:
            return int(saved["epochs"])

    def restore(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Brings the whole model, and the optimizer of its phase, to the last whole epoch.

        Between two phases the weights are all that goes on; each begins with a new optimizer.

        Args:
            optimizer: Of the model that is going to be fitted, freshly compiled and built.
        """
        with np.load(self.folder / run_files.CHECKPOINT) as saved:
            if "phase" not in saved:
                raise ValueError(
                    "A checkpoint must be of this version's form. "
                    f"Received: {self.folder / run_files.CHECKPOINT}, which an older version "
                    "wrote. Go on with that one, or start a new run."
                )
            if str(saved["policy"]) != _policy(self.whole):
                raise ValueError(
                    "A run goes on in the precision that it began with. "
                    f"Received: {_policy(self.whole)} where it was {saved['policy']}, which "
                    "precision='auto' takes from whether there is a GPU. Go on where it began."
                )
            state = self._variables()
            assign(state, [saved[_key("model", i)] for i in range(len(state))])
            if int(saved["phase"]) == self._phase:
                state = optimizer.variables
                assign(state, [saved[_key("optimizer", i)] for i in range(len(state))])


def _key(kind: str, index: int) -> str:
    return f"{kind}-{index:05d}"


def _policy(model: keras.Model) -> str:
    return model.dtype_policy.name


def best_row(history: pd.DataFrame, monitor: str) -> int:
    """Position of the best epoch; of equals the first, and NaN is worst."""
    values = history[monitor].to_numpy(float)
    if monitor.endswith("loss"):
        return int(np.where(np.isnan(values), np.inf, values).argmin())
    return int(np.where(np.isnan(values), -np.inf, values).argmax())
