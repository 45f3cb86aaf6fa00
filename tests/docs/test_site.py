"""The parts of the documentation that are generated, and the check of its requests."""

import dataclasses
import importlib
import importlib.util
import re

import pytest

import kerasface
from kerasface.cli.application import COMMANDS
from kerasface.runs.recipes import RECIPES


@pytest.fixture(scope="module")
def extension(repository):
    """A function that imports a module of docs/_extension."""

    def load(name):
        path = repository / "docs" / "_extension" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="module")
def reference(extension):
    return extension("kerasface_reference")


@pytest.fixture(scope="module")
def external_requests(extension):
    return extension("kerasface_requests").external_requests


def test_every_marker_has_a_generator(reference, page_texts):
    used = [name for text in page_texts.values() for name in reference.MARKER.findall(text)]
    assert sorted(used) == sorted(reference.GENERATORS)


def test_recipe_keys_are_complete(reference):
    rows = re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", reference.recipe_keys(), re.M)
    assert [name for name, _ in rows] == [
        field.name for field in dataclasses.fields(kerasface.Recipe)
    ]
    assert dict(rows)["head"] == "none"


def test_recipes_and_commands_are_complete(reference):
    titles = re.findall(r"^## (\S+)$", reference.recipes(), re.M)
    assert titles == sorted(RECIPES)
    text = reference.command_line()
    names = [command.__name__ for command in COMMANDS]
    assert re.findall(r"^## kerasface (\S+)$", text, re.M) == names
    assert "| `--resume` |" in text


def test_models_are_complete(reference):
    names = re.findall(r"^\| `(\w+)` \|", reference.models(), re.M)
    assert sorted(names) == kerasface.list_models().index.tolist()


def test_public_names_are_documented_once(reference):
    names = reference.public_names()
    assert "train" in names["kerasface"]
    assert "train" not in names.get("kerasface.training", [])
    assert "Muon" in names["kerasface.training"]
    assert "evaluate" in names["kerasface.metrics.verification"]


def test_public_values_are_described(reference):
    """A value has no docstring, so that the API reference needs a sentence for it."""
    values = {
        name
        for package, names in reference.public_names().items()
        for name in names
        if not callable(getattr(importlib.import_module(package), name))
    }
    assert values == set(reference.DATA)


@pytest.mark.parametrize(
    ("name", "text", "address"),
    [
        ("a.html", '<script src="https://cdn.example/a.js"></script>', "https://cdn.example/a.js"),
        ("a.html", '<link rel="stylesheet" href="//cdn.example/a.css">', "//cdn.example/a.css"),
        ("a.html", "<style>@import 'http://cdn.example/b.css'</style>", "http://cdn.example/b.css"),
        (
            "a.html",
            '<img srcset="a.png 1x, https://cdn.example/a.png 2x">',
            "https://cdn.example/a.png",
        ),
        (
            "a.css",
            "@font-face { src: url(https://cdn.example/f.woff) }",
            "https://cdn.example/f.woff",
        ),
    ],
)
def test_external_requests_are_found(external_requests, tmp_path, name, text, address):
    (tmp_path / name).write_text(text)
    assert external_requests(tmp_path) == [f"{name}: {address}"]


def test_links_and_local_files_are_no_requests(external_requests, tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="https://example.org">x</a><link rel="canonical" href="https://example.org">'
        '<script src="_static/a.js"></script><code>url(https://example.org/a.png)</code>'
    )
    assert external_requests(tmp_path) == []
