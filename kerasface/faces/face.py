"""What every detector gives: a face's place in an image."""

from __future__ import annotations

import dataclasses

import numpy as np

LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
    """One face that was found.

    Pixel coordinates have their origin at the top left corner of the image.

    Attributes:
        box: ``(left, top, width, height)`` in pixels; may reach over the image's border.
        score: How sure the detector is, in ``[0, 1]``.
        landmarks: float64 ``[5, 2]``, x and y in pixels of the image-left eye, the image-right
            eye, the nose tip, the image-left and the image-right mouth corner, as they lie in an
            upright face (in a face that is turned: of the person's right eye, and so on); or None.

    Raises:
        ValueError: If a number is out of range or missing.

    Example:
        >>> Face((10, 20, 30, 40), score=0.98).box
        (10.0, 20.0, 30.0, 40.0)
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: np.ndarray | None = None

    def __post_init__(self):
        box = tuple(float(value) for value in self.box)
        if len(box) != 4 or not np.isfinite(box).all() or not min(box[2:]) > 0:
            raise ValueError(
                "`box` must be (left, top, width, height) in pixels, with a width and a height "
                f"above 0. Received: box={self.box!r}."
            )
        if not 0 <= self.score <= 1:
            raise ValueError(f"`score` must be in [0, 1]. Received: score={self.score!r}.")
        object.__setattr__(self, "box", box)
        object.__setattr__(self, "score", float(self.score))
        if self.landmarks is not None:
            landmarks = np.asarray(self.landmarks, dtype=np.float64)
            if landmarks.shape != (5, 2) or not np.isfinite(landmarks).all():
                raise ValueError(
                    "`landmarks` must be five points, [5, 2] x and y in pixels. Received: "
                    f"an array of shape {landmarks.shape}, {np.isnan(landmarks).sum()} of them NaN."
                )
            object.__setattr__(self, "landmarks", landmarks)
