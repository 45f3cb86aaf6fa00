"""Command that verifies: compares two photographs, or evaluates many pairs."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasface.checks import check_unused
from kerasface.cli.console import (
    check_new_file,
    check_new_folder,
    one_line_warnings,
    print_metrics,
    verbosity,
)
from kerasface.cli.options import (
    FACE_MODEL,
    DetectFaces,
    FaceChoice,
    FaceDetector,
    FaceModelOption,
    ImageGroups,
    Jitter,
    Replace,
    StoredFlip,
    file_or_names,
    number_or_path,
)
from kerasface.cli.results import earlier_results, print_replaced

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    from kerasface.inference.pair_verification import Verified

BATCH_SIZE = 64
FACES = "largest"

TwoImages = Annotated[
    list[pathlib.Path] | None,
    typer.Argument(metavar="[IMAGE_A IMAGE_B]", help="Two photographs, or two crops of faces."),
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
    float | None,
    typer.Option(
        help="Target false accept rate: with two images and dlib, of the threshold to use; with "
        "--images, of the threshold to store."
    ),
]
Threshold = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|FILE",
        help="Threshold for two images: a similarity from -1 to 1, or a verifier.json that this "
        "command wrote with --out. Default: that of dlib, or the stored threshold of the model.",
    ),
]
VerdictPicture = Annotated[
    pathlib.Path | None,
    typer.Option(
        "--picture", metavar="FILE", help="Picture of both faces and the decision to write."
    ),
]
AllowSeen = Annotated[
    bool, typer.Option("--allow-seen", help="Allow people that the run was trained on.")
]
PairBatchSize = Annotated[
    int | None, typer.Option(help=f"Batch size for many pairs. Default: {BATCH_SIZE}.")
]


def verify(
    two_images: TwoImages = None,
    model: FaceModelOption = FACE_MODEL,
    pairs: Pairs = None,
    images: PairImages = None,
    out: PairReport = None,
    far: FalseAcceptRate = None,
    threshold: Threshold = None,
    detect: DetectFaces = None,
    detector: FaceDetector = None,
    faces: FaceChoice = FACES,
    picture: VerdictPicture = None,
    flip: StoredFlip = None,
    jitter: Jitter = 0,
    batch_size: PairBatchSize = None,
    allow_seen: AllowSeen = False,
    groups: ImageGroups = None,
    overwrite: Replace = False,
) -> None:
    """Compare two photographs, or evaluate verification on many pairs.

    With two images: do they show the same person? With --images: evaluates the model on pairs of
    images and stores a threshold.
    """
    how: dict[str, Any] = {
        "model": model,
        "detect": detect,
        "detector": detector,
        "faces": faces,
        "flip": flip,
        "jitter": jitter,
    }
    if two_images:
        pair_options = {
            "--pairs": pairs,
            "--images": images,
            "--out": out,
            "--batch-size": batch_size,
            "--allow-seen": allow_seen,
            "--groups": groups,
        }
        check_unused("with two images", pair_options)
        if picture is None:
            check_unused("without --picture", {"--overwrite": overwrite})
        else:
            check_new_file(picture, overwrite, option="--picture")
        _verify_two(two_images, number_or_path(threshold), far, picture, how)
        return
    remedy = "Use --far to store a threshold for a false accept rate."
    check_unused("without two images", {"--threshold": threshold}, remedy=remedy)
    check_unused("without two images", {"--picture": picture})
    if images is None:
        raise ValueError(
            "Give two images, or --images with a folder of people. Received: neither. Use: "
            "kerasface verify IMAGE_A IMAGE_B, or kerasface verify --images FOLDER"
        )
    if out is None:
        check_unused("without --out", {"--overwrite": overwrite})
    else:
        check_new_folder(out, overwrite)
    options: dict[str, Any] = {"far": far, "allow_seen": allow_seen}
    options["groups"] = file_or_names(groups)
    options["batch_size"] = BATCH_SIZE if batch_size is None else batch_size
    _verify_pairs(pairs, images, out, {**how, **options})


def _verify_pairs(
    pairs: pathlib.Path | None,
    images: pathlib.Path,
    out: pathlib.Path | None,
    options: dict[str, Any],
) -> None:
    from kerasface.inference import verify_pairs

    earlier = earlier_results(options["model"], "verification")
    with one_line_warnings():
        result = verify_pairs(pairs, images, out=out, verbose=verbosity(), **options)
    _print_pair_result(result)
    print_replaced(result.folder, earlier)


def _verify_two(
    images: list[pathlib.Path],
    threshold: float | str | None,
    far: float | None,
    picture: pathlib.Path | None,
    how: dict[str, Any],
) -> None:
    if len(images) != 2:
        raise ValueError(f"Exactly two images are needed. Received: {len(images)}.")
    from kerasface.inference.verification import verify as verify_two

    with one_line_warnings():
        decision = verify_two(*images, threshold=threshold, far=far, picture=picture, **how)
    print(decision.text)
    if decision.measured_on:
        print(f"Threshold measured on {decision.measured_on}")
    if picture is not None:
        print(f"Wrote {picture}")


def _print_pair_result(result: Verified) -> None:
    print_metrics(result.metrics)
    if result.by_group is not None:
        print(f"\n{result.by_group.to_string(index=False, float_format='{:.4f}'.format)}\n")
    points = result.operating_points
    for rate, reason in zip(points["wanted_far"], points["refused"], strict=True):
        if reason:
            print(f"No TAR at FAR {rate:g}: {reason}.")
    print(f"Confidence intervals: bootstrap over {result.resampled}.")
    point = result.operating_point
    if point is None:
        print(f"\nNo threshold was stored: {result.not_stored}.")
    else:
        far = f"{point.far:.2%} (95% interval {point.far_low:.2%} to {point.far_high:.2%})"
        print(f"\nStored threshold: {point.threshold:.4f}, false accept rate {far}")
        if result.stored is None:
            print("It is in no file: give --out, which writes a verifier.json for --threshold.")
        else:
            print(f"It is in {result.stored}")
    if result.page is not None:
        print(f"Report: {result.page}   (open it in any browser)")
