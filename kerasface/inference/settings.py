"""How embeddings are made. Only embeddings that are made in the same way can be compared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasface.faces.preparation import Preparation
from kerasface.pipeline.crop import Crop

FIELDS = ("crop", "flip", "model", "preparation", "jitter")
OLD_SHAPES = {"center_square": "square", "middle": "image"}  # in files of version 0.1


@dataclasses.dataclass(frozen=True)
class EmbeddingSettings:
    """Crop, flip, model and preparation of embeddings.

    Attributes:
        crop: Region of each image that the model sees; None is the whole image.
        flip: Whether the embedding of the mirror image is added.
        model: Fingerprint of the embedding model; see `fingerprint`.
        preparation: How the faces were detected and cut out; None for images that are taken as
            they are (``detect=False``).
        jitter: Number of randomly moved copies of each face that are averaged; 0 for none.

    Example:
        >>> settings = EmbeddingSettings(crop=None, flip=True, model="b3a1")
        >>> other = EmbeddingSettings(crop=None, flip=False, model="b3a1")
        >>> settings.difference(other, "a gallery")
        'flip=False for a gallery with flip=True'
    """

    crop: Crop | None
    flip: bool
    model: str
    preparation: Preparation | None = None
    jitter: int = 0

    def difference(
        self, other: EmbeddingSettings, owner: str, fields: Sequence[str] = FIELDS
    ) -> str:
        """Describes how other embeddings are made differently.

        Args:
            other: How the other embeddings are made.
            owner: What these settings belong to, for instance ``"a gallery"``.
            fields: Fields to compare.

        Returns:
            The differences, separated by commas; empty if there are none.
        """
        found = []
        for name in fields:
            mine, theirs = getattr(self, name), getattr(other, name)
            if name == "preparation":
                found += _different_preparation(mine, theirs, owner)
            elif mine != theirs and name == "model":
                found.append(f"other weights than those of {owner}")
            elif mine != theirs:
                found.append(f"{name}={theirs!r} for {owner} with {name}={mine!r}")
        return ", ".join(found)

    def check(
        self, other: EmbeddingSettings, owner: str, remedy: str, fields: Sequence[str] = FIELDS
    ) -> None:
        """Raises an error if other embeddings are made differently.

        Args:
            other: How the other embeddings are made.
            owner: As in `difference`.
            remedy: What to do about it; ends the message.
            fields: Fields to compare.

        Raises:
            ValueError: If a field differs.
        """
        difference = self.difference(other, owner, fields)
        if difference:
            raise ValueError(
                "Embeddings can only be compared if they are made in the same way. "
                f"Received: {difference}. {remedy}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for files.

        Returns:
            ``crop`` (a string, empty for None), ``flip``, ``model``, ``preparation`` (a
            dictionary or None) and ``jitter``.
        """
        return {
            "flip": self.flip,
            "crop": write_crop(self.crop),
            "model": self.model,
            "preparation": self.preparation and self.preparation.to_dict(),
            "jitter": self.jitter,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EmbeddingSettings:
        """Reads what `to_dict` gave, and what older versions wrote, which never detected faces.

        Raises:
            KeyError: If a value is missing.
            ValueError: If the crop or the preparation is damaged.
        """
        prepared = values.get("preparation")
        return cls(
            crop=read_crop(values["crop"] or ""),
            flip=bool(values["flip"]),
            model=str(values["model"]),
            preparation=Preparation.from_dict(prepared) if prepared else None,
            jitter=int(values.get("jitter", 0)),
        )


def fingerprint(model: keras.Model) -> str:
    """Computes a hash of a model's input shape and weights, which identifies it."""
    digest = hashlib.sha256(str(model.input_shape).encode())
    for array in model.get_weights():
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def write_crop(crop: Crop | None) -> str:
    """Converts a crop to a string, for files; empty for None."""
    return "" if crop is None else json.dumps(dataclasses.asdict(crop))


def read_crop(text: str) -> Crop | None:
    """Reads what `write_crop` wrote, and the names that version 0.1 wrote.

    Raises:
        ValueError: If the text is not a crop.

    Example:
        >>> read_crop("middle:0.8")
        Crop(share=0.8, shape='image', position='center')
    """
    if not text:
        return None
    if text.startswith("{"):
        return Crop(**json.loads(text))
    name, _, share = text.partition(":")
    if name not in OLD_SHAPES:
        raise ValueError(f"A crop must be one of {list(OLD_SHAPES)}. Received: {text!r}.")
    return Crop(float(share or 1.0), shape=OLD_SHAPES[name])


def _different_preparation(
    mine: Preparation | None, theirs: Preparation | None, owner: str
) -> list[str]:
    """Describes how faces are prepared differently; empty if they are not."""
    if mine is None or theirs is None:
        if mine is theirs:
            return []
        return [f"detect={theirs is not None} for {owner} with detect={mine is not None}"]
    # As in a file, where a function has become its name.
    first, second = mine.to_dict(), theirs.to_dict()
    names = [name for name in {**first, **second} if name != "faces"]
    return [
        f"{name}={second.get(name)!r} for {owner} with {name}={first.get(name)!r}"
        for name in names
        if first.get(name) != second.get(name)
    ]
