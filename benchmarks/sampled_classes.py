"""A step of the class centers, all of them or a sample: time and peak memory.

Each case runs in a process of its own, one after the other, and prints one JSON object; a case
that the memory does not hold prints why. Run it on idle cores, on Linux or macOS (Windows has
no ``resource``):

    python benchmarks/sampled_classes.py
    python benchmarks/sampled_classes.py --classes 1000000 --shares 0.01 0.1
    python benchmarks/sampled_classes.py --shares 0.01 --counts --full --model mobilenet_v2

A step of the centers alone is: cosines of 64 embeddings with the centers, ArcFace's margin,
cross-entropy, the gradient of the embeddings and the update of the centers. "full" is Keras's
optimizer on all centers (SGD without momentum, the cheapest, or AdamW, which recipes train with); a
share is `SampledCenters` with AdaGrad, and so is a number of classes (``--counts``), which is the
same work whatever they are a share of. With ``--model`` it is a whole step of training, from
pictures of noise: that network's way there and back and its optimizer too (SGD where a sample of
the centers is seen).
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
    """Runs every case in a process of its own, or one case in this."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, nargs="+", default=CLASSES)
    parser.add_argument("--shares", type=float, nargs="*", default=SHARES)
    parser.add_argument("--counts", type=int, nargs="*", default=COUNTS)
    parser.add_argument("--full", nargs="*", choices=FULL, default=FULL)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--model", help="name of a network; without it the centers alone")
    parser.add_argument("--image-size", type=int, default=112, help="of its pictures")
    parser.add_argument("--case", help="for this script's own use: full or a share")
    options = parser.parse_args()
    if resource is None:
        parser.error(f"The benchmark needs Linux or macOS. Received: {sys.platform}.")
    if options.case:
        print(json.dumps(measure(options)), flush=True)
        return
    for classes in options.classes:
        for case in [*map(str, [*options.counts, *options.shares]), *options.full]:
            words = [sys.executable, __file__, "--case", case, "--classes", str(classes)]
            words += ["--dimensions", str(options.dimensions)]
            words += ["--batch-size", str(options.batch_size), "--steps", str(options.steps)]
            if options.model:
                words += ["--model", options.model, "--image-size", str(options.image_size)]
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                why = done.stderr.strip().splitlines()[-1:] or ["without a word"]
                if done.returncode < 0:  # what the system does where the memory is all used
                    why = [f"killed by signal {-done.returncode}"]
                print(json.dumps({"case": case, "classes": classes, "failed": why[0][:200]}))
            else:
                print(done.stdout.strip().splitlines()[-1], flush=True)


def measure(options: argparse.Namespace) -> dict:
    """One case: median seconds a step and the peak of the process's memory."""
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
        given = float(options.case)
        head = SampledCenters(*size, share=given if given <= 1 else given / classes)
    make = whole_step if options.model else step_of_centers
    step = make(options, head, optimizer, generator)

    seconds = []
    for _ in range(options.steps + 2):  # the first ones trace and warm up
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


def step_of_centers(options: argparse.Namespace, head, optimizer, generator) -> Callable:
    """A function of labels that runs a step of the centers and waits for its end."""
    import tensorflow as tf

    size = (options.batch_size, options.dimensions)
    points = tf.constant(generator.normal(size=size).astype("float32"))
    if head.centers_are_trainable:
        optimizer.build([head.centers])

    @tf.function
    def step(labels):
        with tf.GradientTape() as tape:
            tape.watch(points)
            loss = head.loss(points, labels).loss
        if not head.centers_are_trainable:
            return loss, tape.gradient(loss, points)
        gradient, change = tape.gradient(loss, [points, head.centers.value])
        optimizer.apply([change], [head.centers])
        return loss, gradient

    return lambda labels: [result.numpy() for result in step(labels)]


def whole_step(options: argparse.Namespace, head, optimizer, generator) -> Callable:
    """A function of labels that runs a step of training a network with a head."""
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
    """The most memory that this process has had, in GiB."""
    unit = 1 if sys.platform == "darwin" else 2**10  # macOS counts in bytes, Linux in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


if __name__ == "__main__":
    main()
