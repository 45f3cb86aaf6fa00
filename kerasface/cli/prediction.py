"""Commands that predict: predict and submit."""

from __future__ import annotations

import pathlib
import shutil
from typing import TYPE_CHECKING, Annotated

import typer

from kerasface.cli.console import (
    check_new_file,
    check_new_folder,
    one_line_warnings,
    verbosity,
)
from kerasface.cli.options import BatchSize, FaceChoice, Flip, Replace
from kerasface.files import write_csv
from kerasface.names import counted

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    import pandas as pd

SHOWN_ROWS = 10
LONGEST_PATH = 40  # characters


Detect = Annotated[
    bool, typer.Option("--detect", help="Find the faces first and predict each of them.")
]
PredictDetector = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Face detector of --detect: blazeface (default), mmod, mtcnn, retinaface or yunet.",
    ),
]
PredictMargin = Annotated[
    float | None,
    typer.Option(
        help="Margin around each detected face, as a share of its size. Default: that of "
        "the training images, else 0.2."
    ),
]
Only = Annotated[
    str | None,
    typer.Option(metavar="NAMES", help="Attributes to show, separated by commas: Smiling,Male."),
]
AttributeThreshold = Annotated[
    float | None,
    typer.Option(
        help="Minimum probability, 0 to 1, at which an attribute is predicted. Default: the "
        "thresholds of the run."
    ),
]
Pictures = Annotated[
    pathlib.Path | None,
    typer.Option(help="Folder for one picture per image or face that shows its prediction."),
]


def predict(
    paths: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="MODEL... IMAGES...",
            help="One or more run folders or .keras files, whose probabilities are averaged, then "
            "image files and folders of images.",
        ),
    ],
    out: Annotated[pathlib.Path, typer.Option(help="CSV file to write.")] = (
        pathlib.Path("predictions.csv")
    ),
    detect: Detect = False,
    detector: PredictDetector = None,
    margin: PredictMargin = None,
    faces: FaceChoice = "all",
    only: Only = None,
    threshold: AttributeThreshold = None,
    pictures: Pictures = None,
    flip: Flip = False,
    batch_size: BatchSize = 64,
    overwrite: Replace = False,
) -> None:
    """Predict classes or attributes, and write their probabilities.

    A .keras file outside a run has no class names, so its classes are numbers.
    """
    check_new_file(out, overwrite)
    if pictures is not None:
        check_new_folder(pictures, overwrite, "--pictures")
    from kerasface.inference import predict as predict_images

    models, images = _models_and_images("predict", paths)
    with one_line_warnings():
        frame = predict_images(
            models,
            images[0] if len(images) == 1 else images,
            detect=detect,
            detector=detector,
            margin=margin,
            faces=faces,
            pictures=pictures,
            only=None if only is None else [name.strip() for name in only.split(",")],
            threshold=threshold,
            flip=flip,
            batch_size=batch_size,
            verbose=verbosity(),
        )
    write_csv(out, frame)
    _print_rows(frame)
    _print_attributes(frame, models)
    print(f"\nWrote {counted(len(frame), 'row')}: {out}")
    if pictures is not None:
        print(f"Wrote the pictures: {pictures}")


def submit(
    paths: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="MODEL... IMAGES",
            help="One or more run folders or .keras files, whose probabilities are averaged, then "
            "one folder of images.",
        ),
    ],
    out: Annotated[pathlib.Path, typer.Option(help="CSV file to write.")] = (
        pathlib.Path("submission.csv")
    ),
    sample: Annotated[
        pathlib.Path | None,
        typer.Option(help="Sample submission that sets the ids, the columns and the order."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Label format: index or name. Default: as in the sample.")
    ] = None,
    flip: Flip = False,
    batch_size: BatchSize = 64,
    overwrite: Replace = False,
) -> None:
    """Write a submission for a folder of test images."""
    check_new_file(out, overwrite)
    from kerasface.inference import submit as submit_images

    models, images = _models_and_images("submit", paths)
    if len(images) > 1:
        raise ValueError(
            "A submission needs exactly one folder of test images. "
            f"Received: {[str(path) for path in images]}."
        )
    with one_line_warnings():
        path = submit_images(
            models,
            images[0],
            out,
            sample=sample,
            label=label,
            flip=flip,
            batch_size=batch_size,
            verbose=verbosity(),
        )
    print(f"Wrote {path}")


def _models_and_images(
    command: str, paths: list[pathlib.Path]
) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Splits paths: the models are the first ones, and the images follow."""
    from kerasface.inference.reading import check_model, is_model

    count = next((place for place, path in enumerate(paths) if not is_model(path)), len(paths))
    models, images = paths[:count], paths[count:]
    if not models:
        check_model(paths[0])  # raises an error that says what the path is
    late = [path for path in images if is_model(path)]
    if late:
        ordered = [*models, *late, *(path for path in images if path not in late)]
        raise ValueError(
            f"Models come before images. Received: {str(late[0])!r} after {str(images[0])!r}. "
            f"Use: kerasface {command} {' '.join(map(str, ordered))}"
        )
    if not images:
        raise ValueError(
            "At least one image or folder of images is needed after the model. "
            f"Received: {' '.join(map(str, paths))}, {counted(len(models), 'model')} alone."
        )
    return models, images


def _print_rows(frame: pd.DataFrame) -> None:
    """Prints the first predictions, one per line, as wide as the terminal."""
    width = shutil.get_terminal_size().columns
    for row in frame.head(SHOWN_ROWS).to_dict("records"):
        path = row["path"] if len(row["path"]) <= LONGEST_PATH else f"...{row['path'][-37:]}"
        face = f" face {row['face']}" if row.get("face") else ""
        share = f" ({row['probability']:.1%})" if "probability" in row else ""
        line = f"{path}{face}: {row['prediction']}{share}"
        print(line if len(line) <= width else f"{line[: width - 3]}...")
    if len(frame) > SHOWN_ROWS:
        print(f"... and {len(frame) - SHOWN_ROWS:,} more")


def _print_attributes(frame: pd.DataFrame, models: list[pathlib.Path]) -> None:
    """Prints how often each attribute is predicted, beside the majority guess."""
    from kerasface.inference import attribute_summary

    table = attribute_summary(frame, models[0])
    if not len(table):
        return
    length = max(map(len, table["attribute"]))
    print(f"\n{'':{length}}  predicted       majority guess on the training images")
    for row in table.to_dict("records"):
        predicted = f"{row['predicted']:,} of {len(frame):,}"
        guess = ""
        if row["train_share"] == row["train_share"]:  # not NaN
            share = row["train_share"]
            guess = f"{'yes' if share >= 0.5 else 'no'} ({max(share, 1 - share):.0%} correct)"
        print(f"{row['attribute']:{length}}  {predicted:15} {guess}".rstrip())
