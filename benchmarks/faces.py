"""Faces: what the detector finds, how fast folders are cropped, and what crops are worth.

python benchmarks/faces.py found [--photos FOLDER_WITH_BOXES_CSV]   # photographs, drawn scenes
python benchmarks/faces.py crop --data PHOTOGRAPHS                  # images a second
python benchmarks/faces.py killed --data PHOTOGRAPHS                # SIGKILL and restart
python benchmarks/faces.py train --data PHOTOGRAPHS                 # crops against photographs
"""

from __future__ import annotations

import argparse
import filecmp
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

import kerasface
from kerasface import faces, images

SAME = 0.4  # overlap from which a true face counts as found
KILLS_AFTER = (15, 12, 18)  # seconds
# The last epoch: the pictures that are judged choose none.
TRAINING = {"epochs": 12, "image_size": 64, "keep": "last"}


def main() -> None:
    """Prints one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("found", "crop", "killed", "train"))
    parser.add_argument("--data", type=pathlib.Path, help="photographs, one subfolder a person")
    parser.add_argument("--photos", type=pathlib.Path, help="photographs and boxes.csv")
    parser.add_argument("--scenes", type=int, default=40, help="drawn scenes a case")
    parser.add_argument("--limit", type=int, default=200, help="photographs of the plain loop")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    if options.what == "found":
        found(options.photos, options.scenes)
        return
    with tempfile.TemporaryDirectory() as folder:
        {"crop": speed, "killed": killed, "train": train}[options.what](
            options.data, pathlib.Path(folder), options
        )


def found(photos: pathlib.Path | None, scenes: int) -> None:
    """Recall, mean overlap of what was found, and false positives, a case."""
    rows = []
    detector = faces.load_detector("mtcnn")
    if photos is not None:
        table = pd.read_csv(photos / "boxes.csv")
        truth, pictures = [], []
        for file, boxes in table.groupby("file"):
            pictures.append(images.decode((photos / file).read_bytes()))
            truth.append(boxes[["left", "top", "width", "height"]].to_numpy().tolist())
        rows.append(("photographs", "mtcnn", *judged(faces.detect(pictures, detector), truth)))
    for case, turns, cut, sizes in (
        ("drawn, 40 to 140 px", 0, False, (40, 140)),
        ("drawn, 24 to 40 px", 0, False, (24, 40)),
        ("drawn, 12 to 24 px", 0, False, (12, 24)),
        ("drawn, cut by the border", 0, True, (60, 140)),
        ("drawn, turned by 90", 1, False, (40, 140)),
        ("drawn, turned by 180", 2, False, (40, 140)),
    ):
        pictures, truth = drawn(scenes, turns, cut, sizes)
        tried = {"mtcnn": detector, "min_face=12": faces.load_detector("mtcnn", min_face=12)}
        if turns:
            tried = {"mtcnn": detector, "turned": faces.load_detector("mtcnn", turned=True)}
        for name, one in tried.items():
            rows.append((case, name, *judged(faces.detect(pictures, one), truth)))
        if sizes[0] < 24:
            larger = [np.kron(picture, np.ones((3, 3, 1), np.uint8)) for picture in pictures]
            answers = faces.detect(larger, faces.load_detector("mtcnn", max_side=None))
            scaled = [[[3 * value for value in box] for box in boxes] for boxes in truth]
            rows.append((case, "3 x enlarged", *judged(answers, scaled)))
    columns = ["case", "detector", "faces", "recall", "mean overlap", "false positives"]
    print(pd.DataFrame(rows, columns=columns).round(3).to_string(index=False))


def drawn(scenes: int, turns: int, cut: bool, sizes: tuple[int, int]) -> tuple[list, list]:
    """Scenes and their true boxes; cut: through the middle of the first face."""
    pictures, truth = [], []
    for seed in range(scenes):
        scene = kerasface.data.draw_scene(faces=4, face_size=sizes, seed=seed)
        image, boxes = scene.image, [face.box for face in scene.faces]
        if cut:
            # A third of the leftmost face is outside, and the others are not there.
            (left, top, width, height), *others = sorted(boxes)
            edge = round(left + width / 3)
            end = min([left + 1.5 * width, *(box[0] for box in others)])
            boxes = [(left - edge, top, width, height)]
            image = np.ascontiguousarray(image[:, edge : round(max(end, left + width))])
        for _ in range(turns):
            side = image.shape[1]
            boxes = [(b[1], side - b[0] - b[2], b[3], b[2]) for b in boxes]
            image = np.ascontiguousarray(np.rot90(image))
        pictures.append(image)
        truth.append(boxes)
    return pictures, truth


def judged(answers: list, truth: list) -> tuple[int, float, float, int]:
    """Number of true faces, recall, mean overlap of the found, false positives; one to one."""
    hits, wrong = [], 0
    for found_faces, boxes in zip(answers, truth, strict=True):
        overlaps = np.array(
            [[faces.overlap(face.box, box) for box in boxes] for face in found_faces]
        ).reshape(len(found_faces), len(boxes))
        pairs = zip(*linear_sum_assignment(-overlaps), strict=True)
        matched = [overlaps[pair] for pair in pairs if overlaps[pair] >= SAME]
        hits += matched
        wrong += len(found_faces) - len(matched)
    total = sum(map(len, truth))
    return total, len(hits) / total, float(np.mean(hits)) if hits else 0.0, wrong


def speed(data: pathlib.Path, folder: pathlib.Path, options: argparse.Namespace) -> None:
    """`crop` against the plain loop over the package's public call, in one process."""
    from mtcnn import MTCNN

    paths = kerasface.data.unlabeled_folder(data).paths
    plain = MTCNN()
    some = [data / path for path in paths[:: max(1, len(paths) // options.limit)]]
    plain.detect_faces(images.decode(some[0].read_bytes()))
    start = time.perf_counter()
    for path in some:
        plain.detect_faces(images.decode(path.read_bytes()))
    rate = len(some) / (time.perf_counter() - start)
    print(f"plain loop, detection alone: {rate:.1f} images a second ({len(some)} images)")
    for processes in (1, 2):
        start = time.perf_counter()
        faces.crop(data, folder / str(processes), processes=processes)
        mine = len(paths) / (time.perf_counter() - start)
        print(
            f"crop, {processes} processes, all of it and their start: {mine:.1f} images a second, "
            f"{mine / rate:.1f} times ({len(paths)} images)"
        )


def killed(data: pathlib.Path, folder: pathlib.Path, options: argparse.Namespace) -> None:
    """A run killed three times and restarted leaves what an undisturbed one leaves."""
    words = [sys.executable, "-m", "kerasface", "crop", str(data)]
    for seconds in KILLS_AFTER:
        with subprocess.Popen([*words, str(folder / "killed")]) as process:
            time.sleep(seconds)
            if process.poll() is not None:
                sys.exit(f"It was done before {seconds} s: give more photographs.")
            process.kill()
        done = sum(1 for _ in (folder / "killed").rglob("*.jpg"))
        print(f"killed after {seconds} s: {done} crops so far")
    subprocess.run([*words, str(folder / "killed")], check=True)
    subprocess.run([*words, str(folder / "whole")], check=True)
    names = [
        sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        for root in (folder / "killed", folder / "whole")
    ]
    equal = filecmp.cmpfiles(folder / "killed", folder / "whole", names[1], shallow=False)
    print(f"same names: {names[0] == names[1]}; equal files: {len(equal[0])} of {len(names[1])}")
    if names[0] != names[1] or len(equal[0]) != len(names[1]):
        sys.exit("They differ.")


def train(data: pathlib.Path, folder: pathlib.Path, options: argparse.Namespace) -> None:
    """The same recipe, split and seeds on the crops and on the photographs."""
    faces.crop(data, folder / "crops", size=112, without="centre")
    for name, source in (("crops", folder / "crops"), ("photographs", data)):
        for seed in range(options.seeds):
            table = kerasface.data.identity_folder(source)
            part, judge = table.split(0.2, seed=seed)
            run = kerasface.train(
                "demo",
                train=part,
                validation=judge,
                out=folder / "run",
                overwrite=True,
                verbose=0,
                seed=seed,
                **TRAINING,
            )
            accuracy = run.metrics["last"]["val_accuracy"]
            print(f"{name}, seed {seed}: {accuracy:.1%} of {len(judge)}", flush=True)
    shutil.rmtree(folder / "run")


if __name__ == "__main__":
    main()
