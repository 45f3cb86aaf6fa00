"""Tests of the streams: functions of seed and step that neither lose nor shift an example."""

import math
import os
import pathlib
import threading
import time
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from kerasface import images
from kerasface.data.table import FaceTable, check
from kerasface.pipeline import Crop, decode, steps_per_epoch, stream
from kerasface.pipeline.augment import STEPS
from kerasface.pipeline.streams import index_batches

COUNT, BATCH, SIZE = 7, 3, 12
EVERYTHING = {
    "image_size": 8,
    "batch_size": BATCH,
    "training": True,
    "augment": ("rotation", "flip"),
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
def plain(faces):
    """The pictures in the table's order."""
    return joined(stream(faces, image_size=8))


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """Five times the same picture, so that only augmentation makes a difference."""
    table = write_faces(tmp_path_factory.mktemp("alike"), 1)
    return FaceTable(table.root, ["0.png"] * 5, range(5), "abcde")


def batches(dataset):
    return [tuple(part.numpy() for part in parts) for parts in dataset]


def joined(dataset):
    return [np.concatenate(parts) for parts in zip(*batches(dataset), strict=True)]


def orders(count, epochs=None, seed=0, batch_size=2):
    """Rows epoch by epoch."""
    settings = {"training": True, "seed": seed, "epochs": epochs}
    dataset = index_batches(count, batch_size, **settings)
    return np.concatenate([rows.numpy() for _, _, rows in dataset]).reshape(-1, count)


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
    assert [len(weights) for _, _, weights in whole] == [2, 2, 3] * 3
    for pixels, labels, weights in whole:
        assert pixels.shape == (len(weights), 8, 8, 3)
        assert labels.shape == (len(weights), COUNT)
        assert pixels.dtype == labels.dtype == weights.dtype == np.float32
        assert pixels.min() >= 0
        assert pixels.max() <= 255 + 1e-3
        np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(weights, 1)


def test_start_step_gives_the_tail(faces, whole):
    # From the middle of the second epoch, over its last batch, into the third.
    tail = stream(faces, **EVERYTHING, epochs=3, start_step=4)
    assert int(tail.cardinality()) == 5
    assert_same(batches(tail), whole[4:])


def test_skipped_steps_read_no_file(tmp_path):
    table = check(write_faces(tmp_path)).table
    for i in range(BATCH):
        (tmp_path / f"{i}.png").unlink()
    read = []
    settings = {"image_size": 8, "batch_size": BATCH, "epochs": 1, "start_step": 1}
    _, rows, weights = joined(stream(table, **settings, on_unreadable=read.append))
    assert rows.tolist() == [3, 4, 5, 6]
    assert weights.tolist() == [1, 1, 1, 1]
    assert read == []


def test_other_seed_gives_another_run(faces, whole):
    other = batches(stream(faces, **EVERYTHING | {"seed": 6}, epochs=1))
    assert all(differ(first[0], second[0]) for first, second in zip(whole, other, strict=False))


def test_batch_size_does_not_change_images(faces):
    settings = {"image_size": 8, "training": True, "augment": "rotation", "epochs": 1}
    small, large = (joined(stream(faces, **settings, batch_size=size)) for size in (2, 5))
    assert_same([small], [large])


def test_every_step_in_a_stream(faces):
    settings = EVERYTHING | {"augment": list(STEPS), "cutmix": 1.0, "epochs": 1}
    dataset = stream(faces, **settings)
    found = batches(dataset)
    assert_same(found, batches(dataset))
    for pixels, _, weights in found:
        assert pixels.shape[1:] == (8, 8, 3)
        assert np.isfinite(pixels).all()
        np.testing.assert_array_equal(weights, 1)


# Squares

TALL = (31, 24)  # eight places for a square


def write_tall(folder, count=COUNT, kind="png"):
    """Pictures whose pixels tell their own row and file."""
    rows, columns = np.indices(TALL, np.uint8)
    names = [f"{i}.{kind}" for i in range(count)]
    for i, name in enumerate(names):
        Image.fromarray(np.dstack([rows, columns, 0 * rows + i])).save(folder / name)
    return FaceTable(folder, names, range(count), names)


@pytest.fixture(scope="module")
def tall(tmp_path_factory):
    return check(write_tall(tmp_path_factory.mktemp("tall"))).table


@pytest.fixture(scope="module")
def copies(tall):
    """A hundred times the same tall picture."""
    return FaceTable(tall.root, ["0.png"] * 100, np.arange(100), np.arange(100).astype(str))


SQUARES = {"image_size": 24, "batch_size": BATCH, "training": True, "crop": Crop(position="random")}


def tops(pixels):
    """Where in the file each square begins, once it is known to be one."""
    found = pixels[:, 0, 0, 0].astype(int)
    rows, columns = np.indices((24, 24), np.float32)
    np.testing.assert_array_equal(pixels[..., 0], found[:, None, None] + rows)
    np.testing.assert_array_equal(pixels[..., 1], np.broadcast_to(columns, pixels.shape[:3]))
    return found


@pytest.mark.parametrize("training", [True, False])
def test_center_square(tall, training):
    settings = {**SQUARES, "crop": Crop(), "training": training}
    pixels, rows, weights = joined(stream(tall, **settings))
    assert (tops(pixels) == 4).all()
    np.testing.assert_array_equal(pixels[:, 0, 0, 2], rows)
    np.testing.assert_array_equal(weights, 1)


def test_central_squares(tall, copies):
    # Of 31 x 24 the middle 0.5 is 16 x 12, from row 7 and column 6 on.
    pixels, *_ = joined(stream(tall, image_size=12, crop=Crop(0.5)))
    rows, columns = np.indices((12, 12), np.float32)
    np.testing.assert_array_equal(pixels[..., 0], np.broadcast_to(9 + rows, pixels.shape[:3]))
    np.testing.assert_array_equal(pixels[..., 1], np.broadcast_to(6 + columns, pixels.shape[:3]))
    settings = SQUARES | {"image_size": 12, "crop": Crop(0.5, position="random")}
    found = joined(stream(copies, **settings, epochs=4))[0]
    assert set(found[:, 0, 0, 0].astype(int)) == {7, 8, 9, 10, 11}
    assert set(found[:, 0, 0, 1].astype(int)) == {6}


@pytest.mark.parametrize("training", [True, False])
def test_center_is_resized_to_a_square(tall, training):
    pixels, *_ = joined(
        stream(tall, image_size=12, crop=Crop(0.5, shape="image"), training=training)
    )
    part = np.stack(np.meshgrid(7 + np.arange(16), 6 + np.arange(12), indexing="ij"), axis=-1)
    expected = decode.resize(np.pad(part, [(0, 0), (0, 0), (0, 1)]), 12)[..., :2]
    for found in pixels[..., :2]:
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_random_square_is_uniformly_distributed(copies):
    found = tops(joined(stream(copies, **SQUARES, epochs=8))[0])
    counts = np.bincount(found, minlength=8)
    assert len(counts) == 8
    assert counts.min() > 60  # 100 expected, 9 standard deviation
    assert counts.max() < 140


@pytest.mark.parametrize("augment", [None, ["flip", "crop"]])
def test_random_square_is_a_function_of_seed_and_step(tall, augment):
    settings = {**SQUARES, "augment": augment, "seed": 3}
    whole = batches(stream(tall, **settings, epochs=3))
    dataset = stream(tall, **settings, epochs=3)
    one_thread = tf.data.Options()
    one_thread.threading.private_threadpool_size = 1
    assert_same(batches(dataset.with_options(one_thread)), whole)
    assert_same(batches(stream(tall, **settings, epochs=3, start_step=4)), whole[4:])
    other = batches(stream(tall, **settings | {"seed": 4}, epochs=3))
    assert all(differ(first[0], second[0]) for first, second in zip(whole, other, strict=True))


def test_random_squares_differ_between_passes(copies):
    tf.random.set_seed(1)
    dataset = stream(copies, **SQUARES)
    first, second = (tops(joined(dataset)[0]) for _ in range(2))
    assert differ(first, second)


def test_square_is_cut_before_the_augmentation(copies):
    # The same numbers but for one more, and so another place; a flip of all is a mirrored square.
    plain = joined(stream(copies, **SQUARES, epochs=1))[0]
    flipped = joined(stream(copies, **SQUARES, augment="flip:1", epochs=1))[0]
    assert plain.shape == flipped.shape
    tops(flipped[:, :, ::-1])
    assert (flipped[:, 0, 0, 1] == 23).all()


def test_square_keeps_its_aspect_ratio(tall):
    pixels = joined(stream(tall, image_size=12, crop=Crop()))[0]
    with_border = joined(stream(tall, image_size=12))[0]
    # Two rows and two columns of the file become one of the square.
    np.testing.assert_allclose(pixels[:, 1:-1, 5, 0], [4.5 + 2 * np.arange(1, 11)] * COUNT)
    np.testing.assert_allclose(pixels[:, 5, 1:-1, 1], [0.5 + 2 * np.arange(1, 11)] * COUNT)
    assert with_border[:, -1, 5, 0].min() > 28


@pytest.mark.parametrize("shape", [(218, 178), (109, 89)])
@pytest.mark.parametrize("checked", [True, False])
def test_squares_of_jpegs_of_whole_and_half_size(tmp_path, shape, checked):
    coarse = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize(shape[::-1], Image.Resampling.BICUBIC)
    image.save(tmp_path / "face.jpg")
    table = FaceTable(tmp_path, ["face.jpg"])
    table = check(table).table if checked else table
    (found,) = stream(table, image_size=64, crop=Crop())
    top, side = (shape[0] - shape[1]) // 2, shape[1]
    with Image.open(tmp_path / "face.jpg") as file:
        expected = file.crop((0, top, side, top + side)).resize((64, 64), Image.Resampling.BILINEAR)
    assert np.abs(found[0] - np.asarray(expected, int)).max() <= 4


def test_attributes_of_random_squares(tall):
    attributes = np.random.default_rng(0).integers(0, 2, (COUNT, 3))
    table = FaceTable(tall.root, tall.paths, attributes, "abc")
    dataset = stream(table, **SQUARES, augment="flip", mixup=0.0, labels="one_hot", epochs=1)
    assert dataset.element_spec[1] == tf.TensorSpec([None, 3], tf.float32)
    pixels, labels, _ = joined(dataset)
    files = pixels[:, 0, 0, 2].astype(int)
    assert sorted(files) == list(range(COUNT))
    np.testing.assert_array_equal(labels, attributes[files])


def test_broken_file_among_squares(tmp_path):
    table = check(write_tall(tmp_path)).table
    (tmp_path / "3.png").write_bytes(b"")
    reported = []
    settings = {"crop": Crop(), "image_size": 24, "on_unreadable": reported.append}
    pixels, rows, weights = joined(stream(table, **settings))
    assert rows.tolist() == list(range(COUNT))
    assert weights.tolist() == [i != 3 for i in range(COUNT)]
    assert not pixels[3].any()
    assert reported == [str(tmp_path / "3.png")]


# Epochs


def test_order_and_augmentation_differ_between_epochs(alike):
    settings = {"image_size": 8, "batch_size": 2, "training": True, "augment": "rotation"}
    pixels, rows, _ = joined(stream(alike, **settings, epochs=3))
    assert [sorted(part) for part in rows.reshape(3, 5).tolist()] == [[0, 1, 2, 3, 4]] * 3
    assert len({tuple(part) for part in rows.reshape(3, 5).tolist()}) == 3
    assert len({picture.tobytes() for picture in pixels}) == 15


def test_order_and_augmentation_differ_between_passes_without_epochs(alike):
    tf.random.set_seed(1)  # takes part without `epochs`; other tests leave theirs
    settings = {"image_size": 8, "batch_size": 2, "training": True, "augment": "rotation"}
    runs = []
    for _ in range(2):  # a second, identical data set repeats all passes
        dataset = stream(alike, **settings)
        runs.append([joined(dataset) for _ in range(3)])
    assert_same(*runs)
    assert [sorted(rows) for _, rows, _ in runs[0]] == [[0, 1, 2, 3, 4]] * 3
    assert len({tuple(rows) for _, rows, _ in runs[0]}) == 3
    assert len({picture.tobytes() for pixels, _, _ in runs[0] for picture in pixels}) == 15


@pytest.mark.parametrize("count", [1, 2, 3, 1000, 65_537])
@pytest.mark.parametrize("epochs", [None, 2])
def test_every_example_occurs_exactly_once_per_epoch(count, epochs):
    rows = orders(count, epochs, batch_size=max(1, count // 5))
    assert len(rows) == (epochs or 1)
    for row in rows:
        np.testing.assert_array_equal(np.sort(row), np.arange(count))
        if count >= 1000:
            assert abs(np.corrcoef(row, np.arange(count))[0, 1]) < 0.1
    if count >= 1000 and epochs:
        assert differ(*rows)


def test_all_orders_of_four_occur():
    assert len({tuple(rows) for rows in orders(4, epochs=300)}) == 24


def test_orders_of_seeds_and_epochs_are_independent():
    found = [tuple(rows) for seed in range(5) for rows in orders(50, epochs=4, seed=seed)]
    assert len(set(found)) == 20


@pytest.mark.parametrize(
    ("training", "expected"),
    [(True, [[0, 1], [2, 3], [4, 5, 6]]), (False, [[0, 1, 2], [3, 4, 5], [6]])],
)
def test_positions_count_up(training, expected):
    found = list(index_batches(7, 3, training=training, epochs=2).as_numpy_iterator())
    assert [epoch for epoch, _, _ in found] == [0, 0, 0, 1, 1, 1]
    assert [positions.tolist() for _, positions, _ in found] == expected * 2
    assert [len(rows) for _, _, rows in found] == [len(part) for part in expected] * 2


@pytest.mark.parametrize(("count", "batch"), [(1, 64), (64, 64), (65, 64), (2633, 64), (1000, 7)])
def test_training_batches_have_similar_sizes(count, batch):
    found = index_batches(count, batch, training=True, epochs=1)
    sizes = [len(rows) for _, _, rows in found.as_numpy_iterator()]
    assert len(sizes) == math.ceil(count / batch)
    assert max(sizes) <= batch
    assert max(sizes) - min(sizes) <= 1


def test_every_file_is_read_exactly_once(tmp_path):
    dataset = stream(repeated(tmp_path, 1000), image_size=1, batch_size=64, training=True)
    pixels, rows, weights = joined(dataset)
    assert sorted(rows) == list(range(1000))
    np.testing.assert_array_equal(weights, 1)
    np.testing.assert_array_equal(pixels.reshape(-1, 3), [(9, 8, 7)] * 1000)


def test_single_example(tmp_path):
    dataset = stream(repeated(tmp_path, 1), **EVERYTHING | {"image_size": 4}, epochs=2)
    assert [labels.tolist() for _, labels, _ in batches(dataset)] == [[[1]], [[1]]]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"batch_size": 8, "training": True}, 1),
        ({"batch_size": 3, "epochs": 4, "start_step": 12}, 0),
    ],
)
def test_cardinality(faces, settings, expected):
    dataset = stream(faces, image_size=1, **settings)
    assert int(dataset.cardinality()) == expected
    assert sum(1 for _ in dataset) == expected


