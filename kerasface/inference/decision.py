"""Decision: whether two images show the same person."""

from __future__ import annotations

import dataclasses

from kerasface.data import notebook


@dataclasses.dataclass(frozen=True)
class Decision:
    """Result of `verify`.

    Attributes:
        similarity: Cosine similarity of the two embeddings, in [-1, 1].
        same: Whether the images show the same person: the similarity reaches the threshold.
        threshold: Smallest similarity of the same person.
        far: False accept rate of the threshold: the share of pairs of different people that it
            accepted when it was measured. None for a threshold that was given, or was measured
            with another ``flip`` or ``crop``.
    """

    similarity: float
    same: bool
    threshold: float
    far: float | None

    def _repr_html_(self) -> str:
        return notebook.facts_html("Decision", dataclasses.asdict(self))
