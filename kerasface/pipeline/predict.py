"""Predictions of a model for a table, a list of images, or a data set of batches."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasface.checks import check_choice, check_number
from kerasface.data.image_list import ImageList, image_list
from kerasface.data.table import FaceTable
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.few import Loaded, load_batches
from kerasface.pipeline.settings import check_crop
from kerasface.pipeline.streams import BATCHES_AHEAD, stream
from kerasface.progress import ProgressBar

FEW = 256  # images that are predicted without a stream, which takes up to a second to build


def predict_table(
    model: keras.Model,
    table: FaceTable | ImageList,
    *,
    batch_size: int = 64,
    crop: Crop | None = None,
    flip: bool = False,
    image_size: int | None = None,
    preprocess: Callable[[tf.Tensor], Any] | None = None,
    output: str | int | None = None,
    title: str = "Predicting",
    verbose: int = 0,
) -> np.ndarray:
    """Predicts every image of a table or a list.

    Args:
        model: Maps square RGB images in [0, 255] to one row each.
        table: Images to predict. Labels are ignored. Unreadable files of a table are black, with a
            warning. Those of a list are an error, unless its table was checked.
        batch_size: Batch size.
        crop: Region of each image that the model is given, as in training. None is the whole
            image.
        flip: If True, average the outputs for each image and its mirror image.
        image_size: Side of the images in pixels. None takes the size of the model's input, which
            a subclassed model or a `Sequential` model without an input layer does not have.
        preprocess: Function from a batch, float32 ``[batch, size, size, 3]`` in [0, 255], to
            the model's input. It becomes part of a ``tf.data`` graph. None changes nothing.
        output: Output to return, for a model with several: the key of a dictionary, the
            name of an output layer, or a position.
        title: Title of the progress bar.
        verbose: 1 shows a progress bar.

    Returns:
        float32 ``[len(table), outputs]``, rows in the table's order.

    Raises:
        ValueError: If the model does not take one square RGB image of a known size, ``output`` is
            not one of its outputs, ``crop`` is random, or an image of a list is unreadable.
    """
    size = square_size(model, image_size, preprocessed=preprocess is not None)
    files = table.table if isinstance(table, ImageList) else table
    if files is None or (preprocess is None and 0 < len(files) <= FEW):
        check_number("batch_size", batch_size, 1, whole=True)
        check_crop(crop, training=False)
        strict = isinstance(table, ImageList)
        few = table if isinstance(table, ImageList) else image_list(table)
        batches = load_batches(few, image_size=size, batch_size=batch_size, crop=crop)
        loaded = _readable(batches, few, strict=strict)
        with ProgressBar(len(few), title, verbose=verbose) as bar:
            return _predict_loaded(model, loaded, output, flip=flip, bar=bar)
    unlabeled = FaceTable(files.root, files.paths, formats=files.formats)
    images = stream(unlabeled, image_size=size, batch_size=batch_size, crop=crop)
    key = _input_key(model)

    def prepare(batch: tf.Tensor) -> Any:
        if preprocess is not None:
            return preprocess(batch)
        return batch if key is None else {key: batch}

    def predict(batches: tf.data.Dataset, title: str) -> np.ndarray:
        if preprocess is not None or key is not None:
            batches = batches.map(prepare, num_parallel_calls=BATCHES_AHEAD)
        if _is_unbuilt(model):
            _build(model, next(iter(batches)))
        _trace(model, [batches.element_spec])
        with ProgressBar(len(table), title, verbose=verbose) as bar:
            shown = [_Progress(bar, batch_size)] if verbose else None
            outputs = model.predict(batches, verbose=0, callbacks=shown)
        return _float32(select_output(outputs, output, _output_names(model)))

    outputs = predict(images, title)
    if flip:
        mirrored = images.map(lambda batch: batch[:, :, ::-1])
        outputs = (outputs + predict(mirrored, f"{title} mirror images")) / 2
    return outputs


def predict_array(model: keras.Model, images: np.ndarray | tf.Tensor) -> np.ndarray:
    """Predicts one batch.

    Args:
        model: A built model with one input and one output.
        images: float32 ``[batch, height, width, 3]`` in [0, 255].

    Returns:
        ``[batch, outputs]``.
    """
    return _predict_batch(model, images)


def unreadable_error(unreadable: Mapping[str, str]) -> ValueError:
    """Returns an error that names unreadable images.

    Args:
        unreadable: Name and reason of each of them.

    Example:
        >>> raise unreadable_error({"a.jpg": "empty file"})
        Traceback (most recent call last):
        ValueError: All images must be readable. Received: 1 that is not: a.jpg (empty file).
    """
    first = "; ".join(f"{name} ({reason})" for name, reason in list(unreadable.items())[:3])
    count = len(unreadable)
    words = "1 that is not:" if count == 1 else f"{count} that are not, for instance"
    return ValueError(f"All images must be readable. Received: {words} {first}.")


def check_batches(dataset: Any) -> None:
    """Refuses what is not a finite data set of labeled batches.

    Args:
        dataset: Expected to be a ``tf.data.Dataset`` of ``(images, labels)`` or
            ``(images, labels, weights)``.

    Raises:
        ValueError: If it is something else, is not batched, or repeats without end.
    """
    rule = "Images must be a FaceTable or a tf.data.Dataset of (images, labels) batches."
    if not isinstance(dataset, tf.data.Dataset):
        raise ValueError(f"{rule} Received: {type(dataset).__name__}.")
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(f"{rule} Received: a data set of {spec}.")
    if any(getattr(leaf.shape, "rank", None) == 0 for leaf in keras.tree.flatten(spec[:2])):
        raise ValueError(f"{rule} Received: a data set without batches. Use dataset.batch(64).")
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"{rule} Received: an infinite data set. Use dataset.take(steps).")


def predict_batches(
    model: keras.Model,
    dataset: tf.data.Dataset,
    *,
    output: str | int | None = None,
    limit: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Predicts a data set without changes and collects its labels in the same pass.

    Args:
        model: Takes the images of the data set.
        dataset: Batches of ``(images, labels)`` or ``(images, labels, weights)``, as for
            ``model.fit``. It may be shuffled. Rows of weight 0 are left out.
        output: Output to return, as in `predict_table`. It selects among the labels too if
            they have a name or position for each output.
        limit: Number of batches. None takes all.

    Returns:
        ``(labels [N, ...], outputs [N, ...])``, the outputs float32.

    Raises:
        ValueError: If ``output`` is not one of the outputs, or there is no row.
    """
    names = _output_names(model)
    labels, rows = [], []
    for images, target, *weights in dataset if limit is None else dataset.take(limit):
        if _is_unbuilt(model):
            _build(model, images)
        if model.distribute_strategy.num_replicas_in_sync > 1:
            outputs = model.predict(images, verbose=0)  # of a single batch, each replica does all
        else:
            outputs = model.predict_on_batch(images)
        outputs = _float32(select_output(outputs, output, names))
        target = np.asarray(select_output(target, output, names))
        if weights and weights[0] is not None:
            weight = np.asarray(select_output(weights[0], output, names))
            kept = weight.reshape(len(weight), -1).any(axis=1)
            outputs, target = outputs[kept], target[kept]
        labels.append(target)
        rows.append(outputs)
    if not sum(map(len, rows)):
        raise ValueError("A data set must have at least one labeled image. Received: none.")
    return np.concatenate(labels), np.concatenate(rows)


