"""Models that users pass to `kerasface.train` instead of the name of one."""

from __future__ import annotations

import copy
import dataclasses
import pathlib
import re
import textwrap
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasface.models.registry import CUSTOM_MODEL
from kerasface.runs import run as run_files
from kerasface.runs.recipe import Recipe
from kerasface.runs.run import Run
from kerasface.training.assemble import dtype_policy
from kerasface.training.model_config import architecture_text

LONGEST_REASON = 300  # characters of a Keras error in a message
# Methods that a model class must not override: a run trains a plain keras.Model of its layers.
TRAINING_METHODS = ("call", "train_step", "test_step", "compute_loss", "compute_metrics")
# Keys of a recipe that describe a network that `kerasface.build` makes.
UNUSED: dict[str, Any] = {"architecture": {}, "head": None, "dropout": None, "weights": None}


@dataclasses.dataclass(frozen=True)
class Network:
    """Keys of a recipe that follow from a custom model.

    Attributes:
        image_size: Side of the square images in pixels.
        precision: Name of the dtype policy.
        outputs: Number of outputs.
    """

    image_size: int
    precision: str
    outputs: int


def functional_model(model: keras.Model) -> keras.Model:
    """Checks the form of a user's model.

    Args:
        model: The user's model.

    Returns:
        A functional model of the same layers and weights, with a single tensor as input and as
        output, not compiled.

    Raises:
        ValueError: If the model is not functional, its class changes how it is computed or
            trained, it has several inputs or outputs, or it does not map square RGB images of a
            known size to one row each.
    """
    _check_class(model)
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            "`model` must have a known input. "
            f"Received: {model.name!r}, a Sequential model without an input. "
            "Begin it with keras.Input((64, 64, 3)), for instance."
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            "`model` must have one input and one output. "
            f"Received: {model.name!r} with {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs. "
            "Pass keras.Model(model.inputs[0], model.outputs[0]), to use only the first of each."
        )
    with dtype_policy(model.dtype_policy.name):
        plain = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    shape = tuple(plain.inputs[0].shape)
    if len(shape) != 4 or shape[0] is not None or shape[3] != 3 or None in shape[1:]:
        raise ValueError(
            "`model` must take RGB images of a known size, [None, size, size, 3]. "
            f"Received: {model.name!r} with input shape {list(shape)}. {_input_remedy(shape)}"
        )
    if shape[1] != shape[2]:
        raise ValueError(
            "`model` must take square images. "
            f"Received: {model.name!r} with input shape {list(shape)}. "
            f"Build it with keras.Input({(max(shape[1:3]), max(shape[1:3]), 3)})."
        )
    if len(plain.outputs[0].shape) != 2 or plain.outputs[0].shape[1] is None:
        raise ValueError(
            "`model` must have an output of shape [None, outputs]. "
            f"Received: {model.name!r} with output shape {list(plain.outputs[0].shape)}. "
            "End it with keras.layers.GlobalAveragePooling2D() or keras.layers.Flatten(), and a "
            "keras.layers.Dense with one unit per class."
        )
    return plain


def _input_remedy(shape: tuple[int | None, ...]) -> str:
    """Says how to change a model whose input is not RGB of a known size."""
    if len(shape) != 4:
        return "Begin it with keras.Input((64, 64, 3)), for instance."
    if shape[0] is not None:
        return "Begin it with keras.Input without a batch size."
    if shape[3] == 1:
        return (
            "For a gray network, begin with keras.Input((size, size, 3)) and a layer that averages "
            "the colors, for instance keras.layers.Conv2D(1, 1)."
        )
    if shape[1] == 3 and shape[3] != 3:
        return "Channels come last in Keras: begin with keras.Input((height, width, 3))."
    side = shape[1] or shape[2] or 64
    return f"Begin it with keras.Input(({side}, {side}, 3))."


def _check_class(model: keras.Model) -> None:
    """Refuses a model that is not functional, or whose class changes its calls or its training."""
    kind = type(model)
    if not isinstance(model, (keras.Function, keras.Sequential)):
        raise ValueError(
            "`model` must be a functional keras.Model. "
            f"Received: {model.name!r}, an instance of the subclass {kind.__name__}. "
            "Make a functional one, for instance with keras.Model(inputs, outputs)."
        )
    for method in TRAINING_METHODS:
        owner = next(each for each in kind.__mro__ if method in vars(each))
        if not owner.__module__.startswith("keras."):
            raise ValueError(
                f"The class of `model` must not override `{method}`. "
                f"Received: {model.name!r}, an instance of the subclass {kind.__name__}. "
                "Pass keras.Model(model.input, model.output) to train its layers without it."
            )


def describe(model: keras.Model) -> Network:
    """Returns the keys of a recipe that follow from a model.

    Args:
        model: A model from `functional_model`.
    """
    image_size, outputs = model.inputs[0].shape[1], model.outputs[0].shape[1]
    return Network(image_size, model.dtype_policy.name, outputs)


