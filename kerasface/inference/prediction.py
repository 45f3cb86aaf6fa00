"""`predict` and `submit`: predictions of one model, or the mean of several."""

from __future__ import annotations

import contextlib
import math
import os
import pathlib
import tempfile
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kerasface.checks import check_choice, check_flag, check_number, check_unused
from kerasface.data.submission import read_sample, submission_frame, write_submission
from kerasface.data.table import FaceTable
from kerasface.faces.detectors.registry import DEFAULT, Detector
from kerasface.files import check_file_to_write, check_folder_to_write
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.photographs import (
    BOX,
    Predictions,
    cut_faces,
    draw_photographs,
    draw_predictions,
)
from kerasface.inference.predictor import Models, Predictor, open_predictors, train_shares
from kerasface.inference.reading import Images, readable_table, run_of
from kerasface.reports.attribute_words import decide

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
    only: Sequence[str] | None = None,
    threshold: float | None = None,
    names: Sequence[str] | None = None,
    flip: bool | None = None,
    batch_size: int = 64,
    verbose: int = 0,
) -> pd.DataFrame:
    """Predicts classes or attributes of images with one model, or the mean of several.

    Args:
        model: Run, run folder, ``.keras`` file or Keras model, or several of them with the same
            classes or attributes. A model that is not a run must end with a softmax (classes) or
            a sigmoid (attributes), and sees whole images.
        images: A folder, an image file, several of both, or a table; labels are ignored.
        detect: If True, find the faces first. Every face is cropped upright and predicted; a
            photograph without a face is predicted as a whole, with a warning.
        detector: A detector as in `kerasface.faces.detect`, with ``detect=True`` only. None is
            ``"blazeface"``.
        margin: Margin around each detected face, as a share of its size, as in
            `kerasface.faces.align`, with ``detect=True`` only. None is 0.2, about that of CelebA;
            a run that was trained on other crops needs their margin. The crop has the aspect
            ratio of the (first) run's training images.
        pictures: Folder for a picture of each image (or face) with its prediction. With
            ``detect=True`` there is also a picture of each photograph with all its faces.
        only: Attributes to show, in this order. None shows all. For models of attributes.
        threshold: Minimum probability at which an attribute is predicted, in [0, 1]. None takes
            the thresholds of the run (the mean for several), and 0.5 for other models. For models
            of attributes.
        names: Class or attribute names of a model that is not a run, one per output. None numbers
            the outputs from 0.
        flip: If True, average predictions over each image and its mirror image. None does not.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        One row per image, or per face with ``detect=True``: ``path`` (relative); for faces
        ``face`` (from 1, the best score first; 0 is the whole photograph) and the box ``left``,
        ``top``, ``width``, ``height`` in pixels of the photograph; ``prediction``; and the
        probability of each class or attribute, in a column ``p:NAME``.

        For classes, ``prediction`` is the most probable one, followed by ``probability``. For
        attributes, it is a description by `kerasface.reports.attribute_words` of those that reach
        their threshold, followed by a column of 0 and 1 per attribute.

    Raises:
        ValueError: If the models have different classes, an option has no effect, or an image is
            unreadable.
        FileNotFoundError: If a path does not exist.

    Example:
        >>> frame = predict("runs/hw2p2", "data/test", flip=True)  # doctest: +SKIP
        >>> predict("runs/smiling", ["me.jpg", "holiday"], detect=True)  # doctest: +SKIP
    """
    check_flag("detect", detect)
    if not detect:
        remedy = "Use detect=True (--detect)."
        options = {"detector": detector, "margin": margin}
        check_unused("without detection", options, remedy=remedy)
    if pictures is not None:
        check_folder_to_write("pictures", pictures)
    opened = open_predictors(model, names)
    chosen = _shown_attributes(opened[0], only, threshold)
    limits = _thresholds(opened, threshold)
    table = readable_table(images, verbose=verbose)
    with contextlib.ExitStack() as stack:
        shown, frame = table, pd.DataFrame({"path": table.paths})
        titles = table.paths.tolist()
        if detect:
            place = stack.enter_context(tempfile.TemporaryDirectory(prefix="kerasface-"))
            shown, faces = cut_faces(
                table,
                pathlib.Path(place),
                DEFAULT if detector is None else detector,
                MARGIN if margin is None else margin,
                opened[0].height_to_width,
                verbose=verbose,
            )
            frame = frame.iloc[faces["row"]].reset_index(drop=True)
            frame[["face", *BOX]] = faces[["face", *BOX]]
            titles = [
                f"{path} face {number}" if number else path
                for path, number in zip(frame["path"], faces["face"], strict=True)
            ]
        probabilities = _mean_probabilities(opened, shown, bool(flip), batch_size, verbose)
        predictions = _predictions(opened[0].names, probabilities, limits, chosen)
        if pictures is not None:
            try:
                draw_predictions(pathlib.Path(pictures), shown, titles, predictions)
                if detect:
                    draw_photographs(pathlib.Path(pictures), table, faces, predictions.captions)
            except OSError as error:  # the predictions must not be lost
                warnings.warn(f"not all pictures could be written: {error}", stacklevel=3)
    return pd.concat([frame, predictions.to_frame()], axis=1)