def square_size(
    model: keras.Model, image_size: int | None = None, *, preprocessed: bool = False
) -> int:
    """Returns the side of the square images that a model takes.

    Args:
        model: The model.
        image_size: What the user gave, or None.
        preprocessed: If True, a function of the user makes the model's input from the images. Then
            only ``image_size``, or one square input, must be known.

    Returns:
        The side in pixels.

    Raises:
        ValueError: If the model has several inputs, its input is not square or not RGB, or it
            has no size and ``image_size`` is None.
    """
    if image_size is not None:
        check_number("image_size", image_size, 1, whole=True)
        if preprocessed:
            return image_size
    inputs = _inputs(model)
    if inputs is None:
        if image_size is None:
            raise ValueError(
                "`image_size` must be given for a model without a fixed input size. Received: "
                f"image_size=None for a {type(model).__name__} model. Pass it, or build the "
                "model with keras.Input."
            )
        return image_size
    if len(inputs) != 1:
        raise ValueError(
            f"The model must have one input, an image. Received: {len(inputs)} inputs. "
            "Pass `image_size`, and `preprocess`, which makes all inputs from the images."
        )
    shape = tuple(inputs[0].shape)
    height, width = shape[1:3] if len(shape) == 4 else (None, None)
    channels = shape[-1] if len(shape) == 4 and not preprocessed else 3
    fits = height == width and channels in (3, None) and len(shape) == 4
    if fits and height is None and image_size is not None:
        return image_size
    if not fits or height is None or image_size not in (None, height):
        wanted = "" if image_size is None else f" and image_size={image_size}"
        raise ValueError(
            "Tables are read as square RGB images of one size. Received: "
            f"a model for images of {height} x {width} pixels, shape {shape}{wanted}."
        )
    return height


