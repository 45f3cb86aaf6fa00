"""Embedding models of runs and models, and embeddings of images."""

import keras
import numpy as np
import pytest
from PIL import Image

import kerasface
from kerasface.data import FaceTable
from kerasface.inference.vectors import unit_rows
from kerasface.models import build
from kerasface.pipeline import Crop

SIZE = 16
SMALL = {"channels": [8, 16], "blocks_per_stage": [1, 1], "input_shape": (SIZE, SIZE, 3)}


def noise(count=3):
    return np.random.default_rng(0).uniform(0, 255, (count, SIZE, SIZE, 3)).astype("float32")


@pytest.mark.parametrize("head", ["pool", "double", "cosine", "mlp"])
def test_the_layer_before_the_classes(head):
    model = build("convnext_nano", num_classes=5, head=head, dropout=0.3, **SMALL)
    found = kerasface.embedder(model)
    vectors = found.predict(noise(), verbose=0)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    # The classes follow from the embedding by the last dense layer alone.
    features = keras.Model(model.input, model.get_layer("head_logits").input)
    expected = features.predict(noise(), verbose=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-6)
    if head == "cosine":
        logits = vectors @ model.get_layer("head_logits").kernel.numpy() * 16
        scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
        probabilities = scaled / scaled.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.predict(noise(), verbose=0), probabilities, atol=1e-5)


def test_embedding_model_is_returned_unchanged():
    model = build("convnext_nano", embedding=7, **SMALL)
    assert kerasface.embedder(model) is model
    image = keras.Input((SIZE, SIZE, 3))
    maps = keras.Model(image, keras.layers.Conv2D(3, 3)(image))
    with pytest.raises(ValueError, match="input of the last dense layer"):
        kerasface.embedder(maps)
    dense = keras.Model(image, keras.layers.Dense(3)(image))
    with pytest.raises(ValueError, match="with 1 outputs and the last layer"):
        kerasface.embedder(dense)


def test_sources(run, tmp_path):
    images = noise()
    expected = kerasface.embedder(run).predict(images, verbose=0)
    for source in (run.folder, str(run.folder), run.path("model.keras"), run.load_model()):
        found = kerasface.embedder(source).predict(images, verbose=0)
        np.testing.assert_array_equal(found, expected)
    with pytest.raises(FileNotFoundError, match=r"nothing\.keras"):
        kerasface.embedder(tmp_path / "nothing.keras")
    with pytest.raises(FileNotFoundError, match=r"recipe\.json"):
        kerasface.embedder(tmp_path)


@pytest.fixture(scope="module")
def pictures(faces, tmp_path_factory):
    """Folder of three pictures of the models' size, so that nothing is resized, and pixels."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = []
    for name, source in zip(
        ("b.png", "a/x.png", "c.png"), sorted((faces / "test").iterdir()), strict=False
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        small = Image.open(source).resize((SIZE, SIZE))
        small.save(folder / name)
        pixels.append(np.asarray(small))
    return folder, np.stack(pixels)


def test_embeddings_of_a_folder_and_a_table(run, pictures):
    folder, pixels = pictures
    model = kerasface.embedder(run)
    expected = model.predict(pixels.astype("float32"), verbose=0)
    np.testing.assert_allclose(kerasface.embed(folder, model=run), expected[[1, 0, 2]], atol=1e-6)
    table = FaceTable(folder, ["c.png", "b.png"])
    mirrored = model.predict(pixels[:, :, ::-1].astype("float32"), verbose=0)
    assert np.abs(expected - mirrored).max() > 1e-3
    both = unit_rows(expected + mirrored)
    np.testing.assert_allclose(
        kerasface.embed(table, model=model, flip=True), both[[2, 0]], atol=1e-6
    )
    few = kerasface.embed([folder / "c.png", pixels[0]], model=model, flip=True)
    np.testing.assert_allclose(few, both[[2, 0]], atol=1e-6)


@pytest.mark.parametrize("crop", [Crop(), Crop(0.6), Crop(0.6, shape="image")])
def test_pictures_are_cropped_like_a_table(run, tmp_path, crop):
    noise = np.random.default_rng(0).integers(0, 256, (31, 24, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "tall.png")
    of_table = kerasface.embed(FaceTable(tmp_path, ["tall.png"]), model=run, crop=crop)
    few = kerasface.embed([tmp_path / "tall.png", noise], model=run, crop=crop)
    np.testing.assert_allclose(few, np.concatenate([of_table] * 2), atol=1e-6)
    whole = kerasface.embed(FaceTable(tmp_path, ["tall.png"]), model=run)
    assert np.abs(whole - of_table).max() > 1e-3


def test_unreadable_pictures_are_named(run, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"broken\.jpg \(no image format"):
        kerasface.embed(tmp_path, model=run)
    with pytest.raises(FileNotFoundError, match=r"none\.jpg"):
        kerasface.embed(tmp_path / "none.jpg", model=run)
    with pytest.raises(TypeError, match="`images` must be an image, a list of images"):
        kerasface.embed(3, model=run)


def test_rows_of_zeros_stay():
    found = unit_rows(np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[0, 0], [0.6, 0.8]])
