"""A run judged on images that it has not seen, and several runs side by side."""

from __future__ import annotations

import json
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import cast

import pandas as pd

from kerasface.data.celeba.files import OFFICIAL, read_celeba
from kerasface.data.folders import identity_folder
from kerasface.data.table import FaceTable, check
from kerasface.files import replacing
from kerasface.metrics.attributes import THRESHOLD, AttributeFigures, accuracy_difference
from kerasface.metrics.classification import Classification, mcnemar
from kerasface.reports import classification as plots
from kerasface.reports.page import (
    facts_section,
    figure_section,
    report_html,
    table_section,
)
from kerasface.runs import run as run_files
from kerasface.runs.evaluation import PLAIN, judge
from kerasface.runs.report import write_report
from kerasface.runs.run import Run
from kerasface.runs.seen import seen_images

PREDICTIONS = "predictions.csv"
RUNS_NOTE = "Accuracy is that of the kept weights on the validation."
CACHED_NOTE = (
    " Cached epochs train the head on features that the backbone made once before; their seconds "
    "leave it out and are not to be compared with those of other epochs."
)


def evaluate(
    run: str | os.PathLike | Run,
    data: str | os.PathLike | FaceTable,
    *,
    out: str | os.PathLike | None = None,
    partition: str = OFFICIAL,
    flip: bool = False,
    batch_size: int = 64,
    allow_seen: bool = False,
    verbose: int = 0,
) -> Classification | AttributeFigures:
    """Judges a run on labelled images and writes figures, pictures and a page.

    Of attributes the thresholds are the run's own, chosen on its validation images; the figures
    whose name ends in ``_at_half`` are those at 0.5.

    Args:
        run: A run or its folder.
        data: A folder with one subfolder a class, or for a run of attributes a folder of CelebA,
            whose test part is taken; or a table. Of the run's classes or attributes.
        out: Folder to write to: ``metrics.json``, ``per_class.csv`` or ``per_attribute.csv``,
            ``predictions.csv``, pictures and ``report.html``, which tells the folder's name. None
            is a folder in the run, named like the data.
        partition: ``split`` of `kerasface.data.read_celeba`; give ``"identity"`` for a run that
            was trained with it.
        flip: Whether the probabilities of the mirrored images are averaged in.
        batch_size: Images a step.
        allow_seen: Whether images that the run was trained on are put up with; a warning says
            how many there are.
        verbose: 1 shows a progress bar.

    Returns:
        The figures.

    Raises:
        ValueError: If the classes are others, the run was trained on some of the images, or there
            is no such partition.

    Example:
        >>> evaluate("runs/hw2p2", "data/dev").metrics["accuracy"]  # doctest: +SKIP
    """
    run = run if isinstance(run, Run) else Run(run)
    if partition != OFFICIAL and (isinstance(data, FaceTable) or not run.multi_label):
        asked = "a table" if isinstance(data, FaceTable) else "a run of classes"
        raise ValueError(
            "A partition is of a folder of CelebA, and for a run of attributes. "
            f"Received: partition={partition!r} for {asked}. Leave it out."
        )
    table = data if isinstance(data, FaceTable) else _labelled(run, data, partition)
    if run.multi_label and table.multi_label:
        table = table.with_attributes(run.names)
    if table.labels is None or table.multi_label != run.multi_label or table.names != run.names:
        needed = "the run's attributes of" if run.multi_label else "one of the run's classes for"
        raise ValueError(
            f"An evaluation needs {needed} each image. Received: {table.summary()}, for a run of "
            f"{len(run.names)}. Read the folder with names=run.names."
        )
    checked = check(table, max_unreadable=run.recipe.max_unreadable)
    if len(checked.unreadable):
        first = ", ".join(checked.unreadable["path"].head(3))
        warnings.warn(
            f"{len(checked.unreadable)} of the {len(table)} images cannot be read and are left "
            f"out, for instance {first}",
            stacklevel=2,
        )
    table = checked.table
    seen = seen_images(run, table)
    if seen and not allow_seen:
        raise ValueError(
            "Figures on images that a run was trained on say nothing about new ones. "
            f"Received: {len(seen)} such of {len(table)}, for instance {seen[:3]}. Take them "
            "out, or say allow_seen=True (--allow-seen)."
        )
    if seen:
        warnings.warn(
            f"the run was trained on {len(seen)} of the {len(table)} images: these figures say "
            "nothing about new ones",
            stacklevel=2,
        )
    chosen_by = [] if _chose_nothing(run) else seen_images(run, table, "validation")
    if chosen_by:
        warnings.warn(
            f"the run's epochs, rate or thresholds were chosen on {len(chosen_by)} of the "
            f"{len(table)} images: these figures are better than those on new ones",
            stacklevel=2,
        )
    folder = pathlib.Path(out or run.folder / "evaluation" / _title(run, data, partition))
    name = folder.resolve().name
    judgement = judge(run, table, folder, flip=flip, batch_size=batch_size, verbose=verbose)
    words = f"{name}, of which the run was trained on {len(seen)}" if seen else name
    write_report(run, folder / run_files.REPORT, judgement, on=words)
    return cast(Classification | AttributeFigures, judgement.result)


