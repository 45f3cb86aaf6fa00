"""`evaluate` measures a run on labeled images that it was not trained on."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import warnings

import keras
import pandas as pd

from kerasface.data import notebook
from kerasface.data.celeba.tables import OFFICIAL, read_celeba
from kerasface.data.folders import identity_folder
from kerasface.data.image_list import AnyImages
from kerasface.data.table import FaceTable, check
from kerasface.files import check_folder_to_write, replacing
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.groups import Groups, read_groups
from kerasface.inference.labeled_images import Labels, labeled_images
from kerasface.inference.reading import AnyModel, run_of
from kerasface.metrics.groups import accuracy_by_group, attributes_by_group
from kerasface.runs import run as run_files
from kerasface.runs.evaluation import AT_HALF, RunEvaluation, evaluate_run
from kerasface.runs.evaluation_page import IMAGES_BY_GROUP, group_section
from kerasface.runs.report import write_report
from kerasface.runs.run import Run
from kerasface.runs.seen import seen_images

# Metrics in the short text of a result, those that it has.
SHOWN = ("images", "accuracy", f"mean_accuracy{AT_HALF}", "f1_macro", "auc_macro")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Result of `evaluate`.

    Attributes:
        metrics: Name to number; see ``evaluate`` of `kerasface.metrics.classification` and of
            `kerasface.metrics.attributes`.
        table: One row per class or attribute.
        predictions: One row per image.
        folder: Folder of the written files.
        by_group: One row per group, see `kerasface.metrics.groups`; None without groups.
    """

    metrics: dict[str, float | int]
    table: pd.DataFrame
    predictions: pd.DataFrame
    folder: pathlib.Path
    by_group: pd.DataFrame | None = None

    @property
    def page(self) -> pathlib.Path:
        """The report, an HTML file."""
        return self.folder / run_files.REPORT

    def __repr__(self) -> str:
        facts: dict[str, object] = {key: self.metrics.get(key) for key in SHOWN}
        return notebook.short_repr("Evaluation", facts | {"folder": self.folder})

    def _repr_html_(self) -> str:
        return notebook.facts_html("Evaluation", self.metrics)


@explain_old_calls
def evaluate(
    model: AnyModel,
    data: AnyImages,
    *,
    labels: Labels | None = None,
    out: str | os.PathLike | None = None,
    partition: str = OFFICIAL,
    flip: bool | None = None,
    batch_size: int = 64,
    allow_seen: bool = False,
    groups: Groups | None = None,
    verbose: int = 0,
) -> Evaluation:
    """Evaluates a run on labeled images and writes metrics, tables, figures and a report.

    For attributes, the thresholds are those of the run, which were chosen on its validation
    images. Metrics whose name ends in ``_at_half`` are those at threshold 0.5.

    Args:
        model: Run, run folder or the model file in it. Another Keras model has no class names
            and no list of its training images.
        data: A folder with one subfolder per class, for a run of attributes a CelebA folder,
            whose test partition is used, or a table. It must have the run's classes or
            attributes. With ``labels``, images in any form of `kerasface.predict`.
        labels: The class of each image, a name or an index, or 0/1 attributes
            ``[N, attributes]`` in the order of ``run.names``. None takes the labels of ``data``.
        out: Folder to write to: ``metrics.json``, ``per_class.csv`` or ``per_attribute.csv``,
            ``predictions.csv``, figures and ``report.html``, which shows the folder's name. None
            is a folder in the run, named like the data.
        partition: ``split`` of `kerasface.data.read_celeba`. Use ``"identity"`` for a run that
            was trained with it.
        flip: If True, average predictions over each image and its mirror image. None does not.
        batch_size: Batch size.
        allow_seen: If True, only warn about images that the run was trained on.
        groups: Groups of the images, for results by group: a CSV file or DataFrame (image, then
            one column per kind of group), or attributes of CelebA, for instance
            ``["Male", "Young"]``; see `kerasface.inference.groups.read_groups`.
        verbose: 1 shows a progress bar.

    Returns:
        Metrics, tables and the folder.

    Raises:
        ValueError: If the classes are others, the run was trained on some of the images, or there
            is no such partition.

    Warns:
        UserWarning: If images are unreadable, or were used to choose the run's epoch, learning
            rate or thresholds.

    Example:
        >>> evaluate("runs/hw2p2", "data/dev").metrics["accuracy"]  # doctest: +SKIP
    """
    run = run_of(model)
    if run is None:
        name = model.name if isinstance(model, keras.Model) else os.fspath(str(model))
        raise ValueError(
            "`evaluate` needs a run, which has class names and a list of its training images. "
            f"Received: {name!r}, a Keras model. Use predict, and "
            "kerasface.metrics.classification.evaluate on the probabilities."
        )
    if out is not None:
        check_folder_to_write("out", out)
    with labeled_images(data, labels, run.names, multi_label=run.multi_label) as labeled:
        _check_partition(run, labeled, partition)
        table = _readable(run, _labeled(run, labeled, partition), verbose)
        seen = _check_unseen(run, table, allow_seen)
        folder = pathlib.Path(out or run.folder / "evaluation" / _title(run, labeled, partition))
        name = folder.resolve().name
        words = f"the {len(table):,} images of {name}"
        if seen:
            words += f", of which {seen:,} are in the training set,"
        grouped = None if groups is None else read_groups(groups, table)
        result = evaluate_run(
            run, table, folder, flip=bool(flip), batch_size=batch_size, on=words, verbose=verbose
        )
        by_group = None
        if grouped is not None:
            by_group = _by_group(run, result, grouped.set_axis(pd.Index(table.paths)))
            result = _with_groups(result, by_group, folder)
        evaluation = Evaluation(result.metrics, result.table, result.predictions, folder, by_group)
        write_report(run, evaluation.page, result, on=name)
    return evaluation