@pytest.mark.parametrize(("batch", "steps"), [(1, 7), (3, 3), (6, 2), (7, 1), (100, 1)])
def test_steps_per_epoch(faces, batch, steps):
    assert steps_per_epoch(faces, batch) == steps


# Evaluation


def originals(table):
    return np.array([images.decode(pathlib.Path(path).read_bytes()) for path in table.full_paths()])


@pytest.mark.parametrize(("batch", "checked"), [(1, True), (3, False)])
def test_evaluation_keeps_order_and_all_images(faces, batch, checked):
    table = faces if checked else FaceTable(faces.root, faces.paths, faces.labels, faces.names)
    dataset = stream(table, image_size=SIZE, batch_size=batch)
    assert dataset.element_spec == (
        tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32),
        tf.TensorSpec([None], tf.int32),
        tf.TensorSpec([None], tf.float32),
    )
    found = batches(dataset)
    whole, rest = divmod(COUNT, batch)
    assert [len(rows) for _, rows, _ in found] == [batch] * whole + [rest] * (rest > 0)
    pixels, rows, weights = joined(dataset)
    np.testing.assert_array_equal(pixels, originals(faces))
    np.testing.assert_array_equal(rows, range(COUNT))
    np.testing.assert_array_equal(weights, 1)


def test_evaluation_in_order_over_many_batches(tmp_path):
    dataset = stream(repeated(tmp_path, 200), image_size=1, batch_size=7, epochs=2)
    assert joined(dataset)[1].tolist() == [*range(200)] * 2


