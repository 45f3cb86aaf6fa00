"""Commands that prepare images: faces, crop and split."""

from __future__ import annotations

import pathlib
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasface.checks import check_number, check_unused
from kerasface.cli import drawing
from kerasface.cli.console import INTERRUPTED, one_line_warnings
from kerasface.cli.options import DetectorName, DetectorOptions, Replace
from kerasface.names import counted

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    import pandas as pd

SHEET_IMAGES = 240
OUTCOMES = {
    "face": "with a face",
    "center": "cropped at the center",
    "copied": "copied without a face",
    "skipped": "skipped without a face",
    "unreadable": "unreadable",
}

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
        typer.Argument(metavar="PHOTO|FOLDER", help="A photograph, or a folder of images."),
    ],
    out: Annotated[
        pathlib.Path,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Image file to write. For a folder without --contact-sheet: folder to write.",
        ),
    ],
    contact_sheet: Annotated[
        bool,
        typer.Option("--contact-sheet", help="Show the images of the folder on one sheet."),
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(help="Maximum number of images on the sheet, sampled evenly. Default: 240."),
    ] = None,
    detector: DetectorName = None,
    set_: DetectorOptions = None,
    overwrite: Replace = False,
) -> None:
    """Draw all detected faces of a photograph, or of each photograph of a folder.

    With --contact-sheet, show the images of a folder, for example of crops, without detection.
    """
    if contact_sheet:
        check_unused("with --contact-sheet", {"--detector": detector, "--set": set_})
        check_number("--limit", SHEET_IMAGES if limit is None else limit, 1, whole=True)
    else:
        check_unused("without --contact-sheet", {"--limit": limit})
    chosen, options = _detector_name(detector), _detector_options(set_)
    with one_line_warnings():
        if contact_sheet:
            drawing.draw_contact_sheet(path, out, limit or SHEET_IMAGES, overwrite)
        elif path.is_dir():
            drawing.draw_photographs(path, out, chosen, options, overwrite)
        else:
            drawing.draw_photograph(path, out, chosen, options, overwrite)


def crop(
    source: Annotated[
        pathlib.Path, typer.Argument(metavar="SOURCE", help="Folder of photographs.")
    ],
    target: Annotated[pathlib.Path, typer.Argument(metavar="TARGET", help="Folder of crops.")],
    detector: DetectorName = None,
    set_: DetectorOptions = None,
    size: Annotated[
        int | None,
        typer.Option(
            help="Width and height of the crops in pixels. Default: 224, or 150 with "
            "--template dlib."
        ),
    ] = None,
    margin: Margin = None,
    align: Annotated[
        bool, typer.Option("--align", help="Align eyes and mouth to standard positions.")
    ] = False,
    template: Annotated[
        str,
        typer.Option(
            help="Positions for --align: arcface, or dlib for the pretrained face network."
        ),
    ] = "arcface",
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
                detector=_detector_name(detector),
                options=_detector_options(set_),
                size=size,
                margin=margin,
                align=align,
                template=template,
                faces=faces,
                without=without,
                suffix=suffix,
                processes=processes,
                verbose=1,
            )
    except KeyboardInterrupt:
        print("\nInterrupted. Repeat the command to resume.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    _print_crops(table, source, target)


def split(
    source: Annotated[
        pathlib.Path,
        typer.Argument(metavar="SOURCE", help="Folder with one subfolder of images per person."),
    ],
    target: Annotated[
        pathlib.Path,
        typer.Argument(metavar="TARGET", help="New folder for train/, validation/ and test/."),
    ],
    train: Annotated[float, typer.Option(help="Training share of each person's images.")] = 0.7,
    validation: Annotated[float, typer.Option(help="Validation share; 0 disables it.")] = 0.2,
    test: Annotated[float, typer.Option(help="Test share; 0 disables it.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    how: Annotated[
        str, typer.Option(help="How to write the images: copy, link (hard links) or symlink.")
    ] = "copy",
    small: Annotated[
        str,
        typer.Option(
            help="Where to put people with too few images: train, validation, test or skip."
        ),
    ] = "train",
    distance: Annotated[
        int,
        typer.Option(
            help="Maximum Hamming distance (of 256 bits) between near-duplicates, which stay in "
            "one partition. -1: off."
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
    print(f"Wrote {target}\n")
    print(f"Next: kerasface train auto --data {shlex.quote(str(target))} --out runs/first")


def _detector_name(name: str | None) -> str:
    from kerasface.faces.detectors.registry import DEFAULT

    return DEFAULT if name is None else name


def _detector_options(changes: list[str] | None) -> dict[str, Any]:
    if not changes:
        return {}
    from kerasface.runs.recipe_changes import parse_changes

    return parse_changes(changes)


def _print_crops(table: pd.DataFrame, source: pathlib.Path, target: pathlib.Path) -> None:
    counts = table.drop_duplicates("file")["outcome"].value_counts()
    outcomes = ", ".join(f"{count:,} {OUTCOMES[str(name)]}" for name, count in counts.items())
    crops = table.loc[table["crop"] != "", "crop"].tolist()
    print(f"{counted(table['file'].nunique(), 'file')}: {outcomes}")
    print(f"Wrote {counted(len(crops), 'image')}: {target}   (list of files: crops.csv)\n")
    if crops:
        sheet = shlex.join(["kerasface", "faces", str(target)])
        print(f"Look at the crops: {sheet} --contact-sheet --out crops.png")
        print(f"Next: {_step_after_crop(crops, target)}")
    else:
        drawing = shlex.join(["kerasface", "faces", str(source)])
        print(f"Next: see what the detector finds: {drawing} --out pictures")
        print("      or crop with --detector retinaface, or with --set min_face=12")


def _step_after_crop(crops: Sequence[str], target: pathlib.Path) -> str:
    """What to do with crops of people, of partitions with people, or of a flat folder."""
    from kerasface.data.listing import PARTITIONS

    paths = [pathlib.PurePosixPath(crop).parts for crop in crops]
    folders = {parts[0] if len(parts) > 1 else "" for parts in paths}
    place = shlex.quote(str(target))
    if any(len(parts) > 2 for parts in paths) and {name.lower() for name in folders} <= PARTITIONS:
        return f"kerasface train auto --data {place} --out runs/first"
    if len(folders) > 1 and "" not in folders:
        return (
            f"kerasface split {place} data, then kerasface train auto --data data --out runs/first"
        )
    return (
        "sort the crops into one folder per person to train on them, or compare two of them "
        "with kerasface verify"
    )
