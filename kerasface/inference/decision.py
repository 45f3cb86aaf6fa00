"""Decision: whether two images show the same person."""

from __future__ import annotations

import dataclasses
from typing import Any

from kerasface.data import notebook
from kerasface.faces.face import Face
from kerasface.inference.operating_point import OperatingPoint


@dataclasses.dataclass(frozen=True, repr=False)
class Decision:
    """Result of `verify`. ``bool(decision)`` is ``decision.same``.

    Attributes:
        similarity: Cosine similarity of the two embeddings, in [-1, 1].
        same: Whether the images show the same person: the similarity reaches the threshold.
        threshold: Smallest similarity of the same person.
        far: False accept rate of the threshold: the share of pairs of different people that it
            accepted when it was measured. None for a threshold that was given as a number, or was
            measured with another ``flip`` or ``crop``.
        far_low: Lower bound of the 95% interval of ``far``; None if it is unknown.
        far_high: Upper bound.
        measured_on: The data and the number of pairs that ``far`` was measured on; empty if it is
            unknown.
        probability: Calibrated probability that both images show one person, if as many pairs of
            one person as of different people are expected; None if it is unknown. See
            `kerasface.metrics.probability.fit_probability`.
        face_a: The face in the first photograph; None for a crop.
        face_b: The face in the second photograph; None for a crop.

    Example:
        >>> decision = Decision(similarity=0.61, same=True, threshold=0.5)
        >>> bool(decision)
        True
    """

    similarity: float
    same: bool
    threshold: float
    far: float | None = None
    far_low: float | None = None
    far_high: float | None = None
    measured_on: str = ""
    probability: float | None = None
    face_a: Face | None = dataclasses.field(default=None, compare=False)
    face_b: Face | None = dataclasses.field(default=None, compare=False)

    def __bool__(self) -> bool:
        return self.same

    @property
    def text(self) -> str:
        """The decision in words: one line, and a second one if its rates are known."""
        answer = "same person" if self.same else "different people"
        lines = [f"{answer}: similarity {self.similarity:.4f}, threshold {self.threshold:.4f}"]
        facts = []
        if self.probability is not None:
            facts.append(f"probability of one person {self.probability:.1%}")
        if self.far is not None:
            interval = ""
            if self.far_low is not None and self.far_high is not None:
                interval = f" (95% interval {self.far_low:.2%} to {self.far_high:.2%})"
            facts.append(f"false accept rate of the threshold {self.far:.2%}{interval}")
        return "\n".join([*lines, *([", ".join(facts)] if facts else [])])

    def __repr__(self) -> str:
        facts = {
            key: getattr(self, key)
            for key in ("similarity", "same", "threshold", "far", "probability")
        }
        return notebook.short_repr("Decision", facts)

    def _repr_html_(self) -> str:
        facts: dict[str, Any] = {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }
        for key in ("face_a", "face_b"):
            face = facts.pop(key)
            if face is not None:
                facts[key] = ", ".join(f"{value:.0f}" for value in face.box)
        return notebook.facts_html("Decision", facts)


def decide(
    similarity: float,
    threshold: float,
    point: OperatingPoint | None = None,
    *,
    face_a: Face | None = None,
    face_b: Face | None = None,
) -> Decision:
    """Makes the decision for a similarity.

    Args:
        similarity: Cosine similarity of the two embeddings; rounding errors beyond [-1, 1] are
            removed.
        threshold: Smallest similarity of the same person.
        point: Where the rates of this threshold were measured, if they hold; see
            `kerasface.inference.operating_point.Threshold.measured`.
        face_a: The face in the first photograph.
        face_b: The face in the second photograph.

    Returns:
        The decision, with the rates and the probability of ``point``.
    """
    similarity = min(max(float(similarity), -1.0), 1.0)
    same = similarity >= threshold
    if point is None:
        return Decision(similarity, same, threshold, face_a=face_a, face_b=face_b)
    return Decision(
        similarity=similarity,
        same=same,
        threshold=threshold,
        far=point.far,
        far_low=point.far_low,
        far_high=point.far_high,
        measured_on=point.measured_on,
        probability=point.probability(similarity),
        face_a=face_a,
        face_b=face_b,
    )
