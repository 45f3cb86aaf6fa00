"""Tests of the streams: functions of seed and step that neither lose nor shift an example."""

import math
import os
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasface import images
from kerasface.data.table import FaceTable, check
from kerasface.pipeline import steps_per_epoch, stream
from kerasface.pipeline.augment import STEPS

COUNT, BATCH, SIZE = 7, 3, 12
STEPS_PER_EPOCH = 3
EVERYTHING = {
    "image_size": 8,
    "batch_size": BATCH,
    "training": True,
    "augment": "face",
    "mixup": 1.0,
    "labels": "one_hot",
    "seed": 5,
}


def write_faces(folder, count=COUNT):
    """Pictures of noise; the label of each is its row."""
    generator = np.random.default_rng(0)
    names = [f"{i}.png" for i in range(count)]
    for name in names:
        noise = generator.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / name)
    return FaceTable(folder, names, range(count), names)


def repeated(folder, count):
    """One tiny file many times over, with a class an example."""
    Image.new("RGB", (1, 1), (9, 8, 7)).save(folder / "one.png")
    labels = np.arange(count)
    return FaceTable(folder, ["one.png"] * count, labels, labels.astype(str), np.ones(count))


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return check(write_faces(tmp_path_factory.mktemp("faces"))).table


@pytest.fixture(scope="module")
def whole(faces):
    """Three epochs with everything on."""
    return batches(stream(faces, **EVERYTHING, epochs=3))


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """Five times the same picture, so that only augmentation makes a difference."""
    table = write_faces(tmp_path_factory.mktemp("alike"), 1)
    return FaceTable(table.root, ["0.png"] * 5, range(5), "abcde")


def batches(dataset):
    return [tuple(part.numpy() for part in parts) for parts in dataset]


def joined(dataset):
    return [np.concatenate(parts) for parts in zip(*batches(dataset), strict=True)]


def order(dataset):
    return joined(dataset)[1].tolist()


def assert_same(first, second):
    assert len(first) == len(second)
    for parts, others in zip(first, second, strict=True):
        for part, other in zip(parts, others, strict=True):
            np.testing.assert_array_equal(part, other)


def differ(first, second):
    return not np.array_equal(first, second)


# A function of seed and step


def test_two_runs_are_equal(faces, whole):
    dataset = stream(faces, **EVERYTHING, epochs=3)
    assert_same(batches(dataset), whole)
    one_thread = tf.data.Options()
    one_thread.threading.private_threadpool_size = 1
    assert_same(batches(dataset.with_options(one_thread)), whole)


def test_shapes_types_and_ranges(whole):
    assert [len(weights) for _, _, weights in whole] == [3, 3, 1] * 3
    for pixels, labels, weights in whole:
        assert pixels.shape == (len(weights), 8, 8, 3)
        assert labels.shape == (len(weights), COUNT)
        assert pixels.dtype == labels.dtype == weights.dtype == np.float32
        assert pixels.min() >= 0
        assert pixels.max() <= 255 + 1e-3
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(weights, 1)


@pytest.mark.parametrize("start", [1, 3, 5, 8, 9])
def test_start_step_gives_the_tail(faces, whole, start):
    tail = stream(faces, **EVERYTHING, epochs=3, start_step=start)
    assert int(tail.cardinality()) == 9 - start
    assert_same(batches(tail), whole[start:])


def test_skipped_steps_read_no_file(tmp_path):
    table = check(write_faces(tmp_path)).table
    settings = {"batch_size": BATCH, "image_size": 8}
    expected = batches(stream(table, **settings, epochs=1, start_step=1))
    for i in range(BATCH):
        os.remove(tmp_path / f"{i}.png")
    read = []
    tail = stream(table, **settings, epochs=1, start_step=1, on_unreadable=read.append)
    assert_same(batches(tail), expected)
    assert read == []


