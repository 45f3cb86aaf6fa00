"""Who is it: a gallery of known people, and the nearest of them for each picture."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import pathlib
import warnings
from typing import Any

import numpy as np
import pandas as pd

from kerasface.data.folders import identity_folder, unlabeled_folder
from kerasface.data.table import FaceTable
from kerasface.files import replacing, write_json
from kerasface.inference.embedding import embed, embedder, fingerprint
from kerasface.inference.operating_point import OperatingPoint, flip_and_crop, read_operating_point
from kerasface.inference.reading import Source, crop_of, read_crop, write_crop
from kerasface.metrics import identification as ranking
from kerasface.pipeline.crop import Crop
from kerasface.reports.verification import cmc_curve

# A comparison of one face with as many takes numpy some hundredths of a second.
MOST_WITH_NUMPY = 100_000
ENGINES = ("auto", "numpy", "faiss")
CHUNK = 2**24  # similarities at a time
RANKS = 50


@dataclasses.dataclass(frozen=True, eq=False)
class Gallery:
    """Known people: the embeddings of their pictures.

    Attributes:
        embeddings: float32 ``[N, dimensions]``, rows of length 1, one person after the other.
        labels: int64 ``[N]``, whose picture it is, not falling, each of ``names`` at least once.
        names: The people.
        files: The pictures, relative to the folder that they were read from, ``[N]``.
        model: Fingerprint of the model that made the embeddings.
        flip: Whether the mirrored images count too.
        crop: What is cut out of each image, as in `kerasface.embed`; None for the whole of it.
    """

    embeddings: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    files: tuple[str, ...]
    model: str
    flip: bool
    crop: Crop | None

    def __len__(self) -> int:
        return len(self.embeddings)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the gallery to a ``.npz`` file, as plain arrays without pickles.

        Raises:
            ValueError: If the path ends otherwise.
        """
        _check_suffix(path)
        with replacing(path) as part:
            np.savez(
                part,
                embeddings=self.embeddings,
                labels=self.labels,
                names=np.array(self.names, dtype=np.str_),
                files=np.array(self.files, dtype=np.str_),
                model=np.array(self.model),
                flip=np.array(self.flip),
                crop=np.array(write_crop(self.crop)),
            )


@dataclasses.dataclass(frozen=True)
class Identified:
    """What `identify` gives.

    Attributes:
        answers: One row a probe: ``path``, ``answer`` (a name, or empty for nobody), ``score``,
            and the nearest people as ``name1``, ``score1``, ``name2``, ...; where it is known
            who they are also ``truth``, empty for people who are not in the gallery.
        figures: Where it is known who the probes are; see
            `kerasface.metrics.identification.evaluate`.
        threshold: The similarity below which the answer is nobody; None always answers.
    """

    answers: pd.DataFrame
    figures: ranking.Identification | None
    threshold: float | None


def load_gallery(path: str | os.PathLike) -> Gallery:
    """Reads what `Gallery.save` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no gallery.

    Example:
        >>> gallery = load_gallery("people.npz")  # doctest: +SKIP
    """
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(
            f"A gallery is a .npz file. Received: {os.fspath(path)!r}, which does not exist."
        )
    try:
        with np.load(path, allow_pickle=False) as saved:
            return Gallery(
                saved["embeddings"],
                saved["labels"],
                tuple(saved["names"].tolist()),
                tuple(saved["files"].tolist()),
                str(saved["model"]),
                bool(saved["flip"]),
                read_crop(str(saved["crop"])),
            )
    except Exception as error:  # zip, numpy and missing names each raise their own
        raise ValueError(
            f"A gallery must be as Gallery.save writes it. Received: {os.fspath(path)!r}: {error}"
        ) from error


