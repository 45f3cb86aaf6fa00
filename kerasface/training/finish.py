"""The finished run: its metrics, evaluation and report."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kerasface.data.reading import sampled_sizes
from kerasface.data.table import FaceTable
from kerasface.files import write_json
from kerasface.runs import run as run_files
from kerasface.runs.embedding_evaluation import evaluate_embeddings
from kerasface.runs.evaluation import choose_thresholds, evaluate_run
from kerasface.runs.provenance import note_end
from kerasface.runs.report import write_report
from kerasface.runs.run import Run
from kerasface.training.job import Job
from kerasface.training.progress import best_row


def finish(job: Job, *, report: bool) -> Run:
    """Writes what a run folder holds after the last epoch.

    Args:
        job: The training, whose phases are over.
        report: If True, evaluate the kept weights on the validation images and write
            ``report.html``.

    Returns:
        The run.
    """
    run, validation = Run(job.folder), job.validation
    _write_metrics(run, job)
    if report:
        folder = run.path(run_files.VALIDATION)
        evaluation = None
        if validation is not None and run.embeds:
            evaluation = evaluate_embeddings(run, validation, folder)
        elif validation is not None:
            evaluation = evaluate_run(run, validation, folder, thresholds=run.multi_label)
        write_report(run, run.path(run_files.REPORT), evaluation)
    elif run.multi_label and validation is not None:
        choose_thresholds(run, validation, batch_size=job.recipe.batch_size)
    note_end(run.folder)
    return run


def _write_metrics(run: Run, job: Job) -> None:
    history, recipe, train, model = run.history, job.recipe, job.train, job.model
    monitor = recipe.monitor if recipe.monitor in history else None
    row = best_row(history, monitor) if monitor else len(history) - 1
    seconds = max(float(history["seconds"].median()), 0.001)  # the resolution of a row
    metrics = {
        "best": _plain(history.iloc[row]),
        "last": _plain(history.iloc[-1]),
        "kept": "best" if monitor and recipe.keep == "best" else "last",
        "train_images": len(train),
        "height_to_width": _height_to_width(train),
        "validation_images": 0 if job.validation is None else len(job.validation),
        "attributes" if train.multi_label else "classes": len(train.names),
        "parameters": model.count_params(),
        "trainable_parameters": int(sum(np.prod(v.shape) for v in model.trainable_variables)),
        "seconds_per_epoch": round(seconds, 3),
        "images_per_second": round(len(train) / seconds, 2),
    }
    write_json(run.path(run_files.METRICS), metrics)


def _height_to_width(table: FaceTable) -> float:
    """Median of height over width, of a sample of the images."""
    sizes = sampled_sizes(table.full_paths())
    return round(float(np.median(sizes[:, 1] / sizes[:, 0])), 3) if len(sizes) else 1.0


def _plain(row: pd.Series) -> dict[str, Any]:
    values = row.to_dict()
    return {str(key): int(values[key]) if key == "epoch" else float(values[key]) for key in values}
