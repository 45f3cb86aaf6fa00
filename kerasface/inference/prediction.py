"""`predict` and `submit`: predictions of one run, or the mean of several."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pandas as pd

from kerasface.checks import check_flag
from kerasface.data.submission import read_sample, submission_frame, write_submission
from kerasface.data.table import FaceTable
from kerasface.faces.detectors.registry import Detector
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.photographs import Predictions, cut_faces, draw_predictions
from kerasface.inference.reading import Images, readable_table
from kerasface.reports.attribute_words import decide
from kerasface.runs.run import Run

Models: TypeAlias = str | os.PathLike | Run | Sequence[str | os.PathLike | Run]

DETECTOR = "mtcnn"
MARGIN = 0.2  # about that of CelebA's aligned images


@explain_old_calls
def predict(
    model: Models,
    images: Images,
    *,
    detect: bool = False,
    detector: str | Detector | None = None,
    margin: float | None = None,
    pictures: str | os.PathLike | None = None,
    flip: bool | None = None,
    batch_size: int = 64,
    verbose: int = 0,
) -> pd.DataFrame:
    """Predicts classes or attributes of images with one run, or the mean of several.

    Args:
        model: Run or run folder, or several of them, with the same classes or attributes.
        images: A folder, an image file, several of both, or a table; labels are ignored.
        detect: If True, find the faces first. Every face is cropped upright and predicted; a
            photograph without a face is predicted as a whole, with a warning.
        detector: A detector as in `kerasface.faces.detect`, with ``detect=True`` only. None is
            ``"mtcnn"``.
        margin: Margin around each detected face, as a share of its size, as in
            `kerasface.faces.align`, with ``detect=True`` only. None is 0.2, about that of CelebA;
            a run that was trained on other crops needs their margin. The crop has the aspect
            ratio of the (first) run's training images.
        pictures: Folder for a picture of each image (or face) with its prediction.
        flip: If True, average predictions over each image and its mirror image. None does not.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        One row per image, or per face with ``detect=True``: ``path`` (relative); for faces
        ``face`` (from 1, the best score first; 0 is the whole photograph); ``prediction``; and the
        probability of each class or attribute, in a column ``p:NAME``.

        For classes, ``prediction`` is the most probable one, followed by ``probability``. For
        attributes, it is a description by `kerasface.reports.attribute_words` of those that reach
        their threshold, followed by a column of 0 and 1 per attribute; the thresholds are the mean
        of the runs' thresholds.

    Raises:
        ValueError: If the runs have different classes, or an image is unreadable.
        FileNotFoundError: If a path does not exist.

    Example:
        >>> frame = predict("runs/hw2p2", "data/test", flip=True)  # doctest: +SKIP
        >>> predict("runs/smiling", ["me.jpg", "holiday"], detect=True)  # doctest: +SKIP
    """
    _check_detection(detect, detector, margin)
    opened = _open(model)
    table = readable_table(images)
    with contextlib.ExitStack() as stack:
        shown, frame = table, pd.DataFrame({"path": table.paths})
        titles = table.paths.tolist()
        if detect:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="kerasface-"))
            shape = opened[0].height_to_width
            shown, rows, numbers = cut_faces(
                table,
                pathlib.Path(place),
                DETECTOR if detector is None else detector,
                MARGIN if margin is None else margin,
                shape,
            )
            frame = frame.iloc[rows].reset_index(drop=True).assign(face=numbers)
            titles = [f"{path} face {n}" for path, n in zip(frame["path"], numbers, strict=True)]
        predictions = _predict(opened, shown, bool(flip), batch_size, verbose)
        if pictures is not None:
            draw_predictions(pathlib.Path(pictures), shown, titles, predictions)
    return pd.concat([frame, predictions.to_frame()], axis=1)


@explain_old_calls
def submit(
    model: Models,
    images: Images,
    out: str | os.PathLike,
    *,
    sample: str | os.PathLike | None = None,
    label: str | None = None,
    flip: bool | None = None,
    batch_size: int = 64,
    verbose: int = 0,
) -> pathlib.Path:
    """Predicts a folder of images and writes a submission.

    Args:
        model: Run or run folder, or several of them, whose probabilities are averaged.
        images: The test folder or a table.
        out: CSV file to write.
        sample: Sample submission with the ids, columns and order. None writes ``id,label`` in the
            order of the paths.
        label: ``"index"`` or ``"name"``; None takes the kind of the sample's labels.
        flip: If True, average predictions over each image and its mirror image. None does not.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        The path of the file.

    Raises:
        ValueError: If ids and files do not match (the first few are named), the runs have
            different classes, or an image is unreadable.

    Example:
        >>> submit("runs/hw2p2", "data/test", "submission.csv",
        ...        sample="data/sample_submission.csv", flip=True)  # doctest: +SKIP
    """
    opened = _open(model)
    if opened[0].multi_label:
        raise ValueError(
            "A submission needs a run of classes. "
            f"Received: {opened[0].folder}, a run of attributes. Use predict."
        )
    names = opened[0].names
    table = readable_table(images)
    form = None if sample is None else read_sample(sample)
    # The ids are matched before the long part, so that a wrong folder costs no time.
    submission_frame(table.paths, np.zeros(len(table), int), names, sample=form, label=label)
    chosen = _mean_probabilities(opened, table, bool(flip), batch_size, verbose).argmax(axis=1)
    frame = submission_frame(table.paths, chosen, names, sample=form, label=label)
    return write_submission(out, frame)


def _check_detection(detect: bool, detector: object, margin: float | None) -> None:
    check_flag("detect", detect)
    if not detect:
        for name, value in (("detector", detector), ("margin", margin)):
            if value is not None:
                raise ValueError(
                    f"`{name}` needs detect=True (--detect). Received: {name}={value!r} without it."
                )


def _open(model: Models) -> list[Run]:
    given = [model] if isinstance(model, (str, os.PathLike, Run)) else list(model)
    if not given:
        raise ValueError("A prediction needs at least one run. Received: none.")
    opened = [run if isinstance(run, Run) else Run(run) for run in given]
    for run in opened[1:]:
        if run.names != opened[0].names or run.multi_label != opened[0].multi_label:
            first, other = (
                f"{each.folder} with {len(each.names)} "
                f"{'attributes' if each.multi_label else 'classes'}"
                for each in (opened[0], run)
            )
            raise ValueError(
                "Runs can only be averaged if they have the same classes or attributes. "
                f"Received: {first} and {other}, or others."
            )
    return opened


def _predict(
    runs: Sequence[Run], table: FaceTable, flip: bool, batch_size: int, verbose: int
) -> Predictions:
    probabilities = _mean_probabilities(runs, table, flip, batch_size, verbose)
    if not runs[0].multi_label:
        return Predictions(runs[0].names, probabilities)
    thresholds = np.mean([run.thresholds for run in runs], axis=0)
    said = decide(probabilities, runs[0].names, thresholds)
    return Predictions(runs[0].names, probabilities, thresholds, said)


def _mean_probabilities(
    runs: Sequence[Run], table: FaceTable, flip: bool, batch_size: int, verbose: int
) -> np.ndarray:
    predicted = [
        run.predict(table, batch_size=batch_size, flip=flip, verbose=verbose) for run in runs
    ]
    return np.asarray(sum(predicted) / len(predicted))
