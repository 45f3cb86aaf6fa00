"""`identify` names the people in images with a gallery of known people."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import warnings

import numpy as np
import pandas as pd

from kerasface.checks import check_choice, check_number
from kerasface.data import notebook
from kerasface.data.folders import unlabeled_folder
from kerasface.data.table import FaceTable
from kerasface.files import check_folder_to_write, replacing, write_json
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.embedding import embed, embedder
from kerasface.inference.gallery import (
    SUFFIX,
    Gallery,
    check_gallery_path,
    enroll,
    load_gallery,
    people_folder,
)
from kerasface.inference.identification_page import identification_html
from kerasface.inference.nearest import ENGINES, nearest_people
from kerasface.inference.operating_point import OperatingPoint, resolve_threshold
from kerasface.inference.reading import AnyModel
from kerasface.metrics import identification as ranking
from kerasface.pipeline.crop import Crop
from kerasface.reports.identification import cmc_curve
from kerasface.runs.run import REPORT

RANKS = 50
SHOWN_ANSWERS = 20


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Identified:
    """Result of `identify`.

    Attributes:
        answers: One row per probe: ``path``, ``answer`` (a name, or empty without a match),
            ``score`` and the nearest people as ``name1``, ``score1``, ``name2``, ... For labeled
            probes also ``truth``, empty for people who are not in the gallery.
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
    probes: str | os.PathLike | FaceTable,
    *,
    model: AnyModel,
    threshold: float | OperatingPoint | None = None,
    count: int = 5,
    flip: bool | None = None,
    crop: Crop | None = None,
    engine: str = "auto",
    batch_size: int = 64,
    save_gallery: str | os.PathLike | None = None,
    out: str | os.PathLike | None = None,
    verbose: int = 0,
) -> Identified:
    """Names the people in images, who are looked up in a gallery of known people.

    Args:
        gallery: A folder with one subfolder per person, a table, a gallery or its file.
        probes: A folder of images, a folder with one subfolder per person, or a table. Labelled
            probes are evaluated; people who are not in the gallery count as unknown.
        model: Run, run folder, ``.keras`` file or Keras model; see `kerasface.embedder`.
        threshold: Similarity in [-1, 1] below which the answer is nobody. None takes the one that
            `kerasface.inference.verify_pairs` stored with the model; if there is none, somebody
            is always named. Its false accept rate holds for one comparison; each probe is
            compared with all people in the gallery.
        count: Number of people to name.
        flip: If True, add the embedding of the mirror image. None does so if the gallery was made
            so, and for a new gallery if the stored threshold was.
        crop: As in `kerasface.embed`. None takes that of the gallery, and for a new gallery that
            of the stored threshold, else that of the run.
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
        ValueError: If the gallery was made by another model or with another ``flip`` or
            ``crop``, the folder of probes has both images and subfolders of people, the stored
            threshold belongs to other weights, or an image is unreadable.

    Example:
        >>> result = identify("staff", "visitors", model="runs/faces")  # doctest: +SKIP
        >>> result.answers[["path", "answer", "score"]]  # doctest: +SKIP
    """
    if save_gallery is not None:
        check_gallery_path(save_gallery)
    if out is not None:
        check_folder_to_write("out", out)
    check_number("count", count, 1, whole=True)
    check_choice("engine", engine, ENGINES)
    limit = resolve_threshold(model, threshold)
    network = embedder(model)
    table = probes if isinstance(probes, FaceTable) else _probe_table(pathlib.Path(probes))
    if isinstance(gallery, (str, os.PathLike)) and pathlib.Path(gallery).suffix == SUFFIX:
        gallery = load_gallery(gallery)
    if isinstance(gallery, Gallery):
        gallery.check(network, flip=flip, crop=crop)
        known = gallery
        limit.measured(network, known.settings.flip, known.settings.crop, stacklevel=3)
    else:
        flip, crop = limit.flip_and_crop(model, flip, crop)
        limit.measured(network, flip, crop, stacklevel=3)
        people = gallery if isinstance(gallery, FaceTable) else people_folder(gallery)
        _warn_about_probes_in_gallery(people, table)
        known = enroll(
            people,
            model=network,
            crop=crop,
            flip=flip,
            batch_size=batch_size,
            verbose=verbose,
        )
    if save_gallery is not None:
        known.save(save_gallery)
    vectors = embed(
        table,
        model=network,
        crop=known.settings.crop,
        flip=known.settings.flip,
        batch_size=batch_size,
        verbose=verbose,
    )
    found = nearest_people(known, vectors, max(count, RANKS), engine=engine)
    result = _answer(table, np.array(known.names, dtype=object), found, limit.value, count)
    if out is not None:
        _write(pathlib.Path(out), result, table, len(set(known.names)))
    return result


def _answer(
    table: FaceTable,
    names: np.ndarray,
    found: tuple[np.ndarray, np.ndarray],
    threshold: float | None,
    count: int,
) -> Identified:
    """Answers for probes from their nearest people, with metrics for labeled probes."""
    people, scores = found
    best = scores[:, 0]
    answered = np.ones(len(best), bool) if threshold is None else best >= threshold
    columns = {
        "path": table.paths,
        "answer": np.where(answered, names[people[:, 0]], ""),
        "score": best,
    }
    for place in range(min(count, people.shape[1])):
        columns[f"name{place + 1}"] = names[people[:, place]]
        columns[f"score{place + 1}"] = scores[:, place]
    if table.labels is None or table.multi_label:
        return Identified(pd.DataFrame(columns), {}, pd.DataFrame(), threshold)
    truth = np.array(table.names, dtype=object)[table.labels]
    inside = np.isin(truth.astype(str), names.astype(str))
    columns["truth"] = np.where(inside, truth, "")
    ranks = _ranks(names[people], truth, inside)
    result = ranking.evaluate(ranks, best, threshold=threshold, max_rank=RANKS)
    return Identified(pd.DataFrame(columns), result.metrics, result.cmc, threshold)


def _ranks(found: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> np.ndarray:
    hits = found == truth[:, None]
    ranks = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, RANKS + 1)
    return np.where(inside, ranks, ranking.UNKNOWN)


def _warn_about_probes_in_gallery(people: FaceTable, probes: FaceTable) -> None:
    known = {os.path.realpath(path) for path in people.full_paths()}
    same = [path for path in probes.full_paths() if os.path.realpath(path) in known]
    if same:
        warnings.warn(
            f"{len(same)} of {len(probes)} probes are also in the gallery, for instance {same[0]}, "
            "so the metrics are biased",
            stacklevel=4,
        )


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


def _write(folder: pathlib.Path, result: Identified, probes: FaceTable, people: int) -> None:
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
