"""Commands that evaluate runs: evaluate and compare."""

from __future__ import annotations

import pathlib
from typing import Annotated

import typer

from kerasface.cli.console import one_line_warnings, print_metrics, verbosity
from kerasface.cli.options import OFFICIAL, BatchSize, Flip, Model, Partition, Runs


def evaluate(
    model: Model,
    data: Annotated[
        pathlib.Path,
        typer.Option(
            help="Folder with one subfolder of images per person, or a CelebA folder, whose test "
            "part is used."
        ),
    ],
    out: Annotated[
        pathlib.Path | None,
        typer.Option(help="Folder to write to. Default: evaluation/ in the run folder."),
    ] = None,
    partition: Partition = OFFICIAL,
    flip: Flip = False,
    batch_size: BatchSize = 64,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Allow images that the run was trained on.")
    ] = False,
) -> None:
    """Evaluate a run on labelled images.

    Writes metrics, figures and an HTML report.
    """
    from kerasface.inference import evaluate as evaluate_run

    with one_line_warnings():
        result = evaluate_run(
            model,
            data,
            out=out,
            partition=partition,
            flip=flip,
            batch_size=batch_size,
            allow_seen=allow_seen,
            verbose=verbosity(),
        )
    print_metrics(result.metrics)
    print(f"\nReport: {result.page}   (open it in any browser)")


def compare(
    runs: Runs,
    out: Annotated[pathlib.Path, typer.Option(help="HTML file to write.")] = (
        pathlib.Path("compare.html")
    ),
) -> None:
    """Compare runs in one HTML report.

    It shows accuracy, size, speed, curves and a significance test of the two best runs.
    """
    from kerasface.inference import compare as compare_runs

    with one_line_warnings():
        table = compare_runs(runs, out)
    print(table.to_string(index=False))
    print(f"\nReport: {out}   (open it in any browser)")
