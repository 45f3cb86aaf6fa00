"""Measures images per second of the training step, of inference and of the input stream.

Each run prints one JSON object. Compare it with ``benchmarks/pytorch_original.py``: run both in
turn, several times, on idle cores.

    TF_ENABLE_ONEDNN_OPTS=1 python benchmarks/throughput.py step --image-size 112 --batch-size 32
    TF_ENABLE_ONEDNN_OPTS=1 python benchmarks/throughput.py stream --data data/train
    python benchmarks/throughput.py celeba --data celeba --image-size 64
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

import kerasface
from kerasface.pipeline import Crop
from kerasface.training.assemble import build_optimizer

CROPS = {"random_square": Crop(position="random"), "center_square": Crop(), "none": None}


class BatchTimes(keras.callbacks.Callback):
    """Records the time at the end of each batch."""

    def __init__(self):
        super().__init__()
        self.times: list[float] = []

    def on_train_batch_end(self, batch, logs=None):
        self.times.append(time.perf_counter())

    on_predict_batch_end = on_train_batch_end


def step(options: argparse.Namespace) -> dict:
    """Measures the recipe's training step, or inference, on one fixed batch of noise."""
    size, batch = options.image_size, options.batch_size
    model = kerasface.build("convnext_small", options.classes, input_shape=(size, size, 3))
    recipe = kerasface.runs.named_recipe("hw2p2")
    model.compile(
        build_optimizer(recipe, 42, model.trainable_variables),
        keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        jit_compile=False,
    )
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (batch, size, size, 3)).astype("float32")
    labels = generator.dirichlet(np.ones(options.classes), batch).astype("float32")
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat().prefetch(2)
    times = BatchTimes()
    count = options.steps + 3  # the first steps trace and warm up
    if options.inference:
        model.predict(batches, steps=count, callbacks=[times], verbose=0)
    else:
        model.fit(batches, steps_per_epoch=count, callbacks=[times], verbose=0)
    seconds = statistics.median(np.diff(times.times)[2:].tolist())
    what = "inference" if options.inference else "step"
    return {"what": what, "images_per_second": round(batch / seconds, 2)}


def stream(options: argparse.Namespace) -> dict:
    """Measures the training stream of recipe ``hw2p2``: read, decode, augment, mix, batch."""
    table = kerasface.data.check(kerasface.data.identity_folder(options.data)).table
    recipe = kerasface.runs.named_recipe("hw2p2")
    batches = kerasface.pipeline.stream(
        table,
        image_size=options.image_size,
        batch_size=options.batch_size,
        training=True,
        augment=recipe.augment,
        mixup=recipe.mixup,
        labels="one_hot",
        epochs=1 + options.images // len(table),
    )
    return {"what": "stream", **rate(batches, options.images)}


def celeba(options: argparse.Namespace) -> dict:
    """Measures the training stream of CelebA: read, decode a square, flip, resize, batch."""
    table = kerasface.data.check(kerasface.data.read_celeba(options.data).train).table
    batches = kerasface.pipeline.stream(
        table,
        image_size=options.image_size,
        batch_size=options.batch_size,
        training=True,
        crop=CROPS[options.crop],
        augment="flip",
        epochs=1 + options.images // len(table),
    )
    return {"what": f"celeba, crop {options.crop}", **rate(batches, options.images)}


def rate(batches: tf.data.Dataset, count: int) -> dict:
    """Measures images per second of a stream after its first five batches.

    ``cores`` is processor time divided by wall time: a value near 1 means that one core does all
    the work. ``seconds_to_close`` is the time to delete the iterator, which `fit` does after every
    epoch; with autotuning it is up to several seconds.
    """
    iterator = iter(batches)
    for _ in range(5):  # warm up
        next(iterator)
    images_read, start, processor_start = 0, time.perf_counter(), time.process_time()
    for images, *_ in iterator:
        images_read += len(images)
        if images_read >= count:
            break
    seconds = time.perf_counter() - start
    processor_seconds = time.process_time() - processor_start
    start = time.perf_counter()
    del iterator
    seconds_to_close = time.perf_counter() - start
    return {
        "images_per_second": round(images_read / seconds, 1),
        "with_closing": round(images_read / (seconds + seconds_to_close), 1),
        "seconds_to_close": round(seconds_to_close, 2),
        "cores": round(processor_seconds / seconds, 2),
        "images": images_read,
    }


def main() -> None:
    """Runs one measurement and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("step", "stream", "celeba"))
    parser.add_argument("--image-size", type=int, default=112)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=8, help="timed steps")
    parser.add_argument("--classes", type=int, default=7001)
    parser.add_argument("--inference", action="store_true", help="measure predict instead of fit")
    parser.add_argument("--data", help="folder of people for stream, CelebA folder for celeba")
    parser.add_argument(
        "--images", type=int, default=4000, help="number of timed images of a stream"
    )
    parser.add_argument(
        "--crop",
        choices=CROPS,
        default="random_square",
        help="region of each CelebA image",
    )
    options = parser.parse_args()
    if options.what != "step" and not options.data:
        parser.error(f"{options.what} needs --data.")
    modes = {"step": step, "stream": stream, "celeba": celeba}
    print(json.dumps(modes[options.what](options)))


if __name__ == "__main__":
    main()
