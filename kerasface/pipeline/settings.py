"""Checks the arguments of a stream."""

from __future__ import annotations

import dataclasses
import math

from kerasface.checks import check_choice, check_number
from kerasface.data.table import FaceTable
from kerasface.pipeline.augment import Augmentation
from kerasface.pipeline.crop import Crop

LABELS = ("index", "one_hot")


def steps_per_epoch(table: FaceTable, batch_size: int) -> int:
    """Returns the number of batches in which each example of the table occurs once."""
    return math.ceil(len(table) / batch_size)


@dataclasses.dataclass(frozen=True)
class StreamSettings:
    """The checked arguments of `stream`."""

    image_size: int
    batch_size: int
    training: bool
    crop: Crop | None
    steps: Augmentation
    mixup: float
    cutmix: float
    mix_epochs: int | None
    labels: str
    seed: int
    epochs: int | None
    start_step: int

    @property
    def mixes(self) -> bool:
        """Whether images are mixed."""
        return bool(self.mixup or self.cutmix)

    def check(self, table: FaceTable) -> None:
        """Checks that the arguments are in range, consistent, and fit the table.

        Args:
            table: The table that is streamed.

        Raises:
            ValueError: If an argument is wrong.
        """
        if not len(table):
            raise ValueError(
                "A stream needs at least one image. Received: an empty table. Check its folder."
            )
        check_number("image_size", self.image_size, 1, whole=True)
        check_number("batch_size", self.batch_size, 1, whole=True)
        check_number("start_step", self.start_step, 0, whole=True)
        check_number("mixup", self.mixup, 0)
        check_number("cutmix", self.cutmix, 0)
        if self.epochs is not None:
            check_number("epochs", self.epochs, 1, whole=True)
        check_choice("labels", self.labels, LABELS)
        if not self.training and (self.steps.steps or self.mixes):
            raise ValueError(
                "Augmentation and mixing need a training stream. Received: training=False with "
                "`augment`, `mixup` or `cutmix`. Set training=True, or leave them out."
            )
        if self.mixes and (table.labels is None or self.labels == "index"):
            raise ValueError(
                "Mixing needs labels that can be blended. "
                f"Received: labels={self.labels!r}. Set labels='one_hot'."
            )
        check_crop(self.crop, self.training)
        _check_epochs(table, self)


def check_crop(crop: object, training: bool) -> None:
    """Refuses what is not a crop, and a random crop outside training.

    Args:
        crop: A `Crop` or None.
        training: As in `kerasface.pipeline.stream`.

    Raises:
        ValueError: If it is something else, or random without training.
    """
    if crop is not None and not isinstance(crop, Crop):
        raise ValueError(
            "`crop` must be a kerasface.pipeline.Crop or None. "
            f"Received: crop={crop!r}. Use for instance Crop(share=0.8)."
        )
    if crop is not None and crop.is_random and not training:
        raise ValueError(
            "A random crop needs a training stream. Received: training=False with "
            f"crop={crop!r}. Use crop.centered() or training=True."
        )


def _check_epochs(table: FaceTable, settings: StreamSettings) -> None:
    epochs, mix_epochs = settings.epochs, settings.mix_epochs
    for name, value in (("start_step", settings.start_step or None), ("mix_epochs", mix_epochs)):
        if value is not None and epochs is None:
            raise ValueError(
                f"`{name}` needs a stream of a known number of epochs. "
                f"Received: {name}={value} without `epochs`. Set `epochs` too."
            )
    total = steps_per_epoch(table, settings.batch_size) * (epochs or 1)
    if settings.start_step > total:
        raise ValueError(
            f"`start_step` must be at most {total}, the number of steps in all epochs. "
            f"Received: start_step={settings.start_step}. Increase `epochs`."
        )
    if mix_epochs is not None and not 0 <= mix_epochs <= (epochs or 0):
        raise ValueError(
            "`mix_epochs` must be at least 0 and at most `epochs`. "
            f"Received: mix_epochs={mix_epochs}, epochs={epochs}. Leave it out, or lower it."
        )
