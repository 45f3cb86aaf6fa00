"""Runs of embedding models: recipe, checkpoint, folder, report."""

import dataclasses
import json
import shutil
import warnings

import keras
import numpy as np
import pytest

import kerasface
from kerasface.data import FaceTable
from kerasface.embedding.centers import ClassCenters
from kerasface.embedding.options import EmbeddingOptions, embedding_options
from kerasface.embedding.training import EmbeddingTraining
from kerasface.runs.embedding_evaluation import evaluate_embeddings
from kerasface.runs.recipe import Recipe
from kerasface.runs.recipe_changes import parse_changes
from kerasface.runs.recipes import named_recipe
from kerasface.training.assemble import build_model
from kerasface.training.embedding_head import build_head, start_centers
from kerasface.training.job import Job

TINY = Recipe(
    model="convnext_nano",
    architecture={"channels": [8], "blocks_per_stage": [1]},
    head="pool",
    image_size=16,
    epochs=3,
    batch_size=8,
    # With everything that a checkpoint must hold: steps, averages, sampled rows and their sums.
    embedding={
        "dimensions": 6,
        "loss": "adaface",
        "scale": 16.0,
        "margin": 0.2,
        "margin_warmup_epochs": 1.5,
        "subcenters": 2,
        "class_share": 0.5,
    },
    ema=0.5,
    keep="last",
)


