"""A user's own photographs: files and folders, the faces in them, and pictures of what is said."""

from __future__ import annotations

import os
import pathlib
import warnings
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kerasface import images
from kerasface.data.folders import unlabeled_folder
from kerasface.data.table import FaceTable
from kerasface.faces.alignment import align, cut
from kerasface.faces.detectors.registry import Detector, detect, load_detector
from kerasface.files import replacing
from kerasface.reports.classification import prediction_picture

FACE_SIZE = 256  # pixels, more than the models take
PICTURE_SIZE = 480


def photographs(paths: Sequence[str | os.PathLike], *, once: bool = True) -> FaceTable:
    """Files and folders of images as one table.

    Args:
        paths: Image files, and folders of which all images at any depth are taken.
        once: Whether an image that is given again, alone or by its folder, is left out.

    Returns:
        Table without labels, in the order of ``paths``, its paths relative to the folder that all
        of them lie in.

    Raises:
        FileNotFoundError: If a path does not exist.
        ValueError: If there is none, or a folder without an image.

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
    root = pathlib.Path(os.path.commonpath([os.path.dirname(file) for file in files]))
    relative = [pathlib.Path(file).relative_to(root).as_posix() for file in files]
    return FaceTable(root, np.array(relative, dtype=object))


def cut_faces(
    table: FaceTable,
    folder: pathlib.Path,
    detector: str | Detector,
    margin: float,
    height_to_width: float = 1.0,
) -> tuple[FaceTable, np.ndarray, np.ndarray]:
    """Finds the faces of photographs and writes each, upright, as a picture of its own.

    Args:
        table: Photographs that can be read.
        folder: An empty folder for the faces.
        detector: As in `kerasface.faces.detect`.
        margin: As in `kerasface.faces.align`, at the nearer sides.
        height_to_width: Shape of the pictures. A network that learnt squashed pictures is to see
            squashed ones.

    Returns:
        The faces as a table; for each the row of its photograph and its number there from 1, the
        best score first. A photograph without a face, of which a warning tells, is there as a
        whole with number 0.
    """
    detector = load_detector(detector) if isinstance(detector, str) else detector
    # The square around the wanted shape, of which the sides are left out afterwards.
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
            stacklevel=3,
        )
    faces_table = FaceTable(folder, np.array(names, dtype=object))
    return faces_table, np.array(rows), np.array(numbers)


def _middle(square: np.ndarray, height_to_width: float) -> np.ndarray:
    """The middle of a square picture, as large as its shape allows."""
    side = len(square)
    height = round(side * min(1.0, height_to_width))
    width = round(side * min(1.0, 1 / height_to_width))
    top, left = (side - height) // 2, (side - width) // 2
    return np.ascontiguousarray(square[top : top + height, left : left + width])


def draw_predictions(
    folder: pathlib.Path,
    table: FaceTable,
    titles: Sequence[str],
    captions: Sequence[str],
    names: Sequence[str],
    probabilities: np.ndarray,
    thresholds: np.ndarray | None,
    said: np.ndarray | None,
) -> None:
    """Writes a picture for each image, with what is said of it beside it.

    Args:
        folder: Where ``TITLE.png`` are written.
        table: What was predicted.
        titles: Names of the pictures, one an image.
        captions: What is said, one an image.
        names: Class or attribute names.
        probabilities: float ``[N, len(names)]``.
        thresholds: Of attributes ``[len(names)]``, None for classes.
        said: Of attributes bool ``[N, len(names)]``, None for classes.
    """
    decisions = [None] * len(table) if said is None else list(said)
    for path, title, caption, row, decided in zip(
        table.full_paths(), titles, captions, probabilities, decisions, strict=True
    ):
        picture = Image.fromarray(images.decode(pathlib.Path(path).read_bytes()))
        picture.thumbnail((PICTURE_SIZE, PICTURE_SIZE))
        figure = prediction_picture(
            np.asarray(picture),
            names,
            row,
            thresholds=thresholds,
            said=decided,
            title=title,
            caption=caption,
        )
        # An absolute path is one in the folder.
        with replacing(folder / f"{title.lstrip(os.sep)}.png") as part:
            figure.savefig(part)
