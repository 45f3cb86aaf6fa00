"""Names that other libraries give to the keys of a recipe, and answers to unknown keys."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable
from typing import Any, TypeVar

from kerasface.names import suggest

Class = TypeVar("Class", bound=type)
# Key of a recipe -> what Keras, PyTorch, timm, Lightning, transformers and others call it.
OTHER_NAMES: dict[str, tuple[str, ...]] = {
    "model": ("arch", "backbone", "net", "network", "model_name"),
    "head": ("classifier", "top"),
    "dropout": ("drop", "drop_rate", "dropout_rate", "p_dropout"),
    "weights": ("checkpoint", "init_weights", "pretrained", "pretrained_weights"),
    "trainable": ("freeze", "freeze_backbone", "frozen", "unfreeze", "unfreeze_layers"),
    "attributes": ("labels", "targets"),
    "image_size": (
        *("image_shape", "im_size", "img_size", "imgsz", "input_shape", "input_size"),
        *("resolution", "size", "target_size"),
    ),
    "epochs": ("epoch", "max_epochs", "n_epochs", "nb_epoch", "num_epochs", "num_train_epochs"),
    "batch_size": ("batch", "batchsize", "bs", "per_device_train_batch_size", "train_batch_size"),
    "accumulate_steps": (
        *("accum_iter", "accumulate_grad_batches", "grad_accum"),
        *("grad_accum_steps", "gradient_accumulation", "gradient_accumulation_steps"),
    ),
    "optimizer": ("opt", "optim", "optimiser"),
    "learning_rate": ("base_lr", "initial_lr", "lr", "lr0", "max_lr"),
    "weight_decay": ("l2", "wd"),
    "schedule": ("lr_schedule", "lr_scheduler", "lr_scheduler_type", "sched", "scheduler"),
    "warmup_epochs": ("num_warmup_steps", "warmup", "warmup_ratio", "warmup_steps"),
    "warmup_learning_rate": ("warmup_lr", "warmup_start_lr"),
    "final_learning_rate": ("eta_min", "final_lr", "lr_min", "lrf", "min_lr"),
    "decay_epochs": ("milestones", "step_size"),
    "decay_factor": ("decay_rate", "gamma", "lr_decay"),
    "label_smoothing": ("ls", "smoothing"),
    "focal_gamma": ("focal",),
    "class_weighting": ("class_weight", "class_weights", "pos_weight"),
    "mixup": ("mixup_alpha",),
    "cutmix": ("cutmix_alpha",),
    "unmixed_epochs": ("mixup_off_epoch",),
    "augment": ("aa", "aug", "augmentation", "augmentations", "data_augmentation", "transforms"),
    "ema": ("ema_decay", "ema_momentum", "model_ema", "model_ema_decay", "use_ema"),
    "early_stopping": ("early_stopping_patience", "patience"),
    "monitor": ("metric", "metric_for_best_model"),
    "keep": ("save_best_only", "save_top_k", "restore_best_weights"),
    "precision": ("amp", "bf16", "dtype", "dtype_policy", "fp16", "mixed_precision"),
    "cache_features": ("cache",),
    "seed": ("manual_seed", "random_seed", "random_state"),
    "embedding.loss": ("loss", "loss_fn", "margin_loss"),
    "embedding.margin": ("m", "margin"),
    "embedding.scale": ("s", "scale"),
    "embedding.dimensions": ("emb_size", "embed_dim", "embedding_dim", "embedding_size"),
    "architecture.drop_path": ("drop_path", "drop_path_rate", "stochastic_depth"),
}
OWN_NAME = {other: key for key, others in OTHER_NAMES.items() for other in others}
# Parameters of `kerasface.train` and what users call them, which are no keys of a recipe.
TRAIN_NAMES: dict[str, str] = {
    "data": "`train` (a FaceTable, for instance from kerasface.data.identity_folder)",
    "dataset": "`train` (a FaceTable, for instance from kerasface.data.identity_folder)",
    "train_data": "`train` (a FaceTable, for instance from kerasface.data.identity_folder)",
    "val": "`validation` (a parameter of kerasface.train)",
    "valid": "`validation` (a parameter of kerasface.train)",
    "validation_data": "`validation` (a parameter of kerasface.train)",
    "val_data": "`validation` (a parameter of kerasface.train)",
    "validation_split": "`table.split(share)` and pass both tables, as `train` and `validation`",
    "split": "`table.split(share)` and pass both tables, as `train` and `validation`",
    "output": "`out` (a parameter of kerasface.train)",
    "output_dir": "`out` (a parameter of kerasface.train)",
    "save_dir": "`out` (a parameter of kerasface.train)",
    "log_dir": "`out` (a parameter of kerasface.train)",
    "callback": "`callbacks` (a parameter of kerasface.train)",
    "progress": "`verbose` (a parameter of kerasface.train)",
    "verbosity": "`verbose` (a parameter of kerasface.train)",
}
TRAIN_PARAMETERS = (
    *("train", "validation", "out", "callbacks", "resume", "overwrite", "features", "report"),
    "verbose",
)


def check_keys(
    given: Iterable[str], known: Iterable[str], owner: str = "a recipe", place: str = ""
) -> None:
    """Refuses unknown keys with the name that was probably meant.

    Args:
        given: The keys that were given.
        known: The keys that exist.
        owner: What has these keys, for the message.
        place: Where the key was given, for the message.

    Raises:
        ValueError: If a key is unknown.

    Example:
        >>> check_keys(["lr"], ["learning_rate"], "a phase")
        Traceback (most recent call last):
            ...
        ValueError: Use `learning_rate` instead of 'lr'. Received: 'lr', which is no key of a phase.
    """
    known = list(known)
    for key in given:
        if key not in known:
            raise ValueError(unknown_key(key, known, owner, place))


def unknown_key(key: str, known: Iterable[str], owner: str = "a recipe", place: str = "") -> str:
    """Returns the message about an unknown key. Its first words say what to use instead.

    Args:
        key: The unknown key.
        known: The keys that exist.
        owner: What has these keys.
        place: Where the key was given.
    """
    known = list(known)
    received = f"Received: {key!r}{place}, which is no key of {owner}."
    own = OWN_NAME.get(str(key).lower().replace("-", "_"))
    if own is not None and (own in known or own.partition(".")[0] in known):
        return f"Use `{own}` instead of {key!r}. {received}"
    if key in TRAIN_NAMES:
        return f"Use {TRAIN_NAMES[key]} instead of {key!r}. {received}"
    if key in TRAIN_PARAMETERS:
        return f"`{key}` is a parameter of kerasface.train. {received}"
    near = suggest(str(key), [*known, *TRAIN_PARAMETERS] if owner == "a recipe" else known)
    if near:
        return f"{near.strip()} {received}"
    if owner == "a recipe":
        return f"{received} kerasface.Recipe.describe() lists them (`kerasface recipes NAME`)."
    return f"{received[:-1]}: it has {known}."


def named_keywords(cls: Class) -> Class:
    """Class decorator: unknown keywords of a dataclass are answered with the name that exists."""
    known = [field.name for field in dataclasses.fields(cls)]
    create = cls.__init__  # type: ignore[misc]

    @functools.wraps(create)
    def checked(self: Any, *args: Any, **keywords: Any) -> None:
        for key in keywords:
            if key not in known:
                raise TypeError(unknown_key(key, known))
        create(self, *args, **keywords)

    cls.__init__ = checked  # type: ignore[misc]
    return cls