# Labels


def test_one_hot_labels(faces):
    dataset = stream(faces.take([6, 0, 3]), image_size=4, labels="one_hot")
    assert dataset.element_spec[1] == tf.TensorSpec([None, COUNT], tf.float32)
    np.testing.assert_array_equal(joined(dataset)[1], np.eye(COUNT)[[6, 0, 3]])


@pytest.mark.parametrize("kind", ["index", "one_hot"])
def test_attributes(faces, kind):
    attributes = [[0, 1], [1, 1], [0, 0]]
    table = FaceTable(faces.root, faces.paths[:3], attributes, ("Smiling", "Male"))
    dataset = stream(table, image_size=8, labels=kind)
    assert dataset.element_spec[1] == tf.TensorSpec([None, 2], tf.float32)
    np.testing.assert_array_equal(joined(dataset)[1], attributes)


def test_unlabeled_elements_are_images_alone(faces, plain):
    dataset = stream(FaceTable(faces.root, faces.paths), image_size=8, batch_size=BATCH)
    assert dataset.element_spec == tf.TensorSpec([None, 8, 8, 3], tf.float32)
    np.testing.assert_array_equal(np.concatenate([part.numpy() for part in dataset]), plain[0])


def test_labels_are_mixed_within_the_batch(faces):
    settings = EVERYTHING | {"augment": None, "image_size": SIZE, "epochs": 1}
    pixels, labels, _ = joined(stream(faces, **settings))
    rows = orders(COUNT, epochs=1, seed=EVERYTHING["seed"])[0]
    partners = np.concatenate([np.roll(part, 1) for part in np.split(rows, [2, 4])])
    own = labels[np.arange(COUNT), rows]
    assert np.count_nonzero(labels) == 2 * COUNT
    share, sound = own[:, None, None, None], originals(faces)
    expected = share * sound[rows] + (1 - share) * sound[partners]
    np.testing.assert_allclose(pixels, expected, atol=0.01)


