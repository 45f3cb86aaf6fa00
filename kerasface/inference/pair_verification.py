"""`verify_pairs` evaluates an embedding model on a list of pairs and stores a threshold."""

from __future__ import annotations

import dataclasses
import datetime
import os
import pathlib
import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerasface.checks import check_choice
from kerasface.data import notebook
from kerasface.data.folders import identity_folder
from kerasface.data.image_list import image_list
from kerasface.data.pairs import PairTable, folder_pairs, read_pairs
from kerasface.faces.detectors.registry import Detector
from kerasface.faces.preparation import ONE_FACE
from kerasface.files import check_folder_to_write, replacing
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.method import EmbeddingMethod, open_method
from kerasface.inference.operating_point import (
    FILE,
    OperatingPoint,
    operating_point_path,
    write_operating_point_file,
)
from kerasface.inference.preparing import BATCH_SIZE
from kerasface.inference.pretrained import DEFAULT
from kerasface.inference.reading import AnyModel, crop_of, run_of
from kerasface.inference.settings import EmbeddingSettings
from kerasface.inference.vectors import embed_images
from kerasface.metrics.operating_points import FALSE_ACCEPT_RATES, threshold_at_far
from kerasface.pipeline.crop import Crop
from kerasface.reports.page import report_html
from kerasface.runs.evaluation_page import pair_page
from kerasface.runs.pair_evaluation import PairEvaluation, evaluate_pairs
from kerasface.runs.run import REPORT
from kerasface.runs.seen import learned_people, seen_images


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Verified:
    """Result of `verify_pairs`.

    Attributes:
        metrics: Name to number; see `kerasface.metrics.verification.evaluate`. With at least 20
            pairs of each kind also the probability of a similarity, ``probability_slope`` and
            ``probability_intercept``, with its ``probability_log_loss`` and
            ``probability_calibration_error`` on left-out folds; see
            `kerasface.metrics.probability.fit_probability`.
        per_fold: One row per fold.
        operating_points: One row per false accept rate.
        resampled: What the intervals resample, ``"people"`` or ``"pairs"``.
        scores: float32 ``[N]``, cosine similarity of each pair, in the order of the list.
        operating_point: The stored threshold (for a model that is not in a file: the one that
            would be stored); None if there is none.
        not_stored: Why there is none; empty otherwise.
        folder: Folder of the written files; None if none were written.
    """

    metrics: dict[str, float | int]
    per_fold: pd.DataFrame
    operating_points: pd.DataFrame
    resampled: str
    scores: np.ndarray
    operating_point: OperatingPoint | None
    not_stored: str
    folder: pathlib.Path | None

    @property
    def page(self) -> pathlib.Path | None:
        """The report, an HTML file; None if none was written."""
        return None if self.folder is None else self.folder / REPORT

    def __repr__(self) -> str:
        facts: dict[str, object] = {key: self.metrics[key] for key in ("pairs", "accuracy", "eer")}
        facts["threshold"] = self.operating_point and self.operating_point.threshold
        return notebook.short_repr("Verified", facts | {"folder": self.folder})

    def _repr_html_(self) -> str:
        return notebook.facts_html("Verified", self.metrics)


