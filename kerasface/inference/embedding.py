"""`embedder` makes embedding models, `embed` computes embeddings of length 1."""

from __future__ import annotations

import os
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd

from kerasface.checks import check_choice, check_flag, check_unused
from kerasface.data.folders import identity_folder
from kerasface.data.image_list import AnyImages, image_list
from kerasface.data.table import FaceTable
from kerasface.embedding.discriminant import EMBEDDING_SHRINKAGE, discriminant_directions
from kerasface.faces.detectors.registry import Detector
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.method import embedding_model, open_method
from kerasface.inference.operating_point import resolve_threshold
from kerasface.inference.preparing import BATCH_SIZE
from kerasface.inference.pretrained import DEFAULT
from kerasface.inference.reading import (
    AnyModel,
    checked_images,
    crop_of,
    load_model,
    readable_table,
)
from kerasface.inference.vectors import embed_images, embed_table
from kerasface.models import heads
from kerasface.pipeline.crop import Crop

MISSING = ("error", "nan")


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
        network = _joined([embedding_model(load_model(each)) for each in models])
    else:
        models = [model]
        network = embedding_model(load_model(model))
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
    images: AnyImages,
    *,
    model: AnyModel = DEFAULT,
    detect: bool | None = None,
    detector: str | Detector | None = None,
    faces: str = "largest",
    missing: str = "error",
    return_faces: bool = False,
    flip: bool | None = None,
    crop: Crop | None = None,
    jitter: int = 0,
    batch_size: int = BATCH_SIZE,
    verbose: int = 0,
) -> np.ndarray | tuple[np.ndarray, pd.DataFrame]:
    """Computes the embeddings of the faces in images.

    The default model is dlib's network: photographs are enough. It has learned from 3 million
    images of about 7,485 people, many of them celebrities, and people of CelebA may be among them;
    the people of LFW were removed.

    Args:
        images: An image in a form of `kerasface.images.as_image` (a path, an array, a PIL image,
            bytes, a binary file), a list of images, a folder, whose images are sorted by path, a
            table, or an array ``[N, H, W, channels]``.
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model; see `embedder`.
        detect: If True, find the faces in photographs first and cut them out as the model needs
            them. If False, the images are faces, cropped like the training images of the model.
            None detects for ``"dlib"`` only.
        detector: A face detector as in `kerasface.faces.detect`, with detection only. None takes
            the one of the model's training crops, or the default.
        faces: Which faces of a photograph count, with detection only: ``"largest"``,
            ``"central"``, ``"best"`` (highest score) or ``"all"``, a row per face.
        missing: What a photograph without a face gives: ``"error"`` or ``"nan"``, a row of NaN.
        return_faces: If True, also return a table of the faces.
        flip: If True, add the embedding of the mirror image. None does so if the stored threshold
            was measured so.
        crop: Region of each image, or of each face, that the model sees. None takes that of the
            stored threshold, else that of the run's training, else all of it.
        jitter: Number of randomly shifted, scaled, rotated and mirrored copies of each face whose
            embeddings are averaged (dlib's ``num_jitters``); 0 for none. The time grows with it.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        float32 ``[N, dimensions]``, rows of length 1 in the order of the images. The product of
        two rows is their cosine similarity. With ``return_faces=True`` also a table with one row
        per embedding: ``image``, ``face`` (its number in the photograph, from 1, the best score
        first; 0 without detection), ``faces`` (how many there are), the box ``left``, ``top``,
        ``width``, ``height`` in pixels, ``score`` and ``landmarks``.

    Raises:
        ValueError: If a photograph has no face, the model makes no embeddings, an image is
            unreadable, or an option is out of range or has no effect.
        FileNotFoundError: If a path does not exist.

    Warns:
        UserWarning: If the images look like photographs and are taken as faces, or the other way
            round.

    Example:
        >>> vectors = embed(["a.jpg", "b.jpg"])  # doctest: +SKIP
        >>> similarity = vectors @ vectors.T  # doctest: +SKIP
        >>> vectors = embed("crops", model="runs/faces", flip=True)  # doctest: +SKIP
    """
    check_choice("missing", missing, MISSING)
    check_flag("return_faces", return_faces)
    given = image_list(checked_images(images))
    stored = resolve_threshold(model, None)
    flip, crop = stored.flip_and_crop(model, flip, crop)
    method = open_method(
        model,
        detect=detect,
        detector=detector,
        faces=faces,
        flip=flip,
        crop=crop,
        jitter=jitter,
        like=stored.point.settings if stored.point else None,
    )
    found = embed_images(method, given, missing=missing, batch_size=batch_size, verbose=verbose)
    return (found.vectors, found.to_frame(given)) if return_faces else found.vectors


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