def select_output(outputs: Any, output: str | int | None = None, names: Sequence[str] = ()) -> Any:
    """Selects one of the outputs of a model.

    Args:
        outputs: An array, or a dictionary, list or tuple of arrays.
        output: The key, name or position of the wanted one; None if there is only one.
        names: Names of the outputs of a list, if the model has them.

    Returns:
        The selected array.

    Raises:
        ValueError: If there are several and ``output`` is not one of them.

    Example:
        >>> select_output({"identity": [0, 1], "smile": [2, 3]}, "smile")
        [2, 3]
    """
    if isinstance(outputs, Mapping):
        known, values = list(outputs), list(outputs.values())
    elif isinstance(outputs, (list, tuple)):
        values = list(outputs)
        known = list(names) if len(names) == len(values) else list(range(len(values)))
    else:
        return outputs
    if output is None and len(values) == 1:
        return values[0]
    if isinstance(output, int) and output not in known and 0 <= output < len(values):
        return values[output]
    check_choice("output", output, known)
    return values[known.index(output)]


def _readable(batches: Iterable[Loaded], images: ImageList, *, strict: bool) -> Iterator[tf.Tensor]:
    """The images of loaded batches; the unreadable ones are an error or a warning."""
    unreadable: dict[str, str] = {}
    for batch in batches:
        for position, reason in batch.unreadable.items():
            unreadable[images.names[position]] = reason
        if not (strict and unreadable):  # the error names all of them
            yield batch.images
    if strict and unreadable:
        raise unreadable_error(unreadable)
    for name, reason in unreadable.items():
        warnings.warn(f"{name} cannot be read and is replaced by black: {reason}", stacklevel=5)


def _predict_loaded(
    model: keras.Model,
    batches: Iterable[tf.Tensor],
    output: str | int | None,
    *,
    flip: bool,
    bar: ProgressBar,
) -> np.ndarray:
    """Predicts batches of images, and their mirror images."""
    key, rows = _input_key(model), []

    def predict(batch: tf.Tensor) -> np.ndarray:
        outputs = _predict_batch(model, batch if key is None else {key: batch})
        return _float32(select_output(outputs, output, _output_names(model)))

    for batch in batches:
        outputs = predict(batch)
        rows.append((outputs + predict(batch[:, :, ::-1])) / 2 if flip else outputs)
        bar.update(len(outputs))
    return np.concatenate(rows)


def _predict_batch(model: keras.Model, images: Any) -> Any:
    """Predicts one batch of any size without tracing the model again."""
    if _is_unbuilt(model):
        _build(model, images)
    if model.distribute_strategy.num_replicas_in_sync > 1:
        return model.predict(images, verbose=0)  # of a single batch, each replica does all
    specification = keras.tree.map_structure(
        lambda tensor: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype), images
    )
    _trace(model, [(specification,)])
    return model.predict_on_batch(images)


class _Progress(keras.callbacks.Callback):
    """Advances a progress bar by the images of each predicted batch."""

    def __init__(self, bar: ProgressBar, batch_size: int) -> None:
        super().__init__()
        self.bar = bar
        self.batch_size = batch_size

    def on_predict_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        done = (batch + 1) * self.batch_size
        if self.bar.total is not None:
            done = min(done, self.bar.total)
        self.bar.update(done - self.bar.done)


def _trace(model: keras.Model, data: Any) -> None:
    """Traces the predictions of a model once, for batches of any size.

    Otherwise Keras traces them again for another batch size, and TensorFlow warns about retracing
    when a few models have been loaded, although each of them is another network.

    Args:
        model: The model. Subclassed models and eager ones stay as they are.
        data: Specification of what Keras passes to ``predict_function``.
    """
    if _inputs(model) is None or model.run_eagerly:
        return  # a subclassed model may need a known batch size
    model.make_predict_function()
    if model.distribute_strategy.num_replicas_in_sync == 1:
        model.predict_function.get_concrete_function(data)


def _inputs(model: keras.Model) -> list[keras.KerasTensor] | None:
    """Returns the symbolic inputs. None for subclassed models and `Sequential` without an input."""
    try:
        return model.inputs
    except (AttributeError, ValueError):
        return None


def _input_key(model: keras.Model) -> str | None:
    """Returns the key of the image, if the input of the model is a dictionary with one entry."""
    try:
        inputs = model.input
    except (AttributeError, ValueError):
        return None
    return next(iter(inputs)) if isinstance(inputs, dict) and len(inputs) == 1 else None


def _output_names(model: keras.Model) -> Sequence[str]:
    return getattr(model, "output_names", None) or ()


def _is_unbuilt(model: keras.Model) -> bool:
    return isinstance(model, keras.Sequential) and not model.built


def _build(model: keras.Sequential, images: tf.Tensor) -> None:
    """Builds a model for any batch size; its first batch would fix the batch size."""
    model.build((None, *images.shape[1:]))


def _float32(outputs: Any) -> np.ndarray:
    return np.asarray(outputs).astype(np.float32, copy=False)
