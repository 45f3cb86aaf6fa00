"""Recipes: checks, changes, JSON, and that every key changes a run."""

import dataclasses
import json

import keras
import numpy as np
import pandas as pd
import pytest

from kerasface import runs, training
from kerasface.data import FaceTable
from kerasface.embedding.training import EmbeddingTraining
from kerasface.pipeline import stream
from kerasface.pipeline.augment import augmentation
from kerasface.runs.other_names import OTHER_NAMES, OWN_NAME
from kerasface.runs.recipe import Recipe
from kerasface.runs.recipe_changes import parse_changes
from kerasface.runs.recipe_keys import NOT_FOR_EMBEDDINGS, PHASE_KEYS
from kerasface.runs.recipe_needs import NEEDS as NEEDED
from kerasface.runs.recipe_needs import PHASE_NEEDS, idle_keys
from kerasface.training.assemble import build_model, build_optimizer
from kerasface.training.features import HeadTraining

TINY = Recipe(
    model="convnext_nano",
    architecture={"channels": [8], "blocks_per_stage": [2]},
    image_size=16,
    epochs=4,
    batch_size=4,
    warmup_epochs=1,
    warmup_learning_rate=1e-4,
    final_learning_rate=1e-5,
    label_smoothing=0.1,
    augment=("flip",),
)
# For every key another value than TINY's.
OTHER = {
    "model": "convnext_small",
    "architecture": {"drop_path": 0.1},
    "head": "pool",
    "dropout": 0.5,
    "head_start": "lda",
    "weights": "model.keras",
    "trainable": "head",
    "train_norms": True,
    "embedding": {"dimensions": 4, "loss": "normface"},
    "attributes": ("Smiling",),
    "image_size": 24,
    "square_crop": True,
    "crop_share": 0.5,
    "epochs": 5,
    "phases": ({"epochs": 2, "learning_rate": 1e-4}, {"epochs": 2}),
    "batch_size": 3,
    "accumulate_steps": 2,
    "optimizer": "sgd",
    "learning_rate": 2e-3,
    "weight_decay": 0.1,
    "momentum": 0.5,
    "schedule": "constant",
    "warmup_epochs": 2,
    "warmup_learning_rate": 2e-4,
    "final_learning_rate": 1e-4,
    "decay_epochs": 2,
    "decay_factor": 0.5,
    "label_smoothing": 0.2,
    "focal_gamma": 2.0,
    "class_weighting": 1.0,
    "mixup": 0.5,
    "cutmix": 0.5,
    "unmixed_epochs": 4,
    "augment": ("rotation",),
    "ema": 0.9,
    "early_stopping": 1,
    "monitor": "val_loss",
    "keep": "last",
    "train_on_validation": True,
    "precision": "mixed_bfloat16",
    "cache_features": True,
    "feature_variants": 2,
    "max_unreadable": 0.5,
    "seed": 1,
}
# What must hold for a key to be read at all.
NEEDS = {
    "head_start": {"head": "pool"},
    "embedding": {"label_smoothing": 0.0},
    "momentum": {"optimizer": "sgd"},
    "unmixed_epochs": {"mixup": 1.0},
    "train_norms": {"phases": ({"epochs": 2, "trainable": "head"}, {"epochs": 2})},
    "cache_features": {"trainable": "head", "augment": ()},
    "feature_variants": {"trainable": "head", "cache_features": True, "epochs": 2},
    "decay_epochs": {"schedule": "step"},
    "decay_factor": {"schedule": "step", "decay_epochs": 2},
}


# How each key loses its effect.
WITHOUT = {
    "momentum": {"optimizer": "adam"},
    "warmup_epochs": {"schedule": "step"},
    "warmup_learning_rate": {"warmup_epochs": 0},
    "final_learning_rate": {"schedule": "constant"},
    "decay_epochs": {"schedule": "cosine"},
    "decay_factor": {"schedule": "cosine"},
    "unmixed_epochs": {"mixup": 0},
    "cache_features": {"trainable": "all"},
    "feature_variants": {"cache_features": False},
    "train_norms": {"phases": (), "epochs": 4},
}


def test_unmixed_epochs_keep_their_share_of_the_epochs():
    recipe = Recipe(epochs=30, mixup=1.0, unmixed_epochs=10)
    assert recipe.replace(seed=3).unmixed_epochs == 10
    assert [recipe.replace(epochs=n).unmixed_epochs for n in (60, 10, 3, 1)] == [20, 4, 1, 0]
    assert recipe.replace(epochs=9, unmixed_epochs=1).unmixed_epochs == 1
    assert recipe.replace(mixup=0.0).unmixed_epochs == 0
    phased = recipe.replace(phases=({"epochs": 4}, {"epochs": 2}))
    assert (phased.epochs, phased.unmixed_epochs) == (6, 2)


