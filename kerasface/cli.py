"""The command line: the same as the library, from a shell."""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import sys
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:  # the commands import what they need: help must not wait for TensorFlow
    import numpy as np

    from kerasface.data.table import FaceTable
    from kerasface.runs.recipe import Recipe
    from kerasface.runs.run import Run

USER_ERROR = 2
INTERRUPTED = 130
AUTO = "auto"
SPLIT = 0.1
OFFICIAL = "official"
VALIDATION_FOLDERS = ("dev", "val", "valid", "validation")

app = typer.Typer(
    name="kerasface",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Face classification in Keras: from a folder of faces to a trained model.",
    epilog="Begin with `kerasface demo`: it draws faces, learns them and tells what it left.",
)

Data = Annotated[
    pathlib.Path,
    typer.Option(
        help="Folder with train/ (one subfolder of images a person) and, if there is one, dev/ "
        "or val/; or directly a folder with one subfolder a person; or a folder of CelebA, with "
        "list_attr_celeba."
    ),
]
Out = Annotated[pathlib.Path, typer.Option(help="Run folder to make.")]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE ...",
        help="Change the recipe, for instance --set epochs=30 batch_size=64 "
        "architecture.drop_path=0.1.",
    ),
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Delete the run in that folder.")]
Split = Annotated[
    float,
    typer.Option(
        help="Share of every person's images kept for validation where the data has no folder "
        "for it; 0 validates nothing."
    ),
]
Partition = Annotated[
    str,
    typer.Option(
        help="Of CelebA: official (list_eval_partition), or identity: drawn by people, from "
        "identity_CelebA."
    ),
]
Features = Annotated[
    pathlib.Path | None,
    typer.Option(
        help="Folder for the features of a frozen backbone (recipes with cache_features), which "
        "several runs may share; default: in the run folder."
    ),
]
RunsAndImages = Annotated[
    list[pathlib.Path],
    typer.Argument(
        metavar="RUN... IMAGES",
        help="One or more run folders, whose probabilities are averaged, then a folder of images.",
    ),
]
Embedder = Annotated[
    pathlib.Path, typer.Argument(metavar="RUN", help="Run folder, or a .keras file.")
]
Flip = Annotated[bool, typer.Option("--flip", help="Average in the mirrored images.")]
DetectorName = Annotated[str, typer.Option(help="mtcnn or retinaface.")]
DetectorOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE ...",
        help="Options of the detector, for instance --set min_face=12 threshold=0.7 turned=true.",
    ),
]
BatchSize = Annotated[int, typer.Option(help="Images a step.")]


@app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error came from.")] = False,
) -> None:
    pass


@app.command()
def faces(
    path: Annotated[
        pathlib.Path, typer.Argument(metavar="PHOTO|FOLDER", help="A photograph, or crops.")
    ],
    out: Annotated[pathlib.Path, typer.Option(help="Picture to write.")],
    contact_sheet: Annotated[
        bool, typer.Option("--contact-sheet", help="Show the images of a folder, side by side.")
    ] = False,
    limit: Annotated[int, typer.Option(help="Images on a contact sheet, evenly chosen.")] = 240,
    detector: DetectorName = "mtcnn",
    set_: DetectorOptions = None,
) -> None:
    """Draw the faces of a photograph with boxes and landmarks, or show a folder of crops."""
    from PIL import Image

    from kerasface.files import replacing

    extensions = Image.registered_extensions()
    if extensions.get(out.suffix.lower()) not in Image.SAVE:
        raise ValueError(
            "A picture's suffix must name an image format, for instance boxes.png. "
            f"Received: {str(out)!r}."
        )
    if contact_sheet:
        pixels, words = _contact_sheet(path, limit)
    else:
        pixels, words = _drawn_faces(path, detector, _detector_options(set_))
    with replacing(out) as part:
        Image.fromarray(pixels).save(part)
    print(f"{words}: {out}")


