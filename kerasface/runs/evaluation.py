"""Evaluates a run on labeled images: metrics, tables and figures."""

from __future__ import annotations

import dataclasses
import pathlib
import time
import warnings

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kerasface import images, reports
from kerasface.data.table import FaceTable, check
from kerasface.files import replacing, write_json
from kerasface.metrics import attributes, classification
from kerasface.pipeline.predict import predict_array
from kerasface.reports.sections import Picture
from kerasface.reports.style import file_name
from kerasface.runs import run as run_files
from kerasface.runs.evaluation_page import (
    CONFUSION,
    MISTAKES,
    EvaluationPage,
    attribute_page,
    class_page,
)
from kerasface.runs.run import Run

SHOWN_MISTAKES = 24
THUMBNAIL = 160  # pixels
TIMED_BATCHES, TIMED_IMAGES = 3, 8
# Metrics of attributes that depend on the thresholds; they are also reported for 0.5.
THRESHOLDED = (
    "mean_accuracy",
    "mean_accuracy_low",
    "mean_accuracy_high",
    "mean_balanced_accuracy",
    "f1_macro",
    "f1_micro",
    "f1_example_based",
)
AT_HALF = "_at_half"
PER_CLASS, PER_ATTRIBUTE = "per_class.csv", "per_attribute.csv"
PREDICTIONS = "predictions.csv"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RunEvaluation:
    """Metrics of a run on a table, with what a page shows of them.

    Attributes:
        metrics: Name to number; see ``evaluate`` of `kerasface.metrics.classification`,
            `kerasface.metrics.attributes` and `kerasface.metrics.verification`.
        table: One row per class or attribute, or per false accept rate of an embedding model.
        predictions: One row per image, or per pair of images of an embedding model.
        figures: Title to figure.
        page: What a page shows of them. None if there is nothing to show.
        empty: Why there is nothing to show, or an empty text.
    """

    metrics: dict[str, float | int]
    table: pd.DataFrame
    predictions: pd.DataFrame
    figures: dict[str, Figure]
    page: EvaluationPage | None
    empty: str = ""

    def __repr__(self) -> str:
        words = self.page.headline.sentence if self.page else self.empty
        return f"RunEvaluation({words!r})"


def evaluate_run(
    run: Run,
    table: FaceTable,
    folder: pathlib.Path,
    *,
    thresholds: bool = False,
    flip: bool = False,
    batch_size: int = 64,
    on: str | None = None,
    verbose: int = 0,
) -> RunEvaluation:
    """Evaluates a run on a table and writes metrics, tables and figures.

    Args:
        run: Run to evaluate, with its best weights.
        table: Images with the run's classes or attributes. Unreadable images are skipped.
        folder: Folder for ``metrics.json``, ``per_class.csv`` or ``per_attribute.csv``,
            ``predictions.csv`` and figures.
        thresholds: If True, choose the attribute thresholds on this table first, as
            `choose_thresholds` does.
        flip: If True, average predictions over each image and its mirror image.
        batch_size: Batch size.
        on: The images in words, for the page. None calls them validation images.
        verbose: 1 shows a progress bar.

    Returns:
        Metrics, tables and figures.
    """
    table = check(table, max_unreadable=1.0).table  # files may have changed since the last check
    probabilities = run.predict(table, batch_size=batch_size, flip=flip, verbose=verbose)
    if thresholds:
        _write_thresholds(run, table, probabilities)
    evaluate = _evaluate_attributes if run.multi_label else _evaluate_classes
    evaluation = evaluate(run, table, probabilities, on or f"the {len(table):,} validation images")
    write_json(folder / run_files.METRICS, evaluation.metrics)
    frames = {
        PER_ATTRIBUTE if run.multi_label else PER_CLASS: evaluation.table,
        PREDICTIONS: evaluation.predictions,
    }
    for name, frame in frames.items():
        with replacing(folder / name) as part:
            frame.to_csv(part, index=False)
    reports.save_figures(evaluation.figures, folder)
    return evaluation


def choose_thresholds(run: Run, table: FaceTable, *, batch_size: int = 64) -> None:
    """Chooses the threshold with the best F1 for each attribute and writes them into a run.

    Args:
        run: A run of attributes.
        table: Validation images that the run was not trained on, never test images.
        batch_size: Batch size.
    """
    table = check(table, max_unreadable=1.0).table
    _write_thresholds(run, table, run.predict(table, batch_size=batch_size))


def inference_speed(run: Run) -> float:
    """Measures the inference speed of a run's model.

    Args:
        run: A finished run.

    Returns:
        Images per second in batches of 8, the median of three batches, without reading of files.
    """
    model = run.opened_model()
    shape = (TIMED_IMAGES, *model.input_shape[1:])
    batch = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    seconds = []
    for _ in range(TIMED_BATCHES + 1):
        start = time.perf_counter()
        predict_array(model, batch)
        seconds.append(time.perf_counter() - start)
    return round(TIMED_IMAGES / float(np.median(seconds[1:])), 1)  # the first one is slower


