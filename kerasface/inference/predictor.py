"""Predictor: a run or a Keras model that predicts classes or attributes."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import TypeAlias

import keras
import numpy as np

from kerasface.checks import check_unused
from kerasface.data.image_list import ImageList
from kerasface.faces.preparation import Preparation
from kerasface.inference.reading import AnyModel, open_model, run_of
from kerasface.metrics.attributes import THRESHOLD
from kerasface.pipeline.predict import predict_table
from kerasface.runs.record import IMAGES, read_images
from kerasface.runs.run import Run

Models: TypeAlias = AnyModel | Sequence[AnyModel]


@dataclasses.dataclass(frozen=True, eq=False)
class Predictor:
    """A model with the names of its outputs.

    Attributes:
        title: The run folder, the file or the name of the model.
        names: Class or attribute names, one per output.
        multi_label: Whether the outputs are attributes.
        thresholds: Minimum probability at which each attribute is predicted, ``[names]``; None
            for classes.
        height_to_width: Aspect ratio of the training images; 1 where it is not known.
        preparation: How the training images were cut out of photographs; None if it is not known.
        predict: Function of a list of images and the options ``batch_size``, ``flip`` and
            ``verbose``; it returns float32 ``[len(images), len(names)]``.
    """

    title: str
    names: tuple[str, ...]
    multi_label: bool
    thresholds: np.ndarray | None
    height_to_width: float
    preparation: Preparation | None
    predict: Callable[..., np.ndarray]


def open_predictors(model: Models, names: Sequence[str] | None = None) -> list[Predictor]:
    """Opens one or several models with the same classes or attributes.

    Args:
        model: Run, run folder, ``.keras`` file or Keras model, or a sequence of them.
        names: Names of the outputs of a Keras model or a ``.keras`` file. None numbers them from
            0. A run has its own names.

    Raises:
        ValueError: If there is no model, the models have different classes or attributes, or the
            outputs of a model are not probabilities.
    """
    several = isinstance(model, Sequence) and not isinstance(model, str)
    given: list[AnyModel] = list(model) if several else [model]  # type: ignore[arg-type]
    if not given:
        raise ValueError("At least one model is needed. Received: none.")
    opened = [_open(each, names) for each in given]
    for other in opened[1:]:
        if other.names != opened[0].names or other.multi_label != opened[0].multi_label:
            first, second = (
                f"{each.title} with {len(each.names)} "
                f"{'attributes' if each.multi_label else 'classes'}"
                for each in (opened[0], other)
            )
            raise ValueError(
                "Models can only be averaged if they have the same classes or attributes. "
                f"Received: {first} and {second}, or others."
            )
    return opened


def train_shares(run: Run | None) -> dict[str, float]:
    """Returns the share of a run's training images that have each attribute.

    Args:
        run: A run of attributes.

    Returns:
        Attribute to share; empty for other models and for runs without a record of their images.
    """
    if run is None or not run.multi_label or not run.path(IMAGES).is_file():
        return {}
    frame = read_images(run.folder)
    texts = frame["label"][frame["partition"] == "train"]
    if not len(texts):
        return {}
    counts = texts.value_counts()
    bits = np.array([[mark == "1" for mark in text] for text in counts.index])
    shares = counts.to_numpy() @ bits / len(texts)
    return dict(zip(run.names, shares.tolist(), strict=True))


def _open(model: AnyModel, names: Sequence[str] | None) -> Predictor:
    run = run_of(model)
    if run is None:
        title = model.name if isinstance(model, keras.Model) else os.fspath(str(model))
        return _of_network(title, open_model(model), names)
    check_unused(f"for a run, which has its own names ({run.folder})", {"names": names})
    return Predictor(
        title=os.fspath(run.folder),
        names=run.names,
        multi_label=run.multi_label,
        thresholds=run.thresholds if run.multi_label else None,
        height_to_width=run.height_to_width,
        preparation=run.preparation,
        predict=run.predict,
    )


def _of_network(title: str, network: keras.Model, names: Sequence[str] | None) -> Predictor:
    """A Keras model that is not a run; it sees whole images."""
    is_multi_label = _has_attributes(title, network)
    count = int(network.output_shape[-1])
    if names is not None and len(names) != count:
        raise ValueError(
            "`names` must hold one name per output. "
            f"Received: {len(names)} names for {title}, which has {count} outputs."
        )

    def predict(images: ImageList, *, batch_size: int, flip: bool, verbose: int) -> np.ndarray:
        return predict_table(network, images, batch_size=batch_size, flip=flip, verbose=verbose)

    return Predictor(
        title=title,
        names=tuple(map(str, range(count))) if names is None else tuple(names),
        multi_label=is_multi_label,
        thresholds=np.full(count, THRESHOLD) if is_multi_label else None,
        height_to_width=1.0,
        preparation=None,
        predict=predict,
    )


def _has_attributes(title: str, network: keras.Model) -> bool:
    """Whether the outputs are attributes (sigmoid) and not classes (softmax)."""
    rule = "The outputs of a model must be probabilities, from a softmax or a sigmoid."
    shape = getattr(network, "output_shape", None)
    if len(network.outputs) != 1 or len(shape or ()) != 2:
        raise ValueError(
            f"{rule} Received: {title} with {len(network.outputs)} outputs of shape {shape}."
        )
    last = network.layers[-1]
    activation = "softmax" if isinstance(last, keras.layers.Softmax) else None
    activation = activation or getattr(getattr(last, "activation", None), "__name__", None)
    if activation == "softmax":
        return False
    if activation == "sigmoid":
        return True
    if isinstance(last, keras.layers.UnitNormalization):
        raise ValueError(
            f"{rule} Received: {title}, an embedding model. Use kerasface.embed, kerasface.verify "
            "or kerasface.identify."
        )
    raise ValueError(
        f"{rule} Received: {title}, whose last layer is {last.name!r} with the activation "
        f"{activation!r}. Add keras.layers.Softmax() or keras.layers.Activation('sigmoid')."
    )