@explain_old_calls
def verify_pairs(
    pairs: str | os.PathLike | PairTable | None = None,
    images: str | os.PathLike | None = None,
    *,
    model: AnyModel = DEFAULT,
    detect: bool | None = None,
    detector: str | Detector | None = None,
    faces: str = "largest",
    out: str | os.PathLike | None = None,
    far: float | None = None,
    flip: bool | None = None,
    crop: Crop | None = None,
    jitter: int = 0,
    batch_size: int = BATCH_SIZE,
    bootstrap: int = 1000,
    seed: int = 0,
    allow_seen: bool = False,
    verbose: int = 0,
) -> Verified:
    """Evaluates an embedding model on pairs, writes a report and stores a threshold.

    Each image is embedded once. The similarity of a pair is the cosine of its two embeddings.

    Args:
        pairs: A list for `kerasface.data.read_pairs`, or a table. None makes all genuine pairs of
            the people in ``images`` and as many random impostor pairs.
        images: Folder of the images, unless ``pairs`` is a table.
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model; see
            `kerasface.embedder`.
        detect: As in `kerasface.embed`: photographs for ``"dlib"``, faces for other models. A
            photograph without a face has a similarity of 0 to all others.
        detector: As in `kerasface.embed`.
        faces: Which face of a photograph counts: ``"largest"``, ``"central"`` or ``"best"``.
        out: Folder to write to: ``metrics.json``, ``pairs.csv`` (with scores), ``per_fold.csv``,
            ``operating_points.csv``, figures and ``report.html``. None is a folder in the run,
            named like the list; nothing is written for a model that is not a run.
        far: False accept rate of the threshold to store, in (0, 1). None takes the smallest of
            0.1, 0.01, 0.001 and 0.0001 with at least ten expected false accepts, and stores
            nothing if there is none. The threshold is stored with a run or a ``.keras`` file,
            and for ``"dlib"`` or a Keras model as ``verifier.json`` in ``out``.
        flip: If True, add the embedding of the mirror image. None does not: a new threshold is
            measured.
        crop: Region of each image that the model sees, for instance ``Crop(0.65, shape="image")``
            for photographs of which the faces in the training images take up this share. None
            takes that of the run.
        jitter: As in `kerasface.embed`.
        batch_size: Batch size.
        bootstrap: Number of resamples for the intervals.
        seed: Seed of the random pairs, the folds and the resamples.
        allow_seen: If True, only warn about images that a run was trained on and people of the
            same names, and store no threshold.
        verbose: 1 shows a progress bar.

    Returns:
        Metrics, scores, the stored threshold and the folder.

    Raises:
        ValueError: If pairs, images or model do not fit, fewer than ten false accepts are
            expected at ``far``, or the run was trained on some of the images or people.

    Example:
        >>> result = verify_pairs("lfw/pairs.txt", "lfw/lfw-deepfunneled",
        ...                       model="runs/faces", flip=True)  # doctest: +SKIP
        >>> result.metrics["accuracy"]  # doctest: +SKIP
    """
    if out is not None:
        check_folder_to_write("out", out)
    check_choice("faces", faces, ONE_FACE)
    table = _pair_table(pairs, images, seed)
    name = pathlib.Path(pairs).stem if isinstance(pairs, (str, os.PathLike)) else "pairs"
    if pairs is None:
        name = table.images.root.resolve().name
    seen = _check_unseen(model, table, allow_seen)
    if far is not None:  # before the long part
        threshold_at_far(np.arange(len(table)), table.same, far)
    how: dict[str, Any] = {"detect": detect, "detector": detector, "faces": faces}
    how |= {"flip": bool(flip), "crop": crop or crop_of(model), "jitter": jitter}
    method = open_method(model, **how)
    vectors = _embeddings(method, table, batch_size, verbose)
    rates = sorted({*FALSE_ACCEPT_RATES, *([] if far is None else [far])}, reverse=True)
    evaluation = evaluate_pairs(vectors, table, rates=rates, bootstrap=bootstrap, seed=seed)
    point: OperatingPoint | None = None
    why_not = "some of the people or images are in the training set"
    if not seen:
        point, why_not = _operating_point(evaluation, far, name, method.settings)
    run = run_of(model)
    folder = None if run is None else run.folder / "verification" / name
    folder = folder if out is None else pathlib.Path(out)
    stored = operating_point_path(model)
    if stored is None and folder is not None:
        stored = folder / FILE
    if point is not None and stored is not None:
        write_operating_point_file(stored, point)
    if folder is not None:
        note = _stored_note(point, stored) if point else f"No threshold was stored: {why_not}."
        _write(folder, name, evaluation, point, note, _about(model))
    return _verified(evaluation, point, why_not, folder)


def _verified(
    evaluation: PairEvaluation,
    point: OperatingPoint | None,
    why_not: str,
    folder: pathlib.Path | None,
) -> Verified:
    result = evaluation.result
    return Verified(
        metrics=evaluation.metrics,
        per_fold=result.per_fold,
        operating_points=result.operating_points,
        resampled=result.resampled,
        scores=evaluation.scores,
        operating_point=point,
        not_stored=why_not,
        folder=folder,
    )


def _embeddings(
    method: EmbeddingMethod, table: PairTable, batch_size: int, verbose: int
) -> np.ndarray:
    """Embeddings of the images; zeros for a photograph without a face."""
    images = image_list(table.images)
    found = embed_images(method, images, missing="nan", batch_size=batch_size, verbose=verbose)
    without = np.isnan(found.vectors).any(axis=1)
    if without.any():
        first = images.names[int(without.argmax())]
        warnings.warn(
            f"no face was found in {without.sum()} of {len(images)} photographs, for instance "
            f"{first!r}: their pairs get a similarity of 0",
            stacklevel=4,
        )
    return np.where(without[:, None], 0, found.vectors).astype(np.float32)


