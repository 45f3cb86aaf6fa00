"""Embedding models made of others: a linear discriminant behind one, several side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence

import keras
import numpy as np
from sklearn.covariance import ShrunkCovariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from kerasface.data.folders import identity_folder
from kerasface.data.table import FaceTable
from kerasface.inference.embedding import embed, embedder
from kerasface.inference.reading import Source, crop_of
from kerasface.models import heads
from kerasface.pipeline.crop import Crop

# By every fifth of 120 people, with the others learnt (benchmarks/verification.py).
SHRINKAGE = 0.3


def discriminant_embedder(
    source: Source,
    people: str | os.PathLike | FaceTable,
    *,
    shrinkage: float = SHRINKAGE,
    crop: Crop | None = None,
    flip: bool = True,
    batch_size: int = 64,
    verbose: int = 0,
) -> keras.Model:
    """An embedding model with the linear discriminant of its embeddings behind it.

    The directions in which people differ most against how much pictures of one person do
    (Fisher 1936; the covariance within people is shrunk towards a sphere's). Strangers whose
    pictures are of the same kind as the people's are told apart better, pictures of another kind
    worse. The model knows nothing of whom it has learnt: judge it on others.

    Args:
        source: A run, its folder, a ``.keras`` file or a model; see `kerasface.embedder`.
        people: A folder with one subfolder a person, or a table with one class an image, for
            instance what the run was trained on.
        shrinkage: In [0, 1]; 1 takes all directions as equally noisy.
        crop: As in `kerasface.embed`.
        flip: Whether the directions are learnt from embeddings with the mirrored image added.
        batch_size: Images a step.
        verbose: 1 shows a progress bar.

    Returns:
        A functional model of stock layers, ``[batch, height, width, 3]`` RGB in [0, 255] to
        float32 ``[batch, directions]`` of length 1; at most one direction fewer than people.

    Raises:
        ValueError: If the people are not known, fewer than two, or have one picture each.

    Example:
        >>> model = discriminant_embedder("runs/faces", "data/train")  # doctest: +SKIP
        >>> model.save("faces.keras")  # then: kerasface verify faces.keras  # doctest: +SKIP
    """
    table = people if isinstance(people, FaceTable) else identity_folder(people)
    if table.labels is None or table.multi_label:
        raise ValueError(
            "A discriminant needs to know who is in each picture. "
            f"Received: {table.summary()} without one class an image."
        )
    model = embedder(source)
    vectors = embed(
        model,
        table,
        crop=crop or crop_of(source),
        flip=flip,
        batch_size=batch_size,
        verbose=verbose,
    )
    kernel, bias = discriminant(vectors, np.asarray(table.labels), shrinkage)
    layer = keras.layers.Dense(
        kernel.shape[1], dtype="float32", name=f"{heads.HEAD_PREFIX}discriminant"
    )
    unit = keras.layers.UnitNormalization(
        dtype="float32", name=f"{heads.HEAD_PREFIX}discriminant_unit"
    )
    outputs = unit(layer(model.output))
    layer.set_weights([kernel, bias])
    return keras.Model(model.input, outputs, name=f"{model.name}_discriminant")


def joined_embedder(sources: Sequence[Source]) -> keras.Model:
    """Several embedding models as one, whose cosine is the mean of theirs.

    Args:
        sources: Runs, folders, ``.keras`` files or models for images of one size.

    Returns:
        A functional model with one input; its embeddings are theirs one behind the other.

    Raises:
        ValueError: If there is none, or they take images of several sizes.

    Example:
        >>> model = joined_embedder(["runs/one", "runs/two"])  # doctest: +SKIP
    """
    models = [embedder(source) for source in sources]
    shapes = sorted({tuple(model.input_shape[1:]) for model in models})
    if len(shapes) != 1:
        raise ValueError(
            "Embedding models can be joined that take images of one size. "
            f"Received: {len(models)} models for {shapes}."
        )
    inputs = keras.Input(shapes[0], name="image")
    # Layers of one name cannot be told apart in a file, and runs of a recipe share theirs.
    parts = [
        keras.Model(model.input, model.output, name=f"part{place}_{model.name}")
        for place, model in enumerate(models, start=1)
    ]
    outputs = [part(inputs) for part in parts]
    if len(outputs) > 1:
        outputs = [keras.layers.Concatenate(dtype="float32", name="head_join")(outputs)]
    unit = keras.layers.UnitNormalization(dtype="float32", name="head_join_unit")
    return keras.Model(inputs, unit(outputs[0]), name="joined_embedder")


def discriminant(
    features: np.ndarray, labels: np.ndarray, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """The linear discriminant's directions, from the middle of all features.

    Args:
        features: ``[N, features]``.
        labels: Whose they are, ``[N]``.
        shrinkage: Of the covariances within people, in [0, 1].

    Returns:
        Kernel ``[features, directions]`` and bias ``[directions]``, float32.

    Raises:
        ValueError: If there are fewer than two people, or nobody with two pictures.
    """
    if not 0 <= shrinkage <= 1:
        raise ValueError(f"`shrinkage` must be in [0, 1]. Received: shrinkage={shrinkage}.")
    counts = np.unique(labels, return_counts=True)[1]
    if len(counts) < 2 or counts.max() < 2:
        raise ValueError(
            "A discriminant needs two people, and two pictures of one of them. "
            f"Received: {len(counts)} people with at most {counts.max()} pictures."
        )
    covariance = ShrunkCovariance(shrinkage=shrinkage)
    found = LinearDiscriminantAnalysis(solver="eigen", covariance_estimator=covariance)
    found.fit(features, labels)
    directions = min(found.scalings_.shape[1], len(counts) - 1)
    kernel = found.scalings_[:, :directions].astype(np.float32)
    # This solver leaves the mean in.
    return kernel, -features.mean(axis=0, dtype=np.float64).astype(np.float32) @ kernel