def test_every_key_has_another_value():
    assert list(OTHER) == [field.name for field in dataclasses.fields(Recipe)]


def described(loss):
    """A loss with all that it holds; the embeddings' is in their model."""
    return json.dumps([type(loss).__name__, vars(loss) if loss else None], default=str)


class CannedFit:
    """Stands in for ``Model.fit``: no training, but everything that decides one is noted."""

    ACCURACY = (0.5, 0.9, 0.6, 0.7, 0.8)
    LOSS = (2.0, 1.5, 1.4, 1.6, 1.7)

    def __init__(self):
        self.notes = {}
        self.streams = {}
        self.pictures = {}
        self.kept = []

    def stream(self, table, *, on_unreadable, **options):
        """The real one, which is made once for the same arguments: that takes most of the time."""
        key = (len(table), json.dumps(options, default=str))
        if key not in self.streams:
            self.streams[key] = stream(table, **options)
        return self.streams[key]

    def look_at(self, batches, steps):
        """What a stream holds: its first batch and that of the second epoch."""
        if id(batches) not in self.pictures:
            (images, labels, _), *others = batches.take(steps + 1)
            self.kept.append(batches)  # so that no other one gets its number
            self.pictures[id(batches)] = {
                "images": images.numpy().tobytes(),
                "labels": labels.numpy().tobytes(),
                "later images": [later.numpy().tobytes() for later, _, _ in others[steps - 1 :]],
            }
        return self.pictures[id(batches)]

    def __call__(
        self,
        model,
        batches,
        *,
        epochs,
        initial_epoch,
        steps_per_epoch,
        validation_data,
        callbacks,
        **options,
    ):
        optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        optimizer.build(model.trainable_variables)
        parts = [model.backbone, model.head] if isinstance(model, HeadTraining) else [model]
        parts = [model.embedder] if isinstance(model, EmbeddingTraining) else parts
        self.notes = {
            "network": [part.to_json() for part in parts],
            "weights": [float(np.sum(np.abs(value))) for value in model.get_weights()],
            "optimizer": type(optimizer).__name__ + json.dumps(optimizer.get_config(), default=str),
            "loss": described(model.loss),
            **self.look_at(batches, steps_per_epoch),
            "judged": validation_data is not None,
            "saved": [],
        }
        model.stop_training = False
        for callback in callbacks:
            callback.set_model(model)
            callback.on_train_begin()
        keeper = callbacks[-1]
        for epoch in range(initial_epoch, min(epochs, 5)):
            logs = {"loss": 1.0, "accuracy": 0.5}
            if validation_data is not None:
                logs |= {"val_accuracy": self.ACCURACY[epoch], "val_loss": self.LOSS[epoch]}
            for callback in callbacks:
                callback.on_epoch_begin(epoch)
            self.notes["ended"] = epoch
            path = keeper.folder / "model.keras"
            before = path.stat().st_mtime_ns if path.exists() else 0
            for callback in callbacks:
                callback.on_epoch_end(epoch, dict(logs))
            if path.exists() and path.stat().st_mtime_ns != before:
                self.notes["saved"].append(epoch)
            if model.stop_training:
                break


@pytest.fixture
def noted(tmp_path, tables, monkeypatch, empty_pictures):
    """A function from a recipe to what its training would do."""
    canned = CannedFit()
    monkeypatch.setattr(
        keras.Model, "fit", lambda model, *args, **kwargs: canned(model, *args, **kwargs)
    )
    monkeypatch.setattr("kerasface.training.batches.stream", canned.stream)

    def note(recipe, name):
        train, validation = tables
        # Names count up from one run to the next.
        keras.utils.clear_session(free_memory=False)
        with monkeypatch.context() as patch:
            # When a file of weights is written is noted, and what is in it is not.
            patch.setattr(keras.Model, "save", lambda model, path: path.touch())
            options = {"validation": validation, "out": tmp_path / name, "report": False}
            training.train(recipe, train=train, **options)
        return canned.notes

    return note