def test_other_seed_gives_another_run(faces, whole):
    other = batches(stream(faces, **EVERYTHING | {"seed": 6}, epochs=1))
    assert all(differ(first[0], second[0]) for first, second in zip(whole, other, strict=False))


def test_seeds_and_epochs_are_no_shifts_of_each_other(faces):
    orders = {
        tuple(order(stream(faces, image_size=1, training=True, seed=seed, epochs=2))[part])
        for seed in (0, 1, 2)
        for part in (slice(0, COUNT), slice(COUNT, None))
    }
    assert len(orders) == 6


def test_batch_size_changes_no_picture(faces):
    settings = {"image_size": 8, "training": True, "augment": "face", "epochs": 1}
    small, large = (joined(stream(faces, **settings, batch_size=size)) for size in (2, 5))
    assert_same([small], [large])


@pytest.mark.parametrize("mix", [{}, {"mixup": 0.5}, {"cutmix": 1.0, "mixup": 1.0}])
def test_every_step_in_a_stream(faces, mix):
    settings = EVERYTHING | {"mixup": 0.0} | mix | {"augment": list(STEPS), "epochs": 1}
    dataset = stream(faces, **settings)
    assert_same(batches(dataset), batches(dataset))


# Epochs


def test_epochs_have_their_own_order_and_pictures(faces, alike):
    settings = {"image_size": 8, "batch_size": 2, "training": True, "epochs": 2}
    rows = order(stream(faces, **settings))
    assert sorted(rows[:COUNT]) == sorted(rows[COUNT:]) == list(range(COUNT))
    assert rows[:COUNT] != rows[COUNT:]
    pixels = joined(stream(alike, **settings, augment="face"))[0]
    assert len({picture.tobytes() for picture in pixels}) == 10


def test_passes_without_epochs_have_their_own_order_and_pictures(faces, alike):
    settings = {"image_size": 8, "batch_size": 2, "training": True}
    rows, pixels = [], []
    for _ in range(2):  # a second, identical data set repeats both passes
        plain, augmented = stream(faces, **settings), stream(alike, **settings, augment="face")
        rows.append([order(plain) for _ in range(3)])
        pixels.append([joined(augmented)[0] for _ in range(3)])
    assert rows[0] == rows[1]
    assert_same(*pixels)
    assert all(sorted(row) == list(range(COUNT)) for row in rows[0])
    assert len({tuple(row) for row in rows[0]}) == 3
    assert len({picture.tobytes() for one_pass in pixels[0] for picture in one_pass}) == 15


def test_passes_with_epochs_repeat(faces):
    dataset = stream(faces, image_size=1, training=True, epochs=2)
    assert order(dataset) == order(dataset)


@pytest.mark.parametrize(
    ("count", "batch", "epochs"),
    [(1, 4, 2), (2, 1, 2), (3, 2, 2), (1000, 64, 2), (1000, 1000, None), (65_537, 1024, 1)],
)
def test_every_example_comes_exactly_once_an_epoch(tmp_path, count, batch, epochs):
    table = repeated(tmp_path, count)
    dataset = stream(table, image_size=1, batch_size=batch, training=True, epochs=epochs)
    rows = np.reshape(order(dataset), [-1, count])
    assert len(rows) == (epochs or 1)
    np.testing.assert_array_equal(np.sort(rows, axis=1), np.tile(np.arange(count), (len(rows), 1)))
    if count >= 1000:
        assert abs(np.corrcoef(rows[0], np.arange(count))[0, 1]) < 0.1
        assert len(rows) == 1 or differ(*rows)


def test_all_orders_of_three_occur(tmp_path):
    dataset = stream(repeated(tmp_path, 3), image_size=1, training=True, epochs=80)
    orders = np.reshape(order(dataset), [80, 3])
    assert len({tuple(rows) for rows in orders}) == 6


