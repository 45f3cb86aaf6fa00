"""Evaluates pairs of images by their embeddings: similarities, metrics, tables and figures."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kerasface import images
from kerasface.data.pairs import PairTable
from kerasface.files import replacing, write_json
from kerasface.metrics import VerificationMetrics, verification
from kerasface.metrics.groups import verification_by_group
from kerasface.metrics.operating_points import FALSE_ACCEPT_RATES
from kerasface.metrics.probability import ProbabilityFit, fit_probability, too_few_pairs
from kerasface.reports import verification as plots
from kerasface.reports.calibration import probability_diagram
from kerasface.reports.sections import Picture
from kerasface.reports.style import save_figures
from kerasface.runs.run import METRICS

SHOWN_PAIRS = 24
THUMBNAIL = 160  # pixels


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PairEvaluation:
    """Pairs with their similarities and metrics.

    Attributes:
        pairs: The pairs.
        scores: float32 ``[N]``, cosine similarity of each pair.
        result: Metrics; see `kerasface.metrics.verification.evaluate`.
        probability: The probability of a similarity; None with fewer than 20 pairs of a kind.
    """

    pairs: PairTable
    scores: np.ndarray
    result: VerificationMetrics
    probability: ProbabilityFit | None = None

    @property
    def metrics(self) -> dict[str, float | int]:
        """All numbers: those of ``result``, and those of ``probability``."""
        return self.result.metrics | (self.probability.to_dict() if self.probability else {})

    @functools.cached_property
    def worst_pictures(self) -> list[Picture]:
        """The worst mistakes as pictures; see `kerasface.metrics.verification.worst_pairs`."""
        worst = verification.worst_pairs(self.scores, self.pairs.same, SHOWN_PAIRS)
        files = self.pairs.images.full_paths()
        captions = plots.pair_captions(self.to_frame().iloc[worst])
        return [
            Picture(
                (
                    images.thumbnail(files[first], THUMBNAIL),
                    images.thumbnail(files[second], THUMBNAIL),
                ),
                caption,
            )
            for (first, second), caption in zip(self.pairs.rows[worst], captions, strict=True)
        ]

    def to_frame(self) -> pd.DataFrame:
        """Returns one row per pair: both files, whether they show one person, and the ``score``."""
        return self.pairs.to_frame().assign(score=self.scores)

    def by_group(self, groups: pd.DataFrame, threshold: float, *, seed: int = 0) -> pd.DataFrame:
        """Returns the error rates by group.

        Args:
            groups: One row per image of the pairs, one column per kind of group.
            threshold: The threshold of all groups.
            seed: Seed of the resamples.
        """
        return verification_by_group(
            self.scores,
            self.pairs.same,
            self.pairs.rows,
            groups,
            threshold=threshold,
            people=None if self.pairs.people is None else self.pairs.people.astype(str),
            seed=seed,
        )

    def draw(self, name: str, threshold: float | None = None) -> dict[str, Figure]:
        """Draws the ROC curve, the scores, the calibration and the worst pairs.

        Args:
            name: Name of the pairs, in the legend of the ROC curve.
            threshold: Threshold to show in the histograms, or None.

        Returns:
            Title to figure. "Probability" is missing if there are too few pairs for it.
        """
        same = self.pairs.same
        figures = {
            "ROC": plots.roc_log({name: (self.scores, same)}),
            "Scores": plots.score_histograms(self.scores, same, threshold=threshold),
            "Worst pairs": self._worst_pairs(),
        }
        if self.probability is not None:
            figures["Probability"] = probability_diagram(self.probability)
        return figures

    def write(self, folder: pathlib.Path, figures: dict[str, Figure]) -> None:
        """Writes metrics, tables and figures.

        Args:
            folder: Folder for ``metrics.json``, ``pairs.csv``, ``per_fold.csv``,
                ``operating_points.csv``, ``probability.csv`` (with enough pairs) and a PNG file
                per figure.
            figures: Title to figure, from `draw`.
        """
        write_json(folder / METRICS, self.metrics)
        frames = {
            "pairs": self.to_frame(),
            "per_fold": self.result.per_fold,
            "operating_points": self.result.operating_points,
        }
        if self.probability is not None:
            frames["probability"] = self.probability.reliability
        for key, frame in frames.items():
            with replacing(folder / f"{key}.csv") as part:
                frame.to_csv(part, index=False)
        save_figures(figures, folder)

    def _worst_pairs(self) -> Figure:
        pictures = self.worst_pictures
        return plots.pairs_gallery(
            [(picture.images[0], picture.images[1]) for picture in pictures],
            [picture.caption for picture in pictures],
        )


def evaluate_pairs(
    vectors: np.ndarray,
    pairs: PairTable,
    *,
    rates: Sequence[float] = FALSE_ACCEPT_RATES,
    bootstrap: int = 1000,
    seed: int = 0,
) -> PairEvaluation:
    """Evaluates pairs of images by the embeddings of the images.

    Args:
        vectors: float ``[images, dimensions]``, rows of length 1, one per row of
            ``pairs.images``.
        pairs: At least one genuine and one impostor pair.
        rates: False accept rates to compute thresholds for, in (0, 1).
        bootstrap: Number of resamples for the intervals.
        seed: Seed of folds and resamples.

    Returns:
        Similarities and metrics.
    """
    scores = similarities(vectors, pairs.rows)
    people = None if pairs.people is None else pairs.people.astype(str)
    result = verification.evaluate(
        scores,
        pairs.same,
        folds=pairs.folds,
        people=people,
        rates=rates,
        bootstrap=bootstrap,
        seed=seed,
    )
    probability = None
    if not too_few_pairs(pairs.same):
        probability = fit_probability(
            scores, pairs.same, folds=pairs.folds, people=people, seed=seed
        )
    return PairEvaluation(pairs, scores, result, probability)


def similarities(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns the cosine similarities of pairs.

    Args:
        vectors: float ``[images, dimensions]``, rows of length 1.
        rows: int ``[N, 2]``, the two rows of each pair.

    Returns:
        ``[N]`` of the type of ``vectors``.

    Example:
        >>> similarities(np.eye(2), np.array([[0, 0], [0, 1]])).tolist()
        [1.0, 0.0]
    """
    return np.einsum("ij,ij->i", vectors[rows[:, 0]], vectors[rows[:, 1]])
