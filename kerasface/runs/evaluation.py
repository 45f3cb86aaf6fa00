"""What a run is worth: figures, tables and pictures of its predictions."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from kerasface import images
from kerasface.data.table import FaceTable, check
from kerasface.metrics import attributes, classification
from kerasface.reports import attributes as attribute_plots
from kerasface.reports import classification as plots
from kerasface.metrics.attributes import AttributeFigures
from kerasface.metrics.classification import Classification
from kerasface.reports.style import save_figures
from kerasface.metrics.verification import Verification
from kerasface.files import replacing, write_json
from kerasface.runs import run as run_files
from kerasface.runs.run import Run

SHOWN_MISTAKES = 24
SHOWN_CLASSES = 20
THUMBNAIL = 160  # pixels
TIMED_BATCHES, TIMED_IMAGES = 3, 8
# Figures of attributes that depend on the thresholds, told for 0.5 beside the run's own.
THRESHOLDED = (
    "mean_accuracy",
    "mean_accuracy_low",
    "mean_accuracy_high",
    "mean_balanced_accuracy",
    "f1_macro",
    "f1_micro",
    "f1_example_based",
)
PLAIN = "_at_half"


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A run's predictions on a table, judged.

    Attributes:
        result: The figures; see `kerasface.metrics.classification.evaluate` and
            `kerasface.metrics.attributes.evaluate`.
        summary: The most important of them, in words.
        facts: Name to number, for a page.
        figures: Title to picture.
        tables: Title to table, for a page.
    """

    result: Classification | AttributeFigures | Verification | None
    summary: str
    facts: dict[str, Any]
    figures: dict[str, Figure]
    tables: dict[str, pd.DataFrame]


def judge(
    run: Run,
    table: FaceTable,
    folder: pathlib.Path,
    *,
    thresholds: bool = False,
    flip: bool = False,
    batch_size: int = 64,
    verbose: int = 0,
) -> Judgement:
    """Predicts a table and writes what comes of it.

    Args:
        run: Whose kept weights predict.
        table: Images with the run's classes or attributes; those that cannot be read are left
            out.
        folder: Takes ``metrics.json``, ``per_class.csv`` or ``per_attribute.csv``,
            ``predictions.csv`` and pictures.
        thresholds: Whether the run's thresholds of attributes are chosen on this table first, as
            `choose_thresholds` does.
        flip: Whether the probabilities of the mirrored images are averaged in.
        batch_size: Images a step.
        verbose: 1 shows a progress bar.

    Returns:
        The figures and the pictures.
    """
    table = check(table, max_unreadable=1.0).table  # a file may have broken since
    probabilities = run.predict(table, batch_size=batch_size, flip=flip, verbose=verbose)
    if thresholds:
        _write_thresholds(run, table, probabilities)
    judge_one = _judge_attributes if run.multi_label else _judge_classes
    judgement, frames = judge_one(run, table, probabilities)
    speed = inference_speed(run)
    for numbers in (judgement.result.metrics, judgement.facts):
        numbers["inference_images_per_second"] = speed
    write_json(folder / run_files.METRICS, judgement.result.metrics)
    for name, frame in frames.items():
        with replacing(folder / f"{name}.csv") as part:
            frame.to_csv(part, index=False)
    save_figures(judgement.figures, folder)
    return judgement


def choose_thresholds(run: Run, table: FaceTable, *, batch_size: int = 64) -> None:
    """Writes for each attribute the threshold of the best F1 into a run.

    Args:
        run: A run of attributes.
        table: Validation images that it was not trained on; never those of the test.
        batch_size: Images a step.
    """
    table = check(table, max_unreadable=1.0).table
    _write_thresholds(run, table, run.predict(table, batch_size=batch_size))


def _write_thresholds(run: Run, table: FaceTable, probabilities: np.ndarray) -> None:
    chosen = attributes.best_thresholds(np.asarray(table.labels), probabilities, run.names)
    write_json(run.path(run_files.THRESHOLDS), dict(zip(run.names, chosen.tolist(), strict=True)))


