"""Commands that prepare images: faces, crop and split."""

from __future__ import annotations

import pathlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasface.cli.console import INTERRUPTED, one_line_warnings
from kerasface.cli.options import DetectorName, DetectorOptions

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    import numpy as np
    import pandas as pd

Margin = Annotated[
    float | None,
    typer.Option(
        help="Margin on each side, as a share of the bounding box (default 0.2) or, with --align, "
        "of the standard crop (default 0)."
    ),
]


def faces(
    path: Annotated[
        pathlib.Path,
        typer.Argument(metavar="PHOTO|FOLDER", help="A photograph, or a folder of crops."),
    ],
    out: Annotated[pathlib.Path, typer.Option(help="Image file to write.")],
    contact_sheet: Annotated[
        bool, typer.Option("--contact-sheet", help="Show the images of a folder side by side.")
    ] = False,
    limit: Annotated[
        int, typer.Option(help="Most images on a contact sheet, evenly sampled.")
    ] = 240,
    detector: DetectorName = "mtcnn",
    set_: DetectorOptions = None,
) -> None:
    """Draw the faces of a photograph, or show a folder of crops."""
    from PIL import Image

    from kerasface.files import replacing

    extensions = Image.registered_extensions()
    if extensions.get(out.suffix.lower()) not in Image.SAVE:
        raise ValueError(
            "`--out` must end in the suffix of an image format, for example boxes.png. "
            f"Received: {str(out)!r}."
        )
    if contact_sheet:
        pixels, content = _contact_sheet(path, limit)
    else:
        pixels, content = _detected_faces(path, detector, _detector_options(set_))
    with replacing(out) as part:
        Image.fromarray(pixels).save(part)
    print(f"{content}: {out}")


def crop(
    source: Annotated[pathlib.Path, typer.Argument(metavar="SRC", help="Folder of photographs.")],
    target: Annotated[pathlib.Path, typer.Argument(metavar="DST", help="Folder of crops.")],
    detector: DetectorName = "mtcnn",
    set_: DetectorOptions = None,
    size: Annotated[int, typer.Option(help="Width and height of the crops in pixels.")] = 224,
    margin: Margin = None,
    align: Annotated[
        bool, typer.Option("--align", help="Align eyes and mouth to standard positions.")
    ] = False,
    faces: Annotated[
        str,
        typer.Option(help="Which face to crop if there are several: largest, central, best, all."),
    ] = "largest",
    without: Annotated[
        str,
        typer.Option(help="How to handle photographs without a face: skip, center (crop) or copy."),
    ] = "skip",
    suffix: Annotated[str, typer.Option(help="Format of the crops: .jpg or .png.")] = ".jpg",
    processes: Annotated[
        int | None, typer.Option(help="Number of worker processes. Default: one per processor.")
    ] = None,
) -> None:
    """Crop the faces in a folder of photographs.

    Repeat an interrupted command to resume it.
    """
    from kerasface.faces import crop as crop_faces

    try:
        with one_line_warnings():
            table = crop_faces(
                source,
                target,
                detector=detector,
                options=_detector_options(set_),
                size=size,
                margin=margin,
                align=align,
                faces=faces,
                without=without,
                suffix=suffix,
                processes=processes,
                verbose=1,
            )
    except KeyboardInterrupt:
        print("\nInterrupted. Repeat the command to resume.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    _print_crops(table, target)


def split(
    source: Annotated[
        pathlib.Path,
        typer.Argument(metavar="SRC", help="Folder with one subfolder of images per person."),
    ],
    target: Annotated[
        pathlib.Path, typer.Argument(metavar="DST", help="New folder: train/, validation/, test/.")
    ],
    train: Annotated[float, typer.Option(help="Share of each person's images.")] = 0.7,
    validation: Annotated[
        float, typer.Option(help="Share of each person's images. 0: no validation/.")
    ] = 0.2,
    test: Annotated[float, typer.Option(help="Share of each person's images. 0: no test/.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    how: Annotated[str, typer.Option(help="copy, link (hard links) or symlink.")] = "copy",
    small: Annotated[
        str,
        typer.Option(
            help="Where to put people with too few images: train, validation, test or skip."
        ),
    ] = "train",
    distance: Annotated[
        int,
        typer.Option(
            help="Keep near-duplicates in one partition: images whose 256-bit perceptual hashes "
            "differ in at most this many bits. -1: off."
        ),
    ] = 24,
) -> None:
    """Split each person's images into train/, validation/ and test/."""
    from kerasface.data import split_folder

    with one_line_warnings():
        table = split_folder(
            source,
            target,
            train=train,
            validation=validation,
            test=test,
            seed=seed,
            how=how,
            small=small,
            distance=None if distance == -1 else distance,
            verbose=1,
        )
    counts = table["partition"].value_counts()
    by_partition = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    duplicates = len(table) - table["group"].nunique()
    print(f"{len(table):,} images of {table['person'].nunique():,} people: {by_partition}")
    print(f"Near-duplicates kept together: {duplicates:,}")
    print(f"Wrote {target}\n\nNext: kerasface train demo --data {target} --out runs/first")


def _detector_options(changes: list[str] | None) -> dict[str, Any]:
    if not changes:
        return {}
    from kerasface.runs.recipe_changes import parse_changes

    return parse_changes(changes)


def _detected_faces(
    path: pathlib.Path, detector: str, options: dict[str, Any]
) -> tuple[np.ndarray, str]:
    """A photograph with its faces marked, and a description of it."""
    from kerasface.faces import detect, draw_faces

    image = _decoded(path)
    [found] = detect([image], detector, **options)
    return draw_faces(image, found), f"{len(found)} faces in {path.name}"


def _contact_sheet(folder: pathlib.Path, limit: int) -> tuple[np.ndarray, str]:
    """An image of the images of a folder, and a description of it."""
    from kerasface.data import unlabeled_folder
    from kerasface.faces import contact_sheet

    paths = unlabeled_folder(folder).paths.tolist()
    shown = paths[:: -(-len(paths) // max(limit, 1))]
    pixels = contact_sheet(
        [_decoded(folder / path) for path in shown],
        [" ".join(pathlib.PurePath(path).with_suffix("").parts[-2:]) for path in shown],
    )
    return pixels, f"{len(shown)} of {len(paths):,} images"


def _decoded(path: pathlib.Path) -> np.ndarray:
    from kerasface import images

    try:
        return images.decode(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"An image file must be readable. Received: {path}, {error}.") from error


def _print_crops(table: pd.DataFrame, target: pathlib.Path) -> None:
    counts = table.drop_duplicates("file")["outcome"].value_counts()
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
    print(f"{table['file'].nunique():,} files: {outcomes}")
    print(f"Wrote {(table['crop'] != '').sum():,} images: {target}   (list of files: crops.csv)")
    print(
        f"\nNext: kerasface split {target} DATA, or "
        f"kerasface faces {target} --contact-sheet --out FILE"
    )
