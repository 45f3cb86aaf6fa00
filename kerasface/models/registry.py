"""The registry of models: one entry per name."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import keras
import pandas as pd

from kerasface.models.applications import APPLICATIONS, application_features
from kerasface.models.compact import resnet15_features, smile_cnn_features
from kerasface.models.convnext import convnext_features
from kerasface.models.dlib import IMAGE_SIZE, dlib_features
from kerasface.models.resnet import resnet_features
from kerasface.names import suggest

# The name in the recipe of a run whose model the user made. The run folder holds the model.
CUSTOM_MODEL = "custom"
# ``(inputs, **architecture) -> feature map``
Builder: TypeAlias = Callable[..., keras.KerasTensor]


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """One entry of the registry.

    Attributes:
        description: One line for `list_models`.
        features: Builder of the network up to its last feature map, see `register_model`.
        image_size: Default side of the images in pixels.
        parameters: Number of trainable parameters with 1,000 classes and every default; None if
            it is not known.
        head: Default head.
        smallest: Smallest side of the images in pixels.
        application: Name in `applications.APPLICATIONS`; None for other networks.
        defaults: Architecture options that differ from those of ``features``.
    """

    description: str
    features: Builder
    image_size: int
    parameters: int | None = None
    head: str = "double"
    smallest: int = 1
    application: str | None = None
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)


NAMED_KINDS = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
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
    "dlib_resnet29": ModelSpec(
        "dlib's face network; weights='dlib' has learned the faces of about 7,485 people",
        dlib_features,
        image_size=IMAGE_SIZE,
        parameters=5_831_720,
        head="pool",
        smallest=103,
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
    """Returns the names of all registered models, sorted."""
    return sorted(MODELS)


def list_models() -> pd.DataFrame:
    """Lists all registered models.

    Returns:
        One row per model, indexed by name: ``parameters`` (trainable, with 1,000 classes; missing
        for the user's own models), ``image_size`` (default side in pixels), ``head`` and
        ``description``.

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
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")
    return table.astype({"parameters": "Int64"})  # an integer type with missing values


def check_architecture(name: str, architecture: Mapping[str, Any]) -> None:
    """Checks the name of a model and the names of its architecture options.

    Args:
        name: Name of the model.
        architecture: Options by name.

    Raises:
        ValueError: If the model is not registered, it has no such option, or an option without a
            default is missing.

    Example:
        >>> check_architecture("convnext_nano", {"drop_path": 0.1})
    """
    spec = find_spec(name)
    known = builder_options(spec.features)
    if all(parameter.kind is not inspect.Parameter.VAR_KEYWORD for parameter in known.values()):
        for option in architecture:
            if option not in known:
                raise ValueError(
                    f"The architecture options of {name!r} are {list(known)}. "
                    f"Received: {option}={architecture[option]!r}.{suggest(option, known)}"
                )
    for option, parameter in known.items():
        needed = parameter.default is inspect.Parameter.empty and parameter.kind in NAMED_KINDS
        if needed and option not in architecture and option not in spec.defaults:
            raise ValueError(
                f"{name!r} needs the architecture option `{option}`, which has no default. "
                f"Received: {dict(architecture)}."
            )


def find_spec(name: str) -> ModelSpec:
    """Returns the entry of a model.

    Raises:
        ValueError: If the model is not registered, with near names.
    """
    if not isinstance(name, str):
        raise TypeError(
            "The name of a model must be a string, one of kerasface.list_models(). "
            f"Received: {name!r}."
        )
    if name not in MODELS:
        raise ValueError(
            f"`model` must be one of the {len(MODELS)} models that kerasface.list_models() lists. "
            f"Received: {name!r}.{suggest(name, MODELS)} "
            "Register your own network with kerasface.register_model first."
        )
    return MODELS[name]


def builder_options(builder: Builder) -> dict[str, inspect.Parameter]:
    """Returns the parameters of a builder except the first, by name."""
    parameters = list(inspect.signature(builder).parameters.values())
    return {parameter.name: parameter for parameter in parameters[1:]}
