"""The probability that two images show one person, from their similarity."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from scipy.special import expit

from kerasface.metrics.calibration import calibration_table, expected_calibration_error
from kerasface.metrics.folds import fold_codes
from kerasface.metrics.inputs import check_pairs

FOLDS = 5
BINS = 10
FEWEST_PAIRS = 20  # pairs of each kind; with fewer, the slope is hardly known
# The inverse of scikit-learn's penalty: weak, so that it only bounds the slope where the two kinds
# of pairs do not overlap.
INVERSE_PENALTY = 1e3


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ProbabilityFit:
    """Result of `fit_probability`.

    Attributes:
        slope: The probability is ``1 / (1 + exp(-(slope * similarity + intercept)))``.
        intercept: As above.
        log_loss: Mean negative logarithm of the probability of the truth, on left-out folds. Both
            kinds of pairs weigh the same, so a constant probability of 0.5 has 0.693.
        calibration_error: Expected calibration error: mean distance between probability and truth
            in the bins of ``reliability``.
        reliability: One row per bin of probabilities, on left-out folds: ``low``, ``high``,
            ``pairs``, ``probability`` (mean) and ``genuine_share`` (of one person). Both kinds of
            pairs weigh the same.
        left_out: What the folds have apart: ``"people"`` or ``"pairs"``.
    """

    slope: float
    intercept: float
    log_loss: float
    calibration_error: float
    reliability: pd.DataFrame
    left_out: str

    def __repr__(self) -> str:
        return (
            f"ProbabilityFit: slope {self.slope:.4g}, intercept {self.intercept:.4g}\n"
            f"  on left-out {self.left_out}: log loss {self.log_loss:.4f}, "
            f"expected calibration error {self.calibration_error:.4f}"
        )

    @property
    def calibration(self) -> tuple[float, float]:
        """Slope and intercept, for `probability_of`."""
        return self.slope, self.intercept

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """The bounds of each bin of ``reliability``."""
        return list(zip(self.reliability["low"], self.reliability["high"], strict=True))

    def to_dict(self) -> dict[str, float]:
        """Returns the numbers, with the names of ``metrics.json`` and of pages."""
        return {
            "probability_slope": self.slope,
            "probability_intercept": self.intercept,
            "probability_log_loss": self.log_loss,
            "probability_calibration_error": self.calibration_error,
        }


def probability_of(similarity: float, calibration: tuple[float, float]) -> float:
    """Returns the probability that two images of a similarity show one person.

    Args:
        similarity: Cosine similarity.
        calibration: Slope and intercept of a `ProbabilityFit`.

    Example:
        >>> probability_of(0.5, (20.0, -10.0))
        0.5
    """
    slope, intercept = calibration
    return float(expit(slope * similarity + intercept))


def too_few_pairs(same: np.ndarray) -> str:
    """Returns why no probability can be fitted, or an empty text if it can.

    Args:
        same: bool ``[N]``, whether a pair is genuine.
    """
    fewest = int(min(same.sum(), (~same).sum()))
    if fewest >= FEWEST_PAIRS:
        return ""
    return f"a probability needs {FEWEST_PAIRS} pairs of each kind, and there are {fewest} of one"


def fit_probability(
    scores: np.ndarray,
    same: np.ndarray,
    *,
    folds: np.ndarray | None = None,
    people: np.ndarray | None = None,
    seed: int = 0,
) -> ProbabilityFit:
    """Fits the probability that two images show one person to their similarity.

    It is a logistic regression of one variable (Platt 1999, "Probabilistic outputs for support
    vector machines"). Both kinds of pairs weigh the same, whatever their numbers, so the
    probability holds where as many pairs of one person as of different people are expected. If
    pairs of one person are expected with the odds ``o``, multiply the odds of the probability by
    ``o``.

    The calibration is measured on left-out folds: each is predicted by a fit on other pairs. With
    ``people`` these are also pairs of other people.

    Args:
        scores: float ``[N]``, finite, larger for more similar pairs.
        same: bool or 0/1 ``[N]``, whether a pair is genuine; at least 20 pairs of each kind.
        folds: int ``[N]``, a number for each fold; None makes five. With ``people`` they are only
            used if no person is in two folds.
        people: Names or numbers ``[N, 2]`` of the people in each pair.
        seed: Seed of new folds.

    Returns:
        The fit to all pairs, with its calibration on the left-out folds.

    Raises:
        ValueError: If shapes or values are invalid, or there are too few pairs.

    Example:
        >>> scores = np.tile([0.1, 0.3, 0.4, 0.8], 20)
        >>> fit = fit_probability(scores, np.tile([0, 0, 1, 1], 20))
        >>> probability_of(0.8, fit.calibration) > 0.99
        True
    """
    # Imported late, because opening a model must not wait for it.
    from sklearn.metrics import log_loss

    scores, same = check_pairs(scores, same)
    reason = too_few_pairs(same)
    if reason:
        raise ValueError(f"There must be enough pairs. Received: {reason}.")
    tests, left_out = _tests(same, folds, people, seed)
    predicted = np.full(len(scores), np.nan)
    for rows, others in tests:
        predicted[rows] = expit(np.polyval(_fit(scores[others], same[others]), scores[rows]))
    tested = np.isfinite(predicted)
    predicted, truth = predicted[tested], same[tested]
    weights = _weights(truth)
    table = calibration_table(predicted, truth, bins=BINS, weights=weights)
    slope, intercept = _fit(scores, same)
    return ProbabilityFit(
        slope=slope,
        intercept=intercept,
        log_loss=float(log_loss(truth, predicted, sample_weight=weights)),
        calibration_error=expected_calibration_error(table),
        reliability=table.drop(columns="weight").rename(
            columns={"images": "pairs", "confidence": "probability", "accuracy": "genuine_share"}
        ),
        left_out=left_out,
    )


def _fit(scores: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    # Imported late, because opening a model must not wait for it.
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=INVERSE_PENALTY, solver="newton-cholesky")
    model.fit(scores[:, None], same, sample_weight=_weights(same))
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def _weights(same: np.ndarray) -> np.ndarray:
    """Weights with which both kinds of pairs count the same, with a mean of 1."""
    share = same.mean()
    return np.where(same, 0.5 / share, 0.5 / (1 - share))


def _tests(
    same: np.ndarray, folds: np.ndarray | None, people: np.ndarray | None, seed: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], str]:
    """Pairs to predict and pairs to fit to for each fold, as bools ``[N]``, and what is apart."""
    if people is not None:
        codes = np.unique(people, return_inverse=True)[1].reshape(len(same), 2)
        groups = _people_folds(codes, folds, seed)
        if groups is not None:
            first, second = groups[codes[:, 0]], groups[codes[:, 1]]
            tests = [
                ((first == fold) & (second == fold), (first != fold) & (second != fold))
                for fold in range(int(groups.max()) + 1)
            ]
            tested = np.any([rows for rows, _ in tests], axis=0)
            parts = [same[tested], *(same[others] for _, others in tests)]
            if all(part.any() and not part.all() for part in parts):
                return tests, "people"
    _, numbers = fold_codes(folds, same, seed)
    tests = [(numbers == fold, numbers != fold) for fold in range(int(numbers.max()) + 1)]
    parts = [same[others] for _, others in tests]
    if not all(part.any() and not part.all() for part in parts):
        return _tests(same, None, None, seed)
    return tests, "pairs"


def _people_folds(codes: np.ndarray, folds: np.ndarray | None, seed: int) -> np.ndarray | None:
    """The fold of each person: that of the list if it has people apart, else a random one."""
    count = int(codes.max()) + 1
    if folds is not None:
        numbers = np.unique(folds, return_inverse=True)[1]
        found = np.full(count, -1)
        found[codes] = numbers[:, None]
        if (found[codes] == numbers[:, None]).all():
            return found
    if count < 4:
        return None
    groups = np.arange(count) % min(FOLDS, count // 2)
    return np.random.default_rng(seed).permutation(groups)
