"""Tests of a table's way through a model."""

import keras
import numpy as np
import pytest
from PIL import Image

from kerasface.data.table import FaceTable, check
from kerasface.pipeline import Crop
from kerasface.pipeline.predict import predict_table

COUNT, SIZE = 7, 8
PIXELS = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture
def table(tmp_path):
    names = [f"{i}.png" for i in range(COUNT)]
    for name, pixels in zip(names, PIXELS, strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    return check(FaceTable(tmp_path, names, [0, 1, 0, 1, 0, 1, 0], ("a", "b"))).table


@pytest.fixture(scope="module")
def model():
    """Two weighted sums of the pixels, which are not symmetric."""
    weights = np.random.default_rng(1).normal(size=(SIZE * SIZE * 3, 2)) / 1000
    dense = keras.layers.Dense(2, use_bias=False)
    linear = keras.Sequential([keras.Input([SIZE, SIZE, 3]), keras.layers.Flatten(), dense])
    dense.set_weights([weights])
    return linear


def expected(model, pixels):
    return pixels.reshape(len(pixels), -1) @ model.get_weights()[0]


def test_rows_are_in_the_order_of_the_table(model, table, capsys):
    outputs = predict_table(model, table, batch_size=3)
    assert capsys.readouterr().out == ""
    assert outputs.dtype == np.float32
    assert outputs.shape == (COUNT, 2)
    np.testing.assert_allclose(outputs, expected(model, PIXELS), atol=1e-4)


def test_chosen_rows_of_an_unlabeled_unchecked_table(model, table):
    rows = [5, 0, 5, 2]
    plain = FaceTable(table.root, table.paths[rows])
    np.testing.assert_allclose(
        predict_table(model, plain), expected(model, PIXELS[rows]), atol=1e-4
    )


def test_flip_is_the_mean_of_both_sides(model, table):
    original, mirrored = expected(model, PIXELS), expected(model, PIXELS[:, :, ::-1])
    assert np.abs(original - mirrored).max() > 0.1
    outputs = predict_table(model, table, flip=True, batch_size=3)
    np.testing.assert_allclose(outputs, (original + mirrored) / 2, atol=1e-4)


def test_middle_of_larger_files(model, tmp_path):
    names = [f"{i}.png" for i in range(COUNT)]
    tall = np.random.default_rng(2).integers(0, 256, (COUNT, 13, SIZE, 3), dtype=np.uint8)
    for name, pixels in zip(names, tall, strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    table = FaceTable(tmp_path, names)
    outputs = predict_table(model, table, crop=Crop())
    np.testing.assert_allclose(outputs, expected(model, tall[:, 3 : 3 + SIZE]), atol=1e-4)
    with pytest.raises(ValueError, match=r"Use crop\.centered\(\)"):
        predict_table(model, table, crop=Crop(position="random"))


def test_images_are_brought_to_the_size_of_the_model(tmp_path):
    colours = [(200, 100, 50), (0, 255, 7)]
    for i, (colour, size) in enumerate(zip(colours, [(30, 20), (2, 3)], strict=True)):
        Image.new("RGB", size, colour).save(tmp_path / f"{i}.png")
    mean = keras.Sequential([keras.Input([4, 4, 3]), keras.layers.GlobalAveragePooling2D()])
    outputs = predict_table(mean, FaceTable(tmp_path, ["0.png", "1.png"]))
    np.testing.assert_allclose(outputs, colours, atol=1e-3)


def test_broken_file_is_warned_of_and_black(model, table):
    (table.root / "2.png").unlink()
    with pytest.warns(UserWarning, match=r"2\.png cannot be read"):
        outputs = predict_table(model, table)
    pixels = PIXELS.copy()
    pixels[2] = 0
    np.testing.assert_allclose(outputs, expected(model, pixels), atol=1e-4)


def test_verbose_shows_progress(model, table, capsys):
    predict_table(model, table, verbose=1)
    assert "1/1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shape", "message"),
    [([8, 9, 3], "images of 8 x 9 pixels"), ([None, None, 3], "images of None x None pixels")],
)
def test_model_that_is_not_square(table, shape, message):
    pooling = keras.Sequential([keras.Input(shape), keras.layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match=message):
        predict_table(pooling, table)
