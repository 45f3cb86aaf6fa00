"""Names for people: one table of labels for metrics, columns and recipe keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from kerasface.reports.values import MISSING, Share, is_missing, spell

# Metrics of evaluations and of the training history, and columns of tables. `True` marks shares,
# which pages show in percent.
METRICS: dict[str, tuple[str, bool]] = {
    # counts
    "images": ("Images", False),
    "classes": ("Classes", False),
    "attributes": ("Attributes", False),
    "pairs": ("Pairs", False),
    "genuine": ("Pairs of the same person", False),
    "impostor": ("Pairs of different people", False),
    "folds": ("Folds", False),
    "fold": ("Fold", False),
    "probes": ("Probes", False),
    "known": ("Probes of people in the gallery", False),
    "unknown": ("Probes of strangers", False),
    "positives": ("Images with it", False),
    "group": ("Group", False),
    # classes
    "accuracy": ("Accuracy", True),
    "top5_accuracy": ("Top-5 accuracy", True),
    "balanced_accuracy": ("Balanced accuracy", True),
    "precision": ("Precision", True),
    "recall": ("Recall", True),
    "precision_weighted": ("Precision, weighted by images", True),
    "recall_weighted": ("Recall, weighted by images", True),
    "f1_weighted": ("F1, weighted by images", False),
    "precision_macro": ("Precision, macro average", True),
    "recall_macro": ("Recall, macro average", True),
    "f1_macro": ("F1, macro average", False),
    "auc": ("ROC AUC", False),
    "auc_macro": ("ROC AUC, macro average", False),
    "auc_weighted": ("ROC AUC, weighted by images", False),
    "log_loss": ("Log loss", False),
    "expected_calibration_error": ("Expected calibration error", True),
    "f1": ("F1", False),
    "most_confused_with": ("Most confused with", False),
    "name": ("Name", False),
    "true": ("True class", False),
    "predicted": ("Predicted class", False),
    "share": ("Share of the true class", True),
    # attributes
    "mean_accuracy": ("Mean accuracy", True),
    "mean_majority_accuracy": ("Mean accuracy of the majority guess", True),
    "mean_balanced_accuracy": ("Mean balanced accuracy", True),
    "precision_micro": ("Precision, micro average", True),
    "recall_micro": ("Recall, micro average", True),
    "f1_micro": ("F1, micro average", False),
    "f1_example_based": ("F1, averaged over images", False),
    "average_precision": ("Average precision", False),
    "average_precision_macro": ("Average precision, macro average", False),
    "prevalence": ("Share of the images", True),
    "threshold": ("Threshold", False),
    "majority_accuracy": ("Majority guess", True),
    "gain": ("Gain", True),
    # pairs
    "accuracy_standard_error": ("Standard error of the accuracy", True),
    "eer": ("Equal error rate", True),
    "wanted_far": ("Wanted false accept rate", True),
    "far": ("False accept rate", True),
    "tar": ("True accept rate", True),
    "probability_slope": ("Probability: slope", False),
    "probability_intercept": ("Probability: intercept", False),
    "probability_log_loss": ("Probability: log loss", False),
    "probability_calibration_error": ("Probability: expected calibration error", True),
    "probability": ("Probability", True),
    "genuine_share": ("Share of pairs of the same person", True),
    # identification
    "rank": ("Rank", False),
    "rank1": ("Rank-1 accuracy", True),
    "rank5": ("Rank-5 accuracy", True),
    "identified": ("Correctly identified at the threshold", True),
    "false_positives": ("Strangers who are given a name", True),
    # training
    "epoch": ("Epoch", False),
    "loss": ("Loss", False),
    "learning_rate": ("Learning rate", False),
    "seconds": ("Seconds", False),
    "epochs": ("Epochs", False),
    "cached_epochs": ("Epochs on cached features", False),
    "seconds_per_epoch": ("Seconds per epoch", False),
    "images_per_second": ("Training images per second", False),
    "inference_images_per_second": ("Predicted images per second", False),
    "parameters": ("Parameters", False),
    "trainable_parameters": ("Trainable parameters", False),
    "run": ("Run", False),
    "model": ("Model", False),
    "head": ("Head", False),
}
# Keys with a number in them.
PATTERNS: tuple[tuple[str, str, bool], ...] = (
    (r"tar_at_far_(.+)", "True accept rate at a false accept rate of {}", True),
    (r"dir_at_fpir_(.+)", "Identified at a false positive rate of {}", True),
    (r"threshold_at_fpir_(.+)", "Threshold at a false positive rate of {}", False),
)
AT_HALF = "_at_half"
BOUNDS = {"_low": "lower bound of the 95% interval", "_high": "upper bound of the 95% interval"}

RECIPE_KEYS: dict[str, str] = {
    "model": "Model",
    "architecture": "Options of the network",
    "head": "Head",
    "dropout": "Dropout rate of the head",
    "head_start": "Initialization of the last layer",
    "weights": "Initial weights",
    "trainable": "Trained layers",
    "train_norms": "Train the norms of the backbone",
    "embedding": "Options of the embedding",
    "attributes": "Attributes",
    "image_size": "Image size (pixels)",
    "square_crop": "Square crop",
    "crop_share": "Share of the image that is kept",
    "epochs": "Epochs",
    "phases": "Phases",
    "batch_size": "Batch size",
    "accumulate_steps": "Batches per update",
    "optimizer": "Optimizer",
    "learning_rate": "Learning rate",
    "weight_decay": "Weight decay",
    "momentum": "Momentum",
    "schedule": "Learning rate schedule",
    "warmup_epochs": "Warmup epochs",
    "warmup_learning_rate": "Learning rate at the start of the warmup",
    "final_learning_rate": "Final learning rate",
    "decay_epochs": "Epochs until the learning rate falls",
    "decay_factor": "Factor of each fall",
    "label_smoothing": "Label smoothing",
    "focal_gamma": "Gamma of the focal loss",
    "class_weighting": "Class weighting",
    "mixup": "Mixup",
    "cutmix": "CutMix",
    "unmixed_epochs": "Last epochs without mixing",
    "augment": "Augmentation",
    "ema": "Momentum of the weight average",
    "early_stopping": "Patience of early stopping (epochs)",
    "monitor": "Metric of the best epoch",
    "keep": "Kept weights",
    "train_on_validation": "Train on the validation images",
    "precision": "Precision",
    "cache_features": "Cache the features of the backbone",
    "feature_variants": "Augmented versions per cached image",
    "max_unreadable": "Accepted share of unreadable files",
    "seed": "Seed",
}


def has_label(key: str) -> bool:
    """Whether a metric or column has a label.

    Args:
        key: Name of a metric or column.
    """
    return _found(key) is not None


def label(key: str) -> str:
    """Returns the label of a metric or column.

    Args:
        key: Name of a metric or column, for instance ``"f1_macro_at_half"``.

    Returns:
        Its label. A name without a label is returned as it is.

    Example:
        >>> label("f1_macro_at_half"), label("my_metric")
        ('F1, macro average (threshold 0.5)', 'my_metric')
    """
    found = _found(key)
    return key if found is None else found[0]


def recipe_label(key: str) -> str:
    """Returns the label of a recipe key.

    Args:
        key: A key of `kerasface.Recipe`.

    Example:
        >>> recipe_label("ema")
        'Momentum of the weight average'
    """
    return RECIPE_KEYS.get(key, key)


def is_share(key: str) -> bool:
    """Whether a metric or column is a share, which pages show in percent.

    Args:
        key: Name of a metric or column.
    """
    found = _found(key)
    return found is not None and found[1]


def value(key: str, number: Any) -> Any:
    """Returns a value as pages show it: shares become `Share`.

    Args:
        key: Name of a metric or column.
        number: Its value.
    """
    return Share(number) if is_share(key) and isinstance(number, (int, float)) else number


def metric_facts(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Labels metrics for a page. The bounds of an interval are shown with their value.

    Args:
        metrics: Name to number.

    Returns:
        Label to value or text.

    Example:
        >>> metric_facts({"accuracy": 0.9, "accuracy_low": 0.85, "accuracy_high": 0.94})
        {'Accuracy': '90.00% (85.00% to 94.00%)'}
    """
    facts: dict[str, Any] = {}
    for key, number in metrics.items():
        if _bound_of(key) in metrics:
            continue
        shown = value(key, number)
        low, high = (metrics.get(bound_key(key, end)) for end in ("low", "high"))
        if low is not None and high is not None:
            shown = f"{spell(shown)} ({spell(value(key, low))} to {spell(value(key, high))})"
        facts[label(key)] = shown
    return facts


