"""A folder like CelebA's, of drawn faces."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Sequence

import numpy as np
from PIL import Image

from kerasface.data.celeba.labels import write_label_files
from kerasface.data.drawn.face import draw_face
from kerasface.data.drawn.people import ATTRIBUTES
from kerasface.files import new_folder
from kerasface.progress import track

SHAPE = (178, 218)  # width and height of CelebA's aligned images in pixels
SETTINGS = "drawn.json"


def drawn_celeba(
    folder: str | os.PathLike,
    *,
    people: Sequence[int] = (120, 15, 15),
    images: int = 8,
    height: int = SHAPE[1],
    seed: int = 0,
    verbose: int = 0,
) -> pathlib.Path:
    """Draws a folder that `kerasface.data.read_celeba` reads: faces with exactly known attributes.

    Args:
        folder: The folder. If it was drawn with the same settings, nothing is done.
        people: Number of people in the training, validation and test partitions; no person is in
            two.
        images: Number of images of each person.
        height: Height of the images in pixels; the aspect ratio is CelebA's, 178 to 218.
        seed: Seed of the drawings.
        verbose: 1 shows the progress, 0 nothing.

    Returns:
        The folder, with ``img_align_celeba/`` and the label files of the original form.

    Raises:
        FileExistsError: If the folder has other files.
        ValueError: If a number is out of range.

    Example:
        >>> import tempfile
        >>> root = drawn_celeba(
        ...     pathlib.Path(tempfile.mkdtemp()) / "c", people=(2, 1, 1), images=1, height=48
        ... )
        >>> len(list((root / "img_align_celeba").iterdir()))
        4
    """
    root = pathlib.Path(folder)
    if len(people) != 3 or min(people) < 1 or images < 1 or height < 24:
        raise ValueError(
            "`people` must be three numbers of at least 1, `images` at least 1 and `height` at "
            f"least 24. Received: people={tuple(people)}, images={images}, height={height}."
        )
    settings = {"people": list(people), "images": images, "height": height, "seed": seed}
    if root.exists():
        known = root / SETTINGS
        if known.is_file() and json.loads(known.read_text(encoding="utf-8")) == settings:
            return root
        raise FileExistsError(
            "`folder` must be new, or drawn with the same settings. "
            f"Received: {os.fspath(root)!r}, which has other files. Choose another."
        )
    width = round(height * SHAPE[0] / SHAPE[1])
    left = (height - width) // 2
    shots = [
        (person, part, variant)
        for person, part in enumerate(np.repeat([0, 1, 2], people).tolist())
        for variant in range(images)
    ]
    names = [f"{number:06d}.jpg" for number in range(1, len(shots) + 1)]
    labels = []
    with new_folder(root) as new:
        (new / "img_align_celeba").mkdir()
        drawings = zip(names, shots, strict=True)
        for name, (person, _, variant) in track(drawings, len(shots), "Drawing", verbose=verbose):
            face = draw_face(person, variant, size=height, seed=seed)
            pixels = face.image[:, left : left + width]
            Image.fromarray(pixels).save(new / "img_align_celeba" / name, quality=92)
            labels.append([face.attributes[key] for key in ATTRIBUTES])
        parts = [part for _, part, _ in shots]
        persons = [person + 1 for person, _, _ in shots]
        write_label_files(new, names, ATTRIBUTES, labels, parts, persons)
        (new / SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
    return root
