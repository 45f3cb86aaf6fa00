"""Crops of one photograph: chooses the faces, cuts them out, writes files and rows."""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
import shutil
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kerasface.data.duplicates import PHOTOGRAPH
from kerasface.faces import alignment
from kerasface.faces.face import LANDMARKS, Face
from kerasface.faces.preparation import Preparation, choose_faces
from kerasface.files import replacing

WITHOUT = ("skip", "center", "copy")
SUFFIXES = (".jpg", ".png")
JPEG_QUALITY = 95
WORK_FOLDER = ".crops"  # in the folder of crops, during a run

BOX_COLUMNS = ("left", "top", "width", "height")
POINT_COLUMNS = tuple(f"{name}_{axis}" for name in LANDMARKS for axis in "xy")
NUMBERS = (*BOX_COLUMNS, "score", *POINT_COLUMNS)
STAMP = "stamp"
COLUMNS = ("file", "face", "faces", "outcome", "reason", "crop", *NUMBERS, PHOTOGRAPH, STAMP)

Row = dict[str, str]  # of the table of crops; the keys are `COLUMNS`


@dataclasses.dataclass(frozen=True)
class CropPlan:
    """Options of `kerasface.faces.crop` that determine the crops of a photograph.

    Attributes:
        source: Folder of photographs.
        target: Folder of crops.
        size: Width and height of the crops in pixels.
        margin: Added at each side, see `crop`.
        align: If True, faces are turned upright by their landmarks.
        faces: One of `kerasface.faces.preparation.FACES`.
        without: One of `WITHOUT`, for photographs without a face.
        suffix: One of `SUFFIXES`.
        template: One of `kerasface.faces.TEMPLATES`, for ``align``.
    """

    source: pathlib.Path
    target: pathlib.Path
    size: int
    margin: float
    align: bool
    faces: str
    without: str
    suffix: str
    template: str = "arcface"

    @property
    def preparation(self) -> Preparation:
        """What the options say about a face, without the detector."""
        return Preparation(
            align=self.align,
            template=self.template,
            size=self.size,
            margin=self.margin,
            faces=self.faces,
        )

    @property
    def work_folder(self) -> pathlib.Path:
        """Folder for incomplete files while the run lasts."""
        return self.target / WORK_FOLDER

    def output_name(self, name: str, number: int | None = None) -> str:
        """Path of a crop in ``target``.

        Args:
            name: Path of the photograph in ``source``.
            number: Number of the face; None for a name without one.
        """
        stem, suffix = os.path.splitext(name)
        alike = (".jpg", ".jpeg") if self.suffix == ".jpg" else (self.suffix,)
        if suffix.lower() not in alike:
            stem, suffix = name, self.suffix
        return f"{stem}{suffix}" if number is None else f"{stem}.{number}{suffix}"


def empty_row(name: str, outcome: str, reason: str, output: str = "") -> Row:
    """A row of the table of crops without coordinates.

    Args:
        name: Path of the photograph.
        outcome: ``face``, ``center``, ``copied``, ``skipped`` or ``unreadable``.
        reason: Why there is no face.
        output: Path of the crop.
    """
    row = dict.fromkeys(COLUMNS, "")
    return row | {"file": name, "outcome": outcome, "reason": reason, "crop": output}


def crop_image(plan: CropPlan, name: str, image: np.ndarray, faces: Sequence[Face]) -> list[Row]:
    """Cuts the faces out of one photograph and writes the crops.

    Args:
        plan: Options of the run.
        name: Path of the photograph in ``plan.source``.
        image: uint8 RGB ``[H, W, 3]``.
        faces: The faces of the photograph, the best score first.

    Returns:
        One row for each crop, or one with the reason why there is none.

    Raises:
        ValueError: If faces are to be aligned and have no landmarks.
    """
    rows: list[Row] = []
    # Cut at the rounded coordinates of the table.
    faces = [_rounded(face) for face in faces]
    chosen = choose_faces(faces, plan.faces, image.shape)
    try:
        crops = plan.preparation.cut(image, [face for _, face in chosen])
    except ValueError as error:
        raise ValueError(f"{error} Photograph: {name}.") from error
    for (number, face), pixels in zip(chosen, crops, strict=True):
        output = plan.output_name(name, number if plan.faces == "all" else None)
        _save(pixels, plan, output)
        row = empty_row(name, "face", "", output) | {"face": str(number), "faces": str(len(faces))}
        places = [*face.box, *(() if face.landmarks is None else face.landmarks.ravel())]
        columns = (*BOX_COLUMNS, *POINT_COLUMNS)
        row |= {column: f"{value:.1f}" for column, value in zip(columns, places, strict=False)}
        rows.append(row | {"score": f"{face.score:.4f}"})
    if rows:
        return rows
    reason = "no face found"
    if plan.without == "skip":
        return [empty_row(name, "skipped", reason)]
    if plan.without == "copy":
        with replacing(plan.target / name, folder=plan.work_folder) as part:
            shutil.copyfile(plan.source / name, part)
        return [empty_row(name, "copied", reason, name)]
    output = plan.output_name(name, 0 if plan.faces == "all" else None)
    _save(alignment.center_square(image, plan.size), plan, output)
    return [empty_row(name, "center", reason, output)]


def _rounded(face: Face) -> Face:
    """The face with its numbers rounded as in the table."""
    box = np.round(face.box, 1)
    box[2:] = np.maximum(box[2:], 0.1)
    landmarks = None if face.landmarks is None else np.round(face.landmarks, 1) + 0.0  # no -0.0
    return Face(tuple((box + 0.0).tolist()), round(face.score, 4), landmarks)


def _save(pixels: np.ndarray, plan: CropPlan, output: str) -> None:
    buffer = io.BytesIO()
    if plan.suffix == ".jpg":
        Image.fromarray(pixels).save(buffer, "JPEG", quality=JPEG_QUALITY)
    else:
        Image.fromarray(pixels).save(buffer, "PNG")
    with replacing(plan.target / output, folder=plan.work_folder) as part:
        part.write_bytes(buffer.getvalue())
