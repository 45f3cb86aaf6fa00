"""The threshold of verification: `verify_pairs` measures it and stores it with the model."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import warnings

import keras

from kerasface.checks import check_number
from kerasface.files import replacing
from kerasface.inference.reading import AnyModel, crop_of, run_of
from kerasface.inference.settings import EmbeddingSettings, fingerprint
from kerasface.pipeline.crop import Crop

FILE = "verifier.json"
OWNER = "a threshold"


@dataclasses.dataclass(frozen=True)
class OperatingPoint:
    """A threshold with its measured rates.

    Attributes:
        threshold: Pairs of at least this similarity count as the same person.
        far: False accept rate: share of the impostor pairs that were accepted.
        tar: True accept rate: share of the genuine pairs that were accepted.
        impostor_pairs: Number of impostor pairs.
        pairs: Name of the list of pairs.
        settings: How the embeddings were made.
    """

    threshold: float
    far: float
    tar: float
    impostor_pairs: int
    pairs: str
    settings: EmbeddingSettings

    def holds(self, settings: EmbeddingSettings, *, stacklevel: int = 2) -> bool:
        """Returns whether the rates hold for other embeddings, and warns if not.

        Args:
            settings: How the other embeddings are made.
            stacklevel: As in ``warnings.warn``.

        Raises:
            ValueError: If they are made by a model with other weights.

        Warns:
            UserWarning: If they are made with another crop or flip.
        """
        remedy = "Run `kerasface verify` again, or give a threshold."
        self.settings.check(settings, OWNER, remedy, fields=("model",))
        difference = self.settings.difference(settings, OWNER)
        if difference:
            warnings.warn(
                f"the false accept rate of {self.far:.2%} does not hold for these embeddings, "
                f"which are made with {difference}",
                stacklevel=stacklevel + 1,
            )
        return not difference


@dataclasses.dataclass(frozen=True)
class Threshold:
    """The threshold of a comparison, from `resolve_threshold`.

    Attributes:
        value: Pairs of at least this similarity count as the same person; None accepts all.
        point: Its operating point, if it was measured.
    """

    value: float | None
    point: OperatingPoint | None

    def flip_and_crop(
        self, model: AnyModel, flip: bool | None, crop: Crop | None
    ) -> tuple[bool, Crop | None]:
        """Returns the flip and crop of the embeddings that the threshold is used for.

        Args:
            model: Run, run folder, ``.keras`` file or Keras model.
            flip: As given; None takes that of the operating point, else False.
            crop: As given; None takes that of the operating point, else that of the run.
        """
        measured = self.point.settings if self.point else None
        if flip is None:
            flip = bool(measured and measured.flip)
        return flip, crop or (measured.crop if measured else crop_of(model))

    def false_accept_rate(
        self, network: keras.Model, flip: bool, crop: Crop | None, *, stacklevel: int = 2
    ) -> float | None:
        """Returns the measured false accept rate if it holds for these embeddings, else None.

        Args:
            network: The embedding model.
            flip: Whether the embedding of the mirror image is added.
            crop: Region of each image that the model sees.
            stacklevel: As in ``warnings.warn``.

        Raises:
            ValueError: If the threshold was measured with other weights.

        Warns:
            UserWarning: If it was measured with another flip or crop.
        """
        if self.point is None:
            return None
        settings = EmbeddingSettings(crop, flip, fingerprint(network))
        return self.point.far if self.point.holds(settings, stacklevel=stacklevel + 1) else None


def resolve_threshold(model: AnyModel, threshold: float | OperatingPoint | None) -> Threshold:
    """Finds the threshold of a comparison.

    Args:
        model: Run, run folder, ``.keras`` file or Keras model.
        threshold: A similarity in [-1, 1] or an operating point. None takes the operating point
            that is stored with the model, if there is one.

    Returns:
        The threshold; its value is None if none is given or stored.
    """
    if threshold is not None and not isinstance(threshold, OperatingPoint):
        check_number("threshold", threshold, -1, 1, remedy="A threshold is a cosine similarity.")
    found = read_operating_point(model) if threshold is None else threshold
    if isinstance(found, OperatingPoint):
        return Threshold(found.threshold, found)
    return Threshold(None if found is None else float(found), None)


def stored_flip_and_crop(
    model: AnyModel, flip: bool | None, crop: Crop | None
) -> tuple[bool, Crop | None]:
    """Returns the flip and crop of embeddings, by default those of the stored threshold.

    Args:
        model: Run, run folder, ``.keras`` file or Keras model.
        flip: As given; None takes that of the stored threshold, else False.
        crop: As given; None takes that of the stored threshold, else that of the run.
    """
    return resolve_threshold(model, None).flip_and_crop(model, flip, crop)


def operating_point_path(model: AnyModel) -> pathlib.Path | None:
    """Returns the file of a model's operating point; None for a model that is not in a file.

    It is ``verifier.json`` in a run folder, and ``faces.verifier.json`` beside ``faces.keras``.
    """
    if isinstance(model, keras.Model):
        return None
    run = run_of(model)
    if run is not None:
        return run.path(FILE)
    return pathlib.Path(model).with_suffix(f".{FILE}")  # type: ignore[arg-type]


def write_operating_point(model: AnyModel, point: OperatingPoint) -> None:
    """Stores an operating point beside its model, if that is in a file."""
    path = operating_point_path(model)
    if path is not None:
        values = dataclasses.asdict(point)
        del values["settings"]
        with replacing(path) as part:
            text = json.dumps(values | point.settings.to_dict(), indent=2) + "\n"
            part.write_text(text, encoding="utf-8")


def read_operating_point(model: AnyModel) -> OperatingPoint | None:
    """Reads the operating point that is stored with a model.

    Args:
        model: Run, run folder, ``.keras`` file or Keras model.

    Returns:
        What `kerasface.inference.verify_pairs` stored, or None.

    Raises:
        ValueError: If the file is damaged.

    Example:
        >>> read_operating_point("runs/faces").threshold  # doctest: +SKIP
    """
    path = operating_point_path(model)
    if path is None or not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        settings = EmbeddingSettings.from_dict(values)
        measured = {key: value for key, value in values.items() if key not in settings.to_dict()}
        return OperatingPoint(**measured, settings=settings)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "A stored threshold must be a file that `kerasface verify` wrote. "
            f"Received: {os.fspath(path)!r}: {error}. Run `kerasface verify` again."
        ) from error
