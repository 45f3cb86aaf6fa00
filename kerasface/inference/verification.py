"""`verify` decides whether two images show the same person."""

from __future__ import annotations

import os

import keras
import numpy as np

from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.decision import Decision, decide
from kerasface.inference.embedding import embedder
from kerasface.inference.operating_point import AnyThreshold, resolve_threshold
from kerasface.inference.reading import AnyModel
from kerasface.inference.vectors import embed_pictures
from kerasface.pipeline.crop import Crop


@explain_old_calls
def verify(
    image_a: str | os.PathLike | np.ndarray,
    image_b: str | os.PathLike | np.ndarray,
    *,
    model: AnyModel,
    threshold: AnyThreshold | None = None,
    flip: bool | None = None,
    crop: Crop | None = None,
) -> Decision:
    """Decides whether two images show the same person.

    Args:
        image_a: A path or a uint8 RGB array ``[height, width, 3]``: a face, cropped like the
            images that the model was trained on.
        image_b: The other image, in the same form.
        model: Run, run folder, ``.keras`` file or Keras model; see `kerasface.embedder`.
        threshold: A cosine similarity in [-1, 1], the result of
            `kerasface.inference.read_operating_point`, or a file ``verifier.json`` that
            `verify_pairs` wrote. None takes the threshold that `verify_pairs`
            (``kerasface verify --model RUN --pairs PAIRS``) stored with the model.
        flip: If True, add the embedding of the mirror image. None does so if the threshold was
            measured so.
        crop: As in `kerasface.embed`. None takes that of the threshold, else that of the run.

    Returns:
        Similarity, decision, threshold and its false accept rate.

    Raises:
        ValueError: If no threshold is given or stored, it was measured with other weights, or a
            file is not an image.
        FileNotFoundError: If there is no such model or image.

    Example:
        >>> verify("a.jpg", "b.jpg", model="runs/faces").same  # doctest: +SKIP
    """
    limit = resolve_threshold(model, threshold)
    if limit.value is None:
        raise ValueError(
            f"A decision needs a threshold. Received: none, and none is stored with "
            f"{_name(model)}. Store one with kerasface.inference.verify_pairs, or in a shell "
            "`kerasface verify --model RUN --pairs PAIRS --images FOLDER`, or give threshold=."
        )
    flip, crop = limit.flip_and_crop(model, flip, crop)
    network = embedder(model)
    point = limit.measured(network, flip, crop, stacklevel=3)
    first, second = embed_pictures(network, [image_a, image_b], crop=crop, flip=flip)
    return decide(float(first @ second), limit.value, point)


def _name(model: AnyModel) -> str:
    return f"the model {model.name!r}" if isinstance(model, keras.Model) else repr(model)
