"""Callbacks for a user's own ``model.fit``: what a training leaves behind."""

from __future__ import annotations

import math
import os
import pathlib
import time
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd

from kerasface import reports
from kerasface.data.folders import unlabeled_folder
from kerasface.data.submission import read_sample, submission_frame, write_submission
from kerasface.data.table import FaceTable
from kerasface.files import replacing, write_json
from kerasface.metrics.attributes import THRESHOLD, evaluate
from kerasface.metrics.inputs import check_attributes, check_outcomes, check_thresholds
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.predict import predict_table


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
        interval: Least seconds between two pictures, for epochs that are shorter than the
            drawing; the last one is always drawn.

    Raises:
        ValueError: If matplotlib writes no pictures with that suffix.

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
    ):
        super().__init__()
        self.path = pathlib.Path(path)
        reports.check_format(self.path)  # now, not after the first epoch
        self.history_path = pathlib.Path(history or self.path.with_name("history.csv"))
        self.title = title
        self.resume = resume
        self.interval = interval
        self.rows: list[dict] = []
        self._drawn = (0, 0.0)  # rows, and when
        self._started = 0.0
        self._seconds: float | None = None

    def on_train_begin(self, logs=None):
        self.rows = []
        self._drawn = (0, time.monotonic() if self.interval else 0.0)
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
        if not self.interval or time.monotonic() - self._drawn[1] >= self.interval:
            self._draw()

    def on_train_end(self, logs=None):
        if self.rows and self._drawn[0] != len(self.rows):
            self._draw()

    def _draw(self):
        history = pd.DataFrame(self.rows)
        with replacing(self.path) as part:
            reports.training_curves(history, title=self.title).savefig(part)
        self._drawn = (len(self.rows), time.monotonic() if self.interval else 0.0)


class _Report(keras.callbacks.Callback):
    """Calls its `report` at the end of the training, or every few epochs too."""

    def __init__(self, table: FaceTable, every: int, batch_size: int, crop: Crop | None):
        super().__init__()
        self.table = table
        self.every = every
        self.batch_size = batch_size
        self.crop = crop

    def on_train_begin(self, logs=None):
        outputs = self.model.output_shape[-1]
        if outputs != len(self.table.names):
            raise ValueError(
                "A model must have one output a class or attribute of the table. "
                f"Received: {outputs} outputs for {len(self.table.names)} of them."
            )
        # What cannot be reported is told before the training, not after it.
        first = self.table.take(np.arange(1))
        outputs = predict_table(self.model, first, batch_size=1, crop=self.crop)
        self.check(np.asarray(first.labels), outputs)

    def check(self, labels: np.ndarray, outputs: np.ndarray) -> None:
        """Refuses what cannot be reported, with a ValueError."""

    def on_epoch_end(self, epoch, logs=None):
        if self.every and (epoch + 1) % self.every == 0:
            self.report(f"epoch {epoch + 1}")

    def on_train_end(self, logs=None):
        self.report(None)

    def report(self, title: str | None) -> None:
        raise NotImplementedError


class _Drawing(_Report):
    """Predicts a labelled table and draws it."""

    def __init__(
        self,
        table: FaceTable,
        path: str | os.PathLike,
        *,
        every: int = 0,
        batch_size: int = 64,
        crop: Crop | None = None,
    ):
        super().__init__(table, every, batch_size, crop)
        if table.labels is None or table.multi_label:
            raise ValueError(
                f"A picture of classes needs one class an image. Received: {table.summary()}."
            )
        self.path = pathlib.Path(path)
        reports.check_format(self.path)

    def report(self, title: str | None) -> None:
        """Predicts with the model's weights as they are and writes the picture."""
        outputs = predict_table(self.model, self.table, batch_size=self.batch_size, crop=self.crop)
        with replacing(self.path) as part:
            self.figure(np.asarray(self.table.labels), outputs, title).savefig(part)

    def figure(self, labels: np.ndarray, outputs: np.ndarray, title: str | None):
        raise NotImplementedError