class Stop(keras.callbacks.Callback):
    """Interrupts the process in the middle of the last epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 2 and batch == 1:
            raise KeyboardInterrupt


def train(tables, out, recipe=TINY, **options):
    options = {"report": False, "verbose": 0, **options}
    return kerasface.train(recipe, train=tables[0], validation=tables[1], out=out, **options)


@pytest.fixture(scope="module")
def finished(tables, tmp_path_factory):
    return train(tables, tmp_path_factory.mktemp("runs") / "faces", report=True)


def test_the_folder_holds_an_embedding_model(finished, tables):
    assert finished.embeds and finished.names == tables[0].names
    assert set(finished.history) >= {"accuracy", "loss", "val_accuracy", "val_loss"}
    model = keras.saving.load_model(finished.path("model.keras"))
    assert model.output_shape == (None, 6)
    assert isinstance(model.layers[-1], keras.layers.UnitNormalization)
    vectors = kerasface.embed(tables[1], model=finished)
    assert vectors.shape == (12, 6)
    metrics = json.loads((finished.path("validation") / "metrics.json").read_text())
    assert metrics["genuine"] == metrics["impostor"] == 12
    page = finished.path("report.html").read_text()
    assert "Equal error rate" in page and "pairs of validation images are decided" in page
    assert "Strangers are harder" in page
    files = ("roc.png", "worst_pairs.png", "pairs.csv", "per_fold.csv", "operating_points.csv")
    for name in files:
        assert (finished.path("validation") / name).is_file()


def test_the_figures_are_those_of_the_kept_weights(finished, tables):
    vectors = kerasface.embed(tables[1], model=finished)
    labels = tables[1].labels
    pairs = kerasface.data.folder_pairs(tables[1])
    scores = (vectors[pairs.rows[:, 0]] * vectors[pairs.rows[:, 1]]).sum(axis=1)
    expected = kerasface.metrics.verification.evaluate(scores, pairs.same, bootstrap=2)
    metrics = json.loads((finished.path("validation") / "metrics.json").read_text())
    assert metrics["auc"] == pytest.approx(expected.metrics["auc"], abs=1e-6)
    assert len(labels) == 12


def test_resume_gives_the_uninterrupted_result(finished, tables, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tables, tmp_path / "stopped", callbacks=[Stop()])
    again = train(tables, tmp_path / "stopped", resume=True)
    columns = ["loss", "accuracy", "val_loss", "val_accuracy"]
    np.testing.assert_allclose(again.history[columns], finished.history[columns], rtol=1e-5)
    weights = (run.load_model().get_weights() for run in (again, finished))
    for found, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_phases_share_the_centers(tables, tmp_path, monkeypatch):
    made, frozen = [], []

    def noting(embedder, head, *, frozen_backbone):
        made.append(head)
        frozen.append(frozen_backbone)
        return EmbeddingTraining(embedder, head, frozen_backbone=frozen_backbone)

    monkeypatch.setattr("kerasface.training.phases.EmbeddingTraining", noting)
    phases = ({"epochs": 1, "trainable": "head"}, {"epochs": 1, "learning_rate": 1e-4})
    recipe = TINY.replace(phases=phases, ema=0.0, embedding={"class_share": 1.0})
    run = train(tables, tmp_path / "run", recipe)
    assert run.history["epoch"].tolist() == [1, 2]
    assert made[0] is made[1] and isinstance(made[0], ClassCenters)
    assert frozen == [True, False]
    assert int(made[0].margin.step) == 6  # three a phase


def test_what_an_embedding_run_is_not_for(finished, tables, tmp_path):
    with pytest.raises(ValueError, match="predicts no classes"):
        finished.predict(tables[1])
    other = shutil.copytree(finished.folder, tmp_path / "other")
    with pytest.raises(ValueError, match="an embedding model"):
        kerasface.compare([finished, other], tmp_path / "compare.html")
    attributes = FaceTable("f", ["1.jpg"], [[1, 0]], ["a", "b"])
    with pytest.raises(ValueError, match="needs one class per image"):
        kerasface.train(TINY, train=attributes, out=tmp_path / "run")


def test_evaluation_without_enough_pairs_is_empty(finished, tables, tmp_path):
    for rows, words in (([0, 3, 6], "no pairs"), ([0, 1, 3], "too few pairs to evaluate: 1 gen")):
        evaluation = evaluate_embeddings(finished, tables[1].take(rows), tmp_path / "out")
        assert evaluation.metrics == {} and words in evaluation.empty
    assert not (tmp_path / "out").exists()


def test_triplets_want_pairs_in_a_batch(tables):
    few = TINY.replace(embedding={"loss": "triplets"}, batch_size=2)
    with pytest.warns(
        UserWarning, match=r"0\.25 pairs of one person per batch of 2 images.*batch_size"
    ):
        build_head(few, tables[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build_head(few.replace(batch_size=4), tables[0])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("dimensions", 4),
        ("loss", "arcface"),
        ("scale", 8.0),
        ("margin", 0.1),
        ("margin_warmup_epochs", 0),
        ("subcenters", 3),
        ("class_share", 0.9),
        ("center_learning_rate", 0.3),
    ],
)
def test_every_option_changes_the_head(tables, key, value):
    base = TINY

    def described(recipe):
        head = build_head(recipe, tables[0])
        margin = head.margin.margin
        rate = getattr(head, "learning_rate", None)
        return (
            type(head).__name__,
            type(head.margin).__name__,
            head.centers.shape,
            head.margin.scale,
            margin if isinstance(margin, float) else margin.get_config(),
            getattr(head, "count", None),
            rate,
        )

    assert described(base) != described(base.replace(embedding={key: value}))


def test_centers_start_at_the_means(tables, tmp_path):
    train_table = tables[0]
    recipe = TINY.replace(embedding={"class_share": 1.0, "center_start": "means"})
    model = build_model(recipe, 4)
    head = build_head(recipe, train_table)
    before = np.array(head.centers)
    job = Job(recipe, tmp_path, model, train_table, None, tmp_path)
    start_centers(job, head, pytest.fail)
    labels = np.asarray(train_table.labels)
    vectors = kerasface.embed(train_table, model=model)
    means = np.stack([vectors[labels == label].sum(axis=0) for label in range(4)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    found = np.array(head.centers)
    np.testing.assert_allclose(found[:, 0], means, atol=1e-4)
    np.testing.assert_array_equal(found[:, 1], before[:, 1])  # the second one stays random
    head.centers.assign(before)
    start_centers(dataclasses.replace(job, recipe=TINY), head, pytest.fail)
    np.testing.assert_array_equal(head.centers, before)


def test_options_by_name_and_as_json():
    assert Recipe.from_json(TINY.to_json()) == TINY
    assert TINY.embedding["loss"] == "adaface" and TINY.embedding["center_learning_rate"] == 0.1
    assert parse_changes(["embedding.scale=30", "embedding.loss=cosface"]) == {
        "embedding": {"scale": 30, "loss": "cosface"}
    }
    assert embedding_options({}) == EmbeddingOptions()
    softmax, arcface = named_recipe("embedding_softmax"), named_recipe("embedding_arcface")
    assert (softmax.embedding["loss"], arcface.embedding["loss"]) == ("normface", "arcface")
    assert softmax.replace(embedding=arcface.embedding) == arcface


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": 0}, "integer of at least 1. Received: embedding.dimensions=0"),
        ({"dimensions": 2.5}, "`embedding.dimensions` must be an integer of at least 1"),
        ({"loss": "arcfaces"}, "Did you mean 'arcface'"),
        ({"scale": 0}, "`embedding.scale` must be a number of at least 0.001"),
        ({"margin": 2}, r"`embedding.margin` must be a number in \[0, 1.5708\]"),
        ({"loss": "normface", "margin": 0.1}, r"in \[0, 0\]"),
        ({"class_share": 0}, r"`embedding.class_share` must be a number in"),
        ({"class_share": True}, r"`embedding.class_share` must be a number in"),
        ({"loss": "triplets", "subcenters": 2}, "Triplets have no centers"),
        ({"loss": "triplets", "margin": 0}, "`embedding.margin` must be a number in"),
        ({"sclae": 3}, "Did you mean 'scale'"),
    ],
)
def test_refused_options(options, message):
    with pytest.raises(ValueError, match=message):
        embedding_options(options)


@pytest.mark.parametrize("loss", ["adaface", "cosface", "normface", "triplets"])
def test_another_loss_has_its_own_margin(loss):
    recipe = named_recipe("embedding_arcface").replace(embedding={"loss": loss})
    assert recipe.embedding["margin"] is None and recipe.embedding["dimensions"] == 256
    assert recipe.embedding["margin_warmup_epochs"] == (0 if loss == "triplets" else 4)
    given = recipe.replace(embedding={"loss": "cosface", "margin": 0.2})
    assert given.embedding["margin"] == 0.2
    assert given.replace(embedding={"scale": 9.0}).embedding["margin"] == 0.2
