"""The verification half of CMU 11-785's HW2P2: which of the known people is it, or none."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from typing import Any

import numpy as np
import pandas as pd

from kerasface.data.folders import unlabeled_folder
from kerasface.data.submission import write_submission
from kerasface.inference.embedding import embed, embedder
from kerasface.inference.identification import enrol, nearest_people
from kerasface.inference.operating_point import OperatingPoint, flip_and_crop, read_operating_point
from kerasface.inference.reading import Source
from kerasface.metrics.identification import UNKNOWN, best_threshold
from kerasface.pipeline.crop import Crop

NO_MATCH = "n000000"  # what the course's own notebook answers


@dataclasses.dataclass(frozen=True)
class Matches:
    """What `submit_matches` gives.

    Attributes:
        path: The CSV file.
        threshold: The similarity below which the answer is that nobody matches.
        matched: Share of the pictures that were given a name.
        dev_accuracy: Share of right answers on the development pictures at that threshold, which
            was chosen on them unless one was given; None without any.
    """

    path: pathlib.Path
    threshold: float
    matched: float
    dev_accuracy: float | None


def submit_matches(
    source: Source,
    known: str | os.PathLike,
    unknown: str | os.PathLike,
    out: str | os.PathLike,
    *,
    threshold: float | None = None,
    dev: str | os.PathLike | None = None,
    dev_labels: str | os.PathLike | None = None,
    no_match: str = NO_MATCH,
    flip: bool | None = None,
    crop: Crop | None = None,
    batch_size: int = 64,
    verbose: int = 0,
) -> Matches:
    """Names the known person in each picture, or says that nobody matches, and writes the CSV.

    The file has the columns ``id``, the place of the picture among the sorted file names from 0,
    and ``label``, the name of the person's folder.

    Args:
        source: A run, its folder, a ``.keras`` file or a model; see `kerasface.embedder`.
        known: Folder with one subfolder a person (``known``).
        unknown: Folder of pictures (``unknown_test``).
        out: The CSV file.
        threshold: The similarity below which nobody matches; None takes the one that has most of
            the development pictures right, or, without them, the one stored with the model.
        dev: Folder of development pictures (``unknown_dev``).
        dev_labels: CSV file with a column ``label``, one row a development picture in the order
            of the sorted file names (``verification_dev.csv``).
        no_match: The answer where nobody matches, in both files.
        flip: Whether the mirrored images count too; None does as the stored threshold was made.
        crop: As in `kerasface.embed`; None does as the stored threshold was made, else cuts out
            what a run was trained on.
        batch_size: Images a step.
        verbose: 1 shows a progress bar.

    Returns:
        Path, threshold and how often it was reached.

    Raises:
        FileNotFoundError: If a folder or file does not exist.
        ValueError: If there is no threshold, labels and pictures do not match, a label is no
            known person, or an image cannot be read.

    Example:
        >>> submit_matches("runs/faces", "known", "unknown_test", "submission.csv",
        ...                dev="unknown_dev", dev_labels="verification_dev.csv")  # doctest: +SKIP
    """
    if (dev is None) != (dev_labels is None):
        raise ValueError(
            "Development pictures and their labels go together. "
            f"Received: dev={dev!r}, dev_labels={dev_labels!r}."
        )
    stored: OperatingPoint | None = read_operating_point(source)
    model = embedder(source)
    flip, crop = flip_and_crop(source, stored, flip, crop)
    if threshold is None and dev is None:
        if stored is None:
            raise ValueError(
                "Whether anybody matches needs a threshold. Received: none, and none is stored "
                "with the model. Give threshold=, or dev= and dev_labels= to choose one."
            )
        threshold = stored.threshold
        stored.check(model)
        stored.holds(flip=flip, crop=crop)
    tables = {"unknown": unlabeled_folder(unknown)}
    labels = None
    if dev is not None and dev_labels is not None:
        tables["dev"] = unlabeled_folder(dev)
        labels = _dev_labels(pathlib.Path(dev_labels), len(tables["dev"]))
    options: dict[str, Any] = {"flip": flip, "batch_size": batch_size, "verbose": verbose}
    gallery = enrol(model, known, crop=crop, **options)
    names = np.array(gallery.names, dtype=object)
    if labels is not None:
        odd = sorted(set(labels) - set(names) - {no_match})
        if odd:
            raise ValueError(
                f"A development label must be a known person or {no_match!r}. "
                f"Received: {odd[:5]} in {os.fspath(dev_labels)!r}."  # type: ignore[arg-type]
            )
    answers, best = {}, {}
    for side, table in tables.items():
        people, scores = nearest_people(gallery, embed(model, table, crop=crop, **options), 1)
        answers[side], best[side] = names[people[:, 0]], scores[:, 0].astype(float)
    accuracy = None
    if labels is not None:
        ranks = np.where(labels == no_match, UNKNOWN, np.where(answers["dev"] == labels, 1, 2))
        if threshold is None:
            threshold = best_threshold(ranks, best["dev"])
        said = np.where(best["dev"] >= threshold, answers["dev"], no_match)
        accuracy = float((said == labels).mean())
    assert threshold is not None
    matched = best["unknown"] >= threshold
    frame = pd.DataFrame(
        {
            "id": np.arange(len(matched)).astype(str),
            "label": np.where(matched, answers["unknown"], no_match),
        }
    )
    path = write_submission(out, frame)
    return Matches(path, float(threshold), float(matched.mean()), accuracy)


def _dev_labels(path: pathlib.Path, pictures: int) -> np.ndarray:
    if not path.is_file():
        raise FileNotFoundError(
            f"Development labels are a CSV file. Received: {str(path)!r}, which does not exist."
        )
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    if "label" not in frame:
        raise ValueError(
            f"Development labels have a column 'label'. Received: {list(frame)} in {path}."
        )
    if len(frame) != pictures:
        raise ValueError(
            "There must be one label a development picture. "
            f"Received: {len(frame)} labels in {path} for {pictures} pictures."
        )
    return frame["label"].to_numpy(object)
