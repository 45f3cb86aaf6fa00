"""A user's photographs: files and folders, the faces in them, and pictures of predictions."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import textwrap
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image

from kerasface import images
from kerasface.data.folders import unlabeled_folder
from kerasface.data.table import FaceTable
from kerasface.faces.alignment import align, cut
from kerasface.faces.detectors.registry import Detector, detect, load_detector
from kerasface.faces.face import Face
from kerasface.faces.pictures import draw_faces
from kerasface.files import replacing
from kerasface.progress import track
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
    files: list[str] = []
    for path in paths:
        if os.path.isdir(path):
            files += unlabeled_folder(path).full_paths()
        elif os.path.isfile(path):
            files.append(os.fspath(path))
        else:
            raise FileNotFoundError(
                "Images must be image files or folders of images. "
                f"Received: {os.fspath(path)!r}, which does not exist."
            )
    if not files:
        raise ValueError("At least one image is needed. Received: none.")
    files = [os.path.abspath(file) for file in files]
    if once:
        files = list(dict.fromkeys(files))
    try:
        root = pathlib.Path(os.path.commonpath([os.path.dirname(file) for file in files]))
        names = [pathlib.Path(file).relative_to(root).as_posix() for file in files]
    except ValueError:  # on several drives of Windows
        root = pathlib.Path(files[0]).parent
        names = [pathlib.Path(file).as_posix() for file in files]
    return FaceTable(root, np.array(names, dtype=object))


def cut_faces(
    table: FaceTable,
    folder: pathlib.Path,
    detector: str | Detector,
    margin: float,
    height_to_width: float = 1.0,
    *,
    verbose: int = 0,
) -> tuple[FaceTable, pd.DataFrame]:
    """Finds the faces in photographs and writes each one, upright, to its own file.

    Args:
        table: Readable photographs.
        folder: An empty folder for the faces.
        detector: As in `kerasface.faces.detect`.
        margin: As in `kerasface.faces.align`, at the nearer sides.
        height_to_width: Aspect ratio of the files, that of the training images: a model that was
            trained on squashed images must see squashed images.
        verbose: 1 shows a progress bar.

    Returns:
        The faces as a table, and one row per face: ``row`` (of its photograph in ``table``),
        ``face`` (its number there, from 1, the best score first) and the box ``left``, ``top``,
        ``width``, ``height`` in pixels of the photograph. A photograph without a face is included
        as a whole, with number 0 and no box.

    Warns:
        UserWarning: If there are photographs without a face.
    """
    detector = load_detector(detector) if isinstance(detector, str) else detector
    # A square around the wanted shape; its sides are cut off afterwards.
    longer = max(height_to_width, 1 / height_to_width)
    margin = ((1 + 2 * margin) * longer - 1) / 2
    names: list[str] = []
    found: list[dict[str, float]] = []
    paths = track(table.full_paths(), len(table), "Detecting faces", verbose=verbose)
    for row, path in enumerate(paths):
        pixels = images.read(path)
        [faces] = detect([pixels], detector)
        crops = [
            cut(pixels, face.box, FACE_SIZE, margin=margin)
            if face.landmarks is None
            else align(pixels, face.landmarks, FACE_SIZE, margin=margin)
            for face in faces
        ]
        for number, crop in enumerate(crops or [pixels], start=1 if crops else 0):
            name = f"{row}_{number}.png"
            shaped = crop if not number else _middle(crop, height_to_width)
            Image.fromarray(shaped).save(folder / name)
            names.append(name)
            box = np.round(faces[number - 1].box, 1) if number else [math.nan] * len(BOX)
            found.append({"row": row, "face": number} | dict(zip(BOX, box, strict=True)))
    frame = pd.DataFrame(found, columns=["row", "face", *BOX])
    empty = table.paths[frame["row"][frame["face"] == 0]].tolist()
    if empty:
        warnings.warn(
            f"no face was found in {len(empty)} of {len(table)} photographs, for instance "
            f"{empty[:3]}: they are predicted as a whole",
            stacklevel=4,
        )
    return FaceTable(folder, np.array(names, dtype=object)), frame


def draw_predictions(
    folder: pathlib.Path, table: FaceTable, titles: Sequence[str], predictions: Predictions
) -> None:
    """Writes a picture for each image, with its prediction beside it.

    Args:
        folder: Takes ``TITLE.png``.
        table: The images.
        titles: Names of the pictures, one per image.
        predictions: One row per image.
    """
    predicted = predictions.predicted
    decisions = [None] * len(table) if predicted is None else list(predicted)
    for path, title, caption, row, decided in zip(
        table.full_paths(),
        titles,
        predictions.captions,
        predictions.probabilities,
        decisions,
        strict=True,
    ):
        figure = prediction_picture(
            images.thumbnail(path, PICTURE_SIZE),
            predictions.names,
            row,
            thresholds=predictions.thresholds,
            predicted=decided,
            title=title,
            caption=caption,
        )
        with replacing(_picture_path(folder, title)) as part:
            figure.savefig(part)


def draw_photographs(
    folder: pathlib.Path, table: FaceTable, faces: pd.DataFrame, captions: Sequence[str]
) -> None:
    """Writes each photograph with the boxes, numbers and predictions of all its faces.

    Args:
        folder: Takes ``PATH.png``.
        table: The photographs.
        faces: The faces, as from `cut_faces`. Photographs without a face are left out.
        captions: The prediction of each face.
    """
    paths = table.full_paths()
    labeled = faces.assign(caption=list(captions))
    labeled = labeled[labeled["face"] > 0]
    for row in labeled["row"].drop_duplicates().tolist():
        group = labeled[labeled["row"] == row]
        pixels = images.read(paths[row])
        boxes = [Face(tuple(box), score=1.0) for box in group[list(BOX)].to_numpy().tolist()]
        labels = [
            textwrap.shorten(f"{number} {caption}", LABEL_LENGTH, placeholder=" ...")
            for number, caption in zip(group["face"], group["caption"], strict=True)
        ]
        picture = Image.fromarray(draw_faces(pixels, boxes, labels=labels))
        with replacing(_picture_path(folder, table.paths[row])) as part:
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
