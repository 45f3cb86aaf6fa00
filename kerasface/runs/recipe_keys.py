"""The keys of a recipe: type, default, limits, choices and description, each in one place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from kerasface.options import option

DEFAULT_EPOCHS = 60
# Why a key cannot be combined with an embedding.
ONE_CLASS = "a margin changes the cosine of one class, and such targets have several"
OWN_LOSS = "an embedding has the loss `embedding.loss`"


@dataclasses.dataclass(frozen=True, repr=False)
class RecipeKeys:
    """The fields of `Recipe`.

    Two entries of a field's metadata are read besides those of `kerasface.options`: ``phase``
    allows a phase to override the key, and ``not_for_embeddings`` says why the key cannot be set
    for an embedding.
    """

    model: str = option("convnext_small", "Name of the model, see `kerasface.list_models`.")
    architecture: Mapping[str, Any] = option(
        dict, 'Options of the network, for instance ``{"drop_path": 0.1}``.'
    )
    head: str | None = option(
        None, "Name of the head, see `kerasface.build`. None uses the model's default head."
    )
    dropout: float | None = option(
        None,
        "Dropout rate of the head. None uses the head's default rate.",
        low=0,
        high=1,
        below=True,
    )
    head_start: str = option(
        "random",
        'Initialization of the last layer: ``"random"``; ``"lda"``, the linear discriminant of '
        "the backbone's features of the training images, their mirror images and crops of them; or "
        '``"lda_mirrored"``, which leaves out the crops and is more regularized, for a face '
        'network and aligned faces. Both need pretrained weights and the head ``"pool"``.',
        choices=("random", "lda", "lda_mirrored"),
    )
    weights: str | None = option(
        None,
        'Initial weights: ``"imagenet"``, a file as `kerasface.build` takes it, or None for random '
        "initialization.",
    )
    trainable: str | int = option(
        "all",
        'Layers to train: ``"all"``, only the ``"head"``, or the head and this number of the '
        'backbone\'s last layers with weights. With ``"head"`` the backbone is in inference mode. '
        "Otherwise its dropouts are active, in frozen layers too.",
        choices=("all", "head"),
        low=1,
        phase=True,
    )
    train_norms: bool = option(
        False,
        "If True, the backbone's BatchNorms train again when their layers are unfrozen. Otherwise "
        "they keep their statistics.",
    )
    embedding: Mapping[str, Any] = option(
        dict,
        "Options of an embedding, see `kerasface.embedding.EmbeddingOptions`, for instance "
        '``{"dimensions": 128, "loss": "arcface"}``. The model then outputs embeddings instead of '
        "classes. Empty trains a classifier.",
    )
    attributes: tuple[str, ...] = option(
        tuple,
        "Names of the attributes to learn. Empty learns all attributes of the table.",
        not_for_embeddings="an embedding is trained on people, not on attributes",
    )
    image_size: int = option(224, "Side of the square input images in pixels.", low=8)
    square_crop: bool = option(
        False,
        "If True, crop a square with the side of the image's shorter side: at a random position in "
        "training, in the center otherwise. If False, resize the image without keeping its shape.",
    )
    crop_share: float = option(
        1.0,
        "Share of width and height to keep, around the center. 0.8 removes a tenth at each border, "
        "so that the face is larger.",
        low=0,
        high=1,
        above=True,
    )
    epochs: int | None = option(
        None,
        f"Number of epochs. None means {DEFAULT_EPOCHS}, or with ``phases`` the sum of theirs.",
        low=1,
        phase=True,
    )
    phases: tuple[Mapping[str, Any], ...] = option(
        tuple,
        "Phases of the training, one after the other, each compiled again: options that replace "
        "those of the recipe, ``epochs`` at least. For instance first only the head at 1e-3, then "
        "all layers at 1e-5. Empty means one phase.",
    )
    batch_size: int = option(256, "Batch size.", low=1)
    accumulate_steps: int = option(
        1,
        "Number of batches over which gradients are averaged before the weights are updated. The "
        "effective batch size is ``batch_size * accumulate_steps``.",
        low=1,
    )
    optimizer: str = option(
        "adamw",
        '``"adamw"``, ``"adam"``, ``"sgd"`` (with Nesterov momentum) or ``"muon"``, which needs '
        "fewer steps, and more time for each.",
        choices=("adamw", "adam", "muon", "sgd"),
        phase=True,
    )
    learning_rate: float = option(1e-3, "Peak learning rate.", low=0, phase=True)
    weight_decay: float = option(
        0.05,
        "Decoupled weight decay per step, multiplied by the learning rate. Biases and norms are "
        "not decayed.",
        low=0,
        phase=True,
    )
    momentum: float = option(
        0.9,
        'Momentum of ``"sgd"``; other optimizers ignore it.',
        low=0,
        high=1,
        below=True,
        phase=True,
    )
    schedule: str = option(
        "cosine",
        '``"cosine"`` or ``"constant"`` after the warmup, updated every step; ``"step"``: '
        'multiplied by ``decay_factor`` every ``decay_epochs`` epochs; ``"plateau"``: multiplied '
        "by ``decay_factor`` after ``decay_epochs`` epochs without a better ``monitor``.",
        choices=("cosine", "constant", "step", "plateau"),
        phase=True,
    )
    warmup_epochs: int = option(
        0,
        "Epochs of linear warmup, fewer than ``epochs``. Only for the schedules "
        '``"cosine"`` and ``"constant"``.',
        low=0,
        phase=True,
    )
    warmup_learning_rate: float = option(
        0.0, "Learning rate at the first step of the warmup.", low=0, phase=True
    )
    final_learning_rate: float = option(
        0.0, 'Learning rate at the end of ``"cosine"``.', low=0, phase=True
    )
    decay_epochs: int = option(
        10,
        'Epochs between two steps of ``"step"``, or the patience of ``"plateau"``.',
        low=1,
        phase=True,
    )
    decay_factor: float = option(
        0.1,
        'Factor of the learning rate in ``"step"`` and ``"plateau"``.',
        low=0,
        high=1,
        below=True,
        phase=True,
    )
    label_smoothing: float = option(
        0.0,
        "Share of the target that is spread over all classes, or over both values of an attribute.",
        low=0,
        high=1,
        below=True,
        not_for_embeddings=ONE_CLASS,
    )
    focal_gamma: float = option(
        0.0,
        "Exponent of the focal loss, which reduces the weight of easy images. 0 is cross-entropy.",
        low=0,
        not_for_embeddings=OWN_LOSS,
    )
    class_weighting: float = option(
        0.0,
        "Strength of the weights that balance frequent and rare classes, or both values of an "
        "attribute: 0 is off, with 1 all classes count the same.",
        low=0,
        not_for_embeddings=OWN_LOSS,
    )
    mixup: float = option(0.0, "Alpha of mixup. 0 is off.", low=0, not_for_embeddings=ONE_CLASS)
    cutmix: float = option(0.0, "Alpha of CutMix. 0 is off.", low=0, not_for_embeddings=ONE_CLASS)
    unmixed_epochs: int = option(
        0,
        "Number of epochs at the end without mixup and CutMix, at most ``epochs``. Its share is "
        "kept when only ``epochs`` is changed. BatchNorm statistics come from the last fifty or so "
        "batches, and those of mixed images do not fit unmixed ones.",
        low=0,
    )
    augment: tuple[str, ...] = option(
        tuple, "Presets and steps of `kerasface.pipeline.augment`, in order."
    )
    ema: float = option(
        0.0,
        "Momentum of the moving average of the weights, which is evaluated and saved. 0 is off.",
        low=0,
        high=1,
        below=True,
    )
    early_stopping: int = option(
        0,
        "Number of epochs without a better ``monitor`` after which the training, or the phase, "
        "stops. 0 is off.",
        low=0,
    )
    monitor: str = option(
        "val_accuracy",
        'Metric that decides which epoch is best: ``"val_accuracy"`` or ``"val_loss"``.',
        choices=("val_accuracy", "val_loss"),
    )
    keep: str = option(
        "best",
        'Weights in ``model.keras``: those of the ``"best"`` or the ``"last"`` epoch. Without '
        "validation images those of the last.",
        choices=("best", "last"),
    )
    train_on_validation: bool = option(
        False,
        "If True, train on the validation images too. No validation metrics are computed then.",
    )
    precision: str = option(
        "auto",
        'Keras dtype policy of the training. ``"auto"`` is mixed_float16 on a GPU and float32 '
        "elsewhere.",
        choices=("auto", "float32", "mixed_float16", "mixed_bfloat16"),
    )
    cache_features: bool = option(
        False,
        'If True, phases that train only the ``"head"`` run the backbone once and store its '
        "features on disk. Not with mixup and CutMix.",
        not_for_embeddings="the head of an embedding is trained together with its network",
    )
    feature_variants: int = option(
        1,
        "Number of augmented versions of each image in the feature cache; the epochs use them in "
        "turn. Without augmentation there is one.",
        low=1,
    )
    max_unreadable: float = option(0.05, "Largest accepted share of unreadable image files.", low=0)
    seed: int = option(
        0,
        "Seed of initialization, order, augmentation, mixing and dropout.",
        low=0,
        high=2**32,
        below=True,
    )


KEYS = tuple(field.name for field in dataclasses.fields(RecipeKeys))
# Keys that are mappings of options, keys that a phase may override, and keys that an embedding
# excludes, with the reason.
MAPPING_KEYS = tuple(f.name for f in dataclasses.fields(RecipeKeys) if f.default_factory is dict)
PHASE_KEYS = tuple(f.name for f in dataclasses.fields(RecipeKeys) if f.metadata.get("phase"))
NOT_FOR_EMBEDDINGS = {
    field.name: field.metadata["not_for_embeddings"]
    for field in dataclasses.fields(RecipeKeys)
    if "not_for_embeddings" in field.metadata
}
