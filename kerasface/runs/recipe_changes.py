"""Changes to a recipe as the command line gives them: ``key=value`` words."""

from __future__ import annotations

import json
from typing import Any

from kerasface.names import suggest
from kerasface.runs.recipe_keys import MAPPING_KEYS


def parse_changes(words: list[str]) -> dict[str, Any]:
    """Parses ``key=value`` words of the command line.

    Args:
        words: For instance ``["batch_size=64", "architecture.drop_path=0.1", "augment=face"]``.
            Values are parsed as JSON if possible; otherwise ``none`` is None, a comma makes a
            list, and everything else is a string.

    Returns:
        Nested keyword arguments for `Recipe.replace`; ``phases.1.epochs=5`` becomes
        ``{"phases": {"1": {"epochs": 5}}}``.

    Raises:
        ValueError: If a word has no ``=``, or its key has more parts than the recipe.

    Example:
        >>> parse_changes(["epochs=3", "architecture.stem=patchify"])
        {'epochs': 3, 'architecture': {'stem': 'patchify'}}
    """
    changes: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ValueError(
                f"A change must be key=value, for instance batch_size=64. Received: {word!r}."
            )
        *parents, last = key.split(".")
        is_option = len(parents) == 1 and parents[0] in MAPPING_KEYS
        is_phase = len(parents) == 2 and parents[0] == "phases"
        if parents and not is_option and not is_phase:
            raise ValueError(
                "Only `architecture`, `embedding` and the phases have keys of their own, for "
                "instance architecture.drop_path and phases.0.epochs. "
                f"Received: {key!r}.{suggest(key, [*MAPPING_KEYS, 'phases'])}"
            )
        target = changes
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise ValueError(f"`{parent}` must be a mapping of options. Received: {word!r}.")
        target[last] = _parse_value(text)
    return changes


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    if text.lower() in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[text.lower()]
    if "," in text:
        return [_parse_value(part.strip()) for part in text.split(",") if part.strip()]
    return text
