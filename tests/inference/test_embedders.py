"""Embedding models: a linear discriminant after one, and several joined."""

import shutil

import keras
import numpy as np
import pytest

import kerasface
from kerasface.data import FaceTable, folder_pairs, identity_folder
from kerasface.embedding.discriminant import discriminant_directions
from kerasface.inference import embed, embedder, verify_pairs
from kerasface.inference.vectors import unit_rows
from kerasface.pipeline import Crop


def test_discriminant_follows_the_embedding(run, faces, tmp_path):
    table = identity_folder(faces / "train")
    crop = Crop(0.8, shape="image")
    model = embedder(run, discriminant=faces / "train", shrinkage=0.4, crop=crop, flip=True)
    learnt = embed(table, model=run, crop=crop, flip=True)
    kernel, bias = discriminant_directions(learnt, table.labels, 0.4)
    plain = embed(table, model=run)
    np.testing.assert_allclose(
        embed(table, model=model), unit_rows(plain @ kernel + bias), atol=2e-5
    )
    model.save(tmp_path / "faces.keras")
    again = keras.saving.load_model(tmp_path / "faces.keras")
    np.testing.assert_allclose(embed(table, model=again), embed(table, model=model), atol=1e-6)
    assert embedder(again) is again


def test_joined_models_average_the_similarities(run, faces, tmp_path):
    first = embedder(run)
    second = embedder(run, discriminant=faces / "train")
    model = embedder([run, run.folder, second])
    table = identity_folder(faces / "train")
    cosines = [
        vectors @ vectors.T for vectors in (embed(table, model=first), embed(table, model=second))
    ]
    vectors = embed(table, model=model)
    np.testing.assert_allclose(vectors @ vectors.T, (2 * cosines[0] + cosines[1]) / 3, atol=1e-5)
    model.save(tmp_path / "joined.keras")
    pairs = folder_pairs(table, impostors=100)
    result = verify_pairs(pairs, model=tmp_path / "joined.keras", bootstrap=5)
    assert result.operating_point is not None and (tmp_path / "joined.verifier.json").is_file()
    alone = embedder([run])
    np.testing.assert_allclose(embed(table, model=alone), embed(table, model=run), atol=1e-6)


def test_refused(run, faces):
    table = identity_folder(faces / "train")
    with pytest.raises(ValueError, match="needs one class per image"):
        embedder(run, discriminant=FaceTable(table.root, table.paths))
    with pytest.raises(ValueError, match="2 people with at most 1 images"):
        embedder(run, discriminant=table.take([0, 6]))
    with pytest.raises(ValueError, match=r"shrinkage=1\.5"):
        embedder(run, discriminant=table, shrinkage=1.5)
    small = kerasface.build("convnext_nano", embedding=4, input_shape=(64, 64, 3))
    with pytest.raises(ValueError, match=r"same image size.*2 models"):
        embedder([run, small])
    with pytest.raises(ValueError, match="0 models"):
        embedder([])


def test_discriminant_of_runs_with_different_crops_needs_a_crop(run, faces, tmp_path):
    other = kerasface.Run(shutil.copytree(run.folder, tmp_path / "run"))
    other.path("recipe.json").write_text(other.recipe.replace(crop_share=0.6).to_json())
    with pytest.raises(ValueError, match=r"needs one crop.*share=0\.6.*Choose one with crop="):
        embedder([run, other], discriminant=faces / "train")
    model = embedder([run, other], discriminant=faces / "train", crop=Crop())
    assert model.output_shape == (None, 3)