def _judge_classes(run: Run, table: FaceTable, probabilities: np.ndarray):
    labels = np.asarray(table.labels)
    result = classification.evaluate(labels, probabilities, run.names, paths=table.paths)
    figures = {
        "Confusion": plots.confusion_matrix(labels, probabilities.argmax(axis=1), run.names),
        "Calibration": plots.calibration(labels, probabilities),
        "Most confident mistakes": _gallery(table, result.predictions),
    }
    if len(set(labels.tolist())) > 1:
        figures["ROC curves"] = plots.roc_curves(labels, probabilities, run.names)
    facts = dict(result.metrics)
    low, high = facts.pop("accuracy_low"), facts.pop("accuracy_high")
    summary = f"accuracy {facts['accuracy']:.2%} (95% interval {low:.2%} to {high:.2%})."
    worst = result.per_class[result.per_class["images"] > 0].sort_values("accuracy")
    title = "Classes" if len(worst) <= SHOWN_CLASSES else f"The {SHOWN_CLASSES} worst classes"
    judgement = Judgement(result, summary, facts, figures, {title: worst.head(SHOWN_CLASSES)})
    return judgement, {"per_class": result.per_class, "predictions": result.predictions}


def _judge_attributes(run: Run, table: FaceTable, probabilities: np.ndarray):
    labels, names, thresholds = np.asarray(table.labels), run.names, run.thresholds
    result = attributes.evaluate(labels, probabilities, names, thresholds=thresholds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the same as of the line above
        plain = attributes.evaluate(labels, probabilities, names)
    for key in THRESHOLDED:
        result.metrics[f"{key}{PLAIN}"] = plain.metrics[key]
    for key in ("accuracy", "gain", "f1"):
        result.per_attribute[f"{key}{PLAIN}"] = plain.per_attribute[key]
    figures = attribute_plots.attribute_figures(
        labels,
        probabilities,
        names,
        plain.per_attribute,
        thresholds=thresholds,
        gain_title="Every attribute said from probability 0.5 on",
    )
    facts = dict(result.metrics)
    low, high = (facts[f"mean_accuracy_{end}{PLAIN}"] for end in ("low", "high"))
    chosen = "the thresholds of the run, which were chosen on the validation images"
    if not run.path(run_files.THRESHOLDS).is_file():
        chosen = "0.5"
    summary = (
        f"mean accuracy {facts[f'mean_accuracy{PLAIN}']:.2%} at threshold 0.5 (95% interval "
        f"{low:.2%} to {high:.2%}; majority guess {facts['mean_majority_accuracy']:.2%}), macro "
        f"F1 {facts['f1_macro']:.3f} at {chosen}."
    )
    said = pd.DataFrame((probabilities >= thresholds).astype(int), columns=list(names))
    predictions = pd.concat(
        [
            pd.DataFrame({"path": table.paths}),
            pd.DataFrame(labels, columns=[f"true:{name}" for name in names]),
            said,
            pd.DataFrame(probabilities, columns=[f"p:{name}" for name in names]),
        ],
        axis=1,
    )
    judgement = Judgement(result, summary, facts, figures, {"Attributes": result.per_attribute})
    return judgement, {"per_attribute": result.per_attribute, "predictions": predictions}


def inference_speed(run: Run) -> float:
    """Images a second of the run's model alone, in batches of 8 on noise; median of a few."""
    model = run.load_model()
    shape = (TIMED_IMAGES, *model.input_shape[1:])
    batch = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    seconds = []
    for _ in range(TIMED_BATCHES + 1):
        start = time.perf_counter()
        model.predict_on_batch(batch)
        seconds.append(time.perf_counter() - start)
    return round(TIMED_IMAGES / float(np.median(seconds[1:])), 1)  # the first traces


def _gallery(table: FaceTable, predictions: pd.DataFrame) -> Figure:
    wrong = predictions[~predictions["correct"]]
    shown = wrong.sort_values("probability", ascending=False).head(SHOWN_MISTAKES)
    pictures = []
    for path in shown["path"]:
        data = pathlib.Path(os.path.join(table.root, path)).read_bytes()
        picture = Image.fromarray(images.decode(data))
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        pictures.append(np.asarray(picture))
    return plots.mistakes_gallery(pictures, plots.mistake_captions(shown))
