"""Results by group, in comparison with the metrics of the group alone."""

import numpy as np
import pandas as pd
import pytest

from kerasface.metrics.bootstrap import proportion_interval, wilson_interval
from kerasface.metrics.groups import accuracy_by_group, attributes_by_group, verification_by_group
from kerasface.metrics.person_pairs import PersonPairs
from kerasface.metrics.verification import evaluate


def all_pairs(people=16, each=4, seed=0):
    """All pairs of images of people, of whom the first half look alike."""
    rng = np.random.default_rng(seed)
    who = np.repeat(np.arange(people), each)
    rows = np.stack(np.triu_indices(len(who), 1), axis=1)
    same = who[rows[:, 0]] == who[rows[:, 1]]
    alike = (who[rows] < people // 2).all(axis=1) & ~same
    scores = rng.normal(size=len(rows)) + 2.5 * same + 1.0 * alike
    sides = np.where(who < people // 2, "left", "right").astype(object)
    return scores, same, rows, who, pd.DataFrame({"side": sides})


def test_pairs_of_a_group_are_those_inside_it():
    scores, same, rows, who, groups = all_pairs()
    found = verification_by_group(
        scores, same, rows, groups, threshold=1.2, people=who[rows], bootstrap=50
    ).set_index("group")
    assert found.index.tolist() == ["all", "side: left", "side: right"]
    inside = (who[rows] < 8).all(axis=1)
    row = found.loc["side: left"]
    expected = evaluate(scores[inside], same[inside], people=who[rows][inside], bootstrap=50)
    assert row["eer"] == pytest.approx(expected.metrics["eer"])
    # The same resamples, counted in bins.
    for end in ("eer_low", "eer_high"):
        assert row[end] == pytest.approx(expected.metrics[end], abs=0.03)
    assert (row["images"], row["genuine"], row["impostor"]) == (32, 48, 448)
    for key, kind in (("far", ~same), ("tar", same)):
        accepted = scores[inside & kind] >= 1.2
        assert row[key] == pytest.approx(accepted.mean())
        bounds = PersonPairs(who[rows][inside & kind], bootstrap=50).interval(accepted)
        assert (row[f"{key}_low"], row[f"{key}_high"]) == pytest.approx(bounds)
    assert row["far_low"] > found.loc["side: right", "far_high"]
    assert found.loc["all", "impostor"] == (~same).sum()


def test_pairs_without_people_and_without_a_kind():
    scores, same, rows, _, groups = all_pairs()
    groups["alone"] = [np.nan] * 60 + ["yes"] * 4
    found = verification_by_group(scores, same, rows, groups, threshold=1.2, bootstrap=50)
    found = found.set_index("group")
    assert "alone: nan" not in found.index
    row = found.loc["alone: yes"]
    assert (row["images"], row["genuine"], row["impostor"]) == (4, 6, 0)
    assert np.isnan(row[["eer", "far", "far_low"]].astype(float)).all()
    accepted = int((scores[(rows >= 60).all(axis=1)] >= 1.2).sum())
    assert (row["tar_low"], row["tar_high"]) == wilson_interval(accepted, 6)
    whole = found.loc["all"]
    assert whole["eer_low"] < whole["eer"] < whole["eer_high"]
    with pytest.raises(ValueError, match=r"shape \[pairs, 2\]. Received: shape=\(3, 2\)"):
        verification_by_group(scores, same, rows[:3], groups, threshold=1.2)


def test_attributes_by_group_by_hand():
    groups = pd.DataFrame({"Male": ["yes", "yes", "no", "no"]})
    labels = np.array([[1, 1, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1]])
    found = attributes_by_group(
        labels, np.array([[0.9, 0.9, 0.9]] * 4), ["Male", "Smiling", "Young"], groups
    ).set_index("group")
    # Without the attribute Male. Young is right in all images, Smiling in every second one.
    for group, images in (("all", 4), ("Male: no", 2), ("Male: yes", 2)):
        row = found.loc[group]
        assert row["images"] == images
        numbers = row[["mean_accuracy", "mean_majority_accuracy", "mean_balanced_accuracy"]]
        assert numbers.tolist() == [0.75, 0.75, 0.5]
        assert row["mean_accuracy_low"] == 0.5 and row["mean_accuracy_high"] == 1
    with pytest.raises(ValueError, match=r"no kind of group. Received: the attributes \['Male'\]"):
        attributes_by_group(labels[:, :1], np.full((4, 1), 0.9), ["Male"], groups)


def test_accuracy_by_group():
    correct = np.arange(30) % 3 > 0
    found = accuracy_by_group(correct, pd.DataFrame({"age": ["old"] * 9 + ["young"] * 21}))
    assert found["images"].tolist() == [30, 9, 21]
    assert found["accuracy"].tolist() == pytest.approx([2 / 3] * 3)
    assert tuple(found.loc[1, ["accuracy_low", "accuracy_high"]]) == proportion_interval(6, 9)