# Files that break after the check


def test_broken_files_become_black_images_with_weight_0(tmp_path, plain):
    table = check(write_faces(tmp_path)).table
    reported = []
    dataset = stream(table, image_size=8, batch_size=BATCH, on_unreadable=reported.append)
    for broken in ([0, 4, 5], [3, 4, 5], [1, 6], [], list(range(COUNT))):
        write_faces(tmp_path)
        for i in broken:
            file = tmp_path / f"{i}.png"
            if i % 2:
                file.unlink()
            else:
                file.write_bytes(file.read_bytes()[:200])
        reported.clear()
        pixels, rows, weights = joined(dataset)
        expected = plain[0].copy()
        expected[broken] = 0
        np.testing.assert_array_equal(pixels, expected)
        np.testing.assert_array_equal(rows, range(COUNT))
        np.testing.assert_array_equal(weights, [i not in broken for i in range(COUNT)])
        assert sorted(reported) == [str(tmp_path / f"{i}.png") for i in broken]


@pytest.mark.parametrize("checked", [True, False])
def test_broken_files_of_other_kinds(tmp_path, checked):
    names = ["a.jpg", "b.jpg", "c.jpg", "d.webp", "e.webp"]
    for name in names:
        Image.new("RGB", (40, 40), (200, 100, 50)).save(tmp_path / name)
    table = FaceTable(tmp_path, names, range(5), names)
    table = check(table).table if checked else table
    for name in ("b.jpg", "d.webp"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-30])
    reported = []
    pixels, rows, weights = joined(stream(table, image_size=8, on_unreadable=reported.append))
    assert rows.tolist() == [0, 1, 2, 3, 4]
    assert weights.tolist() == [1, 0, 1, 0, 1]
    assert not pixels[weights == 0].any()
    np.testing.assert_allclose(pixels[weights > 0], np.full((3, 8, 8, 3), (200, 100, 50)), atol=4)
    assert sorted(reported) == [str(tmp_path / "b.jpg"), str(tmp_path / "d.webp")]


