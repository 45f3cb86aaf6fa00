"""`verify_pairs` evaluates an embedding model on a list of pairs and stores a threshold."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import warnings

import numpy as np
import pandas as pd

from kerasface.data import notebook
from kerasface.data.folders import identity_folder
from kerasface.data.image_list import image_list
from kerasface.data.pairs import PairTable, folder_pairs, read_pairs
from kerasface.faces.detectors.registry import Detector
from kerasface.files import check_folder_to_write
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.groups import Groups, read_groups
from kerasface.inference.method import open_method
from kerasface.inference.operating_point import (
    FILE,
    OperatingPoint,
    operating_point_path,
    write_operating_point,
)
from kerasface.inference.pair_files import write_pair_results
from kerasface.inference.pretrained import DEFAULT
from kerasface.inference.reading import AnyModel, crop_of, run_of
from kerasface.inference.settings import EmbeddingSettings
from kerasface.inference.shipped import shipped_flip
from kerasface.inference.vectors import embed_images
from kerasface.metrics.operating_points import (
    FALSE_ACCEPT_RATES,
    roc_points,
    threshold_at_far,
)
from kerasface.pipeline.crop import Crop
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
        by_group: One row per group, from `kerasface.metrics.groups.verification_by_group` at the
            threshold of ``operating_point`` (without one, at that of the equal error rate); None
            without groups.
        stored: File of the threshold; None if it is in no file.
    """

    metrics: dict[str, float | int]
    per_fold: pd.DataFrame
    operating_points: pd.DataFrame
    resampled: str
    scores: np.ndarray
    operating_point: OperatingPoint | None
    not_stored: str
    folder: pathlib.Path | None
    by_group: pd.DataFrame | None = None
    stored: pathlib.Path | None = None

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
    batch_size: int = 64,
    bootstrap: int = 1000,
    seed: int = 0,
    allow_seen: bool = False,
    groups: Groups | None = None,
    verbose: int = 0,
) -> Verified:
    """Evaluates an embedding model on pairs, writes a report and stores a threshold.

    Each image is embedded once. The similarity of a pair is the cosine of its two embeddings.

    The default model is dlib's network: photographs and pairs are enough for a threshold of your
    own. It has learned from 3 million images of about 7,485 people, many of them celebrities, and
    people of CelebA may be among them; the people of LFW were removed.

    Args:
        pairs: A list for `kerasface.data.read_pairs`, or a table. None makes all genuine pairs of
            the people in ``images`` and as many random impostor pairs.
        images: Folder of the images, unless ``pairs`` is a table.
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model; see
            `kerasface.embedder`.
        detect: If True, find the faces first. If False, the images are faces, cropped like the
            training images of the model. None detects for ``"dlib"`` only. Pairs with a photograph
            in which no face is found are left out.
        detector: As in `kerasface.embed`.
        faces: Which face of a photograph counts, with detection only: ``"largest"``,
            ``"central"`` or ``"best"`` (highest score).
        out: Folder to write to: ``metrics.json``, ``pairs.csv`` (with scores), ``per_fold.csv``,
            ``operating_points.csv``, ``probability.csv``, ``by_group.csv`` (with ``groups``),
            figures and ``report.html``. None is a folder in the run, named like the list; nothing
            is written for a model that is not a run.
        far: False accept rate of the threshold to store, in (0, 1). None takes the smallest of
            0.1, 0.01, 0.001 and 0.0001 with at least ten expected false accepts, and stores
            nothing if there is none. The threshold is stored with a run or a ``.keras`` file. For
            ``"dlib"`` and a Keras model it is written to ``verifier.json`` in ``out``, which
            ``verify(threshold=)`` takes.
        flip: If True, add the embedding of the mirror image. None does as the shipped threshold
            of ``"dlib"``, and does not for other models: a new threshold is measured.
        crop: Region of each image that the model sees, for instance ``Crop(0.65, shape="image")``
            for photographs of which the faces in the training images take up this share. None
            takes that of the run.
        jitter: As in `kerasface.embed`.
        batch_size: Batch size.
        bootstrap: Number of resamples for the intervals.
        seed: Seed of the random pairs, the folds and the resamples.
        allow_seen: If True, only warn about images that a run was trained on and people of the
            same names, and store no threshold.
        groups: Groups of the images, for rates by group: a CSV file or DataFrame (image, then one
            column per kind of group), or attributes of CelebA beside the images, for instance
            ``["Male", "Young"]``; see `kerasface.inference.groups.read_groups`.
        verbose: 1 shows a progress bar.

    Returns:
        Metrics, scores, the stored threshold and the folder.

    Raises:
        ValueError: If pairs, images or model do not fit, fewer than ten false accepts are
            expected at ``far``, or the run was trained on some of the images or people.

    Warns:
        UserWarning: If pairs are left out, because no face was found in a photograph.

    Example:
        >>> result = verify_pairs("pairs.csv", "photographs", out="own")  # doctest: +SKIP
        >>> verify("a.jpg", "b.jpg", threshold="own/verifier.json").same  # doctest: +SKIP
        >>> result = verify_pairs("lfw/pairs.txt", "lfw/lfw-deepfunneled",
        ...                       model="runs/faces", flip=True)  # doctest: +SKIP
        >>> result.metrics["accuracy"]  # doctest: +SKIP
    """
    if out is not None:
        check_folder_to_write("out", out)
    table, name = _named_pairs(pairs, images, seed)
    seen = _check_unseen(model, table, allow_seen)
    if far is not None:  # before the long part
        threshold_at_far(np.arange(len(table)), table.same, far)
    grouped = None if groups is None else read_groups(groups, table.images)
    _check_one_face(faces)
    method = open_method(
        model,
        detect=detect,
        detector=detector,
        faces=faces,
        flip=shipped_flip(model) if flip is None else flip,
        crop=crop or crop_of(model),
        jitter=jitter,
    )
    vectors = embed_images(
        method, image_list(table.images), missing="nan", batch_size=batch_size, verbose=verbose
    ).vectors
    table, left_out = _with_faces(table, vectors)
    rates = sorted({*FALSE_ACCEPT_RATES, *([] if far is None else [far])}, reverse=True)
    evaluation = evaluate_pairs(vectors, table, rates=rates, bootstrap=bootstrap, seed=seed)
    point: OperatingPoint | None = None
    why_not = "some of the people or images are in the training set"
    if not seen:
        point, why_not = _operating_point(evaluation, far, name, method.settings)
    by_group = None
    if grouped is not None:
        by_group = evaluation.by_group(grouped, _shared_threshold(evaluation, point), seed=seed)
    if point is not None:
        write_operating_point(model, point)
    folder = _result_folder(model, name, out)
    if folder is not None:
        words = _threshold_words(model, point, why_not, left_out)
        write_pair_results(folder, name, evaluation, model, point, by_group, words)
    found = _verified(evaluation, point, why_not, folder, by_group)
    return dataclasses.replace(found, stored=_stored_in(model, found))


