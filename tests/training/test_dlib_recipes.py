"""The recipes on dlib's pretrained face network, on drawn faces."""

import time

import kerasface
from kerasface.dlib_files import LEARNED_PEOPLE
from kerasface.models import build

SMALLEST = 103  # pixels


def test_frozen_network_trains_in_seconds(tables, tmp_path, empty_pictures, capsys):
    train, validation = tables
    start = time.perf_counter()
    run = kerasface.train(
        "dlib_frozen",
        train=train,
        validation=validation,
        out=tmp_path / "run",
        verbose=2,
        image_size=SMALLEST,
    )
    assert time.perf_counter() - start < 60  # about 6 seconds on an idle core
    assert run.metrics["last"]["val_accuracy"] > 0.5  # chance: 0.25
    assert run.metrics["trainable_parameters"] == 4 * (256 + 1)
    shape = (SMALLEST, SMALLEST, 3)
    before = build("dlib_resnet29", 4, input_shape=shape, weights="dlib").get_weights()
    after = run.load_model().get_weights()
    assert [(old == new).all() for old, new in zip(before, after, strict=True)] == [
        *[True] * (len(before) - 2),
        *[False] * 2,
    ]
    # Whom the network has learned is printed and in the report.
    assert LEARNED_PEOPLE in capsys.readouterr().out
    words = "about 7,485 people"
    assert words in LEARNED_PEOPLE and words in run.path("report.html").read_text()