def _title(run: Run, data: str | os.PathLike | FaceTable, partition: str) -> str:
    """What the figures are of, in a word."""
    if isinstance(data, FaceTable):
        return data.root.name or "images"
    name = pathlib.Path(data).resolve().name or "images"
    if partition != OFFICIAL:
        name = f"{name}_{partition}"
    return f"{name}_test" if run.multi_label else name


def _chose_nothing(run: Run) -> bool:
    """Whether the validation images only told how good the run is."""
    recipe = run.recipe
    lasts = recipe.keep == "last" and not recipe.early_stopping
    steady = all(part.schedule != "plateau" for part in recipe.parts())
    return lasts and steady and not run.path(run_files.THRESHOLDS).is_file()


def _labelled(run: Run, data: str | os.PathLike, partition: str) -> FaceTable:
    if run.multi_label:
        return read_celeba(data, attributes=run.names, split=partition).test
    return identity_folder(data, names=run.names)


def compare(
    runs: Sequence[str | os.PathLike | Run], out: str | os.PathLike = "compare.html"
) -> pd.DataFrame:
    """Puts runs side by side, as judged on their validation images.

    Args:
        runs: Two or more finished runs with a validation, or their folders.
        out: The HTML page to write: a table, all curves in one picture and, where the best two
            were judged on the same images, McNemar's test between them (of attributes the
            bootstrap interval of the difference of their mean accuracies).

    Returns:
        One row a run, best first: ``run``, ``model``, ``head``, ``accuracy``, ``accuracy_low``,
        ``accuracy_high`` (95% interval; of attributes their mean at threshold 0.5), of attributes
        ``f1_macro_at_half``, ``auc_macro``, ``parameters`` (all of them),
        ``trainable_parameters``,
        ``epochs``, ``cached_epochs`` (those of them that trained on cached features, which leave
        the backbone out), ``seconds_per_epoch`` (median), ``inference_images_per_second``.

    Raises:
        ValueError: If there are fewer than two runs, or one has no validation figures.

    Example:
        >>> compare(["runs/a", "runs/b"], "compare.html")  # doctest: +SKIP
    """
    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    if len(opened) < 2:
        raise ValueError(f"A comparison needs at least two runs. Received: {len(opened)}.")
    if len({(run.multi_label, run.names if run.multi_label else ()) for run in opened}) > 1:
        kinds = [
            f"{run.folder} of {len(run.names)} {'attributes' if run.multi_label else 'classes'}"
            for run in opened
        ]
        raise ValueError(
            "Only runs of classes, or of the same attributes, can be compared. "
            f"Received: {', '.join(kinds)}."
        )
    names = _distinct_names(opened)
    rows = [_row(name, run) for name, run in zip(names, opened, strict=True)]
    frame = pd.DataFrame(rows).sort_values("accuracy", ascending=False, kind="stable")
    histories = {name: run.history for name, run in zip(names, opened, strict=True)}
    best, second = (opened[names.index(name)] for name in frame["run"].head(2))
    sections = [
        table_section(
            "Runs", frame, RUNS_NOTE + (CACHED_NOTE if any(frame["cached_epochs"]) else "")
        ),
        figure_section("Curves", plots.curves_overlay(histories)),
        _paired_section(best, second, frame["run"].head(2).tolist()),
    ]
    with replacing(out) as part:
        part.write_text(report_html("Comparison", sections), encoding="utf-8")
    return frame.reset_index(drop=True)


