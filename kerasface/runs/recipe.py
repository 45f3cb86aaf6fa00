"""Recipe: everything that decides a run, in one frozen, checked, JSON-ready value."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import Any

from kerasface.embedding.options import embedding_options, kept_options
from kerasface.names import suggest
from kerasface.pipeline.augment import augmentation
from kerasface.pipeline.crop import Crop

CHOICES = {
    "head_start": ("random", "lda"),
    "optimizer": ("adamw", "adam", "muon", "sgd"),
    "schedule": ("cosine", "constant", "step", "plateau"),
    "precision": ("auto", "float32", "mixed_float16", "mixed_bfloat16"),
    "keep": ("best", "last"),
    "monitor": ("val_accuracy", "val_loss"),
}
# Smallest value, and the bound that a value stays below.
LIMITS = {
    "image_size": (8, None),
    "epochs": (1, None),
    "batch_size": (1, None),
    "accumulate_steps": (1, None),
    "learning_rate": (0, None),
    "weight_decay": (0, None),
    "momentum": (0, 1),
    "warmup_epochs": (0, None),
    "warmup_learning_rate": (0, None),
    "final_learning_rate": (0, None),
    "decay_epochs": (1, None),
    "decay_factor": (0, 1),
    "label_smoothing": (0, 1),
    "focal_gamma": (0, None),
    "class_weighting": (0, None),
    "mixup": (0, None),
    "cutmix": (0, None),
    "unmixed_epochs": (0, None),
    "ema": (0, 1),
    "early_stopping": (0, None),
    "feature_variants": (1, None),
    "max_unreadable": (0, None),
    "seed": (0, 2**32),
}
# What a phase may say otherwise than the recipe.
PHASE_KEYS = (
    "epochs",
    "trainable",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "momentum",
    "schedule",
    "warmup_epochs",
    "warmup_learning_rate",
    "final_learning_rate",
    "decay_epochs",
    "decay_factor",
)
DEFAULT_EPOCHS = 60
# What has no meaning for an embedding, and why.
NOT_FOR_EMBEDDINGS = {
    "label_smoothing": "a margin moves the cosine of one class, and smoothing is for all of them",
    "mixup": "a margin moves the cosine of one class, and a mixed image is of two",
    "cutmix": "a margin moves the cosine of one class, and a mixed image is of two",
    "focal_gamma": "its loss is that of `embedding.loss`",
    "class_weighting": "its loss is that of `embedding.loss`",
    "attributes": "it tells people apart, and attributes do not",
    "cache_features": "its head and its network are trained together",
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides a run but the data.

    Attributes:
        model: Name of the model, see `kerasface.list_models`.
        architecture: Options of the network, for instance ``{"drop_path": 0.1}``.
        head: Name of the head; None takes the model's own.
        dropout: Dropout of the head; None takes the model's own.
        head_start: What the last layer begins with: ``"random"`` numbers, or ``"lda"``, the
            linear discriminant of the features that the backbone has at the beginning, of the
            training images as they are, mirrored and cropped. With pretrained weights and a head
            that is one linear layer (``"pool"``).
        weights: What the model begins with: ``"imagenet"``, a file as `kerasface.build` takes it,
            or None for random numbers.
        trainable: ``"all"`` layers, the ``"head"`` alone, or the head and this number of the
            backbone's last layers with weights. With the head alone the backbone is in inference
            mode; otherwise its dropouts, where it has any, are on, in frozen layers too.
        train_norms: Whether the backbone's BatchNorms, once frozen, train again when their
            layers do. Otherwise they keep the statistics that they have.
        embedding: Options by name of an embedding that is learnt in place of classes, see
            `kerasface.embedding.options.EmbeddingOptions`, for instance
            ``{"dimensions": 128, "loss": "arcface"}``; empty learns classes or attributes. Then
            ``model.keras`` gives embeddings and knows no classes.
        attributes: Names of the attributes to learn, of a table that has them; empty learns all.
        image_size: Side of the square images in pixels.
        square_crop: Whether a square as large as the shorter side is cut out of each image, from
            anywhere in training and from the middle otherwise; else the image is squashed.
        crop_share: What of both sides, about the middle, is taken, or the square cut from, in
            (0, 1]: 0.8 leaves out a tenth at each border, so that the face is larger in it.
        epochs: Passes over the training images; with ``phases`` the sum of theirs.
        phases: Parts of the training, one after the other, each compiled anew: options by name
            that replace the recipe's own, at least ``epochs``. For instance the head alone at
            1e-3 and then everything at 1e-5. Empty is one phase.
        batch_size: Images a step.
        accumulate_steps: Steps whose gradients are averaged before the weights change; the
            weights see batches of ``batch_size * accumulate_steps``.
        optimizer: ``"adamw"``, ``"adam"``, ``"sgd"`` (with Nesterov momentum) or ``"muon"``, which
            learns more in few steps and takes longer for each.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled decay a step, times the learning rate; not on biases and norms.
        momentum: Momentum of ``"sgd"``; the others do not read it.
        schedule: ``"cosine"`` or ``"constant"`` after the warm-up, stepped every batch;
            ``"step"``: times ``decay_factor`` every ``decay_epochs``; ``"plateau"``: times
            ``decay_factor`` after ``decay_epochs`` epochs without a better ``monitor``.
        warmup_epochs: Epochs of linear warm-up, fewer than ``epochs``; of ``"cosine"`` and
            ``"constant"``.
        warmup_learning_rate: Learning rate at the first step of the warm-up.
        final_learning_rate: Learning rate that the cosine ends at.
        decay_epochs: Epochs between two steps, or the patience of ``"plateau"``.
        decay_factor: What ``"step"`` and ``"plateau"`` multiply the learning rate by.
        label_smoothing: Share of the target spread over all classes; of an attribute over both
            outcomes.
        focal_gamma: Exponent of the focal loss, by which what is well told counts less; 0 is
            cross-entropy.
        class_weighting: How far classes, or both outcomes of attributes, are weighted against
            their number in the training images: 0 not at all, 1 until all count the same.
        mixup: Alpha of mixup; 0 is off.
        cutmix: Alpha of CutMix; 0 is off.
        unmixed_epochs: Epochs at the end in which images are not mixed, at most ``epochs``; where
            those are changed alone it keeps its share of them. BatchNorm's statistics are of the
            last fifty or so batches, and those of mixed images do not fit whole ones.
        augment: Presets and steps of `kerasface.pipeline.augment`.
        ema: Momentum of the moving average of the weights, which is what is validated and saved;
            0 is off.
        early_stopping: Epochs without a better ``monitor`` after which training ends, or with
            ``phases`` the phase; 0 is off.
        monitor: ``"val_accuracy"`` or ``"val_loss"``: what is best.
        keep: Whether ``model.keras`` holds the ``"best"`` or the ``"last"`` epoch's weights;
            without validation it is the last.
        train_on_validation: Whether the validation images are trained on too; then no validation
            figure is reported.
        precision: ``"auto"`` (mixed_float16 where there is a GPU, float32 elsewhere) or a Keras
            dtype policy.
        cache_features: Whether phases that train the ``"head"`` alone run the backbone once and
            keep its features on disk; without mixup and CutMix.
        feature_variants: How many augmented pictures of each image the cache holds; the epochs
            take them in turn. Without augmentation there is one.
        max_unreadable: Largest share of unreadable files that is put up with.
        seed: Seed of initialisation, order, augmentation, mixing and dropout.
    """

    model: str = "convnext_small"
    architecture: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    head: str | None = None
    dropout: float | None = None
    head_start: str = "random"
    weights: str | None = None
    trainable: str | int = "all"
    train_norms: bool = False
    embedding: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    attributes: tuple[str, ...] = ()
    image_size: int = 224
    square_crop: bool = False
    crop_share: float = 1.0
    epochs: int | None = None
    phases: tuple[Mapping[str, Any], ...] = ()
    batch_size: int = 256
    accumulate_steps: int = 1
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    momentum: float = 0.9
    schedule: str = "cosine"
    warmup_epochs: int = 0
    warmup_learning_rate: float = 0.0
    final_learning_rate: float = 0.0
    decay_epochs: int = 10
    decay_factor: float = 0.1
    label_smoothing: float = 0.0
    focal_gamma: float = 0.0
    class_weighting: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    unmixed_epochs: int = 0
    augment: tuple[str, ...] = ()
    ema: float = 0.0
    early_stopping: int = 0
    monitor: str = "val_accuracy"
    keep: str = "best"
    train_on_validation: bool = False
    precision: str = "auto"
    cache_features: bool = False
    feature_variants: int = 1
    max_unreadable: float = 0.05
    seed: int = 0

    def __post_init__(self):
        for name in ("augment", "attributes"):
            names = getattr(self, name)
            if names is None or isinstance(names, str):
                object.__setattr__(self, name, (names,) if names else ())
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            _check_type(field.name, value)
            # Keras makes whole rates of a schedule that is given whole numbers.
            if isinstance(value, int) and field.type in ("float", "float | None"):
                object.__setattr__(self, field.name, float(value))
        # Through JSON, as a run reads it back: a tuple becomes a list.
        architecture = json.loads(json.dumps(dict(self.architecture)))
        object.__setattr__(self, "architecture", architecture)
        embedding = dict(self.embedding)
        if embedding:  # with the values of what is left out
            embedding = dataclasses.asdict(embedding_options(embedding))
        object.__setattr__(self, "embedding", embedding)
        for name in ("augment", "attributes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._settle_epochs()
        augmentation(self.augment)  # refuses an unknown one
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"`{name}` must be one of {list(choices)}. "
                    f"Received: {name}={getattr(self, name)!r}."
                )
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not value >= low or (high is not None and value >= high):  # NaN too
                rule = f"at least {low}" if high is None else f"in [{low}, {high})"
                raise ValueError(f"`{name}` must be {rule}. Received: {name}={value}.")
        self._check_combinations()
        if self.phases:
            self.parts()  # checks each phase as a recipe of its own

    def _settle_epochs(self) -> None:
        """Checks the phases' form and makes ``epochs`` a number."""
        phases = tuple(json.loads(json.dumps([dict(phase) for phase in self.phases])))
        object.__setattr__(self, "phases", phases)
        for index, phase in enumerate(phases):
            for key in phase:
                if key not in PHASE_KEYS:
                    raise ValueError(
                        f"A phase has the keys {list(PHASE_KEYS)}. "
                        f"Received: {key!r} in phase {index}.{suggest(key, PHASE_KEYS)}"
                    )
            if not isinstance(phase.get("epochs"), int):
                raise ValueError(
                    "Every phase must say its `epochs`, a whole number. "
                    f"Received: phase {index} is {phase}."
                )
        total = sum(phase["epochs"] for phase in phases) if phases else DEFAULT_EPOCHS
        if self.epochs is None:
            object.__setattr__(self, "epochs", total)
        elif phases and self.epochs != total:
            raise ValueError(
                "With phases, `epochs` is the sum of theirs. "
                f"Received: epochs={self.epochs} where the phases have {total}. "
                "Change a phase, for instance phases.0.epochs."
            )

    def _check_combinations(self) -> None:
        epochs = self.total_epochs
        for key, reason in NOT_FOR_EMBEDDINGS.items():
            if self.embedding and getattr(self, key):
                raise ValueError(
                    f"An embedding is learnt without `{key}`: {reason}. "
                    f"Received: {key}={getattr(self, key)!r} with embedding={self.embedding}. "
                    "Leave one of them out."
                )
        if not 0 < self.crop_share <= 1:
            raise ValueError(
                f"`crop_share` must be in (0, 1]. Received: crop_share={self.crop_share}."
            )
        if self.unmixed_epochs and not (self.mixup or self.cutmix):
            raise ValueError(
                "`unmixed_epochs` ends mixing, and there must be some. Received: "
                f"unmixed_epochs={self.unmixed_epochs}, mixup=0, cutmix=0. Leave it out."
            )
        if self.unmixed_epochs > epochs:
            raise ValueError(
                "`unmixed_epochs` must be at most `epochs`. "
                f"Received: unmixed_epochs={self.unmixed_epochs}, epochs={epochs}."
            )
        if self.warmup_epochs and self.warmup_epochs >= epochs:
            raise ValueError(
                "`warmup_epochs` must be fewer than `epochs`. "
                f"Received: warmup_epochs={self.warmup_epochs}, epochs={epochs}."
            )
        if self.warmup_epochs and self.schedule in ("step", "plateau"):
            raise ValueError(
                "Only the schedules 'cosine' and 'constant' have a warm-up. "
                f"Received: warmup_epochs={self.warmup_epochs}, schedule={self.schedule!r}."
            )
        if self.cached and (self.mixup or self.cutmix):
            raise ValueError(
                "Cached features cannot be mixed. "
                f"Received: mixup={self.mixup}, cutmix={self.cutmix}, cache_features=True. "
                "Set mixup=0 and cutmix=0, or cache_features=false."
            )
        random = self.augment or self.square_crop
        if self.cached and random and self.feature_variants == 1 and epochs > 1:
            raise ValueError(
                "With one cached picture an image, every epoch would show the same augmentation. "
                f"Received: feature_variants=1, epochs={epochs}, augment={self.augment}, "
                f"square_crop={self.square_crop}. Say feature_variants={epochs} for a new one each "
                "epoch, or leave the augmentation out."
            )
        if isinstance(self.trainable, str) and self.trainable not in ("all", "head"):
            raise ValueError(
                "`trainable` must be 'all', 'head' or a number of layers. "
                f"Received: trainable={self.trainable!r}."
            )
        if not isinstance(self.trainable, str) and self.trainable < 1:
            raise ValueError(
                "A number of trainable layers must be at least 1. "
                f"Received: trainable={self.trainable}. Say 'head' to train no other."
            )

    @property
    def total_epochs(self) -> int:
        """``epochs`` as the number that it is once the recipe is made."""
        assert self.epochs is not None
        return self.epochs

    @property
    def cached(self) -> bool:
        """Whether the head learns on cached features, in a recipe without phases."""
        return self.cache_features and self.trainable == "head" and not self.phases

    def crop(self, training: bool) -> Crop | None:
        """The region of each image that is trained on, or that the trained model is given."""
        if not self.square_crop:
            return Crop(self.crop_share, shape="image") if self.crop_share < 1 else None
        return Crop(self.crop_share, position="random" if training else "center")

    def parts(self) -> list[Recipe]:
        """One recipe a phase, each with the phase's own options and without phases."""
        if not self.phases:
            return [self]
        # Mixing ends before the end of the whole, which no phase knows.
        common = {"phases": (), "unmixed_epochs": 0}
        parts = []
        for index, phase in enumerate(self.phases):
            try:
                parts.append(dataclasses.replace(self, **{**common, **phase}))
            except ValueError as error:
                raise ValueError(f"In phase {index}: {error}") from error
        return parts

    def replace(self, **changes) -> Recipe:
        """A recipe with some keys changed.

        Args:
            **changes: Keys and values. ``architecture`` and ``embedding`` are merged, not
                replaced, and so is a phase that is given by its number,
                ``phases={1: {"learning_rate": 1e-5}}``. With another ``embedding.loss`` the
                margin is that loss's own, unless one is given too.

        Raises:
            ValueError: If a key is unknown (with near names) or a value does not fit.
        """
        known = [field.name for field in dataclasses.fields(self)]
        for name in changes:
            if name not in known:
                raise ValueError(
                    f"A recipe has the keys {known}. Received: {name!r}.{suggest(name, known)}"
                )
        if isinstance(changes.get("embedding"), Mapping):
            before = kept_options(self.embedding, changes["embedding"].get("loss"))
            changes["embedding"] = {**before, **changes["embedding"]}
        if isinstance(changes.get("architecture"), Mapping):
            changes["architecture"] = {**self.architecture, **changes["architecture"]}
        if isinstance(changes.get("phases"), Mapping):
            changes["phases"] = self._merged_phases(changes["phases"])
        if changes.get("phases") and "epochs" not in changes:
            changes["epochs"] = None  # their sum
        if "unmixed_epochs" in changes or not self.unmixed_epochs:
            return dataclasses.replace(self, **changes)
        changed = dataclasses.replace(self, **changes, unmixed_epochs=0)
        if not changed.mixup and not changed.cutmix:
            return changed
        unmixed = self.unmixed_epochs
        if changed.total_epochs != self.total_epochs:  # the same share, rounded up
            unmixed = -(-unmixed * changed.total_epochs // self.total_epochs)
            unmixed = min(unmixed, changed.total_epochs - 1)
        return dataclasses.replace(changed, unmixed_epochs=unmixed)

    def _merged_phases(self, changes: Mapping) -> tuple[dict, ...]:
        phases = [dict(phase) for phase in self.phases]
        for key, values in changes.items():
            number = str(key)
            if not number.isdecimal() or int(number) >= len(phases):
                raise ValueError(
                    f"A phase is one of the {len(phases)} of the recipe, counted from 0. "
                    f"Received: phase {key!r}."
                )
            phases[int(number)].update(values)
        return tuple(phases)

    def to_json(self) -> str:
        """The recipe as indented JSON; `Recipe.from_json` reads it back equal."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Reads what `to_json` wrote; unknown keys are a ValueError with near names."""
        values = json.loads(text)
        if not values.get("mixup") and not values.get("cutmix"):
            values.pop("unmixed_epochs", None)  # older files may have some where nothing is mixed
        return cls().replace(**values)


def parse_changes(words: list[str]) -> dict[str, Any]:
    """Reads ``key=value`` words, as the shell gives them.

    Args:
        words: For instance ``["batch_size=64", "architecture.drop_path=0.1", "augment=face"]``.
            Values are JSON where they can be read as such, ``none`` is None, a comma makes a
            list, everything else is a string.

    Returns:
        Nested keyword arguments for `Recipe.replace`; ``phases.1.epochs=5`` becomes
        ``{"phases": {"1": {"epochs": 5}}}``.

    Raises:
        ValueError: If a word has no ``=`` or goes deeper into a key than it has parts.

    Example:
        >>> parse_changes(["epochs=3", "architecture.stem=patchify"])
        {'epochs': 3, 'architecture': {'stem': 'patchify'}}
    """
    changes: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise ValueError(
                f"A change must be key=value, for instance batch_size=64. Received: {word!r}."
            )
        *parents, last = key.split(".")
        deep = parents in ([], ["architecture"], ["embedding"]) or (
            parents[0] == "phases" and len(parents) == 2
        )
        if not deep:
            raise ValueError(
                "Only `architecture`, `embedding` and the phases have keys of their own, for "
                "instance architecture.drop_path and phases.0.epochs. "
                f"Received: {key!r}.{suggest(key, ['architecture', 'embedding', 'phases'])}"
            )
        target = changes
        for parent in parents:
            target = target.setdefault(parent, {})
            if not isinstance(target, dict):
                raise ValueError(f"`{parent}` takes options by name. Received: {word!r}.")
        target[last] = _parse_value(text)
    return changes


def _parse_value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    if text.lower() in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[text.lower()]
    if "," in text:
        return [_parse_value(part.strip()) for part in text.split(",") if part.strip()]
    return text


def _check_type(name: str, value: Any) -> None:
    """Whether a value has its field's type; an int passes for a float, a bool for no number."""
    hint = typing.get_type_hints(Recipe)[name]
    origin = typing.get_origin(hint)
    if name == "phases":
        fits = isinstance(value, (list, tuple))
        fits = fits and all(isinstance(phase, Mapping) for phase in value)
    elif origin is tuple:
        fits = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    elif name in ("architecture", "embedding"):
        fits = isinstance(value, Mapping)
    else:
        kinds = typing.get_args(hint) or (hint,)
        kinds = (*kinds, int) if float in kinds else kinds
        fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    if not fits:
        words = {
            "architecture": "options by name",
            "embedding": "options by name",
            "attributes": "a list of names",
            "augment": "a list of names",
            "phases": "a list of phases, each options by name",
            "head": "a name or none",
            "dropout": "a number or none",
            "weights": "'imagenet', a file or none",
            "trainable": "'all', 'head' or a number of layers",
            "epochs": "a whole number",
        }
        kind = {int: "a whole number", float: "a number", str: "a name", bool: "true or false"}
        rule = words.get(name) or kind[hint]
        raise ValueError(f"`{name}` must be {rule}. Received: {name}={value!r}.")
