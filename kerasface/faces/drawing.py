"""Draws the detected faces of all photographs of a folder."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping
from typing import Any

import pandas as pd
from PIL import Image

from kerasface import images
from kerasface.data.folders import unlabeled_folder
from kerasface.faces.detectors.registry import DEFAULT, Detector, detect, open_detector
from kerasface.faces.pictures import draw_faces
from kerasface.files import replacing
from kerasface.progress import track

KEPT_SUFFIXES = (".jpg", ".jpeg", ".png")  # pictures of other formats are written as JPEG
UNREADABLE = -1


def draw_folder(
    source: str | os.PathLike,
    target: str | os.PathLike,
    *,
    detector: str | Detector = DEFAULT,
    options: Mapping[str, Any] | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Draws all detected faces of each photograph of a folder into copies of the photographs.

    Args:
        source: Folder of photographs, at any depth.
        target: Folder to write, outside ``source``. The pictures have the folders and names of
            the photographs; formats other than JPEG and PNG get ``.jpg`` added. Files of the same
            name are replaced.
        detector: As for `detect`.
        options: Options of a detector given by name, as for `load_detector`.
        verbose: 1 shows the progress, 0 nothing.

    Returns:
        One row for each photograph: ``file``, ``faces`` (their number; -1 if the file cannot be
        read), ``reason`` (why it cannot be read) and ``picture`` (its path in ``target``).

    Raises:
        FileNotFoundError: If ``source`` is not a folder.
        ValueError: If ``source`` has no images or contains ``target``, or a detector or an option
            is unknown.

    Example:
        >>> table = draw_folder("photographs", "pictures")  # doctest: +SKIP
        >>> table[table["faces"] == 0]["file"]  # doctest: +SKIP
    """
    source, target = pathlib.Path(source), pathlib.Path(target)
    outer, inner = source.resolve(), target.resolve()
    if inner == outer or outer in inner.parents:
        raise ValueError(
            "Pictures must be written outside the folder of photographs. "
            f"Received: source={str(source)!r}, target={str(target)!r}."
        )
    detector = open_detector(detector, **(options or {}))
    rows = []
    names = unlabeled_folder(source).paths.tolist()
    for name in track(names, len(names), "Drawing faces", verbose=verbose):
        try:
            image = images.decode((source / name).read_bytes())
        except (OSError, ValueError) as error:
            rows.append((name, UNREADABLE, str(error), ""))
            continue
        [faces] = detect([image], detector)
        picture = name if name.lower().endswith(KEPT_SUFFIXES) else f"{name}.jpg"
        with replacing(target / picture) as part:
            Image.fromarray(draw_faces(image, faces)).save(part)
        rows.append((name, len(faces), "", picture))
    return pd.DataFrame(rows, columns=["file", "faces", "reason", "picture"])
