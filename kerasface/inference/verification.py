"""Same person or not: two pictures, or a list of pairs with all figures."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import warnings
from typing import Any

import keras
import numpy as np
import pandas as pd
from PIL import Image

from kerasface import images as image_files
from kerasface.data.folders import identity_folder
from kerasface.data.pairs import PairTable, folder_pairs, read_pairs
from kerasface.files import replacing, write_json
from kerasface.inference.embedding import embed, embed_pictures, embedder, fingerprint
from kerasface.inference.operating_point import (
    OperatingPoint,
    flip_and_crop,
    operating_point_path,
    read_operating_point,
    write_operating_point,
)
from kerasface.inference.reading import Source, crop_of, run_of
from kerasface.metrics import verification as judging
from kerasface.pipeline.crop import Crop
from kerasface.reports import verification as plots
from kerasface.reports.page import (
    facts_section,
    figure_section,
    report_html,
    table_section,
)
from kerasface.reports.style import save_figures
from kerasface.runs.run import METRICS, REPORT
from kerasface.runs.seen import learnt_people, seen_images

SHOWN_PAIRS = 24
THUMBNAIL = 160  # pixels


@dataclasses.dataclass(frozen=True)
class Decision:
    """What `verify` says of two pictures.

    Attributes:
        similarity: Cosine of the two embeddings, in [-1, 1].
        same: Whether they are taken for the same person.
        threshold: The similarity from which on they are.
        far: Share of pairs of different people that this threshold accepts, as it was measured
            when the threshold was stored; None for a threshold that was given, or was measured
            with another ``flip`` or ``crop``.
    """

    similarity: float
    same: bool
    threshold: float
    far: float | None


@dataclasses.dataclass(frozen=True)
class Verified:
    """What `verify_pairs` gives.

    Attributes:
        figures: See `kerasface.metrics.verification.evaluate`.
        scores: float32 ``[N]``, the cosine of each pair, in the order of the list.
        operating_point: The threshold that was stored, or for a model in no file would have
            been; None where there is none.
        not_stored: Why there is none; empty where there is one.
        folder: What was written to; None for nothing.
    """

    figures: judging.Verification
    scores: np.ndarray
    operating_point: OperatingPoint | None
    not_stored: str
    folder: pathlib.Path | None


def verify(
    source: Source,
    image_a: str | os.PathLike | np.ndarray,
    image_b: str | os.PathLike | np.ndarray,
    *,
    threshold: float | OperatingPoint | None = None,
    flip: bool | None = None,
    crop: Crop | None = None,
) -> Decision:
    """Whether two pictures show the same person.

    Args:
        source: A run, its folder, a ``.keras`` file or a model; see `kerasface.embedder`.
        image_a: A path or a uint8 RGB array ``[height, width, 3]``: a face as the model was
            trained on.
        image_b: Likewise.
        threshold: A cosine, or what `kerasface.inference.read_operating_point` gives; None takes
            what `verify_pairs` (``kerasface verify RUN --pairs``) has stored with the model.
        flip: Whether the mirrored images count too; None does as the stored threshold was made,
            else not.
        crop: As in `kerasface.embed`; None does as the stored threshold was made, else cuts out
            what a run was trained on.

    Returns:
        Similarity, decision, threshold and the false accept rate that it stands for.

    Raises:
        ValueError: If no threshold is given or stored, it was stored with other weights, or a
            picture is no image.
        FileNotFoundError: If there is no such model or picture.

    Example:
        >>> verify("runs/faces", "a.jpg", "b.jpg").same  # doctest: +SKIP
    """
    stored = read_operating_point(source) if threshold is None else threshold
    if stored is None:
        raise ValueError(
            "A decision needs a threshold. Received: none, and none is stored with "
            f"{_name(source)}. Store one with kerasface.inference.verify_pairs, or in a shell "
            "`kerasface verify RUN --pairs PAIRS --images FOLDER`, or give threshold=."
        )
    point = stored if isinstance(stored, OperatingPoint) else None
    limit = point.threshold if point else float(stored)  # type: ignore[arg-type]
    flip, crop = flip_and_crop(source, point, flip, crop)
    model = embedder(source)
    if point is not None:
        point.check(model)
    far = point.far if point and point.holds(flip=flip, crop=crop) else None
    first, second = embed_pictures(model, [image_a, image_b], crop=crop, flip=flip)
    similarity = float(np.clip(first @ second, -1.0, 1.0))
    return Decision(similarity, similarity >= limit, limit, far)


def verify_pairs(
    source: Source,
    pairs: str | os.PathLike | PairTable | None = None,
    images: str | os.PathLike | None = None,
    *,
    out: str | os.PathLike | None = None,
    far: float | None = None,
    flip: bool = False,
    crop: Crop | None = None,
    batch_size: int = 64,
    bootstrap: int = 1000,
    seed: int = 0,
    allow_seen: bool = False,
    verbose: int = 0,
) -> Verified:
    """Judges an embedding model on pairs, writes figures and pictures, and stores a threshold.

    Each image is embedded once. The similarity of a pair is the cosine of its two embeddings.

    Args:
        source: A run, its folder, a ``.keras`` file or a model; see `kerasface.embedder`.
        pairs: A list as `kerasface.data.read_pairs` reads it, or a table; None makes all genuine
            pairs of the people in ``images`` and as many impostor pairs.
        images: The folder of the pictures, unless ``pairs`` is a table.
        out: Folder to write to: ``metrics.json``, ``pairs.csv`` (with scores), ``per_fold.csv``,
            ``operating_points.csv``, pictures and ``report.html``. None is a folder in the run,
            named like the list; nothing is written for a model that is no run.
        far: The false accept rate that the stored threshold is to stand for, in (0, 1); None
            takes the smallest of 0.1 to 0.0001 of which ten false accepts are to be expected, and
            stores nothing if there is none. It is stored with a run or a ``.keras`` file.
        flip: Whether the mirrored images count too.
        crop: As in `kerasface.embed`, for instance ``Crop(0.65, shape="image")`` for photographs
            of which the faces in the training images take up this share.
        batch_size: Images a step.
        bootstrap: Resamples for the intervals.
        seed: Seed of drawn pairs, dealt out folds and resamples.
        allow_seen: Whether images that a run was trained on, and people of the same names, are
            put up with; a warning says how many there are, and no threshold is stored.
        verbose: 1 shows a progress bar.

    Returns:
        Figures, scores, the stored threshold and the folder.

    Raises:
        ValueError: If pairs, images or model do not fit, ten false accepts are not to be expected
            at ``far``, or the run was trained on some of the images or people.

    Example:
        >>> result = verify_pairs("runs/faces", "lfw/pairs.txt", "lfw/lfw-deepfunneled",
        ...                       flip=True)  # doctest: +SKIP
        >>> result.figures.metrics["accuracy"]  # doctest: +SKIP
    """
    table = _pair_table(pairs, images, seed)
    name = pathlib.Path(pairs).stem if isinstance(pairs, (str, os.PathLike)) else "pairs"
    if pairs is None:
        name = table.images.root.resolve().name
    seen = _check_unseen(source, table, allow_seen)
    if far is not None:  # before the long part
        judging.threshold_at_far(np.arange(len(table)), table.same, far)
    model, crop = embedder(source), crop or crop_of(source)
    options: dict[str, Any] = {"batch_size": batch_size, "flip": flip, "verbose": verbose}
    vectors = embed(model, table.images, crop=crop, **options)
    first, second = vectors[table.rows[:, 0]], vectors[table.rows[:, 1]]
    scores = np.einsum("ij,ij->i", first, second)
    rates = judging.FALSE_ACCEPT_RATES
    result = judging.evaluate(
        scores,
        table.same,
        folds=table.folds,
        people=table.people,
        rates=sorted({*rates, *([] if far is None else [far])}, reverse=True),
        bootstrap=bootstrap,
        seed=seed,
    )
    if seen:
        point, why_not = None, "the run was trained on some of these people or images"
    else:
        point, why_not = _operating_point(result, far, name, model, flip=flip, crop=crop)
    if point is not None:
        write_operating_point(source, point)
    run = run_of(source)
    folder = None if run is None else run.folder / "verification" / name
    folder = folder if out is None else pathlib.Path(out)
    if folder is not None:
        stored = operating_point_path(source)
        note = _stored_note(point, stored) if point else f"No threshold was stored: {why_not}."
        _write(folder, name, table, scores, result, point, note)
    return Verified(result, scores, point, why_not, folder)


def _pair_table(pairs, images, seed: int) -> PairTable:
    if isinstance(pairs, PairTable):
        if images is not None:
            raise ValueError(
                "A table of pairs knows its images. "
                f"Received: images={os.fspath(images)!r} besides a table. Leave it out."
            )
        return pairs
    if images is None:
        raise ValueError("Pairs need the folder of their pictures. Received: images=None.")
    if pairs is None:
        return folder_pairs(identity_folder(images), seed=seed)
    return read_pairs(pairs, images)


def _check_unseen(source: Source, table: PairTable, allow_seen: bool) -> bool:
    """Whether a run was trained on some of the images or people; raises if it must not."""
    run = run_of(source)
    if run is None:
        return False
    files = seen_images(run, table.images)
    trained = learnt_people(run)
    people = set() if table.people is None else set(table.people.ravel()) & trained
    if not files and not people:
        return False
    words = (
        f"{len(files)} of {len(table.images)} images and {len(people)} people of the same name"
        f" that the run was trained on{f', for instance {sorted(people)[0]!r}' if people else ''}"
    )
    if not allow_seen:
        raise ValueError(
            "Figures on people that a run was trained on say nothing about strangers. "
            f"Received: {words}. Take other pairs, or say allow_seen=True (--allow-seen)."
        )
    warnings.warn(f"{words}: these figures say nothing about strangers", stacklevel=3)
    return True


def _operating_point(result, far, name, model, **made) -> tuple[OperatingPoint | None, str]:
    frame = result.operating_points
    frame = frame[frame["refused"] == ""]
    if far is not None:
        frame = frame[frame["wanted_far"] == far]
    if not len(frame):
        return None, "too few impostor pairs for any of the rates"
    frame = frame[np.isfinite(frame["threshold"])]
    if not len(frame):
        return None, "too many impostor pairs have the highest score"
    row = frame.iloc[-1]  # rates fall
    point = OperatingPoint(
        threshold=float(row["threshold"]),
        far=float(row["far"]),
        tar=float(row["tar"]),
        impostor_pairs=int(result.metrics["impostor"]),
        pairs=name,
        model=fingerprint(model),
        **made,
    )
    return point, ""


def _write(folder, name, table: PairTable, scores, result, point, note) -> None:
    frame = table.to_frame().assign(score=scores)
    frames = {
        "pairs": frame,
        "per_fold": result.per_fold,
        "operating_points": result.operating_points,
    }
    write_json(folder / METRICS, result.metrics)
    for key, values in frames.items():
        with replacing(folder / f"{key}.csv") as part:
            values.to_csv(part, index=False)
    worst = judging.worst_pairs(scores, table.same, SHOWN_PAIRS)
    threshold = point.threshold if point else None
    drawn = {
        "ROC": plots.roc_log({name: (scores, table.same)}),
        "Scores": plots.score_histograms(scores, table.same, threshold=threshold),
        "Worst pairs": _gallery(table, worst, frame),
    }
    save_figures(drawn, folder)
    metrics = result.metrics
    accuracy = (
        f"Accuracy {metrics['accuracy']:.2%} +- {metrics['accuracy_standard_error']:.2%} (mean "
        f"and standard error of {metrics['folds']} folds). Intervals are 95 % bootstrap "
        f"intervals over {result.resampled}."
    )
    sections = [
        facts_section(f"Figures on {name}", metrics, accuracy),
        table_section("False accept rates", result.operating_points, note),
        *(figure_section(title, figure) for title, figure in drawn.items()),
        table_section("Folds", result.per_fold),
    ]
    with replacing(folder / REPORT) as part:
        part.write_text(report_html(f"Verification on {name}", sections), encoding="utf-8")


def _stored_note(point: OperatingPoint, stored: pathlib.Path | None) -> str:
    where = f", stored in {stored.name}" if stored else ""
    return (
        f"Threshold {point.threshold:.4f}{where}: it accepts {point.far:.2%} of "
        f"{point.impostor_pairs:,} impostor pairs and {point.tar:.2%} of the genuine ones."
    )


def _gallery(table: PairTable, rows: np.ndarray, frame: pd.DataFrame):
    files = table.images.full_paths()
    pictures = []
    for first, second in table.rows[rows]:
        pictures.append((_thumbnail(files[first]), _thumbnail(files[second])))
    return plots.pairs_gallery(pictures, plots.pair_captions(frame.iloc[rows]))


def _thumbnail(path: str) -> np.ndarray:
    picture = Image.fromarray(image_files.decode(pathlib.Path(path).read_bytes()))
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return np.asarray(picture)


def _name(source: Source) -> str:
    return f"the model {source.name!r}" if isinstance(source, keras.Model) else repr(source)