def _verified(
    evaluation: PairEvaluation,
    point: OperatingPoint | None,
    why_not: str,
    folder: pathlib.Path | None,
    by_group: pd.DataFrame | None,
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
        by_group=by_group,
    )


def _named_pairs(
    pairs: str | os.PathLike | PairTable | None, images: str | os.PathLike | None, seed: int
) -> tuple[PairTable, str]:
    """The pairs, and their name."""
    table = _pair_table(pairs, images, seed)
    if pairs is None:
        return table, table.images.root.resolve().name
    return table, pathlib.Path(pairs).stem if isinstance(pairs, (str, os.PathLike)) else "pairs"


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


def _stored_in(model: AnyModel, found: Verified) -> pathlib.Path | None:
    """The file of the threshold, if there is one."""
    if found.operating_point is None:
        return None
    path = operating_point_path(model)
    return found.folder / FILE if path is None and found.folder is not None else path


def _check_one_face(faces: str) -> None:
    if faces == "all":
        raise ValueError(
            "A pair has one face of each photograph. Received: faces='all'. Use 'largest', "
            "'central' or 'best'."
        )


def _with_faces(table: PairTable, vectors: np.ndarray) -> tuple[PairTable, int]:
    """The pairs of which both photographs have a face, and how many others there are."""
    seen = np.isfinite(vectors).all(axis=1)
    kept = seen[table.rows].all(axis=1)
    if kept.all():
        return table, 0
    left_out = int((~kept).sum())
    missing = table.images.paths[~seen]
    warnings.warn(
        f"{left_out} of {len(table)} pairs are left out, because no face was found in "
        f"{len(missing)} photographs, for instance {missing[0]!r}",
        stacklevel=4,
    )
    kept_pairs = dataclasses.replace(
        table,
        rows=table.rows[kept],
        same=table.same[kept],
        folds=None if table.folds is None else table.folds[kept],
        people=None if table.people is None else table.people[kept],
    )
    return kept_pairs, left_out


def _threshold_words(
    model: AnyModel, point: OperatingPoint | None, why_not: str, left_out: int
) -> str:
    """What the page says of the threshold, and of pairs that are left out."""
    words = f"No threshold was stored: {why_not}."
    if point is not None:
        path = operating_point_path(model)
        words = (
            f"Threshold {point.threshold:.4f}, stored in {path.name if path else FILE}: it accepts "
            f"{point.far:.2%} of {point.impostor_pairs:,} impostor pairs (95% interval "
            f"{point.far_low:.2%} to "
            f"{point.far_high:.2%}) and {point.tar:.2%} of the genuine ones."
        )
    if left_out:
        words += f" {left_out:,} pairs are left out, because no face was found in a photograph."
    return words


def _shared_threshold(evaluation: PairEvaluation, point: OperatingPoint | None) -> float:
    """The stored threshold, or that of the equal error rate."""
    if point is not None:
        return point.threshold
    far, tar, thresholds = roc_points(evaluation.scores, evaluation.pairs.same)
    return float(thresholds[np.abs(far - (1 - tar)).argmin()])


def _result_folder(
    model: AnyModel, name: str, out: str | os.PathLike | None
) -> pathlib.Path | None:
    if out is not None:
        return pathlib.Path(out)
    run = run_of(model)
    return None if run is None else run.folder / "verification" / name
