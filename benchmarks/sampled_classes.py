"""Measures time and peak memory of a step with all class centers or with a sample of them.

The cases run one after the other, each in its own process, and print one JSON object each. A case
that runs out of memory prints the reason. Run it on idle cores, on Linux or macOS (Windows has no
``resource``):

    python benchmarks/sampled_classes.py
    python benchmarks/sampled_classes.py --classes 1000000 --shares 0.01 0.1
    python benchmarks/sampled_classes.py --shares 0.01 --counts --full --model mobilenet_v2

A step of the centers alone computes the cosines of 64 embeddings with the centers, ArcFace's
margin, the cross-entropy, the gradient of the embeddings and the update of the centers. ``--full``
runs a Keras optimizer on all centers: SGD without momentum, the cheapest, or AdamW, which the
recipes use. ``--shares`` and ``--counts`` run `SampledCenters` with AdaGrad on a share or a number
of the centers. With ``--model`` it is a whole training step on images of noise, with the forward
and backward pass of that network and its optimizer (SGD with sampled centers).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

try:
    import resource
except ImportError:  # Windows
    resource = None

CLASSES = (10_000, 100_000, 1_000_000)
SHARES = (0.01, 0.1)
COUNTS = (1000,)
FULL = ("sgd", "adamw")


def main() -> None:
    """Runs each case in its own process, or one case in this process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=CLASSES, help="numbers of people")
    parser.add_argument("--shares", type=float, nargs="*", default=SHARES, help="sampled shares")
    parser.add_argument("--counts", type=int, nargs="*", default=COUNTS, help="sampled numbers")
    parser.add_argument("--full", nargs="*", choices=FULL, default=FULL, help="all centers")
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--model", help="network; default: only the centers")
    parser.add_argument("--image-size", type=int, default=112, help="side of the images in pixels")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if resource is None:
        parser.error(f"The benchmark needs Linux or macOS. Received: {sys.platform}.")
    if options.case:
        print(json.dumps(measure(options)), flush=True)
        return
    for classes in options.classes:
        for case in [*map(str, [*options.counts, *options.shares]), *options.full]:
            command = [sys.executable, __file__, "--case", case, "--classes", str(classes)]
            command += ["--dimensions", str(options.dimensions)]
            command += ["--batch-size", str(options.batch_size), "--steps", str(options.steps)]
            if options.model:
                command += ["--model", options.model, "--image-size", str(options.image_size)]
            process = subprocess.run(command, capture_output=True, text=True)
            if process.returncode:
                reason = process.stderr.strip().splitlines()[-1:] or ["no message"]
                if process.returncode < 0:  # for example when the memory is exhausted
                    reason = [f"killed by signal {-process.returncode}"]
                print(json.dumps({"case": case, "classes": classes, "failed": reason[0][:200]}))
            else:
                print(process.stdout.strip().splitlines()[-1], flush=True)


def measure(options: argparse.Namespace) -> dict:
    """Measures one case: the median time of a step and the peak memory of the process."""
    import keras
    import numpy as np
    import tensorflow as tf

    from kerasface.embedding.centers import ClassCenters, SampledCenters
    from kerasface.embedding.margins import ArcFace

    (classes,) = options.classes
    size = (classes, options.dimensions, ArcFace())
    generator = np.random.default_rng(0)
    before = peak_gigabytes()
    optimizer = keras.optimizers.SGD(1e-3)
    if options.case in FULL:
        head = ClassCenters(*size)
        if options.case == "adamw":
            optimizer = keras.optimizers.AdamW(1e-3)
    else:
        sampled = float(options.case)  # a share, or a number above 1
        head = SampledCenters(*size, share=sampled if sampled <= 1 else sampled / classes)
    make_step = training_step if options.model else centers_step
    step = make_step(options, head, optimizer, generator)

    seconds = []
    for _ in range(options.steps + 2):  # the first steps trace and warm up
        labels = tf.constant(generator.integers(0, classes, options.batch_size), tf.int32)
        start = time.perf_counter()
        step(labels)
        seconds.append(time.perf_counter() - start)
    return {
        "case": options.case,
        "model": options.model,
        "classes": classes,
        "sampled": getattr(head, "count", classes),
        "dimensions": options.dimensions,
        "batch_size": options.batch_size,
        "milliseconds": round(1000 * statistics.median(seconds[2:]), 1),
        "fastest_milliseconds": round(1000 * min(seconds[2:]), 1),
        "peak_gigabytes": round(peak_gigabytes(), 2),
        "of_which_libraries": round(before, 2),
    }


def centers_step(options: argparse.Namespace, head, optimizer, generator) -> Callable:
    """Returns a function of labels that runs one step of the centers and waits for it."""
    import tensorflow as tf

    size = (options.batch_size, options.dimensions)
    embeddings = tf.constant(generator.normal(size=size).astype("float32"))
    if head.centers_are_trainable:
        optimizer.build([head.centers])

    @tf.function
    def step(labels):
        with tf.GradientTape() as tape:
            tape.watch(embeddings)
            loss = head.loss(embeddings, labels).loss
        if not head.centers_are_trainable:
            return loss, tape.gradient(loss, embeddings)
        gradient, centers_gradient = tape.gradient(loss, [embeddings, head.centers.value])
        optimizer.apply([centers_gradient], [head.centers])
        return loss, gradient

    return lambda labels: [result.numpy() for result in step(labels)]


def training_step(options: argparse.Namespace, head, optimizer, generator) -> Callable:
    """Returns a function of labels that runs one training step of a network with the head."""
    import tensorflow as tf

    import kerasface
    from kerasface.embedding.training import EmbeddingTraining

    shape = (options.image_size, options.image_size, 3)
    embedder = kerasface.build(options.model, embedding=options.dimensions, input_shape=shape)
    training = EmbeddingTraining(embedder, head)
    training.compile(optimizer, jit_compile=False)
    images = tf.constant(generator.uniform(0, 255, (options.batch_size, *shape)), tf.float32)
    return lambda labels: training.train_on_batch(images, labels)


def peak_gigabytes() -> float:
    """Returns the peak memory of this process in GiB."""
    unit = 1 if sys.platform == "darwin" else 2**10  # macOS counts in bytes, Linux in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


if __name__ == "__main__":
    main()
