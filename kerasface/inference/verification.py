"""`verify` decides whether two images show the same person."""

from __future__ import annotations

import os

import keras
import numpy as np
from PIL import Image

from kerasface.data.image_list import ImageList
from kerasface.faces.detectors.registry import Detector
from kerasface.faces.pictures import draw_comparison
from kerasface.files import check_file_to_write, replacing
from kerasface.images import AnyImage, as_image
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.decision import Decision, decide
from kerasface.inference.method import open_method
from kerasface.inference.operating_point import AnyThreshold, resolve_threshold
from kerasface.inference.pretrained import DEFAULT
from kerasface.inference.reading import AnyModel
from kerasface.inference.vectors import Embedded, embed_images
from kerasface.pipeline.crop import Crop


@explain_old_calls
def verify(
    image_a: AnyImage,
    image_b: AnyImage,
    *,
    model: AnyModel = DEFAULT,
    detect: bool | None = None,
    detector: str | Detector | None = None,
    faces: str = "largest",
    threshold: AnyThreshold | None = None,
    far: float | None = None,
    flip: bool | None = None,
    crop: Crop | None = None,
    jitter: int = 0,
    picture: str | os.PathLike | None = None,
) -> Decision:
    """Decides whether two images show the same person.

    The default model is dlib's network: two photographs are enough. It has learned from 3 million
    images of about 7,485 people, many of them celebrities, and people of CelebA may be among them;
    the people of LFW were removed.

    Args:
        image_a: A path, a uint8 array (gray, RGB or RGBA), a float array in [0, 255], a PIL
            image, bytes or a binary file.
        image_b: The other image, in one of these forms.
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model; see
            `kerasface.embedder`.
        detect: If True, find the faces first and cut them out as the model needs them. If False,
            the images are faces, cropped like the training images of the model. None does as the
            threshold was measured, which for ``"dlib"`` is with detection.
        detector: As in `kerasface.embed`.
        faces: Which face of a photograph counts, with detection only: ``"largest"``,
            ``"central"``, ``"best"`` (highest score) or ``"all"``: all faces of one photograph are
            compared with all of the other, and the most similar pair decides.
        threshold: A cosine similarity in [-1, 1], the result of
            `kerasface.inference.read_operating_point`, or a file ``verifier.json`` that
            `verify_pairs` wrote. None takes the threshold that is shipped for ``"dlib"``, or the
            one that `verify_pairs` (``kerasface verify --model RUN --pairs PAIRS``) stored with
            the model.
        far: False accept rate of the shipped threshold, with ``"dlib"`` only: 0.1, 0.03, 0.01,
            0.003 or 0.001. None is 0.01: one of a hundred pairs of different people is accepted.
        flip: If True, add the embedding of the mirror image. None does so if the threshold was
            measured so.
        crop: As in `kerasface.embed`. None takes that of the threshold, else that of the run.
        jitter: As in `kerasface.embed`.
        picture: Image file to write: both images side by side with the faces and the decision.
            None writes none.

    Returns:
        Similarity, decision, threshold, its false accept rate, and the faces.

    Raises:
        ValueError: If a photograph has no face, no threshold is given or stored, it was measured
            with other weights, or a file is not an image.
        FileNotFoundError: If there is no such model or image.

    Example:
        >>> verify("a.jpg", "b.jpg").same  # doctest: +SKIP
        >>> verify("a.jpg", "b.jpg", model="runs/faces").same  # doctest: +SKIP
    """
    if picture is not None:
        check_file_to_write("picture", picture)
    limit = resolve_threshold(model, threshold, far=far, flip=flip)
    if limit.value is None:
        raise ValueError(
            f"A decision needs a threshold. Received: none, and none is stored with "
            f"{_name(model)}. Store one with kerasface.inference.verify_pairs, or in a shell "
            "`kerasface verify --model RUN --pairs PAIRS --images FOLDER`, or give threshold=."
        )
    flip, crop = limit.flip_and_crop(model, flip, crop)
    method = open_method(
        model,
        detect=detect,
        detector=detector,
        faces=faces,
        flip=flip,
        crop=crop,
        jitter=jitter,
        like=limit.point.settings if limit.point else None,
    )
    images = _two_images(image_a, image_b)
    point = limit.measured(method.settings, stacklevel=3)
    found = embed_images(method, images)
    first, second, similarity = _most_similar(found)
    decision = decide(
        similarity, limit.value, point, face_a=found.faces[first], face_b=found.faces[second]
    )
    if picture is not None:
        _draw(picture, images, found, decision)
    return decision


def _two_images(image_a: AnyImage, image_b: AnyImage) -> ImageList:
    """Both images in one list. A file is named by its path, another image by its argument."""
    arguments = ("image_a", "image_b")
    names, sources = [], []
    for image, argument in zip((image_a, image_b), arguments, strict=True):
        is_path = isinstance(image, (str, os.PathLike))
        names.append(os.fspath(image) if is_path else argument)  # type: ignore[arg-type]
        sources.append(as_image(image, argument))
    return ImageList(tuple(names), sources, arguments)


def _most_similar(found: Embedded) -> tuple[int, int, float]:
    """Positions of the most similar faces of the two images, and their similarity."""
    first, second = (np.flatnonzero(found.rows == row) for row in (0, 1))
    scores = found.vectors[first] @ found.vectors[second].T
    place, other = np.unravel_index(int(scores.argmax()), scores.shape)
    return int(first[place]), int(second[other]), float(scores[place, other])


def _draw(path: str | os.PathLike, images: ImageList, found: Embedded, decision: Decision) -> None:
    """Writes both images with the compared faces and the decision."""
    compared = (decision.face_a, decision.face_b)
    faces = [
        [face for row, face in zip(found.rows, found.faces, strict=True) if face and row == place]
        for place in range(len(images))
    ]
    sheet = draw_comparison(list(images), faces, compared, decision.text, same=decision.same)
    with replacing(path) as part:
        Image.fromarray(sheet).save(part)


def _name(model: AnyModel) -> str:
    return f"the model {model.name!r}" if isinstance(model, keras.Model) else repr(model)