def test_mixing_ends_after_mix_epochs(faces, whole):
    steps = steps_per_epoch(faces, BATCH)
    found = batches(stream(faces, **EVERYTHING, epochs=3, mix_epochs=1))
    unmixed = batches(stream(faces, **{**EVERYTHING, "mixup": 0.0}, epochs=3))
    for step in range(3 * steps):
        assert_same([found[step]], [whole[step] if step < steps else unmixed[step]])


def test_file_that_breaks_during_training(tmp_path, whole):
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
    assert weights.tolist() == [1, 0]


# Arguments


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"image_size": 0},
            "`image_size` must be an integer of at least 1. Received: image_size=0",
        ),
        ({"batch_size": 0}, "`batch_size` must be an integer of at least 1"),
        ({"epochs": 0}, "`epochs` must be an integer of at least 1"),
        ({"epochs": 2, "start_step": -1}, "`start_step` must be an integer of at least 0"),
        ({"start_step": 1}, "start_step=1 without `epochs`"),
        ({"epochs": 2, "batch_size": 3, "start_step": 7}, "at most 6, the number.*start_step=7"),
        ({"labels": "onehot"}, r"\['index', 'one_hot'\]\. Received: labels='onehot'"),
        ({"augment": "face"}, "training=False"),
        ({"crop": Crop(position="random")}, r"training=False .*Use crop\.centered\(\)"),
        ({"crop": "center_square"}, "Crop or None. Received: crop='center_square'. Use .*Crop"),
        ({"mixup": 1.0, "labels": "one_hot"}, "training=False"),
        ({"cutmix": 1.0, "labels": "one_hot"}, "training=False"),
        ({"mix_epochs": 1}, "mix_epochs=1 without `epochs`"),
        ({"mix_epochs": 3, "epochs": 2}, "at least 0 and at most `epochs`"),
        ({"mixup": 1.0, "training": True}, "labels='index'. Set labels='one_hot'"),
        ({"cutmix": 1.0, "training": True}, "labels='index'. Set labels='one_hot'"),
        ({"mixup": -1, "training": True, "labels": "one_hot"}, "`mixup` must be .* at least 0"),
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
def test_fit_gets_every_example_once_per_epoch(faces, spanning):
    inputs = keras.Input([4, 4, 3])
    outputs = keras.layers.Dense(COUNT)(keras.layers.Flatten()(inputs))
    model = Recorder(inputs=inputs, outputs=outputs)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"], run_eagerly=True)
    settings = {"image_size": 4, "batch_size": BATCH, "training": True}
    dataset = stream(faces, **settings, epochs=3 if spanning else None)
    next_epoch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: model.seen.append([])
    )
    steps = {"steps_per_epoch": steps_per_epoch(faces, BATCH)} if spanning else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(dataset, epochs=3, callbacks=[next_epoch], verbose=0, **steps)
    assert not [warning for warning in caught if "ran out of data" in str(warning.message)]
    assert len(history.epoch) == 3
    epochs = [tuple(rows) for rows in model.seen[:-1]]
    assert [sorted(rows) for rows in epochs] == [list(range(COUNT))] * 3
    assert len(set(epochs)) == 3


def test_evaluate_ignores_unreadable_files(tmp_path):
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


@pytest.mark.parametrize("training", [True, False])
def test_autotuning_is_off(faces, training):
    # An iterator with autotuning may take seconds to close: see `ready_batches`.
    ds = stream(faces, image_size=16, batch_size=8, training=training)
    assert ds.options().autotune.enabled is False
    assert ds.map(lambda *batch: batch).options().autotune.enabled is False


def test_all_cpu_cores_read(faces, monkeypatch):
    running, most, lock = 0, 0, threading.Lock()

    def note(data):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)  # two that work at once meet here
        with lock:
            running -= 1
        return np.zeros((8, 8, 3), np.uint8)

    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(
        decode,
        "read_image",
        lambda path, _: tf.ensure_shape(tf.numpy_function(note, [path], tf.uint8), [8, 8, 3]),
    )
    ds = stream(faces, image_size=8, batch_size=4, epochs=2, training=True)
    options = tf.data.Options()
    options.threading.private_threadpool_size = 2  # on machines with one processor too
    assert sum(len(images) for images, _, _ in ds.with_options(options)) == 2 * len(faces)
    assert most == 2
