"""Commands that compare faces: verify, identify and match."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Annotated

import typer

from kerasface.cli.console import one_line_warnings, print_metrics, verbosity
from kerasface.cli.options import BatchSize, Model, ModelOption, StoredFlip

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    from kerasface.inference.verification import Verified

TwoImages = Annotated[
    list[pathlib.Path] | None,
    typer.Argument(metavar="[IMAGE_A IMAGE_B]", help="Two images of faces."),
]
Pairs = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="LFW's pairs.txt, or a CSV file with file_a,file_b,same. Default: all genuine pairs "
        "of the people in --images and as many impostor pairs."
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
    float | None, typer.Option(help="Threshold for two images. Default: the stored one.")
]
AllowSeen = Annotated[
    bool, typer.Option("--allow-seen", help="Allow people that the run was trained on.")
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
    batch_size: BatchSize = 64,
    allow_seen: AllowSeen = False,
) -> None:
    """Compare two images, or evaluate verification on many pairs.

    With two images: do they show the same person? With --images: evaluates the model on pairs of
    images and stores a threshold.
    """
    if two_images:
        pair_options = {"--pairs": pairs, "--images": images, "--out": out, "--far": far}
        given = [name for name, value in pair_options.items() if value is not None]
        if given:
            raise ValueError(
                f"{given[0]} is for a list of pairs. Received: {given[0]} with two images."
            )
        _verify_two(model, two_images, threshold, flip)
        return
    from kerasface.inference import verify_pairs

    if threshold is not None:
        raise ValueError(
            "--threshold is for two images. Received: --threshold without images. "
            "Use --far to store a threshold for a false accept rate."
        )
    with one_line_warnings():
        result = verify_pairs(
            pairs,
            images,
            model=model,
            out=out,
            far=far,
            flip=flip,
            batch_size=batch_size,
            allow_seen=allow_seen,
            verbose=verbosity(),
        )
    _print_pair_result(result)


def identify(
    gallery: Annotated[
        pathlib.Path,
        typer.Argument(
            metavar="GALLERY",
            help="Folder with one subfolder per known person, or a saved .npz gallery.",
        ),
    ],
    probes: Annotated[
        pathlib.Path,
        typer.Argument(
            metavar="PROBES",
            help="Folder of images to identify. With one subfolder per person, the answers are "
            "evaluated.",
        ),
    ],
    model: ModelOption,
    out: Annotated[pathlib.Path, typer.Option(help="Folder to write to.")] = (
        pathlib.Path("identification")
    ),
    threshold: Annotated[
        float | None,
        typer.Option(help="Lowest similarity of a match. Default: the stored threshold, if any."),
    ] = None,
    save_gallery: Annotated[
        pathlib.Path | None, typer.Option(help="Save the gallery to this .npz file.")
    ] = None,
    flip: StoredFlip = None,
    batch_size: BatchSize = 64,
) -> None:
    """Find faces in a gallery of known people.

    Writes the answers and, for labelled images, rank-1 and rank-5 accuracy and the CMC curve.
    """
    from kerasface.inference import identify as identify_people

    with one_line_warnings():
        result = identify_people(
            gallery,
            probes,
            model=model,
            threshold=threshold,
            flip=flip,
            batch_size=batch_size,
            save_gallery=save_gallery,
            out=out,
            verbose=verbosity(),
        )
    print(result.answers[["path", "answer", "score"]].head(10).to_string(index=False))
    if result.threshold is None:
        print("No threshold: every face gets a name. Set --threshold, or run verify first.")
    else:
        print(f"Faces with a similarity below {result.threshold:.4f} are unknown.")
    if result.metrics:
        print_metrics(result.metrics)
    print(f"Wrote {out}")


def match(
    model: Model,
    known: Annotated[
        pathlib.Path, typer.Option(help="Folder with one subfolder per known person.")
    ],
    unknown: Annotated[pathlib.Path, typer.Option(help="Folder of images to name.")],
    out: Annotated[pathlib.Path, typer.Option(help="CSV file to write.")] = (
        pathlib.Path("verification_submission.csv")
    ),
    threshold: Annotated[
        float | None,
        typer.Option(help="Lowest similarity of a match. Default: the best one on --dev."),
    ] = None,
    dev: Annotated[pathlib.Path | None, typer.Option(help="Folder of development images.")] = None,
    dev_labels: Annotated[
        pathlib.Path | None,
        typer.Option(help="CSV file with a column `label` for the development images, in order."),
    ] = None,
    no_match: Annotated[str, typer.Option(help="Label of images without a match.")] = "n000000",
    flip: StoredFlip = None,
    batch_size: BatchSize = 64,
) -> None:
    """Write a verification submission of CMU 11-785 HW2P2.

    Matches images of unknown people to known people.
    """
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
    from kerasface.inference import verify as verify_two

    if len(images) != 2:
        raise ValueError(f"Exactly two images are needed. Received: {len(images)}.")
    with one_line_warnings():
        decision = verify_two(*images, model=model, threshold=threshold, flip=flip)
    answer = "same person" if decision.same else "different people"
    print(f"{answer}: similarity {decision.similarity:.4f}, threshold {decision.threshold:.4f}")
    if decision.far is not None:
        print(f"False accept rate of the threshold: {decision.far:.2%}")


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
