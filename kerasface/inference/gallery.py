"""Gallery: the embeddings of known people, in memory and in a file."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from kerasface.checks import check_choice
from kerasface.data import notebook
from kerasface.data.folders import identity_folder
from kerasface.data.image_list import image_list
from kerasface.data.table import FaceTable
from kerasface.faces.detectors.registry import Detector
from kerasface.faces.preparation import ONE_FACE
from kerasface.files import check_file_to_write, replacing
from kerasface.inference.call_forms import explain_old_calls
from kerasface.inference.method import EmbeddingMethod, open_method
from kerasface.inference.operating_point import resolve_threshold
from kerasface.inference.preparing import BATCH_SIZE
from kerasface.inference.pretrained import DEFAULT
from kerasface.inference.reading import AnyModel
from kerasface.inference.settings import EmbeddingSettings
from kerasface.inference.vectors import embed_images
from kerasface.pipeline.crop import Crop

SUFFIX = ".npz"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Gallery:
    """Embeddings of the images of known people.

    Attributes:
        embeddings: float32 ``[N, dimensions]``, rows of length 1, sorted by person.
        labels: int64 ``[N]``, the person of each row, as a place in ``names``. Every person has at
            least one row.
        names: The people.
        files: The images, relative to the folder that they were read from, ``[N]``.
        settings: How the embeddings are made.
    """

    embeddings: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    files: tuple[str, ...]
    settings: EmbeddingSettings

    def __len__(self) -> int:
        return len(self.embeddings)

    def __repr__(self) -> str:
        return notebook.short_repr("Gallery", self._facts())

    def _repr_html_(self) -> str:
        return notebook.facts_html("Gallery", self._facts())

    def _facts(self) -> dict[str, object]:
        return {
            "people": len(self.names),
            "images": len(self),
            "dimensions": self.embeddings.shape[1],
            "flip": self.settings.flip,
            "crop": self.settings.crop,
            "detect": self.settings.preparation is not None,
        }

    def save(self, path: str | os.PathLike) -> None:
        """Writes the gallery to a ``.npz`` file, as plain arrays without pickles.

        Args:
            path: File to write.

        Raises:
            ValueError: If the path has another suffix.
        """
        check_gallery_path(path)
        settings = self.settings.to_dict()
        with replacing(path) as part:
            np.savez(
                part,
                embeddings=self.embeddings,
                labels=self.labels,
                names=np.array(self.names, dtype=np.str_),
                files=np.array(self.files, dtype=np.str_),
                model=np.array(settings["model"]),
                flip=np.array(settings["flip"]),
                crop=np.array(settings["crop"]),
                preparation=np.array(json.dumps(settings["preparation"])),
                jitter=np.array(settings["jitter"]),
            )

    def check(self, settings: EmbeddingSettings) -> None:
        """Raises an error if probes are not embedded like the gallery.

        Args:
            settings: How the probes are embedded. The number of jittered copies may differ.

        Raises:
            ValueError: If the model has other weights, or flip, crop or the preparation of the
                faces differ.
        """
        remedy = "Make a new gallery with kerasface.inference.enroll."
        fields = ("crop", "flip", "model", "preparation")
        self.settings.check(settings, "a gallery", remedy, fields)


def load_gallery(path: str | os.PathLike) -> Gallery:
    """Reads a gallery that `Gallery.save` wrote.

    Args:
        path: A ``.npz`` file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a gallery.

    Example:
        >>> gallery = load_gallery("people.npz")  # doctest: +SKIP
    """
    if not pathlib.Path(path).is_file():
        raise FileNotFoundError(
            f"A gallery must be a .npz file. Received: {os.fspath(path)!r}, which does not exist."
        )
    try:
        with np.load(path, allow_pickle=False) as saved:
            return Gallery(
                saved["embeddings"],
                saved["labels"],
                tuple(saved["names"].tolist()),
                tuple(saved["files"].tolist()),
                EmbeddingSettings.from_dict(_saved_settings(saved)),
            )
    except Exception as error:  # zipfile, numpy and missing names raise different errors
        raise ValueError(
            "A gallery must be a file that Gallery.save wrote. "
            f"Received: {os.fspath(path)!r}: {error}"
        ) from error


def _saved_settings(saved: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The settings in a file; older versions have no preparation and no jitter."""
    found = {key: saved[key].item() for key in ("crop", "flip", "model", "jitter") if key in saved}
    if "preparation" in saved:
        found["preparation"] = json.loads(saved["preparation"].item())
    return found


@explain_old_calls
def enroll(
    people: str | os.PathLike | FaceTable,
    *,
    model: AnyModel = DEFAULT,
    detect: bool | None = None,
    detector: str | Detector | None = None,
    faces: str = "largest",
    crop: Crop | None = None,
    flip: bool | None = None,
    jitter: int = 0,
    batch_size: int = BATCH_SIZE,
    verbose: int = 0,
) -> Gallery:
    """Makes a gallery of known people.

    Args:
        people: A folder with one subfolder per person, or a table with one class per image.
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model; see
            `kerasface.embedder`.
        detect: As in `kerasface.embed`: photographs for ``"dlib"``, faces for other models.
        detector: As in `kerasface.embed`.
        faces: Which face of a photograph is the person: ``"largest"``, ``"central"`` or ``"best"``.
        crop: As in `kerasface.embed`.
        flip: If True, add the embedding of the mirror image. None does so if the threshold that
            is stored with the model was measured so.
        jitter: As in `kerasface.embed`.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        The gallery. People without images are skipped.

    Raises:
        ValueError: If the table does not have one class per image, a photograph has no face, or an
            image is unreadable.

    Example:
        >>> enroll("staff").save("staff.npz")  # doctest: +SKIP
        >>> enroll("staff", model="runs/faces").save("staff.npz")  # doctest: +SKIP
    """
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
    return enroll_with(method, people, batch_size=batch_size, verbose=verbose)


def enroll_with(
    method: EmbeddingMethod,
    people: str | os.PathLike | FaceTable,
    *,
    batch_size: int = BATCH_SIZE,
    verbose: int = 0,
) -> Gallery:
    """Makes a gallery of known people with an opened model.

    Args:
        method: The model and how the images are prepared for it.
        people: As in `enroll`.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Raises:
        ValueError: As `enroll`.
    """
    table = people if isinstance(people, FaceTable) else people_folder(people)
    if table.labels is None or table.multi_label:
        raise ValueError(
            f"A gallery needs one class per image. Received: {table.summary()}, "
            f"{'attributes' if table.multi_label else 'unlabeled'}."
        )
    table = table.take(np.argsort(table.labels, kind="stable"))
    images = image_list(table, "people")
    found = embed_images(method, images, batch_size=batch_size, verbose=verbose)
    present, labels = np.unique(np.asarray(table.labels), return_inverse=True)
    names = tuple(table.names[label] for label in present)
    return Gallery(found.vectors, labels, names, tuple(table.paths), method.settings)


def people_folder(folder: str | os.PathLike) -> FaceTable:
    """Reads a folder with one subfolder per person; one person is enough."""
    path = pathlib.Path(folder)
    names = sorted(entry.name for entry in path.glob("*/") if not entry.name.startswith("."))
    return identity_folder(path, names=names)


def check_gallery_path(path: str | os.PathLike) -> None:
    """Raises an error if a gallery cannot be written to a path."""
    check_file_to_write("save_gallery", path)
    if pathlib.Path(path).suffix != SUFFIX:
        raise ValueError(f"A gallery's file must end with .npz. Received: {os.fspath(path)!r}.")
