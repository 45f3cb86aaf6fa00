"""Checks that a custom model fits its classes and its recipe, and can be saved and loaded."""

from __future__ import annotations

import pathlib
import tempfile
import warnings

import keras
import numpy as np

from kerasface.callbacks.inputs import unscaled_layer
from kerasface.data.table import FaceTable
from kerasface.models.heads import is_head, split_model
from kerasface.runs import run as run_files
from kerasface.runs.recipe import Recipe
from kerasface.training.custom_model import error_reason, float32_copy, load_custom_model

CHECKED_IMAGES = 4
NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
    keras.layers.RMSNormalization,
)
# Largest rounding error of the sum of a softmax in half precision.
TOLERANCE = 1e-2
# The sum of independent sigmoids is this close to 1 only by chance.
TIGHT_TOLERANCE = 1e-5
# Two sigmoids near 0.5 sum to about 1 as well.
UNDECIDED = 0.05


def check_custom_model(model: keras.Model, recipe: Recipe, train: FaceTable) -> None:
    """Checks that a custom model fits the classes and the recipe, and can be saved and loaded.

    Args:
        model: A model from `functional_model`.
        recipe: The recipe from `recipe_for`.
        train: Training images with classes or attributes.

    Raises:
        ValueError: If it does not.

    Warns:
        UserWarning: If the first layer with weights gets unscaled pixels.
    """
    name, outputs = model.name, model.outputs[0].shape[1]
    if not recipe.embedding and outputs != len(train.names):
        words = "attribute" if train.multi_label else "class"
        raise ValueError(
            f"`model` must have one output per {words}. "
            f"Received: {name!r} with {outputs} outputs for {len(train.names)}. "
            f"End it with a keras.layers.Dense of {len(train.names)} units."
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
    _warn_of_unscaled_input(model)
    _check_loading(model)


def _warn_of_unscaled_input(model: keras.Model) -> None:
    """Warns about a model whose first weights get pixels in [0, 255], which often train badly."""
    unscaled = unscaled_layer(model, model.inputs[0].shape[1])
    if unscaled is not None and not _normalizes_output(model, unscaled[0]):
        name, largest = unscaled
        warnings.warn(
            "`model` should scale its input, because images have values in [0, 255]. "
            f"Received: {model.name!r}, whose first layer with weights, {name!r}, gets values up "
            f"to {largest:.0f}. Put keras.layers.Rescaling(1 / 255) after the input.",
            stacklevel=2,
        )


def _normalizes_output(model: keras.Model, name: str) -> bool:
    """Whether a normalization follows a linear layer, which removes the scale of the pixels."""
    operations = model.operations
    names = [operation.name for operation in operations]
    if name not in names:  # in a nested model
        return False
    position = names.index(name)
    linear = getattr(operations[position], "activation", None) is keras.activations.linear
    return linear and isinstance(operations[position + 1], NORMALIZATIONS)


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
    """Returns the remedy for a model whose output is linear."""
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
    """Refuses a model that a resumed run cannot load."""
    remedy = "Register custom layers and functions with keras.saving.register_keras_serializable"
    if any(isinstance(layer, keras.layers.Lambda) for layer in model._flatten_layers()):
        remedy = (
            "Replace its Lambda layers by a registered subclass of keras.layers.Layer or by stock "
            "layers, such as keras.layers.Rescaling"
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
                f"Received: {model.name!r}, for which this fails: {error_reason(error)}. {remedy}."
            ) from error
    pairs = zip(loaded, model.get_weights(), strict=False)
    if len(loaded) != len(model.weights) or not all(np.array_equal(*pair) for pair in pairs):
        raise ValueError(
            "A run must be able to save and load its model. "
            f"Received: {model.name!r}, which loads with other weights. {remedy}."
        )
