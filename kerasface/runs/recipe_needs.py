"""Which keys of a recipe have an effect only together with another key."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Values = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Need:
    """What a key needs to have an effect.

    Attributes:
        keys: Other keys, of which one must have one of the values.
        values: The values that it may have; empty accepts all except 0, False and an empty list.
        remedy: What to set.
    """

    keys: tuple[str, ...]
    values: tuple[Any, ...]
    remedy: str

    def is_met(self, values: Values) -> bool:
        """Whether the values of a recipe without phases, or of one phase, meet the need."""
        return any(
            values[key] in self.values if self.values else bool(values[key]) for key in self.keys
        )


# A key needs all of the entries in its list.
NEEDS: dict[str, tuple[Need, ...]] = {
    "momentum": (Need(("optimizer",), ("sgd",), "optimizer='sgd'"),),
    "warmup_epochs": (Need(("schedule",), ("cosine", "constant"), "schedule='cosine'"),),
    "warmup_learning_rate": (
        Need(("schedule",), ("cosine", "constant"), "schedule='cosine'"),
        Need(("warmup_epochs",), (), "warmup_epochs=1, for instance"),
    ),
    "final_learning_rate": (Need(("schedule",), ("cosine",), "schedule='cosine'"),),
    "decay_epochs": (Need(("schedule",), ("step", "plateau"), "schedule='step'"),),
    "decay_factor": (Need(("schedule",), ("step", "plateau"), "schedule='step'"),),
    "unmixed_epochs": (Need(("mixup", "cutmix"), (), "mixup or cutmix"),),
    "cache_features": (Need(("trainable",), ("head",), "trainable='head'"),),
    "feature_variants": (
        Need(("cache_features",), (), "cache_features=True"),
        Need(("trainable",), ("head",), "trainable='head'"),
        Need(("augment", "square_crop"), (), "augment"),
    ),
}


def _unfreezes(parts: Sequence[Values]) -> bool:
    """Whether layers of the backbone are frozen and, in the same phase or later, some are not."""
    frozen = False
    for part in parts:
        frozen = frozen or part["trainable"] != "all"
        if frozen and part["trainable"] != "head":
            return True
    return False


# Needs that look at all phases in order: the condition and what to set.
PHASE_NEEDS: dict[str, tuple[Callable[[Sequence[Values]], bool], Need]] = {
    "train_norms": (
        _unfreezes,
        Need(("trainable",), (), "trainable to a number of layers, or a phase that freezes"),
    ),
}


def unmet_need(key: str, values: Values) -> Need | None:
    """Returns the need of a key that a recipe does not meet.

    Args:
        key: The key.
        values: All keys of the recipe, with its phases.

    Returns:
        The need, or None if the key has an effect in the recipe or in one of its phases.
    """
    phases = values["phases"]
    parts = [{**values, **phase} for phase in phases or [{}]]
    if key in PHASE_NEEDS:
        is_met, need = PHASE_NEEDS[key]
        return None if is_met(parts) else need
    # A phase that sets the key itself does not use the recipe's value.
    inherit = [part for part, phase in zip(parts, phases or [{}], strict=True) if key not in phase]
    for part in inherit:
        unmet = [need for need in NEEDS.get(key, ()) if not need.is_met(part)]
        if not unmet:
            return None
    return unmet[0] if inherit else None


def idle_keys(values: Values) -> list[str]:
    """Returns the keys that have no effect in a recipe, whatever their values are.

    Args:
        values: All keys of the recipe, with its phases.
    """
    return [key for key in (*NEEDS, *PHASE_NEEDS) if unmet_need(key, values) is not None]


def check_needs(values: Values, given: Values) -> None:
    """Refuses keys that were set and have no effect, unless they are set to 0 or False.

    Args:
        values: All keys of the recipe, with its phases.
        given: The keys that were set, with their values.

    Raises:
        ValueError: If one of the given keys has no effect.
    """
    for key, value in given.items():
        need = unmet_need(key, values)
        if need is not None and value:
            others = ", ".join(f"{other}={_short(values[other])}" for other in need.keys)
            raise ValueError(
                f"`{key}` has no effect with {others}. Received: {key}={value!r}. "
                f"Set {need.remedy}, or leave `{key}` out."
            )


def _short(value: Any) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)
