"""What the callbacks share that report predictions of labeled images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import keras
import numpy as np

from kerasface.callbacks.inputs import TableOptions, labeled_images
from kerasface.callbacks.types import Logs
from kerasface.checks import check_number
from kerasface.data.table import FaceTable

if TYPE_CHECKING:
    import tensorflow as tf


class Report(keras.callbacks.Callback):
    """Reports predictions of labeled images when the training ends, or every few epochs too.

    Args:
        images: A table, or a data set of ``(images, labels)`` batches.
        every: Number of epochs between two reports; 0 reports only at the end.
        options: How the images of a table become the input of the model.
        names: Class or attribute names of a data set.

    Raises:
        ValueError: If an option does not fit the images.
    """

    def __init__(
        self,
        images: FaceTable | tf.data.Dataset,
        every: int,
        options: TableOptions,
        names: Sequence[str] | None,
    ) -> None:
        super().__init__()
        check_number("every", every, 0, whole=True)
        self.every = every
        self.images = labeled_images(images, options, names)

    def on_train_begin(self, logs: Logs = None) -> None:
        """Checks the model on the first images, before it is trained."""
        labels, outputs = self.images.first(self.model)
        names = self.names(outputs)
        if outputs.shape[1] != len(names):
            raise ValueError(
                "The model must have one output per class or attribute name. "
                f"Received: {outputs.shape[1]} outputs for {len(names)} names."
            )
        self.check(self.labels(labels, outputs), outputs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Writes the report if it is due."""
        if self.every and (epoch + 1) % self.every == 0:
            self.report(f"epoch {epoch + 1}")

    def on_train_end(self, logs: Logs = None) -> None:
        """Writes the last report."""
        self.report(None)

    def names(self, outputs: np.ndarray) -> Sequence[str]:
        """Names of the outputs; numbers if they are not known."""
        return self.images.names or [str(index) for index in range(outputs.shape[1])]

    def predict(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels and outputs of all images with the current weights."""
        labels, outputs = self.images.predict(self.model)
        return self.labels(labels, outputs), outputs

    def labels(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Labels in the form that the report takes."""
        raise NotImplementedError

    def check(self, labels: np.ndarray, outputs: np.ndarray) -> None:
        """Raises a ValueError if the outputs cannot be reported."""
        raise NotImplementedError

    def report(self, title: str | None) -> None:
        """Writes the files of the report."""
        raise NotImplementedError
