"""Commands that train: demo and train."""

from __future__ import annotations

import dataclasses
import pathlib
import shlex
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kerasface.cli.completion import complete_recipe_or_auto
from kerasface.cli.console import INTERRUPTED, one_line_warnings, verbosity
from kerasface.cli.options import OFFICIAL, Changes, Overwrite, Partition
from kerasface.cli.summary import next_command, print_result

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    from kerasface.data.table import FaceTable
    from kerasface.runs.recipe import Recipe
    from kerasface.runs.run import Run

AUTO = "auto"
VALIDATION_SHARE = 0.1
VALIDATION_FOLDERS = ("dev", "val", "valid", "validation")

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
        "--resume only if the folder was moved: its new place."
    ),
]
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


@dataclasses.dataclass(frozen=True)
class _Training:
    """One call of `demo` or `train`."""

    recipe: str | None
    data: pathlib.Path | None
    out: pathlib.Path
    changes: list[str] | None = None
    resume: bool = False
    overwrite: bool = False
    split: float = VALIDATION_SHARE
    features: pathlib.Path | None = None
    first: int | None = None
    partition: str = OFFICIAL


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

    options = _Training("demo", out / "faces", out / "run", set_, overwrite=overwrite)
    recipe = _checked_recipe(options)
    faces = drawn_faces(out / "faces")
    print(f"Drew the faces of 50 people: {faces}")
    run = _start(options, recipe)
    sample = faces / "sample_submission.csv"
    with one_line_warnings():
        submission = submit(
            run, faces / "test", run.path("submission.csv"), sample=sample, label="index", flip=True
        )
    print_result(run)
    print(f"Submission  {submission}   (predictions of the test images, in the sample's order)")
    print(
        "\nNext: your own faces, one subfolder per person:\n"
        "  kerasface train demo --data FOLDER --out runs/mine"
    )


