"""Submission of a competition, written at the end of a training."""

from __future__ import annotations

import math
import os
import pathlib
import warnings
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd

from kerasface.callbacks.inputs import Preprocess, TableOptions
from kerasface.callbacks.types import Logs
from kerasface.data.folders import unlabeled_folder
from kerasface.data.submission import read_sample, submission_frame, write_submission
from kerasface.data.table import FaceTable
from kerasface.names import suggest
from kerasface.pipeline.crop import Crop


class Submission(keras.callbacks.Callback):
    """Predicts a test folder when the training ends and writes the submission.

    Ids and files are matched when the callback is made, so a wrong folder is reported before the
    training. An image that cannot be read is predicted as a black one, with a warning: a missing
    row would invalidate the whole submission. An interrupted training writes no submission. A
    resumed training only compares its own epochs; `kerasface.submit` uses the best epoch of a run.

    For the scaling of the images see `ConfusionMatrix`.

    Args:
        test: The test folder or a table.
        path: CSV file to write.
        sample: Sample submission with the ids, columns and order. None writes ``id,label`` in the
            order of the paths.
        label: ``"index"`` or ``"name"``; None takes the sample's kind.
        names: Class names in the order of the model's outputs. Required for labels by name.
        best: A logged value such as ``"val_accuracy"``: predict with the weights of its best
            epoch (smallest for a loss, largest otherwise). Epochs without validation are
            ignored. None predicts with the weights at the end of the training; place the callback
            after `keras.callbacks.EarlyStopping` with ``restore_best_weights=True``.
        flip: If True, average the outputs for each image and its mirror image.
        batch_size: Batch size.
        crop: Region of each image, as in `kerasface.pipeline.stream`: the one that the model is
            trained on.
        image_size: Side in pixels to which the images are resized; None is the size of the
            model's input. It is needed for subclassed models and for `Sequential` models without
            an input layer, which are then built when the training begins.
        preprocess: Function from pixels in [0, 255] to the input of the model; see
            `ConfusionMatrix`.
        output: Which output to submit, for a model with several.

    Raises:
        ValueError: If ids and files do not match (the first few are named). When the training
            begins: if the model does not fit the images, has a single output, or other outputs
            than ``names``. After the first epoch with all logs: if ``best`` is not among them.

    Warns:
        UserWarning: If ``best`` starts with ``"val_"`` and the first epoch has no validation.
            Without any validation, the last weights are used.

    Example:
        >>> callback = Submission("data/test", "submission.csv",
        ...                       sample="data/sample_submission.csv")  # doctest: +SKIP
        >>> model.fit(ds, epochs=60, callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(
        self,
        test: str | os.PathLike | FaceTable,
        path: str | os.PathLike = "submission.csv",
        *,
        sample: str | os.PathLike | None = None,
        label: str | None = None,
        names: Sequence[str] | None = None,
        best: str | None = None,
        flip: bool = False,
        batch_size: int = 64,
        crop: Crop | None = None,
        image_size: int | None = None,
        preprocess: Preprocess = "auto",
        output: str | int | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(test, (str, os.PathLike, FaceTable)):
            raise ValueError(
                "`test` must be a folder or a FaceTable. Their paths are the ids. "
                f"Received: {type(test).__name__}. Pass the folder, and `preprocess` if the "
                "model does not scale its input."
            )
        self.options = TableOptions(batch_size, crop, image_size, preprocess, output)
        self.table = test if isinstance(test, FaceTable) else unlabeled_folder(test)
        self.path = pathlib.Path(path)
        self.sample = None if sample is None else read_sample(sample)
        self.label = label
        self.names = names
        self.best = best
        self.flip = flip
        self._validated = False
        self._warned = False
        self._best_value: float | None = None
        self._best_weights: list[np.ndarray] | None = None
        self._frame(np.zeros(len(self.table), int))

    def on_train_begin(self, logs: Logs = None) -> None:
        """Checks the model on the first image, before it is trained."""
        self._best_value = self._best_weights = None
        self._warned = False
        outputs = self.options.first(self.model, self.table).shape[1]
        if outputs < 2:
            raise ValueError(
                "A submission needs a model with one output per class. "
                f"Received: a model with {outputs} output. "
                "End the model with keras.layers.Dense(number_of_classes, activation='softmax')."
            )
        if self.names is not None and len(self.names) != outputs:
            raise ValueError(
                "`names` must have one name per output of the model. "
                f"Received: {len(self.names)} names for {outputs} outputs. "
                "Pass the class names of the training data in their order."
            )

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Resets the note of a validation."""
        self._validated = False

    def on_test_begin(self, logs: Logs = None) -> None:
        """Notes that the epoch has a validation."""
        self._validated = True

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Keeps the weights if the epoch is the best so far."""
        if self.best is None:
            return
        logs = logs or {}
        if self.best not in logs:
            self._check_missing(epoch, sorted(logs))
            return
        value = float(logs[self.best])
        if math.isnan(value):
            return
        sign = -1 if self.best.endswith("loss") else 1
        if self._best_value is None or sign * value > sign * self._best_value:
            self._best_value, self._best_weights = value, self.model.get_weights()

    def on_train_end(self, logs: Logs = None) -> None:
        """Predicts and writes the submission. The model keeps its last weights."""
        last = self.model.get_weights()
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
        try:
            outputs = self.options.predict(self.model, self.table, flip=self.flip)
        finally:
            self.model.set_weights(last)
        write_submission(self.path, self._frame(outputs.argmax(axis=1)))

    def _check_missing(self, epoch: int, logged: list[str]) -> None:
        """Raises or warns after an epoch whose logs do not contain ``best``."""
        assert self.best is not None
        names = [*logged, *(f"val_{name}" for name in logged if not self._validated)]
        hint = suggest(self.best, names)
        # With validation_freq=2 the first value comes in a later epoch.
        if self._validated or not self.best.startswith("val_"):
            raise ValueError(
                f"`best` must be among the logs {logged}. Received: best={self.best!r}.{hint}"
            )
        if not self._warned and self._best_value is None:
            self._warned = True
            hint = "" if self.best in names else hint
            warnings.warn(
                f"`best` must be among the logs {logged}. Received: best={self.best!r} in epoch "
                f"{epoch + 1}, which has no validation.{hint} Without any validation, the last "
                "weights are used. Pass validation_data to fit, or another `best`.",
                stacklevel=2,
            )

    def _frame(self, predictions: np.ndarray) -> pd.DataFrame:
        return submission_frame(
            self.table.paths, predictions, self.names, sample=self.sample, label=self.label
        )
