"""Commands that train: demo, train and models."""

from __future__ import annotations

import dataclasses
import pathlib
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from kerasface.cli.console import INTERRUPTED, one_line_warnings, verbosity
from kerasface.cli.options import OFFICIAL, Changes, Overwrite, Partition

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    from kerasface.data.table import FaceTable
    from kerasface.runs.recipe import Recipe
    from kerasface.runs.run import Run

AUTO = "auto"
VALIDATION_SHARE = 0.1
VALIDATION_FOLDERS = ("dev", "val", "valid", "validation")

Data = Annotated[
    pathlib.Path,
    typer.Option(
        help="Folder with train/ (one subfolder of images per person) and optionally dev/ or val/, "
        "or a folder with one subfolder per person, or a CelebA folder with list_attr_celeba."
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

    recipe: str
    data: pathlib.Path
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

    faces = drawn_faces(out / "faces")
    print(f"Drew the faces of 50 people: {faces}")
    run = _train(_Training("demo", faces, out / "run", set_, overwrite=overwrite))
    sample = faces / "sample_submission.csv"
    with one_line_warnings():
        submission = submit(
            run, faces / "test", run.path("submission.csv"), sample=sample, label="index", flip=True
        )
    _print_summary(run)
    print(f"  submission  {submission}   (predictions of the test images, in the sample's order)")
    print(
        "\nNext: your own faces, one subfolder per person:\n"
        "  kerasface train demo --data FOLDER --out runs/mine"
    )


def models() -> None:
    """List the models that can be built."""
    from kerasface.models import list_models

    table = list_models().reset_index()
    table["parameters"] = table["parameters"].map("{:,}".format)
    table["image_size"] = table["image_size"].map("{} px".format)
    for name in ("name", "head", "description"):
        table[name] = table[name].str.ljust(table[name].str.len().max())
    print(table.to_string(index=False))
    print("\nParameters: trainable parameters with 1,000 classes.")


def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Name of a recipe, for example hw2p2 or demo. auto recommends one and says why.",
        ),
    ],
    data: Data,
    out: Annotated[pathlib.Path, typer.Option(help="Run folder to write.")],
    set_: Changes = None,
    split: Split = VALIDATION_SHARE,
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the run from its last completed epoch.")
    ] = False,
    overwrite: Overwrite = False,
    features: Features = None,
    first: Annotated[
        int | None, typer.Option(help="CelebA only: use the first N images of the training part.")
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
        run = _train(options)
    except KeyboardInterrupt:
        print(
            "\nInterrupted. Use --resume to resume from the last completed epoch.", file=sys.stderr
        )
        raise typer.Exit(INTERRUPTED) from None
    _print_summary(run)
    if run.embeds:
        print(f"\nNext: kerasface verify --model {out} --images FOLDER")
    elif run.multi_label:
        same = "" if partition == OFFICIAL else f" --partition {partition}"
        print(
            f"\nNext: kerasface evaluate {out} --data {data}{same}, or "
            f"kerasface predict {out} PHOTO ..."
        )
    else:
        print(
            f"\nNext: kerasface submit {out} TEST_FOLDER --out submission.csv --sample SAMPLE.csv"
        )


def _train(options: _Training) -> Run:
    from kerasface.data import is_celeba
    from kerasface.runs import named_recipe
    from kerasface.runs.recipe_changes import parse_changes
    from kerasface.training import train as train_run

    data, out = options.data, options.out
    inside = _people_root(data) in (out.resolve(), *out.resolve().parents)
    if inside and not is_celeba(data):
        raise ValueError(
            "A run folder must not be inside the folder of people, where it would count as a "
            f"person. Received: --out {str(out)!r}, in {str(data)!r}. Choose another folder."
        )
    with one_line_warnings():
        table, validation = _tables(options)
    print(f"train       {table.summary()}")
    if validation is not None:
        print(f"validation  {validation.summary()}")
    if options.recipe == AUTO:
        recipe = _recommended_recipe(table, out, options.resume)
    else:
        recipe = named_recipe(options.recipe)
    recipe = recipe.replace(**parse_changes(options.changes or []))
    with one_line_warnings():
        return train_run(
            recipe,
            train=table,
            validation=validation,
            out=out,
            resume=options.resume,
            overwrite=options.overwrite,
            features=options.features,
            verbose=verbosity(),
        )


def _recommended_recipe(table: FaceTable, out: pathlib.Path, resume: bool) -> Recipe:
    from kerasface.runs import Run
    from kerasface.runs.run import RECIPE
    from kerasface.training import recommend

    if resume and (out / RECIPE).is_file():  # a recommendation may differ between machines
        return Run(out).recipe
    recommendation = recommend(table)
    print(f"Recommended:\n{recommendation}")
    return recommendation.recipe


def _people_root(data: pathlib.Path) -> pathlib.Path:
    """The folder whose subfolders are people."""
    return (data / "train" if (data / "train").is_dir() else data).resolve()


def _tables(options: _Training) -> tuple[FaceTable, FaceTable | None]:
    """Training and validation table."""
    from kerasface.data import identity_folder, is_celeba, read_celeba

    data, split = options.data, options.split
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
    if has_train:
        for name in VALIDATION_FOLDERS:
            if (data / name).is_dir():
                return table, identity_folder(data / name, names=table.names)
    return table.split(split) if split else (table, None)


def _print_summary(run: Run) -> None:
    metrics = run.metrics
    kept = metrics[metrics["kept"]]
    if "val_accuracy" in kept:
        accuracy = f"validation accuracy {kept['val_accuracy']:.1%} (epoch {kept['epoch']})"
    else:
        accuracy = f"no validation; training accuracy {kept['accuracy']:.1%}"
    print(f"\nTrained: {accuracy}, {metrics['images_per_second']:.0f} images/s")
    print(f"  run folder  {run.folder}")
    print(f"  curves      {run.path('curves.png')}   (open it in any image viewer)")
    print(f"  model       {run.path('model.keras')}   (load it with keras.saving.load_model)")
