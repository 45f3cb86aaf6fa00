"""Text of a model's architecture that is the same in every process."""

from __future__ import annotations

import json
import re
from typing import Any

import keras

# Fields of a Keras config that hold names of layers: a name, or lists that begin with one.
NAME_FIELD = "name"
REFERENCE_FIELDS = ("keras_history", "input_layers", "output_layers")


def architecture_text(model: keras.Model, *, with_trainable: bool = True) -> str:
    """Returns the config of a functional model as text, for comparisons and hashes.

    Automatic names (``conv2d_7``) count up within a process. They are renumbered by their first
    appearance, so that the same code gives the same text in every process, and different layers
    keep different names.

    Args:
        model: A functional model.
        with_trainable: If False, leave out which layers are frozen.
    """
    config = _renumbered(model.get_config(), {}, with_trainable)
    return json.dumps(config, sort_keys=True, default=str)


def _renumbered(config: Any, names: dict[str, dict[str, int]], with_trainable: bool) -> Any:
    if isinstance(config, (list, tuple)):
        return [_renumbered(value, names, with_trainable) for value in config]
    if not isinstance(config, dict):
        return config
    result = {}
    for key in sorted(config):
        value = config[key]
        if key == NAME_FIELD and isinstance(value, str):
            result[key] = _new_name(value, names)
        elif key in REFERENCE_FIELDS:
            result[key] = _renamed_references(value, names)
        elif with_trainable or key != "trainable":
            result[key] = _renumbered(value, names, with_trainable)
    return result


def _renamed_references(value: Any, names: dict[str, dict[str, int]]) -> Any:
    if isinstance(value, (list, tuple)):
        return [_renamed_references(item, names) for item in value]
    return _new_name(value, names) if isinstance(value, str) else value


def _new_name(name: str, names: dict[str, dict[str, int]]) -> str:
    """The name with the number of its first appearance among the names with the same stem."""
    stem = re.sub(r"_\d+$", "", name)
    known = names.setdefault(stem, {})
    return f"{stem}_{known.setdefault(name, len(known))}"
