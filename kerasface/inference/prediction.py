"""`predict` and `submit`: predictions of one model, or the mean of several."""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kerasface.checks import check_choice, check_flag, check_number, check_unused
from kerasface.data.image_list import AnyImages, ImageList, image_list
from kerasface.data.submission import read_sample, submission_frame, write_submission
from kerasface.faces.detectors.registry import Detector
from kerasface.faces.preparation import FACES, Preparation
from kerasface.files import check_file_to_write, check_folder_to_write
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.framing import (
    SAMPLE,
    face_share,
    warn_about_crops,
    warn_about_photographs,
)
from kerasface.inference.photographs import (
    BOX,
    FACE_SIZE,
    FaceCutter,
    Predictions,
    draw_photograph,
    draw_predictions,
)
from kerasface.inference.predictor import Models, Predictor, open_predictors, train_shares
from kerasface.inference.readable import readable_images
from kerasface.inference.reading import run_of
from kerasface.progress import track
from kerasface.reports.attribute_words import decide

AT_ONCE = 16  # photographs in the memory
MARGIN = 0.2  # about that of CelebA's aligned images


@explain_old_calls
def predict(
    model: Models,
    images: AnyImages,
    *,
    detect: bool = False,
    detector: str | Detector | None = None,
    margin: float | None = None,
    faces: str = "all",
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
        images: A folder; an image, which is a path, an array, a PIL image, bytes or a binary file
            as for `kerasface.images.as_image`; a list of these; a table, whose labels are ignored;
            or an array ``[N, H, W, channels]``.
        detect: If True, find the faces first. Every face is cropped upright and predicted; a
            photograph without a face is predicted as a whole, with a warning.
        detector: A detector as in `kerasface.faces.detect`, with ``detect=True`` only. None is
            that of the crops that the (first) run was trained on, else the default detector.
        margin: Margin around each detected face, as a share of its size, as in
            `kerasface.faces.align`, with ``detect=True`` only. None is that of the crops that the
            run was trained on (`Run.preparation`, which also knows their alignment), else 0.2,
            about that of CelebA. The crop has the aspect ratio of the run's training images.
        faces: Which faces of a photograph are predicted, with ``detect=True`` only: ``"all"``,
            ``"largest"``, ``"central"`` or ``"best"`` (highest score).
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
        One row per image, or per face with ``detect=True``: ``path`` (relative; ``image 1``,
        ``image 2``, ... by their position for images in memory); for faces
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
    _check_detection(detect, detector, margin, faces)
    if pictures is not None:
        check_folder_to_write("pictures", pictures)
    opened = open_predictors(model, names)
    chosen = _shown_attributes(opened[0], only, threshold)
    work = _Work(opened, chosen, _thresholds(opened, threshold), bool(flip), batch_size)
    listed = readable_images(images, verbose=verbose)
    drawer = _Drawer(None if pictures is None else pathlib.Path(pictures))
    if detect:
        cutter = FaceCutter(
            _preparation(opened[0], detector, margin, faces), opened[0].height_to_width
        )
        frame, predictions = _predict_faces(work, listed, cutter, drawer, verbose)
    else:
        first = model[0] if isinstance(model, (list, tuple)) else model
        warn_about_photographs(
            listed, run=run_of(first), preparation=opened[0].preparation, stacklevel=3
        )
        frame, predictions = pd.DataFrame({"path": listed.names}), work.predict(listed, verbose)
        drawer.draw(listed, listed.names, predictions)
    if drawer.errors:  # the predictions must not be lost
        warnings.warn(f"not all pictures could be written: {drawer.errors[0]}", stacklevel=3)
    return pd.concat([frame, predictions.to_frame()], axis=1)


@explain_old_calls
def submit(
    model: Models,
    images: AnyImages,
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
        images: The test folder, or other images as for `predict`.
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
    listed = readable_images(images, verbose=verbose)
    form = None if sample is None else read_sample(sample)
    # The ids are matched before the predictions, so that a wrong folder is reported at once.
    submission_frame(listed.names, np.zeros(len(listed), int), classes, sample=form, label=label)
    probabilities = _Work(opened, None, None, bool(flip), batch_size).probabilities(listed, verbose)
    chosen = probabilities.argmax(axis=1)
    frame = submission_frame(listed.names, chosen, classes, sample=form, label=label)
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


def _check_detection(
    detect: bool, detector: str | Detector | None, margin: float | None, faces: str
) -> None:
    check_flag("detect", detect)
    check_choice("faces", faces, FACES)
    if not detect:
        remedy = "Use detect=True (--detect)."
        chosen_faces = None if faces == "all" else faces
        options = {"detector": detector, "margin": margin, "faces": chosen_faces}
        check_unused("without detection", options, remedy=remedy)


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


def _preparation(
    predictor: Predictor, detector: str | Detector | None, margin: float | None, faces: str
) -> Preparation:
    """How faces are cut out: as for the training of the run, unless something else is asked."""
    known = predictor.preparation
    if known is None:
        known = Preparation(template="arcface", size=FACE_SIZE, margin=MARGIN)
    margin = known.margin if margin is None else margin
    changed = dataclasses.replace(known, margin=margin, faces=faces)
    if detector is None:
        return changed
    return dataclasses.replace(changed, detector=detector, options=())


@dataclasses.dataclass(frozen=True)
class _Work:
    """Models, and how their predictions are made and shown."""

    predictors: Sequence[Predictor]
    chosen: list[int] | None  # positions of the attributes to show
    thresholds: np.ndarray | None
    flip: bool
    batch_size: int

    def probabilities(self, images: ImageList, verbose: int) -> np.ndarray:
        options = {"batch_size": self.batch_size, "flip": self.flip, "verbose": verbose}
        predicted = [predictor.predict(images, **options) for predictor in self.predictors]
        return np.asarray(sum(predicted) / len(predicted))

    def predict(self, images: ImageList, verbose: int) -> Predictions:
        names, probabilities = self.predictors[0].names, self.probabilities(images, verbose)
        if self.thresholds is None or self.chosen is None:
            return Predictions(names, probabilities)
        # Attributes that exclude each other are decided before some of them are left out.
        predicted = decide(probabilities, names, self.thresholds)[:, self.chosen]
        shown = [names[position] for position in self.chosen]
        limits = self.thresholds[self.chosen]
        return Predictions(shown, probabilities[:, self.chosen], limits, predicted)


@dataclasses.dataclass(frozen=True)
class _Drawer:
    """Writes pictures, and keeps the errors of those that cannot be written."""

    folder: pathlib.Path | None
    errors: list[OSError] = dataclasses.field(default_factory=list)

    def draw(self, images: ImageList, titles: Sequence[str], predictions: Predictions) -> None:
        self._try(draw_predictions, images, titles, predictions)

    def draw_photograph(self, *arguments: Any) -> None:
        self._try(draw_photograph, *arguments)

    def _try(self, draw: Callable[..., None], *arguments: Any) -> None:
        if self.folder is None or self.errors:
            return
        try:
            draw(self.folder, *arguments)
        except OSError as error:
            self.errors.append(error)


def _predict_faces(
    work: _Work, images: ImageList, cutter: FaceCutter, drawer: _Drawer, verbose: int
) -> tuple[pd.DataFrame, Predictions]:
    """Predicts the faces in photographs, a few photographs at a time."""
    frames: list[pd.DataFrame] = []
    parts: list[Predictions] = []
    shares: list[float] = []
    starts = track(
        range(0, len(images), AT_ONCE),
        len(images),
        "Predicting faces",
        size=lambda start: min(AT_ONCE, len(images) - start),
        verbose=verbose,
    )
    for start in starts:
        names = images.names[start : start + AT_ONCE]
        pixels = [images.read(start + row) for row in range(len(names))]
        cuts = [cutter(photograph) for photograph in pixels]
        crops = image_list([crop for crops, _ in cuts for crop in crops])
        parts.append(work.predict(crops, 0))
        titles, captions = [], iter(parts[-1].captions)
        for name, photograph, (_, faces) in zip(names, pixels, cuts, strict=True):
            titles += [f"{name} face {number}" if number else name for number in faces["face"]]
            texts = [next(captions) for _ in range(len(faces))]
            drawer.draw_photograph(photograph, name, faces, texts)
            boxes = faces.loc[faces["face"] > 0, list(BOX)].to_numpy().tolist()
            if boxes and len(shares) < SAMPLE:
                shares.append(max(face_share(box, photograph.shape) for box in boxes))
            frames.append(faces.assign(path=name)[["path", *faces]])
        drawer.draw(crops, titles, parts[-1])
    warn_about_crops(shares, stacklevel=4)
    frame = pd.concat(frames, ignore_index=True)
    without = frame["path"][frame["face"] == 0].tolist()
    if without:
        warnings.warn(
            f"no face was found in {len(without)} of {len(images)} photographs, for instance "
            f"{without[:3]}: they are predicted as a whole",
            stacklevel=4,
        )
    predicted = (
        None if parts[0].predicted is None else np.concatenate([part.predicted for part in parts])
    )
    probabilities = np.concatenate([part.probabilities for part in parts])
    return frame, Predictions(parts[0].names, probabilities, parts[0].thresholds, predicted)
