"""Measures how long `kerasface.verify` takes: after the first call, by parts, and from a shell.

    python benchmarks/verify_latency.py a.jpg b.jpg

- *warm*: `kerasface.verify(a, b)` again and again in one process, on paths and on pixels in memory;
- *parts*: reading the files, detection, alignment and network, called one after the other;
- *network*: the network alone, for several numbers of faces in one batch;
- *cold*: ``kerasface verify a.jpg b.jpg`` as a new process, in turn with one that only imports
  TensorFlow and Keras, ``--cold`` times. Processor time hardly depends on other programs.

Times are medians in milliseconds, with the fastest in brackets. Run it on idle cores. Other
programs that need the processor make the times longer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

IMPORTS = "import tensorflow, keras"
BATCHES = (1, 2, 4, 8, 32)


def main() -> None:
    """Prints all times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photographs", nargs=2)
    parser.add_argument("--repeats", type=int, default=50, help="calls in one process")
    parser.add_argument("--cold", type=int, default=5, help="new processes; 0 starts none")
    parser.add_argument("--cores", type=int, help="cores to use (on Linux); default: all")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # as the command line does
    if options.cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    if options.cold:
        cold(options.photographs, options.cold)
    warm(options.photographs, options.repeats)
    parts(options.photographs, options.repeats)
    network(options.repeats)


def cold(photographs: list[str], repeats: int) -> None:
    """Times the command in new processes, and the imports that it cannot do without."""
    commands = {
        IMPORTS: [sys.executable, "-c", IMPORTS],
        "kerasface verify": [sys.executable, "-m", "kerasface", "verify", *photographs],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    processor_seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats + 1):  # the first of each reads files into the system's cache
        for name, command in commands.items():
            start, processor_start = time.perf_counter(), children_seconds()
            done = subprocess.run(command, capture_output=True, text=True)
            seconds[name].append(time.perf_counter() - start)
            processor_seconds[name].append(children_seconds() - processor_start)
            # Exit code 1 of verify: different people.
            if done.returncode > 1 or (done.returncode and name == IMPORTS):
                sys.exit(done.stderr)
    for title, both in (("", seconds), (", processor time", processor_seconds)):
        for name, times in both.items():
            show(f"new process, {name}{title}", times[1:])
        base, whole = (np.array(times[1:]) for times in both.values())
        show(f"difference{title}", (whole - base).tolist())


def children_seconds() -> float:
    """Returns the processor time of ended child processes."""
    times = os.times()
    return times.children_user + times.children_system


def warm(photographs: list[str], repeats: int) -> None:
    """Times verification after the first call."""
    import kerasface
    from kerasface.images import as_image

    pixels = [as_image(path) for path in photographs]
    print("sizes of the photographs:", *("x".join(map(str, image.shape[:2])) for image in pixels))
    start = time.perf_counter()
    kerasface.verify(*photographs)
    print(
        f"first verify in a process that has imported little: {time.perf_counter() - start:.2f} s"
    )
    show("verify, two paths", timed(lambda: kerasface.verify(*photographs), repeats))
    show("verify, two arrays", timed(lambda: kerasface.verify(*pixels), repeats))
    show("embed, two paths", timed(lambda: kerasface.embed(photographs), repeats))


def parts(photographs: list[str], repeats: int) -> None:
    """Times each part of a verification on both photographs."""
    from kerasface import faces
    from kerasface.faces.preparation import DLIB
    from kerasface.images import as_image
    from kerasface.inference.method import opened_model

    pixels = [as_image(path) for path in photographs]
    found = [max(each, key=lambda face: face.score) for each in faces.detect(pixels)]
    chips = DLIB.cut_all(pixels, found)
    embed = opened_model("dlib").infer
    for name, call in {
        "reading": lambda: [as_image(path) for path in photographs],
        "detection": lambda: faces.detect(pixels),
        "alignment": lambda: DLIB.cut_all(pixels, found),
        "network": lambda: embed(chips),
    }.items():
        show(f"{name}, two photographs", timed(call, repeats))


def network(repeats: int) -> None:
    """Times the network alone."""
    from kerasface.inference.method import opened_model

    embed = opened_model("dlib").infer
    generator = np.random.default_rng(0)
    for count in BATCHES:
        chips = generator.integers(0, 256, (count, 150, 150, 3), np.uint8)
        times = timed(lambda chips=chips: embed(chips), max(5, repeats // count))
        show(f"network, {count} faces", times)
        print(f"    {count / statistics.median(times):.0f} faces/s")


def timed(call: Callable[[], object], repeats: int) -> list[float]:
    """Returns the seconds of each call, after three that do not count."""
    for _ in range(3):
        call()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return seconds


def show(name: str, seconds: list[float]) -> None:
    """Prints the median and the shortest time."""
    print(
        f"{name}: {1000 * statistics.median(seconds):.1f} ms ({1000 * min(seconds):.1f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