@app.command()
def crop(
    source: Annotated[pathlib.Path, typer.Argument(metavar="SRC", help="Folder of photographs.")],
    target: Annotated[pathlib.Path, typer.Argument(metavar="DST", help="Folder of crops.")],
    detector: DetectorName = "mtcnn",
    set_: DetectorOptions = None,
    size: Annotated[int, typer.Option(help="Side of the crops in pixels.")] = 224,
    margin: Annotated[
        float | None,
        typer.Option(
            help="Added at each side, as a share of the box (default 0.2) or, with --align, of "
            "the standard crop (default 0)."
        ),
    ] = None,
    align: Annotated[
        bool, typer.Option("--align", help="Turn faces upright, eyes and mouth in their places.")
    ] = False,
    rule: Annotated[
        str, typer.Option(help="Which face of several: largest, central, best or all.")
    ] = "largest",
    without: Annotated[
        str, typer.Option(help="Photographs without a face: skip, centre (crop) or copy.")
    ] = "skip",
    suffix: Annotated[str, typer.Option(help="Format of the crops: .jpg or .png.")] = ".jpg",
    processes: Annotated[
        int | None, typer.Option(help="Processes that work; default: one a processor.")
    ] = None,
) -> None:
    """Cut the faces out of a folder of photographs; the same command goes on after a stop."""
    from kerasface import faces as package

    try:
        with _told_warnings():
            table = package.crop(
                source,
                target,
                detector=detector,
                options=_detector_options(set_),
                size=size,
                margin=margin,
                align=align,
                rule=rule,
                without=without,
                suffix=suffix,
                processes=processes,
                progress=True,
            )
    except KeyboardInterrupt:
        print("\nInterrupted. The same command goes on where it was.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    counts = table.drop_duplicates("file")["outcome"].value_counts()
    words = ", ".join(f"{count:,} {outcome}" for outcome, count in counts.items())
    print(f"{table['file'].nunique():,} files: {words}")
    print(f"Wrote {(table['crop'] != '').sum():,} images: {target}   (every file: crops.csv)")
    print(
        f"\nNext: kerasface split {target} DATA, kerasface faces {target} --contact-sheet --out ..."
    )


@app.command()
def split(
    source: Annotated[
        pathlib.Path,
        typer.Argument(metavar="SRC", help="Folder with one subfolder of images a person."),
    ],
    target: Annotated[
        pathlib.Path, typer.Argument(metavar="DST", help="New folder: train/, validation/, test/.")
    ],
    train: Annotated[float, typer.Option(help="Share of every person's images.")] = 0.7,
    validation: Annotated[float, typer.Option(help="Likewise; 0 makes none.")] = 0.2,
    test: Annotated[float, typer.Option(help="Likewise; 0 makes none.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Seed of the choice.")] = 0,
    how: Annotated[str, typer.Option(help="copy, link (hard links) or symlink.")] = "copy",
    small: Annotated[
        str,
        typer.Option(help="Where people with too few images go: train, validation, test, skip."),
    ] = "train",
    distance: Annotated[
        int,
        typer.Option(
            help="Nearly equal pictures, up to so many of 256 bits apart, go to one side; -1 "
            "looks for none."
        ),
    ] = 24,
) -> None:
    """Split every person's images into train/, validation/ and test/."""
    from kerasface.data import split_folder

    with _told_warnings():
        table = split_folder(
            source,
            target,
            train=train,
            validation=validation,
            test=test,
            seed=seed,
            how=how,
            small=small,
            distance=None if distance == -1 else distance,
            progress=True,
        )
    counts = table["side"].value_counts()
    words = ", ".join(f"{count:,} {side}" for side, count in counts.items())
    doubles = len(table) - table["group"].nunique()
    print(f"{len(table):,} images of {table['person'].nunique():,} people: {words}")
    print(f"Nearly equal pictures kept together: {doubles:,}")
    print(f"Wrote {target}\n\nNext: kerasface train demo --data {target} --out runs/first")


@app.command()
def demo(
    out: Annotated[pathlib.Path, typer.Option(help="Folder for the faces and the run.")] = (
        pathlib.Path("demo")
    ),
    set_: Changes = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw faces of 50 people, learn to tell them apart, and predict new pictures."""
    from kerasface import data
    from kerasface.inference import submit as write_submission

    faces = data.drawn_faces(out / "faces")
    print(f"Drew the faces of 50 people: {faces}")
    run = _train("demo", faces, out / "run", set_, resume=False, overwrite=overwrite)
    sample = faces / "sample_submission.csv"
    submission = write_submission(
        run, faces / "test", run.path("submission.csv"), sample=sample, label="index", flip=True
    )
    _print_summary(run)
    print(f"  submission  {submission}   (the test pictures, in the sample's order)")
    print(
        "\nNext: your own faces, one subfolder a person:\n"
        "  kerasface train demo --data FOLDER --out runs/mine"
    )


@app.command()
def models() -> None:
    """List the models that can be built."""
    from kerasface.models import list_models

    table = list_models().reset_index()
    table["parameters"] = table["parameters"].map("{:,}".format)
    table["image_size"] = table["image_size"].map("{} px".format)
    for name in ("name", "head", "description"):
        table[name] = table[name].str.ljust(table[name].str.len().max())
    print(table.to_string(index=False))
    print("\nParameters: trainable, with 1,000 classes.")


@app.command()
def train(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE",
            help="Name of a recipe, for instance hw2p2 or demo; auto chooses one and says why.",
        ),
    ],
    data: Data,
    out: Out,
    set_: Changes = None,
    split: Split = SPLIT,
    resume: Resume = False,
    overwrite: Overwrite = False,
    features: Features = None,
    first: Annotated[
        int | None, typer.Option(help="Of CelebA: only so many images of the training part.")
    ] = None,
    partition: Partition = OFFICIAL,
) -> None:
    """Train a classifier and leave a run folder: model, curves, metrics."""
    try:
        run = _train(
            recipe,
            data,
            out,
            set_,
            resume=resume,
            overwrite=overwrite,
            split=split,
            features=features,
            first=first,
            partition=partition,
        )
    except KeyboardInterrupt:
        print("\nInterrupted. --resume goes on after the last whole epoch.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    _print_summary(run)
    if run.embeds:
        print(f"\nNext: kerasface verify {out} --pairs PAIRS --images FOLDER")
        return
    if run.multi_label:
        same = "" if partition == OFFICIAL else f" --partition {partition}"
        words = f"kerasface evaluate {out} --data {data}{same}, kerasface predict {out} PHOTO ..."
        print(f"\nNext: {words}")
        return
    print(f"\nNext: kerasface submit {out} TEST_FOLDER --out submission.csv --sample SAMPLE.csv")


@app.command()
def evaluate(
    run: Annotated[pathlib.Path, typer.Argument(metavar="RUN", help="Run folder.")],
    data: Annotated[
        pathlib.Path,
        typer.Option(
            help="Folder with one subfolder of images a person; or of CelebA, whose test part is "
            "taken."
        ),
    ],
    out: Annotated[
        pathlib.Path | None,
        typer.Option(help="Folder to write to; default: evaluation/ in the run folder."),
    ] = None,
    partition: Partition = OFFICIAL,
    flip: Flip = False,
    batch_size: BatchSize = 64,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Put up with images that it was trained on.")
    ] = False,
) -> None:
    """Judge a run on labelled images: figures, pictures and a page."""
    from kerasface.inference import evaluate as evaluate_run

    name = data.resolve().name + ("" if partition == OFFICIAL else f"_{partition}")
    folder = out or run / "evaluation" / name
    result = evaluate_run(
        run,
        data,
        out=folder,
        partition=partition,
        flip=flip,
        batch_size=batch_size,
        allow_seen=allow_seen,
        verbose=_verbose(),
    )
    _print_metrics(result.metrics)
    print(f"\nPage: {result.page}   (open it in any browser)")


@app.command()
def compare(
    runs: Annotated[list[pathlib.Path], typer.Argument(metavar="RUN RUN...", help="Run folders.")],
    out: Annotated[pathlib.Path, typer.Option(help="HTML page to write.")] = (
        pathlib.Path("compare.html")
    ),
) -> None:
    """Put runs side by side: accuracy, size, speed, curves, and a test of the best two."""
    from kerasface.inference import compare as compare_runs

    print(compare_runs(runs, out).to_string(index=False))
    print(f"\nPage: {out}   (open it in any browser)")


@app.command()
def predict(
    paths: Annotated[
        list[pathlib.Path],
        typer.Argument(
            metavar="RUN... IMAGES...",
            help="One or more run folders, whose probabilities are averaged, then image files and "
            "folders of them.",
        ),
    ],
    out: Annotated[pathlib.Path, typer.Option(help="CSV file to write.")] = (
        pathlib.Path("predictions.csv")
    ),
    crop: Annotated[
        str | None,
        typer.Option(metavar="DETECTOR", help="Find and cut out the faces first, with mtcnn ..."),
    ] = None,
    margin: Annotated[
        float, typer.Option(help="What --crop leaves around a face, as a share of it.")
    ] = 0.2,
    pictures: Annotated[
        pathlib.Path | None,
        typer.Option(help="Folder for a picture of each image and what is said of it."),
    ] = None,
    flip: Flip = False,
    batch_size: BatchSize = 64,
) -> None:
    """Write the probabilities of every class or attribute for every image."""
    from kerasface.files import replacing
    from kerasface.inference import predict as predict_images

    runs, images = _split_paths(paths)
    with _told_warnings():
        frame = predict_images(
            runs,
            images[0] if len(images) == 1 else images,
            detector=crop,
            margin=margin,
            pictures=pictures,
            flip=flip,
            batch_size=batch_size,
            verbose=_verbose(),
        )
    with replacing(out) as part:
        frame.to_csv(part, index=False)
    told = [name for name in ("path", "face", "prediction", "probability") if name in frame]
    print(frame[told].head(10).to_string(index=False))
    print(f"Wrote {len(frame):,} rows: {out}")
    if pictures is not None:
        print(f"Drew {len(frame):,} pictures: {pictures}")


@app.command()
def submit(
    runs_and_images: RunsAndImages,
    out: Annotated[pathlib.Path, typer.Option(help="CSV file to write.")] = (
        pathlib.Path("submission.csv")
    ),
    sample: Annotated[
        pathlib.Path | None,
        typer.Option(help="Sample submission: ids, columns and order are taken from it."),
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="index or name; default: what the sample has.")
    ] = None,
    flip: Flip = False,
    batch_size: BatchSize = 64,
) -> None:
    """Write a submission for a folder of test images."""
    from kerasface.inference import submit as submit_images

    runs, images = _split_paths(runs_and_images)
    if len(images) > 1:
        raise ValueError(
            "A submission is made for one folder of test images. "
            f"Received: {[str(path) for path in images]}, none of which holds a run."
        )
    path = submit_images(
        runs,
        images[0],
        out,
        sample=sample,
        label=label,
        flip=flip,
        batch_size=batch_size,
        verbose=_verbose(),
    )
    print(f"Wrote {path}")


@app.command()
def verify(
    run: Embedder,
    pictures: Annotated[
        list[pathlib.Path] | None,
        typer.Argument(metavar="A B", help="Two pictures: are they of one person?"),
    ] = None,
    pairs: Annotated[
        pathlib.Path | None,
        typer.Option(
            help="LFW's pairs.txt, or a CSV file with file_a,file_b,same; default: all genuine "
            "pairs of the people in --images and as many others."
        ),
    ] = None,
    images: Annotated[
        pathlib.Path | None, typer.Option(help="Folder of the pairs' pictures.")
    ] = None,
    out: Annotated[
        pathlib.Path | None,
        typer.Option(help="Folder to write to; default: verification/ in the run folder."),
    ] = None,
    far: Annotated[
        float | None,
        typer.Option(help="False accept rate that the stored threshold is to stand for."),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="For two pictures; default: the stored one.")
    ] = None,
    flip: Flip = False,
    batch_size: BatchSize = 64,
    allow_seen: Annotated[
        bool, typer.Option("--allow-seen", help="Put up with people that it was trained on.")
    ] = False,
) -> None:
    """Judge on pairs whether two pictures show the same person, or ask about two pictures."""
    if pictures:
        options = {"--pairs": pairs, "--images": images, "--out": out, "--far": far}
        _verify_two(run, pictures, threshold, flip, options)
        return
    from kerasface.inference import verify_pairs

    if threshold is not None:
        raise ValueError(
            "--threshold decides about two pictures. Received: it without pictures. "
            "To store one that stands for a false accept rate say --far."
        )
    with _told_warnings():
        result = verify_pairs(
            run,
            pairs,
            images,
            out=out,
            far=far,
            flip=flip,
            batch_size=batch_size,
            allow_seen=allow_seen,
            verbose=_verbose(),
        )
    _print_metrics(result.metrics)
    for row in result.operating_points.itertuples():
        if row.refused:
            print(f"No TAR at FAR {row.wanted_far:g}: {row.refused}.")
    print(f"Intervals resample {result.resampled}.")
    point = result.operating_point
    if point is None:
        print(f"\nNo threshold was stored: {result.not_stored}.")
    else:
        print(f"\nStored: threshold {point.threshold:.4f}, which accepts {point.far:.2%} of others")
    if result.page is not None:
        print(f"Page: {result.page}   (open it in any browser)")


@app.command()
def identify(
    run: Embedder,
    gallery: Annotated[
        pathlib.Path,
        typer.Option(help="Folder with one subfolder a known person, or a saved .npz gallery."),
    ],
    probe: Annotated[
        pathlib.Path,
        typer.Option(help="Folder of pictures; with subfolders, one a person, it is judged."),
    ],
    out: Annotated[pathlib.Path, typer.Option(help="Folder to write to.")] = (
        pathlib.Path("identification")
    ),
    threshold: Annotated[
        float | None,
        typer.Option(help="Below it the answer is nobody; default: the stored one, if any."),
    ] = None,
    save_gallery: Annotated[
        pathlib.Path | None, typer.Option(help="Keep the gallery in this .npz file.")
    ] = None,
    flip: Flip = False,
    batch_size: BatchSize = 64,
) -> None:
    """Find the people of pictures in a gallery: answers, rank 1 and 5, CMC curve."""
    from kerasface.inference import identify as identify_people

    with _told_warnings():
        result = identify_people(
            run,
            gallery,
            probe,
            threshold=threshold,
            flip=True if flip else None,
            batch_size=batch_size,
            save_gallery=save_gallery,
            out=out,
            verbose=_verbose(),
        )
    print(result.answers[["path", "answer", "score"]].head(10).to_string(index=False))
    if result.threshold is None:
        print("No threshold: somebody is always named. Say --threshold, or verify pairs first.")
    else:
        print(f"Below {result.threshold:.4f} the answer is nobody.")
    if result.metrics:
        _print_metrics(result.metrics)
    print(f"Wrote {out}")


@app.command()
def match(
    run: Embedder,
    known: Annotated[pathlib.Path, typer.Option(help="Folder with one subfolder a person.")],
    unknown: Annotated[pathlib.Path, typer.Option(help="Folder of pictures to be named.")],
    out: Annotated[pathlib.Path, typer.Option(help="CSV file to write.")] = (
        pathlib.Path("verification_submission.csv")
    ),
    threshold: Annotated[
        float | None, typer.Option(help="Below it nobody matches; default: the best on --dev.")
    ] = None,
    dev: Annotated[
        pathlib.Path | None, typer.Option(help="Folder of development pictures.")
    ] = None,
    dev_labels: Annotated[
        pathlib.Path | None, typer.Option(help="CSV file with their column `label`, in order.")
    ] = None,
    no_match: Annotated[str, typer.Option(help="The answer where nobody matches.")] = "n000000",
    flip: Flip = False,
    batch_size: BatchSize = 64,
) -> None:
    """Write the verification submission of CMU 11-785's HW2P2: known people, unknown pictures."""
    from kerasface.inference import submit_matches

    with _told_warnings():
        matches = submit_matches(
            run,
            known,
            unknown,
            out,
            threshold=threshold,
            dev=dev,
            dev_labels=dev_labels,
            no_match=no_match,
            flip=True if flip else None,
            batch_size=batch_size,
            verbose=_verbose(),
        )
    if matches.dev_accuracy is not None:
        print(f"Development accuracy {matches.dev_accuracy:.1%}")
    print(f"{matches.matched:.1%} are named, at a threshold of {matches.threshold:.4f}")
    print(f"Wrote {matches.path}")


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and exits: 0 done, 2 a user's mistake, 130 interrupted.

    Args:
        arguments: The words after the program's name; None takes the shell's.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in words
    # Before TensorFlow is imported: its oneDNN kernels, which it leaves off on older processors,
    # train these networks a fifth faster there.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        app(_spread_set([word for word in words if word != "--debug"]))
    except (ValueError, OSError, RuntimeError) as error:
        if debug:
            raise
        print(f"kerasface: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except Exception as error:
        # TensorFlow's, which is not imported here.
        if debug or type(error).__name__ not in ("MemoryError", "ResourceExhaustedError"):
            raise
        print(
            "kerasface: There was not enough memory for a step. Make the batches smaller, for "
            "instance --set batch_size=16 accumulate_steps=4, or --set image_size=112.",
            file=sys.stderr,
        )
        sys.exit(USER_ERROR)


def _spread_set(words: list[str]) -> list[str]:
    """``--set a=1 b=2`` to ``--set a=1 --set b=2``, which is all that the parser knows."""
    spread: list[str] = []
    setting = False
    for word in words:
        if setting and spread[-1] != "--set" and re.match(r"[\w.]+=", word):
            spread.append("--set")
        elif setting and spread[-1] != "--set":
            setting = False
        setting = setting or word == "--set"
        spread.append(word)
    return spread


def _train(
    recipe,
    data,
    out,
    changes,
    *,
    resume,
    overwrite,
    split=SPLIT,
    features=None,
    first=None,
    partition=OFFICIAL,
) -> Run:
    from kerasface.data.celeba.files import is_celeba
    from kerasface.runs import named_recipe
    from kerasface.runs.recipe import parse_changes
    from kerasface.training import train as train_run

    inside = _people_root(data) in (out.resolve(), *out.resolve().parents)
    if inside and not is_celeba(data):
        raise ValueError(
            "A run must lie outside the folder of people, for it would be taken for one. "
            f"Received: --out {str(out)!r}, in {str(data)!r}. Name another folder."
        )
    with _told_warnings():
        table, validation = _tables(data, split, first, partition)
    print(f"train       {table.summary()}")
    if validation is not None:
        print(f"validation  {validation.summary()}")
    if recipe == AUTO:
        recipe = _chosen_recipe(table, out, resume)
    if isinstance(recipe, str):
        recipe = named_recipe(recipe)
    recipe = recipe.replace(**parse_changes(changes or []))
    with _told_warnings():
        return train_run(
            recipe,
            train=table,
            validation=validation,
            out=out,
            resume=resume,
            overwrite=overwrite,
            features=features,
            verbose=_verbose(),
        )


def _chosen_recipe(table: FaceTable, out: pathlib.Path, resume: bool) -> Recipe:
    from kerasface.runs import Run
    from kerasface.runs.run import RECIPE
    from kerasface.training import recommend

    if resume and (out / RECIPE).is_file():  # another machine might choose another one
        return Run(out).recipe
    recommendation = recommend(table)
    print(f"Chosen:\n{recommendation}")
    return recommendation.recipe


def _people_root(data: pathlib.Path) -> pathlib.Path:
    """The folder that has the people's folders in it."""
    return (data / "train" if (data / "train").is_dir() else data).resolve()


def _tables(
    data: pathlib.Path, split: float, first: int | None, partition: str
) -> tuple[FaceTable, FaceTable | None]:
    from kerasface.data import identity_folder, read_celeba
    from kerasface.data.celeba.files import is_celeba

    if is_celeba(data):
        if split != SPLIT:
            raise ValueError(
                "A folder of CelebA has a partition of its own. "
                f"Received: --split {split:g} for {str(data)!r}. Leave it out."
            )
        return read_celeba(data, first=first, split=partition)[:2]
    for name, value, default in (("first", first, None), ("partition", partition, OFFICIAL)):
        if value != default:
            raise ValueError(
                f"`--{name}` is for a folder of CelebA, with list_attr_celeba. "
                f"Received: {name}={value} for {str(data)!r}, which has no such file."
            )
    if not (data / "train").is_dir():
        table = identity_folder(data)
        return table.split(split) if split else (table, None)
    table = identity_folder(data / "train")
    for name in VALIDATION_FOLDERS:
        if (data / name).is_dir():
            return table, identity_folder(data / name, names=table.names)
    return table.split(split) if split else (table, None)


def _detector_options(changes: list[str] | None) -> dict:
    if not changes:
        return {}
    from kerasface.runs.recipe import parse_changes

    return parse_changes(changes)


def _drawn_faces(path: pathlib.Path, detector: str, options: dict) -> tuple[np.ndarray, str]:
    from kerasface import faces as package

    image = _decoded(path)
    [found] = package.detect([image], detector, **options)
    return package.draw_faces(image, found), f"{len(found)} faces of {path.name}"


def _contact_sheet(folder: pathlib.Path, limit: int) -> tuple[np.ndarray, str]:
    from kerasface import faces as package
    from kerasface.data import unlabeled_folder

    paths = unlabeled_folder(folder).paths.tolist()
    shown = paths[:: -(-len(paths) // max(limit, 1))]
    pixels = package.contact_sheet(
        [_decoded(folder / path) for path in shown],
        [" ".join(pathlib.PurePath(path).with_suffix("").parts[-2:]) for path in shown],
    )
    return pixels, f"{len(shown)} of {len(paths):,} images"


def _decoded(path: pathlib.Path) -> np.ndarray:
    from kerasface import images

    try:
        return images.decode(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"A picture must be readable. Received: {path}, {error}.") from error


def _split_paths(paths: list[pathlib.Path]) -> tuple[list[pathlib.Path], list[pathlib.Path]]:
    """Run folders, and the other paths."""
    from kerasface.runs.run import RECIPE

    runs = [path for path in paths if (path / RECIPE).is_file()]
    images = [path for path in paths if path not in runs]
    if not runs or not images:
        raise ValueError(
            "One or more run folders and then images or folders of them are needed. Received: "
            f"{len(runs)} run folders and {len(images)} others, {[str(path) for path in paths]}."
        )
    return runs, images


def _verify_two(run, pictures, threshold, flip, options) -> None:
    from kerasface.inference import verify as verify_two

    if len(pictures) != 2:
        raise ValueError(f"Two pictures are compared. Received: {len(pictures)} of them.")
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(f"{given[0]} goes with a list of pairs. Received: it with two pictures.")
    with _told_warnings():
        decision = verify_two(run, *pictures, threshold=threshold, flip=True if flip else None)
    word = "the same person" if decision.same else "different people"
    print(f"{word}: similarity {decision.similarity:.4f}, threshold {decision.threshold:.4f}")
    if decision.far is not None:
        print(f"That threshold accepted {decision.far:.2%} of pairs of different people.")


def _print_metrics(metrics: dict[str, float | int]) -> None:
    for name, value in metrics.items():
        print(f"{name:28} {value:,}" if isinstance(value, int) else f"{name:28} {value:.4f}")


@contextlib.contextmanager
def _told_warnings() -> Iterator[None]:
    """Warnings for the user as one line each, without the place in the code."""

    def tell(message, category, *place, **more):
        print(f"Warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = tell
        yield


def _verbose() -> int:
    """A moving progress bar on a terminal, one line an epoch in a file."""
    return 1 if sys.stdout.isatty() else 2


def _print_summary(run: Run) -> None:
    metrics = run.metrics
    kept = metrics[metrics["kept"]]
    if "val_accuracy" in kept:
        figure = f"validation accuracy {kept['val_accuracy']:.1%} (epoch {kept['epoch']})"
    else:
        figure = f"no validation; training accuracy {kept['accuracy']:.1%}"
    print(f"\nTrained: {figure}, {metrics['images_per_second']:.0f} images a second")
    print(f"  run folder  {run.folder}")
    print(f"  curves      {run.path('curves.png')}   (open it in any image viewer)")
    print(f"  model       {run.path('model.keras')}   (keras.saving.load_model opens it)")
