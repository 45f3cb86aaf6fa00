"""Commands that evaluate runs: evaluate and compare."""

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
from kerasface.cli.options import (
    OFFICIAL,
    BatchSize,
    Flip,
    ImageGroups,
    Model,
    Partition,
    Replace,
    Runs,
    file_or_names,
)
from kerasface.cli.results import earlier_results, print_replaced

if TYPE_CHECKING:
    import pandas as pd


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
    groups: ImageGroups = None,
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
            groups=file_or_names(groups),
            verbose=verbosity(),
        )
    print_metrics(result.metrics)
    if result.by_group is not None:
        print(f"\n{result.by_group.to_string(index=False, float_format='{:.4f}'.format)}")
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

    It shows accuracy, curves, paired tests, differences between the recipes, size and speed.
    """
    check_new_file(out, overwrite, ".html", ".htm")
    from kerasface.inference import compare as compare_runs

    with one_line_warnings():
        table = compare_runs(runs, out)
    _print_comparison(table)
    print(f"\nReport: {out}   (open it in any browser)")


def _print_comparison(table: pd.DataFrame) -> None:
    """Prints one line per run, the best first."""
    width = max(len(run) for run in table["run"])
    for row in table.to_dict("records"):
        interval = f"95% interval {row['accuracy_low']:.1%} to {row['accuracy_high']:.1%}"
        print(
            f"{row['run']:{width}}  accuracy {row['accuracy']:.1%} ({interval})  "
            f"{row['parameters'] / 1e6:.1f}M parameters  {row['seconds_per_epoch']:.1f} s per epoch"
        )
