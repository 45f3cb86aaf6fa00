"""Compares kerasface with face_recognition and deepface: photographs per second and accuracy.

Each library gets the same photographs, in turn, and gives the vector of one face of each, the
face nearest to the center, which LFW's labels are of:

- *kerasface*: ``kerasface.embed(photographs, faces="central")`` in one process;
- *face_recognition*: the calls of ``face_recognition.face_encodings(load_image_file(path))`` of
  version 1.3 with its defaults (HOG detector on the image enlarged once, landmarks "small", one
  descriptor), made through dlib itself, in ``--processes`` processes;
- *deepface*, with ``--deepface PYTHON``, the interpreter of an environment that has it:
  ``DeepFace.represent`` with ``model_name="Dlib"`` and ``detector_backend="mtcnn"``.

All have opened their models and have seen a few photographs before the time is taken. One warm-up
is followed by ``--rounds`` rounds, in each of which all libraries process the same photographs one
after the other; ratios are medians over the rounds. ``--pairs`` adds the accuracy on a list of
pairs as LFW reports it: each fold at the threshold that is best for the others, and a pair of which
a photograph has no face counts as different people.

    pip install 'kerasface[pretrained]' dlib-bin
    python benchmarks/face_recognition.py --photographs lfw/lfw-deepfunneled --pairs lfw/pairs.txt
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

DIMENSIONS = 128
DEEPFACE_FOLDER = pathlib.Path(".deepface", "weights")
WARM_UP = 8  # photographs
Embed = Callable[[list[str]], np.ndarray]


def main() -> None:
    """Measures speed and, with pairs, accuracy. Prints both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=pathlib.Path, required=True, help="folder")
    parser.add_argument("--pairs", type=pathlib.Path, help="LFW's pairs.txt; default: only speed")
    parser.add_argument("--limit", type=int, default=200, help="photographs for the speed")
    parser.add_argument("--rounds", type=int, default=5, help="rounds for the speed; 0 skips it")
    parser.add_argument("--processes", type=int, default=2, help="processes of face_recognition")
    parser.add_argument("--cores", type=int, default=2, help="cores that all may use (on Linux)")
    parser.add_argument("--deepface", help="Python interpreter of an environment with deepface")
    parser.add_argument("--worker", choices=LIBRARIES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(LIBRARIES[options.worker]())
        return
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.cores])
    with tempfile.TemporaryDirectory() as home:
        os.environ["DEEPFACE_HOME"] = home
        contenders = [
            Contender("kerasface"),
            Contender("face_recognition", processes=options.processes),
        ]
        if options.deepface:
            link_weights(pathlib.Path(home))
            contenders.append(Contender("deepface", python=options.deepface))
        try:
            if options.rounds:
                compare_speed(
                    contenders, sample(options.photographs, options.limit), options.rounds
                )
            if options.pairs:
                compare_accuracy(contenders, options.pairs, options.photographs)
        finally:
            for contender in contenders:
                contender.close()


def sample(folder: pathlib.Path, limit: int) -> list[str]:
    """Returns at most so many photographs of a folder, at equal distances in its sorted list."""
    import kerasface

    table = kerasface.data.unlabeled_folder(folder)
    rows = np.linspace(0, len(table) - 1, min(limit, len(table))).round().astype(int)
    return [os.fspath(pathlib.Path(table.root, table.paths[row]).resolve()) for row in rows]


def compare_speed(contenders: list[Contender], photographs: list[str], rounds: int) -> None:
    """Prints photographs per second of each library, and the ratio of kerasface to it."""
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    processor: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            paths = photographs if number else photographs[:WARM_UP]
            start, processor_start = time.perf_counter(), contender.processor_seconds
            vectors = contender.embed(paths)
            seconds = time.perf_counter() - start
            if number:
                rates[contender.name].append(len(paths) / seconds)
                used = contender.processor_seconds - processor_start
                processor[contender.name].append(1000 * used / len(paths))
                faces = int(np.isfinite(vectors[:, 0]).sum())
                print(
                    f"round {number}: {contender.name} {len(paths) / seconds:.1f} photographs/s, "
                    f"a face in {faces} of {len(paths)}",
                    flush=True,
                )
    first = contenders[0].name
    for name, other in rates.items():
        text = f"{name}: median {statistics.median(other):.1f} photographs/s"
        text += f" ({min(other):.1f} to {max(other):.1f}), {rounds} rounds, "
        text += f"{statistics.median(processor[name]):.0f} ms of processor time per photograph"
        if name != first:
            ratios = [own / theirs for own, theirs in zip(rates[first], other, strict=True)]
            text += f"; {first} is {statistics.median(ratios):.1f} times as fast"
            text += f" ({min(ratios):.1f} to {max(ratios):.1f})"
        print(text)


