"""Probabilities and submissions from one run or several."""

from __future__ import annotations

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasface.data.submission import read_sample, submission_frame, write_submission
from kerasface.faces.detectors.registry import Detector
from kerasface.inference.photographs import cut_faces, draw_predictions
from kerasface.inference.reading import Images, readable_table
from kerasface.reports.attribute_words import decide, describe
from kerasface.runs.run import Run

Runs = str | os.PathLike | Run | Sequence[str | os.PathLike | Run]


def predict(
    runs: Runs,
    images: Images,
    *,
    detector: str | Detector | None = None,
    margin: float = 0.2,
    pictures: str | os.PathLike | None = None,
    flip: bool = False,
    batch_size: int = 64,
    verbose: int = 0,
) -> pd.DataFrame:
    """Probabilities of images by one run, or the mean of several.

    Args:
        runs: A run or its folder, or several, of the same classes or attributes.
        images: A folder, an image file, several of both, or a table; labels are not looked at.
        detector: A detector as in `kerasface.faces.detect`: every face that it finds is predicted,
            cut out upright; a photograph without one as a whole, with a warning. None predicts
            the images as they are.
        margin: What a cut leaves around the face at its nearer sides, as in
            `kerasface.faces.align`. The default is about what CelebA has; a run of other crops
            wants theirs. The cut has the shape of the (first) run's training images.
        pictures: Folder for a picture of each image (or face) and what is said of it.
        flip: Whether the probabilities of the mirrored images are averaged in.
        batch_size: Images a step.
        verbose: 1 shows a progress bar.

    Returns:
        One row an image, or with a detector a face: ``path`` (relative); with a detector ``face``
        (from 1, the best score first; 0 is the whole photograph); ``prediction``; and a
        column a class or attribute with its probability, named ``p:NAME``.

        Of classes ``prediction`` is the most probable, followed by ``probability``. Of attributes
        it is what `kerasface.reports.attribute_words` makes of those that reach their
        threshold, followed by a column of 0 and 1 an attribute; the thresholds are the mean of
        the runs'.

    Raises:
        ValueError: If the runs know different classes, or an image cannot be read.
        FileNotFoundError: If a path does not exist.

    Example:
        >>> frame = predict("runs/hw2p2", "data/test", flip=True)  # doctest: +SKIP
        >>> predict("runs/smiling", ["me.jpg", "holiday"], detector="mtcnn")  # doctest: +SKIP
    """
    opened = _open(runs)
    table = readable_table(images)
    with contextlib.ExitStack() as stack:
        shown, frame = table, pd.DataFrame({"path": table.paths})
        titles = table.paths.tolist()
        if detector is not None:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="kerasface-"))
            shape = opened[0].height_to_width
            shown, rows, numbers = cut_faces(table, pathlib.Path(place), detector, margin, shape)
            frame = frame.iloc[rows].reset_index(drop=True).assign(face=numbers)
            titles = [f"{path} face {n}" for path, n in zip(frame["path"], numbers, strict=True)]
        probabilities = _mean_probabilities(opened, shown, flip, batch_size, verbose)
        names, thresholds, decided = opened[0].names, None, None
        if opened[0].multi_label:
            thresholds = np.mean([run.thresholds for run in opened], axis=0)
            decided = decide(probabilities, names, thresholds)
            said = _said_attributes(names, decided)
        else:
            said = _said_classes(names, probabilities)
        if pictures is not None:
            draw_predictions(
                pathlib.Path(pictures),
                shown,
                titles,
                said["prediction"].tolist(),
                names,
                probabilities,
                thresholds,
                decided,
            )
    columns = pd.DataFrame(probabilities, columns=[f"p:{name}" for name in names])
    return pd.concat([frame, said, columns], axis=1)


def _said_classes(names, probabilities: np.ndarray) -> pd.DataFrame:
    best = probabilities.argmax(axis=1)
    return pd.DataFrame(
        {
            "prediction": np.asarray(names, dtype=object)[best],
            "probability": probabilities[np.arange(len(best)), best],
        }
    )


def _said_attributes(names, said: np.ndarray) -> pd.DataFrame:
    words = pd.DataFrame({"prediction": [describe(row, names) for row in said]})
    return pd.concat([words, pd.DataFrame(said.astype(int), columns=list(names))], axis=1)


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
    if opened[0].multi_label:
        raise ValueError(
            "A submission tells one of several classes an image. "
            f"Received: {opened[0].folder}, a run of attributes. Use predict."
        )
    names = opened[0].names
    table = readable_table(images)
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
        if run.names != opened[0].names or run.multi_label != opened[0].multi_label:
            first, other = (
                f"{each.folder} with {len(each.names)} "
                f"{'attributes' if each.multi_label else 'classes'}"
                for each in (opened[0], run)
            )
            raise ValueError(
                "Runs that are averaged must know the same classes or attributes. "
                f"Received: {first} and {other}, or others."
            )
    return opened


def _mean_probabilities(runs, table, flip, batch_size, verbose) -> np.ndarray:
    total = sum(
        run.predict(table, batch_size=batch_size, flip=flip, verbose=verbose) for run in runs
    )
    return total / len(runs)
