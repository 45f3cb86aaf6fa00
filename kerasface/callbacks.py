"""Callbacks for a user's own ``model.fit``: what a training leaves behind."""

from __future__ import annotations

import os
import pathlib
import time

import keras
import pandas as pd

from kerasface.evaluation import plots
from kerasface.files import replacing


class Curves(keras.callbacks.Callback):
    """Writes ``history.csv`` and redraws a picture of the curves after every epoch.

    Besides the logs of the epoch (``loss``, ``val_accuracy``, ...) a row holds ``epoch`` (from
    1), ``learning_rate`` (at the end of the epoch) and ``seconds`` (training alone, without the
    validation).

    Args:
        path: The picture, for instance ``"curves.png"``; the suffix gives its format.
        history: The table; None is ``history.csv`` beside the picture.
        title: Title of the picture.
        resume: Whether rows of an existing table before the first epoch of this fit are kept;
            otherwise the table starts anew.

    Example:
        >>> model.fit(ds, epochs=60, callbacks=[Curves("curves.png")])  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike = "curves.png",
        *,
        history: str | os.PathLike | None = None,
        title: str | None = None,
        resume: bool = False,
    ):
        super().__init__()
        self.path = pathlib.Path(path)
        self.history_path = pathlib.Path(history or self.path.with_name("history.csv"))
        self.title = title
        self.resume = resume
        self.rows: list[dict] = []
        self._started = 0.0
        self._seconds: float | None = None

    def on_train_begin(self, logs=None):
        self.rows = []
        if self.resume and self.history_path.exists():
            self.rows = pd.read_csv(self.history_path).to_dict("records")

    def on_epoch_begin(self, epoch, logs=None):
        # A resumed fit repeats the epochs that came after its checkpoint.
        self.rows = [row for row in self.rows if row["epoch"] <= epoch]
        self._started = time.perf_counter()
        self._seconds = None

    def on_test_begin(self, logs=None):
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._started

    def on_epoch_end(self, epoch, logs=None):
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._started
        row = {"epoch": epoch + 1, **(logs or {})}
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row["seconds"] = round(self._seconds, 3)
        self.rows.append(row)
        history = pd.DataFrame(self.rows)
        with replacing(self.history_path) as part:
            history.to_csv(part, index=False)
        with replacing(self.path) as part:
            plots.training_curves(history, title=self.title).savefig(part)
