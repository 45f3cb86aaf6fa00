"""The batches of a phase: images, or cached features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasface.models.heads import split_model
from kerasface.pipeline.settings import steps_per_epoch
from kerasface.pipeline.streams import stream
from kerasface.training.discriminant import STARTS, linear_layer, start_from_discriminant
from kerasface.training.epoch_log import shown_verbosity
from kerasface.training.features import extract, feature_stream, inference
from kerasface.training.job import Job

OnUnreadable = Callable[[str], None]


def image_batches(
    job: Job, *, first_epoch: int, on_unreadable: OnUnreadable
) -> tuple[tf.data.Dataset, tf.data.Dataset | None]:
    """Batches of images.

    Args:
        job: The training.
        first_epoch: Epoch to start with, counted from 0; the stream ends with the run.
        on_unreadable: As in `kerasface.pipeline.stream`.

    Returns:
        Training batches, and validation batches or None.
    """
    recipe = job.recipe
    labels = "index" if recipe.embedding else "one_hot"
    common: dict[str, Any] = {"image_size": recipe.image_size, "labels": labels}
    common |= {"batch_size": recipe.batch_size, "on_unreadable": on_unreadable}
    batches = stream(
        job.train,
        **common,
        training=True,
        crop=recipe.crop(training=True),
        augment=recipe.augment,
        mixup=recipe.mixup,
        cutmix=recipe.cutmix,
        mix_epochs=recipe.total_epochs - recipe.unmixed_epochs,
        seed=recipe.seed,
        epochs=recipe.total_epochs,
        start_step=first_epoch * steps_per_epoch(job.train, recipe.batch_size),
    )
    if job.validation is None:
        return batches, None
    return batches, stream(job.validation, **common, crop=recipe.crop(training=False))


def feature_batches(
    job: Job, backbone: keras.Model, *, first_epoch: int, on_unreadable: OnUnreadable
) -> tuple[tf.data.Dataset, tf.data.Dataset | None]:
    """Batches of the features that a frozen backbone computes of the images.

    Args:
        job: The training.
        backbone: Images to features.
        first_epoch: As in `image_batches`.
        on_unreadable: As in `kerasface.pipeline.stream`.

    Returns:
        As `image_batches`.
    """
    recipe = job.recipe
    infer = inference(backbone)

    def features_of(table: Any, training: bool) -> Any:
        options: dict[str, Any] = {"crop": recipe.crop(training=training)}
        if training:
            variants = recipe.feature_variants if recipe.augment or recipe.square_crop else 1
            options |= {"augment": recipe.augment, "variants": variants, "seed": recipe.seed}
        return extract(
            backbone,
            table,
            job.features,
            infer=infer,
            image_size=recipe.image_size,
            batch_size=recipe.batch_size,
            on_unreadable=on_unreadable,
            verbose=shown_verbosity(job.verbose),
            **options,
        )

    batches = feature_stream(
        features_of(job.train, training=True),
        job.train,
        batch_size=recipe.batch_size,
        training=True,
        seed=recipe.seed,
        epochs=recipe.total_epochs,
        start_step=first_epoch * steps_per_epoch(job.train, recipe.batch_size),
    )
    if job.validation is None:
        return batches, None
    features = features_of(job.validation, training=False)
    return batches, feature_stream(features, job.validation, batch_size=recipe.batch_size)


def start_head(job: Job, on_unreadable: OnUnreadable) -> None:
    """Initializes the last layer as the linear discriminant of the training images.

    Args:
        job: The training; the head of its model is one linear layer.
        on_unreadable: As in `kerasface.pipeline.stream`.
    """
    recipe = job.recipe
    start = STARTS[recipe.head_start]
    backbone, _ = split_model(job.model)
    infer = inference(backbone)
    versions = [
        extract(
            backbone,
            job.train,
            job.features,
            infer=infer,
            image_size=recipe.image_size,
            batch_size=recipe.batch_size,
            crop=recipe.crop(training=False),
            augment=augment,
            variants=variants,
            seed=recipe.seed,
            on_unreadable=on_unreadable,
            verbose=shown_verbosity(job.verbose),
        )
        for augment, variants in start.versions
    ]
    readable = versions[0].weights[0] > 0
    features = np.concatenate([each.values[:, readable] for each in versions])
    labels = np.asarray(job.train.labels)[readable]
    start_from_discriminant(linear_layer(job.model), features, labels, start.shrinkage)