def test_every_key_changes_a_run(noted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(7)
    build_model(TINY, 4).save(OTHER["weights"])
    base = noted(TINY, "base")
    assert noted(TINY, "again") == base
    unchanged = []
    for key, value in OTHER.items():
        if key in ("max_unreadable", "attributes", "square_crop", "feature_variants"):
            continue  # see test_max_unreadable, test_attribute_runs.py and test_features.py
        recipe = TINY.replace(**NEEDS.get(key, {}))
        before = noted(recipe, f"{key} before") if key in NEEDS else base
        if noted(recipe.replace(**{key: value}), key) == before:
            unchanged.append(key)
    assert unchanged == []


def test_max_unreadable(noted, tables, tmp_path):
    train, _ = tables
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    paths = np.append(np.array(train.full_paths(), dtype=object), str(tmp_path / "broken.jpg"))
    table = FaceTable("/", paths, np.append(train.labels, 0), train.names)
    with pytest.raises(ValueError, match=r"At most 1% .*broken\.jpg"):
        training.train(TINY, train=table, out=tmp_path / "strict", max_unreadable=0.01)
    short = TINY.replace(epochs=1, warmup_epochs=0, augment=(), max_unreadable=0.5)
    run = training.train(short, train=table, out=tmp_path / "lenient", report=False)
    listed = pd.read_csv(run.path("unreadable.csv"))
    assert listed["path"].tolist() == [str(tmp_path / "broken.jpg").lstrip("/")] or (
        listed["path"].tolist() == [str(tmp_path / "broken.jpg")]
    )


def test_json_round_trip():
    recipe = TINY.replace(augment=["face", "random_erasing:0.5"], head="pool")
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("nothing", [None, "", (), "none", ["none"]])
def test_no_augmentation(nothing):
    assert augmentation(TINY.replace(augment=nothing).augment).steps == ()


def test_architecture_is_as_json_gives_it_back():
    recipe = TINY.replace(architecture={"channels": (8, 16)})
    assert recipe.architecture["channels"] == [8, 16]
    assert Recipe.from_json(recipe.to_json()) == recipe


TWO_PHASES = TINY.replace(
    phases=[{"epochs": 2, "trainable": "head"}, {"epochs": 3, "learning_rate": 1e-5}]
)


def test_phases_are_recipes_of_their_own():
    assert TWO_PHASES.epochs == 5
    first, second = TWO_PHASES.parts()
    assert (first.epochs, first.trainable, first.learning_rate) == (2, "head", 1e-3)
    assert (second.epochs, second.trainable, second.learning_rate) == (3, "all", 1e-5)
    assert first.phases == second.phases == ()
    assert Recipe.from_json(TWO_PHASES.to_json()) == TWO_PHASES
    assert TINY.parts() == [TINY]


def test_phases_are_merged_by_number():
    changed = TWO_PHASES.replace(phases={"1": {"epochs": 4}})
    assert changed.epochs == 6
    assert changed.phases[1] == {"epochs": 4, "learning_rate": 1e-5}
    assert changed.phases[0] == TWO_PHASES.phases[0]
    with pytest.raises(ValueError, match="a recipe with 2 phases"):
        TWO_PHASES.replace(phases={"2": {"epochs": 4}})
    with pytest.raises(ValueError, match=r"Change a phase, for instance phases\.0\.epochs"):
        TWO_PHASES.replace(epochs=9, phases={"1": {"epochs": 4}})


@pytest.mark.parametrize(
    ("epochs", "parts"), [(1, [1]), (2, [1, 1]), (4, [2, 2]), (10, [4, 6]), (5, [2, 3])]
)
def test_phases_keep_their_proportions(epochs, parts):
    recipe = TWO_PHASES.replace(epochs=epochs)
    assert recipe.epochs == epochs
    assert [part.epochs for part in recipe.parts()] == parts
    assert recipe.parts()[-1].learning_rate == 1e-5


@pytest.mark.parametrize("name", sorted(runs.RECIPES))
@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_few_epochs_fit_every_recipe(name, epochs):
    steps = 7
    recipe = runs.named_recipe(name).replace(epochs=epochs)
    parts = recipe.parts()
    assert recipe.epochs == sum(part.epochs for part in parts) == epochs
    assert recipe.unmixed_epochs < epochs
    for part in parts:
        rate = build_optimizer(part, steps, [])._learning_rate
        if part.schedule == "cosine":
            # Learned at every step, at the final rate when the phase ends.
            assert [float(rate(step)) > 0 for step in range(1, part.epochs * steps)] == [True] * (
                part.epochs * steps - 1
            )
            end = float(rate(part.epochs * steps))
            assert end == pytest.approx(part.final_learning_rate, abs=1e-9)
        else:
            assert part.schedule == "constant"
        assert part.embedding.get("margin_warmup_epochs", 0) <= epochs


def test_warmup_is_shortened_only_where_it_would_not_fit():
    recipe = Recipe(epochs=60, warmup_epochs=10)
    assert [recipe.replace(epochs=n).warmup_epochs for n in (90, 11, 10, 3)] == [10, 10, 1, 0]
    assert recipe.replace(epochs=5, warmup_epochs=4).warmup_epochs == 4
    phased = recipe.replace(phases=[{"epochs": 40, "warmup_epochs": 20}, {"epochs": 20}])
    assert phased.replace(epochs=6).phases == (
        {"epochs": 4, "warmup_epochs": 2},
        {"epochs": 2, "warmup_epochs": 1},
    )


def test_another_model_starts_without_architecture_options():
    recipe = runs.named_recipe("attributes40_small")
    assert recipe.replace(model="mobilenet_v2").architecture == {}
    changed = recipe.replace(model="convnext_nano", architecture={"drop_path": 0.1})
    assert changed.architecture == {"drop_path": 0.1}
    assert recipe.replace(model=recipe.model).architecture == recipe.architecture


def test_architecture_is_merged():
    recipe = TINY.replace(architecture={"drop_path": 0.1})
    assert recipe.architecture == {**TINY.architecture, "drop_path": 0.1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batchsize": 3}, r"^Use `batch_size` instead of 'batchsize'\. Received: 'batchsize'"),
        ({"learnin_rate": 3}, r"^Did you mean .learning_rate."),
        ({"loss": "arcface"}, r"^Use `embedding\.loss` instead of 'loss'"),
        ({"validation": 0.2}, r"^`validation` is a parameter of kerasface\.train"),
        ({"verbosity": 1}, r"^Use `verbose` \(a parameter of kerasface\.train\)"),
        ({"colour": 1}, r"^Received: 'colour', which is no key.*kerasface recipes NAME"),
        ({"epochs": 0}, "`epochs` must be an integer of at least 1 or None. Received: epochs=0"),
        ({"epochs": 2.5}, "`epochs` must be an integer"),
        ({"epochs": True}, "`epochs` must be an integer"),
        ({"epochs": "many"}, "`epochs` must be an integer"),
        ({"learning_rate": "fast"}, "`learning_rate` must be a number"),
        ({"learning_rate": -1}, "`learning_rate` must be a number of at least 0"),
        ({"ema": 1.0}, r"`ema` must be a number in \[0, 1\)"),
        ({"label_smoothing": 1.5}, r"`label_smoothing` must be a number in \[0, 1\)"),
        ({"optimizer": "lion"}, "`optimizer` must be one of"),
        ({"unmixed_epochs": 5, "mixup": 1.0}, "`unmixed_epochs` must be at most `epochs`"),
        ({"unmixed_epochs": 1}, "`unmixed_epochs` has no effect with mixup=0.0, cutmix=0.0"),
        ({"warmup_epochs": 4}, "`warmup_epochs` must be less than `epochs`"),
        ({"crop_share": 0.0}, r"in \(0, 1\]. Received: crop_share=0.0"),
        ({"crop_share": 1.5, "square_crop": True}, r"in \(0, 1\]. Received: crop_share=1.5"),
        ({"train_on_validation": "perhaps"}, "`train_on_validation` must be True or False"),
        ({"augment": [1]}, "`augment` must be a list of strings"),
        ({"augment": "fliip"}, "Did you mean 'flip'"),
        ({"architecture": 5}, "`architecture` must be a mapping of options"),
        ({"embedding": {"size": 5}}, "The options of `embedding` must be among"),
        ({"embedding": {"margins": 5}}, "Did you mean 'margin'"),
        (
            {"embedding": {"dimensions": 8}},
            "`label_smoothing` must not be set for an embedding: a margin",
        ),
        ({"learning_rate": float("nan")}, "`learning_rate` must be a number of at least 0"),
        ({"seed": -1}, r"`seed` must be an integer in \[0, 4294967296\)"),
        ({"trainable": "tail"}, "`trainable` must be 'all', 'head' or an integer of at least 1"),
        ({"trainable": 0}, "'head' or an integer of at least 1. Received: trainable=0"),
        ({"schedule": "step", "warmup_epochs": 1}, "no effect with schedule='step'"),
        (
            {"cache_features": True, "trainable": "head", "mixup": 0.5},
            "Cached features cannot be mixed",
        ),
        (
            {"cache_features": True, "trainable": "head"},
            "all epochs would use the same augmentation.*Set feature_variants=4",
        ),
        ({"phases": 5}, "`phases` must be a list of mappings"),
        ({"phases": [{"learning_rate": 1}]}, "Every phase must have `epochs`"),
        ({"phases": [{"epochs": 3, "batch_size": 2}]}, "'batch_size' in phase 0"),
        ({"phases": [{"epochs": 3, "trainabel": 2}]}, "Did you mean 'trainable'"),
        (
            {"phases": [{"epochs": 3}, {"epochs": 3, "trainable": -1}]},
            "In phase 1: `trainable` must be",
        ),
        ({"phases": [{"epochs": 3}], "epochs": 4}, "`epochs` must be the sum of theirs"),
        ({"phases": {0: {"epochs": 3}}}, "a recipe with 0 phases"),
    ],
)
def test_wrong_values(changes, message):
    with pytest.raises(ValueError, match=message):
        TINY.replace(**changes)


