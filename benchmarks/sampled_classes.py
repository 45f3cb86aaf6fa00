"""A step of the class centers alone, all of them or a sample: time and peak memory.

Each case runs in a process of its own, one after the other, and prints one JSON object; a case
that the memory does not hold prints why. Run it on idle cores:

    python benchmarks/sampled_classes.py
    python benchmarks/sampled_classes.py --classes 1000000 --shares 0.01 0.1

A step is: cosines of 64 embeddings with the centers, ArcFace's margin, cross-entropy, the gradient
of the embeddings and the update of the centers. "full" is Keras's optimizer on all centers (SGD
without momentum, the cheapest, or AdamW, which recipes train with); a share is `SampledCenters`
with AdaGrad, and so is a number of classes (``--counts``), which is the same work whatever they
are a share of.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

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
    parser.add_argument("--case", help="for this script's own use: full or a share")
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options)), flush=True)
        return
    for classes in options.classes:
        for case in [*map(str, [*options.counts, *options.shares]), *options.full]:
            words = [sys.executable, __file__, "--case", case, "--classes", str(classes)]
            words += ["--dimensions", str(options.dimensions)]
            words += ["--batch-size", str(options.batch_size), "--steps", str(options.steps)]
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                last = done.stderr.strip().splitlines()[-1:] or [f"ended by {done.returncode}"]
                print(json.dumps({"case": case, "classes": classes, "failed": last[0][:200]}))
            else:
                print(done.stdout.strip().splitlines()[-1], flush=True)


def measure(options: argparse.Namespace) -> dict:
    """One case: median seconds a step and the peak of the process's memory."""
    import keras
    import numpy as np
    import tensorflow as tf

    from kerasface.training.centers import ClassCenters, SampledCenters
    from kerasface.training.margins import ArcFace

    (classes,) = options.classes
    size = (classes, options.dimensions, ArcFace())
    generator = np.random.default_rng(0)
    points = tf.constant(
        generator.normal(size=(options.batch_size, options.dimensions)).astype("float32")
    )
    before = peak_gigabytes()
    optimizer = None
    if options.case in FULL:
        head = ClassCenters(*size)
        made = {"sgd": keras.optimizers.SGD, "adamw": keras.optimizers.AdamW}[options.case]
        optimizer = made(1e-3)
        optimizer.build([head.centers])
    else:
        given = float(options.case)
        head = SampledCenters(*size, share=given if given <= 1 else given / classes)

    @tf.function
    def step(labels):
        with tf.GradientTape() as tape:
            tape.watch(points)
            loss = head.loss(points, labels).loss
        if optimizer is None:
            return loss, tape.gradient(loss, points)
        gradient, change = tape.gradient(loss, [points, head.centers.value])
        optimizer.apply([change], [head.centers])
        return loss, gradient

    seconds = []
    for _ in range(options.steps + 2):  # the first ones trace and warm up
        labels = tf.constant(generator.integers(0, classes, options.batch_size), tf.int32)
        start = time.perf_counter()
        loss, gradient = step(labels)
        loss.numpy(), gradient.numpy()
        seconds.append(time.perf_counter() - start)
    return {
        "case": options.case,
        "classes": classes,
        "sampled": getattr(head, "count", classes),
        "dimensions": options.dimensions,
        "batch_size": options.batch_size,
        "milliseconds": round(1000 * statistics.median(seconds[2:]), 1),
        "fastest_milliseconds": round(1000 * min(seconds[2:]), 1),
        "peak_gigabytes": round(peak_gigabytes(), 2),
        "of_which_libraries": round(before, 2),
    }


def peak_gigabytes() -> float:
    """The most memory that this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # Linux counts in KiB


if __name__ == "__main__":
    main()
