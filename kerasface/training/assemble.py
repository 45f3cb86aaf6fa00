"""Builds and compiles the model of a recipe: network, optimizer, schedule, precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from kerasface import models
from kerasface.data.table import FaceTable
from kerasface.models.registry import CUSTOM_MODEL
from kerasface.pipeline.settings import steps_per_epoch
from kerasface.runs.recipe import Recipe
from kerasface.training.losses import AttributeAccuracy, build_loss
from kerasface.training.muon import Muon

# PyTorch's default, which the published recipes used; Keras's is ten times as large.
ADAM_EPSILON = 1e-8
# Layers whose kernels hold one direction per class, which Muon must not treat as a matrix.
CLASS_LAYERS: tuple[str, ...] = ("head_logits", "centers")


def build_model(
    recipe: Recipe, num_classes: int, *, multi_label: bool = False, empty: bool = False
) -> keras.Model:
    """Builds a recipe's model for square images, under the current dtype policy.

    For a recipe with an embedding it is the embedding model, without the head that trains it.

    Args:
        recipe: Model, head, options and weights.
        num_classes: Number of classes or attributes.
        multi_label: If True, the outputs are attributes.
        empty: If True, the recipe's weights are not loaded; other weights will be set later.
    """
    outputs: dict[str, Any] = {"num_classes": num_classes, "multi_label": multi_label}
    if recipe.embedding:
        outputs = {"embedding": recipe.embedding["dimensions"]}
    return models.build(
        recipe.model,
        **outputs,
        head=recipe.head,
        dropout=recipe.dropout,
        input_shape=(recipe.image_size, recipe.image_size, 3),
        weights=None if empty else recipe.weights,
        **recipe.architecture,
    )


def set_trainable(model: keras.Model, parts: Sequence[Recipe]) -> None:
    """Freezes or unfreezes the backbone for a phase.

    Args:
        model: Made by `build_model`.
        parts: The recipes of the phases up to the one that will be trained.
    """
    trainable = parts[-1].trainable
    if all(part.trainable == "all" for part in parts):
        return
    models.freeze_backbone(model)
    if trainable != "head":
        last = None if isinstance(trainable, str) else trainable
        models.unfreeze_backbone(model, last, norms=parts[-1].train_norms)


def compile_model(model: keras.Model, recipe: Recipe, table: FaceTable) -> None:
    """Compiles with the recipe's optimizer and loss.

    Args:
        model: The model that will be fitted.
        recipe: The recipe of a phase.
        table: The training images; their labels decide the loss, their number the steps.

    Raises:
        ValueError: If gradients would be accumulated over more steps than the phase has.
    """
    on_gpu = bool(tf.config.list_physical_devices("GPU"))
    steps = steps_per_epoch(table, recipe.batch_size)
    if recipe.accumulate_steps > steps * recipe.total_epochs:
        raise ValueError(
            "`accumulate_steps` must leave at least one optimizer step. Received: "
            f"accumulate_steps={recipe.accumulate_steps} for {recipe.total_epochs} epochs of "
            f"{steps} batches. Reduce accumulate_steps or batch_size."
        )
    class_layers = CLASS_LAYERS
    if recipe.model == CUSTOM_MODEL and not recipe.embedding:
        class_layers += last_kernel_layer(model)
    variables = model.trainable_variables
    optimizer = build_optimizer(recipe, steps, variables, class_layers=class_layers)
    # XLA makes this step three times slower on CPUs, and needs samples of constant size.
    compiled = on_gpu and recipe.embedding.get("class_share", 1) == 1
    options: dict[str, Any] = {"jit_compile": "auto" if compiled else False}
    if recipe.embedding:  # the loss and the metric are in the model
        model.compile(optimizer, **options)
    else:
        loss = build_loss(recipe, table)
        model.compile(optimizer, loss, weighted_metrics=accuracy(table), **options)
    # Otherwise `fit` creates the variables of optimizer and metrics in its first step, and
    # TensorFlow traces such a step twice.
    model.optimizer.build(model.trainable_variables)
    if not recipe.embedding:
        labels = np.zeros((1, len(table.names)), np.float32)
        model.compute_metrics(None, labels, labels, np.ones(1, np.float32))
        model.reset_metrics()


def last_kernel_layer(model: keras.Model) -> tuple[str, ...]:
    """Returns the path of a model's last layer with a kernel: of a classifier, the output layer.

    Args:
        model: A built model.

    Returns:
        One path, or none for a model without kernels.
    """
    kernels = [variable for variable in model.weights if len(variable.shape) >= 2]
    return (kernels[-1].path.rpartition("/")[0],) if kernels else ()


def accuracy(table: FaceTable) -> list[str | keras.metrics.Metric]:
    """Returns the metric for the labels of a table, under the name ``accuracy``."""
    return [AttributeAccuracy()] if table.multi_label else ["accuracy"]


def build_optimizer(
    recipe: Recipe,
    steps: int,
    variables: Sequence[keras.Variable],
    *,
    class_layers: Sequence[str] = CLASS_LAYERS,
) -> keras.optimizers.Optimizer:
    """Builds the optimizer of a recipe, with its schedule.

    Variables of one dimension (biases, scales and offsets of norms, LayerScale) are not decayed:
    that would only pull normalizations and offsets towards zero.

    Args:
        recipe: Optimizer, rates, decay, moving average and accumulation.
        steps: Number of batches per epoch.
        variables: The variables that it will update.
        class_layers: Layers whose kernels Muon must not treat as matrices.
    """
    options: dict[str, Any] = {
        "learning_rate": _schedule(recipe, steps),
        "weight_decay": recipe.weight_decay,
        "use_ema": recipe.ema > 0,
        # Keras updates the average after every batch, also while gradients are accumulated.
        "ema_momentum": recipe.ema ** (1 / recipe.accumulate_steps) or 0.99,
        "gradient_accumulation_steps": (
            recipe.accumulate_steps if recipe.accumulate_steps > 1 else None
        ),
    }
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(momentum=recipe.momentum, nesterov=True, **options)
    elif recipe.optimizer == "muon":
        optimizer = Muon(exclude_layers=class_layers, **options)
    elif recipe.optimizer == "adam":
        optimizer = keras.optimizers.Adam(epsilon=ADAM_EPSILON, **options)
    else:
        optimizer = keras.optimizers.AdamW(epsilon=ADAM_EPSILON, **options)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(
            var_list=[variable for variable in variables if len(variable.shape) < 2]
        )
    return optimizer


def _schedule(
    recipe: Recipe, steps: int
) -> float | keras.optimizers.schedules.LearningRateSchedule:
    """Returns the learning rate by step. Keras counts batches, also accumulated ones."""
    total, warmup = recipe.total_epochs * steps, round(recipe.warmup_epochs * steps)
    if recipe.schedule == "plateau" or (recipe.schedule == "constant" and not warmup):
        return float(recipe.learning_rate)  # `Plateau` changes it between epochs
    if recipe.schedule == "step":
        count = (recipe.total_epochs - 1) // recipe.decay_epochs
        if not count:
            return float(recipe.learning_rate)
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            [(index + 1) * recipe.decay_epochs * steps - 1 for index in range(count)],
            [recipe.learning_rate * recipe.decay_factor**index for index in range(count + 1)],
        )
    # A constant schedule is a cosine with equal ends.
    final = recipe.learning_rate if recipe.schedule == "constant" else recipe.final_learning_rate
    options = {"alpha": final / recipe.learning_rate} if recipe.learning_rate else {}
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(recipe.learning_rate, total, **options)
    return keras.optimizers.schedules.CosineDecay(
        recipe.warmup_learning_rate,
        total - warmup,
        warmup_target=recipe.learning_rate,
        warmup_steps=warmup,
        **options,
    )


@contextlib.contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Sets Keras's dtype policy inside the block; ``"auto"`` is mixed_float16 on a GPU."""
    before = keras.config.dtype_policy()
    if precision == "auto":
        on_gpu = bool(tf.config.list_physical_devices("GPU"))
        precision = "mixed_float16" if on_gpu else "float32"
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
