"""How embeddings are made. Only embeddings that are made in the same way can be compared."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kerasface.pipeline.crop import Crop

FIELDS = ("crop", "flip", "model")
OLD_SHAPES = {"center_square": "square", "middle": "image"}  # in files of version 0.1


@dataclasses.dataclass(frozen=True)
class EmbeddingSettings:
    """Crop, flip and model of embeddings.

    Attributes:
        crop: Region of each image that the model sees; None is the whole image.
        flip: Whether the embedding of the mirror image is added.
        model: Fingerprint of the embedding model; see `fingerprint`.

    Example:
        >>> settings = EmbeddingSettings(crop=None, flip=True, model="b3a1")
        >>> other = EmbeddingSettings(crop=None, flip=False, model="b3a1")
        >>> settings.difference(other, "a gallery")
        'flip=False for a gallery with flip=True'
    """

    crop: Crop | None
    flip: bool
    model: str

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
            if mine != theirs and name == "model":
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
        """Plain values, for files: ``crop`` (a string, empty for None), ``flip``, ``model``."""
        return {"flip": self.flip, "crop": write_crop(self.crop), "model": self.model}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EmbeddingSettings:
        """Reads what `to_dict` gave, and what version 0.1 wrote.

        Raises:
            KeyError: If a value is missing.
            ValueError: If the crop is unknown.
        """
        return cls(read_crop(values["crop"] or ""), bool(values["flip"]), str(values["model"]))


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
