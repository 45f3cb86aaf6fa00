"""The registry of models and `build`."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any

import keras
import pandas as pd

from kerasface.models import heads
from kerasface.models.applications import APPLICATIONS, application_features
from kerasface.models.compact import resnet15_features, smile_cnn_features
from kerasface.models.convnext import convnext_features
from kerasface.models.resnet import resnet_features
from kerasface.models.weights import load_weights
from kerasface.names import suggest


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """One entry of the registry.

    Attributes:
        description: One line for `list_models`.
        features: ``(inputs, **architecture) -> feature map``; its keyword arguments are the
            architecture options.
        image_size: Side of the images in pixels where `build` gets no ``input_shape``.
        parameters: Trainable parameters with 1,000 classes and every default.
        head: Default head.
        smallest: Smallest side of the images in pixels.
        application: Name among `applications.APPLICATIONS`; None for this project's own.
        defaults: Architecture options that differ from those of ``features``.
    """

    description: str
    features: Callable[..., Any]
    image_size: int
    parameters: int
    head: str = "double"
    smallest: int = 1
    application: str | None = None
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)


MODELS: dict[str, ModelSpec] = {
    "convnext_nano": ModelSpec(
        "ConvNeXt blocks for small images and CPUs",
        convnext_features,
        image_size=64,
        parameters=1_537_544,
        defaults={
            "stem": "patchify",
            "channels": (32, 64, 128, 224),
            "blocks_per_stage": (1, 1, 3, 1),
        },
    ),
    "convnext_small": ModelSpec(
        "FaceClassifier: ConvNeXt blocks with BatchNorm and MobileNetV2 downsampling",
        convnext_features,
        image_size=224,
        parameters=15_729_160,
    ),
    "resnet15": ModelSpec(
        "Detect Facial Features: 15 attributes of CelebA",
        resnet15_features,
        image_size=80,
        parameters=31_823_592,
        head="attributes",
        smallest=64,
    ),
    "resnet_small": ModelSpec(
        "ResNet-18 refined, for a few thousand small images",
        resnet_features,
        image_size=112,
        parameters=11_681_832,
        head="pool",
    ),
    "smile_cnn": ModelSpec(
        "CelebA Facial Recognition Project: smiling or not",
        smile_cnn_features,
        image_size=64,
        parameters=645_416,
        head="pool",
        smallest=8,
    ),
}
MODELS |= {
    name: ModelSpec(
        f"keras.applications.{application.constructor}",
        application_features(name),
        image_size=application.image_size,
        parameters=application.parameters,
        head="pool",
        smallest=application.smallest,
        application=name,
    )
    for name, application in APPLICATIONS.items()
}


def model_names() -> list[str]:
    """The names that `build` knows, sorted."""
    return sorted(MODELS)


def list_models() -> pd.DataFrame:
    """What can be built, at a glance.

    Returns:
        One row a model, indexed by name: ``parameters`` (trainable, with 1,000 classes),
        ``image_size`` (default side in pixels), ``head`` and ``description``.

    Example:
        >>> int(list_models().loc["convnext_nano", "image_size"])
        64
    """
    rows = {
        name: {
            "parameters": MODELS[name].parameters,
            "image_size": MODELS[name].image_size,
            "head": MODELS[name].head,
            "description": MODELS[name].description,
        }
        for name in model_names()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")


def build(
    name: str,
    num_classes: int | None = None,
    *,
    embedding: int | None = None,
    multi_label: bool = False,
    head: str | None = None,
    input_shape: tuple[int, int, int] | None = None,
    activation: str | None = "auto",
    dropout: float | None = None,
    weights: str | os.PathLike | None = None,
    freeze: bool = False,
    **architecture,
) -> keras.Model:
    """Builds a model: a plain functional `keras.Model` of stock layers.

    The input is RGB in [0, 255], float32 or uint8; the normalisation is inside the model. The
    output is float32 under every dtype policy. A saved model loads with plain
    ``keras.saving.load_model`` where kerasface is not installed.

    Args:
        name: One of `list_models`.
        num_classes: Number of classes or attributes, at least 1.
        embedding: Length of a unit-length embedding in place of classes, at least 1.
        multi_label: Whether the outputs are independent attributes.
        head: ``"pool"``, ``"double"`` (a hidden layer), ``"mlp"`` (two, with BatchNorm), ``"vgg"``
            (two of 4,096 on every value of the feature map), ``"attributes"`` (512 and 256 on
            every value) or ``"cosine"`` (cosines between features and classes times 16, or as
            said: ``"cosine:30"``); None takes the model's own.
        input_shape: ``(height, width, 3)`` in pixels; None takes the model's own.
        activation: ``"softmax"``, ``"sigmoid"``, None for logits, or ``"auto"``: sigmoid for one
            class or ``multi_label``, otherwise softmax.
        dropout: Rate of the head's dropouts, in [0, 1); None takes the head's own.
        weights: ``"imagenet"`` for a backbone of `keras.applications`; a ``.keras`` model or a
            ``.weights.h5`` file made from the same architecture; a file of such a backbone
            without its top. Of a ``.keras`` model with another head or number of classes what does
            not fit of the head begins anew. None initialises at random.
        freeze: Whether only the head is trainable; the frozen BatchNorms are in inference mode.
            `unfreeze_backbone` lets layers go again.
        **architecture: Options of the network, for instance ``drop_path=0.1``.

    Returns:
        The model, ``[batch, height, width, 3]`` to ``[batch, num_classes or embedding]``.

    Raises:
        ValueError: If a name or an option is unknown or out of range, or the weights do not fit.
        FileNotFoundError: If ``weights`` does not exist.
        RuntimeError: If ImageNet weights cannot be downloaded.

    Example:
        >>> build("convnext_small", num_classes=7001).count_params()
        19601401
    """
    spec = _find_spec(name)
    _check_outputs(num_classes, embedding, multi_label, activation)
    options = {**spec.defaults, **_checked_architecture(name, spec, architecture)}
    top = heads.parse_head(spec.head if head is None else head)
    _check_scale(top, num_classes, embedding, multi_label, activation)
    if dropout is not None and not 0 <= dropout < 1:
        raise ValueError(f"`dropout` must be in [0, 1). Received: dropout={dropout}.")

    inputs = keras.Input(_checked_shape(name, input_shape, spec), name="image")
    features = top.features(spec.features(inputs, **options), dropout)
    if embedding is not None:
        outputs = heads.embedding(features, embedding)
    elif num_classes is not None:
        if activation == "auto":
            activation = "sigmoid" if multi_label or num_classes == 1 else "softmax"
        outputs = heads.classes(features, num_classes, activation, top.scale)
    model = keras.Model(inputs, outputs, name=name)
    if weights is not None:
        load_weights(model, weights, application=spec.application)
    if freeze:
        freeze_backbone(model)
    return model


def freeze_backbone(model: keras.Model) -> None:
    """Leaves only the head of a model trainable; compile it anew afterwards.

    The backbone is frozen layer by layer, and its BatchNorms are in inference mode: they use and
    keep the statistics that they have. Dropouts in it (EfficientNet has some) have nothing to
    freeze: in a ``fit`` of your own they stay on. `kerasface.train` turns them off while the head
    trains alone.

    Args:
        model: Made by `build`.
    """
    for layer in model.layers:
        layer.trainable = heads.is_head(layer)


def unfreeze_backbone(model: keras.Model, last: int | None = None, *, norms: bool = False) -> None:
    """Makes a frozen backbone trainable again, from its end; compile the model anew afterwards.

    Args:
        model: Made by `build`.
        last: How many of the backbone's layers with weights, counted from the head; None is all.
        norms: Whether BatchNorms among them train too. Otherwise they stay in inference mode
            with the statistics that they have: those of a few faces would replace what a
            million images gave.

    Raises:
        ValueError: If ``last`` is below 1.

    Example:
        >>> model = build("convnext_nano", num_classes=3, freeze=True)
        >>> unfreeze_backbone(model, last=5)
        >>> [layer.name for layer in model.layers if layer.trainable_weights][0]
        'stage4_block1_depthwise'
    """
    if last is not None and last < 1:
        raise ValueError(f"`last` must be at least 1. Received: last={last}.")
    backbone = [layer for layer in model.layers if layer.weights and not heads.is_head(layer)]
    for layer in backbone[-last:] if last else backbone:
        layer.trainable = norms or not isinstance(layer, keras.layers.BatchNormalization)


def _find_spec(name: str) -> ModelSpec:
    if name not in MODELS:
        raise ValueError(
            f"`name` must be one of the {len(MODELS)} models that kerasface.list_models() shows. "
            f"Received: name={name!r}.{suggest(name, MODELS)}"
        )
    return MODELS[name]


def _check_outputs(num_classes, embedding, multi_label, activation) -> None:
    if (num_classes is None) == (embedding is None):
        raise ValueError(
            "One of `num_classes` and `embedding` is needed, and not both. "
            f"Received: num_classes={num_classes}, embedding={embedding}."
        )
    for option, value in (("num_classes", num_classes), ("embedding", embedding)):
        if value is not None and value < 1:
            raise ValueError(f"`{option}` must be at least 1. Received: {option}={value}.")
    if activation not in ("auto", "softmax", "sigmoid", None):
        raise ValueError(
            "`activation` must be 'auto', 'softmax', 'sigmoid' or None. "
            f"Received: activation={activation!r}."
        )
    if embedding is not None and (multi_label or activation != "auto"):
        raise ValueError(
            "`multi_label` and `activation` belong to classes, not to an embedding. "
            f"Received: multi_label={multi_label}, activation={activation!r}."
        )


def _check_scale(head: heads.Head, num_classes, embedding, multi_label, activation) -> None:
    """The cosine head compares classes with one another, which only a softmax does."""
    alone = num_classes == 1 or multi_label or activation == "sigmoid"
    if head.scale is not None and (embedding or alone):
        raise ValueError(
            "The cosine head is for several classes behind a softmax. "
            f"Received: num_classes={num_classes}, embedding={embedding}, "
            f"multi_label={multi_label}, activation={activation!r}. Say head='pool'."
        )


def _checked_architecture(name: str, spec: ModelSpec, architecture: dict) -> dict:
    known = [
        parameter.name
        for parameter in inspect.signature(spec.features).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]
    for option in architecture:
        if option not in known:
            raise ValueError(
                f"The architecture options of {name!r} are {known}. "
                f"Received: {option}={architecture[option]!r}.{suggest(option, known)}"
            )
    return architecture


def _checked_shape(name: str, input_shape, spec: ModelSpec) -> tuple[int, int, int]:
    shape = (spec.image_size, spec.image_size, 3) if input_shape is None else tuple(input_shape)
    sides = [side for side in shape[:2] if isinstance(side, int) and side >= 1]
    if len(shape) != 3 or shape[2] != 3 or len(sides) != 2:
        raise ValueError(
            "`input_shape` must be (height, width, 3) in pixels. "
            f"Received: input_shape={input_shape}."
        )
    if min(shape[:2]) < spec.smallest:
        raise ValueError(
            f"{name!r} takes images of at least {spec.smallest} pixels. "
            f"Received: input_shape={shape}."
        )
    return shape
