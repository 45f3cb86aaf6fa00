"""Callbacks that check every epoch and save its weights."""

from __future__ import annotations

import os
import pathlib
import time
import warnings
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerasface.runs import run as run_files
from kerasface.runs.record import read_images
from kerasface.training.averaging import EvaluateAverage
from kerasface.training.checkpoint import Checkpoint, ModelFile
from kerasface.training.progress import Phase, Progress


class EpochChecks(keras.callbacks.Callback):
    """Ends the training when the weights are not finite or too many files have broken.

    Args:
        folder: The run folder.
        whole: The whole model. The model that is fitted may be its head.
        max_unreadable: Largest share of the images that may break during the training.
    """

    def __init__(self, folder: pathlib.Path, whole: keras.Model, max_unreadable: float):
        super().__init__()
        self.folder = folder
        self.whole = whole
        self.max_unreadable = max_unreadable
        self._unreadable: set[str] = set()
        self._reported = 0

    def note_unreadable(self, path: str) -> None:
        """Adds a file that broke during the training to ``unreadable.csv``."""
        if path not in self._unreadable:
            self._unreadable.add(path)
            path_of_list = self.folder / run_files.UNREADABLE
            with open(path_of_list, "a", newline="", encoding="utf-8") as file:
                row = pd.DataFrame([["", path, "broke during the training"]])
                row.to_csv(file, header=False, index=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._check_loss(epoch, (logs or {}).get("loss", 0.0))
        if len(self._unreadable) > self._reported:
            self._reported = len(self._unreadable)
            self._report_unreadable()

    def _check_loss(self, epoch: int, loss: float) -> None:
        if np.isfinite(loss):
            return
        # In half precision a batch may overflow. Its step is skipped and the weights stay finite.
        if not all(np.isfinite(weight).all() for weight in self.whole.get_weights()):
            raise ValueError(
                "The weights must be finite. Received: NaN or infinite weights, and a loss of "
                f"{loss}, in epoch {epoch + 1}. The previous epochs are in "
                f"{os.fspath(self.folder)!r}. Lower learning_rate or increase warmup_epochs."
            )
        warnings.warn(f"the loss of epoch {epoch + 1} was {loss}", stacklevel=2)

    def _report_unreadable(self) -> None:
        images = len(read_images(self.folder))
        text = (
            f"{len(self._unreadable)} of {images} images became unreadable during the training and "
            f"are ignored, for instance {sorted(self._unreadable)[:3]}"
        )
        if len(self._unreadable) > self.max_unreadable * images:
            raise ValueError(
                f"At most a share of {self.max_unreadable:g} of the images may be "
                f"unreadable (max_unreadable). Received: {text}. Repair them, then resume with "
                "resume=True (--resume)."
            )
        warnings.warn(text, stacklevel=2)


class Keeper(keras.callbacks.Callback):
    """Saves the kept weights and a checkpoint of every completed epoch, and stops early.

    Args:
        progress: The progress of the run. The history must be written before this callback.
        phase: The phase that is fitted.
        checkpoint: The checkpoint of the run.
        model_file: The model file of the run.
        average: The callback that puts the moving average in place; None without ``ema``.
        interval: Least seconds between two saved epochs, for epochs that take less time than
            saving does. The last one is always saved.
    """

    def __init__(
        self,
        progress: Progress,
        phase: Phase,
        checkpoint: Checkpoint,
        model_file: ModelFile,
        *,
        average: EvaluateAverage | None = None,
        interval: float = 0.0,
    ):
        super().__init__()
        self.folder = progress.folder
        self.progress = progress
        self.phase = phase
        self.checkpoint = checkpoint
        self.model_file = model_file
        self.average = average
        self.interval = interval
        self._batches = 0
        self._saved_at = 0.0
        # What is not written yet: the kept weights; and of a completed epoch its number, with
        # the raw weights where their average is in place.
        self._kept: list[np.ndarray] | None = None
        self._completed: tuple[int, list[np.ndarray] | None] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._saved_at = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.progress.last_is_kept():
            self._kept = self.checkpoint.model.get_weights()
        stops = self.progress.stopped_early(self.phase)
        ends = stops or epoch + 1 == self.phase.end
        # Another callback may stop an epoch before its last batch. A resumed run repeats it from
        # the last checkpoint, since the variables are those of no epoch's end.
        self._completed = None
        if self._batches >= ((self.params or {}).get("steps") or 0):
            raw = None if self.average is None or ends else self.average.raw
            self._completed = (epoch + 1, raw)
            self.progress.completed = epoch + 1
        if ends or time.monotonic() - self._saved_at >= self.interval:
            self._write()
        if stops:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._write()  # another callback may have stopped the training between two saves

    def _write(self) -> None:
        """Writes both, since a resumed run starts with the best weights before its checkpoint."""
        if self._kept is not None:
            self.model_file.save(self._kept)
            self._kept = None
        if self._completed is not None:
            epochs, raw = self._completed
            self.checkpoint.save(self.model, epochs=epochs, phase=self.phase.index, raw=raw)
            self._completed = None
        self._saved_at = time.monotonic()
