"""Pretrained face networks: what their names mean, and how faces are prepared for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeGuard

from kerasface.faces.preparation import DLIB, Preparation

if TYPE_CHECKING:  # imported late, where a model is built
    import keras

# How a network wants its faces, by the name of the network.
PREPARATIONS: Mapping[str, Preparation] = {"dlib": DLIB}
DEFAULT = "dlib"
BACKBONES = {"dlib": ("dlib_resnet29", 128)}  # architecture and length of the embedding


def is_pretrained(model: object) -> TypeGuard[str]:
    """Returns whether a model is the name of a pretrained face network.

    Args:
        model: Anything that the functions of this package accept as a model. A folder of the same
            name can be given as ``"./dlib"``.

    Example:
        >>> is_pretrained("dlib"), is_pretrained("runs/dlib")
        (True, False)
    """
    return isinstance(model, str) and model in PREPARATIONS


def build_pretrained(name: str) -> keras.Model:
    """Builds a pretrained face network with its weights.

    dlib's network has learned from 3 million images of about 7,485 people, half of them from
    FaceScrub and VGG-Face. Many of them are celebrities, and people of CelebA may be among them;
    the people of LFW were removed.

    Args:
        name: ``"dlib"``.

    Returns:
        The embedding model, RGB ``[batch, 150, 150, 3]`` in [0, 255] to float32 ``[batch, 128]``
        of length 1.

    Raises:
        RuntimeError: If the weights are neither installed nor can be downloaded.
    """
    from kerasface.models.factory import build

    architecture, dimensions = BACKBONES[name]
    return build(architecture, embedding=dimensions, weights=name)
