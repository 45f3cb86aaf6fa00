"""Tests of the answers to calls in the form of version 0.1."""

import inspect
import pathlib

import pytest

import kerasface
from kerasface.inference import enroll, submit_matches, verify_pairs


def test_old_calls_are_answered_with_the_present_form(run):
    folder = str(run.folder)
    model = f"model={folder!r}"
    cases = [
        (lambda: kerasface.verify("gone", "a", "b"), "Use verify('a', 'b', model='gone')."),
        (
            lambda: kerasface.verify(run, pathlib.Path("a.jpg"), "b", threshold=0.5),
            f"Use verify('a.jpg', 'b', threshold=0.5, model=Run({folder!r})).",
        ),
        (lambda: kerasface.verify(folder, "a"), f"Use verify('a', IMAGE_B, {model})."),
        (lambda: kerasface.embed(run, "photos"), f"Use embed('photos', model=Run({folder!r}))."),
        (lambda: kerasface.embed("gone.keras"), "Use embed(IMAGES, model='gone.keras')."),
        (lambda: kerasface.identify(folder, "g", "p"), f"Use identify('g', 'p', {model})."),
        (
            lambda: kerasface.identify("gone", gallery="g", probes="p"),
            "Use identify(gallery='g', probes='p', model='gone').",
        ),
        (
            lambda: verify_pairs(folder, "pairs.csv", "faces", flip=True),
            f"Use verify_pairs('pairs.csv', 'faces', flip=True, {model}).",
        ),
        (lambda: verify_pairs(folder, images="d"), f"Use verify_pairs(images='d', {model})."),
        (lambda: enroll(run, "staff"), f"Use enroll('staff', model=Run({folder!r}))."),
        (lambda: kerasface.predict(runs="a", images="b"), "Use predict('a', images='b')."),
        (lambda: kerasface.evaluate(run="a", data="b"), "Use evaluate('a', data='b')."),
        (lambda: kerasface.embedder(source="a"), "Use embedder('a')."),
        (
            lambda: submit_matches(source="a", known="b", unknown="c", out="d"),
            "Use submit_matches('a', known='b', unknown='c', out='d').",
        ),
    ]
    for call, answer in cases:
        with pytest.raises(TypeError) as caught:
            call()
        assert str(caught.value).endswith(answer), str(caught.value)


def test_other_mistakes_are_named_by_python():
    with pytest.raises(TypeError, match="unexpected keyword argument 'batchsize'"):
        kerasface.embed("photos", model="run", batchsize=3)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'image_b'"):
        kerasface.verify("a")
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'images'"):
        kerasface.predict("run")


def test_signatures_are_kept():
    assert list(inspect.signature(kerasface.verify).parameters)[:3] == [
        "image_a",
        "image_b",
        "model",
    ]
