"""Embeddings of images, or of the faces in photographs, by an embedding model."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from kerasface.data.image_list import ImageList
from kerasface.data.table import FaceTable
from kerasface.faces.face import Face
from kerasface.inference.framing import SAMPLE, warn_about_crops, warn_about_photographs
from kerasface.inference.jitter import jittered
from kerasface.inference.method import EmbeddingMethod
from kerasface.inference.preparing import BATCH_SIZE, Prepared, prepare
from kerasface.inference.reading import readable_table
from kerasface.pipeline import decode
from kerasface.pipeline.crop import Crop
from kerasface.pipeline.few import load_batches
from kerasface.pipeline.predict import FEW, predict_table, square_size, unreadable_error
from kerasface.pipeline.streams import stream
from kerasface.progress import ProgressBar

BOX = ("left", "top", "width", "height")
STACK = 4  # warnings name the line that calls the public function


@dataclasses.dataclass(frozen=True, eq=False)
class Embedded:
    """Embeddings with the faces that they are of.

    Attributes:
        vectors: float32 ``[N, dimensions]``, rows of length 1, or of NaN for a photograph without
            a face.
        rows: int64 ``[N]``, position of each one's image in the list.
        numbers: int64 ``[N]``, number of the face in its photograph, from 1, the best score first;
            0 for an image that is taken as it is, and for a photograph without a face.
        counts: int64 ``[N]``, number of faces that were found in that photograph.
        faces: The N faces; None where there is none.
    """

    vectors: np.ndarray
    rows: np.ndarray
    numbers: np.ndarray
    counts: np.ndarray
    faces: tuple[Face | None, ...]

    def to_frame(self, images: ImageList) -> pd.DataFrame:
        """One row per embedding.

        Args:
            images: The images.

        Returns:
            ``image`` (name), ``face``, ``faces`` (number of faces in the photograph), the box
            ``left``, ``top``, ``width``, ``height`` in pixels, ``score`` and ``landmarks``
            (float64 ``[5, 2]`` or None).
        """
        none = [np.nan] * len(BOX)
        boxes = np.array([face.box if face else none for face in self.faces]).reshape(-1, len(BOX))
        columns: dict[str, object] = {
            "image": [images.names[row] for row in self.rows],
            "face": self.numbers,
            "faces": self.counts,
            **dict(zip(BOX, boxes.T, strict=True)),
            "score": [face.score if face else np.nan for face in self.faces],
        }
        landmarks = [face.landmarks if face else None for face in self.faces]
        columns["landmarks"] = pd.Series(landmarks, dtype=object)
        return pd.DataFrame(columns)


def embed_table(
    model: keras.Model,
    table: FaceTable,
    *,
    crop: Crop | None = None,
    flip: bool = False,
    batch_size: int = 64,
    verbose: int = 0,
) -> np.ndarray:
    """Computes the embeddings of a table's images.

    Args:
        model: Embedding model from `kerasface.embedder`.
        table: Readable images; labels are ignored.
        crop: Region of each image that the model sees; None is the whole image.
        flip: If True, add the embedding of the mirror image.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        float32 ``[N, dimensions]``, rows of length 1 in the table's order.
    """
    outputs = predict_table(
        model,
        table,
        crop=crop,
        flip=flip,
        batch_size=batch_size,
        title="Embedding",
        verbose=verbose,
    )
    return unit_rows(outputs)


def embed_images(
    method: EmbeddingMethod,
    images: ImageList,
    *,
    missing: str = "error",
    batch_size: int = BATCH_SIZE,
    verbose: int = 0,
) -> Embedded:
    """Computes the embeddings of images, or of the faces in photographs.

    Args:
        method: The model and how the images are prepared for it.
        images: The images.
        missing: What a photograph without a face gives: ``"error"``, ``"nan"`` (a row of NaN) or
            ``"skip"`` (no row).
        batch_size: Batch size. Up to so many images are read at once, more through a pipeline.
        verbose: 1 shows a progress bar.

    Returns:
        The embeddings, in the order of the images.

    Raises:
        ValueError: If an image is unreadable, a photograph has no face and ``missing`` is
            ``"error"``, or the input of the model is not square.
    """
    size = square_size(method.model.network)
    if method.preparation is None:
        warn_about_photographs(
            images, run=method.run, preparation=method.trained_on, stacklevel=STACK
        )
        vectors = _of_crops(method, images, size, batch_size, verbose)
        rows = np.arange(len(images))
        numbers, counts = np.zeros(len(images), np.int64), np.zeros(len(images), np.int64)
        return Embedded(vectors, rows, numbers, counts, (None,) * len(images))
    parts: list[Prepared] = []
    found: list[np.ndarray] = []
    for part in prepare(images, method.preparation, batch_size=batch_size, verbose=verbose):
        found += [
            _of_pixels(method, list(part.crops[start : start + batch_size]), size)
            for start in range(0, len(part.crops), batch_size)
        ]
        # Crops of a large folder would fill the memory.
        parts.append(dataclasses.replace(part, crops=part.crops[:0]))
    warn_about_crops([share for part in parts for share in part.shares][:SAMPLE], stacklevel=STACK)
    vectors = np.concatenate(found) if found else np.zeros((0, 0), np.float32)
    joined = Embedded(
        vectors=vectors,
        rows=np.concatenate([part.rows for part in parts]),
        numbers=np.concatenate([part.numbers for part in parts]),
        counts=np.concatenate([part.counts for part in parts]),
        faces=tuple(face for part in parts for face in part.faces),
    )
    without = np.setdiff1d(np.arange(len(images)), joined.rows).tolist()
    if missing == "error" and len(without):
        raise no_face_error(images, without)
    if missing == "nan" and len(without):
        dimensions = int(method.model.network.output_shape[-1])
        return _with_missing(joined, without, dimensions)
    return joined


def no_face_error(images: ImageList, without: Sequence[int]) -> ValueError:
    """Makes the error for photographs without a face.

    Args:
        images: The photographs.
        without: Positions of those without a face.
    """
    names = [images.names[row] for row in without[:3]]
    some = (
        f", for instance {', '.join(map(repr, names))}" if len(without) > 1 else f": {names[0]!r}"
    )
    return ValueError(
        "Every photograph must have a face. "
        f"Received: {len(without)} of {len(images)} in which no face was found{some}. "
        "Use detect=False (--no-detect) for images that are already cropped."
    )


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Divides rows by their length; a row of zeros stays.

    Args:
        vectors: float ``[N, dimensions]``.

    Returns:
        float32 ``[N, dimensions]``.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0]])).round(1).tolist()
        [[0.6000000238418579, 0.800000011920929]]
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def _of_crops(
    method: EmbeddingMethod, images: ImageList, size: int, batch_size: int, verbose: int
) -> np.ndarray:
    """Embeddings of images that are faces already."""
    crop = method.settings.crop
    if len(images) <= FEW or images.table is None:
        parts: list[np.ndarray] = []
        unreadable: dict[str, str] = {}
        for loaded in load_batches(images, image_size=size, batch_size=batch_size, crop=crop):
            unreadable |= {images.names[row]: why for row, why in loaded.unreadable.items()}
            if not unreadable:  # the error names all of them
                parts.append(_outputs(method, loaded.images.numpy()))
        if unreadable:
            raise unreadable_error(unreadable)
        return unit_rows(np.concatenate(parts))
    # Many files: TensorFlow reads them in parallel.
    table = readable_table(images.table, verbose=verbose)
    table = dataclasses.replace(table, labels=None, names=())
    batches = stream(table, image_size=size, batch_size=batch_size, crop=crop)
    with ProgressBar(len(table), "Embedding", verbose=verbose) as bar:
        parts = []
        for batch in batches.as_numpy_iterator():
            parts.append(_outputs(method, batch))
            bar.update(len(batch))
    return unit_rows(np.concatenate(parts))


def _of_pixels(method: EmbeddingMethod, pixels: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Embeddings of a few images in memory, uint8 RGB."""
    crop = method.settings.crop
    if crop is None and all(image.shape == (size, size, 3) for image in pixels):
        return unit_rows(_outputs(method, np.stack(pixels).astype(np.float32)))
    tensors = [tf.constant(image) for image in pixels]
    if crop is not None:
        tensors = [decode.cut(image, crop) for image in tensors]
    resized = [decode.resize(image, size).numpy() for image in tensors]
    return unit_rows(_outputs(method, np.stack(resized)))