@pytest.mark.parametrize(
    ("batch", "epochs", "start", "expected"),
    [(3, None, 0, 3), (7, None, 0, 1), (8, None, 0, 1), (3, 4, 0, 12), (3, 4, 5, 7), (3, 4, 12, 0)],
)
@pytest.mark.parametrize("training", [True, False])
def test_cardinality(faces, batch, epochs, start, expected, training):
    dataset = stream(
        faces,
        image_size=1,
        batch_size=batch,
        epochs=epochs,
        start_step=start,
        training=training,
    )
    assert int(dataset.cardinality()) == expected


@pytest.mark.parametrize(("batch", "steps"), [(1, 7), (3, 3), (6, 2), (7, 1), (100, 1)])
def test_steps_per_epoch(faces, batch, steps):
    assert steps_per_epoch(faces, batch) == steps


# Evaluation


@pytest.mark.parametrize("batch", [1, 3, 7, 100])
def test_evaluation_keeps_order_and_drops_nothing(faces, batch):
    dataset = stream(faces, image_size=SIZE, batch_size=batch)
    found = batches(dataset)
    whole, rest = divmod(COUNT, batch)
    assert [len(rows) for _, rows, _ in found] == [batch] * whole + [rest] * (rest > 0)
    pixels, rows, weights = joined(dataset)
    expected = [images.decode(open(path, "rb").read()) for path in faces.full_paths()]
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(rows, range(COUNT))
    np.testing.assert_array_equal(weights, 1)


def test_evaluation_in_order_over_many_batches(tmp_path):
    dataset = stream(repeated(tmp_path, 1000), image_size=1, batch_size=7, epochs=2)
    assert order(dataset) == [*range(1000)] * 2


def test_unchecked_table_gives_the_same(faces):
    unchecked = FaceTable(faces.root, faces.paths, faces.labels, faces.names)
    assert_same(batches(stream(unchecked, image_size=8)), batches(stream(faces, image_size=8)))


# Labels


def test_index_labels(faces):
    dataset = stream(faces.take([6, 0, 3]), image_size=8)
    pixels, labels, weights = dataset.element_spec
    assert pixels.shape.as_list() == [None, 8, 8, 3]
    assert labels.shape.as_list() == weights.shape.as_list() == [None]
    assert (pixels.dtype, labels.dtype, weights.dtype) == (tf.float32, tf.int32, tf.float32)
    np.testing.assert_array_equal(joined(dataset)[1], [6, 0, 3])


@pytest.mark.parametrize("training", [True, False])
def test_one_hot_labels(faces, training):
    table = faces.take([6, 0, 3])
    dataset = stream(table, image_size=8, labels="one_hot", training=training)
    assert dataset.element_spec[1] == tf.TensorSpec([None, COUNT], tf.float32)
    labels = joined(dataset)[1]
    expected = np.eye(COUNT)[[6, 0, 3]]
    np.testing.assert_array_equal(np.sort(labels, axis=0), np.sort(expected, axis=0))
    if not training:
        np.testing.assert_array_equal(labels, expected)


@pytest.mark.parametrize("kind", ["index", "one_hot"])
def test_attributes(faces, kind):
    attributes = [[0, 1], [1, 1], [0, 0]]
    table = FaceTable(faces.root, faces.paths[:3], attributes, ("Smiling", "Male"))
    dataset = stream(table, image_size=8, labels=kind)
    assert dataset.element_spec[1] == tf.TensorSpec([None, 2], tf.float32)
    np.testing.assert_array_equal(joined(dataset)[1], attributes)


def test_unlabeled_elements_are_images_alone(faces):
    dataset = stream(FaceTable(faces.root, faces.paths), image_size=8, batch_size=BATCH)
    assert dataset.element_spec == tf.TensorSpec([None, 8, 8, 3], tf.float32)
    pixels = np.concatenate([part.numpy() for part in dataset])
    np.testing.assert_array_equal(pixels, joined(stream(faces, image_size=8))[0])