def labeled(frame: pd.DataFrame) -> pd.DataFrame:
    """Labels the columns of a table for a page; shares become `Share`.

    Args:
        frame: Table whose columns are metrics. The bounds of an interval become one column.

    Returns:
        A copy with labels as column names.
    """
    columns: dict[str, pd.Series] = {}
    for key in frame:
        column = frame[key]
        if _bound_of(str(key)) in frame:
            continue
        if is_share(str(key)):  # as objects: a column of floats would forget what they are
            column = pd.Series([Share(number) for number in column], frame.index, dtype=object)
        columns[label(str(key))] = column
        low, high = (bound_key(str(key), end) for end in ("low", "high"))
        if low in frame and high in frame:
            columns["95% interval"] = _intervals(str(key), frame[low], frame[high])
    return pd.DataFrame(columns, index=frame.index)


def bound_key(key: str, end: str) -> str:
    """Returns the name of the bound of a metric.

    Args:
        key: Name of the metric.
        end: ``"low"`` or ``"high"``.

    Example:
        >>> bound_key("mean_accuracy_at_half", "low")
        'mean_accuracy_low_at_half'
    """
    if key.endswith(AT_HALF):
        return f"{key.removesuffix(AT_HALF)}_{end}{AT_HALF}"
    return f"{key}_{end}"