def describe_run(run: Run) -> Network | None:
    """Returns the keys of a run's recipe that follow from its custom model. None for other runs."""
    recipe = run.recipe
    if recipe.model != CUSTOM_MODEL:
        return None
    outputs = recipe.embedding.get("dimensions", len(run.names))
    return Network(recipe.image_size, recipe.precision, outputs)


def recipe_for(recipe: Recipe, changes: Mapping[str, Any], network: Network) -> Recipe:
    """Returns a recipe whose keys about the network follow a custom model.

    Args:
        recipe: The recipe.
        changes: Keys to change, as the user gave them.
        network: What the model determines.

    Raises:
        ValueError: If the user gave one of these keys another value.
    """
    fixed = {
        "model": CUSTOM_MODEL,
        **UNUSED,
        "image_size": network.image_size,
        "precision": network.precision,
    }
    for key, value in fixed.items():
        if key in changes and changes[key] != value:
            raise ValueError(
                f"`{key}` follows the custom model and cannot be set. "
                f"Received: {key}={changes[key]!r} with a model for which it is {value!r}. "
                "Leave it out."
            )
    recipe = recipe.replace(**{key: changes[key] for key in changes if key not in fixed})
    if recipe.embedding:
        given = (changes.get("embedding") or {}).get("dimensions", network.outputs)
        if given != network.outputs:
            raise ValueError(
                "`embedding.dimensions` follows the custom model and cannot be set. "
                f"Received: dimensions={given} with a model of {network.outputs} outputs. "
                "Leave it out."
            )
        fixed["embedding"] = {**recipe.embedding, "dimensions": network.outputs}
    return dataclasses.replace(recipe, **fixed)


def error_reason(error: Exception) -> str:
    """Returns the first sentence of a Keras error, or the one that names the object."""
    text = " ".join(str(error).split())
    found = re.search(r"Could not locate (class|function) '[^']*'", text)
    if found:
        return found.group()
    sentence = re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0].rstrip(".")
    return textwrap.shorten(sentence, LONGEST_REASON, placeholder=" ...") or repr(error)


def load_custom_model(path: pathlib.Path, precision: str) -> keras.Model:
    """Loads a custom model.

    Args:
        path: File that ``model.save`` wrote.
        precision: Name of the dtype policy of the model, which decides on loss scaling.
    """
    with dtype_policy(precision):
        return keras.saving.load_model(path, compile=False)


def resumed_model(run: Run, given: keras.Model | None) -> keras.Model:
    """Returns the custom model of a run that resumes, with its initial weights.

    Args:
        run: The run.
        given: A model from `functional_model`, which gets the weights and the frozen layers of the
            run's model; None loads that model.

    Raises:
        ValueError: If the given model is another one, or the model cannot be loaded.
    """
    try:
        saved = load_custom_model(run.path(run_files.ARCHITECTURE), run.recipe.precision)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"The model of a run must load. Received: {run.folder}, for which this fails: "
            f"{error_reason(error)}. Import the modules that register its custom objects first."
        ) from error
    if given is None:
        return saved
    texts = [architecture_text(model, with_trainable=False) for model in (given, saved)]
    if texts[0] != texts[1]:
        raise ValueError(
            "A run must be resumed with the model that it started with. "
            f"Received: {given.name!r}, which differs from the model in {run.folder}. "
            "Leave `model` out, or start a new run."
        )
    given.set_weights(saved.get_weights())
    _copy_trainable(saved, given)
    return given


def _copy_trainable(source: keras.Model, target: keras.Model) -> None:
    """Freezes and unfreezes the layers of a model as those of another one with the same layers.

    An optimizer has one slot per trainable variable, so a run that resumes must start with the
    same frozen layers.
    """
    for original, layer in zip(source.layers, target.layers, strict=True):
        layer.trainable = original.trainable  # also sets the layers inside, so it comes first
        if isinstance(layer, keras.Model):
            _copy_trainable(original, layer)


def set_random_states(model: keras.Model, seed: int) -> None:
    """Seeds the dropouts and other random layers of a custom model.

    Files of models do not hold these states, and a resumed run must draw the same numbers.

    Args:
        model: The model.
        seed: Seed of the recipe.
    """
    known = {id(variable) for variable in model.weights}
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        if id(variable) not in known and variable.path.endswith("seed_generator_state"):
            variable.assign([int(generator.integers(2**31)), 0])


def float32_copy(model: keras.Model) -> keras.Model:
    """Returns a model of the same layers in float32, with other weights, not compiled.

    Args:
        model: A model from `functional_model`.
    """
    config = _in_float32(copy.deepcopy(keras.saving.serialize_keras_object(model)))
    config.pop("compile_config", None)  # the file has no optimizer, loss and metrics
    with dtype_policy("float32"):
        return keras.saving.deserialize_keras_object(config)


def _in_float32(config: Any) -> Any:
    """Returns a config with float32 instead of the mixed dtype policies."""
    if isinstance(config, list):
        return [_in_float32(value) for value in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        name = config["config"]["name"]
        name = "float32" if name.startswith("mixed_") else name
        return {**config, "config": {**config["config"], "name": name}}
    return {key: _in_float32(value) for key, value in config.items()}
