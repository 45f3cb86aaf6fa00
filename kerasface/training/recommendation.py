"""`recommend` chooses a recipe for a table and the hardware, and gives its reasons."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from kerasface.data.reading import sampled_sizes
from kerasface.data.table import FaceTable
from kerasface.dlib_files import LEARNED_PEOPLE, is_installed
from kerasface.models.weights import DLIB
from kerasface.pipeline.settings import steps_per_epoch
from kerasface.reports.sections import table_section
from kerasface.runs.provenance import find_preparation
from kerasface.runs.recipe import Recipe
from kerasface.runs.recipes import named_recipe

MANY_IMAGES = 20_000
# The recipes that are recommended.
CANDIDATES = ("identity_small", "hw2p2", "dlib_frozen")
# Keys that can be set while dlib's face network is recommended. Others are about the network or
# about training it, so they choose among the recipes that train from random weights.
KEYS_OF_FROZEN = (
    "batch_size",
    "crop_share",
    "epochs",
    "image_size",
    "max_unreadable",
    "precision",
    "seed",
)
# What the small recipe was chosen for: 30 epochs of 2,633 images.
USUAL_VIEWS = 30 * 2633
FEWEST_EPOCHS, MOST_EPOCHS = 30, 100
FEW_IMAGES_A_PERSON = 5
# Images are enlarged by at most this factor; otherwise the next smaller size is chosen.
ENLARGED = 1.25
SMALL_SIZE, MEDIUM_SIZE, LARGE_SIZE = 64, 112, 224
# Images a second that one core (AMD EPYC, AVX2) trains `identity_small` with, at either size.
CORE_SPEED = 17.0
# The moving average covers at most a twentieth of all steps, so that it forgets the first ones.
AVERAGED_SHARE = 0.05


@dataclasses.dataclass(frozen=True, repr=False)
class Recommendation:
    """A recipe with the reasons for it.

    Attributes:
        recipe: Recipe for `kerasface.train`.
        reasons: One sentence per decision.
    """

    recipe: Recipe
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"- {reason}" for reason in self.reasons)

    def __repr__(self) -> str:
        recipe = self.recipe
        return (
            f"Recommendation(model={recipe.model!r}, image_size={recipe.image_size}, "
            f"epochs={recipe.total_epochs}, {len(self.reasons)} reasons)"
        )

    def _repr_html_(self) -> str:
        return table_section("", pd.DataFrame({"reason": self.reasons})).body


def recommend(
    table: FaceTable, *, gpu: bool | None = None, cores: int | None = None, **changes: Any
) -> Recommendation:
    """Chooses a recipe for a classifier of people.

    dlib's face network is recommended where it needs no download (``kerasface[pretrained]``), a
    network from random weights elsewhere and for many images on a GPU.

    Args:
        table: The training images, one class each; the headers of up to 200 files are read.
        gpu: Whether the training will have one; None looks at this machine.
        cores: Processor cores; None counts this machine's.
        **changes: Keys of the recipe that are set already, for instance ``epochs=10``.

    Returns:
        The recipe with the changes, and the reason of every choice.

    Raises:
        ValueError: If the table has no single class per image or fewer than two classes, none of
            the sampled files is an image, or a change does not fit the recipe.

    Example:
        >>> print(recommend(table))  # doctest: +SKIP
        - dlib's face network is installed: recipe dlib_frozen, ...
    """
    if table.labels is None or table.multi_label:
        raise ValueError(
            "A recommendation needs one class per image. "
            f"Received: a table {'with attributes' if table.multi_label else 'unlabeled'}."
        )
    counts = table.counts()
    if len(counts) < 2:
        raise ValueError(
            f"A classifier needs at least two classes. Received: {list(counts.index)}."
        )
    if gpu is None:
        gpu = bool(tf.config.list_physical_devices("GPU"))
    side = _median_side(table)
    if len(table) >= MANY_IMAGES and gpu:
        chosen = _many(table, side, changes)
    elif is_installed() and set(changes) <= set(KEYS_OF_FROZEN):
        chosen = _pretrained(table, changes)
    else:
        chosen = _few(table, side, changes)
        if not gpu and not {"architecture", "model", "phases", "trainable"} & set(changes):
            chosen = _with_time(chosen, table, cores or os.cpu_count() or 1)
    reasons = [*chosen.reasons]
    given = {key: changes[key] for key in changes if key not in ("epochs", "image_size")}
    if given:
        words = ", ".join(f"{key}={value!r}" for key, value in given.items())
        reasons.append(f"Set by you: {words}.")
    if counts.median() < FEW_IMAGES_A_PERSON and chosen.recipe.weights is None:
        reasons.append(_scarce(counts.median()))
    return Recommendation(chosen.recipe.replace(**given), tuple(reasons))


def _many(table: FaceTable, side: float, changes: Mapping[str, Any]) -> Recommendation:
    size = changes.get("image_size", _largest_fitting(side, (MEDIUM_SIZE, LARGE_SIZE)))
    recipe = named_recipe("hw2p2")
    recipe = recipe.replace(image_size=size, epochs=changes.get("epochs", recipe.epochs))
    reasons = [
        f"{len(table):,} images are many, and there is a GPU: recipe hw2p2, which was made for "
        "140,000 images of 7,001 people and reached about 90% there.",
        _size_reason(size, side, given="image_size" in changes),
    ]
    if "epochs" in changes:
        reasons.append(_epochs_reason(recipe.total_epochs, given=True))
    return Recommendation(recipe, tuple(reasons))


def _pretrained(table: FaceTable, changes: Mapping[str, Any]) -> Recommendation:
    recipe = named_recipe("dlib_frozen")
    kept = {key: changes[key] for key in ("epochs", "image_size") if key in changes}
    reasons = [
        "dlib's pretrained face network is installed: recipe dlib_frozen, which fits a "
        "discriminant to its features. On 150 people with 2,633 images it reached 98.1%, recipe "
        "identity_small 65.8 and 69.6%.",
        LEARNED_PEOPLE,
        _preparation_reason(table),
    ]
    if "image_size" in changes:
        reasons.append(f"{changes['image_size']} px, as you set it; the network learned 150 px.")
    if "epochs" in changes:
        reasons.append(_epochs_reason(changes["epochs"], given=True))
    return Recommendation(recipe.replace(**kept), tuple(reasons))


def _preparation_reason(table: FaceTable) -> str:
    """Says whether the faces were cut out as dlib's network wants them."""
    try:
        preparation = find_preparation(table.root)
    except ValueError:  # `train` warns of a damaged file
        preparation = None
    if preparation is not None and preparation.align and preparation.template == DLIB:
        return "The faces are aligned with dlib's template, as the network wants them."
    return (
        "The network wants faces that `kerasface crop --align --template dlib` has cut out of "
        "photographs. These images are not known to be cut so, which costs 3 to 21 points."
    )


