"""`identify` names the people in images with a gallery of known people."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import warnings
from typing import Any

import numpy as np
import pandas as pd

from kerasface.checks import check_choice, check_number
from kerasface.data import notebook
from kerasface.data.folders import unlabeled_folder
from kerasface.data.image_list import AnyImages, ImageList, image_list
from kerasface.data.table import FaceTable
from kerasface.faces.detectors.registry import Detector
from kerasface.files import check_folder_to_write, replacing, write_json
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.gallery import (
    SUFFIX,
    Gallery,
    check_gallery_path,
    enroll_with,
    load_gallery,
    people_folder,
)
from kerasface.inference.identification_page import identification_html
from kerasface.inference.method import EmbeddingMethod, open_method
from kerasface.inference.nearest import ENGINES, nearest_people
from kerasface.inference.operating_point import AnyThreshold, resolve_threshold
from kerasface.inference.preparing import BATCH_SIZE
from kerasface.inference.pretrained import DEFAULT, is_pretrained
from kerasface.inference.reading import AnyModel
from kerasface.inference.settings import EmbeddingSettings
from kerasface.inference.vectors import BOX, Embedded, embed_images
from kerasface.metrics import identification as ranking
from kerasface.pipeline.crop import Crop
from kerasface.reports.identification import cmc_curve
from kerasface.runs.run import REPORT

RANKS = 50
SHOWN_ANSWERS = 20
NO_FACE = "no face found"
# Of a pretrained network: lower than for two images, because a probe is compared with everybody.
FALSE_ACCEPT_RATE = 1e-3


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Identified:
    """Result of `identify`.

    Attributes:
        answers: One row per probe (or per face): ``path``, ``answer`` (a name, or empty without a
            match), ``score`` and the nearest people as ``name1``, ``score1``, ``name2``, ... With
            detection also ``face`` (its number in the photograph, from 1; 0 without a face), the
            box ``left``, ``top``, ``width``, ``height`` in pixels, and ``reason``: why there is no
            answer. For labeled probes also ``truth``, empty for people who are not in the gallery.
        metrics: Name to number, for labeled probes; see
            `kerasface.metrics.identification.evaluate`. Empty for others.
        cmc: Cumulative match characteristic, ``rank`` and ``share``, for labeled probes. Empty
            for others.
        threshold: Similarity below which the answer is nobody; None always names somebody.
    """

    answers: pd.DataFrame
    metrics: dict[str, float | int]
    cmc: pd.DataFrame
    threshold: float | None

    def __repr__(self) -> str:
        facts: dict[str, object] = {"probes": len(self.answers), "threshold": self.threshold}
        facts |= {key: self.metrics.get(key) for key in ("rank1", "rank5", "accuracy")}
        return notebook.short_repr("Identified", facts)

    def _repr_html_(self) -> str:
        return notebook.frame_html(self.answers, SHOWN_ANSWERS)


@explain_old_calls
def identify(
    gallery: str | os.PathLike | FaceTable | Gallery,
    probes: AnyImages,
    *,
    model: AnyModel = DEFAULT,
    detect: bool | None = None,
    detector: str | Detector | None = None,
    faces: str = "largest",
    threshold: AnyThreshold | None = None,
    far: float | None = None,
    count: int = 5,
    flip: bool | None = None,
    crop: Crop | None = None,
    jitter: int = 0,
    engine: str = "auto",
    batch_size: int = BATCH_SIZE,
    save_gallery: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    verbose: int = 0,
) -> Identified:
    """Names the people in images, who are looked up in a gallery of known people.

    The default model is dlib's network: photographs are enough. It has learned from 3 million
    images of about 7,485 people, many of them celebrities, and people of CelebA may be among them;
    the people of LFW were removed.

    Args:
        gallery: A folder with one subfolder per person, a table, a gallery or its file.
        probes: A folder of images, a folder with one subfolder per person, a table, or images as
            for `kerasface.embed`. Labeled probes are evaluated; people who are not in the gallery
            count as unknown.
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model; see
            `kerasface.embedder`.
        detect: As in `kerasface.embed`, for the gallery and the probes. None does as the gallery
            was made, and for a new gallery as the threshold was measured; for ``"dlib"`` that is
            with detection.
        detector: As in `kerasface.embed`.
        faces: As in `kerasface.embed`. With ``"all"`` there is an answer for each face of a probe,
            and labels are not evaluated; in the gallery the largest face counts.
        threshold: As in `kerasface.verify`; below it the answer is nobody. If there is none,
            somebody is always named. Its false accept rate holds for one comparison; each probe is
            compared with all people in the gallery.
        far: False accept rate of one comparison, with ``"dlib"`` only, as in `kerasface.verify`.
            None is 0.001, less than for two images, because each probe is compared with all people.
        count: Number of people to name.
        flip: If True, add the embedding of the mirror image. None does so if the gallery was made
            so, and for a new gallery if the threshold was measured so.
        crop: As in `kerasface.embed`. None takes that of the gallery, and for a new gallery that
            of the stored threshold, else that of the run.
        jitter: As in `kerasface.embed`, for the probes and a new gallery.
        engine: As in `nearest_people`.
        batch_size: Batch size.
        save_gallery: A ``.npz`` file to write the gallery to (see `Gallery.save`); None writes
            none.
        out: Folder to write to: ``answers.csv``, ``report.html`` and, for labeled probes,
            ``metrics.json``, ``cmc.csv`` and ``cmc.png``. None writes nothing.
        verbose: 1 shows a progress bar.

    Returns:
        Answers, metrics and the threshold.

    Raises:
        ValueError: If the gallery was made by another model or with another ``flip``, ``crop`` or
            preparation of the faces, a photograph of the gallery has no face, the folder of probes
            has both images and subfolders of people, the stored threshold belongs to other
            weights, or an image is unreadable.

    Example:
        >>> result = identify("staff", "visitors")  # doctest: +SKIP
        >>> result.answers[["path", "answer", "score"]]  # doctest: +SKIP
    """
    if save_gallery is not None:
        check_gallery_path(save_gallery)
    if out is not None:
        check_folder_to_write("out", out)
    check_number("count", count, 1, whole=True)
    check_choice("engine", engine, ENGINES)
    rate = FALSE_ACCEPT_RATE if threshold is None and is_pretrained(model) else None
    limit = resolve_threshold(model, threshold, far=rate if far is None else far, flip=flip)
    images = _probes(probes)
    if isinstance(gallery, (str, os.PathLike)) and pathlib.Path(gallery).suffix == SUFFIX:
        gallery = load_gallery(gallery)
    if isinstance(gallery, Gallery):
        like: EmbeddingSettings | None = gallery.settings
        flip = gallery.settings.flip if flip is None else flip
        crop = gallery.settings.crop if crop is None else crop
    else:
        like = limit.point.settings if limit.point else None
        flip, crop = limit.flip_and_crop(model, flip, crop)
    method = open_method(
        model,
        detect=detect,
        detector=detector,
        faces=faces,
        flip=flip,
        crop=crop,
        jitter=jitter,
        like=like,
    )
    limit.measured(method.settings, stacklevel=3)
    options: dict[str, Any] = {"batch_size": batch_size, "verbose": verbose}
    known = _known_people(gallery, images, method, options)
    if save_gallery is not None:
        known.save(save_gallery)
    found = embed_images(method, images, missing="skip", **options)
    nearest = _nearest(known, found, max(count, RANKS), engine)
    result = _answer(images, known, found, nearest, limit.value, count)
    if out is not None:
        _write(pathlib.Path(out), result, images, len(set(known.names)))
    return result


def _nearest(
    known: Gallery, found: Embedded, count: int, engine: str
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest people of each face and their similarities; none if there are no faces."""
    if not len(found.rows):
        return np.zeros((0, 1), np.int64), np.zeros((0, 1), np.float32)
    return nearest_people(known, found.vectors, count, engine=engine)


