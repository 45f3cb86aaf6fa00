"""Thresholds for the scores of pairs: ROC points and false accept rates.

A pair is *genuine* if both images show the same person, else *impostor*. It is accepted if its
score is at least a threshold. The false accept rate (FAR) is the share of impostor pairs that are
accepted, the true accept rate (TAR) the share of genuine pairs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kerasface.metrics.inputs import check_pairs
from kerasface.metrics.ordered_pairs import OrderedPairs, order_pairs

FALSE_ACCEPT_RATES = (1e-1, 1e-2, 1e-3, 1e-4)
# With fewer expected false accepts, a rate depends on very few pairs. The 95% interval of a Poisson
# count of ten is already 4.8 to 18.4.
FEWEST_FALSE_ACCEPTS = 10
ROUNDING = 1e-6  # tolerance in pairs: 0.07 times 100 is slightly more than 7


def roc_points(scores: np.ndarray, same: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the points of the ROC curve.

    Args:
        scores: float ``[N]``.
        same: bool or 0/1 ``[N]``, whether a pair is genuine.

    Returns:
        False accept rates, true accept rates and thresholds, ``[M + 1]`` each for M distinct
        scores. The thresholds are in descending order, from infinity.

    Raises:
        ValueError: If shapes or values are invalid, or one kind of pairs is missing.

    Example:
        >>> far, tar, thresholds = roc_points([0.1, 0.9], [0, 1])
        >>> far.tolist(), tar.tolist()
        ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0])
    """
    scores, same = check_pairs(scores, same)
    ordered = order_pairs(scores, same)
    true, false = ordered.accepted()
    return false[0] / false[0, -1], true[0] / true[0, -1], ordered.thresholds


def threshold_at_far(scores: np.ndarray, same: np.ndarray, rate: float) -> float:
    """Returns the lowest threshold whose false accept rate is at most the target.

    Args:
        scores: float ``[N]``.
        same: bool or 0/1 ``[N]``, whether a pair is genuine.
        rate: Target false accept rate, in (0, 1).

    Returns:
        A score; pairs with at least this score are accepted. Infinity if more impostor pairs than
        the rate allows share the highest score.

    Raises:
        ValueError: If fewer than ten false accepts are expected at that rate.

    Example:
        >>> scores = np.arange(200)
        >>> threshold_at_far(scores, scores >= 100, 0.1)
        90.0
    """
    scores, same = check_pairs(scores, same)
    check_rates([rate])
    impostors = np.sort(scores[~same])
    refused = too_few_impostors(rate, len(impostors))
    if refused:
        raise ValueError(
            "A threshold for a false accept rate needs at least "
            f"{FEWEST_FALSE_ACCEPTS} expected false accepts. Received: {refused}. "
            "Choose a larger rate or more impostor pairs."
        )
    candidates = np.unique(scores)
    accepted = len(impostors) - impostors.searchsorted(candidates, "left")
    allowed = candidates[accepted <= rate * len(impostors) + ROUNDING]
    return float(allowed[0]) if len(allowed) else float("inf")


def best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    """Returns the threshold with the highest accuracy.

    Args:
        scores: float ``[N]``.
        same: bool or 0/1 ``[N]``, whether a pair is genuine.

    Returns:
        A score, the highest of equally good ones. Infinity if accepting no pair is best.

    Example:
        >>> best_threshold([0.1, 0.6, 0.4, 0.9], [0, 0, 1, 1])
        0.9
    """
    scores, same = check_pairs(scores, same)
    ordered = order_pairs(scores, same)
    true, false = ordered.accepted()
    return float(ordered.thresholds[(true - false)[0].argmax()])


