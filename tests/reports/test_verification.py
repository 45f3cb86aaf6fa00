"""Figures of pairs."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sk

from kerasface.reports.verification import pair_captions, pairs_gallery, roc_log, score_histograms


def pairs(count=2000, seed=0):
    rng = np.random.default_rng(seed)
    same = np.arange(count) % 2 == 0
    return rng.normal(size=count) + 2 * same, same


def test_roc_has_a_log_axis():
    scores, same = pairs()
    figure = roc_log({"one": (scores, same), "_two": (-scores, same)}, title="a $ title")
    (axis,) = figure.axes
    assert axis.get_xscale() == "log"
    one, two = axis.get_lines()
    area = sk.roc_auc_score(same, scores)
    assert one.get_label() == f"{area:.4f}  one"
    assert two.get_label() == f"{1 - area:.4f}  _two"
    far, tar = one.get_data()
    for rate, found in zip(far, tar, strict=True):
        threshold = np.sort(scores[~same])[-round(rate * 1000) - 1] if rate < 1 else -np.inf
        assert found == pytest.approx((scores > threshold)[same].mean())
    assert far[0] == pytest.approx(1 / 1000) and far[-1] == 1
    (ground,) = axis.patches
    assert ground.get_x() + ground.get_width() == pytest.approx(10 / 1000)


def test_many_points_are_thinned():
    (axis,) = roc_log({"many": pairs(20_000)}).axes
    far, tar = axis.get_lines()[0].get_data()
    assert 300 < len(far) <= 1000
    assert (np.diff(far) > 0).all() and (np.diff(tar) >= 0).all()
    assert far[0] == pytest.approx(1 / 10_000) and far[-1] == 1


@pytest.mark.parametrize(("count", "beside"), [(8, False), (9, True)])
def test_many_names_are_beside_the_curves(count, beside):
    figure = roc_log({f"curve {number}": pairs(seed=number) for number in range(count)})
    figure.draw_without_rendering()
    (axis,) = figure.axes
    right = axis.get_window_extent().x1
    assert (axis.get_legend().get_window_extent().x0 >= right) == beside
    assert axis.get_legend().get_window_extent().x1 <= figure.bbox.x1


def test_roc_needs_a_curve():
    with pytest.raises(ValueError, match="at least one curve"):
        roc_log({})


def test_histograms_show_shares_of_each_kind():
    scores, same = pairs(900)
    (axis,) = score_histograms(scores, same, threshold=1.25).axes
    labels = axis.get_legend_handles_labels()[1]
    assert set(labels) == {
        "different people (450 pairs)",
        "same person (450 pairs)",
        "threshold 1.250",
    }
    heights = [sum(bar.get_height() for bar in group) for group in axis.containers]
    assert heights == pytest.approx([1, 1])
    (line,) = axis.get_lines()
    assert set(line.get_xdata()) == {1.25}
    (bare,) = score_histograms(scores, same, threshold=np.inf).axes
    assert not bare.get_lines()


def test_gallery_shows_pairs_side_by_side():
    black, white = np.zeros((20, 10, 3), np.uint8), np.full((30, 12, 3), 200, np.uint8)
    frame = pd.DataFrame(
        {"file_a": ["x/a.jpg"], "file_b": ["y/b.jpg"], "same": [False], "score": [0.8123]}
    )
    captions = pair_captions(frame)
    assert captions == ["0.812: different people\na.jpg\nb.jpg"]
    figure = pairs_gallery([(black, white)], captions)
    pixels = figure.axes[0].get_images()[0].get_array()
    assert pixels.shape == (30, 26, 3)
    assert (pixels[:20, :10] == 0).all() and (pixels[:, 14:] == 200).all()
    assert (pixels[20:, :10] == 255).all()
    assert figure.axes[0].get_title(loc="left").split("\n")[0] == "0.812: different people"
    assert pair_captions(frame.assign(same=True))[0].startswith("0.812: the same person")
    assert pairs_gallery([], []).axes[0].texts[0].get_text() == "no pairs"
    with pytest.raises(ValueError, match="1 pairs and 0 captions"):
        pairs_gallery([(black, white)], [])
    with pytest.raises(ValueError, match=r"must be uint8.*float64"):
        pairs_gallery([(black, white / 255)], captions)