def _row(name: str, run: Run) -> dict:
    path = run.path(run_files.VALIDATION) / run_files.METRICS
    if run.embeds:
        raise ValueError(
            "Runs are compared by how they tell classes or attributes. "
            f"Received: {os.fspath(run.folder)!r}, an embedding model. "
            "Judge it on pairs: kerasface verify."
        )
    if not path.is_file():
        raise ValueError(
            "Runs are compared by their validation figures. "
            f"Received: {os.fspath(run.folder)!r}, which has no {path.name} in "
            f"{run_files.VALIDATION}/. Train it with a validation table, and with its report."
        )
    judged = json.loads(path.read_text(encoding="utf-8"))
    keys = ("accuracy", "accuracy_low", "accuracy_high")
    names = [f"mean_{key}{PLAIN}" for key in keys] if run.multi_label else keys
    return {
        "run": name,
        "model": run.recipe.model,
        "head": run.recipe.head or "own",
        **{key: judged[name] for key, name in zip(keys, names, strict=True)},
        # At the run's thresholds it would be better than it is: these images chose them.
        **({f"f1_macro{PLAIN}": judged[f"f1_macro{PLAIN}"]} if run.multi_label else {}),
        "auc_macro": judged["auc_macro"],
        "parameters": run.metrics["parameters"],
        "trainable_parameters": run.metrics["trainable_parameters"],
        "epochs": len(run.history),
        "cached_epochs": _cached_epochs(run),
        "seconds_per_epoch": run.metrics["seconds_per_epoch"],
        "inference_images_per_second": judged["inference_images_per_second"],
    }


def _cached_epochs(run: Run) -> int:
    epochs = run.history["epoch"]
    count = start = 0
    for part in run.recipe.parts():
        end = start + part.total_epochs
        if part.cached:  # a phase may have stopped early
            count += int(((epochs > start) & (epochs <= end)).sum())
        start = end
    return count


def _paired_section(best: Run, second: Run, names: list[str]):
    title = f"{names[0]} against {names[1]}"
    frames = [
        pd.read_csv(
            run.path(run_files.VALIDATION) / PREDICTIONS,
            dtype={"path": str, "label": str, "prediction": str},
            keep_default_na=False,
        )
        for run in (best, second)
    ]
    # What was to be said of which image: both runs must have been asked the same.
    columns = ["path", "label"]
    if best.multi_label:
        columns = ["path", *(f"true:{name}" for name in best.names)]
    asked = [frame.reindex(columns=columns) for frame in frames]
    if not asked[0].equals(asked[1]):
        return facts_section(title, {}, "They were judged on different images: no paired test.")
    if best.multi_label:
        return _paired_attributes(title, best.names, frames)
    correct = [frame["correct"].to_numpy(bool) for frame in frames]
    test = mcnemar(*correct)
    facts = {
        "images": test["images"],
        f"right in {names[0]} alone": test["only_a"],
        f"right in {names[1]} alone": test["only_b"],
        "difference": test["difference"],
        "95% interval of it, from": test["difference_low"],
        "to": test["difference_high"],
        "p value": test["p_value"],
    }
    return facts_section(title, facts, "McNemar's exact test on the same images.")


def _paired_attributes(title: str, names: Sequence[str], frames: list[pd.DataFrame]):
    labels = frames[0][[f"true:{name}" for name in names]].to_numpy(bool)
    said = [frame[[f"p:{name}" for name in names]].to_numpy() >= THRESHOLD for frame in frames]
    test = accuracy_difference(*(each == labels for each in said))
    facts = {
        "images": test["images"],
        "difference of the mean accuracies": test["difference"],
        "95% interval of it, from": test["difference_low"],
        "to": test["difference_high"],
    }
    return facts_section(title, facts, "At threshold 0.5, bootstrap over the same images.")


def _distinct_names(runs: Sequence[Run]) -> list[str]:
    """Folder names, with as much of their path as tells them apart."""
    parts = [run.folder.resolve().parts for run in runs]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(path[-depth:]) for path in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(
        "A comparison needs different runs. "
        f"Received: {sorted({os.fspath(run.folder) for run in runs})}, one of them twice."
    )
