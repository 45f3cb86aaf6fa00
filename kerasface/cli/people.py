"""Commands that name people: identify and match."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Annotated

import typer

from kerasface.cli.console import (
    check_new_file,
    check_new_folder,
    one_line_warnings,
    print_metrics,
    verbosity,
)
from kerasface.cli.options import (
    FACE_MODEL,
    BatchSize,
    DetectFaces,
    FaceChoice,
    FaceDetector,
    FaceModel,
    FaceModelOption,
    Jitter,
    Replace,
    StoredFlip,
    number_or_path,
)

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    from kerasface.inference.identification import Identified

BATCH_SIZE = 64
SHOWN_ANSWERS = 10
FACES = "largest"

Gallery = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="GALLERY",
        help="Folder with one subfolder per known person, or a saved .npz gallery.",
    ),
]
Probes = Annotated[
    pathlib.Path,
    typer.Argument(
        metavar="PROBES",
        help="Folder of images to identify. With one subfolder per person, the answers are "
        "evaluated.",
    ),
]
Answers = Annotated[pathlib.Path, typer.Option(help="Folder to write to.")]
MatchThreshold = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|FILE",
        help="Minimum similarity of a match, -1 to 1, or a verifier.json of `kerasface verify`. "
        "Default: that of dlib, or the stored threshold of the model, if any.",
    ),
]
ShippedRate = Annotated[
    float | None,
    typer.Option(help="False accept rate of one comparison that sets the threshold of dlib."),
]
Count = Annotated[int, typer.Option(help="Number of people to name for each image.")]
SaveGallery = Annotated[
    pathlib.Path | None, typer.Option(help="Save the gallery to this .npz file.")
]


def identify(
    gallery: Gallery,
    probes: Probes,
    model: FaceModelOption = FACE_MODEL,
    out: Answers = pathlib.Path("identification"),
    threshold: MatchThreshold = None,
    far: ShippedRate = None,
    count: Count = 5,
    detect: DetectFaces = None,
    detector: FaceDetector = None,
    faces: FaceChoice = FACES,
    save_gallery: SaveGallery = None,
    flip: StoredFlip = None,
    jitter: Jitter = 0,
    batch_size: BatchSize = BATCH_SIZE,
    overwrite: Replace = False,
) -> None:
    """Identify people with a gallery of known people.

    Writes the answers and, for labeled images, rank-1 and rank-5 accuracy and the CMC curve.
    """
    check_new_folder(out, overwrite)
    if save_gallery is not None:
        check_new_file(save_gallery, overwrite, ".npz", option="--save-gallery")
    from kerasface.inference import identify as identify_people

    with one_line_warnings():
        result = identify_people(
            gallery,
            probes,
            model=model,
            detect=detect,
            detector=detector,
            faces=faces,
            threshold=number_or_path(threshold),
            far=far,
            count=count,
            flip=flip,
            jitter=jitter,
            batch_size=batch_size,
            save_gallery=save_gallery,
            out=out,
            verbose=verbosity(),
        )
    _print_answers(result)
    print(f"\nReport: {out / 'report.html'}   (open it in any browser)")


def match(
    model: FaceModel,
    known: Annotated[
        pathlib.Path, typer.Option(help="Folder with one subfolder per known person.")
    ],
    unknown: Annotated[pathlib.Path, typer.Option(help="Folder of images to identify.")],
    out: Annotated[pathlib.Path, typer.Option(help="CSV file to write.")] = (
        pathlib.Path("verification_submission.csv")
    ),
    threshold: Annotated[
        float | None,
        typer.Option(help="Minimum similarity of a match, -1 to 1. Default: the best on --dev."),
    ] = None,
    dev: Annotated[pathlib.Path | None, typer.Option(help="Folder of development images.")] = None,
    dev_labels: Annotated[
        pathlib.Path | None,
        typer.Option(help="CSV file with a column `label` for the development images, in order."),
    ] = None,
    no_match: Annotated[str, typer.Option(help="Label of images without a match.")] = "n000000",
    detect: DetectFaces = None,
    detector: FaceDetector = None,
    flip: StoredFlip = None,
    batch_size: BatchSize = BATCH_SIZE,
    overwrite: Replace = False,
) -> None:
    """Write a verification submission of CMU 11-785 HW2P2.

    Matches images of unknown people to known people.
    """
    check_new_file(out, overwrite)
    from kerasface.inference import submit_matches

    with one_line_warnings():
        matches = submit_matches(
            model,
            known,
            unknown,
            out,
            threshold=threshold,
            dev=dev,
            dev_labels=dev_labels,
            no_match=no_match,
            detect=detect,
            detector=detector,
            flip=flip,
            batch_size=batch_size,
            verbose=verbosity(),
        )
    if matches.dev_accuracy is not None:
        print(f"Development accuracy {matches.dev_accuracy:.1%}")
    print(f"{matches.matched:.1%} have a match at threshold {matches.threshold:.4f}")
    print(f"Wrote {matches.path}")


def _print_answers(result: Identified) -> None:
    shown = result.answers.head(SHOWN_ANSWERS)
    for path, answer, score in zip(shown["path"], shown["answer"], shown["score"], strict=True):
        print(f"{path}: {answer or 'unknown'} (similarity {score:.4f})")
    if len(result.answers) > SHOWN_ANSWERS:
        print(f"... and {len(result.answers) - SHOWN_ANSWERS:,} more")
    if result.threshold is None:
        print("No threshold: every face gets a name. Set --threshold, or run verify first.")
    else:
        print(f"Faces with a similarity below {result.threshold:.4f} are unknown.")
    if result.metrics:
        print_metrics(result.metrics)
