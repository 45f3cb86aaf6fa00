"""Crop: the region of an image that a model sees."""

from __future__ import annotations

import dataclasses

from kerasface.checks import check_choice, check_number

SHAPES = ("square", "image")
POSITIONS = ("center", "random")


@dataclasses.dataclass(frozen=True)
class Crop:
    """The region that is cut out of an image before it is resized to the model's input.

    Of CelebA's 178 x 218 pixels ``Crop()`` is the 178 x 178 in the middle, ``Crop(share=0.8)`` the
    142 x 142 in the middle, and ``Crop(share=0.8, shape="image")`` the 142 x 174 in the middle.

    Attributes:
        share: Share of both sides, around the center, that the region is taken from, in (0, 1].
            With 0.8 a tenth of the image is left out at each border.
        shape: ``"square"`` takes a square as large as the shorter side of that share; ``"image"``
            takes all of it, in the image's aspect ratio.
        position: Where the square lies along the longer side: ``"center"``, or ``"random"``, which
            is an augmentation and only for training.

    Raises:
        ValueError: If a value is unknown or out of range, or the position is random without a
            square.

    Example:
        >>> Crop(share=0.8, position="random").centered()
        Crop(share=0.8, shape='square', position='center')
    """

    share: float = 1.0
    shape: str = "square"
    position: str = "center"

    def __post_init__(self) -> None:
        check_number("share", self.share, 0, 1, above=True)
        check_choice("shape", self.shape, SHAPES)
        check_choice("position", self.position, POSITIONS)
        if self.is_random and self.shape != "square":
            raise ValueError(
                "A random position needs a square, which has room to move. "
                f"Received: shape={self.shape!r}, position='random'. Use shape='square'."
            )

    @property
    def is_random(self) -> bool:
        """Whether the position is drawn at random, so that the crop is an augmentation."""
        return self.position == "random"

    def centered(self) -> Crop:
        """The same crop in the middle, as validation and prediction take it."""
        return dataclasses.replace(self, position="center")
