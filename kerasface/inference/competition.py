"""`submit_matches` writes the verification submission of CMU 11-785's HW2P2."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np
import pandas as pd

from kerasface.checks import check_choice, check_number
from kerasface.data import notebook
from kerasface.data.folders import unlabeled_folder
from kerasface.data.image_list import image_list
from kerasface.data.submission import write_submission
from kerasface.data.table import FaceTable
from kerasface.faces.detectors.registry import Detector
from kerasface.faces.preparation import ONE_FACE
from kerasface.files import check_file_to_write, check_text_table
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.gallery import Gallery, enroll_with
from kerasface.inference.method import open_method
from kerasface.inference.nearest import nearest_people
from kerasface.inference.operating_point import Threshold, resolve_threshold
from kerasface.inference.preparing import BATCH_SIZE
from kerasface.inference.reading import AnyModel
from kerasface.inference.settings import EmbeddingSettings
from kerasface.inference.vectors import Embedded, embed_images
from kerasface.metrics.identification import UNKNOWN, best_threshold
from kerasface.pipeline.crop import Crop

NO_MATCH = "n000000"  # the label in the course's own notebook


@dataclasses.dataclass(frozen=True)
class Matches:
    """Result of `submit_matches`.

    Attributes:
        path: The CSV file.
        threshold: Similarity below which nobody matches.
        matched: Share of the images that match somebody.
        dev_accuracy: Share of right answers on the development images at that threshold, which
            was chosen on them unless one was given; None without development images.
    """

    path: pathlib.Path
    threshold: float
    matched: float
    dev_accuracy: float | None

    def _repr_html_(self) -> str:
        return notebook.facts_html("Matches", dataclasses.asdict(self))


@explain_old_calls
def submit_matches(
    model: AnyModel,
    known: str | os.PathLike,
    unknown: str | os.PathLike,
    out: str | os.PathLike,
    *,
    threshold: float | None = None,
    dev: str | os.PathLike | None = None,
    dev_labels: str | os.PathLike | None = None,
    no_match: str = NO_MATCH,
    detect: bool | None = None,
    detector: str | Detector | None = None,
    faces: str = "largest",
    flip: bool | None = None,
    crop: Crop | None = None,
    jitter: int = 0,
    batch_size: int = BATCH_SIZE,
    verbose: int = 0,
) -> Matches:
    """Finds the known person in each image, or nobody, and writes the submission.

    The file has the columns ``id``, the place of the image among the sorted file names from 0,
    and ``label``, the name of the person's folder.

    Args:
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model; see
            `kerasface.embedder`.
        known: Folder with one subfolder per person (``known``).
        unknown: Folder of images (``unknown_test``).
        out: CSV file to write.
        threshold: Similarity in [-1, 1] below which nobody matches. None takes the one with the
            highest accuracy on the development images or, without them, the stored one.
        dev: Folder of development images (``unknown_dev``).
        dev_labels: CSV file with a column ``label``, one row per development image in the order
            of the sorted file names (``verification_dev.csv``).
        no_match: Label of images without a match, in both files.
        detect: As in `kerasface.embed`. A photograph without a face matches nobody.
        detector: As in `kerasface.embed`.
        faces: Which face of a photograph counts: ``"largest"``, ``"central"`` or ``"best"``.
        flip: If True, add the embedding of the mirror image. None does so if the stored threshold
            was measured so.
        crop: As in `kerasface.embed`. None takes that of the stored threshold, else that of the
            run.
        jitter: As in `kerasface.embed`.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        The file, the threshold and the share of matches.

    Raises:
        FileNotFoundError: If a folder or file does not exist.
        ValueError: If there is no threshold, labels and images do not fit, a label is not a
            known person, or an image is unreadable.

    Example:
        >>> submit_matches("runs/faces", "known", "unknown_test", "submission.csv",
        ...                dev="unknown_dev", dev_labels="verification_dev.csv")  # doctest: +SKIP
    """
    _check_options(out, threshold, dev, dev_labels)
    check_choice("faces", faces, ONE_FACE)
    stored = resolve_threshold(model, None)
    flip, crop = stored.flip_and_crop(model, flip, crop)
    method = open_method(
        model,
        detect=detect,
        detector=detector,
        faces=faces,
        flip=flip,
        crop=crop,
        jitter=jitter,
        like=stored.point.settings if stored.point else None,
    )
    if threshold is None and dev is None:
        threshold = _stored_threshold(stored, method.settings)
    tables, labels = _images(unknown, dev, dev_labels)
    options: dict[str, Any] = {"batch_size": batch_size, "verbose": verbose}
    gallery = enroll_with(method, known, **options)
    if labels is not None:
        _check_labels(labels, {*gallery.names, no_match})
    found = [
        _nearest(
            gallery,
            embed_images(method, image_list(table), missing="skip", **options),
            np.full(len(table), no_match, dtype=object),
        )
        for table in tables
    ]
    accuracy = None
    if labels is not None:
        threshold, accuracy = _development(labels, *found[1], no_match, threshold)
    assert threshold is not None  # given, stored or chosen
    names, scores = found[0]
    matched = scores >= threshold
    path = _write(out, np.where(matched, names, no_match))
    return Matches(path, float(threshold), float(matched.mean()), accuracy)


def _write(out: str | os.PathLike, labels: np.ndarray) -> pathlib.Path:
    ids = np.arange(len(labels)).astype(str)
    return write_submission(out, pd.DataFrame({"id": ids, "label": labels}))


def _images(
    unknown: str | os.PathLike,
    dev: str | os.PathLike | None,
    dev_labels: str | os.PathLike | None,
) -> tuple[list[FaceTable], np.ndarray | None]:
    """The images to name and, if they are given, the development images with their labels."""
    tables = [unlabeled_folder(unknown)]
    if dev is None or dev_labels is None:
        return tables, None
    tables.append(unlabeled_folder(dev))
    return tables, _dev_labels(pathlib.Path(dev_labels), len(tables[1]))


def _development(
    labels: np.ndarray,
    names: np.ndarray,
    scores: np.ndarray,
    no_match: str,
    threshold: float | None,
) -> tuple[float, float]:
    """The threshold, by default the best one for the development images, and their accuracy."""
    if threshold is None:
        ranks = np.where(labels == no_match, UNKNOWN, np.where(names == labels, 1, 2))
        threshold = best_threshold(ranks, scores)
    answers = np.where(scores >= threshold, names, no_match)
    return threshold, float((answers == labels).mean())


def _stored_threshold(stored: Threshold, settings: EmbeddingSettings) -> float:
    if stored.value is None:
        raise ValueError(
            "A match needs a threshold. Received: none, and none is stored with the model. "
            "Give threshold=, or dev= and dev_labels= to choose one."
        )
    stored.measured(settings, stacklevel=4)
    return stored.value


def _nearest(
    gallery: Gallery, embedded: Embedded, names: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest person of each image, with the similarity.

    Args:
        gallery: The known people.
        embedded: The faces, at most one per image.
        names: Name of each image without a face, ``[images]``.
    """
    best = np.full(len(names), -np.inf)
    if len(embedded.rows):
        people, scores = nearest_people(gallery, embedded.vectors, 1)
        names[embedded.rows] = np.array(gallery.names, dtype=object)[people[:, 0]]
        best[embedded.rows] = scores[:, 0]
    return names, best


