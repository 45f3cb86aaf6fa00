"""Calibration: how well predicted probabilities agree with the accuracy."""

from __future__ import annotations

import numpy as np
import pandas as pd

CALIBRATION_BINS = 15  # Guo et al. 2017, arXiv:1706.04599


def calibration_table(
    confidence: np.ndarray,
    correct: np.ndarray,
    *,
    bins: int = CALIBRATION_BINS,
    weights: np.ndarray | None = None,
) -> pd.DataFrame:
    """Groups predictions into bins of equal width, ``(low, high]``.

    Args:
        confidence: float ``[N]`` in [0, 1], the probability of the predicted class.
        correct: bool ``[N]``, whether the prediction is correct.
        bins: Number of bins.
        weights: float ``[N]``, how much each prediction counts; None counts all alike.

    Returns:
        One row per bin, with the columns ``low``, ``high``, ``images``, ``confidence`` (mean) and
        ``accuracy``. The last two are NaN for an empty bin. With ``weights`` they are weighted
        means, and the column ``weight`` has the sum of the weights.

    Example:
        >>> calibration_table([0.2, 0.9], [False, True], bins=2)["accuracy"].tolist()
        [0.0, 1.0]
    """
    edges = np.linspace(0, 1, bins + 1)
    confidence = np.asarray(confidence, float)
    bin_index = np.digitize(confidence, edges[1:-1], right=True)
    images = np.bincount(bin_index, minlength=bins)
    counts = np.ones(len(confidence)) if weights is None else np.asarray(weights, float)
    weight = np.bincount(bin_index, counts, bins)
    divisor = np.where(images, weight, np.nan)
    correct = np.asarray(correct, float)
    table = pd.DataFrame(
        {
            "low": edges[:-1],
            "high": edges[1:],
            "images": images,
            "confidence": np.bincount(bin_index, counts * confidence, bins) / divisor,
            "accuracy": np.bincount(bin_index, counts * correct, bins) / divisor,
        }
    )
    return table if weights is None else table.assign(weight=weight)


def expected_calibration_error(table: pd.DataFrame) -> float:
    """Returns the mean distance between confidence and accuracy, weighted by images or weight.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599.

    Args:
        table: Result of `calibration_table`.

    Returns:
        A number in [0, 1]; 0 is perfectly calibrated.

    Example:
        >>> expected_calibration_error(calibration_table([0.75, 0.75], [True, False]))
        0.25
    """
    distance = (table["accuracy"] - table["confidence"]).abs().fillna(0)
    weights = table["weight"] if "weight" in table else table["images"]
    return float(np.average(distance, weights=weights))
