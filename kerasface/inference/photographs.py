"""A user's photographs: files and folders, the faces in them, and pictures of predictions."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image

from kerasface.data.image_list import ImageList, image_list
from kerasface.data.table import FaceTable
from kerasface.faces.detectors.registry import detect
from kerasface.faces.face import Face
from kerasface.faces.pictures import draw_faces
from kerasface.faces.preparation import Preparation, choose_faces
from kerasface.files import replacing
from kerasface.images import thumbnail
from kerasface.reports.attribute_words import describe
from kerasface.reports.predictions import prediction_picture

BOX = ("left", "top", "width", "height")
FACE_SIZE = 256  # pixels, more than the models take
PICTURE_SIZE = 480
LABEL_LENGTH = 28  # of a face in a photograph


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of images.

    Attributes:
        names: Class or attribute names.
        probabilities: float ``[N, len(names)]``.
        thresholds: For attributes ``[len(names)]``; None for classes.
        predicted: For attributes bool ``[N, len(names)]``; None for classes.
    """

    names: Sequence[str]
    probabilities: np.ndarray
    thresholds: np.ndarray | None = None
    predicted: np.ndarray | None = None

    @property
    def captions(self) -> list[str]:
        """The most probable class, or a description of the predicted attributes, per image."""
        if self.predicted is not None:
            return [describe(row, self.names) for row in self.predicted]
        return [self.names[best] for best in self.probabilities.argmax(axis=1)]

    def to_frame(self) -> pd.DataFrame:
        """One row per image; see `kerasface.predict`."""
        captions = pd.DataFrame({"prediction": np.array(self.captions, dtype=object)})
        if self.predicted is None:
            more = pd.DataFrame({"probability": self.probabilities.max(axis=1)})
        else:
            more = pd.DataFrame(self.predicted.astype(int), columns=list(self.names))
        columns = [f"p:{name}" for name in self.names]
        probabilities = pd.DataFrame(self.probabilities, columns=columns)
        return pd.concat([captions, more, probabilities], axis=1)


def photographs(paths: Sequence[str | os.PathLike], *, once: bool = True) -> FaceTable:
    """Makes one table of image files and folders.

    Args:
        paths: Image files, and folders, whose images at any depth are included.
        once: If True, skip an image that is given again, as a file or by its folder.

    Returns:
        Table without labels, in the order of ``paths``. Its paths are relative to the deepest
        folder that contains all of them, or absolute if they are on several drives.

    Raises:
        FileNotFoundError: If a path does not exist.
        ValueError: If there is no path, or a folder without an image.

    Example:
        >>> photographs(["me.jpg", "holiday"])  # doctest: +SKIP
    """
    table = image_list(list(paths), once=once).table
    assert table is not None  # paths are files
    return table


@dataclasses.dataclass(frozen=True, eq=False)
class FaceCutter:
    """Finds the faces in photographs and cuts them out, upright.

    Attributes:
        preparation: How faces are found, chosen and cut out.
        height_to_width: Aspect ratio of the crops, that of the training images: a model that was
            trained on squashed images must see squashed images. The margin is that at the nearer
            sides.
    """

    preparation: Preparation
    height_to_width: float = 1.0

    def __call__(self, photograph: np.ndarray) -> tuple[list[np.ndarray], pd.DataFrame]:
        """Cuts out the faces of a photograph.

        Args:
            photograph: uint8 RGB ``[H, W, 3]``.

        Returns:
            The faces, uint8 RGB, and one row per face: ``face`` (its number, from 1, the best
            score first) and the box ``left``, ``top``, ``width``, ``height`` in pixels. A
            photograph without a face is one image, as it is, with number 0 and no box.
        """
        how = self.preparation
        [found] = detect([photograph], how.detector, **dict(how.options))
        chosen = choose_faces(found, how.faces, photograph.shape)
        if not chosen:
            return [photograph], pd.DataFrame([(0, *[math.nan] * len(BOX))], columns=["face", *BOX])
        # A square around the wanted shape; its sides are cut off afterwards.
        longer = max(self.height_to_width, 1 / self.height_to_width)
        wider = dataclasses.replace(how, margin=((1 + 2 * how.margin) * longer - 1) / 2)
        # dlib's own landmarks only need a box.
        boxed = wider if how.template == "dlib" else dataclasses.replace(wider, align=False)
        squares = [
            (boxed if face.landmarks is None else wider).cut(photograph, [face])[0]
            for _, face in chosen
        ]
        rows = [(number, *np.round(face.box, 1)) for number, face in chosen]
        frame = pd.DataFrame(rows, columns=["face", *BOX])
        return [_middle(square, self.height_to_width) for square in squares], frame


def draw_predictions(
    folder: pathlib.Path, images: ImageList, titles: Sequence[str], predictions: Predictions
) -> None:
    """Writes a picture for each image, with its prediction beside it.

    Args:
        folder: Takes ``TITLE.png``.
        images: The images.
        titles: Names of the pictures, one per image.
        predictions: One row per image.
    """
    predicted = predictions.predicted
    decisions = [None] * len(images) if predicted is None else list(predicted)
    for pixels, title, caption, row, decided in zip(
        images,
        titles,
        predictions.captions,
        predictions.probabilities,
        decisions,
        strict=True,
    ):
        figure = prediction_picture(
            thumbnail(pixels, PICTURE_SIZE),
            predictions.names,
            row,
            thresholds=predictions.thresholds,
            predicted=decided,
            title=title,
            caption=caption,
        )
        with replacing(_picture_path(folder, title)) as part:
            figure.savefig(part)


def draw_photograph(
    folder: pathlib.Path,
    photograph: np.ndarray,
    title: str,
    faces: pd.DataFrame,
    captions: Sequence[str],
) -> None:
    """Writes a photograph with the boxes, numbers and predictions of all its faces.

    Args:
        folder: Takes ``TITLE.png``.
        photograph: uint8 RGB ``[H, W, 3]``.
        title: Name of the picture.
        faces: The faces, as from `FaceCutter`. Nothing is drawn without a face.
        captions: The prediction of each face.
    """
    if not faces["face"].any():
        return
    boxes = [Face(tuple(box), score=1.0) for box in faces[list(BOX)].to_numpy().tolist()]
    labels = [
        textwrap.shorten(f"{number} {caption}", LABEL_LENGTH, placeholder=" ...")
        for number, caption in zip(faces["face"], captions, strict=True)
    ]
    picture = Image.fromarray(draw_faces(photograph, boxes, labels=labels))
    with replacing(_picture_path(folder, title)) as part:
        picture.save(part)


def _picture_path(folder: pathlib.Path, title: str) -> pathlib.Path:
    # An absolute path becomes one inside the folder.
    name = pathlib.PurePath(title).relative_to(pathlib.PurePath(title).anchor)
    return folder / f"{name}.png"


def _middle(square: np.ndarray, height_to_width: float) -> np.ndarray:
    """The middle of a square picture, as large as the aspect ratio allows."""
    side = len(square)
    height = round(side * min(1.0, height_to_width))
    width = round(side * min(1.0, 1 / height_to_width))
    top, left = (side - height) // 2, (side - width) // 2
    return np.ascontiguousarray(square[top : top + height, left : left + width])