def _pair_table(
    pairs: str | os.PathLike | PairTable | None, images: str | os.PathLike | None, seed: int
) -> PairTable:
    if isinstance(pairs, PairTable):
        if images is not None:
            raise ValueError(
                "A table of pairs already has its images. "
                f"Received: images={os.fspath(images)!r} and a table. Leave it out."
            )
        return pairs
    if images is None:
        raise ValueError("Pairs need the folder of their images. Received: images=None.")
    if pairs is None:
        return folder_pairs(identity_folder(images), seed=seed)
    return read_pairs(pairs, images)


def _check_unseen(model: AnyModel, table: PairTable, allow_seen: bool) -> bool:
    """Whether a run was trained on some of the images or people; raises if that is not allowed."""
    run = run_of(model)
    if run is None:
        return False
    files = seen_images(run, table.images)
    trained = learned_people(run)
    people = set() if table.people is None else set(table.people.ravel()) & trained
    if not files and not people:
        return False
    words = (
        f"{len(files)} of {len(table.images)} images and {len(people)} people of the same name"
        f" are in the training set{f', for instance {sorted(people)[0]!r}' if people else ''}"
    )
    if not allow_seen:
        raise ValueError(
            "Verification must be evaluated on people that the run was not trained on. "
            f"Received: {words}, so the metrics would be biased. Use other pairs, or "
            "allow_seen=True (--allow-seen)."
        )
    warnings.warn(f"{words}, so the metrics are biased", stacklevel=4)
    return True


def _operating_point(
    evaluation: PairEvaluation, far: float | None, name: str, settings: EmbeddingSettings
) -> tuple[OperatingPoint | None, str]:
    """The threshold to store, or why there is none."""
    frame = evaluation.result.operating_points
    frame = frame[frame["refused"] == ""]
    if far is not None:
        frame = frame[frame["wanted_far"] == far]
    if not len(frame):
        return None, "there are too few impostor pairs for any of the rates"
    frame = frame[np.isfinite(frame["threshold"])]
    if not len(frame):
        return None, "too many impostor pairs have the highest score"
    row = frame.iloc[-1]  # rates fall
    people, probability = evaluation.pairs.people, evaluation.probability
    point = OperatingPoint(
        threshold=min(float(row["threshold"]), 1.0),  # a product may be 1.0000001
        far=float(row["far"]),
        tar=float(row["tar"]),
        impostor_pairs=int(evaluation.result.metrics["impostor"]),
        pairs=name,
        settings=settings,
        far_low=float(row["far_low"]),
        far_high=float(row["far_high"]),
        calibration=None if probability is None else probability.calibration,
        people=0 if people is None else len(np.unique(people.astype(str))),
    )
    return point, ""


def _write(
    folder: pathlib.Path,
    name: str,
    evaluation: PairEvaluation,
    point: OperatingPoint | None,
    note: str,
    about: Sequence[str],
) -> None:
    figures = evaluation.draw(name, point.threshold if point else None)
    evaluation.write(folder, figures)
    metrics = evaluation.result.metrics
    words = (
        f"The accuracy is the mean of {metrics['folds']} folds, with a standard error of "
        f"{metrics['accuracy_standard_error']:.2%}. {note}"
    )
    page = pair_page(evaluation, figures, f"the {len(evaluation.scores):,} pairs of {name}", words)
    text = report_html(
        f"Verification on {name}",
        page.sections,
        kind="verification",
        about=about,
        headline=page.headline,
        tiles=page.tiles,
    )
    with replacing(folder / REPORT) as part:
        part.write_text(text, encoding="utf-8")


def _about(model: AnyModel) -> list[str]:
    """Date and model, for the page."""
    today, run = datetime.date.today(), run_of(model)
    name = f"run {run.folder.name}" if run else _name(model)
    return [f"{today.day} {today:%B %Y}", name]


def _stored_note(point: OperatingPoint, stored: pathlib.Path | None) -> str:
    where = f", stored in {stored.name}" if stored else ""
    return (
        f"Threshold {point.threshold:.4f}{where}: it accepts {point.far:.2%} of "
        f"{point.impostor_pairs:,} impostor pairs (95% interval {point.far_low:.2%} to "
        f"{point.far_high:.2%}) and {point.tar:.2%} of the genuine ones."
    )


def _name(model: AnyModel) -> str:
    return f"the model {model.name!r}" if isinstance(model, keras.Model) else repr(model)