def _bound_of(key: str) -> str | None:
    """Name of the metric that a name is a bound of."""
    plain, half = (key.removesuffix(AT_HALF), AT_HALF) if key.endswith(AT_HALF) else (key, "")
    for end in BOUNDS:
        if plain.endswith(end):
            return plain.removesuffix(end) + half
    return None


def _intervals(key: str, low: pd.Series, high: pd.Series) -> pd.Series:
    """Intervals as texts."""
    texts = [
        MISSING if is_missing(first) else f"{spell(value(key, first))} to {spell(value(key, last))}"
        for first, last in zip(low, high, strict=True)
    ]
    return pd.Series(texts, low.index, dtype=object)


def _found(key: str) -> tuple[str, bool] | None:
    """Label of a key, and whether it is a share; None without a label."""
    if key in METRICS:
        return METRICS[key]
    if key.endswith(AT_HALF):
        return _extended(key.removesuffix(AT_HALF), "{} (threshold 0.5)")
    if key.startswith("val_"):
        return _extended(key.removeprefix("val_"), "{}, validation")
    for end, words in BOUNDS.items():
        if key.endswith(end):
            return _extended(key.removesuffix(end), f"{{}}, {words}")
    for pattern, words, share in PATTERNS:
        match = re.fullmatch(pattern, key)
        if match:
            return words.format(_percent(match[1])), share
    return None


def _extended(key: str, form: str) -> tuple[str, bool] | None:
    found = _found(key)
    return None if found is None else (form.format(found[0]), found[1])


def _percent(text: str) -> str:
    try:
        return f"{100 * float(text):g}%"
    except ValueError:
        return text
