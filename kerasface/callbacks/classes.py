"""Figures of a classification: confusion matrix and ROC curves."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from kerasface import reports
from kerasface.callbacks.inputs import Preprocess, TableOptions
from kerasface.callbacks.report import Report
from kerasface.data.table import FaceTable
from kerasface.files import replacing
from kerasface.metrics.inputs import check_indices, check_outcomes
from kerasface.pipeline.crop import Crop

if TYPE_CHECKING:
    import tensorflow as tf

ROUNDING = 0.02  # by which a row of probabilities in half precision may differ from 1


class ClassFigure(Report):
    """Predicts labeled images and draws a figure of them.

    Args:
        table: A table with one class per image, or batches of ``(images, labels)`` with class
            indices or one-hot labels.
        path: File of the figure; None is ``default_path``.
        every: Number of epochs between two figures; 0 draws only when the training ends.
        batch_size: Batch size for a table; None is 64.
        crop: Region of each image of a table, as in `kerasface.pipeline.stream`.
        image_size: Side of the images of a table; None is the size of the model's input.
        preprocess: Function from pixels in [0, 255] to the input of the model, for a table.
        output: Which output, for a model with several.
        names: Class names for a data set.

    Raises:
        ValueError: If an argument does not fit the images.
    """

    default_path = "figure.png"

    def __init__(
        self,
        table: FaceTable | tf.data.Dataset,
        path: str | os.PathLike | None = None,
        *,
        every: int = 0,
        batch_size: int | None = None,
        crop: Crop | None = None,
        image_size: int | None = None,
        preprocess: Preprocess = "auto",
        output: str | int | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        options = TableOptions(batch_size, crop, image_size, preprocess, output)
        super().__init__(table, every, options, names)
        if isinstance(table, FaceTable) and (table.labels is None or table.multi_label):
            raise ValueError(
                f"A figure of classes needs one class per image. Received: {table.summary()}."
            )
        self.path = pathlib.Path(path or self.default_path)
        reports.check_format(self.path)

    def labels(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Class indices, of one-hot labels too."""
        if labels.ndim == 2 and labels.shape[1] == outputs.shape[1] > 1:
            return labels.argmax(axis=1)
        flat = labels.reshape(-1)
        whole = flat.astype(np.int64)
        return whole if np.array_equal(whole, flat) else flat

    def check(self, labels: np.ndarray, outputs: np.ndarray) -> None:
        """Checks that the labels are classes of the model."""
        check_indices("labels", labels, outputs.shape[1])

    def report(self, title: str | None) -> None:
        """Predicts with the current weights and writes the figure."""
        labels, outputs = self.predict()
        with replacing(self.path) as part:
            self.figure(labels, outputs, title).savefig(part)

    def figure(self, labels: np.ndarray, outputs: np.ndarray, title: str | None) -> Figure:
        """The figure of labels and outputs."""
        raise NotImplementedError


