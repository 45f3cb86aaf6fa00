"""Commands that list what can be trained: recipes and models."""

from __future__ import annotations

import inspect
import re
import shutil
import textwrap
from typing import Annotated

import typer

from kerasface.cli.completion import complete_recipe

TASKS = ("classes", "attributes", "embedding")
WIDEST = 100


def recipes(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", autocompletion=complete_recipe, help="A recipe to print in full."
        ),
    ] = None,
) -> None:
    """List the recipes, or print one with all of its keys."""
    width = min(shutil.get_terminal_size().columns, WIDEST)
    if name is not None:
        print(_full_recipe(name, width))
        return
    from kerasface.runs.recipe_facts import FACTS

    print("kerasface train NAME --data FOLDER --out RUN trains with a recipe.\n")
    for title, facts in FACTS.items():
        print(title)
        print(_indented(f"{facts.purpose}.", width))
        print(_indented(f"Data: {facts.data}. Cost: {facts.cost}.", width))
    print("\nkerasface recipes NAME prints a recipe with the meaning of every key.")


def _full_recipe(name: str, width: int) -> str:
    from kerasface.runs.recipe import Recipe
    from kerasface.runs.recipe_facts import FACTS, STARTS
    from kerasface.runs.recipes import RECIPES, named_recipe

    recipe, facts = named_recipe(name), FACTS[name]
    weights = STARTS[facts.weights]
    lines = [f"{name}: {facts.purpose}.", ""]
    for title, text in (("Data", facts.data), ("Cost", facts.cost), ("Weights", weights)):
        lines.append(textwrap.fill(f"{title + ':':9}{text}.", width, subsequent_indent=" " * 9))
    for paragraph in inspect.cleandoc(RECIPES[name].__doc__ or "").split("\n\n"):
        lines += ["", textwrap.fill(_plain(paragraph), width)]
    lines += ["", "Keys, changed with --set KEY=VALUE; * marks those that are not the default:"]
    changed = recipe.changed_keys()
    for key, row in Recipe.describe().iterrows():
        mark = "*" if key in changed else " "
        value = f"{mark} {key} = {_shown(getattr(recipe, str(key)))}"
        lines.append("")
        lines.append(textwrap.fill(value, width, subsequent_indent=" " * 8))
        lines.append(_indented(f"{_plain(row['description'])} Values: {row['values']}.", width))
    lines += ["", f"Train: kerasface train {name} --data FOLDER --out RUN"]
    return "\n".join(lines)


def models(
    pattern: Annotated[
        str | None,
        typer.Argument(metavar="PATTERN", help="Names to list, for example 'efficientnet*'."),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="TASK",
            autocompletion=lambda: list(TASKS),
            help="List only the models that recipes for this task use: classes, attributes or "
            "embedding. Models without pretrained weights come first.",
        ),
    ] = None,
) -> None:
    """List the models that can be built."""
    import fnmatch

    from kerasface.checks import check_choice
    from kerasface.models import list_models

    table = list_models().reset_index()
    if task is not None:
        check_choice("task", task, TASKS)
        used = _models_of_task(task)
        table = table[table["name"].isin(used)]
        table = table.assign(recipes=[", ".join(used[name]) for name in table["name"]])
    if pattern is not None:
        table = table[[fnmatch.fnmatch(name, pattern) for name in table["name"]]]
        if not len(table):
            raise ValueError(
                "`pattern` must match the name of a model. "
                f"Received: {pattern!r}. Quote it, as in 'efficientnet*'."
            )
    table["parameters"] = table["parameters"].map("{:,}".format)
    table["image_size"] = table["image_size"].map("{} px".format)
    texts = [name for name in ("name", "head", "description", "recipes") if name in table]
    for name in texts:
        table[name] = table[name].str.ljust(table[name].str.len().max())
    for line in table.to_string(index=False).splitlines():
        print(line.rstrip())
    print("\nParameters: trainable parameters with 1,000 classes.")
    if task is None:
        print("Every model can learn classes, attributes and embeddings; --task lists those used.")


def _models_of_task(task: str) -> dict[str, list[str]]:
    """Model to the recipes for a task that use it."""
    from kerasface.runs.recipe_facts import FACTS
    from kerasface.runs.recipes import named_recipe

    used: dict[str, list[str]] = {}
    for name, facts in FACTS.items():
        if facts.labels == task:
            used.setdefault(named_recipe(name).model, []).append(name)
    return used


def _indented(text: str, width: int) -> str:
    return textwrap.fill(text, width, initial_indent="    ", subsequent_indent="    ")


def _shown(value: object) -> str:
    """A value as ``--set`` takes it."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return ",".join(map(str, value)) or "[]"
    return str(value or ("{}" if value == {} else value))


def _plain(text: str) -> str:
    """Text of a docstring without the marks for code."""
    return re.sub(r"`+([^`]*)`+", r"\1", " ".join(text.split()))
