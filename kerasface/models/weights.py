"""Weights into models: ImageNet's, those of a backbone's file, those of another run."""

from __future__ import annotations

import itertools
import os
import pathlib
import re
import tempfile

import h5py
import keras

from kerasface.models import heads
from kerasface.models.applications import APPLICATIONS, construct
from kerasface.models.dlib_weights import load_dlib_weights
from kerasface.models.model_file import describe, load_model_file
from kerasface.names import suggest

IMAGENET = "imagenet"
DLIB = "dlib"
PRETRAINED = (DLIB, IMAGENET)  # names of weights; other values are paths
DLIB_MODEL = "dlib_resnet29"
DLIB_SUFFIX = ".dat"
# Names of downloaded files in Keras's cache, where they differ from those in the addresses.
KEPT_AS = {
    "NASNet-large-no-top.h5": "nasnet_large_no_top.h5",
    "NASNet-mobile-no-top.h5": "nasnet_mobile_no_top.h5",
}


def load_weights(
    model: keras.Model, weights: str | os.PathLike[str], *, application: str | None = None
) -> None:
    """Fills a model with weights.

    Args:
        model: Made by `build`.
        weights: ``"imagenet"``; ``"dlib"`` or dlib's ``.dat`` file; a ``.keras`` model, whose
            layers are taken in their order; a ``.weights.h5`` file of the whole model; or, for a
            backbone of `keras.applications`, a ``.weights.h5`` or older ``.h5`` file of it
            without its top.
        application: Which backbone of ``APPLICATIONS`` the model has; None is none of them.

    Raises:
        FileNotFoundError: If there is no such file.
        RuntimeError: If pretrained weights cannot be downloaded; says where to put the file.
        TypeError: If ``weights`` is neither a name nor a path.
        ValueError: If the weights are another network's; a layer and both shapes are named. Of a
            ``.keras`` model the last layer may differ, which then keeps its own weights.
    """
    if weights == IMAGENET:
        _load_imagenet(model, application)
        return
    if weights == DLIB:
        _load_dlib(model, None)
        return
    path = _checked_path(weights)
    if path.suffix == DLIB_SUFFIX:
        _load_dlib(model, path)
    elif path.suffix == ".keras":
        _load_model_file(model, path)
    elif path.name.endswith(".weights.h5"):
        _load_weights_file(model, path, application)
    elif path.suffix == ".h5" and application is not None:
        _load_backbone(model, path, application)
    else:
        raise ValueError(
            "`weights` must end with .keras or .weights.h5"
            f"{' or .h5' if application else ''}. Received: {os.fspath(path)!r}, {describe(path)}."
        )


def _checked_path(weights: object) -> pathlib.Path:
    """The path of an existing file."""
    if not isinstance(weights, (str, os.PathLike)):
        remedy = " Use weights='imagenet'." if weights is True else ""
        raise TypeError(
            f"`weights` must be one of {list(PRETRAINED)}, a path or None. "
            f"Received: weights={weights!r}.{remedy}"
        )
    path = pathlib.Path(weights)
    if path.is_dir():
        model = path / "model.keras"
        remedy = f" Pass {os.fspath(model)!r}." if model.is_file() else ""
        raise ValueError(
            f"`weights` must be one of {list(PRETRAINED)} or a file. "
            f"Received: {os.fspath(path)!r}, which is a folder.{remedy}"
        )
    if not path.is_file():
        near = suggest(os.fspath(path).lower(), PRETRAINED)
        raise FileNotFoundError(
            f"`weights` must be one of {list(PRETRAINED)} or a file. Received: "
            f"{os.fspath(path)!r}, which does not exist.{near}"
        )
    return path


def _load_imagenet(model: keras.Model, application: str | None) -> None:
    if application is None:
        raise ValueError(
            "Only the backbones of keras.applications have ImageNet weights. "
            f"Received: weights='imagenet' for {model.name!r}. "
            "Leave it out, or take for instance 'mobilenet_v2'."
        )
    try:
        source = construct(application, weights="imagenet", input_shape=model.input_shape[1:])
    except Exception as error:  # Keras raises a plain Exception with the address in its text
        address = re.search(r"https?://\S+?(?=:?(\s|$))", str(error))
        if address is None:
            raise
        file = address.group().rsplit("/", 1)[-1]
        kept_as = KEPT_AS.get(file)
        raise RuntimeError(
            "weights='imagenet' are downloaded at their first use. "
            f"Received: {' '.join(str(error).split())}. Without a network connection, put {file} "
            f"{f'as {kept_as} ' if kept_as else ''}into ~/.keras/models, or give its path as "
            "`weights`."
        ) from error
    _copy_backbone(source, model)


def _load_dlib(model: keras.Model, path: pathlib.Path | None) -> None:
    if model.name != DLIB_MODEL:
        raise ValueError(
            f"dlib's weights are those of the model {DLIB_MODEL!r}. "
            f"Received: {model.name!r}. Build {DLIB_MODEL!r}, or leave the weights out."
        )
    load_dlib_weights(model, path)


