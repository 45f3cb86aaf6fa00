"""Messages for unknown arguments."""

import re

import pytest

from kerasface.embedding import ArcFace, ClassCenters, SampledCenters, SemiHardTriplets
from kerasface.names import OTHER_ARGUMENTS, unknown_argument
from kerasface.pipeline import stream
from kerasface.training import AttributeLoss, ClassLoss, Muon


@pytest.mark.parametrize(
    ("function", "option", "remedy"),
    [
        (ArcFace, "s", "Use `scale`."),
        (ArcFace, "m", "Use `margin`."),
        (ArcFace, "margn", "Did you mean 'margin'?"),
        (AttributeLoss, "pos_weight", "Use `positive`."),
        (ClassCenters, "embedding_size", "Use `dimensions`."),
        (ClassLoss, "alpha", "Use `weights`."),
        (ClassLoss, "smoothing", "Use `label_smoothing`."),
        (Muon, "lr", "Use `learning_rate`."),
        (Muon, "wd", "Use `weight_decay`."),
        (SampledCenters, "sample_rate", "Use `share`."),
        (SemiHardTriplets, "m", "Use `margin`."),
        (stream, "img_size", "Use `image_size`."),
        (stream, "shuffle", "Use `training`."),
    ],
)
def test_unknown_argument_gets_the_right_name(function, option, remedy):
    message = f"`{function.__name__}` has no argument `{option}`. Received: {option}=1. {remedy}"
    with pytest.raises(TypeError, match=re.escape(message)):
        function(**{option: 1})


def test_every_name_of_other_libraries_is_answered():
    for own, others in OTHER_ARGUMENTS.items():
        for other in others:
            assert unknown_argument("f", other, 1, [own]).endswith(f"Use `{own}`.")
