"""Shell completion of names: recipes, keys, models and detectors. Imports no TensorFlow."""

from __future__ import annotations

import ast
import dataclasses
import importlib.util
import pathlib
from collections.abc import Iterable


def complete_recipe(incomplete: str) -> list[tuple[str, str]]:
    """Completes the name of a recipe."""
    from kerasface.runs.recipe_facts import FACTS

    return [(name, facts.purpose) for name, facts in FACTS.items() if name.startswith(incomplete)]


def complete_recipe_or_auto(incomplete: str) -> list[tuple[str, str]]:
    """Completes the name of a recipe, or ``auto``."""
    auto = [("auto", "Recommend a recipe for the data")] if "auto".startswith(incomplete) else []
    return [*auto, *complete_recipe(incomplete)]


def complete_change(incomplete: str) -> list[tuple[str, str]]:
    """Completes ``key=value`` of a recipe: the key, or the value of a key with known values."""
    from kerasface.options import OPTION
    from kerasface.runs.recipe_keys import RecipeKeys

    rules = {field.name: field.metadata[OPTION] for field in dataclasses.fields(RecipeKeys)}
    key, equals, value = incomplete.partition("=")
    if not equals:
        found = ((name, rule) for name, rule in rules.items() if name.startswith(key))
        return [(f"{name}=", rule.description) for name, rule in found]
    values: Iterable[str] = model_names() if key == "model" else ()
    if key in rules and rules[key].choices:
        values = rules[key].choices
    return [(f"{key}={name}", "") for name in values if name.startswith(value)]


def complete_detector(incomplete: str) -> list[str]:
    """Completes the name of a face detector."""
    names = literal_names("kerasface.faces.detectors.registry", "BUILT_IN")
    return [name for name in names if name.startswith(incomplete)]


def model_names() -> list[str]:
    """Names of the models that kerasface registers, sorted."""
    own = literal_names("kerasface.models.registry", "MODELS")
    return sorted([*own, *literal_names("kerasface.models.applications", "APPLICATIONS")])


def literal_names(module: str, variable: str) -> list[str]:
    """Reads the names in a module's table without importing the module, which takes seconds.

    Args:
        module: Full name of the module.
        variable: Variable that is assigned a dictionary or tuple with literal names.

    Returns:
        The strings among the keys or entries.

    Example:
        >>> literal_names("kerasface.faces.detectors.registry", "BUILT_IN")
        ['blazeface', 'mmod', 'mtcnn', 'retinaface', 'yunet']
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return []
    tree = ast.parse(pathlib.Path(spec.origin).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign):
            targets = [node.target]
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == variable for target in targets):
            value = node.value
            entries = value.keys if isinstance(value, ast.Dict) else getattr(value, "elts", [])
            return [str(entry.value) for entry in entries if isinstance(entry, ast.Constant)]
    return []
