"""Models that users pass to `kerasface.train` instead of the name of one."""

from __future__ import annotations

import copy
import dataclasses
import pathlib
import re
import tempfile
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kerasface.data.table import FaceTable
from kerasface.models.heads import is_head, split_model
from kerasface.models.registry import CUSTOM_MODEL
from kerasface.runs import run as run_files
from kerasface.runs.recipe import Recipe
from kerasface.runs.run import Run
from kerasface.training.assemble import dtype_policy
from kerasface.training.model_config import architecture_text

CHECKED_IMAGES = 4
# Half precision rounds the sum of a softmax this far.
TOLERANCE = 1e-2
# Sigmoids sum to 1 this exactly only by chance.
TIGHT_TOLERANCE = 1e-5
# Two sigmoids without a clear answer sum to about 1, too.
UNDECIDED = 0.05
# What a model class may not override: a run trains a plain keras.Model of the same layers.
TRAINING_METHODS = ("call", "train_step", "test_step", "compute_loss", "compute_metrics")
# Keys of a recipe that describe a network that `kerasface.build` makes.
UNUSED: dict[str, Any] = {"architecture": {}, "head": None, "dropout": None, "weights": None}


@dataclasses.dataclass(frozen=True)
class Network:
    """What a recipe says about a custom model.

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
            f"{len(model.outputs)} outputs."
        )
    with dtype_policy(model.dtype_policy.name):
        plain = keras.Model(model.inputs[0], model.outputs[0], name=model.name)
    shape = tuple(plain.inputs[0].shape)
    if len(shape) != 4 or shape[0] is not None or shape[3] != 3 or None in shape[1:]:
        raise ValueError(
            "`model` must take RGB images of a known size, [None, size, size, 3]. "
            f"Received: {model.name!r} with input shape {list(shape)}."
        )
    if shape[1] != shape[2]:
        raise ValueError(
            "`model` must take square images. "
            f"Received: {model.name!r} with input shape {list(shape)}."
        )
    if len(plain.outputs[0].shape) != 2 or plain.outputs[0].shape[1] is None:
        raise ValueError(
            "`model` must have an output of shape [None, outputs]. "
            f"Received: {model.name!r} with output shape {list(plain.outputs[0].shape)}."
        )
    return plain


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
    """Returns what a recipe says about a model.

    Args:
        model: A model from `functional_model`.
    """
    image_size, outputs = model.inputs[0].shape[1], model.outputs[0].shape[1]
    return Network(image_size, model.dtype_policy.name, outputs)


def describe_run(run: Run) -> Network | None:
    """Returns what the recipe of a run says about its custom model; None for other runs."""
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


def check_custom_model(model: keras.Model, recipe: Recipe, train: FaceTable) -> None:
    """Checks that a custom model fits the classes and the recipe, and can be saved and loaded.

    Args:
        model: A model from `functional_model`.
        recipe: The recipe from `recipe_for`.
        train: Training images with classes or attributes.

    Raises:
        ValueError: If it does not.
    """
    name, outputs = model.name, model.outputs[0].shape[1]
    if not recipe.embedding and outputs != len(train.names):
        words = "attribute" if train.multi_label else "class"
        raise ValueError(
            f"`model` must have one output per {words}. "
            f"Received: {name!r} with {outputs} outputs for {len(train.names)}."
        )
    _check_activation(model, recipe, multi_label=train.multi_label)
    freezes = any(part.trainable != "all" for part in recipe.parts())
    if freezes and not _has_head(model):
        raise ValueError(
            "Only a model with head layers can be frozen: layers at its end whose names start "
            f"with 'head_', as those of kerasface.build do. Received: {name!r} without, and "
            "`trainable` other than 'all'. Use trainable='all', or freeze layers of the model "
            "yourself."
        )
    _check_loading(model)


def _check_activation(model: keras.Model, recipe: Recipe, *, multi_label: bool) -> None:
    shape = (CHECKED_IMAGES, *model.inputs[0].shape[1:])
    noise = np.random.default_rng(0).uniform(0, 255, shape).astype("float32")
    values = np.asarray(keras.ops.cast(model(noise, training=False), "float32"))
    outputs = values.shape[1]
    last = model.operations[-1]
    activation = getattr(last, "activation", None)
    is_linear = activation is keras.activations.linear
    if recipe.embedding:
        rule = "end with keras.layers.UnitNormalization(), for embeddings of length 1"
        remedy = _with_output('UnitNormalization(dtype="float32")')
        fits = isinstance(last, keras.layers.UnitNormalization)
        fits = fits and np.allclose(np.linalg.norm(values, axis=1), 1, atol=TOLERANCE)
    elif multi_label:
        rule = "end with a sigmoid, for one probability per attribute"
        in_range = bool(((values >= 0) & (values <= 1)).all())
        is_softmax = activation is keras.activations.softmax or _sums_to_one(values)
        fits = in_range and not is_linear and (outputs == 1 or not is_softmax)
        remedy = _with_output('Activation("sigmoid", dtype="float32")')
        if in_range and not is_linear:
            remedy = "Replace the softmax by a sigmoid."
    else:
        rule = "end with a softmax, for probabilities of the classes"
        fits = bool((values >= 0).all()) and np.allclose(values.sum(axis=1), 1, atol=TOLERANCE)
        remedy = _with_output('Softmax(dtype="float32")')
        if not is_linear and bool((values >= 0).all()):
            remedy = "Replace the last activation by a softmax."
    if not fits:
        raise ValueError(
            f"`model` must {rule}. Received: {model.name!r}, whose last layer is {last.name!r} "
            f"({type(last).__name__}) and whose outputs for noise are {values[0, :3].tolist()}... "
            f"{remedy}"
        )


def _with_output(layer: str) -> str:
    """The remedy for a model whose output is linear."""
    return (
        f"For a linear output, pass keras.Model(model.input, keras.layers.{layer}(model.output))."
    )


def _sums_to_one(values: np.ndarray) -> bool:
    """Whether outputs are those of a softmax rather than of sigmoids."""
    is_undecided = np.allclose(values, 0.5, atol=UNDECIDED)
    return not is_undecided and np.allclose(values.sum(axis=1), 1, rtol=0, atol=TIGHT_TOLERANCE)


def _has_head(model: keras.Model) -> bool:
    """Whether a model ends with head layers, so that it can be split before them."""
    if not any(is_head(layer) for layer in model.layers):
        return False
    try:
        split_model(model)
    except ValueError:  # a layer of that name inside the backbone
        return False
    return True


def _check_loading(model: keras.Model) -> None:
    """Refuses a model that a resumed run could not load."""
    remedy = (
        "Register custom layers and functions with keras.saving.register_keras_serializable, and "
        "use no Lambda layer with a Python lambda"
    )
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / run_files.ARCHITECTURE
        try:
            model.save(path)
            loaded = load_custom_model(path, model.dtype_policy.name).get_weights()
            float32_copy(model).set_weights(model.get_weights())
        except Exception as error:  # a custom object may raise any error
            raise ValueError(
                "A run must be able to save and load its model. "
                f"Received: {model.name!r}, for which this fails: {_reason(error)}. {remedy}."
            ) from error
    pairs = zip(loaded, model.get_weights(), strict=False)
    if len(loaded) != len(model.weights) or not all(np.array_equal(*pair) for pair in pairs):
        raise ValueError(
            "A run must be able to save and load its model. "
            f"Received: {model.name!r}, which loads with other weights. {remedy}."
        )


def _reason(error: Exception) -> str:
    """The sentence of a Keras error that names the object, without the whole config."""
    text = str(error)
    found = re.search(r"Could not locate (class|function) '[^']*'", text)
    return found.group() if found else text.splitlines()[0][:200] if text else repr(error)


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
            f"{_reason(error)}. Import the modules that register its custom objects first."
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