def test_mixed_labels_are_of_partners_in_the_batch(faces):
    settings = EVERYTHING | {"augment": None, "image_size": SIZE, "epochs": 1}
    rows = np.argmax(joined(stream(faces, **settings | {"mixup": 0.0}))[1], axis=1)
    originals = joined(stream(faces, image_size=SIZE))[0]
    pixels, labels, _ = joined(stream(faces, **settings))
    partners = np.concatenate([np.roll(rows[i : i + BATCH], 1) for i in (0, 3, 6)])
    own = labels[np.arange(COUNT), rows]
    assert np.count_nonzero(labels[:6]) == 12
    np.testing.assert_array_equal(labels[6], np.eye(COUNT)[rows[6]])  # alone in its batch
    share = own[:, None, None, None]
    expected = share * originals[rows] + (1 - share) * originals[partners]
    np.testing.assert_allclose(pixels, expected, atol=0.01)


# Files that break after the check


@pytest.mark.parametrize("broken", [[0], [4, 5], [3, 4, 5], [6], list(range(COUNT))])
def test_broken_files_become_black_images_of_no_weight(faces, tmp_path, broken):
    table = check(write_faces(tmp_path)).table
    for i in broken:
        file = tmp_path / f"{i}.png"
        if i % 2:
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:200])
    reported = []
    dataset = stream(table, image_size=8, batch_size=BATCH, on_unreadable=reported.append)
    pixels, rows, weights = joined(dataset)
    sound = joined(stream(faces, image_size=8))[0]
    sound[broken] = 0
    np.testing.assert_array_equal(pixels, sound)
    np.testing.assert_array_equal(rows, range(COUNT))
    np.testing.assert_array_equal(weights, [i not in broken for i in range(COUNT)])
    assert sorted(reported) == sorted(str(tmp_path / f"{i}.png") for i in broken)
    joined(dataset)
    assert len(reported) == 2 * len(broken)  # at each reading


@pytest.mark.parametrize("checked", [True, False])
@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_broken_files_of_other_kinds(tmp_path, kind, checked):
    for name in ("a", "b", "c"):
        Image.new("RGB", (40, 40), (200, 100, 50)).save(tmp_path / f"{name}.{kind}")
    table = FaceTable(tmp_path, [f"{name}.{kind}" for name in "abc"], [0, 1, 2], "abc")
    table = check(table).table if checked else table
    (tmp_path / f"b.{kind}").write_bytes((tmp_path / f"b.{kind}").read_bytes()[:-30])
    reported = []
    pixels, _, weights = joined(stream(table, image_size=8, on_unreadable=reported.append))
    np.testing.assert_array_equal(weights, [1, 0, 1])
    assert not pixels[1].any()
    np.testing.assert_allclose(pixels[::2], np.full((2, 8, 8, 3), (200, 100, 50)), atol=4)
    assert reported == [str(tmp_path / f"b.{kind}")]


def test_broken_file_while_training(tmp_path, whole):
    table = check(write_faces(tmp_path)).table
    (tmp_path / "2.png").unlink()
    reported = []
    found = batches(stream(table, **EVERYTHING, epochs=3, on_unreadable=reported.append))
    lost = 0
    for (pixels, labels, weights), (expected, same_labels, _) in zip(found, whole, strict=True):
        np.testing.assert_array_equal(labels, same_labels)
        np.testing.assert_array_equal(weights == 0, labels[:, 2] > 0)
        np.testing.assert_array_equal(pixels[weights > 0], expected[weights > 0])
        lost += np.count_nonzero(weights == 0)
    assert 3 <= lost <= 6  # once or twice an epoch, alone in its batch or with a partner
    assert reported == [str(tmp_path / "2.png")] * 3


def test_broken_file_warns(tmp_path):
    table = check(write_faces(tmp_path, 2)).table
    (tmp_path / "1.png").unlink()
    with pytest.warns(UserWarning, match=r"1\.png cannot be read"):
        weights = joined(stream(table, image_size=8))[2]
    np.testing.assert_array_equal(weights, [1, 0])


