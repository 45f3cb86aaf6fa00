"""A user's photographs: files and folders, the faces in them, and pictures of predictions."""

from __future__ import annotations

import dataclasses
import os
import pathlib
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
from kerasface.files import replacing
from kerasface.reports.attribute_words import describe
from kerasface.reports.predictions import prediction_picture

FACE_SIZE = 256  # pixels, more than the models take
PICTURE_SIZE = 480


@dataclasses.dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions of images.

    Attributes:
        names: Class or attribute names.
        probabilities: float ``[N, len(names)]``.
        thresholds: For attributes ``[len(names)]``; None for classes.
        said: For attributes bool ``[N, len(names)]``, the predicted ones; None for classes.
    """

    names: Sequence[str]
    probabilities: np.ndarray
    thresholds: np.ndarray | None = None
    said: np.ndarray | None = None

    @property
    def captions(self) -> list[str]:
        """The most probable class, or a description of the predicted attributes, per image."""
        if self.said is not None:
            return [describe(row, self.names) for row in self.said]
        return [self.names[best] for best in self.probabilities.argmax(axis=1)]

    def to_frame(self) -> pd.DataFrame:
        """One row per image; see `kerasface.predict`."""
        captions = pd.DataFrame({"prediction": np.array(self.captions, dtype=object)})
        if self.said is None:
            more = pd.DataFrame({"probability": self.probabilities.max(axis=1)})
        else:
            more = pd.DataFrame(self.said.astype(int), columns=list(self.names))
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
                "Photographs must be image files or folders of them. "
                f"Received: {os.fspath(path)!r}, which does not exist."
            )
    if not files:
        raise ValueError("At least one photograph is needed. Received: none.")
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
) -> tuple[FaceTable, np.ndarray, np.ndarray]:
    """Finds the faces in photographs and writes each one, upright, to its own file.

    Args:
        table: Readable photographs.
        folder: An empty folder for the faces.
        detector: As in `kerasface.faces.detect`.
        margin: As in `kerasface.faces.align`, at the nearer sides.
        height_to_width: Aspect ratio of the files, that of the training images: a model that was
            trained on squashed images must see squashed images.

    Returns:
        The faces as a table, and for each face the row of its photograph and its number there,
        from 1, the best score first. A photograph without a face is included as a whole, with
        number 0.

    Warns:
        UserWarning: If there are photographs without a face.
    """
    detector = load_detector(detector) if isinstance(detector, str) else detector
    # A square around the wanted shape; its sides are cut off afterwards.
    longer = max(height_to_width, 1 / height_to_width)
    margin = ((1 + 2 * margin) * longer - 1) / 2
    names, rows, numbers = [], [], []
    for row, path in enumerate(table.full_paths()):
        pixels = images.decode(pathlib.Path(path).read_bytes())
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
            rows.append(row)
            numbers.append(number)
    empty = [table.paths[row] for row, number in zip(rows, numbers, strict=True) if not number]
    if empty:
        warnings.warn(
            f"no face was found in {len(empty)} of {len(table)} photographs, for instance "
            f"{empty[:3]}: they are predicted as a whole",
            stacklevel=4,
        )
    faces_table = FaceTable(folder, np.array(names, dtype=object))
    return faces_table, np.array(rows), np.array(numbers)


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
    said = predictions.said
    decisions = [None] * len(table) if said is None else list(said)
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
        # An absolute path becomes one inside the folder.
        name = pathlib.PurePath(title).relative_to(pathlib.PurePath(title).anchor)
        with replacing(folder / f"{name}.png") as part:
            figure.savefig(part)


def _middle(square: np.ndarray, height_to_width: float) -> np.ndarray:
    """The middle of a square picture, as large as the aspect ratio allows."""
    side = len(square)
    height = round(side * min(1.0, height_to_width))
    width = round(side * min(1.0, 1 / height_to_width))
    top, left = (side - height) // 2, (side - width) // 2
    return np.ascontiguousarray(square[top : top + height, left : left + width])
