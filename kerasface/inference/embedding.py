"""`embedder` makes embedding models, `embed` computes embeddings of length 1."""

from __future__ import annotations

import os
from collections.abc import Sequence

import keras
import numpy as np

from kerasface.checks import check_unused
from kerasface.data.folders import identity_folder
from kerasface.data.table import FaceTable
from kerasface.embedding.discriminant import EMBEDDING_SHRINKAGE, discriminant_directions
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.operating_point import stored_flip_and_crop
from kerasface.inference.reading import AnyModel, Images, crop_of, open_model, readable_table
from kerasface.inference.vectors import embed_table
from kerasface.models import heads
from kerasface.pipeline.crop import Crop

# Layers that may follow the layer that makes the classes.
AFTER_CLASSES = (
    keras.layers.Activation,
    keras.layers.Dropout,
    keras.layers.Rescaling,
    keras.layers.Softmax,
)


@explain_old_calls
def embedder(
    model: AnyModel | Sequence[AnyModel],
    *,
    discriminant: str | os.PathLike | FaceTable | None = None,
    shrinkage: float | None = None,
    crop: Crop | None = None,
    flip: bool | None = None,
    batch_size: int = 64,
    verbose: int = 0,
) -> keras.Model:
    """Makes an embedding model, which maps images to vectors of length 1.

    For a model that was built with ``embedding=``, the result is that model. For a classifier, it
    is the part before the layer that makes the classes, followed by a normalization; both share
    their layers. Several models are joined: the cosine similarity is the mean of theirs.

    A linear discriminant finds the directions in which people differ most compared with the images
    of one person (Fisher 1936). It improves the verification of strangers on images of the same
    kind and makes it worse on other kinds. Evaluate the model on other people.

    The model does not crop: give `embed`, `kerasface.verify` and the others the run itself, or
    ``crop=``.

    Args:
        model: Run, run folder, ``.keras`` file or Keras model, or several of them for images of
            one size.
        discriminant: People for a linear discriminant after the embedding: a folder with one
            subfolder per person, or a table with one class per image, for instance the run's
            training images. None adds no discriminant. The following arguments need one.
        shrinkage: Shrinkage of the covariance within people, in [0, 1]. With 1 all directions are
            equally noisy. None takes a default that suits embeddings.
        crop: Region of the people's images that the model sees; None takes that of the run. Runs
            with different crops need it.
        flip: If True, add the embedding of the mirror image before the discriminant is estimated.
            None does not.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        A functional model of stock layers, ``[batch, height, width, 3]`` RGB in [0, 255] to
        float32 ``[batch, dimensions]``. A discriminant has at most one dimension fewer than
        people.

    Raises:
        FileNotFoundError: If there is no such run or file.
        ValueError: If the model has several outputs or does not end with a dense layer, there is
            no model, models are for images of different sizes, or a discriminant has fewer than
            two people, only people with one image, or no labels.

    Example:
        >>> model = embedder("runs/faces")  # doctest: +SKIP
        >>> model = embedder(["runs/one", "runs/two"], discriminant="people")  # doctest: +SKIP
        >>> model.save("faces.keras")  # then: kerasface verify faces.keras  # doctest: +SKIP
    """
    if isinstance(model, Sequence) and not isinstance(model, str):
        models = list(model)
        network = _joined([_embedding_model(open_model(each)) for each in models])
    else:
        models = [model]
        network = _embedding_model(open_model(model))
    if discriminant is None:
        options = {"shrinkage": shrinkage, "crop": crop, "flip": flip}
        check_unused("without a discriminant", options, remedy="Give discriminant=.")
        return network
    table = _labeled_people(discriminant, verbose)
    weight = EMBEDDING_SHRINKAGE if shrinkage is None else shrinkage
    vectors = embed_table(
        network,
        table,
        crop=_common_crop(models) if crop is None else crop,
        flip=bool(flip),
        batch_size=batch_size,
        verbose=verbose,
    )
    kernel, bias = discriminant_directions(vectors, np.asarray(table.labels), weight)
    return _with_linear_layer(network, kernel, bias)


