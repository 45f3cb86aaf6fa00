"""Tests of predictions for tables and data sets."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasface.data.image_list import image_list
from kerasface.data.table import FaceTable, check
from kerasface.pipeline import Crop
from kerasface.pipeline.predict import check_batches, predict_batches, predict_table
from kerasface.progress import ProgressBar

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


def test_flip_averages_image_and_mirror_image(model, table):
    original, mirrored = expected(model, PIXELS), expected(model, PIXELS[:, :, ::-1])
    assert np.abs(original - mirrored).max() > 0.1
    outputs = predict_table(model, table, flip=True, batch_size=3)
    np.testing.assert_allclose(outputs, (original + mirrored) / 2, atol=1e-4)


def test_center_of_larger_files(model, tmp_path):
    names = [f"{i}.png" for i in range(COUNT)]
    tall = np.random.default_rng(2).integers(0, 256, (COUNT, 13, SIZE, 3), dtype=np.uint8)
    for name, pixels in zip(names, tall, strict=True):
        Image.fromarray(pixels).save(tmp_path / name)
    table = FaceTable(tmp_path, names)
    outputs = predict_table(model, table, crop=Crop())
    np.testing.assert_allclose(outputs, expected(model, tall[:, 3 : 3 + SIZE]), atol=1e-4)
    with pytest.raises(ValueError, match=r"Use crop\.centered\(\)"):
        predict_table(model, table, crop=Crop(position="random"))


def test_images_are_resized_to_the_size_of_the_model(tmp_path):
    colors = [(200, 100, 50), (0, 255, 7)]
    for i, (color, size) in enumerate(zip(colors, [(30, 20), (2, 3)], strict=True)):
        Image.new("RGB", size, color).save(tmp_path / f"{i}.png")
    mean = keras.Sequential([keras.Input([4, 4, 3]), keras.layers.GlobalAveragePooling2D()])
    outputs = predict_table(mean, FaceTable(tmp_path, ["0.png", "1.png"]))
    np.testing.assert_allclose(outputs, colors, atol=1e-3)


def test_broken_file_is_black_with_a_warning(model, table):
    (table.root / "2.png").unlink()
    with pytest.warns(UserWarning, match=r"2\.png cannot be read"):
        outputs = predict_table(model, table)
    pixels = PIXELS.copy()
    pixels[2] = 0
    np.testing.assert_allclose(outputs, expected(model, pixels), atol=1e-4)


def test_verbose_counts_the_images(model, table, monkeypatch, capsys):
    bars = []

    class Bar(ProgressBar):
        def __exit__(self, *error):
            bars.append((self.description, self.done, self.total))
            super().__exit__(*error)

    monkeypatch.setattr("kerasface.pipeline.predict.ProgressBar", Bar)
    predict_table(model, table, batch_size=4, flip=True, verbose=1)
    assert bars == [("Predicting", 7, 7)]
    monkeypatch.setattr("kerasface.pipeline.predict.FEW", 6)
    predict_table(model, table, batch_size=4, flip=True, verbose=1)
    assert bars[1:] == [("Predicting", 7, 7), ("Predicting mirror images", 7, 7)]
    assert capsys.readouterr().out == ""  # no step bar of Keras


@pytest.mark.parametrize(
    ("shape", "message"),
    [([8, 9, 3], "images of 8 x 9 pixels"), ([None, None, 3], "images of None x None pixels")],
)
def test_model_that_is_not_square(table, shape, message):
    pooling = keras.Sequential([keras.Input(shape), keras.layers.GlobalAveragePooling2D()])
    with pytest.raises(ValueError, match=message):
        predict_table(pooling, table)


def test_preprocess_size_and_output(table):
    images = keras.Input([None, None, 3])
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model(images, {"mean": pooled, "twice": 2 * pooled})
    outputs = predict_table(
        model, table, image_size=SIZE, preprocess=lambda x: x / 255, output="twice", flip=True
    )
    np.testing.assert_allclose(outputs, 2 * PIXELS.mean(axis=(1, 2)) / 255, atol=1e-5)
    with pytest.raises(ValueError, match=r"one of \['mean', 'twice'\]\. Received: output='mena'"):
        predict_table(model, table, image_size=SIZE, output="mena")


def test_image_size_must_match_the_model(model, table):
    with pytest.raises(ValueError, match=r"8 x 8 pixels.* and image_size=9"):
        predict_table(model, table, image_size=9)


def test_gray_model_needs_preprocess(table):
    gray = keras.Sequential([keras.Input([SIZE, SIZE, 1]), keras.layers.Flatten()])
    with pytest.raises(ValueError, match="RGB images"):
        predict_table(gray, table)
    outputs = predict_table(gray, table, preprocess=tf.image.rgb_to_grayscale)
    assert outputs.shape == (COUNT, SIZE * SIZE)


def test_model_of_two_inputs(table):
    images, number = keras.Input([SIZE, SIZE, 3]), keras.Input([1])
    pooled = keras.layers.GlobalAveragePooling2D()(images)
    model = keras.Model([images, number], pooled * number)
    with pytest.raises(ValueError, match="Received: 2 inputs"):
        predict_table(model, table)

    def inputs(batch):
        return ((batch, tf.fill([tf.shape(batch)[0], 1], 3.0)),)

    outputs = predict_table(model, table, image_size=SIZE, preprocess=inputs)
    np.testing.assert_allclose(outputs, 3 * PIXELS.mean(axis=(1, 2)), rtol=1e-5)


def test_shuffled_batches_keep_their_labels(model):
    weights = np.where(np.arange(COUNT) == 2, 0.0, 1.0)
    dataset = tf.data.Dataset.from_tensor_slices((PIXELS, np.arange(COUNT), weights))
    labels, outputs = predict_batches(model, dataset.shuffle(COUNT, seed=1).batch(3))
    assert sorted(labels) == [0, 1, 3, 4, 5, 6]  # the image of weight 0 is left out
    assert labels.tolist() != sorted(labels)
    np.testing.assert_allclose(outputs, expected(model, PIXELS[labels]), atol=1e-4)


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (lambda d: "faces", "FaceTable or a tf.data.Dataset.*Received: str"),
        (lambda d: d, r"without batches\. Use dataset\.batch"),
        (lambda d: d.batch(2).repeat(), r"infinite data set\. Use dataset\.take"),
        (lambda d: d.map(lambda x, y: x).batch(2), "Received: a data set of TensorSpec"),
    ],
)
def test_data_sets_that_cannot_be_predicted(dataset, message):
    labeled = tf.data.Dataset.from_tensor_slices((PIXELS, np.arange(COUNT)))
    with pytest.raises(ValueError, match=message):
        check_batches(dataset(labeled))


@pytest.mark.parametrize("crop", [None, Crop(), Crop(share=0.8, shape="image")], ids=str)
def test_few_images_are_predicted_as_in_a_stream(model, tmp_path, monkeypatch, crop):
    """JPEG, a rotated JPEG, palette and alpha, larger than the input of the model."""
    noise = np.random.default_rng(3).integers(0, 256, (40, 52, 4), dtype=np.uint8)
    image = Image.fromarray(noise)
    rotated = Image.Exif()
    rotated[274] = 6
    image.convert("RGB").save(tmp_path / "0.jpg")
    image.convert("RGB").save(tmp_path / "1.jpg", exif=rotated)
    image.convert("L").save(tmp_path / "2.png")
    image.save(tmp_path / "3.png")
    table = check(
        FaceTable(tmp_path, [f"{i}.{s}" for i, s in enumerate(("jpg",) * 2 + ("png",) * 2)])
    )
    options = {"crop": crop, "batch_size": 3, "flip": True}
    outputs = predict_table(model, table.table, **options)
    monkeypatch.setattr("kerasface.pipeline.predict.FEW", 0)
    np.testing.assert_allclose(outputs, predict_table(model, table.table, **options), atol=1e-5)
    assert np.ptp(outputs, axis=0).min() > 0.1


def test_images_in_memory_are_predicted_like_files(model, table):
    mixed = image_list([PIXELS[0], table.root / "1.png", *PIXELS[2:].astype(float)])
    np.testing.assert_array_equal(predict_table(model, mixed), predict_table(model, table))


def test_batches_of_other_sizes_do_not_trace_again(table):
    traces = []

    class Layer(keras.layers.Layer):
        def call(self, inputs):
            traces.append(inputs.shape)
            return keras.ops.mean(inputs, axis=(1, 2))

    model = keras.Sequential([keras.Input([SIZE, SIZE, 3]), Layer()])
    traces.clear()
    for count in (7, 1, 2, 5):
        outputs = predict_table(model, table.take(np.arange(count)), batch_size=3)
        np.testing.assert_allclose(outputs, PIXELS[:count].mean(axis=(1, 2)), rtol=1e-5)
    assert traces == [(None, SIZE, SIZE, 3)]


def test_unreadable_files_are_black_or_an_error(model, table):
    for name in ("1.png", "5.png"):
        (table.root / name).write_bytes((table.root / name).read_bytes()[:60])
    (table.root / "6.png").unlink()
    with pytest.warns(
        UserWarning, match=r"1\.png cannot be read and is replaced by black: "
    ) as caught:
        outputs = predict_table(model, table)
    assert len(caught) == 3
    assert not outputs[[1, 5, 6]].any()
    np.testing.assert_allclose(outputs[:1], expected(model, PIXELS[:1]), atol=1e-4)
    message = (
        r"Received: 3 that are not, for instance 1\.png \(.*\); 5\.png .*6\.png \(.*No such file"
    )
    with pytest.raises(ValueError, match=message):
        predict_table(model, image_list(table), batch_size=2)
