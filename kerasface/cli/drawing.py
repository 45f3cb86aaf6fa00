"""Pictures that the command `faces` writes."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any

from kerasface.cli.console import check_new_file, check_new_folder
from kerasface.names import counted

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    import numpy as np

SHOWN_FILES = 5


def draw_photograph(
    path: pathlib.Path,
    out: pathlib.Path,
    detector: str,
    options: dict[str, Any],
    overwrite: bool,
) -> None:
    """Draws all faces of a photograph into a copy of it.

    Args:
        path: The photograph.
        out: Image file to write.
        detector: Name of the detector.
        options: Options of the detector.
        overwrite: Whether an existing file is replaced.
    """
    from kerasface import images
    from kerasface.faces import detect, draw_faces

    _check_picture_file(out, overwrite)
    image = images.read(path)
    [found] = detect([image], detector, **options)
    _save(draw_faces(image, found), out)
    print(f"{counted(len(found), 'face')} in {path.name}: {out}")


def draw_photographs(
    folder: pathlib.Path,
    out: pathlib.Path,
    detector: str,
    options: dict[str, Any],
    overwrite: bool,
) -> None:
    """Draws the faces of each photograph of a folder into a picture of its own.

    Args:
        folder: Folder of photographs.
        out: Folder to write.
        detector: Name of the detector.
        options: Options of the detector.
        overwrite: Whether the folder may have files.
    """
    from PIL import Image

    from kerasface.faces import draw_folder

    if out.suffix.lower() in Image.registered_extensions() and not out.is_dir():
        raise ValueError(
            "`--out` must be a folder, because each photograph gets its own picture. "
            f"Received: {str(out)!r} for the folder {str(folder)!r}. Name a folder, or add "
            "--contact-sheet to show the images on one sheet."
        )
    check_new_folder(out, overwrite)
    table = draw_folder(folder, out, detector=detector, options=options, verbose=1)
    is_readable = table["faces"] >= 0
    readable, unreadable = table[is_readable], table[~is_readable]
    number = counted(int(readable["faces"].sum()), "face")
    print(f"{number} in {counted(len(readable), 'photograph')}: {out}")
    print(f"Photographs with several faces: {(readable['faces'] > 1).sum():,}")
    print(f"Photographs without a face: {(readable['faces'] == 0).sum():,}")
    if len(unreadable):
        print(f"Unreadable files: {len(unreadable):,}")
        for row in unreadable.head(SHOWN_FILES).itertuples():
            print(f"  {row.file}: {row.reason}")


def draw_contact_sheet(
    folder: pathlib.Path, out: pathlib.Path, limit: int, overwrite: bool
) -> None:
    """Shows the images of a folder on one sheet.

    Args:
        folder: The folder.
        out: Image file to write.
        limit: Maximum number of images, sampled evenly.
        overwrite: Whether an existing file is replaced.
    """
    from kerasface import images
    from kerasface.data import unlabeled_folder
    from kerasface.faces import contact_sheet

    _check_picture_file(out, overwrite)
    paths = unlabeled_folder(folder).paths.tolist()
    shown = paths[:: -(-len(paths) // limit)]
    pixels = contact_sheet(
        [images.read(folder / path) for path in shown],
        [" ".join(pathlib.PurePath(path).with_suffix("").parts[-2:]) for path in shown],
    )
    _save(pixels, out)
    print(f"{len(shown):,} of {counted(len(paths), 'image')}: {out}")


def _check_picture_file(out: pathlib.Path, overwrite: bool) -> None:
    from PIL import Image

    if Image.registered_extensions().get(out.suffix.lower()) not in Image.SAVE:
        raise ValueError(
            "`--out` must end in the suffix of an image format, for example boxes.png. "
            f"Received: {str(out)!r}."
        )
    check_new_file(out, overwrite)


def _save(pixels: np.ndarray, out: pathlib.Path) -> None:
    from PIL import Image

    from kerasface.files import replacing

    with replacing(out) as part:
        Image.fromarray(pixels).save(part)
