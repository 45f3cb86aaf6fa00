"""A last layer that starts from the linear discriminant of the features."""

import keras
import numpy as np
import pytest

import kerasface
from kerasface.embedding.discriminant import discriminant_classifier
from kerasface.models import build
from kerasface.runs.recipe import Recipe
from kerasface.training.discriminant import linear_layer
from kerasface.training.features import extract

SMALL = {"channels": (8,), "blocks_per_stage": (1,), "input_shape": (16, 16, 3)}


@pytest.mark.parametrize("head", ["double", "mlp", "cosine"])
def test_other_heads_are_refused(head):
    with pytest.raises(ValueError, match=r"Received: .*head.*Use head='pool'"):
        linear_layer(build("convnext_nano", 4, head=head, **SMALL))


def test_embeddings_and_attributes_are_refused():
    with pytest.raises(ValueError, match="needs classes"):
        linear_layer(build("convnext_nano", embedding=8, **SMALL))
    with pytest.raises(ValueError, match="Received: attributes"):
        linear_layer(build("convnext_nano", 4, head="pool", **SMALL), multi_label=True)


@pytest.mark.parametrize(
    ("start", "versions", "shrinkage"),
    [
        ("lda", [((), 1), (("flip:1",), 1), (("flip", "crop:0.7"), 4)], 0.1),
        ("lda_mirrored", [((), 1), (("flip:1",), 1)], 0.5),
    ],
)
def test_run_starts_from_the_discriminant(
    start, versions, shrinkage, tables, tmp_path, empty_pictures
):
    train, validation = tables
    recipe = Recipe(
        model="convnext_nano",
        architecture={"channels": [8], "blocks_per_stage": [1]},
        head="pool",
        head_start=start,
        image_size=16,
        epochs=1,
        batch_size=8,
        optimizer="sgd",
        learning_rate=0.0,
        weight_decay=0.0,
        trainable="head",
    )
    parts = {"train": train, "validation": validation, "report": False}
    run = kerasface.train(recipe, out=tmp_path / "run", **parts)
    model = keras.saving.load_model(run.path("model.keras"))
    backbone = keras.Model(model.input, model.get_layer("head_logits").input)
    options = {"image_size": 16, "batch_size": 8}
    pictures = np.concatenate(
        [
            extract(backbone, train, tmp_path, augment=augment, variants=variants, **options).values
            for augment, variants in versions
        ]
    ).astype(np.float32)
    features = pictures[0]
    kernel, bias = discriminant_classifier(pictures, train.labels, len(train.names), shrinkage)
    expected = features @ kernel + bias
    found = model.get_layer("head_logits")(features).numpy()
    np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.05)  # features in float16
    again = kerasface.train(recipe, out=tmp_path / "run", resume=True, **parts)
    assert again.metrics["last"] == run.metrics["last"]


def test_other_heads_are_refused_before_a_run_is_written(tables, tmp_path):
    recipe = Recipe(model="convnext_nano", head="double", head_start="lda", image_size=16, epochs=1)
    with pytest.raises(ValueError, match="Use head='pool'"):
        kerasface.train(recipe, train=tables[0], out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
