"""Tests of the description of detectors."""

import functools
import pathlib

from kerasface.faces import register_detector
from kerasface.faces.detectors import registry
from kerasface.faces.detectors.description import describe_detector, full_name, is_portable


def detector(images, least=1, folder=None):
    return [[] for _ in images]


class Callable:
    def __call__(self, images):
        return [[] for _ in images]


def test_descriptions():
    name = full_name(detector)
    assert name.endswith("test_description.detector")
    assert describe_detector("mtcnn") == "mtcnn"
    assert describe_detector(detector) == name
    assert describe_detector(Callable()).endswith("test_description.Callable")
    partial = functools.partial(detector, least=(2, 3), folder=pathlib.PurePosixPath("a"))
    assert describe_detector(partial) == (
        f"{name}(folder={pathlib.PurePosixPath('a')!r}, least=(2, 3))"
    )


def test_settings_are_described():
    def loaded(images):
        return [[] for _ in images]

    loaded.settings = {"threshold": 0.5}
    assert describe_detector(loaded) == f"{full_name(loaded)}: {{'threshold': 0.5}}"


def test_registered_function_in_place_of_a_detector_is_described(monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    register_detector("mtcnn", full_name)
    register_detector("own", full_name)
    assert describe_detector("mtcnn") == f"mtcnn: {full_name(full_name)}"
    assert describe_detector("own") == "own"


def test_portability():
    assert is_portable("mtcnn")
    assert is_portable(full_name)
    assert is_portable(functools.partial(full_name))
    assert not is_portable(lambda images: [])