def train(
    recipe: RecipeName = None,
    data: Data = None,
    out: Annotated[pathlib.Path, typer.Option(help="Run folder to write.")] = ...,  # type: ignore[assignment]
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
    options = _Training(
        recipe, data, out, set_, resume, overwrite, split, features, first, partition
    )
    try:
        run = _resume(options) if resume else _start(options, _checked_recipe(options))
    except KeyboardInterrupt:
        command = shlex.join(["kerasface", "train", "--resume", "--out", str(out)])
        print(f"\nInterrupted. Resume from the last completed epoch: {command}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print_result(run)
    print(f"\nNext: {next_command(run, data, partition)}")


def _checked_recipe(options: _Training) -> Recipe | None:
    """The recipe with its changes, before any data are read; None for ``auto``.

    Refuses settings that are wrong whatever the data are.
    """
    from kerasface.runs import named_recipe
    from kerasface.runs.other_names import check_keys
    from kerasface.runs.recipe_changes import parse_changes
    from kerasface.runs.recipe_keys import KEYS
    from kerasface.runs.recipes import RECIPES
    from kerasface.training.options import check_features_folder
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
        return None
    recipe = named_recipe(options.recipe).replace(**changes)
    check_features_folder(options.features, recipe)
    return recipe


def _start(options: _Training, recipe: Recipe | None) -> Run:
    """Trains a new run."""
    from kerasface.data import is_celeba
    from kerasface.training import train as train_run

    assert options.data is not None
    data, out = options.data, options.out
    inside = _people_root(data) in (out.resolve(), *out.resolve().parents)
    if inside and not is_celeba(data):
        raise ValueError(
            "A run folder must not be inside the folder of people, where it would count as a "
            f"person. Received: --out {str(out)!r}, in {str(data)!r}. Choose another folder."
        )
    with one_line_warnings():
        table, validation = _tables(data, options)
    _print_tables({"train": table, "validation": validation})
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


def _resume(options: _Training) -> Run:
    """Resumes a run, whose recipe and images it has recorded."""
    from kerasface.runs import named_recipe
    from kerasface.runs.other_names import check_keys
    from kerasface.runs.recipe_changes import parse_changes
    from kerasface.runs.recipe_keys import KEYS
    from kerasface.runs.record import recorded_tables
    from kerasface.training import train as train_run
    from kerasface.training.resuming import (
        check_same_recipe,
        completed_epochs,
        extend_changes,
        is_complete,
        resumed_run,
    )

    defaults = _Training(None, None, options.out)
    for name in ("split", "first", "partition"):
        if getattr(options, name) != getattr(defaults, name):
            raise ValueError(
                f"`--{name}` has no effect with --resume, since the partitions come from the run. "
                f"Received: --{name} {getattr(options, name)}. Remove it."
            )
    changes = parse_changes(options.changes or [])
    check_keys(changes, KEYS)
    run = resumed_run(options.out, resume=True, overwrite=options.overwrite)
    assert run is not None
    if options.recipe in (None, AUTO):
        recipe = run.recipe.replace(**extend_changes(run.recipe, changes))
    else:
        recipe = named_recipe(options.recipe or "").replace(**changes)
    check_same_recipe(run, recipe)
    done = f"{completed_epochs(run)} of {recipe.total_epochs} epochs are complete"
    if is_complete(run, recipe):
        print(f"{run.folder} is already complete: {len(run.history)} epochs.")
        print(f"To train more epochs: {_more_epochs(run)}")
        return run
    print(f"Resuming {run.folder}: {done}.")
    tables: dict[str, Any] = {}
    if options.data is not None:
        found = recorded_tables(
            run.folder, run.names, multi_label=run.multi_label, data=options.data
        )
        tables = {"train": found["train"], "validation": found.get("validation")}
        _print_tables(tables)
    with one_line_warnings():
        return train_run(
            recipe,
            out=options.out,
            resume=True,
            features=options.features,
            verbose=verbosity(),
            **tables,
        )


def _more_epochs(run: Run) -> str:
    recipe = run.recipe
    stopped = " early_stopping=0" if len(run.history) < recipe.total_epochs else ""
    epochs = f" epochs={2 * recipe.total_epochs}" if not stopped else ""
    start = shlex.join(["kerasface", "train", "--resume", "--out", str(run.folder)])
    return f"{start} --set{epochs}{stopped}"


def _print_tables(tables: dict[str, FaceTable | None]) -> None:
    for name, table in tables.items():
        if table is not None:
            print(f"{name:11} {table.summary()}")


def _recommended_recipe(table: FaceTable, options: _Training) -> Recipe:
    from kerasface.runs.recipe_changes import parse_changes
    from kerasface.training import recommend
    from kerasface.training.options import check_features_folder

    recommendation = recommend(table, **parse_changes(options.changes or []))
    print(f"Recommended:\n{recommendation}")
    check_features_folder(options.features, recommendation.recipe)
    return recommendation.recipe


def _people_root(data: pathlib.Path) -> pathlib.Path:
    """The folder whose subfolders are people."""
    return (data / "train" if (data / "train").is_dir() else data).resolve()


def _tables(data: pathlib.Path, options: _Training) -> tuple[FaceTable, FaceTable | None]:
    """Training and validation table."""
    from kerasface.data import identity_folder, is_celeba, read_celeba

    split = options.split
    if is_celeba(data):
        if split != VALIDATION_SHARE:
            raise ValueError(
                "`--split` is not for a CelebA folder, which has its own partition. "
                f"Received: --split {split:g} for {str(data)!r}. Remove the option."
            )
        return read_celeba(data, first=options.first, split=options.partition)[:2]
    for name, default in (("first", None), ("partition", OFFICIAL)):
        value = getattr(options, name)
        if value != default:
            raise ValueError(
                f"`--{name}` is for a CelebA folder, which holds list_attr_celeba. "
                f"Received: {name}={value} for {str(data)!r}, which has no such file."
            )
    has_train = (data / "train").is_dir()
    table = identity_folder(data / "train" if has_train else data)
    for name in VALIDATION_FOLDERS:
        if has_train and (data / name).is_dir():
            if split != VALIDATION_SHARE:
                raise ValueError(
                    f"`--split` is for data without a validation folder. Received: --split "
                    f"{split:g} for {str(data)!r}, which holds {name}/. Remove the option, or name "
                    f"{str(data / 'train')!r} to split its images."
                )
            return table, identity_folder(data / name, names=table.names)
    return table.split(split) if split else (table, None)
