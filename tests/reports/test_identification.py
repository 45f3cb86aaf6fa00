"""The cumulative match characteristic."""

import numpy as np

from kerasface.metrics.identification import evaluate
from kerasface.reports import cmc_curve


def test_cmc_curve():
    cmc = evaluate([1, 2, 4, 1], np.ones(4), max_rank=10).cmc
    (axis,) = cmc_curve(cmc).axes
    whole, first, fifth = axis.get_lines()
    assert whole.get_ydata().tolist() == [0.5, 0.75, 0.75] + [1] * 7
    assert (first.get_label(), fifth.get_label()) == ("rank 1: 50.0%", "rank 5: 100.0%")
    (axis,) = cmc_curve(evaluate([0], [1.0]).cmc).axes
    assert axis.get_legend() is None
