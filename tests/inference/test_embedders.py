"""A linear discriminant behind an embedding model, and several models as one."""

import keras
import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import kerasface
from kerasface.data import FaceTable, folder_pairs, identity_folder
from kerasface.inference import discriminant_embedder, joined_embedder, verify_pairs
from kerasface.inference.embedders import discriminant
from kerasface.inference.embedding import embed, unit_rows
from kerasface.pipeline import Crop


def clusters(seed, people=6, pictures=20, dimensions=8):
    """People who differ in the first two directions, pictures in the others much more."""
    drawn = np.random.default_rng(seed)
    spread = np.array([0.3, 0.3] + [3.0] * (dimensions - 2))
    centers = drawn.normal(size=(people, dimensions)) * np.array([2.0, 2] + [0.1] * 6)
    labels = np.repeat(np.arange(people), pictures)
    return centers[labels] + drawn.normal(size=(len(labels), dimensions)) * spread, labels


def hits(vectors, labels):
    """Share of vectors whose nearest other one is of the same person."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return (labels[cosines.argmax(axis=1)] == labels).mean()


def test_directions_are_scikit_learns_and_tell_strangers_apart():
    features, labels = clusters(0)
    kernel, bias = discriminant(features, labels, 0.2)
    known = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.2).fit(features, labels)
    np.testing.assert_allclose(features @ kernel, known.transform(features), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose((features @ kernel + bias).mean(axis=0), 0, atol=1e-4)
    assert kernel.shape == (8, 5)
    strangers, theirs = clusters(1)
    before = hits(unit_rows(strangers), theirs)
    assert hits(unit_rows(strangers @ kernel + bias), theirs) > before + 0.2


def test_the_model_holds_the_discriminant(run, faces, tmp_path):
    table = identity_folder(faces / "train")
    crop = Crop(0.8, shape="image")
    model = discriminant_embedder(run, faces / "train", shrinkage=0.4, crop=crop)
    learnt = embed(run, table, crop=crop, flip=True)
    kernel, bias = discriminant(learnt, table.labels, 0.4)
    plain = embed(run, table)
    np.testing.assert_allclose(embed(model, table), unit_rows(plain @ kernel + bias), atol=2e-5)
    model.save(tmp_path / "faces.keras")
    again = keras.saving.load_model(tmp_path / "faces.keras")
    np.testing.assert_allclose(embed(again, table), embed(model, table), atol=1e-6)
    assert kerasface.embedder(again) is again


def test_joined_models_have_the_mean_of_the_cosines(run, faces, tmp_path):
    first = kerasface.embedder(run)
    second = discriminant_embedder(run, faces / "train")
    model = joined_embedder([run, run.folder, second])
    table = identity_folder(faces / "train")
    cosines = [vectors @ vectors.T for vectors in (embed(first, table), embed(second, table))]
    vectors = embed(model, table)
    np.testing.assert_allclose(vectors @ vectors.T, (2 * cosines[0] + cosines[1]) / 3, atol=1e-5)
    model.save(tmp_path / "joined.keras")
    pairs = folder_pairs(table, impostors=100)
    result = verify_pairs(tmp_path / "joined.keras", pairs, bootstrap=5)
    assert result.operating_point is not None and (tmp_path / "joined.verifier.json").is_file()
    alone = joined_embedder([run])
    np.testing.assert_allclose(embed(alone, table), embed(run, table), atol=1e-6)


def test_refused(run, faces):
    table = identity_folder(faces / "train")
    with pytest.raises(ValueError, match="who is in each picture"):
        discriminant_embedder(run, FaceTable(table.root, table.paths))
    with pytest.raises(ValueError, match="2 people with at most 1 pictures"):
        discriminant_embedder(run, table.take([0, 6]))
    with pytest.raises(ValueError, match=r"shrinkage=1\.5"):
        discriminant_embedder(run, table, shrinkage=1.5)
    small = kerasface.build("convnext_nano", embedding=4, input_shape=(64, 64, 3))
    with pytest.raises(ValueError, match=r"images of one size.*2 models"):
        joined_embedder([run, small])
    with pytest.raises(ValueError, match="0 models"):
        joined_embedder([])