def _check_options(
    out: str | os.PathLike,
    threshold: float | None,
    dev: str | os.PathLike | None,
    dev_labels: str | os.PathLike | None,
) -> None:
    check_file_to_write("out", out)
    if threshold is not None:
        check_number("threshold", threshold, -1, 1)
    if (dev is None) != (dev_labels is None):
        raise ValueError(
            "`dev` and `dev_labels` must be given together. "
            f"Received: dev={dev!r}, dev_labels={dev_labels!r}."
        )


def _check_labels(labels: np.ndarray, known: set[str]) -> None:
    odd = sorted(set(labels) - known)
    if odd:
        raise ValueError(
            "A development label must be a known person or the label of images without a "
            "match (`no_match`). "
            f"Received: {odd[:5]}, which are neither."
        )


def _dev_labels(path: pathlib.Path, images: int) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(
            f"Development labels must be a CSV file. Received: {str(path)!r}, which does not exist."
        )
    check_text_table(path, "The file of development labels")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    if "label" not in frame:
        raise ValueError(
            f"Development labels need a column 'label'. Received: {list(frame)} in {path}."
        )
    if len(frame) != images:
        raise ValueError(
            "There must be one label per development image. "
            f"Received: {len(frame)} labels in {path} for {images} images."
        )
    return frame["label"].to_numpy(object)
