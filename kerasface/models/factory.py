"""`build` makes a model by name; its backbone can be frozen and unfrozen."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import keras

from kerasface.checks import check_number, is_number
from kerasface.models import heads
from kerasface.models.registry import (
    ModelSpec,
    builder_options,
    check_architecture,
    find_spec,
)
from kerasface.models.weights import load_weights

# Names that Keras, timm and other libraries use for arguments of `build`.
OTHER_NAMES = {
    "class_num": "`num_classes`",
    "classes": "`num_classes`",
    "classifier_activation": "`activation`",
    "dim": "`embedding`",
    "dimension": "`embedding`",
    "drop_path_rate": "`drop_path`, if the network has this option",
    "drop_rate": "`dropout`",
    "dropout_rate": "`dropout`",
    "emb_size": "`embedding`",
    "embedding_dim": "`embedding`",
    "embedding_size": "`embedding`",
    "image_size": "`input_shape=(height, width, 3)`",
    "img_size": "`input_shape=(height, width, 3)`",
    "in_chans": "`input_shape=(height, width, 3)`",
    "include_top": "`num_classes` or `embedding`: a head is always built",
    "input_size": "`input_shape=(height, width, 3)`",
    "learning_rate": "the optimizer's `learning_rate` in `model.compile`",
    "lr": "the optimizer's `learning_rate` in `model.compile`",
    "model_name": "the first argument, `name`",
    "n_classes": "`num_classes`",
    "num_class": "`num_classes`",
    "num_labels": "`num_classes`, with `multi_label=True` for attributes",
    "pooling": "`head`, for instance head='pool'",
    "pretrained": "`weights`, for instance weights='imagenet'",
    "trainable": "`freeze`",
}


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
    weights: str | os.PathLike[str] | None = None,
    freeze: bool = False,
    **architecture: Any,
) -> keras.Model:
    """Builds a model: a plain functional `keras.Model` of stock layers.

    The input is RGB in [0, 255], float32 or uint8; the model normalizes it. The output is float32
    under every dtype policy. A saved model loads with plain ``keras.saving.load_model`` where
    kerasface is not installed.

    Args:
        name: One of `list_models`.
        num_classes: Number of classes or attributes, at least 1.
        embedding: Length of a unit-length embedding instead of classes, at least 1.
        multi_label: If True, the outputs are independent attributes.
        head: ``"pool"``, ``"double"`` (one hidden layer), ``"mlp"`` (two, with BatchNorm),
            ``"vgg"`` (two of 4,096 on the flattened feature map), ``"attributes"`` (512 and 256
            on the flattened feature map) or ``"cosine"`` (cosines between features and classes,
            times 16; ``"cosine:30"`` sets another factor). None uses the model's default.
        input_shape: ``(height, width, 3)`` in pixels. None uses the model's default.
        activation: ``"softmax"``, ``"sigmoid"``, None for logits, or ``"auto"``: sigmoid for one
            class or ``multi_label``, otherwise softmax.
        dropout: Rate of the head's dropouts, in [0, 1). None uses the head's default.
        weights: ``"imagenet"`` for a backbone of `keras.applications`; ``"dlib"`` for
            ``"dlib_resnet29"``; a ``.keras`` model or a ``.weights.h5`` file of the same
            architecture; a file of a `keras.applications` backbone without its top; or dlib's
            ``.dat`` file. Head layers of a ``.keras`` model that do not fit are initialized at
            random, so that head and number of classes may differ. None initializes at random.
        freeze: If True, only the head is trainable. Frozen BatchNorms are in inference mode. See
            `unfreeze_backbone`.
        **architecture: Options of the network, for instance ``drop_path=0.1``.

    Returns:
        The model, ``[batch, height, width, 3]`` to ``[batch, num_classes or embedding]``.

    Raises:
        ValueError: If a name or an option is unknown or out of range, or the weights do not fit.
        FileNotFoundError: If ``weights`` does not exist.
        RuntimeError: If pretrained weights cannot be downloaded.

    Example:
        >>> build("convnext_small", num_classes=7001).count_params()
        19601401
    """
    spec = find_spec(name)
    own_options = builder_options(spec.features)
    _check_names({key: architecture[key] for key in architecture if key not in own_options})
    check_architecture(name, architecture)
    _check_outputs(num_classes, embedding, multi_label, activation)
    num_classes = None if num_classes is None else int(num_classes)  # numpy's integers are accepted
    embedding = None if embedding is None else int(embedding)
    top = heads.parse_head(spec.head if head is None else head)
    _check_scale(top, num_classes, embedding, multi_label, activation)
    if dropout is not None:
        check_number("dropout", dropout, 0, 1, below=True)

    inputs = keras.Input(_checked_shape(name, input_shape, spec), name="image")
    features = spec.features(inputs, **{**spec.defaults, **architecture})
    _check_features(name, inputs, features)
    features = top.features(features, dropout)
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
    """Makes only the head of a model trainable. Compile the model again afterwards.

    The backbone is frozen layer by layer. Its BatchNorms are in inference mode: they use their
    statistics and do not update them. Its dropouts (EfficientNet has some) stay active in your own
    ``fit``; `kerasface.train` turns them off while only the head is trained.

    Args:
        model: Made by `build`.
    """
    for layer in model.layers:
        layer.trainable = heads.is_head(layer)


def unfreeze_backbone(model: keras.Model, last: int | None = None, *, norms: bool = False) -> None:
    """Makes a frozen backbone, or its last layers, trainable. Compile the model again afterwards.

    Args:
        model: Made by `build`.
        last: Number of layers with weights to unfreeze, counted from the head. None unfreezes
            all.
        norms: If True, unfreeze BatchNorms too. Otherwise they stay in inference mode, because
            the statistics of a few faces are worse than those of a million images.

    Raises:
        ValueError: If ``last`` is below 1.

    Example:
        >>> model = build("convnext_nano", num_classes=3, freeze=True)
        >>> unfreeze_backbone(model, last=5)
        >>> [layer.name for layer in model.layers if layer.trainable_weights][0]
        'stage4_block1_depthwise'
    """
    if last is not None:
        check_number("last", last, 1, whole=True)
    backbone = [layer for layer in model.layers if layer.weights and not heads.is_head(layer)]
    for layer in backbone[-last:] if last else backbone:
        layer.trainable = norms or not isinstance(layer, keras.layers.BatchNormalization)


def _check_features(name: str, inputs: keras.KerasTensor, features: object) -> None:
    """Checks what a builder returned, before the head fails on it with a less clear message."""
    if not isinstance(features, keras.KerasTensor) or len(features.shape) != 4:
        raise ValueError(
            f"The builder of {name!r} must return a feature map [batch, height, width, channels]. "
            f"Received: {features!r}."
        )
    backbone = keras.Model(inputs, features, name=name)
    reserved = [layer.name for layer in backbone.layers if heads.is_head(layer)]
    if reserved:
        raise ValueError(
            f"Layer names that start with {heads.HEAD_PREFIX!r} are reserved for the head. "
            f"Received: {reserved} in the builder of {name!r}. Rename them."
        )


def _check_outputs(
    num_classes: object, embedding: object, multi_label: bool, activation: str | None
) -> None:
    if (num_classes is None) == (embedding is None):
        raise ValueError(
            "Exactly one of `num_classes` and `embedding` must be given. "
            f"Received: num_classes={num_classes}, embedding={embedding}."
        )
    for option, value in (("num_classes", num_classes), ("embedding", embedding)):
        if value is not None:
            remedy = ""
            if option == "num_classes" and isinstance(value, (list, tuple, dict, set)):
                remedy = f"Pass the number of names, {len(value)}."
            check_number(option, value, 1, whole=True, remedy=remedy)
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


def _check_scale(
    head: heads.Head,
    num_classes: int | None,
    embedding: int | None,
    multi_label: bool,
    activation: str | None,
) -> None:
    """The cosine head compares classes with one another, which only a softmax does."""
    alone = num_classes == 1 or multi_label or activation == "sigmoid"
    if head.scale is not None and (embedding or alone):
        raise ValueError(
            "The cosine head needs several classes and a softmax. "
            f"Received: num_classes={num_classes}, embedding={embedding}, "
            f"multi_label={multi_label}, activation={activation!r}. Use head='pool'."
        )


def _checked_shape(name: str, input_shape: object, spec: ModelSpec) -> tuple[int, int, int]:
    if input_shape is None:
        return (spec.image_size, spec.image_size, 3)
    shape = tuple(input_shape) if isinstance(input_shape, (tuple, list)) else ()
    if len(shape) != 3 or shape[2] != 3 or not all(is_number(n, 1, whole=True) for n in shape):
        raise ValueError(
            "`input_shape` must be (height, width, 3) in pixels. "
            f"Received: input_shape={input_shape!r}.{_shape_remedy(input_shape)}"
        )
    height, width = int(shape[0]), int(shape[1])
    if min(height, width) < spec.smallest:
        raise ValueError(
            f"{name!r} needs images of at least {spec.smallest} pixels. "
            f"Received: input_shape={(height, width, 3)}."
        )
    return (height, width, 3)


def _shape_remedy(input_shape: object) -> str:
    """Suggests a shape, if the given value is clear enough."""
    given = input_shape if isinstance(input_shape, (tuple, list)) else (input_shape,)
    sides = [int(side) for side in given if is_number(side, 4, whole=True)]
    if not sides:
        return " Height and width must be integers."
    if len(sides) > 2:
        return " Models take RGB images: three channels, the last of the three numbers."
    color = " Models take RGB; `kerasface.pipeline.stream` converts gray images."
    return f" Use input_shape={(sides[0], sides[-1], 3)}.{color if 1 in given else ''}"


def _check_names(architecture: Mapping[str, object]) -> None:
    """Refuses names that other libraries use for an argument of `build`, with a remedy."""
    for option, value in architecture.items():
        if option in OTHER_NAMES:
            raise ValueError(
                f"`kerasface.build` has no argument `{option}`. "
                f"Received: {option}={value!r}. Use {OTHER_NAMES[option]}."
            )
