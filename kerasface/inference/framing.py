"""Warns about photographs that are taken as faces, and about faces that are detected again."""

from __future__ import annotations

import math
import statistics
import warnings
from collections.abc import Sequence

import numpy as np

from kerasface.data.image_list import ImageList, image_list
from kerasface.faces.detectors.registry import DEFAULT, detect
from kerasface.faces.preparation import Preparation
from kerasface.runs.record import recorded_tables
from kerasface.runs.run import Run

SAMPLE = 16  # images that are looked at
SMALLEST = 48  # pixels; in a smaller image no detector finds a face reliably
# The share of an image's side that the face's box takes up: medians of 200 images each of CelebA's
# training part, with the boxes of blazeface. A margin makes it smaller.
SHARES = {"dlib": 0.89, "arcface": 0.79}
BOX_SHARE = 0.98  # of a crop around the box
# Faces that are this much smaller than in the training images are a mistake: crops of one kind vary
# by 10%, and the next larger kind is half as close.
SMALLER = 0.73
# Where the training images are not known. CelebA's aligned images have 0.49 (95% from 0.44 to
# 0.55), crops of the course 0.56 (0.50 to 0.63), group photographs 0.11 to 0.21.
PHOTOGRAPH = 0.4
# A larger face was cut out before: crops of both templates have 0.73 and more.
CROPPED = 0.7


def face_share(box: Sequence[float], shape: Sequence[int]) -> float:
    """Returns the share of an image's side that a face takes up.

    Args:
        box: ``(left, top, width, height)`` in pixels.
        shape: Shape of the image.

    Example:
        >>> face_share((10, 10, 50, 50), (100, 100, 3))
        0.5
    """
    return math.sqrt(box[2] * box[3] / (shape[0] * shape[1]))


def warn_about_photographs(
    images: ImageList,
    *,
    run: Run | None = None,
    preparation: Preparation | None = None,
    stacklevel: int = 2,
) -> None:
    """Warns if images look uncropped although no faces are to be detected.

    Args:
        images: The images; up to 16 of them are looked at.
        run: The run that they are given to. Images like its training images are no mistake.
        preparation: How the training images of the model were cut out of photographs; None if that
            is not known.
        stacklevel: As in ``warnings.warn``.

    Warns:
        UserWarning: If the faces are much smaller than in the training images.
    """
    limit, expected = PHOTOGRAPH, None
    if preparation is not None:
        expected = _expected(preparation)
        limit = SMALLER * expected
    found = _median_share(images)
    if found is None or found >= limit:
        return
    if preparation is None and run is not None:
        expected = _median_share(_training_images(run))
        if expected is not None and found >= SMALLER * expected:
            return
    known = "" if expected is None else f", but {expected:.0%} in the model's training images"
    warnings.warn(
        f"the images look like photographs: faces take up {found:.0%} of their side{known}. "
        "Use detect=True (--detect) to find the faces first",
        stacklevel=stacklevel + 1,
    )


def warn_about_crops(shares: Sequence[float], *, stacklevel: int = 2) -> None:
    """Warns if images look cropped although faces are detected in them.

    Args:
        shares: `face_share` of the largest face of some images.
        stacklevel: As in ``warnings.warn``.

    Warns:
        UserWarning: If most faces fill their image.
    """
    found = statistics.median(shares) if shares else 0.0
    if found > CROPPED:
        warnings.warn(
            f"the images look cropped: faces take up {found:.0%} of their side, so that the "
            "detection may cut them off. Use detect=False (--no-detect) for faces that were "
            "cropped as the model needs them",
            stacklevel=stacklevel + 1,
        )


def _expected(preparation: Preparation) -> float:
    """The share of a face in crops of a preparation."""
    share = SHARES[preparation.template] if preparation.align else BOX_SHARE
    return share / (1 + 2 * preparation.margin)


def _median_share(images: ImageList | None) -> float | None:
    """The median share of the largest face in a sample; None if most have no face."""
    if images is None:
        return None
    rows = np.unique(np.linspace(0, len(images) - 1, min(SAMPLE, len(images))).astype(int))
    pixels = []
    for row in rows.tolist():
        try:
            image = images.read(row)
        except (OSError, ValueError):  # reported where the images are used
            continue
        if min(image.shape[:2]) >= SMALLEST:
            pixels.append(image)
    try:
        faces = detect(pixels, DEFAULT) if pixels else []
    except ImportError:  # the warning is not worth an error
        return None
    shares = [
        max(face_share(face.box, image.shape) for face in found)
        for image, found in zip(pixels, faces, strict=True)
        if found
    ]
    return statistics.median(shares) if 2 * len(shares) > len(rows) else None


def _training_images(run: Run) -> ImageList | None:
    """The training images of a run, if they are still there."""
    try:
        tables = recorded_tables(run.folder, run.names, multi_label=run.multi_label)
    except (OSError, ValueError, KeyError):
        return None
    return image_list(tables["train"]) if "train" in tables else None
