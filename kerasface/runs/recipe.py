"""Recipe: everything that decides a run except the data."""

from __future__ import annotations

import copy
import dataclasses
import html
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kerasface.checks import is_number
from kerasface.embedding.options import embedding_options, kept_options
from kerasface.models.registry import CUSTOM_MODEL, check_architecture
from kerasface.options import (
    check_options,
    convert_numbers,
    default_of,
    describe_options,
    document_options,
)
from kerasface.pipeline.augment import augmentation
from kerasface.pipeline.crop import Crop
from kerasface.runs.other_names import check_keys, named_keywords
from kerasface.runs.recipe_epochs import (
    distribute_epochs,
    fitting_unmixed,
    fitting_warmup,
)
from kerasface.runs.recipe_keys import (
    DEFAULT_EPOCHS,
    NOT_FOR_EMBEDDINGS,
    PHASE_KEYS,
    RecipeKeys,
)
from kerasface.runs.recipe_needs import PHASE_NEEDS, check_needs, idle_keys

if TYPE_CHECKING:
    import pandas as pd


@named_keywords
@document_options
@dataclasses.dataclass(frozen=True, repr=False)
class Recipe(RecipeKeys):
    """Everything that decides a run except the data. Frozen, and checked when it is made.

    `Recipe.describe` returns the keys below as a table, with limits and defaults.

    Raises:
        ValueError: If a value does not fit its key or another value, a key has no effect with the
            others, or the model is not registered.
        TypeError: If a key is unknown.

    Example:
        >>> Recipe(model="resnet_small", epochs=30)
        Recipe(model='resnet_small', epochs=30)
    """

    def __post_init__(self) -> None:
        if isinstance(self.weights, os.PathLike):
            self._set("weights", os.fspath(self.weights))
        for name in ("augment", "attributes"):
            names = getattr(self, name)
            if names is None or isinstance(names, str):
                self._set(name, (names,) if names else ())
        check_options(self)
        convert_numbers(self)
        self._set("augment", tuple(self.augment))
        self._set("attributes", tuple(self.attributes))
        # Through JSON, as a run reads it back: a tuple becomes a list.
        self._set("architecture", json.loads(json.dumps(dict(self.architecture))))
        if self.model != CUSTOM_MODEL:
            check_architecture(self.model, self.architecture)
        if self.embedding:
            options = embedding_options(self.embedding)
            self._set("embedding", dataclasses.asdict(options))  # with the default values
        else:
            self._set("embedding", {})
        self._settle_epochs()
        augmentation(self.augment)  # refuses unknown steps
        check_needs(self._values(), self.changed_keys())
        self._check_embedding()
        self._check_epochs()
        self._check_cache()
        if self.phases:
            self.parts()  # checks each phase as a recipe of its own

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _settle_epochs(self) -> None:
        """Checks the phases' form and makes ``epochs`` a number."""
        phases = tuple(json.loads(json.dumps([dict(phase) for phase in self.phases])))
        self._set("phases", phases)
        for index, phase in enumerate(phases):
            check_keys(phase, PHASE_KEYS, "a phase", f" in phase {index}")
            if not isinstance(phase.get("epochs"), int):
                raise ValueError(
                    "Every phase must have `epochs`, an integer. "
                    f"Received: phase {index} is {phase}."
                )
        total = sum(phase["epochs"] for phase in phases) if phases else DEFAULT_EPOCHS
        if self.epochs is None:
            self._set("epochs", total)
        elif phases and self.epochs != total:
            raise ValueError(
                "With phases, `epochs` must be the sum of theirs. "
                f"Received: epochs={self.epochs} with phases of {total} epochs in total. "
                "Change a phase, for instance phases.0.epochs."
            )

    def _check_embedding(self) -> None:
        for key, reason in NOT_FOR_EMBEDDINGS.items():
            if self.embedding and getattr(self, key):
                raise ValueError(
                    f"`{key}` must not be set for an embedding: {reason}. "
                    f"Received: {key}={getattr(self, key)!r} with embedding={self.embedding}. "
                    "Remove one of them."
                )

    def _check_epochs(self) -> None:
        epochs = self.total_epochs
        if self.unmixed_epochs > epochs:
            raise ValueError(
                "`unmixed_epochs` must be at most `epochs`. "
                f"Received: unmixed_epochs={self.unmixed_epochs}, epochs={epochs}."
            )
        if self.warmup_epochs and self.warmup_epochs >= epochs:
            raise ValueError(
                "`warmup_epochs` must be less than `epochs`. "
                f"Received: warmup_epochs={self.warmup_epochs}, epochs={epochs}. "
                "Set warmup_epochs=0, for instance."
            )

    def _check_cache(self) -> None:
        if not self.cached:
            return
        if self.mixup or self.cutmix:
            raise ValueError(
                "Cached features cannot be mixed. "
                f"Received: mixup={self.mixup}, cutmix={self.cutmix}, cache_features=True. "
                "Set mixup=0 and cutmix=0, or cache_features=false."
            )
        epochs = self.total_epochs
        random = self.augment or self.square_crop
        if random and self.feature_variants == 1 and epochs > 1:
            raise ValueError(
                "With one cached version per image, all epochs would use the same augmentation. "
                f"Received: feature_variants=1, epochs={epochs}, augment={self.augment}, "
                f"square_crop={self.square_crop}. Set feature_variants={epochs} for a new version "
                "in each epoch, or remove the augmentation."
            )

    @property
    def name(self) -> str | None:
        """Name of the named recipe that this recipe was made from, or None.

        `replace` keeps it. It is no key: recipes with different names can be equal.
        """
        return self.__dict__.get("_name")

    def named(self, name: str | None) -> Recipe:
        """Returns the same recipe with another `name`."""
        copied = copy.copy(self)
        copied._set("_name", name)
        return copied

    def _values(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @property
    def total_epochs(self) -> int:
        """``epochs``, which is a number once the recipe is made."""
        assert self.epochs is not None
        return self.epochs

    @property
    def cached(self) -> bool:
        """Whether the head is trained on cached features, in a recipe without phases."""
        return self.cache_features and self.trainable == "head" and not self.phases

    def crop(self, training: bool) -> Crop | None:
        """Returns the region of each image for training or, if not ``training``, for inference."""
        if not self.square_crop:
            return Crop(self.crop_share, shape="image") if self.crop_share < 1 else None
        return Crop(self.crop_share, position="random" if training else "center")

    def parts(self) -> list[Recipe]:
        """Returns one recipe per phase, each with the phase's options and without phases."""
        if not self.phases:
            return [self]
        # Mixing ends before the end of the whole training, which no phase knows.
        common: dict[str, Any] = {"phases": (), "unmixed_epochs": 0}
        # The network was checked with the whole recipe, unless it was read from a file.
        common |= {"model": Recipe.model, "architecture": {}}
        parts = []
        for index, phase in enumerate(self.phases):
            values = _without_idle({**self._values(), **common, **phase}, given=phase)
            try:
                part = Recipe(**values)
            except ValueError as error:
                raise ValueError(f"In phase {index}: {error}") from error
            part = part._with_network(self.model, self.architecture)
            for key in PHASE_NEEDS:  # what they need may be in an earlier phase
                part._set(key, getattr(self, key))
            parts.append(part)
        return parts

    def _with_network(self, model: str, architecture: Mapping[str, Any]) -> Recipe:
        """A copy with a network that is not looked up in the registry."""
        changed = copy.copy(self)
        changed._set("model", model)
        changed._set("architecture", architecture)
        return changed

    def replace(self, **changes: Any) -> Recipe:
        """Returns a recipe with some keys changed.

        Args:
            **changes: Keys and values. ``architecture`` and ``embedding`` are merged with the
                present options; another ``model`` starts without options of the network. A phase
                that is given by its number is merged too, ``phases={1: {"learning_rate": 1e-5}}``.
                With another ``embedding.loss`` the margin is the default of that loss, unless it
                is given too. With other ``epochs``, the phases keep their proportions,
                ``unmixed_epochs`` its share, and a warmup that would be too long its share. Keys
                that have no effect any more get their default values.

        Raises:
            ValueError: If a key is unknown (with near names), a value does not fit, or a given
                key has no effect.

        Example:
            >>> Recipe(epochs=30, mixup=1.0, unmixed_epochs=10).replace(epochs=60).unmixed_epochs
            20
        """
        check_keys(changes, [field.name for field in dataclasses.fields(self)], "a recipe")
        given = dict(changes)
        if isinstance(changes.get("embedding"), Mapping):
            before = kept_options(self.embedding, changes["embedding"].get("loss"))
            changes["embedding"] = {**before, **changes["embedding"]}
        if changes.get("model", self.model) != self.model:
            changes.setdefault("architecture", {})  # the present options are of another network
        elif isinstance(changes.get("architecture"), Mapping):
            changes["architecture"] = {**self.architecture, **changes["architecture"]}
        if isinstance(changes.get("phases"), Mapping):
            changes["phases"] = self._merged_phases(changes["phases"])
        changes |= self._epoch_changes(changes)
        changed = Recipe(**_without_idle({**self._values(), **changes}, given=given))
        check_needs(changed._values(), given)
        changed._check_given_phases(given.get("phases"))
        return changed.named(self.name)

    def _check_given_phases(self, given: Any) -> None:
        """Refuses keys of given phases that have no effect in their phase."""
        pairs = given.items() if isinstance(given, Mapping) else enumerate(given or ())
        for index, phase in pairs:
            values = {**self._values(), **self.phases[int(index)], "phases": ()}
            check_needs(values, {key: phase[key] for key in phase})

    def _epoch_changes(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """The keys that follow another number of epochs and were not given."""
        found: dict[str, Any] = {}
        epochs = changes.get("epochs", self.epochs)
        if changes.get("phases"):
            if "epochs" in changes or not isinstance(changes["phases"], (list, tuple)):
                return {}
            found["epochs"] = None  # their sum
            epochs = sum(dict(phase).get("epochs", 0) for phase in changes["phases"])
        elif "phases" in changes:
            return {}
        if not is_number(epochs, 1, whole=True) or epochs == self.total_epochs:
            return found
        if self.phases and "phases" not in changes:
            inherited = changes.get("warmup_epochs", self.warmup_epochs)
            found["phases"] = distribute_epochs(self.phases, epochs, warmup=inherited)
        before, embedding = self.total_epochs, self.embedding
        if "warmup_epochs" not in changes:
            found["warmup_epochs"] = fitting_warmup(self.warmup_epochs, before, epochs)
        if "unmixed_epochs" not in changes:
            found["unmixed_epochs"] = fitting_unmixed(self.unmixed_epochs, before, epochs)
        if "embedding" not in changes and embedding.get("margin_warmup_epochs", 0) > epochs:
            rise = embedding["margin_warmup_epochs"] * epochs / before
            found["embedding"] = {**embedding, "margin_warmup_epochs": rise}
        return found

    def _merged_phases(self, changes: Mapping[Any, Any]) -> tuple[dict[str, Any], ...]:
        phases = [dict(phase) for phase in self.phases]
        for key, values in changes.items():
            number = str(key)
            if not number.isdecimal() or int(number) >= len(phases):
                raise ValueError(
                    "A phase must be given by its number, from 0 to one less than their number. "
                    f"Received: phase {key!r} of a recipe with {len(phases)} phases."
                )
            phases[int(number)].update(values)
        return tuple(phases)

    def to_json(self) -> str:
        """Returns the recipe as indented JSON; `Recipe.from_json` reads it back equal."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Reads what `to_json` wrote.

        The model may be one that is not registered in this process, so that the run of a user's
        own network opens without its builder. To change the recipe, or to train it, register the
        model first.

        Raises:
            ValueError: If a key is unknown (with near names) or a value does not fit.
        """
        values = json.loads(text)
        # Older files may have keys without an effect.
        values = _without_idle({**cls()._values(), **values})
        values["phases"] = [
            {
                key: phase[key]
                for key in phase
                if key not in idle_keys({**values, "phases": [phase]})
            }
            for phase in values["phases"]
        ]
        model, architecture = values.pop("model"), values.pop("architecture")
        return cls(**values)._with_network(model, architecture)

    @classmethod
    def describe(cls) -> pd.DataFrame:
        """Describes all keys.

        Returns:
            One row per key, indexed by name: ``values`` (what is accepted, in words),
            ``default`` and ``description``.

        Example:
            >>> Recipe.describe().loc["batch_size", "values"]
            'an integer of at least 1'
        """
        return describe_options(cls)

    def changed_keys(self) -> dict[str, Any]:
        """Returns the keys that differ from the defaults, with their values."""
        fixed = {"epochs": DEFAULT_EPOCHS}
        if self.phases:
            fixed["epochs"] = self.total_epochs  # their sum
        values = self._values()
        defaults = {field.name: default_of(field) for field in dataclasses.fields(self)} | fixed
        return {name: value for name, value in values.items() if value != defaults[name]}

    def __repr__(self) -> str:
        changed = [f"{name}={value!r}" for name, value in self.changed_keys().items()]
        return f"Recipe({', '.join(changed)})"

    def _repr_html_(self) -> str:
        changed = self.changed_keys()
        rows = []
        for name, row in self.describe().iterrows():
            value = html.escape(repr(getattr(self, str(name))))
            cells = (
                html.escape(str(name)),
                f"<b>{value}</b>" if name in changed else value,
                html.escape(row["description"].replace("``", "")),
            )
            rows.append("".join(f'<td style="text-align: left">{cell}</td>' for cell in cells))
        head = "<tr><th>key</th><th>value</th><th>description</th></tr>"
        body = "".join(f"<tr>{row}</tr>" for row in rows)
        return f"<table>{head}{body}</table><p>Bold: not the default.</p>"


def _without_idle(
    values: Mapping[str, Any], given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Values of a recipe in which keys without an effect have their defaults, unless given."""
    phases = values["phases"] or ()
    if not all(isinstance(phase, Mapping) for phase in _listed(phases)):
        return dict(values)  # the recipe refuses them
    idle = set(idle_keys({**values, "phases": _listed(phases)})) - set(given or {})
    defaults = {f.name: default_of(f) for f in dataclasses.fields(Recipe) if f.name in idle}
    return {**values, **defaults}


def _listed(phases: Any) -> list[Any]:
    return list(phases) if isinstance(phases, (list, tuple)) else [phases]