def enrol(
    source: Source,
    people: str | os.PathLike | FaceTable,
    *,
    crop: Crop | None = None,
    flip: bool = False,
    batch_size: int = 64,
    verbose: int = 0,
) -> Gallery:
    """Makes a gallery of a folder of people.

    Args:
        source: A run, its folder, a ``.keras`` file or a model; see `kerasface.embedder`.
        people: A folder with one subfolder a person, or a table with one class an image.
        crop: As in `kerasface.embed`.
        flip: Whether the mirrored images count too.
        batch_size: Images a step.
        verbose: 1 shows a progress bar.

    Returns:
        The gallery; people without pictures are left out.

    Raises:
        ValueError: If the table has no class an image, or an image cannot be read.

    Example:
        >>> enrol("runs/faces", "staff").save("staff.npz")  # doctest: +SKIP
    """
    table = people if isinstance(people, FaceTable) else _people(pathlib.Path(people))
    if table.labels is None or table.multi_label:
        raise ValueError(
            f"A gallery needs to know who is in each picture. Received: {table.summary()}, "
            f"{'attributes' if table.multi_label else 'unlabeled'}."
        )
    table = table.take(np.argsort(table.labels, kind="stable"))
    model = embedder(source)
    options: dict[str, Any] = {"batch_size": batch_size, "flip": flip, "verbose": verbose}
    crop = crop or crop_of(source)
    vectors = embed(model, table, crop=crop, **options)
    present, labels = np.unique(np.asarray(table.labels), return_inverse=True)
    names = tuple(table.names[label] for label in present)
    return Gallery(vectors, labels, names, tuple(table.paths), fingerprint(model), flip, crop)


def nearest_people(
    gallery: Gallery, embeddings: np.ndarray, count: int = 5, *, engine: str = "auto"
) -> tuple[np.ndarray, np.ndarray]:
    """The people of a gallery that are most like each embedding, exactly.

    A person's score is that of the most similar of their pictures.

    Args:
        gallery: Where to look.
        embeddings: float32 ``[N, dimensions]``, rows of length 1.
        count: How many people; fewer where the gallery has fewer.
        engine: ``"numpy"``, ``"faiss"``, or ``"auto"``: faiss beyond 100,000 pictures where it is
            installed (``pip install kerasface[faiss]``), else numpy.

    Returns:
        int64 ``[N, count]`` places in ``gallery.names`` and float32 ``[N, count]`` cosines,
        falling.

    Raises:
        ValueError: If shapes do not fit or the engine is unknown.
        RuntimeError: If ``"faiss"`` is asked for and not installed.
    """
    if engine not in ENGINES:
        raise ValueError(f"`engine` must be one of {ENGINES}. Received: engine={engine!r}.")
    if embeddings.ndim != 2 or embeddings.shape[1] != gallery.embeddings.shape[1]:
        raise ValueError(
            "Embeddings must be as long as the gallery's. Received: shape="
            f"{embeddings.shape} for a gallery of length {gallery.embeddings.shape[1]}."
        )
    has_faiss = importlib.util.find_spec("faiss") is not None
    if engine == "faiss" and not has_faiss:
        raise RuntimeError(
            "engine='faiss' needs a package that is not installed. Received: no module 'faiss'. "
            "Install it with `pip install kerasface[faiss]`, or take engine='numpy'."
        )
    count = min(count, len(gallery.names))
    if engine == "faiss" or (engine == "auto" and has_faiss and len(gallery) > MOST_WITH_NUMPY):
        return _nearest_with_faiss(gallery, embeddings, count)
    return _nearest_with_numpy(gallery, embeddings, count)


