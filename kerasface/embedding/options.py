"""What a recipe says of an embedding and of the head that it is learnt with."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Mapping
from typing import Any

from kerasface.embedding.margins import MARGINS
from kerasface.names import suggest

TRIPLETS = "triplets"
# The papers' margins: Kim et al. 2022, Deng et al. 2019, Wang et al. 2018, Schroff et al. 2015.
USUAL_MARGINS = {"adaface": 0.4, "arcface": 0.5, "cosface": 0.35, "normface": 0.0, TRIPLETS: 0.2}
NEEDS_CENTERS = ("margin_warmup_epochs", "subcenters", "class_share")
LARGEST_TRIPLET_MARGIN = 4.0  # the largest squared distance


@dataclasses.dataclass(frozen=True)
class EmbeddingOptions:
    """An embedding and its head.

    Attributes:
        dimensions: Length of the embeddings.
        loss: ``"arcface"``, ``"cosface"``, ``"adaface"``, ``"normface"`` (a softmax over scaled
            cosines) or ``"triplets"`` (semi-hard).
        scale: What cosines are multiplied by; triplets do not read it.
        margin: None is that of the loss's paper.
        margin_warmup_epochs: Epochs in which the margin rises from 0; not of triplets.
        subcenters: Centers a class, of which the nearest counts; not of triplets.
        class_share: Share of the classes that take part in a step besides those of its images;
            below 1 they are sampled, and their centers learnt by AdaGrad with one number each.
        center_learning_rate: Learning rate of sampled centers.
    """

    dimensions: int = 512
    loss: str = "arcface"
    scale: float = 64.0
    margin: float | None = None
    margin_warmup_epochs: float = 0.0
    subcenters: int = 1
    class_share: float = 1.0
    center_learning_rate: float = 0.1

    def __post_init__(self):
        if self.loss not in USUAL_MARGINS:
            raise ValueError(
                f"`embedding.loss` must be one of {sorted(USUAL_MARGINS)}. "
                f"Received: loss={self.loss!r}.{suggest(str(self.loss), USUAL_MARGINS)}"
            )
        is_triplets = self.loss == TRIPLETS
        largest = LARGEST_TRIPLET_MARGIN if is_triplets else MARGINS[self.loss].largest
        ranges = {
            "dimensions": (1, None, True),
            "scale": (1e-3, None, False),
            "margin": (1e-6 if is_triplets else 0, largest, False),
            "margin_warmup_epochs": (0, None, False),
            "subcenters": (1, None, True),
            "class_share": (1e-9, 1, False),
            "center_learning_rate": (0, None, False),
        }
        for key, (low, high, whole) in ranges.items():
            value = getattr(self, key)
            if key == "margin" and value is None:
                continue
            kind = numbers.Integral if whole else numbers.Real
            fits = isinstance(value, kind) and not isinstance(value, bool)
            if not fits or not value >= low or (high is not None and value > high):
                rule = f"at least {low:g}" if high is None else f"in [{low:g}, {high:.4g}]"
                word = "whole number" if whole else "number"
                raise ValueError(
                    f"`embedding.{key}` must be a {word} {rule}. Received: {key}={value!r}."
                )
        if is_triplets and (self.margin_warmup_epochs, self.subcenters, self.class_share) != (
            0,
            1,
            1,
        ):
            raise ValueError(
                "Triplets have no centers, and their margin no warm-up. Received: "
                f"margin_warmup_epochs={self.margin_warmup_epochs}, subcenters={self.subcenters}, "
                f"class_share={self.class_share}. Leave them out, or take loss='arcface'."
            )


def kept_options(values: Mapping[str, Any], loss: str | None) -> dict[str, Any]:
    """What of an embedding's options goes on where the loss is changed.

    Args:
        values: Options by name.
        loss: The new loss; None, or the same, keeps all.

    Returns:
        Without the margin, which was another loss's; for triplets without what centers need.
    """
    if loss is None or loss == values.get("loss", EmbeddingOptions.loss):
        return dict(values)
    dropped = {"margin", *(NEEDS_CENTERS if loss == TRIPLETS else ())}
    return {key: value for key, value in values.items() if key not in dropped}


def embedding_options(values: Mapping[str, Any]) -> EmbeddingOptions:
    """The options of a recipe's ``embedding``.

    Args:
        values: Options by name; what is left out has its usual value.

    Raises:
        ValueError: If one is unknown or out of range.

    Example:
        >>> embedding_options({"dimensions": 128}).loss
        'arcface'
    """
    known = [field.name for field in dataclasses.fields(EmbeddingOptions)]
    for key in values:
        if key not in known:
            raise ValueError(
                f"The options of `embedding` are {known}. Received: {key!r}.{suggest(key, known)}"
            )
    return EmbeddingOptions(**values)