def _known_people(
    gallery: str | os.PathLike | FaceTable | Gallery,
    probes: ImageList,
    method: EmbeddingMethod,
    options: dict[str, Any],
) -> Gallery:
    """The gallery, checked if it is given, otherwise made of images of people."""
    if isinstance(gallery, Gallery):
        gallery.check(method.settings)
        return gallery
    people = gallery if isinstance(gallery, FaceTable) else people_folder(gallery)
    _warn_about_probes_in_gallery(people, probes)
    return enroll_with(method.with_faces("largest"), people, **options)


def _answer(
    images: ImageList,
    known: Gallery,
    found: Embedded,
    nearest: tuple[np.ndarray, np.ndarray],
    threshold: float | None,
    count: int,
) -> Identified:
    """Answers for probes from their nearest people, with metrics for labeled probes."""
    names = np.array(known.names, dtype=object)
    people, scores = nearest
    best = scores[:, 0]
    answered = np.ones(len(best), bool) if threshold is None else best >= threshold
    columns = {
        "path": np.array([images.names[row] for row in found.rows], dtype=object),
        "answer": np.where(answered, names[people[:, 0]], ""),
        "score": best,
    }
    for place in range(min(count, people.shape[1])):
        columns[f"name{place + 1}"] = names[people[:, place]]
        columns[f"score{place + 1}"] = scores[:, place]
    answers = pd.DataFrame(columns)
    ranked = np.arange(len(found.rows))
    if known.settings.preparation is not None:
        answers, ranked = _with_faces(answers, found, images)
    table = images.table
    is_labeled = table is not None and table.labels is not None and not table.multi_label
    one_face = len(answers) == len(images)
    if table is None or not is_labeled or not one_face:
        return Identified(answers, {}, pd.DataFrame(), threshold)
    truth = np.array(table.names, dtype=object)[table.labels]
    inside = np.isin(truth.astype(str), names.astype(str))
    answers["truth"] = np.where(inside, truth, "")
    # A probe without a face has no rank and a score below all others.
    ranks = np.where(inside, RANKS + 1, ranking.UNKNOWN)
    ranks[ranked] = _ranks(names[people], truth[ranked], inside[ranked])
    every_score = np.full(len(images), -1.0)
    every_score[ranked] = best
    result = ranking.evaluate(ranks, every_score, threshold=threshold, max_rank=RANKS)
    return Identified(answers, result.metrics, result.cmc, threshold)


