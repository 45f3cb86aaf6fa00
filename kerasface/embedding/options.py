"""Options of an embedding and of the loss that trains it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasface.checks import check_number
from kerasface.embedding.margins import MARGINS
from kerasface.names import suggest
from kerasface.options import (
    check_options,
    convert_numbers,
    describe_options,
    document_options,
    option,
)

if TYPE_CHECKING:
    import pandas as pd

TRIPLETS = "triplets"
# The papers' margins: Kim et al. 2022, Deng et al. 2019, Wang et al. 2018, Schroff et al. 2015.
USUAL_MARGINS = {"adaface": 0.4, "arcface": 0.5, "cosface": 0.35, "normface": 0.0, TRIPLETS: 0.2}
SMALLEST_TRIPLET_MARGIN = 1e-6
LARGEST_TRIPLET_MARGIN = 4.0  # the largest squared distance


@document_options
@dataclasses.dataclass(frozen=True)
class EmbeddingOptions:
    """An embedding and the loss that trains it.

    Raises:
        ValueError: If a value is out of range or does not fit the loss.

    Example:
        >>> EmbeddingOptions(dimensions=128).loss
        'arcface'
    """

    dimensions: int = option(512, "Length of the embeddings.", low=1)
    loss: str = option(
        "arcface",
        '``"arcface"``, ``"cosface"``, ``"adaface"``, ``"normface"`` (a softmax over scaled '
        'cosines) or ``"triplets"`` (semi-hard).',
        choices=tuple(sorted(USUAL_MARGINS)),
    )
    scale: float = option(64.0, "Factor applied to the cosines. Triplets ignore it.", low=1e-3)
    margin: float | None = option(
        None, "Margin of the loss. None uses that of the loss's paper.", low=0
    )
    margin_warmup_epochs: float = option(
        0.0,
        "Number of epochs in which the margin rises from 0. Not for triplets.",
        low=0,
        needs_centers=True,
    )
    subcenters: int = option(
        1,
        "Number of centers per class, of which the nearest counts. Not for triplets.",
        low=1,
        needs_centers=True,
    )
    class_share: float = option(
        1.0,
        "Share of the classes in each step, besides those of its images. Below 1 the classes are "
        "sampled, and AdaGrad updates their centers. Not for triplets.",
        low=1e-9,
        high=1,
        needs_centers=True,
    )
    center_start: str = option(
        "random",
        'Initialization of the centers: ``"random"``, or ``"means"``, the mean embedding of the '
        "training images of each class, for pretrained networks. With several centers per class, "
        "it is the first of them. Not for triplets.",
        choices=("random", "means"),
        needs_centers=True,
    )
    center_learning_rate: float = option(0.1, "Learning rate of sampled centers.", low=0)

    def __post_init__(self) -> None:
        check_options(self, prefix="embedding.")
        convert_numbers(self)
        is_triplets = self.loss == TRIPLETS
        if self.margin is not None:
            low = SMALLEST_TRIPLET_MARGIN if is_triplets else 0.0
            high = LARGEST_TRIPLET_MARGIN if is_triplets else MARGINS[self.loss].largest
            remedy = f"This is the range of {self.loss!r}."
            check_number("embedding.margin", self.margin, low, high, remedy=remedy)
        if is_triplets:
            values = {field.name: getattr(self, field.name) for field in _center_fields()}
            conflicting = {
                f.name: values[f.name] for f in _center_fields() if values[f.name] != f.default
            }
            if conflicting:
                raise ValueError(
                    "Triplets have no centers and no margin warmup. "
                    f"Received: {conflicting}. Remove them, or set loss='arcface'."
                )

    @classmethod
    def describe(cls) -> pd.DataFrame:
        """Describes all options.

        Returns:
            One row per option, indexed by name: ``values`` (what is accepted, in words),
            ``default`` and ``description``.
        """
        return describe_options(cls)


def _center_fields() -> list[dataclasses.Field]:
    fields = dataclasses.fields(EmbeddingOptions)
    return [field for field in fields if field.metadata.get("needs_centers")]


def kept_options(values: Mapping[str, Any], loss: str | None) -> dict[str, Any]:
    """Returns the options of an embedding that remain valid when its loss changes.

    Args:
        values: Options by name.
        loss: The new loss. None, or the same loss, keeps all options.

    Returns:
        The options without the margin, which belongs to the old loss, and for triplets without
        the options of class centers.
    """
    if loss is None or loss == values.get("loss", EmbeddingOptions.loss):
        return dict(values)
    dropped = {"margin"}
    if loss == TRIPLETS:
        dropped |= {field.name for field in _center_fields()}
    return {key: value for key, value in values.items() if key not in dropped}


def embedding_options(values: Mapping[str, Any]) -> EmbeddingOptions:
    """Reads the options of a recipe's ``embedding``.

    Args:
        values: Options by name. Missing ones have their default values.

    Raises:
        ValueError: If an option is unknown or out of range.

    Example:
        >>> embedding_options({"dimensions": 128}).loss
        'arcface'
    """
    known = [field.name for field in dataclasses.fields(EmbeddingOptions)]
    for key in values:
        if key not in known:
            raise ValueError(
                f"The options of `embedding` must be among {known}. "
                f"Received: {key}={values[key]!r}.{suggest(key, known)}"
            )
    return EmbeddingOptions(**values)