def _load_model_file(model: keras.Model, path: pathlib.Path) -> None:
    """Copies the layers in order, because automatic layer names differ between processes."""
    source = load_model_file(path)
    layers = [layer for layer in model.layers if layer.weights]
    given = [layer for layer in source.layers if layer.weights]
    for position, layer in enumerate(layers):
        other = given[position] if position < len(given) else None
        wanted = [tuple(weight.shape) for weight in layer.weights]
        shapes = other and [tuple(weight.shape) for weight in other.weights]
        if other is not None and shapes == wanted:
            if not isinstance(layer, keras.layers.Normalization):  # see `_copy_backbone`
                layer.set_weights(other.get_weights())
        elif not heads.is_head(layer):
            raise ValueError(
                f"Every layer but those of the head must fit the weights in {os.fspath(path)!r}. "
                f"Received: layer {layer.name!r} of shapes {wanted} against "
                f"{'no such layer' if other is None else f'{other.name!r} of shapes {shapes}'}. "
                "Build the architecture that the file was saved from."
            )


def _load_weights_file(model: keras.Model, path: pathlib.Path, application: str | None) -> None:
    """Loads weights of the whole model or, for an application, of its backbone alone."""
    if application is not None and len(_shapes(path)) < len(model.weights):
        _load_backbone(model, path, application)  # the file has no head
        return
    misfit = _first_misfit(model, path)
    if misfit is None:
        model.load_weights(path)
    elif application is None:
        raise ValueError(
            f"`weights` must be those of {model.name!r} as it is built here. "
            f"Received: {os.fspath(path)!r}: {misfit}. Build the architecture that the file was "
            "saved from."
        )
    else:
        _load_backbone(model, path, application)


def _load_backbone(model: keras.Model, path: pathlib.Path, application: str) -> None:
    source = construct(application, input_shape=model.input_shape[1:])
    is_older = not path.name.endswith(".weights.h5")
    misfit = _first_older_misfit(source, path) if is_older else _first_misfit(source, path)
    if misfit is None:
        source.load_weights(path)
    else:
        constructor = APPLICATIONS[application].constructor
        raise ValueError(
            f"`weights` must be those of keras.applications.{constructor} without its top. "
            f"Received: {os.fspath(path)!r}: {misfit}. Save them with include_top=False."
        )
    _copy_backbone(source, model)


def _copy_backbone(source: keras.Model, model: keras.Model) -> None:
    """Copies all layers except the input normalization, whose statistics never change."""
    layers = [layer for layer in model.layers if layer.weights and not heads.is_head(layer)]
    given = [layer for layer in source.layers if layer.weights]
    for layer, other in zip(layers, given, strict=True):
        if not isinstance(layer, keras.layers.Normalization):
            layer.set_weights(other.get_weights())


def _first_misfit(model: keras.Model, path: pathlib.Path) -> str | None:
    """Describes the first difference between a ``.weights.h5`` file and the model, if any."""
    with tempfile.TemporaryDirectory() as folder:
        own = os.path.join(folder, "own.weights.h5")
        model.save_weights(own)
        wanted = _shapes(own)
    given = _shapes(path)
    for key, (layer, shape) in wanted.items():
        if key not in given:
            return f"the file has no weights for the layer {layer!r} of shape {shape}"
        if given[key][1] != shape:
            return f"the layer {layer!r} has shape {shape}, in the file {given[key][1]}"
    for key, (layer, shape) in given.items():
        if key not in wanted:
            return f"the model has no layer {layer!r} of shape {shape}, which the file has"
    return None


def _first_older_misfit(model: keras.Model, path: pathlib.Path) -> str | None:
    """As `_first_misfit`, for an older ``.h5`` file, whose layers are compared in order."""
    wanted = [
        (layer.name, [tuple(weight.shape) for weight in _older_order(layer)])
        for layer in model.layers
        if layer.weights
    ]
    given = _older_shapes(path)
    missing = ("", None)
    for (name, shapes), (other, found) in itertools.zip_longest(wanted, given, fillvalue=missing):
        if found is None:
            return f"the file has no weights for the layer {name!r} of shapes {shapes}"
        if shapes is None:
            return f"the model has no layer {other!r} of shapes {found}, which the file has"
        if shapes != found:
            return f"the layer {name!r} has shapes {shapes}, in the file {other!r} has {found}"
    return None


def _older_order(layer: keras.layers.Layer) -> list[keras.Variable]:
    return layer.trainable_weights + layer.non_trainable_weights


def _older_shapes(path: pathlib.Path) -> list[tuple[str, list[tuple[int, ...]]]]:
    """Returns name and shapes of each layer with weights, in the order of an older ``.h5`` file."""
    with _opened(path) as file:
        group = file.get("model_weights", file)
        layers = [(name, group[name]) for name in _names(group, "layer_names")]
        shapes = [
            (name, [layer[weight].shape for weight in _names(layer, "weight_names")])
            for name, layer in layers
        ]
    return [(name, found) for name, found in shapes if found]


def _names(group: h5py.Group, key: str) -> list[str]:
    """Reads a list of names from HDF5 attributes. A long list is stored in numbered parts."""
    parts = [key]
    if key not in group.attrs:
        numbered = (f"{key}{number}" for number in itertools.count())
        parts = list(itertools.takewhile(lambda part: part in group.attrs, numbered))
    names = [name for part in parts for name in group.attrs[part]]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]


def _opened(path: str | os.PathLike[str]) -> h5py.File:
    try:
        return h5py.File(path)
    except OSError as error:
        raise ValueError(
            f"A weights file must be readable HDF5. Received: {os.fspath(path)!r}: {error}"
        ) from error


def _shapes(path: str | os.PathLike[str]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Maps each key in the file to the name of its layer and the shape of the weights."""
    found: dict[str, tuple[str, tuple[int, ...]]] = {}

    def visit(key: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and not key.startswith("optimizer"):
            found[key] = (item.parent.attrs.get("name", item.parent.name), item.shape)

    with _opened(path) as file:
        file.visititems(visit)
    return found