def compare_accuracy(
    contenders: list[Contender], pairs: pathlib.Path, folder: pathlib.Path
) -> None:
    """Prints accuracy and area of each library on a list of pairs."""
    import kerasface
    from kerasface.metrics import verification

    table = kerasface.data.read_pairs(pairs, folder)
    root = pathlib.Path(table.images.root).resolve()
    paths = [os.fspath(root / path) for path in table.images.paths]
    for contender in contenders:
        start = time.perf_counter()
        vectors = contender.embed(paths)
        seconds = time.perf_counter() - start
        first, second = vectors[table.rows[:, 0]], vectors[table.rows[:, 1]]
        scores = -np.linalg.norm(first - second, axis=1)
        lost = np.isnan(scores)
        result = verification.evaluate(
            np.where(lost, -10.0, scores), table.same, folds=table.folds
        ).metrics
        print(
            f"{contender.name}: accuracy {result['accuracy']:.2%} +- "
            f"{result['accuracy_standard_error']:.2%}, area {result['auc']:.4f}, "
            f"no face in {int(np.isnan(vectors[:, 0]).sum())} of {len(paths)} photographs and "
            f"{int(lost.sum())} of {len(scores)} pairs, {len(paths) / seconds:.1f} photographs/s",
            flush=True,
        )


class Contender:
    """A library at work in one or more processes.

    Args:
        name: One of ``LIBRARIES``.
        processes: Number of processes.
        python: Interpreter.
    """

    def __init__(self, name: str, processes: int = 1, python: str = sys.executable):
        self.name = name
        self.processor_seconds = 0.0  # of all calls of `embed`
        command = [python, __file__, "--photographs", ".", "--worker", name]
        self._workers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for _ in range(processes)
        ]
        for worker in self._workers:
            self._answer(worker)  # the models are open

    def embed(self, paths: list[str]) -> np.ndarray:
        """Returns float ``[N, 128]``, one row per photograph; NaN where there is no face."""
        vectors = np.empty((len(paths), DIMENSIONS))
        count = len(self._workers)
        for number, worker in enumerate(self._workers):
            print(json.dumps(paths[number::count]), file=worker.stdin, flush=True)
        for number, worker in enumerate(self._workers):
            answer = json.loads(self._answer(worker))
            vectors[number::count] = answer["vectors"]
            self.processor_seconds += answer["processor_seconds"]
        return vectors

    def close(self) -> None:
        """Ends the processes."""
        for worker in self._workers:
            worker.stdin.close()
            worker.wait()

    def _answer(self, worker: subprocess.Popen) -> str:
        line = worker.stdout.readline()
        if not line:
            sys.exit(f"A process of {self.name} ended with exit code {worker.wait()}.")
        return line


def work(embed: Embed) -> None:
    """Answers each line of paths on standard input with a line of vectors."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)  # what libraries print must not be among the answers
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            start = time.process_time()
            vectors = np.asarray(embed(json.loads(line))).tolist()
            answer = {"vectors": vectors, "processor_seconds": time.process_time() - start}
            print(json.dumps(answer), file=answers, flush=True)


def open_kerasface() -> Embed:
    """Opens kerasface."""
    import kerasface

    return lambda paths: kerasface.embed(paths, faces="central", missing="nan")


def open_face_recognition() -> Embed:
    """Opens dlib's models as face_recognition 1.3 does."""
    import dlib
    import PIL.Image

    from kerasface.dlib_files import FACE_NETWORK, FIVE_LANDMARKS, find_file

    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(os.fspath(find_file(FIVE_LANDMARKS)))
    encoder = dlib.face_recognition_model_v1(os.fspath(find_file(FACE_NETWORK)))

    def encode(path: str) -> np.ndarray:
        image = np.array(PIL.Image.open(path).convert("RGB"))  # load_image_file
        boxes = detector(image, 1)  # face_locations
        if not boxes:
            return np.full(DIMENSIONS, np.nan)
        height, width = image.shape[:2]
        box = min(boxes, key=lambda box: distance(box.center().x, box.center().y, width, height))
        points = predictor(image, box)  # face_landmarks
        return np.array(encoder.compute_face_descriptor(image, points, 1))  # face_encodings

    return lambda paths: np.array([encode(path) for path in paths])


def distance(x: float, y: float, width: int, height: int) -> float:
    """Returns the squared distance of a point from the center of an image."""
    return (x - width / 2) ** 2 + (y - height / 2) ** 2


def open_deepface() -> Embed:
    """Opens deepface's model Dlib with its detector mtcnn."""
    import PIL.Image
    from deepface import DeepFace

    def encode(path: str) -> np.ndarray:
        try:
            found = DeepFace.represent(path, model_name="Dlib", detector_backend="mtcnn")
        except ValueError:  # no face
            return np.full(DIMENSIONS, np.nan)
        with PIL.Image.open(path) as image:
            width, height = image.size
        areas = [face["facial_area"] for face in found]
        centers = [(area["x"] + area["w"] / 2, area["y"] + area["h"] / 2) for area in areas]
        nearest = min(range(len(found)), key=lambda k: distance(*centers[k], width, height))
        return np.array(found[nearest]["embedding"])

    return lambda paths: np.array([encode(path) for path in paths])


def link_weights(home: pathlib.Path) -> None:
    """Puts dlib's network where deepface looks for it."""
    from kerasface.dlib_files import FACE_NETWORK, find_file

    folder = home / DEEPFACE_FOLDER
    folder.mkdir(parents=True)
    (folder / FACE_NETWORK.name).symlink_to(find_file(FACE_NETWORK))


LIBRARIES = {
    "kerasface": open_kerasface,
    "face_recognition": open_face_recognition,
    "deepface": open_deepface,
}


if __name__ == "__main__":
    main()