def _with_faces(
    answers: pd.DataFrame, found: Embedded, images: ImageList
) -> tuple[pd.DataFrame, np.ndarray]:
    """Adds the faces, and an empty answer for each probe without one.

    Returns:
        The answers in the order of the probes, and the places of those with a face.
    """
    without = np.setdiff1d(np.arange(len(images)), found.rows)
    empty = pd.DataFrame({"path": [images.names[row] for row in without]}, dtype=object)
    faces = found.to_frame(images)
    for name in ("face", *BOX):
        answers[name] = faces[name]
    answers["reason"] = ""
    empty["face"], empty["reason"] = 0, NO_FACE
    if not len(without):
        return answers, np.arange(len(answers))
    rows = np.concatenate([found.rows, without])
    order = np.argsort(rows, kind="stable")
    joined = (
        pd.concat([answers, empty], ignore_index=True)
        if len(answers)
        else (empty.reindex(columns=answers.columns))
    )
    for name in joined.columns:
        if name == "answer" or str(name).startswith("name"):
            joined[name] = joined[name].fillna("")
    places = np.argsort(order)[: len(found.rows)]
    return joined.iloc[order].reset_index(drop=True), places


def _ranks(found: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> np.ndarray:
    hits = found == truth[:, None]
    ranks = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, RANKS + 1)
    return np.where(inside, ranks, ranking.UNKNOWN)


def _warn_about_probes_in_gallery(people: FaceTable, probes: ImageList) -> None:
    known = {os.path.realpath(path) for path in people.full_paths()}
    same = [path for path in probes.paths or () if os.path.realpath(path) in known]
    if same:
        warnings.warn(
            f"{len(same)} of {len(probes)} probes are also in the gallery, for instance {same[0]}, "
            "so the metrics are biased",
            stacklevel=4,
        )


def _probes(probes: AnyImages) -> ImageList:
    """The probes; a folder may have one subfolder per person."""
    if isinstance(probes, (str, os.PathLike)) and not os.path.isfile(probes):
        probes = _probe_table(pathlib.Path(probes))
    return image_list(probes, "probes")


def _probe_table(folder: pathlib.Path) -> FaceTable:
    """Images, or one subfolder per person."""
    pictures = unlabeled_folder(folder)
    loose = [path for path in pictures.paths if len(pathlib.PurePath(path).parts) == 1]
    if len(loose) == len(pictures):
        return pictures
    if loose:
        raise ValueError(
            "Probes must be in one folder, or in one subfolder per person. "
            f"Received: both, for instance {loose[0]!r} and subfolders in "
            f"{os.fspath(folder)!r}. Separate them."
        )
    return people_folder(folder)


def _write(folder: pathlib.Path, result: Identified, probes: ImageList, people: int) -> None:
    with replacing(folder / "answers.csv") as part:
        result.answers.to_csv(part, index=False)
    if result.metrics:
        write_json(folder / "metrics.json", result.metrics)
        with replacing(folder / "cmc.csv") as part:
            result.cmc.to_csv(part, index=False)
        with replacing(folder / "cmc.png") as part:
            cmc_curve(result.cmc).savefig(part)
    text = identification_html(
        result.answers, result.metrics, result.cmc, probes, people, result.threshold
    )
    with replacing(folder / REPORT) as part:
        part.write_text(text, encoding="utf-8")
