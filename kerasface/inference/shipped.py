"""The thresholds of the pretrained networks, which are shipped with this package as data."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections.abc import Mapping
from typing import Any

from kerasface.checks import check_flag
from kerasface.inference.pretrained import PREPARATIONS
from kerasface.inference.settings import EmbeddingSettings

SHIPPED = ("dlib",)


def is_shipped(model: object) -> bool:
    """Returns whether a model is the name of a pretrained network with shipped thresholds.

    Args:
        model: Anything that the functions of this package accept as a model.
    """
    return isinstance(model, str) and model in SHIPPED


def shipped_file(name: str) -> Mapping[str, Any]:
    """Reads the shipped thresholds of a pretrained network, with their origin.

    Args:
        name: Name of the network, ``"dlib"``.

    Returns:
        What `benchmarks/dlib_thresholds.py` wrote: the data and how the faces were cut, ``default``
        (``far`` and ``flip``), ``thresholds`` (one entry per ``flip`` and rate) and
        ``calibration`` (one entry per ``flip``).

    Example:
        >>> shipped_file("dlib")["default"]  # doctest: +SKIP
    """
    return _read(name)


def shipped_flip(model: object) -> bool:
    """Returns whether a pretrained network adds the mirror image by default; else False.

    Args:
        model: Anything that the functions of this package accept as a model.
    """
    return (
        bool(shipped_file(model)["default"]["flip"])
        if isinstance(model, str) and is_shipped(model)
        else False
    )


def shipped_rates(name: str) -> list[float]:
    """Returns the false accept rates that have a shipped threshold, falling.

    Args:
        name: Name of the network, ``"dlib"``.
    """
    return sorted({entry["wanted_far"] for entry in shipped_file(name)["thresholds"]}, reverse=True)


def shipped_values(name: str, far: float | None, flip: bool | None) -> dict[str, Any]:
    """Returns a shipped threshold as arguments of `kerasface.inference.OperatingPoint`.

    Args:
        name: Name of the network, ``"dlib"``.
        far: Wanted false accept rate; None takes the default.
        flip: Whether the embedding of the mirror image is added; None takes the default.

    Raises:
        ValueError: If there is no threshold for this rate.
    """
    found = shipped_file(name)
    if flip is None:
        flip = found["default"]["flip"]
    check_flag("flip", flip)
    wanted = found["default"]["far"] if far is None else far
    rates = shipped_rates(name)
    if wanted not in rates:
        raise ValueError(
            f"`far` must be one of {rates}, for which model={name!r} has a threshold. "
            f"Received: far={far!r}. Measure others with verify_pairs(far=) on your own pairs."
        )
    (entry,) = (
        entry
        for entry in found["thresholds"]
        if entry["flip"] == flip and entry["wanted_far"] == wanted
    )
    (fitted,) = (entry for entry in found["calibration"] if entry["flip"] == flip)
    values = {key: entry[key] for key in ("threshold", "far", "far_low", "far_high", "tar")}
    return values | {
        "impostor_pairs": found["impostor_pairs"],
        "pairs": found["data"],
        "people": found["people"],
        "calibration": (fitted["slope"], fitted["intercept"]),
        "settings": EmbeddingSettings(None, flip, found["fingerprint"], PREPARATIONS[name]),
    }


@functools.cache
def _read(name: str) -> Mapping[str, Any]:
    text = importlib.resources.files("kerasface.inference").joinpath("data", f"{name}.json")
    return json.loads(text.read_text(encoding="utf-8"))
