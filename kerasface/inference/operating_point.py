"""The threshold of verification: `verify_pairs` measures it and stores it with the model."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import warnings
from typing import TypeAlias

import keras

from kerasface.checks import check_number
from kerasface.files import replacing
from kerasface.inference.reading import AnyModel, crop_of, run_of
from kerasface.inference.settings import EmbeddingSettings
from kerasface.inference.shipped import SHIPPED, is_shipped, shipped_flip, shipped_values
from kerasface.metrics.probability import probability_of
from kerasface.pipeline.crop import Crop

FILE = "verifier.json"
OWNER = "a threshold"
THRESHOLD_REMEDY = "A threshold is a cosine similarity."
LARGE = 1e6  # a calibration with larger numbers is damaged


@dataclasses.dataclass(frozen=True)
class OperatingPoint:
    """A threshold with its measured rates.

    The interval of the false accept rate is that of the threshold on new people. Where the people
    are known, they are resampled (a bootstrap), because pairs that share a person are not
    independent. Otherwise it is Wilson's interval, which is too narrow if people are in several
    pairs.

    Attributes:
        threshold: Pairs of at least this similarity count as the same person.
        far: False accept rate: share of the impostor pairs that were accepted.
        tar: True accept rate: share of the genuine pairs that were accepted.
        impostor_pairs: Number of impostor pairs.
        pairs: Name of the list of pairs.
        settings: How the embeddings were made.
        far_low: Lower bound of the 95% interval of ``far``; None in files of older versions.
        far_high: Upper bound.
        calibration: Slope and intercept of the probability; see `probability`. None if there are
            too few pairs, or in files of older versions.
        people: Number of people in the pairs; 0 if it is unknown.

    Raises:
        ValueError: If a number is out of range or NaN.
    """

    threshold: float
    far: float
    tar: float
    impostor_pairs: int
    pairs: str
    settings: EmbeddingSettings
    far_low: float | None = None
    far_high: float | None = None
    calibration: tuple[float, float] | None = None
    people: int = 0

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold, -1, 1, remedy=THRESHOLD_REMEDY)
        for key in ("far", "tar", "far_low", "far_high"):
            if getattr(self, key) is not None:
                check_number(key, getattr(self, key), 0, 1)
        if self.calibration is not None:
            slope, intercept = self.calibration
            for key, number in (("slope", slope), ("intercept", intercept)):
                check_number(f"calibration: {key}", number, -LARGE, LARGE)
            object.__setattr__(self, "calibration", (float(slope), float(intercept)))

    @property
    def measured_on(self) -> str:
        """The data and the number of pairs, for people."""
        who = f", {self.people:,} people" if self.people else ""
        return f"{self.pairs}: {self.impostor_pairs:,} pairs of different people{who}"

    def probability(self, similarity: float) -> float | None:
        """Returns the probability that two images of this similarity show one person.

        It is ``1 / (1 + exp(-(slope * similarity + intercept)))`` and holds where pairs of one
        person are as frequent as pairs of different people. With the odds ``o`` of one person
        before looking, multiply the odds of the probability by ``o``.

        Args:
            similarity: Cosine similarity.

        Returns:
            A number in [0, 1]; None without a calibration.
        """
        if self.calibration is None:
            return None
        return probability_of(similarity, self.calibration)

    def holds(self, settings: EmbeddingSettings, *, stacklevel: int = 2) -> bool:
        """Returns whether the rates hold for other embeddings, and warns if not.

        Args:
            settings: How the other embeddings are made.
            stacklevel: As in ``warnings.warn``.

        Raises:
            ValueError: If they are made by a model with other weights.

        Warns:
            UserWarning: If they are made with another crop, flip, preparation or jitter.
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