def _few(table: FaceTable, side: float, changes: Mapping[str, Any]) -> Recommendation:
    recipe = named_recipe("identity_small")
    if len(table) < MANY_IMAGES:
        first = (
            f"{len(table):,} images are few: recipe identity_small, chosen by trials on 2,633 "
            "images of 150 people."
        )
    else:
        first = (
            f"{len(table):,} images are many, but there is no GPU: recipe identity_small, whose "
            "network trains twice as fast on processors as that of hw2p2."
        )
    size = changes.get("image_size", _largest_fitting(side, (SMALL_SIZE, MEDIUM_SIZE)))
    views = USUAL_VIEWS / len(table)
    fitting = int(np.clip(round(views), FEWEST_EPOCHS, MOST_EPOCHS))
    recipe = recipe.replace(image_size=size, epochs=changes.get("epochs", fitting))
    epochs = recipe.total_epochs
    steps = epochs * steps_per_epoch(table, recipe.batch_size)
    average = min(recipe.ema, max(0.0, round(1 - 1 / (AVERAGED_SHARE * steps), 3)))
    recipe = recipe.replace(ema=average)
    if recipe.image_size <= SMALL_SIZE:
        # Nearly the same feature maps as at 112 px with the usual stem.
        recipe = recipe.replace(architecture={"stem_stride": 1})
    reasons = (
        first,
        _size_reason(size, side, given="image_size" in changes),
        _epochs_reason(epochs, given="epochs" in changes),
    )
    return Recommendation(recipe, reasons)


def _with_time(chosen: Recommendation, table: FaceTable, cores: int) -> Recommendation:
    """Adds the time on processors, which was measured for this network at two image sizes."""
    recipe = chosen.recipe
    if recipe.image_size not in (SMALL_SIZE, MEDIUM_SIZE):
        return chosen
    hours = len(table) * recipe.total_epochs / (CORE_SPEED * cores) / 3600
    reason = f"About {_duration(hours)} on {cores} cores."
    return Recommendation(recipe, (*chosen.reasons, reason))


def _median_side(table: FaceTable) -> float:
    """Median of the shorter sides, in pixels, of a sample of the images."""
    sizes = sampled_sizes(table.full_paths())
    if not len(sizes):
        raise ValueError(
            "The training files must be images. "
            f"Received: {len(table)} files of {table.root}, and none of a sample is."
        )
    return float(np.median(sizes.min(axis=1)))


def _largest_fitting(side: float, sizes: tuple[int, ...]) -> int:
    return max([size for size in sizes if size <= ENLARGED * side], default=sizes[0])


def _size_reason(size: int, side: float, *, given: bool = False) -> str:
    if given:
        return f"{size} px, as you set it; the images' shorter side is {side:.0f} pixels."
    return (
        f"{size} px: the images' shorter side is {side:.0f} pixels (median of a sample), and "
        "enlarging them costs time and adds no detail."
    )


def _epochs_reason(epochs: int, *, given: bool = False) -> str:
    if given:
        return f"{epochs} epochs, as you set it."
    if epochs == FEWEST_EPOCHS:
        return f"{epochs} epochs, the recipe's own."
    limit = "" if epochs < MOST_EPOCHS else f", but not more than {MOST_EPOCHS}"
    return f"{epochs} epochs, for as many views as 30 epochs of 2,633 images have{limit}."


def _scarce(median: float) -> str:
    return (
        f"A person has {median:.0f} images (median), which is little: also try recipe "
        "celebrities_mobile, which starts from a pretrained backbone."
    )


def _duration(hours: float) -> str:
    return f"{hours:.0f} hours" if hours >= 2 else f"{max(1, round(60 * hours))} minutes"