class ConfusionMatrix(ClassFigure):
    """Draws the confusion matrix of labeled images.

    It predicts with the weights that the model has when the callback is called. Place it after
    `keras.callbacks.EarlyStopping` with ``restore_best_weights=True``, which restores them when
    the training ends.

    A callback does not see the images that the model is trained on. So it cannot know how they
    are scaled:

    - Images of a table are given to the model as RGB in [0, 255]. A model that scales them itself
      (`Rescaling`, `Normalization`) needs nothing else. If the first layer with weights would get
      values up to 255, the callback raises an error before the first epoch and asks for
      ``preprocess``.
    - It cannot check a model that begins with another normalization, such as
      `BatchNormalization`, or with a user's own layer with weights, nor a subclassed model whose
      ``call`` does not accept a symbolic Keras tensor. These are given [0, 255].
    - A data set is predicted as it is: give it the preprocessing of the training data.
    - A model that scales its input and is trained on images that are scaled already is not
      noticed, nor is a ``preprocess`` that differs from the one of the training.

    Args:
        table: Images and classes, in the order of the model's outputs: a table, or a finite
            ``tf.data.Dataset`` of ``(images, labels)`` or ``(images, labels, weights)`` batches,
            as for `fit`. It may be shuffled. Images of weight 0 are left out.
        path: File of the figure. None is ``"confusion.png"``.
        every: Number of epochs between two figures; 0 draws only when the training ends.
        batch_size: Batch size for a table; None is 64.
        crop: Region of each image of a table, as in `kerasface.pipeline.stream`: the one that
            the model is trained on.
        image_size: Side in pixels to which the images of a table are resized. None is the size of
            the model's input. It is needed for subclassed models and for `Sequential` models
            without an input layer, which are then built when the training begins.
        preprocess: Function from float32 ``[batch, size, size, 3]`` in [0, 255] to the input of
            the model, for a table. ``"auto"`` expects a model that scales its input and checks
            that it does; None gives it [0, 255] without this check.
        output: Which output to report, for a model with several: the key of a dictionary, the
            name of an output layer, or a position.
        names: Class names for a data set. None takes its ``class_names``, or numbers.

    Raises:
        ValueError: If the images have no classes, an argument does not fit them, or matplotlib
            does not support the suffix. When the training begins: if the model does not fit the
            images, or has not one output per class.

    Example:
        >>> callback = ConfusionMatrix(dev, "confusion.png")  # doctest: +SKIP
        >>> model.fit(ds, epochs=60, callbacks=[callback])  # doctest: +SKIP
    """

    default_path = "confusion.png"

    def figure(self, labels: np.ndarray, outputs: np.ndarray, title: str | None) -> Figure:
        """The confusion matrix."""
        return reports.confusion_matrix(
            labels, outputs.argmax(axis=1), self.names(outputs), title=title
        )


class RocCurves(ClassFigure):
    """Draws the ROC curve of each class against all others, and their averages.

    For weights, scaling of the images and data sets see `ConfusionMatrix`.

    Args:
        table: Images and classes, in the order of the model's outputs: a table, or a finite
            ``tf.data.Dataset`` of ``(images, labels)`` batches, as for `fit`.
        path: File of the figure. None is ``"roc.png"``.
        every: Number of epochs between two figures; 0 draws only when the training ends.
        batch_size: Batch size for a table; None is 64.
        crop: Region of each image of a table, as in `kerasface.pipeline.stream`.
        image_size: Side in pixels to which the images of a table are resized; None is the size of
            the model's input.
        preprocess: Function from pixels in [0, 255] to the input of the model, for a table;
            see `ConfusionMatrix`.
        output: Which output to report, for a model with several.
        names: Class names for a data set. None takes its ``class_names``, or numbers.

    Raises:
        ValueError: If the images have no classes, an argument does not fit them, or matplotlib
            does not support the suffix. When the training begins: if the model does not fit the
            images, or its outputs are not one probability per class.

    Example:
        >>> model.fit(ds, epochs=60, callbacks=[RocCurves(dev, "roc.png")])  # doctest: +SKIP
    """

    default_path = "roc.png"

    def check(self, labels: np.ndarray, outputs: np.ndarray) -> None:
        """Checks that the outputs are probabilities."""
        check_outcomes(labels, _normalized(outputs))

    def figure(self, labels: np.ndarray, outputs: np.ndarray, title: str | None) -> Figure:
        """The ROC curves."""
        probabilities = _normalized(outputs)
        return reports.roc_curves(labels, probabilities, self.names(outputs), title=title)


def _normalized(outputs: np.ndarray) -> np.ndarray:
    """Probabilities that sum to 1 also if the model computes them in half precision."""
    total = outputs.sum(axis=1, keepdims=True)
    return np.where(np.abs(total - 1) <= ROUNDING, outputs / np.where(total, total, 1), outputs)
