"""Bootstrap confidence intervals: two-sided, 95%, percentile method."""

from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

PERCENTILES = (2.5, 97.5)
# With a smaller share of defined resamples the interval would be biased.
MIN_DEFINED = 0.95


def check_bootstrap(bootstrap: int) -> None:
    """Raises a ValueError unless there is at least one resample.

    Args:
        bootstrap: Number of resamples.
    """
    if bootstrap < 1:
        raise ValueError(f"`bootstrap` must be at least 1. Received: bootstrap={bootstrap}.")


def percentile_interval(values: np.ndarray) -> tuple[float, float]:
    """Returns the 95% interval of resampled values.

    Args:
        values: float ``[B]``, the statistic of each resample; not finite where undefined.

    Returns:
        Lower and upper bound. NaN if the statistic is undefined in more than 5% of the resamples.

    Example:
        >>> percentile_interval(np.arange(1001.0))
        (25.0, 975.0)
    """
    defined = values[np.isfinite(values)]
    if len(defined) < MIN_DEFINED * len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(defined, PERCENTILES)
    return float(low), float(high)


def mean_interval(
    values: np.ndarray, counts: np.ndarray, *, scale: int = 1, bootstrap: int, seed: int
) -> tuple[float, float]:
    """Returns the 95% interval of a mean, for examples with few distinct values.

    Resampling with replacement is equivalent to a multinomial draw of how often each value occurs,
    which needs little memory.

    Args:
        values: int ``[K]``, the distinct values.
        counts: int ``[K]``, how many examples have each value.
        scale: The mean is divided by this number.
        bootstrap: Number of resamples, at least 1.
        seed: Seed of the resamples.

    Returns:
        Lower and upper bound.

    Example:
        >>> mean_interval(np.array([1]), np.array([7]), bootstrap=10, seed=0)
        (1.0, 1.0)
    """
    examples = int(counts.sum())
    draws = np.random.default_rng(seed).multinomial(examples, counts / examples, bootstrap)
    return percentile_interval(draws @ values / (examples * scale))


def proportion_interval(
    correct: int, count: int, *, bootstrap: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Returns the 95% interval of a proportion.

    Args:
        correct: Number of successes, at most ``count``.
        count: Number of trials, at least 1.
        bootstrap: Number of resamples, at least 1.
        seed: Seed of the resamples.

    Returns:
        Lower and upper bound of the percentile bootstrap. If all trials have the same outcome,
        all resamples are equal, and the bounds are the exact binomial ones (Clopper and Pearson
        1934, doi:10.1093/biomet/26.4.404).

    Example:
        >>> low, high = proportion_interval(10, 10)
        >>> round(low, 3), high
        (0.692, 1.0)
    """
    if correct in (0, count):
        bounds = binomtest(correct, count).proportion_ci()
        return float(bounds.low), float(bounds.high)
    # Resampling zeros and ones with replacement is equivalent to a binomial draw.
    draws = np.random.default_rng(seed).binomial(count, correct / count, bootstrap) / count
    return percentile_interval(draws)


def wilson_interval(correct: int, count: int) -> tuple[float, float]:
    """Returns the 95% interval of a proportion of independent trials.

    Wilson 1927, "Probable inference, the law of succession, and statistical inference",
    doi:10.1080/01621459.1927.10502953.

    Args:
        correct: Number of successes, at most ``count``.
        count: Number of trials, at least 1.

    Returns:
        Lower and upper bound.

    Example:
        >>> low, high = wilson_interval(10, 1000)
        >>> round(low, 4), round(high, 4)
        (0.0054, 0.0183)
    """
    bounds = binomtest(correct, count).proportion_ci(method="wilson")
    return float(bounds.low), float(bounds.high)


def resample_counts(generator: np.random.Generator, resamples: int, size: int) -> np.ndarray:
    """Draws items with replacement, as many as there are.

    Args:
        generator: Source of the random numbers.
        resamples: Number of resamples.
        size: Number of items.

    Returns:
        int64 ``[resamples, size]``: how often each item is drawn.
    """
    draws = generator.integers(0, size, (resamples, size))
    draws += size * np.arange(resamples)[:, None]
    return np.bincount(draws.ravel(), minlength=resamples * size).reshape(resamples, size)
