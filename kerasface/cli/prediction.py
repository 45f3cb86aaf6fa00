"""Commands that predict: predict and submit."""

from __future__ import annotations

import pathlib
from typing import Annotated

import typer

from kerasface.cli.console import one_line_warnings, verbosity
from kerasface.cli.options import BatchSize, Flip


def predict(
    paths: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="MODEL... IMAGES...",
            help="One or more run folders, whose probabilities are averaged, then image files and "
            "folders of images.",
        ),
    ],
    out: Annotated[pathlib.Path, typer.Option(help="CSV file to write.")] = (
        pathlib.Path("predictions.csv")
    ),
    detect: Annotated[
        bool, typer.Option("--detect", help="Find the faces first and predict each of them.")
    ] = False,
    detector: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Face detector of --detect: mtcnn (default) or retinaface."
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(
            help="Margin around each detected face, as a share of its size. Default: 0.2."
        ),
    ] = None,
    pictures: Annotated[
        pathlib.Path | None,
        typer.Option(help="Folder for one picture per image that shows its prediction."),
    ] = None,
    flip: Flip = False,
    batch_size: BatchSize = 64,
) -> None:
    """Write the probabilities of classes or attributes."""
    from kerasface.files import replacing
    from kerasface.inference import predict as predict_images

    runs, images = _runs_and_images(paths)
    with one_line_warnings():
        frame = predict_images(
            runs,
            images[0] if len(images) == 1 else images,
            detect=detect,
            detector=detector,
            margin=margin,
            pictures=pictures,
            flip=flip,
            batch_size=batch_size,
            verbose=verbosity(),
        )
    with replacing(out) as part:
        frame.to_csv(part, index=False)
    shown = [name for name in ("path", "face", "prediction", "probability") if name in frame]
    print(frame[shown].head(10).to_string(index=False))
    print(f"Wrote {len(frame):,} rows: {out}")
    if pictures is not None:
        print(f"Wrote {len(frame):,} pictures: {pictures}")


def submit(
    paths: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="MODEL... IMAGES",
            help="One or more run folders, whose probabilities are averaged, then one folder of "
            "images.",
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
) -> None:
    """Write a submission for a folder of test images."""
    from kerasface.inference import submit as submit_images

    runs, images = _runs_and_images(paths)
    if len(images) > 1:
        raise ValueError(
            "A submission needs exactly one folder of test images. "
            f"Received: {[str(path) for path in images]}, none of which is a run folder."
        )
    with one_line_warnings():
        path = submit_images(
            runs,
            images[0],
            out,
            sample=sample,
            label=label,
            flip=flip,
            batch_size=batch_size,
            verbose=verbosity(),
        )
    print(f"Wrote {path}")


def _runs_and_images(
    paths: list[pathlib.Path],
) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Splits paths into run folders and others."""
    from kerasface.runs.run import RECIPE

    runs = [path for path in paths if (path / RECIPE).is_file()]
    images = [path for path in paths if path not in runs]
    if not runs or not images:
        raise ValueError(
            "The arguments must be one or more run folders and then images or folders of images. "
            f"Received: {len(runs)} run folders and {len(images)} others, "
            f"{[str(path) for path in paths]}."
        )
    return runs, images