# Arguments


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 0}, "`image_size` must be at least 1. Received: image_size=0"),
        ({"batch_size": 0}, "`batch_size` must be at least 1"),
        ({"epochs": 0}, "`epochs` must be at least 1"),
        ({"epochs": 2, "start_step": -1}, "`start_step` must be at least 0"),
        ({"start_step": 1}, "start_step=1 without `epochs`"),
        ({"epochs": 2, "batch_size": 3, "start_step": 7}, "at most the 6 steps.*start_step=7"),
        ({"labels": "onehot"}, "'index' or 'one_hot'. Received: labels='onehot'"),
        ({"augment": "face"}, "training=False"),
        ({"mixup": 1.0, "labels": "one_hot"}, "training=False"),
        ({"cutmix": 1.0, "labels": "one_hot"}, "training=False"),
        ({"mixup": 1.0, "training": True}, "labels='index'. Say labels='one_hot'"),
        ({"cutmix": 1.0, "training": True}, "labels='index'. Say labels='one_hot'"),
        ({"mixup": -1, "training": True, "labels": "one_hot"}, "`mixup` must be at least 0"),
        ({"cutmix": math.nan, "training": True, "labels": "one_hot"}, "`cutmix`.*cutmix=nan"),
        ({"augment": "fliip", "training": True}, "Did you mean 'flip'"),
        ({"augment": ["flip:2"], "training": True}, "Received: 'flip:2'"),
    ],
)
def test_wrong_arguments(faces, settings, message):
    with pytest.raises(ValueError, match=message):
        stream(faces, **settings)


def test_empty_table(faces):
    with pytest.raises(ValueError, match="an empty table"):
        stream(faces.take([]))


def test_mixing_needs_labels(faces):
    unlabeled = FaceTable(faces.root, faces.paths)
    with pytest.raises(ValueError, match="labels that can be blended"):
        stream(unlabeled, training=True, mixup=1.0, labels="one_hot")


# Under Keras


class Recorder(keras.Model):
    """Notes the labels that training sees, epoch by epoch."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.seen = [[]]

    def train_step(self, data):
        self.seen[-1] += data[1].numpy().tolist()
        return super().train_step(data)


@pytest.mark.parametrize("spanning", [True, False], ids=["epochs in the stream", "plain"])
@pytest.mark.parametrize("built", [True, False])
def test_fit_sees_every_example_once_an_epoch(faces, spanning, built):
    inputs = keras.Input([4, 4, 3])
    outputs = keras.layers.Dense(COUNT)(keras.layers.Flatten()(inputs))
    model = Recorder(inputs=inputs, outputs=outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"], run_eagerly=True)
    if built:
        model.optimizer.build(model.trainable_variables)
    dataset = stream(
        faces, image_size=4, batch_size=BATCH, training=True, epochs=3 if spanning else None
    )
    next_epoch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: model.seen.append([])
    )
    steps = {"steps_per_epoch": STEPS_PER_EPOCH} if spanning else {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # "ran out of data"
        history = model.fit(dataset, epochs=3, callbacks=[next_epoch], verbose=0, **steps)
    assert len(history.epoch) == 3
    epochs = [tuple(rows) for rows in model.seen[:-1]]
    assert [sorted(rows) for rows in epochs] == [list(range(COUNT))] * 3
    assert len(set(epochs)) == 3


def test_evaluate_leaves_unreadable_files_out(tmp_path):
    table = check(write_faces(tmp_path)).table
    model = keras.Sequential([keras.Input([4, 4, 3]), keras.layers.Flatten()])
    model.add(keras.layers.Dense(COUNT, kernel_initializer="zeros", bias_initializer="zeros"))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, weighted_metrics=["accuracy"])
    for name in ("0.png", "5.png"):
        (tmp_path / name).unlink()
    dataset = stream(table, image_size=4, batch_size=BATCH, on_unreadable=lambda path: None)
    # Equal logits choose class 0, whose image cannot be read.
    assert model.evaluate(dataset, verbose=0, return_dict=True)["accuracy"] == 0