@pytest.mark.parametrize("key", sorted(NOT_FOR_EMBEDDINGS))
def test_keys_that_embeddings_exclude(key):
    options = {"embedding": {"dimensions": 8}, "label_smoothing": 0.0, "augment": ()}
    embeds = TINY.replace(**options, trainable="head")
    with pytest.raises(ValueError, match=f"`{key}` must not be set for an embedding: "):
        embeds.replace(**{key: OTHER[key]})


def test_phases_override_what_the_optimizer_and_its_schedule_read():
    values = {key: OTHER[key] for key in PHASE_KEYS if not key.startswith(("warmup", "final"))}
    values |= {"epochs": 2, "schedule": "step"}
    recipe = TINY.replace(phases=[values, {"epochs": 2}])
    [first, second] = recipe.parts()
    assert {key: getattr(first, key) for key in values} == values
    assert second == TINY.replace(epochs=2)
    refused = set(OTHER) - set(PHASE_KEYS)
    assert {"model", "weights", "batch_size", "seed", "ema"} < refused


@pytest.mark.parametrize("key", [*NEEDED, *PHASE_NEEDS])
def test_keys_without_an_effect(key):
    recipe = TINY.replace(**WITHOUT[key])
    default = getattr(Recipe(), key)
    assert getattr(recipe, key) == default
    value = OTHER[key]
    with pytest.raises(ValueError, match=f"`{key}` has no effect with .*{key}=.*leave `{key}` out"):
        recipe.replace(**{key: value})
    with pytest.raises(ValueError, match=f"`{key}` has no effect"):
        dataclasses.replace(recipe, **{key: value})
    if default:
        with pytest.raises(ValueError, match=f"`{key}` has no effect"):
            recipe.replace(**{key: default})
    else:
        assert recipe.replace(**{key: default}) == recipe
    # Older files may have such keys.
    text = json.dumps({**json.loads(recipe.to_json()), key: value})
    assert Recipe.from_json(text) == recipe
    # What the key needs gives it an effect, and takes it away again.
    works = TINY.replace(**NEEDS.get(key, {}), **{key: value})
    assert getattr(works, key) == value
    lost = {name: None if name == "epochs" else WITHOUT[key][name] for name in WITHOUT[key]}
    assert getattr(works.replace(**lost), key) == default


