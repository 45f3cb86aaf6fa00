"""Face: box, score and landmarks of a detected face."""

from __future__ import annotations

import dataclasses

import numpy as np

from kerasface.data import notebook

LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")


@dataclasses.dataclass(frozen=True, eq=False)
class Face:
    """A detected face.

    Pixel coordinates have their origin at the top left corner of the image.

    Attributes:
        box: ``(left, top, width, height)`` in pixels; may extend beyond the image.
        score: Confidence of the detector, in ``[0, 1]``.
        landmarks: float64 ``[5, 2]`` or None, x and y in pixels of the image-left eye, the
            image-right eye, the nose tip, the image-left and the image-right mouth corner of an
            upright face. In a rotated face, the order stays that of the person: the first is
            still the person's right eye.

    Raises:
        ValueError: If a number is out of range or missing.

    Example:
        >>> Face((10, 20, 30, 40), score=0.98).box
        (10.0, 20.0, 30.0, 40.0)
    """

    box: tuple[float, float, float, float]
    score: float
    landmarks: np.ndarray | None = None

    def __post_init__(self) -> None:
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

    def __repr__(self) -> str:
        box = tuple(round(value, 1) for value in self.box)
        points = "no landmarks" if self.landmarks is None else "5 landmarks"
        return f"Face(box={box}, score={self.score:.3f}, {points})"

    def _repr_html_(self) -> str:
        sides = ("left", "top", "width", "height")
        facts: dict[str, object] = {
            name: f"{value:.1f}" for name, value in zip(sides, self.box, strict=True)
        }
        facts["score"] = f"{self.score:.3f}"
        if self.landmarks is not None:
            for name, (x, y) in zip(LANDMARKS, self.landmarks.tolist(), strict=True):
                facts[name.replace("_", " ")] = f"{x:.1f}, {y:.1f}"
        return notebook.facts_html("Face", facts)
