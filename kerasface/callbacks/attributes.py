"""A report of attributes: metrics, a table and figures."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kerasface import reports
from kerasface.callbacks.inputs import Preprocess, TableOptions
from kerasface.callbacks.report import Report
from kerasface.data.table import FaceTable
from kerasface.files import replacing, write_json
from kerasface.metrics.attributes import THRESHOLD, evaluate
from kerasface.metrics.inputs import check_attributes, check_thresholds
from kerasface.pipeline.crop import Crop

if TYPE_CHECKING:
    import tensorflow as tf


class AttributeReport(Report):
    """Evaluates the attributes of labeled images when the training ends, or every few epochs.

    For weights, scaling of the images and data sets see `ConfusionMatrix`.

    Args:
        table: Images and attributes, in the order of the model's outputs: a table, or a finite
            ``tf.data.Dataset`` of ``(images, labels)`` batches with 0/1 labels, as for `fit`.
        folder: Folder for ``metrics.json``, ``per_attribute.csv``,
            ``gain_over_the_majority_guess.png``, ``precision_and_recall.png``,
            ``label_distribution.png`` and, with several attributes, ``co_occurrence.png``.
        thresholds: Probability from which an attribute is predicted; one for all or one each.
        every: Number of epochs between two reports; 0 reports only when the training ends.
        crop: Region of each image of a table, as in `kerasface.pipeline.stream`.
        batch_size: Batch size for a table; None is 64.
        image_size: Side in pixels to which the images of a table are resized; None is the size of
            the model's input.
        preprocess: Function from pixels in [0, 255] to the input of the model, for a table;
            see `ConfusionMatrix`.
        output: Which output to report, for a model with several.
        names: Attribute names for a data set. None takes its ``class_names``, or numbers.

    Raises:
        ValueError: If the table has no attributes or an argument does not fit it. When the
            training begins: if the model does not fit the images, or its outputs are not one
            probability per attribute.

    Example:
        >>> callback = AttributeReport(validation, "attributes")  # doctest: +SKIP
        >>> model.fit(ds, epochs=10, callbacks=[callback])  # doctest: +SKIP
    """

    def __init__(
        self,
        table: FaceTable | tf.data.Dataset,
        folder: str | os.PathLike = "attributes",
        *,
        thresholds: float | Sequence[float] | np.ndarray = THRESHOLD,
        every: int = 0,
        crop: Crop | None = None,
        batch_size: int | None = None,
        image_size: int | None = None,
        preprocess: Preprocess = "auto",
        output: str | int | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        options = TableOptions(batch_size, crop, image_size, preprocess, output)
        super().__init__(table, every, options, names)
        if isinstance(table, FaceTable) and not table.multi_label:
            raise ValueError(
                "A report of attributes needs a table with attributes. "
                f"Received: {table.summary()}."
            )
        count = len(table.names) if isinstance(table, FaceTable) else int(np.size(thresholds))
        check_thresholds(thresholds, count)
        self.folder = pathlib.Path(folder)
        self.thresholds = thresholds

    def labels(self, labels: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """0/1 labels ``[N, attributes]``, of a single attribute too."""
        return labels.reshape(-1, 1) if outputs.shape[1] == 1 else labels

    def check(self, labels: np.ndarray, outputs: np.ndarray) -> None:
        """Checks that the outputs are probabilities of the attributes."""
        check_thresholds(self.thresholds, outputs.shape[1])
        check_attributes(labels, outputs)

    def report(self, title: str | None) -> None:
        """Predicts with the current weights and writes the files."""
        labels, probabilities = self.predict()
        names = self.names(probabilities)
        limits = check_thresholds(self.thresholds, len(names))
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