def _outputs(method: EmbeddingMethod, batch: np.ndarray) -> np.ndarray:
    """Outputs of the model for float32 ``[batch, size, size, 3]``, summed over copies."""
    copies = method.settings.jitter
    if copies:
        return _jittered_outputs(method, batch)
    if not method.settings.flip:
        return method.model.infer(batch)
    both = method.model.infer(np.concatenate([batch, batch[:, :, ::-1]]))
    return both[: len(batch)] + both[len(batch) :]


def _jittered_outputs(method: EmbeddingMethod, batch: np.ndarray) -> np.ndarray:
    faces = np.clip(np.rint(batch), 0, 255).astype(np.uint8)
    sums = []
    for face in faces:  # the copies of a whole batch would fill the memory
        [copies] = jittered(face[None], method.settings.jitter)
        values = copies.astype(np.float32)
        if method.settings.flip:
            values = np.concatenate([values, values[:, :, ::-1]])
        parts = [
            method.model.infer(values[start : start + BATCH_SIZE])
            for start in range(0, len(values), BATCH_SIZE)
        ]
        sums.append(np.concatenate(parts).sum(axis=0))
    return np.stack(sums)


def _with_missing(found: Embedded, without: np.ndarray, dimensions: int) -> Embedded:
    """Adds a row of NaN for each photograph without a face, in the order of the photographs."""
    rows = np.concatenate([found.rows, without])
    order = np.argsort(rows, kind="stable")
    empty = np.zeros(len(without), np.int64)
    vectors = found.vectors.reshape(len(found.rows), dimensions)
    nan = np.full((len(without), dimensions), np.nan, np.float32)
    faces = (*found.faces, *(None,) * len(without))
    return Embedded(
        np.concatenate([vectors, nan])[order],
        rows[order],
        np.concatenate([found.numbers, empty])[order],
        np.concatenate([found.counts, empty])[order],
        tuple(faces[place] for place in order),
    )
