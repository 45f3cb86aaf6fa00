"""How faces get from photographs to a model: detection, choice of the face, alignment, size."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kerasface.checks import check_choice, check_flag
from kerasface.data.duplicates import CROP_SETTINGS
from kerasface.faces import alignment
from kerasface.faces.detectors.description import describe_detector
from kerasface.faces.detectors.registry import DEFAULT, Detector
from kerasface.faces.face import Face

ONE_FACE = ("largest", "central", "best")
FACES = (*ONE_FACE, "all")
OPTION = "options."  # before the name of a detector's option in ``crops.json``


@dataclasses.dataclass(frozen=True)
class Preparation:
    """How faces get from photographs to a model.

    Attributes:
        detector: Name of a face detector, or a function as for `kerasface.faces.detect`.
        options: Options of a detector given by name, as pairs of a name and a value.
        align: If True, faces are turned upright by their landmarks; otherwise, the square around
            the box is cut out.
        template: ``"arcface"`` or ``"dlib"``, see `kerasface.faces.template`. Only for ``align``.
        size: Side of the crops in pixels.
        margin: Added at each side, as a share of the box's longer side, or with ``align`` of the
            standard crop.
        faces: Which faces of a photograph count: ``"largest"``, ``"central"`` (nearest to the
            center), ``"best"`` (highest score) or ``"all"``.

    Raises:
        ValueError: If an option is unknown or out of range.

    Example:
        >>> Preparation().template
        'dlib'
    """

    detector: str | Detector = DEFAULT
    options: tuple[tuple[str, Any], ...] = ()
    align: bool = True
    template: str = "dlib"
    size: int = 150
    margin: float = 0.0
    faces: str = "largest"

    def __post_init__(self) -> None:
        check_flag("align", self.align)
        check_choice("faces", self.faces, FACES)
        alignment.check_crop(self.size, self.margin, self.template)
        if self.options and not isinstance(self.detector, str):
            raise ValueError(
                "Options are only for a detector given by name. "
                f"Received: {[name for name, _ in self.options]} with a function. Build them into "
                "the function."
            )

    def choose(self, faces: Sequence[Face], shape: tuple[int, ...]) -> list[Face]:
        """The faces of one photograph that count.

        Args:
            faces: All faces, the best score first.
            shape: Shape of the photograph.

        Returns:
            All of them for ``faces="all"``, otherwise one, or none if there is none.
        """
        return [face for _, face in choose_faces(faces, self.faces, shape)]

    def cut(self, image: np.ndarray, faces: Sequence[Face]) -> list[np.ndarray]:
        """Cuts faces out of a photograph.

        Args:
            image: uint8 RGB ``[H, W, 3]``.
            faces: The faces to cut out, for instance those from `choose`.

        Returns:
            One uint8 array ``[size, size, 3]`` for each face.

        Raises:
            ValueError: If a face has no landmarks and the template needs them.

        Example:
            >>> from kerasface.data import draw_face
            >>> from kerasface.faces import Face
            >>> face = draw_face(7, 0, size=200)
            >>> found = Face((40, 40, 120, 120), 1.0, face.landmarks)
            >>> Preparation(template="arcface", size=112).cut(face.image, [found])[0].shape
            (112, 112, 3)
        """
        return list(self.cut_all([image] * len(faces), faces))

    def cut_all(self, images: Sequence[np.ndarray], faces: Sequence[Face]) -> np.ndarray:
        """Cuts one face out of each photograph, faster than one after the other.

        Args:
            images: uint8 RGB ``[H, W, 3]``, each of its own size. A photograph with several faces
                is given several times.
            faces: One face for each photograph.

        Returns:
            uint8 ``[N, size, size, 3]``.

        Raises:
            ValueError: If a face has no landmarks and the template needs them.
        """
        if self.align:
            return alignment.align_all(
                images, faces, self.size, margin=self.margin, template=self.template
            )
        crops = np.zeros((len(faces), self.size, self.size, 3), np.uint8)
        for crop, image, face in zip(crops, images, faces, strict=True):
            crop[:] = alignment.cut(image, face.box, self.size, margin=self.margin)
        return crops

    def to_dict(self) -> dict[str, Any]:
        """The settings as `from_dict` reads them.

        Returns:
            Values for JSON. A function is described by its name: it cannot be read back.
        """
        values: dict[str, Any] = {"detector": describe_detector(self.detector)}
        values |= {f"{OPTION}{name}": value for name, value in sorted(self.options)}
        names = ("size", "margin", "align", "template", "faces")
        return values | {name: getattr(self, name) for name in names}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preparation:
        """Reads the settings of `to_dict`, or of the ``crops.json`` of a folder of crops.

        Args:
            values: The settings. Other keys are ignored. Without a template, the template is
                ``"arcface"``, as in the crops of version 0.3 and earlier.

        Raises:
            ValueError: If a setting is missing or out of range.
        """
        names = ("detector", "size", "margin", "align", "faces")
        missing = [name for name in names if name not in values]
        if missing:
            raise ValueError(
                f"Settings of crops must have {', '.join(names)}. Received: no {missing[0]!r}."
            )
        options = tuple(
            (name.removeprefix(OPTION), value)
            for name, value in values.items()
            if name.startswith(OPTION)
        )
        template = values.get("template", "arcface")
        return cls(options=options, template=template, **{name: values[name] for name in names})

    @classmethod
    def from_crops(cls, folder: str | os.PathLike) -> Preparation | None:
        """How the crops of a folder were made.

        Args:
            folder: A folder that `kerasface.faces.crop` wrote, a copy of it, or a run.

        Returns:
            The settings; None if the folder has no ``crops.json``.

        Raises:
            ValueError: If the file is damaged; the message names it.
        """
        path = pathlib.Path(folder, CROP_SETTINGS)
        if not path.is_file():
            return None
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{CROP_SETTINGS} must hold the settings of crops. Received: {os.fspath(path)!r}: "
                f"{' '.join(str(error).split())} Delete this file if you do not need it."
            ) from error


def choose_faces(
    faces: Sequence[Face], which: str, shape: tuple[int, ...]
) -> list[tuple[int, Face]]:
    """Chooses faces of one photograph.

    Args:
        faces: All faces, the best score first.
        which: One of `FACES`.
        shape: Shape of the photograph.

    Returns:
        The chosen faces with their numbers, which count from 1.
    """
    numbered = list(enumerate(faces, start=1))
    if which == "all" or not faces:
        return numbered
    if which == "largest":
        return [max(numbered, key=lambda pair: (pair[1].box[2] * pair[1].box[3], -pair[0]))]
    if which == "central":

        def distance(pair: tuple[int, Face]) -> tuple[float, int]:
            left, top, width, height = pair[1].box
            across, down = left + width / 2 - shape[1] / 2, top + height / 2 - shape[0] / 2
            return across**2 + down**2, pair[0]

        return [min(numbered, key=distance)]
    return numbered[:1]


DLIB = Preparation()  # of the pretrained network
