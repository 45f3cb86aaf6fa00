"""Region of an image that is cut out before it is resized."""

from __future__ import annotations

import dataclasses

from kerasface.checks import check_choice, check_number

SHAPES = ("square", "image")
POSITIONS = ("center", "random")


@dataclasses.dataclass(frozen=True)
class Crop:
    """The region that is cut out of an image before it is resized to the model's input.

    For CelebA's 178 x 218 pixels, ``Crop()`` is the central 178 x 178, ``Crop(share=0.8)`` the
    central 142 x 142, and ``Crop(share=0.8, shape="image")`` the central 142 x 174.

    Attributes:
        share: Share of both sides, around the center, in (0, 1]. With 0.8 a tenth of the image is
            cut off at each border.
        shape: ``"image"`` keeps the aspect ratio of the image; ``"square"`` cuts the longer side
            to the shorter one.
        position: Position of the square along the longer side: ``"center"``, or ``"random"``,
            which is an augmentation and only for training.

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
                "A random position needs a square crop. "
                f"Received: shape={self.shape!r}, position='random'. Use shape='square'."
            )

    @property
    def is_random(self) -> bool:
        """Whether the position is drawn at random, so that the crop is an augmentation."""
        return self.position == "random"

    def centered(self) -> Crop:
        """Returns the same crop at the center, for validation and prediction."""
        return dataclasses.replace(self, position="center")
