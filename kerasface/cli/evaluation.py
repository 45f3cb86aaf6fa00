"""Commands that evaluate runs: evaluate and compare."""

from __future__ import annotations

import pathlib
from typing import Annotated

import typer

from kerasface.checks import check_unused
from kerasface.cli.console import (
    check_new_file,
    check_new_folder,
    one_line_warnings,
    print_metrics,
    verbosity,
)
from kerasface.cli.options import OFFICIAL, BatchSize, Flip, Model, Partition, Replace, Runs
from kerasface.cli.results import earlier_results, print_replaced


def evaluate(
    model: Model,
    data: Annotated[
        pathlib.Path,
        typer.Option(
            help="Folder with one subfolder of images per person, or a CelebA folder, whose test "
            "partition is used."
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
    overwrite: Replace = False,
) -> None:
    """Evaluate a run on labeled images.

    Writes metrics, figures and an HTML report.
    """
    if out is None:
        check_unused("without --out", {"--overwrite": overwrite})
    else:
        check_new_folder(out, overwrite)
    from kerasface.inference import evaluate as evaluate_run

    earlier = earlier_results(model, "evaluation")
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
    print_replaced(result.folder, earlier)


def compare(
    runs: Runs,
    out: Annotated[pathlib.Path, typer.Option(help="HTML file to write.")] = (
        pathlib.Path("compare.html")
    ),
    overwrite: Replace = False,
) -> None:
    """Compare runs in one HTML report.

    It shows accuracy, size, speed, curves and a significance test of the two best runs.
    """
    check_new_file(out, overwrite, ".html", ".htm")
    from kerasface.inference import compare as compare_runs

    with one_line_warnings():
        table = compare_runs(runs, out)
    print(table.to_string(index=False))
    print(f"\nReport: {out}   (open it in any browser)")