@explain_old_calls
def embed(
    images: Images,
    *,
    model: AnyModel,
    crop: Crop | None = None,
    flip: bool | None = None,
    batch_size: int = 64,
    verbose: int = 0,
) -> np.ndarray:
    """Computes the embeddings of images.

    Args:
        images: A folder, whose images are sorted by path, a table, or image files and folders.
        model: Run, run folder, ``.keras`` file or Keras model; see `embedder`.
        crop: Region of each image that the model sees. None takes that of the threshold that is
            stored with the model, else that of the run's training, else the whole image.
        flip: If True, add the embedding of the mirror image. None does so if the stored threshold
            was measured so.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        float32 ``[N, dimensions]``, rows of length 1 in the order of the images. The product of
        two rows is their cosine similarity.

    Raises:
        ValueError: If the model makes no embeddings, or an image is unreadable.

    Example:
        >>> vectors = embed("photographs", model="runs/faces", flip=True)  # doctest: +SKIP
        >>> similarity = vectors @ vectors.T  # doctest: +SKIP
    """
    flip, crop = stored_flip_and_crop(model, flip, crop)
    network = embedder(model)
    table = readable_table(images, once=False, verbose=verbose)  # a row for each that was given
    return embed_table(network, table, crop=crop, flip=flip, batch_size=batch_size, verbose=verbose)


def _embedding_model(model: keras.Model) -> keras.Model:
    """The model itself, or the part of a classifier before the classes."""
    if isinstance(model.layers[-1], keras.layers.UnitNormalization):
        return model
    behind = (layer for layer in reversed(model.layers) if not isinstance(layer, AFTER_CLASSES))
    last = next(behind, None)
    features = last.input if isinstance(last, keras.layers.Dense) else None
    if len(model.outputs) != 1 or features is None or len(features.shape) != 2:
        raise ValueError(
            "An embedding is the input of the last dense layer of a model with one output. "
            f"Received: {model.name!r} with {len(model.outputs)} outputs and the last layer "
            f"{getattr(last, 'name', None)!r}. Build it with embedding=512, for instance."
        )
    unit = keras.layers.UnitNormalization(
        dtype="float32", name=f"{heads.HEAD_PREFIX}embedding_unit"
    )
    return keras.Model(model.input, unit(features), name=f"{model.name}_embedder")


def _joined(models: Sequence[keras.Model]) -> keras.Model:
    """One model whose embeddings are those of several models, concatenated."""
    shapes = sorted({tuple(model.input_shape[1:]) for model in models})
    if len(shapes) != 1:
        raise ValueError(
            "Joined embedding models must have the same image size. "
            f"Received: {len(models)} models for {shapes}."
        )
    inputs = keras.Input(shapes[0], name="image")
    # Layers of a saved model need different names, and runs of one recipe share theirs.
    parts = [
        keras.Model(model.input, model.output, name=f"part{place}_{model.name}")
        for place, model in enumerate(models, start=1)
    ]
    outputs = [part(inputs) for part in parts]
    if len(outputs) > 1:
        outputs = [keras.layers.Concatenate(dtype="float32", name="head_join")(outputs)]
    unit = keras.layers.UnitNormalization(dtype="float32", name="head_join_unit")
    return keras.Model(inputs, unit(outputs[0]), name="joined_embedder")


def _with_linear_layer(model: keras.Model, kernel: np.ndarray, bias: np.ndarray) -> keras.Model:
    """An embedding model followed by a linear layer and a normalization."""
    prefix = f"{heads.HEAD_PREFIX}discriminant"
    layer = keras.layers.Dense(kernel.shape[1], dtype="float32", name=prefix)
    unit = keras.layers.UnitNormalization(dtype="float32", name=f"{prefix}_unit")
    outputs = unit(layer(model.output))
    layer.set_weights([kernel, bias])
    return keras.Model(model.input, outputs, name=f"{model.name}_discriminant")


def _labeled_people(people: str | os.PathLike | FaceTable, verbose: int) -> FaceTable:
    table = people if isinstance(people, FaceTable) else identity_folder(people)
    if table.labels is None or table.multi_label:
        raise ValueError(f"A discriminant needs one class per image. Received: {table.summary()}.")
    return readable_table(table, verbose=verbose)


def _common_crop(models: Sequence[AnyModel]) -> Crop | None:
    crops = {crop_of(model) for model in models}
    if len(crops) > 1:
        raise ValueError(
            "A discriminant of several runs needs one crop. "
            f"Received: runs with {sorted(map(repr, crops))}. Choose one with crop=."
        )
    return crops.pop()
