"""Arguments and options that several commands share."""

from __future__ import annotations

import pathlib
from typing import Annotated

import typer

from kerasface.cli.completion import complete_change, complete_detector

Runs = Annotated[list[pathlib.Path], typer.Argument(metavar="RUN RUN...", help="Run folders.")]
Model = Annotated[pathlib.Path, typer.Argument(metavar="MODEL", help="Run folder or .keras file.")]
FACE_MODEL = "dlib"  # the pretrained face network
FaceModel = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="dlib (the pretrained face network), run folder or .keras file."
    ),
]
FaceModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="dlib (the pretrained face network), run folder or .keras file.",
    ),
]
DetectFaces = Annotated[
    bool | None,
    typer.Option(
        "--detect/--no-detect",
        help="Find the faces in photographs first, or take the images as crops of faces. "
        "Default: find faces for dlib, and for other models as the threshold was measured.",
    ),
]
FaceChoice = Annotated[
    str,
    typer.Option(
        "--faces",
        metavar="WHICH",
        help="Faces of a photograph that count: largest, central, best or all.",
    ),
]
Jitter = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Average over N randomly moved copies of each face; takes N times as long.",
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE ...",
        autocompletion=complete_change,
        help="Change keys of the recipe, for example --set epochs=30 batch_size=64 "
        "architecture.drop_path=0.1.",
    ),
]
DetectorName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=complete_detector,
        help="Face detector: blazeface (default), mmod, mtcnn, retinaface or yunet.",
    ),
]
FaceDetector = Annotated[
    str | None,
    typer.Option(
        "--detector",
        metavar="NAME",
        autocompletion=complete_detector,
        help="Face detector: blazeface, mmod, mtcnn, retinaface or yunet. Default: that of the "
        "model.",
    ),
]
DetectorOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE ...",
        help="Set options of the detector, for example --set min_face=12 threshold=0.7 "
        "turned=true.",
    ),
]
Partition = Annotated[
    str,
    typer.Option(
        help="How to partition CelebA: official (list_eval_partition) or identity (no person is "
        "in two partitions; needs identity_CelebA)."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the run in this folder.")]
Replace = Annotated[bool, typer.Option("--overwrite", help="Replace existing output.")]
Flip = Annotated[bool, typer.Option("--flip", help="Average over each image and its mirror image.")]
StoredFlip = Annotated[
    bool | None,
    typer.Option(
        "--flip/--no-flip",
        help="Average over each image and its mirror image. Default: the setting of the stored "
        "threshold or gallery, otherwise no.",
    ),
]
BatchSize = Annotated[int, typer.Option(help="Batch size.")]

OFFICIAL = "official"
ImageGroups = Annotated[
    str | None,
    typer.Option(
        "--groups",
        metavar="FILE|NAMES",
        help="Results by group of images: a CSV file (image, then columns of groups), or "
        "attributes of CelebA, for instance Male,Young.",
    ),
]


def file_or_names(text: str | None) -> str | list[str] | None:
    """Converts the option --groups: the path of a CSV file stays, names become a list."""
    if text is None or text.lower().endswith(".csv"):
        return text
    return [name.strip() for name in text.split(",") if name.strip()]


def number_or_path(text: str | None) -> float | str | None:
    """Converts an option to a number if it is one, else keeps the path of a file."""
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text
