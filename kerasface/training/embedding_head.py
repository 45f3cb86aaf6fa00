"""Builds the head that trains a recipe's embedding."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from kerasface.data.table import FaceTable
from kerasface.embedding.centers import ClassCenters, SampledCenters
from kerasface.embedding.margins import named_margin, ramp
from kerasface.embedding.options import TRIPLETS, USUAL_MARGINS, EmbeddingOptions
from kerasface.embedding.training import EmbeddingHead
from kerasface.embedding.triplets import SemiHardTriplets
from kerasface.pipeline.settings import steps_per_epoch
from kerasface.pipeline.streams import stream
from kerasface.runs.recipe import Recipe
from kerasface.training.features import inference
from kerasface.training.job import Job

# Expected pairs of one person in a batch; with fewer, most steps of a triplet loss are empty.
FEWEST_PAIRS = 1


def build_head(recipe: Recipe, table: FaceTable) -> EmbeddingHead:
    """Builds the head that trains a recipe's embedding.

    Args:
        recipe: A recipe with ``embedding``.
        table: The training images, with one class each.
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


def start_centers(job: Job, head: EmbeddingHead, on_unreadable: Callable[[str], None]) -> None:
    """Sets the first center of each class to the mean embedding of its training images.

    Args:
        job: The training.
        head: The head of its embedding.
        on_unreadable: As in `kerasface.pipeline.stream`.
    """
    if not isinstance(head, ClassCenters) or job.recipe.embedding["center_start"] != "means":
        return
    recipe, labels = job.recipe, np.asarray(job.train.labels)
    images = stream(
        job.train,
        image_size=recipe.image_size,
        crop=recipe.crop(training=False),
        batch_size=recipe.batch_size,
        on_unreadable=on_unreadable,
    )
    infer = inference(job.model)
    sums = np.zeros((head.num_classes, head.dimensions))
    end = 0
    for pixels, _, weights in images.as_numpy_iterator():
        vectors = infer(pixels) * weights[:, None]
        start, end = end, end + len(vectors)
        np.add.at(sums, labels[start:end], vectors)
    centers = np.array(head.centers)
    known = np.abs(sums).max(axis=1) > 0  # a class may have no readable image
    centers[known, 0] = sums[known] / np.linalg.norm(sums[known], axis=1, keepdims=True)
    head.centers.assign(centers)


def _warn_of_few_pairs(table: FaceTable, batch_size: int) -> None:
    shares = np.bincount(np.asarray(table.labels)) / len(table)
    expected = math.comb(batch_size, 2) * float((shares**2).sum())
    if expected < FEWEST_PAIRS:
        warnings.warn(
            "Triplets need batches with several images of a person. "
            f"Received: {expected:.2f} pairs of one person per batch of {batch_size} images on "
            "average. Increase batch_size, or use another loss.",
            stacklevel=3,
        )