@explain_old_calls
def submit(
    model: Models,
    images: Images,
    out: str | os.PathLike,
    *,
    sample: str | os.PathLike | None = None,
    label: str | None = None,
    names: Sequence[str] | None = None,
    flip: bool | None = None,
    batch_size: int = 64,
    verbose: int = 0,
) -> pathlib.Path:
    """Predicts a folder of images and writes a submission.

    Args:
        model: Run, run folder, ``.keras`` file or Keras model, or several of them, whose
            probabilities are averaged.
        images: The test folder or a table.
        out: CSV file to write.
        sample: Sample submission with the ids, columns and order. None writes ``id,label`` in the
            order of the paths.
        label: ``"index"`` or ``"name"``; None takes the kind of the sample's labels.
        names: Class names of a model that is not a run, as in `predict`.
        flip: If True, average predictions over each image and its mirror image. None does not.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        The path of the file.

    Raises:
        ValueError: If ids and files do not match (the first few are named), the models have
            different classes, or an image is unreadable.

    Example:
        >>> submit("runs/hw2p2", "data/test", "submission.csv",
        ...        sample="data/sample_submission.csv", flip=True)  # doctest: +SKIP
    """
    check_file_to_write("out", out)
    opened = open_predictors(model, names)
    if opened[0].multi_label:
        raise ValueError(
            "A submission needs a model of classes. "
            f"Received: {opened[0].title}, a model of attributes. Use predict."
        )
    classes = opened[0].names
    table = readable_table(images, verbose=verbose)
    form = None if sample is None else read_sample(sample)
    # The ids are matched before the predictions, so that a wrong folder is reported at once.
    submission_frame(table.paths, np.zeros(len(table), int), classes, sample=form, label=label)
    probabilities = _mean_probabilities(opened, table, bool(flip), batch_size, verbose)
    chosen = probabilities.argmax(axis=1)
    frame = submission_frame(table.paths, chosen, classes, sample=form, label=label)
    return write_submission(out, frame)


def attribute_summary(frame: pd.DataFrame, model: Models) -> pd.DataFrame:
    """Counts the predicted attributes, beside their shares in the training images.

    Args:
        frame: Result of `predict`.
        model: The model, or several of them; the training images are those of the first one.

    Returns:
        One row per attribute: ``attribute``, ``predicted`` (number of images or faces) and
        ``train_share`` (share of the run's training images that have the attribute; NaN if it is
        not known). The majority guess is yes for a share of at least 0.5. Empty for classes.

    Example:
        >>> frame = predict("runs/forty", "photographs")  # doctest: +SKIP
        >>> attribute_summary(frame, "runs/forty")  # doctest: +SKIP
    """
    first = model[0] if isinstance(model, (list, tuple)) else model
    columns = ["attribute", "predicted", "train_share"]
    shown = [
        name[2:] for name in map(str, frame.columns) if name.startswith("p:") and name[2:] in frame
    ]
    if "probability" in frame or not shown:
        return pd.DataFrame(columns=columns)
    shares = train_shares(run_of(first))
    rows = [(name, int(frame[name].sum()), shares.get(name, math.nan)) for name in shown]
    return pd.DataFrame(rows, columns=columns)


def _shown_attributes(
    predictor: Predictor, only: Sequence[str] | None, threshold: float | None
) -> list[int] | None:
    """Positions of the attributes to show; None for classes."""
    if not predictor.multi_label:
        situation = f"for a model of classes ({predictor.title})"
        check_unused(situation, {"only": only, "threshold": threshold})
        return None
    if threshold is not None:
        check_number("threshold", threshold, 0, 1)
    if only is None:
        return list(range(len(predictor.names)))
    listed = [only] if isinstance(only, str) else list(only)
    for name in listed:
        check_choice("only", name, predictor.names)
    if not listed:
        raise ValueError("`only` must name at least one attribute. Received: none.")
    return [predictor.names.index(name) for name in dict.fromkeys(listed)]


def _thresholds(predictors: Sequence[Predictor], threshold: float | None) -> np.ndarray | None:
    """The thresholds of the attributes, ``[names]``; None for classes."""
    if not predictors[0].multi_label:
        return None
    if threshold is not None:
        return np.full(len(predictors[0].names), float(threshold))
    limits = [each.thresholds for each in predictors if each.thresholds is not None]
    return np.asarray(np.mean(limits, axis=0))


def _predictions(
    names: Sequence[str],
    probabilities: np.ndarray,
    thresholds: np.ndarray | None,
    chosen: list[int] | None,
) -> Predictions:
    if thresholds is None or chosen is None:
        return Predictions(names, probabilities)
    # Attributes that exclude each other are decided before some of them are left out.
    predicted = decide(probabilities, names, thresholds)[:, chosen]
    shown = [names[position] for position in chosen]
    return Predictions(shown, probabilities[:, chosen], thresholds[chosen], predicted)


def _mean_probabilities(
    predictors: Sequence[Predictor], table: FaceTable, flip: bool, batch_size: int, verbose: int
) -> np.ndarray:
    predicted = [
        predictor.predict(table, batch_size=batch_size, flip=flip, verbose=verbose)
        for predictor in predictors
    ]
    return np.asarray(sum(predicted) / len(predicted))