def operating_points(
    ordered: OrderedPairs,
    rates: Sequence[float],
    metrics: Mapping[str, float],
    bounds: Mapping[float, tuple[float, float]],
) -> pd.DataFrame:
    """Lists the thresholds for target false accept rates.

    Args:
        ordered: Pairs by descending score.
        rates: Target false accept rates, in (0, 1).
        metrics: True accept rates with their bounds, under the names that `tar_key` returns.
        bounds: The 95% interval of the false accept rate at the threshold of each rate.

    Returns:
        One row per rate: ``wanted_far``, ``threshold``, ``far``, ``far_low``, ``far_high``,
        ``tar``, ``tar_low``, ``tar_high`` and ``refused``, the reason why the numbers are NaN, or
        an empty text.
    """
    impostors = int((~ordered.same).sum())
    false = ordered.accepted()[1][0]
    columns = ["threshold", "far", "far_low", "far_high", "tar", "tar_low", "tar_high"]
    rows = []
    for rate in rates:
        refused = too_few_impostors(rate, impostors)
        numbers = [float("nan")] * len(columns)
        if not refused:
            cut = threshold_row(ordered, rate)
            numbers = [
                ordered.thresholds[cut],
                false[cut] / impostors,
                *bounds[rate],
                *(metrics[f"{tar_key(rate)}{end}"] for end in ("", "_low", "_high")),
            ]
        rows.append([rate, *numbers, refused])
    return pd.DataFrame(rows, columns=["wanted_far", *columns, "refused"])


def threshold_row(ordered: OrderedPairs, rate: float) -> int:
    """Returns which threshold is the lowest whose false accept rate is at most the target.

    Args:
        ordered: Pairs by descending score.
        rate: Target false accept rate.

    Returns:
        Its position in ``ordered.thresholds``.
    """
    false = ordered.accepted()[1][0]
    return int((false <= rate * false[-1] + ROUNDING).sum()) - 1


def equal_error_rates(true: np.ndarray, false: np.ndarray) -> np.ndarray:
    """Returns equal error rates: where the false accept rate equals the false reject rate.

    Args:
        true: int ``[B, M + 1]``, accepted genuine pairs at falling thresholds, from 0 to all.
        false: int ``[B, M + 1]``, accepted impostor pairs.

    Returns:
        float ``[B]``, on straight lines between the points of the ROC curve; NaN without pairs of
        a kind.

    Example:
        >>> equal_error_rates(np.array([[0, 3, 4]]), np.array([[0, 1, 4]])).tolist()
        [0.25]
    """
    positives, negatives = true[:, -1], false[:, -1]
    # FAR + TAR - 1 as integers, which increases from negative to positive.
    gap = false * positives[:, None] + (true - positives[:, None]) * negatives[:, None]
    rows = np.arange(len(gap))
    after = np.clip((gap < 0).sum(axis=1), 1, gap.shape[1] - 1)
    below, above = gap[rows, after - 1], gap[rows, after]
    share = -below / (above - below)
    before = false[rows, after - 1]
    return (before + share * (false[rows, after] - before)) / negatives


def tar_key(rate: float) -> str:
    """Returns the name of the true accept rate at a false accept rate.

    Args:
        rate: False accept rate.

    Example:
        >>> tar_key(0.01)
        'tar_at_far_0.01'
    """
    return f"tar_at_far_{rate:g}"


def too_few_impostors(rate: float, impostors: int) -> str:
    """Returns why a false accept rate cannot be measured, or an empty text if it can.

    Args:
        rate: False accept rate.
        impostors: Number of impostor pairs.
    """
    expected = rate * impostors
    if expected >= FEWEST_FALSE_ACCEPTS - ROUNDING:
        return ""
    return (
        f"{rate:g} of {impostors:,} impostor pairs are {expected:.3g} expected false accepts, "
        f"fewer than {FEWEST_FALSE_ACCEPTS}"
    )


def check_rates(rates: Sequence[float]) -> None:
    """Raises a ValueError unless all false accept rates are in (0, 1).

    Args:
        rates: False accept rates.
    """
    for rate in rates:
        if not 0 < rate < 1:
            raise ValueError(
                f"A false accept rate must be in (0, 1). Received: {rate}. Use 0.001, for instance."
            )
