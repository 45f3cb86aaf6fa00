"""Galleries in memory and in files."""

import dataclasses

import numpy as np
import pytest

from kerasface.data import FaceTable, identity_folder
from kerasface.inference import EmbeddingSettings, embed, enroll, identify, load_gallery
from kerasface.pipeline import Crop


def test_gallery_survives_saving(network, faces, gallery, tmp_path):
    table = identity_folder(faces / "train")
    np.testing.assert_allclose(gallery.embeddings, embed(table, model=network), atol=1e-6)
    assert gallery.names == table.names and gallery.files == tuple(table.paths)
    gallery.save(tmp_path / "people.npz")
    again = load_gallery(tmp_path / "people.npz")
    for name in ("embeddings", "labels"):
        np.testing.assert_array_equal(getattr(again, name), getattr(gallery, name))
    for name in ("names", "files", "settings"):
        assert getattr(again, name) == getattr(gallery, name)
    with np.load(tmp_path / "people.npz", allow_pickle=False) as saved:
        assert all(saved[name].dtype != object for name in saved.files)
    # Shuffled rows and people without pictures make the same gallery.
    mixed = FaceTable(
        table.root, table.paths[::-1], table.labels[::-1] + 1, ("nobody", *table.names)
    )
    other = enroll(mixed, model=network)
    assert other.names == gallery.names and other.labels.tolist() == gallery.labels.tolist()


def test_gallery_of_version_0_1_is_read(gallery, tmp_path):
    for crop, expected in (("middle:0.8", Crop(0.8, shape="image")), ("", None)):
        np.savez(
            tmp_path / "old.npz",
            embeddings=gallery.embeddings,
            labels=gallery.labels,
            names=np.array(gallery.names),
            files=np.array(gallery.files),
            model=np.array("a model"),
            flip=np.array(True),
            crop=np.array(crop),
        )
        read = load_gallery(tmp_path / "old.npz")
        assert read.settings == EmbeddingSettings(expected, True, "a model")
        assert read.names == gallery.names


def test_refused_galleries(network, faces, gallery, tmp_path):
    settings = dataclasses.replace(gallery.settings, model="another")
    other = dataclasses.replace(gallery, settings=settings)
    with pytest.raises(ValueError, match="other weights than those of a gallery"):
        identify(other, faces / "test", model=network)
    with pytest.raises(ValueError, match=r"must end with \.npz"):
        gallery.save(tmp_path / "people.pickle")
    with pytest.raises(FileNotFoundError, match=r"none\.npz"):
        load_gallery(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"bad\.npz"):
        load_gallery(tmp_path / "bad.npz")
    with pytest.raises(ValueError, match=r"one class per image.*unlabeled"):
        enroll(FaceTable(faces / "test", ["000000.jpg"]), model=network)
