"""Commands that train: demo and train."""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kerasface.cli.completion import complete_recipe_or_auto
from kerasface.cli.console import INTERRUPTED, one_line_warnings, verbosity
from kerasface.cli.options import OFFICIAL, Changes, Overwrite, Partition
from kerasface.cli.resuming import resume_run
from kerasface.cli.summary import next_command, print_result
from kerasface.cli.training_tables import (
    AUTO,
    VALIDATION_SHARE,
    TrainingOptions,
    people_root,
    print_tables,
    read_tables,
)

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    from kerasface.data.table import FaceTable
    from kerasface.runs.recipe import Recipe
    from kerasface.runs.run import Run


RecipeName = Annotated[
    str | None,
    typer.Argument(
        metavar="RECIPE",
        autocompletion=complete_recipe_or_auto,
        help="Name of a recipe, see `kerasface recipes`. auto recommends one and says why. Not "
        "needed with --resume.",
    ),
]
Data = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="Folder with train/ (one subfolder of images per person) and optionally dev/ or val/, "
        "or a folder with one subfolder per person, or a CelebA folder with list_attr_celeba. With "
        "--resume, only if the folder was moved: its new location."
    ),
]
Out = Annotated[pathlib.Path, typer.Option(help="Run folder to write.")]
Features = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="Folder for the cached features of a frozen backbone (recipes with cache_features). "
        "Several runs can share it. Default: in the run folder."
    ),
]
Split = Annotated[
    float,
    typer.Option(
        help="Share of each person's images used for validation if the data has no validation "
        "folder. 0: no validation."
    ),
]


def demo(
    out: Annotated[pathlib.Path, typer.Option(help="Folder for the drawn faces and the run.")] = (
        pathlib.Path("demo")
    ),
    set_: Changes = None,
    overwrite: Overwrite = False,
) -> None:
    """Train on drawn faces of 50 people and predict new images."""
    from kerasface.data import drawn_faces
    from kerasface.inference import submit

    options = TrainingOptions("demo", out / "faces", out / "run", set_, overwrite=overwrite)
    recipe = _checked_recipe(options)
    faces = drawn_faces(out / "faces")
    print(f"Drew the faces of 50 people: {faces}")
    run = _start(dataclasses.replace(options, data=faces), recipe)
    sample = faces / "sample_submission.csv"
    with one_line_warnings():
        submission = submit(
            run, faces / "test", run.path("submission.csv"), sample=sample, label="index", flip=True
        )
    print_result(run)
    print(f"Submission  {submission}   (predictions of the test images, in the sample's order)")
    print(
        "\nNext: your own faces, one subfolder per person:\n"
        "  kerasface train auto --data FOLDER --out runs/mine"
    )


def train(
    recipe: RecipeName = None,
    data: Data = None,
    out: Out = ...,  # type: ignore[assignment]
    set_: Changes = None,
    split: Split = VALIDATION_SHARE,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Resume the run in --out from its last completed epoch. Recipe and data come from "
            "the run; --set epochs=N trains more epochs.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    features: Features = None,
    first: Annotated[
        int | None,
        typer.Option(metavar="N", help="CelebA only: use the first N images of the training part."),
    ] = None,
    partition: Partition = OFFICIAL,
) -> None:
    """Train a model and write a run folder.

    It holds the model, curves, metrics and a report.
    """
    options = TrainingOptions(
        recipe, data, out, set_, resume, overwrite, split, features, first, partition
    )
    try:
        run = resume_run(options) if resume else _start(options, _checked_recipe(options))
    except KeyboardInterrupt:
        command = shlex.join(["kerasface", "train", "--resume", "--out", str(out)])
        print(f"\nInterrupted. Resume from the last completed epoch: {command}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print_result(run)
    print(f"\nNext: {next_command(run, data, partition)}")


def _checked_recipe(options: TrainingOptions) -> Recipe | None:
    """The recipe with its changes, before any data are read; None for ``auto``.

    Refuses settings that are wrong whatever the data are.
    """
    from kerasface.runs import named_recipe
    from kerasface.runs.other_names import check_keys
    from kerasface.runs.recipe_changes import parse_changes
    from kerasface.runs.recipe_keys import KEYS
    from kerasface.runs.recipes import RECIPES
    from kerasface.training.options import check_features_folder
    from kerasface.training.recommendation import CANDIDATES
    from kerasface.training.resuming import resumed_run

    if options.recipe is None or options.data is None:
        missing = "no RECIPE" if options.recipe is None else "no --data"
        raise ValueError(
            f"A new run needs a recipe and a data folder. Received: {missing}. "
            f"Use: kerasface train RECIPE --data FOLDER --out {options.out}. The recipes are auto, "
            f"{', '.join(RECIPES)}. To resume a run, add --resume."
        )
    changes = parse_changes(options.changes or [])
    check_keys(changes, KEYS)
    resumed_run(options.out, resume=False, overwrite=options.overwrite)
    if options.recipe == AUTO:
        named_recipe(CANDIDATES[0]).replace(**changes)  # refuses wrong values
        return None
    recipe = named_recipe(options.recipe).replace(**changes)
    check_features_folder(options.features, recipe)
    return recipe


def _start(options: TrainingOptions, recipe: Recipe | None) -> Run:
    """Trains a new run."""
    from kerasface.data import is_celeba
    from kerasface.training import train as train_run

    assert options.data is not None
    data, out = options.data, options.out
    inside = people_root(data) in (out.resolve(), *out.resolve().parents)
    if inside and not is_celeba(data):
        raise ValueError(
            "A run folder must not be inside the folder of people, where it would count as a "
            f"person. Received: --out {str(out)!r}, in {str(data)!r}. Choose another folder."
        )
    with one_line_warnings():
        table, validation = read_tables(data, options)
    print_tables({"train": table} | ({"validation": validation} if validation else {}))
    if recipe is None:
        recipe = _recommended_recipe(table, options)
    with one_line_warnings():
        return train_run(
            recipe,
            train=table,
            validation=validation,
            out=out,
            overwrite=options.overwrite,
            features=options.features,
            verbose=verbosity(),
        )


def _recommended_recipe(table: FaceTable, options: TrainingOptions) -> Recipe:
    from kerasface.runs.recipe_changes import parse_changes
    from kerasface.training import recommend
    from kerasface.training.options import check_features_folder

    recommendation = recommend(table, **parse_changes(options.changes or []))
    print(f"Recommended:\n{recommendation}")
    check_features_folder(options.features, recommendation.recipe)
    return recommendation.recipe
