"""What a run is worth: figures, tables and pictures of its predictions, and a page of it all."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
import time
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from kerasface import images
from kerasface.data.table import FaceTable, check
from kerasface.evaluation import plots
from kerasface.evaluation.classification import Classification, evaluate
from kerasface.evaluation.report import (
    Section,
    facts_section,
    figure_section,
    report_html,
    table_section,
)
from kerasface.files import replacing
from kerasface.training import run as run_files
from kerasface.training.record import read_images
from kerasface.training.run import Run

SHOWN_MISTAKES = 24
SHOWN_CLASSES = 20
THUMBNAIL = 160  # pixels
TIMED_BATCHES, TIMED_IMAGES = 3, 8


@dataclasses.dataclass(frozen=True)
class Judgement:
    """A run's predictions on a table, judged.

    Attributes:
        classification: The figures; see `kerasface.evaluation.classification.evaluate`.
        figures: Title to picture.
    """

    classification: Classification
    figures: dict[str, Figure]


def judge(
    run: Run,
    table: FaceTable,
    folder: pathlib.Path,
    *,
    flip: bool = False,
    batch_size: int = 64,
    verbose: int = 0,
) -> Judgement:
    """Predicts a table and writes what comes of it.

    Args:
        run: Whose kept weights predict.
        table: Images with the run's classes; those that cannot be read are left out.
        folder: Takes ``metrics.json``, ``per_class.csv``, ``predictions.csv`` and pictures.
        flip: Whether the probabilities of the mirrored images are averaged in.
        batch_size: Images a step.
        verbose: 1 shows a progress bar.

    Returns:
        The figures and the pictures.
    """
    table = check(table, max_unreadable=1.0).table  # a file may have broken since
    probabilities = run.predict(table, batch_size=batch_size, flip=flip, verbose=verbose)
    labels = np.asarray(table.labels)
    result = evaluate(labels, probabilities, run.names, paths=table.paths)
    result.metrics["inference_images_per_second"] = inference_speed(run)
    figures = {
        "Confusion": plots.confusion_matrix(labels, probabilities.argmax(axis=1), run.names),
        "Calibration": plots.calibration(labels, probabilities),
        "Most confident mistakes": _gallery(table, result.predictions),
    }
    if len(set(labels.tolist())) > 1:
        figures["ROC curves"] = plots.roc_curves(labels, probabilities, run.names)
    write_json(folder / run_files.METRICS, result.metrics)
    for name, frame in (("per_class", result.per_class), ("predictions", result.predictions)):
        with replacing(folder / f"{name}.csv") as part:
            frame.to_csv(part, index=False)
    for title, figure in figures.items():
        with replacing(folder / f"{title.lower().replace(' ', '_')}.png") as part:
            figure.savefig(part)
    return Judgement(result, figures)


def write_report(
    run: Run, path: pathlib.Path, judgement: Judgement | None = None, *, on: str = "validation"
) -> None:
    """Writes a page on a run that needs no other file.

    Args:
        run: Whose recipe, data and curves are shown.
        path: The HTML file.
        judgement: What `judge` gave; None leaves the figures of predictions out.
        on: What was judged on, in words.
    """
    sections = [
        facts_section("Data", _data(run)),
        figure_section("Curves", plots.training_curves(run.history)),
    ]
    if judgement is not None:
        sections = [*_judged(judgement, on), *sections]
    sections.append(facts_section("Recipe", _flat(dataclasses.asdict(run.recipe))))
    environment = run.path(run_files.ENVIRONMENT).read_text(encoding="utf-8")
    sections.append(facts_section("Environment", _flat(json.loads(environment))))
    with replacing(path) as part:
        part.write_text(report_html(run.folder.name, sections), encoding="utf-8")


def write_json(path: pathlib.Path, values: dict[str, Any]) -> None:
    """Writes numbers by name; what is no number becomes null, which JSON has."""
    plain = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }
    with replacing(path) as part:
        part.write_text(json.dumps(plain, indent=2) + "\n", encoding="utf-8")


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


def _judged(judgement: Judgement, on: str) -> list[Section]:
    result = judgement.classification
    metrics = dict(result.metrics)
    low, high = metrics.pop("accuracy_low"), metrics.pop("accuracy_high")
    note = f"Accuracy on {on}: {metrics['accuracy']:.2%} (95% interval {low:.2%} to {high:.2%})."
    worst = result.per_class[result.per_class["images"] > 0].sort_values("accuracy")
    return [
        facts_section(f"Figures on {on}", metrics, note),
        *(figure_section(title, figure) for title, figure in judgement.figures.items()),
        table_section(
            "Classes" if len(worst) <= SHOWN_CLASSES else f"The {SHOWN_CLASSES} worst classes",
            worst.head(SHOWN_CLASSES),
        ),
    ]


def _data(run: Run) -> dict[str, Any]:
    frame = read_images(run.folder)
    facts: dict[str, Any] = {"classes": len(run.names)}
    for side, rows in frame.groupby("side", sort=False):
        counts = rows.groupby("label").size()
        facts[f"{side} images"] = len(rows)
        facts[f"{side} images a class"] = f"{counts.min()} to {counts.max()}"
    return facts


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


def _flat(values: dict[str, Any]) -> dict[str, str]:
    return {
        key: ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        for key, value in values.items()
        if value not in (None, (), [], {})
    }