def _by_group(run: Run, result: RunEvaluation, groups: pd.DataFrame) -> pd.DataFrame:
    """Results by group of the images that were evaluated."""
    frame = result.predictions
    groups = groups.loc[frame["path"]].reset_index(drop=True)
    if not run.multi_label:
        return accuracy_by_group(frame["correct"].to_numpy(bool), groups)
    labels, probabilities = (
        frame[[f"{key}:{name}" for name in run.names]].to_numpy() for key in ("true", "p")
    )
    return attributes_by_group(labels, probabilities, run.names, groups)


def _with_groups(
    result: RunEvaluation, by_group: pd.DataFrame, folder: pathlib.Path
) -> RunEvaluation:
    """Writes the results by group and adds them to the page."""
    with replacing(folder / run_files.BY_GROUP) as part:
        by_group.to_csv(part, index=False)
    if result.page is None:
        return result
    sections = (*result.page.sections, group_section(by_group, IMAGES_BY_GROUP))
    return dataclasses.replace(result, page=dataclasses.replace(result.page, sections=sections))


def _check_partition(run: Run, data: str | os.PathLike | FaceTable, partition: str) -> None:
    if partition != OFFICIAL and (isinstance(data, FaceTable) or not run.multi_label):
        asked = "a table" if isinstance(data, FaceTable) else "a run of classes"
        raise ValueError(
            "`partition` needs a CelebA folder and a run of attributes. "
            f"Received: partition={partition!r} for {asked}. Leave it out."
        )


def _labeled(run: Run, data: str | os.PathLike | FaceTable, partition: str) -> FaceTable:
    """The images with labels, checked against the run's classes or attributes."""
    if isinstance(data, FaceTable):
        table = data
    elif run.multi_label:
        table = read_celeba(data, attributes=run.names, split=partition).test
    else:
        table = identity_folder(data, names=run.names)
    if run.multi_label and table.multi_label:
        table = table.with_attributes(run.names)
    if table.labels is None or table.multi_label != run.multi_label or table.names != run.names:
        needed = "the run's attributes of" if run.multi_label else "one of the run's classes for"
        raise ValueError(
            f"Evaluation needs {needed} each image. Received: {table.summary()}, for a run of "
            f"{len(run.names)}. Read the folder with names=run.names."
        )
    return table


def _readable(run: Run, table: FaceTable, verbose: int) -> FaceTable:
    checked = check(table, max_unreadable=run.recipe.max_unreadable, verbose=verbose)
    if len(checked.unreadable):
        first = ", ".join(checked.unreadable["path"].head(3))
        warnings.warn(
            f"{len(checked.unreadable)} of {len(table)} images are unreadable and are skipped, for "
            f"instance {first}",
            stacklevel=4,
        )
    return checked.table


def _check_unseen(run: Run, table: FaceTable, allow_seen: bool) -> int:
    """Number of images that the run was trained on; raises if that is not allowed."""
    seen = seen_images(run, table)
    if seen and not allow_seen:
        raise ValueError(
            "A run must be evaluated on images that it was not trained on. "
            f"Received: {len(seen)} of {len(table)} images are in the training set, so the metrics "
            f"would be biased, for instance {seen[:3]}. Remove them, or use allow_seen=True "
            "(--allow-seen)."
        )
    if seen:
        warnings.warn(
            f"{len(seen)} of {len(table)} images are in the training set, so the metrics are "
            "biased",
            stacklevel=4,
        )
    chosen_by = [] if _chose_nothing(run) else seen_images(run, table, "validation")
    if chosen_by:
        warnings.warn(
            f"{len(chosen_by)} of {len(table)} images are in the validation set, which chose the "
            "epoch, the learning rate or the thresholds of the run, so the metrics are optimistic",
            stacklevel=4,
        )
    return len(seen)


def _chose_nothing(run: Run) -> bool:
    """Whether the run used its validation images for no choice."""
    recipe = run.recipe
    keeps_last = recipe.keep == "last" and not recipe.early_stopping
    fixed_rate = all(part.schedule != "plateau" for part in recipe.parts())
    return keeps_last and fixed_rate and not run.path(run_files.THRESHOLDS).is_file()


def _title(run: Run, data: str | os.PathLike | FaceTable, partition: str) -> str:
    """Name of the data, for the folder."""
    if isinstance(data, FaceTable):
        return data.root.name or "images"
    name = pathlib.Path(data).resolve().name or "images"
    if partition != OFFICIAL:
        name = f"{name}_{partition}"
    return f"{name}_test" if run.multi_label else name