def identify(
    source: Source,
    gallery: str | os.PathLike | FaceTable | Gallery,
    probes: str | os.PathLike | FaceTable,
    *,
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
    """Finds the people of pictures in a gallery.

    Args:
        source: A run, its folder, a ``.keras`` file or a model; see `kerasface.embedder`.
        gallery: A folder with one subfolder a person, a table, a gallery or the file of one.
        probes: A folder of pictures, a folder with one subfolder a person, or a table. With
            names the answers are judged; people who are not in the gallery count as unknown.
        threshold: The similarity below which the answer is nobody; None takes the one that is
            stored with the model (`kerasface.inference.verify_pairs`) and without one always
            answers. That one stands for the false accept rate of one comparison: with a gallery
            of many people a stranger is compared with all of them.
        count: How many people to name.
        flip: Whether the mirrored images count too; None does as the gallery, and for a new one
            as the stored threshold was made.
        crop: As in `kerasface.embed`; None does as the gallery, and for a new one as the stored
            threshold was made, else cuts out what a run was trained on.
        engine: As in `nearest_people`.
        batch_size: Images a step.
        save_gallery: A ``.npz`` file that keeps the gallery (see `Gallery.save`); None keeps
            none.
        out: Folder to write to: ``answers.csv`` and, where names are known, ``metrics.json``,
            ``cmc.csv`` and ``cmc.png``. None writes nothing.
        verbose: 1 shows a progress bar.

    Returns:
        Answers, figures and the threshold.

    Raises:
        ValueError: If the gallery was made by another model or with another ``flip`` or
            ``crop``, the folder of probes holds pictures beside people, the stored threshold
            belongs to other weights, or an image cannot be read.

    Example:
        >>> result = identify("runs/faces", "staff", "visitors")  # doctest: +SKIP
        >>> result.answers[["path", "answer", "score"]]  # doctest: +SKIP
    """
    if save_gallery is not None:
        _check_suffix(save_gallery)  # before the long part
    stored = read_operating_point(source) if threshold is None else threshold
    point = stored if isinstance(stored, OperatingPoint) else None
    limit = stored.threshold if isinstance(stored, OperatingPoint) else stored
    model = embedder(source)
    if point is not None:
        point.check(model)
    if not isinstance(gallery, Gallery) and not _is_file(gallery):
        flip, crop = flip_and_crop(source, point, flip, crop)
    table = probes if isinstance(probes, FaceTable) else _probes(pathlib.Path(probes))
    if not isinstance(gallery, (FaceTable, Gallery)) and not _is_file(gallery):
        gallery = _people(pathlib.Path(gallery))
    if isinstance(gallery, FaceTable):
        _warn_of_the_same(gallery, table)
    known = _gallery(model, gallery, crop, flip, batch_size, verbose)
    _check_gallery(known, model, flip, crop)
    if save_gallery is not None:
        known.save(save_gallery)
    if point is not None:
        point.holds(flip=known.flip, crop=known.crop)
    options: dict[str, Any] = {"batch_size": batch_size, "flip": known.flip, "verbose": verbose}
    vectors = embed(model, table, crop=known.crop, **options)
    people, scores = nearest_people(known, vectors, max(count, RANKS), engine=engine)
    names = np.array(known.names, dtype=object)
    best = scores[:, 0]
    answered = np.ones(len(best), bool) if limit is None else best >= limit
    columns = {
        "path": table.paths,
        "answer": np.where(answered, names[people[:, 0]], ""),
        "score": best,
    }
    for place in range(min(count, people.shape[1])):
        columns[f"name{place + 1}"] = names[people[:, place]]
        columns[f"score{place + 1}"] = scores[:, place]
    judged = None
    if table.labels is not None and not table.multi_label:
        truth = np.array(table.names, dtype=object)[table.labels]
        inside = np.isin(truth.astype(str), names.astype(str))
        columns["truth"] = np.where(inside, truth, "")
        ranks = _ranks(names[people], truth, inside)
        judged = ranking.evaluate(ranks, best, threshold=limit, most=RANKS)
    result = Identified(pd.DataFrame(columns), judged, limit)
    if out is not None:
        _write(pathlib.Path(out), result)
    return result


def _nearest_with_numpy(gallery: Gallery, embeddings, count: int):
    starts = np.searchsorted(gallery.labels, np.arange(len(gallery.names)))
    rows = max(1, CHUNK // len(gallery))
    people = np.empty((len(embeddings), count), np.int64)
    scores = np.empty((len(embeddings), count), np.float32)
    for start in range(0, len(embeddings), rows):
        part = slice(start, start + rows)
        similarities = embeddings[part] @ gallery.embeddings.T
        best = np.maximum.reduceat(similarities, starts, axis=1)
        chosen = np.argpartition(-best, count - 1, axis=1)[:, :count]
        chosen.sort(axis=1)  # of equals the first comes first
        found = np.take_along_axis(best, chosen, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        people[part] = np.take_along_axis(chosen, order, axis=1)
        scores[part] = np.take_along_axis(found, order, axis=1)
    return people, scores


def _nearest_with_faiss(gallery: Gallery, embeddings, count: int):
    import faiss  # an optional extra

    index = faiss.IndexFlatIP(gallery.embeddings.shape[1])
    index.add(np.ascontiguousarray(gallery.embeddings, np.float32))
    # So many pictures are of at least `count` people, who are then the nearest ones.
    pictures = min(len(gallery), count * int(np.bincount(gallery.labels).max()))
    rows = max(1, CHUNK // pictures)
    people = np.empty((len(embeddings), count), np.int64)
    scores = np.empty((len(embeddings), count), np.float32)
    for start in range(0, len(embeddings), rows):
        part = np.ascontiguousarray(embeddings[start : start + rows], np.float32)
        found, places = index.search(part, pictures)
        for row, labels in enumerate(gallery.labels[places]):
            first = np.sort(np.unique(labels, return_index=True)[1])[:count]
            people[start + row], scores[start + row] = labels[first], found[row, first]
    return people, scores


def _ranks(found: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> np.ndarray:
    hits = found == truth[:, None]
    ranks = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, RANKS + 1)
    return np.where(inside, ranks, ranking.UNKNOWN)


def _gallery(model, gallery, crop, flip, batch_size, verbose) -> Gallery:
    if isinstance(gallery, Gallery):
        return gallery
    if _is_file(gallery):
        return load_gallery(gallery)
    options: dict[str, Any] = {"batch_size": batch_size, "verbose": verbose}
    return enrol(model, gallery, crop=crop, flip=bool(flip), **options)


def _warn_of_the_same(people: FaceTable, probes: FaceTable) -> None:
    """Warns of probes that are in the gallery: finding a picture by itself says nothing."""
    known = {os.path.realpath(path) for path in people.full_paths()}
    same = [path for path in probes.full_paths() if os.path.realpath(path) in known]
    if same:
        warnings.warn(
            f"{len(same)} of the {len(probes)} probes are in the gallery themselves, for instance "
            f"{same[0]}: that these are found says nothing",
            stacklevel=3,
        )


def _is_file(gallery) -> bool:
    named = isinstance(gallery, (str, os.PathLike))
    return named and pathlib.Path(gallery).suffix == ".npz"


def _check_gallery(gallery: Gallery, model, flip: bool | None, crop: Crop | None) -> None:
    if gallery.model != fingerprint(model):
        raise ValueError(
            "Embeddings of different models cannot be compared. Received: a gallery made by "
            f"another model than {model.name!r}. Make it anew with kerasface.inference.enrol."
        )
    if flip is not None and flip != gallery.flip:
        raise ValueError(
            "Probes are embedded as the gallery was. "
            f"Received: flip={flip} for a gallery with flip={gallery.flip}."
        )
    if crop is not None and crop != gallery.crop:
        raise ValueError(
            "Probes are cut out as the gallery was. "
            f"Received: crop={crop!r} for a gallery with crop={gallery.crop!r}."
        )


def _people(folder: pathlib.Path) -> FaceTable:
    """A folder of people, of whom there may be one alone."""
    names = sorted(path.name for path in folder.glob("*/") if not path.name.startswith("."))
    return identity_folder(folder, names=names)


def _probes(folder: pathlib.Path) -> FaceTable:
    """Pictures, or one subfolder a person."""
    pictures = unlabeled_folder(folder)
    loose = [path for path in pictures.paths if len(pathlib.PurePath(path).parts) == 1]
    if len(loose) == len(pictures):
        return pictures
    if loose:
        raise ValueError(
            "Probes lie in one folder, or in one subfolder a person. "
            f"Received: both, for instance {loose[0]!r} beside subfolders in "
            f"{os.fspath(folder)!r}. Take them apart."
        )
    return _people(folder)


def _check_suffix(path: str | os.PathLike) -> None:
    if pathlib.Path(path).suffix != ".npz":
        raise ValueError(f"A gallery's file ends with .npz. Received: {os.fspath(path)!r}.")


def _write(folder: pathlib.Path, result: Identified) -> None:
    with replacing(folder / "answers.csv") as part:
        result.answers.to_csv(part, index=False)
    if result.figures is not None:
        write_json(folder / "metrics.json", result.figures.metrics)
        with replacing(folder / "cmc.csv") as part:
            result.figures.cmc.to_csv(part, index=False)
        with replacing(folder / "cmc.png") as part:
            cmc_curve(result.figures.cmc).savefig(part)