AnyThreshold: TypeAlias = float | str | os.PathLike | OperatingPoint


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
            flip: As given; None takes that of the operating point, else the default of the
                pretrained network, else False.
            crop: As given; None takes that of the operating point, else that of the run.
        """
        measured = self.point.settings if self.point else None
        if flip is None:
            flip = measured.flip if measured else shipped_flip(model)
        return flip, crop or (measured.crop if measured else crop_of(model))

    def measured(
        self, settings: EmbeddingSettings, *, stacklevel: int = 2
    ) -> OperatingPoint | None:
        """Returns the operating point if its rates hold for these embeddings, else None.

        Args:
            settings: How the embeddings are made.
            stacklevel: As in ``warnings.warn``.

        Raises:
            ValueError: If the threshold was measured with other weights.

        Warns:
            UserWarning: If it was measured with another crop, flip, preparation or jitter.
        """
        if self.point is None:
            return None
        return self.point if self.point.holds(settings, stacklevel=stacklevel + 1) else None


def resolve_threshold(
    model: AnyModel,
    threshold: AnyThreshold | None = None,
    *,
    far: float | None = None,
    flip: bool | None = None,
) -> Threshold:
    """Finds the threshold of a comparison.

    Args:
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model.
        threshold: A similarity in [-1, 1], an operating point, or a file that `verify_pairs`
            wrote. None takes the operating point that is stored with the model or, for a
            pretrained network, is shipped with this package.
        far: False accept rate of a shipped threshold; see `read_operating_point`.
        flip: Whether the embedding of the mirror image is added; see `read_operating_point`.

    Returns:
        The threshold; its value is None if none is given or stored.

    Raises:
        ValueError: If the threshold is out of range or NaN, the file is damaged, or both
            ``threshold`` and ``far`` are given.
        FileNotFoundError: If there is no such file.
    """
    if threshold is not None and far is not None:
        raise ValueError(
            f"Either a threshold or a false accept rate can be chosen. Received: "
            f"threshold={threshold!r} and far={far!r}. Leave one of them out."
        )
    if isinstance(threshold, (str, os.PathLike)):
        threshold = read_operating_point_file(threshold)
    if threshold is None:
        threshold = read_operating_point(model, far=far, flip=flip)
    if isinstance(threshold, OperatingPoint):
        return Threshold(threshold.threshold, threshold)
    if threshold is None:
        return Threshold(None, None)
    check_number("threshold", threshold, -1, 1, remedy=THRESHOLD_REMEDY)
    return Threshold(float(threshold), None)


def operating_point_path(model: AnyModel) -> pathlib.Path | None:
    """Returns the file of a model's operating point; None for a model that is not in a file.

    It is ``verifier.json`` in a run folder, and ``faces.verifier.json`` beside ``faces.keras``.
    """
    if isinstance(model, keras.Model) or is_shipped(model):
        return None
    run = run_of(model)
    if run is not None:
        return run.path(FILE)
    return pathlib.Path(model).with_suffix(f".{FILE}")  # type: ignore[arg-type]


def write_operating_point(model: AnyModel, point: OperatingPoint) -> None:
    """Stores an operating point beside its model, if that is in a file."""
    path = operating_point_path(model)
    if path is not None:
        write_operating_point_file(path, point)


def write_operating_point_file(path: pathlib.Path, point: OperatingPoint) -> None:
    """Writes an operating point to a file, for `read_operating_point_file`."""
    values = dataclasses.asdict(point)
    del values["settings"]
    with replacing(path) as part:
        text = json.dumps(values | point.settings.to_dict(), indent=2) + "\n"
        part.write_text(text, encoding="utf-8")


def read_operating_point(
    model: AnyModel, *, far: float | None = None, flip: bool | None = None
) -> OperatingPoint | None:
    """Reads the operating point of a model: its threshold with the measured rates.

    Args:
        model: ``"dlib"``, run, run folder, ``.keras`` file or Keras model.
        far: False accept rate, one of those that are shipped for ``"dlib"``; None takes the
            default. Other models have one stored threshold.
        flip: Whether the embedding of the mirror image is added, for ``"dlib"``; None takes the
            default.

    Returns:
        What `kerasface.inference.verify_pairs` stored with the model, or None. For ``"dlib"``, what
        is shipped with this package.

    Raises:
        ValueError: If the file is damaged, there is no threshold for this rate, or ``far`` is
            given for another model than ``"dlib"``.

    Example:
        >>> read_operating_point("runs/faces").threshold  # doctest: +SKIP
        >>> read_operating_point("dlib", far=0.001).threshold  # doctest: +SKIP
    """
    if is_shipped(model):
        return OperatingPoint(**shipped_values(str(model), far, flip))
    if far is not None:
        raise ValueError(
            f"Only a pretrained network ({', '.join(SHIPPED)}) has thresholds for several false "
            f"accept rates. Received: far={far!r} for model={model!r}. Leave it out, or measure "
            "another threshold with verify_pairs(far=)."
        )
    path = operating_point_path(model)
    if path is None or not path.is_file():
        return None
    return read_operating_point_file(path)


def read_operating_point_file(path: str | os.PathLike) -> OperatingPoint:
    """Reads the file of an operating point.

    Args:
        path: A file that `kerasface.inference.verify_pairs` wrote, ``verifier.json``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            "A threshold must be a number, or a file that `kerasface verify --pairs` wrote. "
            f"Received: {os.fspath(path)!r}, which does not exist. Check the path."
        )
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
