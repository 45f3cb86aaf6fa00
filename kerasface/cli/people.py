"""Commands that compare faces: verify, identify and match."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Annotated

import typer

from kerasface.checks import check_unused
from kerasface.cli.console import (
    check_new_file,
    check_new_folder,
    one_line_warnings,
    print_metrics,
    verbosity,
)
from kerasface.cli.options import BatchSize, Model, ModelOption, Replace, StoredFlip
from kerasface.cli.results import earlier_results, print_replaced

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    from kerasface.inference.identification import Identified
    from kerasface.inference.pair_verification import Verified

BATCH_SIZE = 64
SHOWN_ANSWERS = 10

TwoImages = Annotated[
    list[pathlib.Path] | None,
    typer.Argument(metavar="[IMAGE_A IMAGE_B]", help="Two images of faces."),
]
Pairs = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="List of pairs: LFW's pairs.txt, or a CSV file with file_a,file_b,same. Default: all "
        "genuine pairs of the people in --images and as many impostor pairs."
    ),
]
PairImages = Annotated[
    pathlib.Path | None, typer.Option(help="Folder with the images of the pairs.")
]
PairReport = Annotated[
    pathlib.Path | None,
    typer.Option(help="Folder to write to. Default: verification/ in the run folder."),
]
FalseAcceptRate = Annotated[
    float | None, typer.Option(help="Target false accept rate of the stored threshold.")
]
Threshold = Annotated[
    float | None,
    typer.Option(help="Threshold for two images, -1 to 1. Default: the stored threshold."),
]
AllowSeen = Annotated[
    bool, typer.Option("--allow-seen", help="Allow people that the run was trained on.")
]
PairBatchSize = Annotated[
    int | None, typer.Option(help=f"Batch size for many pairs. Default: {BATCH_SIZE}.")
]


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
    float | None,
    typer.Option(
        help="Minimum similarity of a match, -1 to 1. Default: the stored threshold, if any."
    ),
]
Count = Annotated[int, typer.Option(help="Number of people to name for each image.")]
SaveGallery = Annotated[
    pathlib.Path | None, typer.Option(help="Save the gallery to this .npz file.")
]


def verify(
    model: ModelOption,
    two_images: TwoImages = None,
    pairs: Pairs = None,
    images: PairImages = None,
    out: PairReport = None,
    far: FalseAcceptRate = None,
    threshold: Threshold = None,
    flip: StoredFlip = None,
    batch_size: PairBatchSize = None,
    allow_seen: AllowSeen = False,
    overwrite: Replace = False,
) -> None:
    """Compare two images, or evaluate verification on many pairs.

    With two images: do they show the same person? With --images: evaluates the model on pairs of
    images and stores a threshold.
    """
    if two_images:
        pair_options = {
            "--pairs": pairs,
            "--images": images,
            "--out": out,
            "--far": far,
            "--batch-size": batch_size,
            "--allow-seen": allow_seen,
            "--overwrite": overwrite,
        }
        check_unused("with two images", pair_options)
        _verify_two(model, two_images, threshold, flip)
        return
    remedy = "Use --far to store a threshold for a false accept rate."
    check_unused("without two images", {"--threshold": threshold}, remedy=remedy)
    if images is None:
        raise ValueError(
            "Give two images, or --images with a folder of people. Received: neither. Use: "
            "kerasface verify IMAGE_A IMAGE_B --model MODEL, or kerasface verify --model MODEL "
            "--images FOLDER"
        )
    if out is None:
        check_unused("without --out", {"--overwrite": overwrite})
    else:
        check_new_folder(out, overwrite)
    from kerasface.inference import verify_pairs

    earlier = earlier_results(model, "verification")
    with one_line_warnings():
        result = verify_pairs(
            pairs,
            images,
            model=model,
            out=out,
            far=far,
            flip=flip,
            batch_size=BATCH_SIZE if batch_size is None else batch_size,
            allow_seen=allow_seen,
            verbose=verbosity(),
        )
    _print_pair_result(result)
    print_replaced(result.folder, earlier)


def identify(
    gallery: Gallery,
    probes: Probes,
    model: ModelOption,
    out: Answers = pathlib.Path("identification"),
    threshold: MatchThreshold = None,
    count: Count = 5,
    save_gallery: SaveGallery = None,
    flip: StoredFlip = None,
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
            threshold=threshold,
            count=count,
            flip=flip,
            batch_size=batch_size,
            save_gallery=save_gallery,
            out=out,
            verbose=verbosity(),
        )
    _print_answers(result)
    print(f"\nReport: {out / 'report.html'}   (open it in any browser)")


def match(
    model: Model,
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
            flip=flip,
            batch_size=batch_size,
            verbose=verbosity(),
        )
    if matches.dev_accuracy is not None:
        print(f"Development accuracy {matches.dev_accuracy:.1%}")
    print(f"{matches.matched:.1%} have a match at threshold {matches.threshold:.4f}")
    print(f"Wrote {matches.path}")


def _verify_two(
    model: pathlib.Path, images: list[pathlib.Path], threshold: float | None, flip: bool | None
) -> None:
    if len(images) != 2:
        raise ValueError(f"Exactly two images are needed. Received: {len(images)}.")
    from kerasface.inference import verify as verify_two

    with one_line_warnings():
        decision = verify_two(*images, model=model, threshold=threshold, flip=flip)
    answer = "same person" if decision.same else "different people"
    print(f"{answer}: similarity {decision.similarity:.4f}, threshold {decision.threshold:.4f}")
    if decision.far is not None:
        print(f"False accept rate of the threshold: {decision.far:.2%}")


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


def _print_pair_result(result: Verified) -> None:
    print_metrics(result.metrics)
    points = result.operating_points
    for rate, reason in zip(points["wanted_far"], points["refused"], strict=True):
        if reason:
            print(f"No TAR at FAR {rate:g}: {reason}.")
    print(f"Confidence intervals: bootstrap over {result.resampled}.")
    point = result.operating_point
    if point is None:
        print(f"\nNo threshold was stored: {result.not_stored}.")
    else:
        print(f"\nStored threshold: {point.threshold:.4f}, false accept rate {point.far:.2%}")
    if result.page is not None:
        print(f"Report: {result.page}   (open it in any browser)")
