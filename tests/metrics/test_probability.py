"""The probability of a similarity, in comparison with scikit-learn and with known truth."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from kerasface.metrics.probability import fit_probability, probability_of


def drawn(count=4000, slope=8.0, intercept=-3.0, seed=0):
    """Similarities and kinds of pairs that follow a known probability."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(-0.2, 1, count)
    same = rng.random(count) < expit(slope * scores + intercept)
    return scores, same


def plain_fit(scores, same):
    weights = np.where(same, 0.5 / same.mean(), 0.5 / (1 - same.mean()))
    model = LogisticRegression(C=1e3, tol=1e-9).fit(scores[:, None], same, sample_weight=weights)
    return model, weights


def test_known_probability_is_found():
    scores, same = drawn()
    fit = fit_probability(scores, same)
    # Both kinds weigh the same, which only moves the intercept.
    prior = np.log((~same).sum() / same.sum())
    assert fit.slope == pytest.approx(8.0, rel=0.1)
    assert fit.intercept == pytest.approx(-3.0 + prior, abs=0.3)
    assert fit.calibration_error < 0.03 and fit.log_loss < 0.45
    assert fit.left_out == "pairs" and fit.reliability["pairs"].sum() == len(scores)
    gap = (fit.reliability["probability"] - fit.reliability["genuine_share"]).abs()
    assert gap.max() < 0.15


def test_more_impostors_do_not_change_the_probability():
    scores, same = drawn(1000)
    more = np.concatenate([np.arange(1000), *[np.flatnonzero(~same)] * 9])
    few, many = fit_probability(scores, same), fit_probability(scores[more], same[more])
    assert many.calibration == pytest.approx(few.calibration, rel=2e-3)


def test_left_out_folds_equal_scikit_learn():
    scores, same = drawn(600)
    folds = np.arange(600) % 3
    fit = fit_probability(scores, same, folds=folds)
    predicted = np.empty(600)
    for fold in range(3):
        model, _ = plain_fit(scores[folds != fold], same[folds != fold])
        predicted[folds == fold] = model.predict_proba(scores[folds == fold, None])[:, 1]
    model, weights = plain_fit(scores, same)
    assert fit.calibration == pytest.approx((model.coef_[0, 0], model.intercept_[0]), rel=1e-3)
    assert fit.log_loss == pytest.approx(log_loss(same, predicted, sample_weight=weights), rel=1e-3)
    assert probability_of(0.3, fit.calibration) == pytest.approx(
        model.predict_proba([[0.3]])[0, 1], abs=1e-4
    )


def test_people_are_left_out():
    who = np.repeat(np.arange(12), 6)
    first, second = np.triu_indices(len(who), 1)
    people = np.stack([who[first], who[second]], axis=1)
    same = people[:, 0] == people[:, 1]
    # The pairs of each person have a similarity of their own, so only new people are surprising.
    level = np.random.default_rng(0).uniform(0.3, 0.7, 12)
    scores = np.where(same, level[people[:, 0]], 0.5) + 1e-3 * np.arange(len(same)) % 7
    of_people = fit_probability(scores, same, people=people)
    assert of_people.left_out == "people"
    group = people // 4  # three folds with people apart, and the pairs between them left out
    inside = group[:, 0] == group[:, 1]
    given = fit_probability(
        scores[inside], same[inside], people=people[inside], folds=group[inside, 0]
    )
    assert given.left_out == "people" and given.reliability["pairs"].sum() == inside.sum()
    assert of_people.reliability["pairs"].sum() < len(same)
    # Folds that share people are not used.
    shared = fit_probability(scores, same, people=people, folds=np.arange(len(same)) % 2)
    assert shared.log_loss == of_people.log_loss
    three = (people < 3).all(axis=1)
    few = fit_probability(scores[three], same[three], people=people[three])
    assert few.left_out == "pairs"


def test_too_few_pairs_are_refused():
    scores, _ = drawn(100)
    with pytest.raises(ValueError, match=r"20 pairs of each kind, and there are 5 of one"):
        fit_probability(scores[:40], np.arange(40) < 5)