def test_keys_without_an_effect_in_phases():
    phases = [{"epochs": 2, "optimizer": "sgd"}, {"epochs": 2}]
    recipe = TINY.replace(phases=phases, momentum=0.5)
    assert [part.momentum for part in recipe.parts()] == [0.5, 0.9]
    with pytest.raises(ValueError, match="`momentum` has no effect"):
        recipe.replace(phases={0: {"momentum": 0.1}, 1: {"momentum": 0.9}})
    with pytest.raises(ValueError, match="In phase 1: `momentum` has no effect"):
        Recipe(phases=[{"epochs": 2}, {"epochs": 2, "momentum": 0.1}])
    assert recipe.replace(phases={0: {"momentum": 0.1}, 1: {"optimizer": "sgd"}}).momentum == 0.5


def test_named_recipes_have_no_key_without_an_effect():
    for name in runs.RECIPES:
        recipe = runs.named_recipe(name)
        assert set(idle_keys(vars(recipe))).isdisjoint(recipe.changed_keys())


def test_every_other_name_leads_to_a_key():
    keys = {field.name for field in dataclasses.fields(Recipe)}
    for own, others in OTHER_NAMES.items():
        assert own.partition(".")[0] in keys
        assert keys.isdisjoint(others)
    assert len(OWN_NAME) == sum(map(len, OTHER_NAMES.values()))  # no name has two meanings


