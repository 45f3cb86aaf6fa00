"""Tests of the commands that list what can be trained: recipes and models."""

import dataclasses
import fnmatch

import pytest

from kerasface.models import list_models
from kerasface.runs import RECIPES, Recipe, named_recipe
from kerasface.runs.recipe_facts import FACTS


def test_models(shell):
    code, out, err = shell("models")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    for name, spec in list_models().iterrows():
        assert f" {spec['parameters']:,} " in rows[name]
        assert f" {spec['image_size']} px " in rows[name]
        assert spec["description"] in rows[name]


@pytest.mark.parametrize("pattern", ["efficientnet*", "*small"])
def test_models_of_a_pattern(shell, pattern):
    code, out, _ = shell("models", pattern)
    assert code == 0
    names = {line.split()[0] for line in out.splitlines() if " px " in line}
    assert names == set(fnmatch.filter(list_models().index, pattern))


@pytest.mark.parametrize("task", ["classes", "attributes", "embedding"])
def test_models_of_a_task(shell, task):
    code, out, _ = shell("models", "--task", task)
    assert code == 0
    names = {line.split()[0] for line in out.splitlines() if " px " in line}
    assert names == {named_recipe(name).model for name in FACTS if FACTS[name].labels == task}


def test_models_that_do_not_exist(mistake):
    assert "`--task` must be one of" in mistake("models", "--task", "clases")
    assert "'classes'" in mistake("models", "--task", "clases")
    assert "Received: 'nothing*'" in mistake("models", "nothing*")


def test_recipes(shell):
    code, out, err = shell("recipes")
    assert (code, err) == (0, "")
    text = " ".join(out.split())
    for name, facts in FACTS.items():
        assert f"{name} {facts.purpose}. Data: {facts.data}. Cost: {facts.cost}." in text


def test_facts_fit_the_recipes():
    assert list(FACTS) == list(RECIPES)
    for name, facts in FACTS.items():
        recipe = named_recipe(name)
        assert facts.weights == (recipe.weights or "random")
        labels = "attributes" if recipe.attributes else "classes"
        assert facts.labels == ("embedding" if recipe.embedding else labels)


def test_recipe_in_full(shell):
    code, out, err = shell("recipes", "cs405")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    for field in dataclasses.fields(Recipe):
        assert sum(line[2:].startswith(f"{field.name} = ") for line in lines) == 1
    assert "* optimizer = adam" in lines
    assert "  momentum = 0.9" in lines
    assert "* weights = imagenet" in lines
    description = Recipe.describe().loc["learning_rate", "description"]
    assert description in out
    assert "Source: the project's code" in " ".join(out.split())


def test_unknown_recipe(mistake):
    assert "Did you mean 'hw2p2'?" in mistake("recipes", "hw2p")
