"""The threshold that a verifier decides by, kept beside its model."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import warnings

import keras

from kerasface.files import replacing
from kerasface.inference.embedding import fingerprint
from kerasface.inference.reading import Source, crop_of, read_crop, run_of, write_crop
from kerasface.pipeline.crop import Crop

FILE = "verifier.json"


@dataclasses.dataclass(frozen=True)
class OperatingPoint:
    """A threshold and what it stands for.

    Attributes:
        threshold: Pairs of at least this similarity are taken for the same person.
        far: Share of the impostor pairs that were accepted at it.
        tar: Share of the genuine pairs that were accepted at it.
        impostor_pairs: How many there were.
        pairs: Name of the list of pairs.
        flip: Whether embeddings are made with the mirrored image.
        crop: What is cut out of each image, as in `kerasface.embed`; None for the whole of it.
        model: Fingerprint of the embedding model that it was measured with.
    """

    threshold: float
    far: float
    tar: float
    impostor_pairs: int
    pairs: str
    flip: bool
    crop: Crop | None
    model: str

    def holds(self, *, flip: bool, crop: Crop | None) -> bool:
        """Whether its rates are those of embeddings that are made so; warns if they are not."""
        if (self.flip, self.crop) == (flip, crop):
            return True
        warnings.warn(
            f"the threshold was measured with flip={self.flip} and crop={self.crop!r}, and these "
            f"embeddings are made with flip={flip} and crop={crop!r}: it does not stand for the "
            f"false accept rate of {self.far:.2%}",
            stacklevel=3,
        )
        return False

    def check(self, model: keras.Model) -> None:
        """Raises if it was measured with other weights than those of an embedding model.

        Args:
            model: What `kerasface.embedder` gives.

        Raises:
            ValueError: If its fingerprint is another.
        """
        if self.model != fingerprint(model):
            raise ValueError(
                "A threshold belongs to the weights that it was measured with. "
                f"Received: one of other weights than {model.name!r} has now. "
                "Run `kerasface verify` again, or give a threshold."
            )


def flip_and_crop(
    source: Source, point: OperatingPoint | None, flip: bool | None, crop: Crop | None
) -> tuple[bool, Crop | None]:
    """How embeddings are made: as is said, else as a threshold's were, else as a run's images.

    Args:
        source: The model.
        point: The threshold that they are compared by, if it is known how it was measured.
        flip: None where it is not said.
        crop: Likewise.
    """
    if flip is None:
        flip = bool(point and point.flip)
    return flip, crop or (point.crop if point else crop_of(source))


def operating_point_path(source: Source) -> pathlib.Path | None:
    """Where a source keeps its operating point; None for a model that is in no file.

    Of a run it is ``verifier.json`` in its folder, of another ``faces.keras``
    ``faces.verifier.json``.
    """
    if isinstance(source, keras.Model):
        return None
    run = run_of(source)
    if run is not None:
        return run.path(FILE)
    return pathlib.Path(source).with_suffix(f".{FILE}")  # type: ignore[arg-type]


def write_operating_point(source: Source, point: OperatingPoint) -> None:
    """Keeps an operating point beside its model, if that is in a file."""
    path = operating_point_path(source)
    if path is not None:
        with replacing(path) as part:
            values = dataclasses.asdict(point) | {"crop": write_crop(point.crop)}
            text = json.dumps(values, indent=2) + "\n"
            part.write_text(text, encoding="utf-8")


def read_operating_point(source: Source) -> OperatingPoint | None:
    """The operating point that `kerasface.inference.verify_pairs` has kept, or None."""
    path = operating_point_path(source)
    if path is None or not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return OperatingPoint(**values | {"crop": read_crop(values["crop"] or "")})
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            "A verifier's file must be as it was written. "
            f"Received: {os.fspath(path)!r}: {error}. Run `kerasface verify` again."
        ) from error
