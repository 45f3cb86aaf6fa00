"""Training curves: a table and a figure that are rewritten after every epoch."""

from __future__ import annotations

import os
import pathlib
import time
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerasface import reports
from kerasface.callbacks.types import Logs
from kerasface.files import replacing


class Curves(keras.callbacks.Callback):
    """Writes ``history.csv`` and a figure of the training curves after every epoch.

    A row holds ``epoch`` (from 1), the logs of the epoch (``loss``, ``val_accuracy``, ...),
    ``learning_rate`` (at the end of the epoch) and ``seconds`` (of training, without the
    validation). With ``validation_freq=2`` the cells of epochs without validation are empty, and
    the curve joins the others. Metrics that are not a single number are written but not drawn.

    Place the callback before `keras.callbacks.ReduceLROnPlateau` if ``learning_rate`` should be
    the rate that the epoch was trained with. A model without an optimizer of its own has no such
    column. If the training is interrupted, both files are those of the last completed epoch.

    Args:
        path: File of the figure, for instance ``"curves.png"``. The suffix sets the format.
        history: File of the table. None is ``history.csv`` in the folder of the figure.
        title: Title of the figure.
        resume: If True, keep the rows of an existing table before the first epoch of this
            `fit`, for instance with ``initial_epoch``. Otherwise the table starts empty.
        interval: Minimum seconds between two drawings, for epochs shorter than the drawing. The
            last epoch is always drawn, unless the training is interrupted.

    Raises:
        ValueError: If matplotlib does not support the suffix.

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
        interval: float = 0.0,
    ) -> None:
        super().__init__()
        self.path = pathlib.Path(path)
        reports.check_format(self.path)  # now, not after the first epoch
        self.history_path = pathlib.Path(history or self.path.with_name("history.csv"))
        self.title = title
        self.resume = resume
        self.interval = interval
        self.rows: list[dict[str, Any]] = []
        self._drawn = (0, 0.0)  # number of rows, and when
        self._started = 0.0
        self._seconds: float | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Reads the table if the training is resumed."""
        self.rows = []
        self._drawn = (0, time.monotonic() if self.interval else 0.0)
        if self.resume and self.history_path.exists():
            rows = pd.read_csv(self.history_path).to_dict("records")
            self.rows = [{str(name): value for name, value in row.items()} for row in rows]

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Starts the clock."""
        # A resumed fit repeats the epochs that came after its checkpoint.
        self.rows = [row for row in self.rows if row["epoch"] <= epoch]
        self._started = time.perf_counter()
        self._seconds = None

    def on_test_begin(self, logs: Logs = None) -> None:
        """Stops the clock before the validation."""
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._started

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Writes the table and draws the figure."""
        if self._seconds is None:
            self._seconds = time.perf_counter() - self._started
        row = {"epoch": epoch + 1, **{name: _cell(value) for name, value in (logs or {}).items()}}
        rate = learning_rate(self.model)
        if rate is not None:
            row["learning_rate"] = rate
        row["seconds"] = round(self._seconds, 3)
        self.rows.append(row)
        history = pd.DataFrame(self.rows)
        with replacing(self.history_path) as part:
            history.to_csv(part, index=False)
        if not self.interval or time.monotonic() - self._drawn[1] >= self.interval:
            self._draw()

    def on_train_end(self, logs: Logs = None) -> None:
        """Draws the last epochs."""
        if self.rows and self._drawn[0] != len(self.rows):
            self._draw()

    def _draw(self) -> None:
        history = pd.DataFrame(self.rows).select_dtypes("number")
        with replacing(self.path) as part:
            reports.training_curves(history, title=self.title).savefig(part)
        self._drawn = (len(self.rows), time.monotonic() if self.interval else 0.0)


def learning_rate(model: keras.Model) -> float | None:
    """The current learning rate of a model's optimizer.

    Args:
        model: A compiled model, under any distribution strategy.

    Returns:
        The rate, of a schedule that of the next step; None if the model has no optimizer of its
        own, as models with several optimizers.
    """
    rate = getattr(model.optimizer, "learning_rate", None)
    return None if rate is None else float(keras.ops.convert_to_numpy(rate))


def _cell(value: Any) -> Any:
    """A number, or the text of a metric that has several."""
    array = np.asarray(value)
    return value if array.ndim == 0 else str(array.tolist())
