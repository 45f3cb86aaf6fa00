"""Probabilities and submissions from one run or several."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasface.data.folders import unlabeled_folder
from kerasface.data.table import FaceTable, check
from kerasface.evaluation.submission import read_sample, submission_frame, write_submission
from kerasface.training.run import Run

Runs = str | os.PathLike | Run | Sequence[str | os.PathLike | Run]
Images = str | os.PathLike | FaceTable


def predict(
    runs: Runs, images: Images, *, flip: bool = False, batch_size: int = 64, verbose: int = 0
) -> pd.DataFrame:
    """Class probabilities of images by one run, or the mean of several.

    Args:
        runs: A run or its folder, or several, of the same classes.
        images: A folder or a table; labels are not looked at.
        flip: Whether the probabilities of the mirrored images are averaged in.
        batch_size: Images a step.
        verbose: 1 shows a progress bar.

    Returns:
        One row an image: ``path`` (relative), ``prediction`` (class name), ``probability`` of
        it, and then a column a class with its probability, named ``p:NAME``.

    Raises:
        ValueError: If the runs know different classes, or an image cannot be read.

    Example:
        >>> frame = predict("runs/hw2p2", "data/test", flip=True)  # doctest: +SKIP
    """
    opened = _open(runs)
    names = opened[0].names
    table = _readable(images)
    probabilities = _mean_probabilities(opened, table, flip, batch_size, verbose)
    best = probabilities.argmax(axis=1)
    frame = pd.DataFrame(
        {
            "path": table.paths,
            "prediction": np.asarray(names, dtype=object)[best],
            "probability": probabilities[np.arange(len(best)), best],
        }
    )
    columns = [f"p:{name}" for name in names]
    return pd.concat([frame, pd.DataFrame(probabilities, columns=columns)], axis=1)


def submit(
    runs: Runs,
    images: Images,
    out: str | os.PathLike,
    *,
    sample: str | os.PathLike | None = None,
    label: str | None = None,
    flip: bool = False,
    batch_size: int = 64,
    verbose: int = 0,
) -> pathlib.Path:
    """Writes a submission for a folder of images.

    Args:
        runs: A run or its folder, or several, whose probabilities are averaged.
        images: The test folder or a table.
        out: The CSV file.
        sample: Sample submission that ids, columns and order are taken from; None makes
            ``id,label`` in the order of the paths.
        label: ``"index"`` or ``"name"``; None takes the sample's kind.
        flip: Whether the probabilities of the mirrored images are averaged in.
        batch_size: Images a step.
        verbose: 1 shows a progress bar.

    Returns:
        The path of the file.

    Raises:
        ValueError: If ids and files do not match (the first few are named), the runs know
            different classes, or an image cannot be read.

    Example:
        >>> submit("runs/hw2p2", "data/test", "submission.csv",
        ...        sample="data/sample_submission.csv", flip=True)  # doctest: +SKIP
    """
    opened = _open(runs)
    names = opened[0].names
    table = _readable(images)
    form = None if sample is None else read_sample(sample)
    # The ids are matched before the long part, so that a wrong folder costs no time.
    submission_frame(table.paths, np.zeros(len(table), int), names, sample=form, label=label)
    chosen = _mean_probabilities(opened, table, flip, batch_size, verbose).argmax(axis=1)
    frame = submission_frame(table.paths, chosen, names, sample=form, label=label)
    return write_submission(out, frame)


def _open(runs: Runs) -> list[Run]:
    given = [runs] if isinstance(runs, (str, os.PathLike, Run)) else list(runs)
    if not given:
        raise ValueError("At least one run is needed to predict. Received: none.")
    opened = [run if isinstance(run, Run) else Run(run) for run in given]
    for run in opened[1:]:
        if run.names != opened[0].names:
            raise ValueError(
                "Runs that are averaged must know the same classes. "
                f"Received: {opened[0].folder} with {len(opened[0].names)} classes and "
                f"{run.folder} with {len(run.names)}, or others."
            )
    return opened


def _readable(images: Images) -> FaceTable:
    table = images if isinstance(images, FaceTable) else unlabeled_folder(images)
    report = check(table, max_unreadable=1.0)
    if len(report.unreadable):
        first = [f"{row.path} ({row.reason})" for row in report.unreadable.head(3).itertuples()]
        raise ValueError(
            "Every image that is to be predicted must be readable. "
            f"Received: {len(report.unreadable)} that are not, for instance {'; '.join(first)}."
        )
    return report.table


def _mean_probabilities(runs, table, flip, batch_size, verbose) -> np.ndarray:
    total = sum(
        run.predict(table, batch_size=batch_size, flip=flip, verbose=verbose) for run in runs
    )
    return total / len(runs)