def _write_thresholds(run: Run, table: FaceTable, probabilities: np.ndarray) -> None:
    chosen = attributes.best_thresholds(np.asarray(table.labels), probabilities, run.names)
    write_json(run.path(run_files.THRESHOLDS), dict(zip(run.names, chosen.tolist(), strict=True)))


def _evaluate_classes(
    run: Run, table: FaceTable, probabilities: np.ndarray, on: str
) -> RunEvaluation:
    labels, predictions = np.asarray(table.labels), probabilities.argmax(axis=1)
    result = classification.evaluate(labels, probabilities, run.names, paths=table.paths)
    metrics = result.metrics | {"inference_images_per_second": inference_speed(run)}
    mistakes = _mistakes(table, result.predictions)
    figures = {
        CONFUSION: reports.confusion_matrix(labels, predictions, run.names),
        "Calibration": reports.reliability_diagram(labels, probabilities),
        MISTAKES: reports.mistakes_gallery(
            [picture.images[0] for picture in mistakes], [picture.caption for picture in mistakes]
        ),
    }
    if len(set(labels.tolist())) > 1:
        figures["ROC curves"] = reports.roc_curves(labels, probabilities, run.names)
    outcomes = (labels, predictions, run.names)
    return RunEvaluation(
        metrics=metrics,
        table=result.per_class,
        predictions=result.predictions,
        figures=figures,
        page=class_page(result, metrics, outcomes, figures, mistakes, on),
    )


def _evaluate_attributes(
    run: Run, table: FaceTable, probabilities: np.ndarray, on: str
) -> RunEvaluation:
    labels, names, thresholds = np.asarray(table.labels), run.names, run.thresholds
    result = attributes.evaluate(labels, probabilities, names, thresholds=thresholds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the line above gave the same warnings
        at_half = attributes.evaluate(labels, probabilities, names)
    metrics = result.metrics | {f"{key}{AT_HALF}": at_half.metrics[key] for key in THRESHOLDED}
    metrics["inference_images_per_second"] = inference_speed(run)
    columns = {f"{key}{AT_HALF}": at_half.per_attribute[key] for key in ("accuracy", "gain", "f1")}
    per_attribute = result.per_attribute.assign(**columns)
    figures = reports.attribute_figures(
        labels,
        probabilities,
        names,
        at_half.per_attribute,
        thresholds=thresholds,
        gain_title="All attributes at threshold 0.5",
    )
    mistakes = _attribute_mistakes(table, names, probabilities)
    chosen = run.path(run_files.THRESHOLDS).is_file()
    return RunEvaluation(
        metrics=metrics,
        table=per_attribute,
        predictions=_attribute_predictions(table, names, probabilities, thresholds),
        figures=figures,
        page=attribute_page(metrics, per_attribute, figures, mistakes, on, chosen),
    )


def _attribute_predictions(
    table: FaceTable, names: tuple[str, ...], probabilities: np.ndarray, thresholds: np.ndarray
) -> pd.DataFrame:
    """Returns one row per image: path, true labels, predicted labels and probabilities."""
    parts = [
        pd.DataFrame({"path": table.paths}),
        pd.DataFrame(table.labels, columns=[f"true:{name}" for name in names]),
        pd.DataFrame((probabilities >= thresholds).astype(int), columns=list(names)),
        pd.DataFrame(probabilities, columns=[f"p:{name}" for name in names]),
    ]
    return pd.concat(parts, axis=1)


def _mistakes(table: FaceTable, predictions: pd.DataFrame) -> list[Picture]:
    wrong = predictions[~predictions["correct"]]
    shown = wrong.sort_values("probability", ascending=False).head(SHOWN_MISTAKES)
    captions = reports.mistake_captions(shown)
    return [
        Picture((images.thumbnail(table.root / path, THUMBNAIL),), caption)
        for path, caption in zip(shown["path"], captions, strict=True)
    ]


def _attribute_mistakes(
    table: FaceTable, names: tuple[str, ...], probabilities: np.ndarray
) -> list[Picture]:
    """Wrong attributes at threshold 0.5, those with the most extreme probability first."""
    wrong = (probabilities >= attributes.THRESHOLD) != np.asarray(table.labels).astype(bool)
    confidence = np.where(wrong, np.abs(probabilities - attributes.THRESHOLD), -1.0)
    order = np.argsort(-confidence, axis=None, kind="stable")[:SHOWN_MISTAKES]
    pictures = []
    for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True):
        if wrong[row, column]:
            path, share = table.paths[row], probabilities[row, column]
            truth = "not " if share >= attributes.THRESHOLD else ""
            caption = f"true: {truth}{names[column]}\nprobability {share:.0%}\n{file_name(path)}"
            image = images.thumbnail(table.root / path, THUMBNAIL)
            pictures.append(Picture((image,), caption))
    return pictures
