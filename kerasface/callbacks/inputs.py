"""Predictions of a callback with the model, and the checks before the first epoch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from kerasface.checks import check_number
from kerasface.data.table import FaceTable
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.predict import (
    check_batches,
    predict_batches,
    predict_table,
    square_size,
)

if TYPE_CHECKING:
    import tensorflow as tf

Preprocess = Callable[["tf.Tensor"], Any] | Literal["auto"] | None
BATCH_SIZE = 64
LARGEST_PIXEL = 255.0
SCALING = (keras.layers.Rescaling, keras.layers.Normalization)
# Layers with weights that may scale their input themselves.
RANGE_UNKNOWN = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
    keras.layers.TFSMLayer,
    keras.Model,  # one without a graph
)


@dataclasses.dataclass(frozen=True)
class TableOptions:
    """How the images of a table become the input of a model.

    Attributes:
        batch_size: Batch size; None is 64.
        crop: Region of each image, as in training.
        image_size: Side of the images in pixels; None is the size of the model's input.
        preprocess: ``"auto"`` for a model that scales [0, 255] itself, which is checked; a function
            of a batch; or None for unchanged pixels without a check.
        output: Output to use, for a model with several.
    """

    batch_size: int | None = None
    crop: Crop | None = None
    image_size: int | None = None
    preprocess: Preprocess = "auto"
    output: str | int | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            check_number("batch_size", self.batch_size, 1, whole=True)
        if not (self.preprocess in ("auto", None) or callable(self.preprocess)):
            raise ValueError(
                "`preprocess` must be a function, None or 'auto'. "
                f"Received: preprocess={self.preprocess!r}."
            )

    def predict(self, model: keras.Model, table: FaceTable, *, flip: bool = False) -> np.ndarray:
        """Returns the selected output for a table, float32 ``[len(table), outputs]``."""
        return predict_table(
            model,
            table,
            batch_size=self.batch_size or BATCH_SIZE,
            crop=self.crop,
            flip=flip,
            image_size=self.image_size,
            preprocess=self.preprocess if callable(self.preprocess) else None,
            output=self.output,
        )

    def first(self, model: keras.Model, table: FaceTable) -> np.ndarray:
        """Checks the model and returns the selected output for the first image of a table.

        Args:
            model: The model before the training. If it is not built yet, this builds it.
            table: Images with or without labels.

        Returns:
            float32 ``[1, outputs]``.

        Raises:
            ValueError: If the model cannot predict tables, has no such output, has another output
                than one row per image, or would get unscaled pixels.
        """
        outputs = self.predict(model, table.take(np.arange(1)))
        check_rows(outputs)
        if self.preprocess == "auto":
            check_scaling(model, square_size(model, self.image_size))
        return outputs


@dataclasses.dataclass(frozen=True)
class LabeledTable:
    """Labeled images of a table."""

    table: FaceTable
    options: TableOptions

    @property
    def names(self) -> tuple[str, ...]:
        """Class or attribute names."""
        return self.table.names

    def first(self, model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
        """Checks the model and returns label and output of the first image."""
        return np.asarray(self.table.labels)[:1], self.options.first(model, self.table)

    def predict(self, model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
        """Returns labels and outputs of all images."""
        return np.asarray(self.table.labels), self.options.predict(model, self.table)


@dataclasses.dataclass(frozen=True)
class LabeledBatches:
    """A user's own data set, which is predicted without changes."""

    dataset: tf.data.Dataset
    options: TableOptions
    given_names: tuple[str, ...] | None

    def __post_init__(self) -> None:
        check_batches(self.dataset)
        defaults = TableOptions(output=self.options.output)
        for field in dataclasses.fields(TableOptions):
            value = getattr(self.options, field.name)
            if value != getattr(defaults, field.name):
                raise ValueError(
                    f"`{field.name}` has no effect with a tf.data.Dataset, which is predicted "
                    f"without changes. Received: {field.name}={value!r}. Leave it out, or pass a "
                    "FaceTable."
                )

    @property
    def names(self) -> tuple[str, ...] | None:
        """Class or attribute names; None if they are not known."""
        names = self.given_names or getattr(self.dataset, "class_names", None)
        return None if names is None else tuple(names)

    def first(self, model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
        """Checks the model and returns labels and outputs of the first batch."""
        labels, outputs = predict_batches(model, self.dataset, output=self.options.output, limit=1)
        check_rows(outputs)
        return labels, outputs

    def predict(self, model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
        """Returns labels and outputs of all images."""
        return predict_batches(model, self.dataset, output=self.options.output)


def labeled_images(
    images: FaceTable | tf.data.Dataset, options: TableOptions, names: Sequence[str] | None
) -> LabeledTable | LabeledBatches:
    """Returns the labeled images of a report.

    Args:
        images: A table, or batches of ``(images, labels)``.
        options: How a table becomes the input of a model.
        names: Names for a data set, which has none.

    Raises:
        ValueError: If the options do not fit the images.
    """
    if not isinstance(images, FaceTable):
        return LabeledBatches(images, options, None if names is None else tuple(names))
    if names is not None:
        raise ValueError(
            "`names` has no effect with a table, which has its own names. "
            f"Received: names={list(names)!r}. Leave it out."
        )
    return LabeledTable(images, options)


def check_rows(outputs: np.ndarray) -> None:
    """Raises an error for outputs that are not one row per image.

    Raises:
        ValueError: If the outputs are not of rank 2.
    """
    if outputs.ndim != 2:
        raise ValueError(
            "The model must have one row of outputs per image, [batch, outputs]. "
            f"Received: outputs of shape {outputs.shape}. "
            "For a feature map, add keras.layers.GlobalAveragePooling2D() before the last layer."
        )


def check_scaling(model: keras.Model, image_size: int) -> None:
    """Refuses a model whose first weights would get unscaled pixels of a table.

    A callback does not see the images that a model is trained on. But a model that does not scale
    its input is usually trained on images that the data set has scaled, and pixels in [0, 255]
    would then give wrong predictions.

    A black and a white image pass through the graph up to the first layer with weights other than
    `Rescaling` and `Normalization`. A model that begins with a normalization such as
    `BatchNormalization` or with a user's own layer with weights is accepted, since either may
    scale. So is a subclassed model whose ``call`` does not accept a symbolic Keras tensor.

    Args:
        model: A built model.
        image_size: Side of its images in pixels.

    Raises:
        ValueError: If values up to 255 reach the first layer with weights.
    """
    unscaled = unscaled_layer(model, image_size)
    if unscaled is not None:
        name, largest = unscaled
        raise ValueError(
            "The model must scale its input, because the images of a table have values in "
            f"[0, 255]. Received: a model whose first layer with weights, {name!r}, gets values up "
            f"to {largest:.0f}. Pass the function that scales your training images as preprocess=, "
            "or preprocess=None if the model is trained on values in [0, 255]."
        )


def unscaled_layer(model: keras.Model, image_size: int) -> tuple[str, float] | None:
    """Returns the first layer with weights if it gets unscaled pixels.

    Args:
        model: A built model.
        image_size: Side of its images in pixels.

    Returns:
        Name of the layer and the largest absolute value that it gets, at least 255. None if the
        model scales its input, or if that is not known.
    """
    images = np.zeros((2, image_size, image_size, 3), np.float32)
    images[1] = LARGEST_PIXEL
    first = next(_weighted_layers(model, images), None)
    if first is None:
        return None
    layer, values = first
    is_stock = type(layer).__module__.split(".")[0] == "keras"
    if not is_stock or isinstance(layer, RANGE_UNKNOWN):
        return None
    largest = float(np.abs(values).max())
    return (layer.name, largest) if largest >= LARGEST_PIXEL else None


def _weighted_layers(
    model: keras.Model, values: np.ndarray
) -> Iterator[tuple[keras.layers.Layer, np.ndarray]]:
    """Yields the layers with weights in graph order, also of nested models, and their inputs."""
    graph = _graph(model, values.shape[1:])
    if graph is None:
        yield model, values
        return
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            layer = node.operation
            if not getattr(layer, "weights", None) or isinstance(layer, SCALING):
                continue
            before = keras.Model(graph.inputs, node.input_tensors[0])
            reached = np.asarray(before([values], training=False), np.float32)
            if isinstance(layer, keras.Model):
                yield from _weighted_layers(layer, reached)
            else:
                yield layer, reached


def _graph(model: keras.Model, shape: tuple[int, ...]) -> keras.Model | None:
    """Returns the model as a functional model with one input, or None."""
    try:
        inputs, outputs = model.inputs, model.outputs
    except (AttributeError, ValueError):
        inputs = outputs = None
    try:
        if not inputs:
            inputs = [keras.Input(shape)]
            with keras.StatelessScope():  # keeps losses that `call` adds out of the model
                outputs = model.call(inputs[0])
        return keras.Model(inputs, outputs) if len(inputs) == 1 else None
    except Exception:  # `call` is the user's code, and may raise anything for symbolic tensors
        return None