def test_unknown_keyword():
    with pytest.raises(TypeError, match="Use `learning_rate` instead of 'lr'"):
        Recipe(lr=0.1)
    with pytest.raises(ValueError, match=r"Use `learning_rate` instead.* in phase 0"):
        Recipe(phases=[{"epochs": 1, "lr": 1}])


def test_name_of_the_recipe_it_was_made_from():
    recipe = runs.named_recipe("demo")
    assert recipe.name == recipe.replace(epochs=3).name == "demo"
    assert Recipe().name is None and Recipe.from_json(recipe.to_json()).name is None
    assert recipe.named(None) == recipe


def test_describe():
    table = Recipe.describe()
    assert table.loc["head", "default"] is None
    assert set(table.index) == set(OTHER)
    assert table.loc["ema"].tolist()[:2] == ["a number in [0, 1)", 0.0]
    assert table["description"].str.endswith(".").all()
    assert "batch_size: Batch size." in Recipe.__doc__


def test_repr_shows_what_differs():
    assert repr(Recipe()) == repr(Recipe(epochs=60)) == "Recipe()"
    assert repr(Recipe(model="vgg19", ema=0.5)) == "Recipe(model='vgg19', ema=0.5)"
    phased = TINY.replace(phases=[{"epochs": 3}, {"epochs": 2}])
    recipes = [runs.named_recipe(name) for name in runs.RECIPES]
    for recipe in [*recipes, phased]:
        assert eval(repr(recipe)) == recipe


def test_html_table():
    page = Recipe(head="<pool>", ema=0.5)._repr_html_()
    assert "<b>&#x27;&lt;pool&gt;&#x27;</b>" in page and "<b>0.5</b>" in page
    assert page.count("<b>") == 2
    assert page.count("<tr>") == len(OTHER) + 1
    assert "Batch size." in page


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ([], {}),
        (["epochs=3", "learning_rate=1e-3"], {"epochs": 3, "learning_rate": 1e-3}),
        (["head=none", "train_on_validation=true"], {"head": None, "train_on_validation": True}),
        (["augment=face,random_erasing:0.5"], {"augment": ["face", "random_erasing:0.5"]}),
        (["augment=[]"], {"augment": []}),
        (
            ["phases.1.learning_rate=1e-5", "phases.1.epochs=3", "phases.0.trainable=head"],
            {"phases": {"1": {"learning_rate": 1e-5, "epochs": 3}, "0": {"trainable": "head"}}},
        ),
        (["augment=none"], {"augment": None}),
        (
            ["architecture.drop_path=0.1", "architecture.channels=8,16"],
            {"architecture": {"drop_path": 0.1, "channels": [8, 16]}},
        ),
    ],
)
def test_words_from_the_shell(words, changes):
    assert parse_changes(words) == changes


@pytest.mark.parametrize(
    "words",
    [
        ["epochs"],
        ["=3"],
        ["epochs.first=3"],
        ["architecture.a.b=1"],
        ["architecture=5", "architecture.drop_path=1"],
        ["phases.1=3"],
        ["phases.1.epochs.first=3"],
    ],
)
def test_words_that_are_no_change(words):
    with pytest.raises(ValueError, match="Received"):
        parse_changes(words)


@pytest.mark.parametrize("name", sorted(runs.RECIPES))
def test_named_recipes_are_documented(name):
    assert isinstance(runs.named_recipe(name), Recipe)
    assert runs.RECIPES[name].__doc__


def test_unknown_recipe():
    with pytest.raises(ValueError, match=r"'hw2p3'\. Did you mean 'hw2p2'"):
        runs.named_recipe("hw2p3")


def test_the_published_recipe():
    assert runs.named_recipe("hw2p2") == Recipe(
        model="convnext_small",
        architecture={},
        head=None,
        image_size=224,
        epochs=60,
        batch_size=256,
        accumulate_steps=1,
        optimizer="adamw",
        learning_rate=1e-3,
        weight_decay=0.05,
        schedule="cosine",
        warmup_epochs=10,
        warmup_learning_rate=3e-4,
        final_learning_rate=1e-5,
        label_smoothing=0.1,
        mixup=1.0,
        cutmix=0.0,
        unmixed_epochs=10,
        augment=("face",),
        ema=0.0,
        early_stopping=0,
        precision="auto",
    )