class ConfusionMatrix(_Drawing):
    """Draws which classes of a table are taken for which.

    Args:
        table: Images and classes, numbered like the model's outputs.
        path: The picture, for instance ``"confusion.png"``.
        every: Epochs between two drawings; 0 draws at the end of the training alone.
        batch_size: Images a step.
        crop: As in `kerasface.pipeline.stream`, what the model learnt from.

    Raises:
        ValueError: If the table has no class an image, or matplotlib writes no such picture; when
            the training begins, if the model has not one output a class.

    Example:
        >>> callback = ConfusionMatrix(dev, "confusion.png")  # doctest: +SKIP
        >>> model.fit(ds, epochs=60, callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(self, table: FaceTable, path: str | os.PathLike = "confusion.png", **options):
        super().__init__(table, path, **options)

    def figure(self, labels, outputs, title):
        return reports.confusion_matrix(
            labels, outputs.argmax(axis=1), self.table.names, title=title
        )


class RocCurves(_Drawing):
    """Draws the ROC curves of a table's classes, each against all others, and their averages.

    Args:
        table: Images and classes, numbered like the model's outputs.
        path: The picture, for instance ``"roc.png"``.
        every: Epochs between two drawings; 0 draws at the end of the training alone.
        batch_size: Images a step.
        crop: As in `kerasface.pipeline.stream`, what the model learnt from.

    Raises:
        ValueError: If the table has no class an image, or matplotlib writes no such picture;
            when the training begins, if the outputs are not one probability a class.

    Example:
        >>> model.fit(ds, epochs=60, callbacks=[RocCurves(dev, "roc.png")])  # doctest: +SKIP
    """

    def __init__(self, table: FaceTable, path: str | os.PathLike = "roc.png", **options):
        super().__init__(table, path, **options)

    def check(self, labels, outputs):
        check_outcomes(labels, outputs)

    def figure(self, labels, outputs, title):
        return reports.roc_curves(labels, outputs, self.table.names, title=title)


class AttributeReport(_Report):
    """Judges the attributes of a table at the end of the training, or every few epochs.

    Args:
        table: Images and attributes, in the order of the model's outputs.
        folder: Takes ``metrics.json``, ``per_attribute.csv``, ``gain_over_the_majority_guess.png``,
            ``precision_and_recall.png``, ``label_distribution.png`` and, of several attributes,
            ``co_occurrence.png``.
        thresholds: From which probability on an attribute is said, one for all or one each.
        every: Epochs between two reports; 0 reports at the end of the training alone.
        crop: As in `kerasface.pipeline.stream`, what the model learnt from.
        batch_size: Images a step.

    Raises:
        ValueError: If the table has no attributes or the thresholds do not fit; when the training
            begins, if the model has not one probability an attribute.

    Example:
        >>> callback = AttributeReport(validation, "attributes")  # doctest: +SKIP
        >>> model.fit(ds, epochs=10, callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(
        self,
        table: FaceTable,
        folder: str | os.PathLike = "attributes",
        *,
        thresholds: float | Sequence[float] | np.ndarray = THRESHOLD,
        every: int = 0,
        crop: Crop | None = None,
        batch_size: int = 64,
    ):
        super().__init__(table, every, batch_size, crop)
        if not table.multi_label:
            raise ValueError(
                f"A report of attributes needs a table with some. Received: {table.summary()}."
            )
        self.folder = pathlib.Path(folder)
        self.thresholds = check_thresholds(thresholds, len(table.names))

    def check(self, labels, outputs):
        check_attributes(labels, outputs)

    def report(self, title: str | None) -> None:
        """Predicts with the model's weights as they are and writes the files."""
        probabilities = predict_table(
            self.model, self.table, batch_size=self.batch_size, crop=self.crop
        )
        labels, names = np.asarray(self.table.labels), self.table.names
        limits = self.thresholds
        result = evaluate(labels, probabilities, names, thresholds=limits)
        frame = result.per_attribute
        figures = reports.attribute_figures(
            labels,
            probabilities,
            names,
            frame,
            thresholds=limits,
            gain_title=title,
            curves_title=title,
        )
        write_json(self.folder / "metrics.json", result.metrics)
        with replacing(self.folder / "per_attribute.csv") as part:
            frame.to_csv(part, index=False)
        reports.save_figures(figures, self.folder)


class Submission(keras.callbacks.Callback):
    """Predicts a test folder when the training ends and writes the submission.

    Ids and files are matched when the callback is made, so that a wrong folder is told before
    the training and not after it. An image that cannot be read is warned of and predicted as a
    black one: a missing row would cost the whole submission. A resumed training knows the best of
    its own epochs only; `kerasface.submit` with its run knows that of all.

    Args:
        test: The test folder or a table.
        path: The CSV file to write.
        sample: Sample submission that ids, columns and order are taken from; None makes
            ``id,label`` in the order of the paths.
        label: ``"index"`` or ``"name"``; None takes the sample's kind.
        names: Class names in the order of the model's outputs; needed for labels by name.
        best: A logged value such as ``"val_accuracy"``: the weights of its best epoch predict
            (smallest for a loss, largest otherwise). None takes the last epoch's.
        flip: Whether the outputs for the mirrored images are averaged in.
        batch_size: Images a step.
        crop: As in `kerasface.pipeline.stream`, what the model learnt from.

    Raises:
        ValueError: If ids and files do not match (the first few are named); when the training
            starts, if the model has a single output, other outputs than ``names``, or no square
            input of one size; after its
            first epoch, if ``best`` is not among the logs.

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
    ):
        super().__init__()
        self.table = test if isinstance(test, FaceTable) else unlabeled_folder(test)
        self.path = pathlib.Path(path)
        self.sample = None if sample is None else read_sample(sample)
        self.label = label
        self.names = names
        self.best = best
        self.flip = flip
        self.batch_size = batch_size
        self.crop = crop
        self._best_value: float | None = None
        self._best_weights: list[np.ndarray] | None = None
        self._frame(np.zeros(len(self.table), int))

    def on_train_begin(self, logs=None):
        self._best_value = self._best_weights = None
        outputs = self.model.output_shape[-1]
        if outputs < 2:
            raise ValueError(
                "A submission tells one of several classes an image. "
                f"Received: a model with {outputs} output."
            )
        if self.names is not None and len(self.names) != outputs:
            raise ValueError(
                "`names` must have one name an output of the model. "
                f"Received: {len(self.names)} names for {outputs} outputs."
            )
        # A model that no pictures can be made for is told of before the training, not after it.
        predict_table(self.model, self.table.take(np.arange(1)), batch_size=1, crop=self.crop)

    def on_epoch_end(self, epoch, logs=None):
        if self.best is None:
            return
        if self.best not in (logs or {}):
            raise ValueError(
                f"`best` must be among the logs {sorted(logs or {})}. Received: best={self.best!r}."
            )
        value = float(logs[self.best])
        if math.isnan(value):
            return
        sign = -1 if self.best.endswith("loss") else 1
        if self._best_value is None or sign * value > sign * self._best_value:
            self._best_value, self._best_weights = value, self.model.get_weights()

    def on_train_end(self, logs=None):
        last = self.model.get_weights()
        if self._best_weights is not None:
            self.model.set_weights(self._best_weights)
        try:
            outputs = predict_table(
                self.model,
                self.table,
                batch_size=self.batch_size,
                crop=self.crop,
                flip=self.flip,
            )
        finally:
            self.model.set_weights(last)
        write_submission(self.path, self._frame(outputs.argmax(axis=1)))

    def _frame(self, predictions: np.ndarray) -> pd.DataFrame:
        return submission_frame(
            self.table.paths, predictions, self.names, sample=self.sample, label=self.label
        )
