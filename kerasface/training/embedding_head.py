"""Builds the head that a recipe's embedding is trained with."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from kerasface.data.table import FaceTable
from kerasface.embedding.centers import ClassCenters, SampledCenters
from kerasface.embedding.margins import named_margin, ramp
from kerasface.embedding.options import TRIPLETS, USUAL_MARGINS, EmbeddingOptions
from kerasface.embedding.training import EmbeddingHead
from kerasface.embedding.triplets import SemiHardTriplets
from kerasface.pipeline.streams import steps_per_epoch
from kerasface.runs.recipe import Recipe

FEWEST_PAIRS = 1  # of one person in a batch, below which most steps of triplets teach nothing


def build_head(recipe: Recipe, table: FaceTable) -> EmbeddingHead:
    """The head that a recipe's embedding is learnt with.

    Args:
        recipe: Which loss, margin and centers.
        table: The training images, which have one class each.
    """
    options = EmbeddingOptions(**recipe.embedding)
    margin = USUAL_MARGINS[options.loss] if options.margin is None else options.margin
    if options.loss == TRIPLETS:
        _warn_of_few_pairs(table, recipe.batch_size)
        return SemiHardTriplets(margin)
    steps = round(options.margin_warmup_epochs * steps_per_epoch(table, recipe.batch_size))
    size = (
        len(table.names),
        options.dimensions,
        named_margin(options.loss, scale=options.scale, margin=ramp(margin, steps)),
    )
    common: dict[str, Any] = {"subcenters": options.subcenters, "seed": recipe.seed}
    if options.class_share == 1:
        return ClassCenters(*size, **common)
    return SampledCenters(
        *size,
        share=options.class_share,
        learning_rate=options.center_learning_rate,
        **common,
    )


def _warn_of_few_pairs(table: FaceTable, batch_size: int) -> None:
    shares = np.bincount(np.asarray(table.labels)) / len(table)
    expected = math.comb(batch_size, 2) * float((shares**2).sum())
    if expected < FEWEST_PAIRS:
        warnings.warn(
            f"a batch of {batch_size} images holds {expected:.2f} pairs of one person on average, "
            "and triplets learn from these alone: make batch_size larger, or take another loss",
            stacklevel=3,
        )
