"""Measures the detector, the speed of cropping, and the accuracy that crops add.

    python benchmarks/faces.py detection [--photos FOLDER]   # recall on photographs, drawn scenes
    python benchmarks/faces.py crop --data PHOTOGRAPHS       # images per second
    python benchmarks/faces.py resume --data PHOTOGRAPHS     # SIGKILL and restart
    python benchmarks/faces.py train --data PHOTOGRAPHS      # training on crops and photographs

The folder of ``--photos`` has the photographs and ``boxes.csv`` with the true boxes.
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
from kerasface.faces.detectors.registry import DEFAULT

LEAST_OVERLAP = 0.4  # of a detection with a true face
SECONDS_TO_KILL = (15, 12, 18)
# The last epoch, because the evaluated images must not choose one.
TRAINING = {"epochs": 12, "image_size": 64, "keep": "last"}


def main() -> None:
    """Runs one benchmark and prints its result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("detection", "crop", "resume", "train"))
    parser.add_argument("--data", type=pathlib.Path, help="photographs, one subfolder per person")
    parser.add_argument("--photos", type=pathlib.Path, help="folder of photographs with boxes.csv")
    parser.add_argument("--detector", default=DEFAULT, help="name of the detector")
    parser.add_argument("--scenes", type=int, default=40, help="drawn scenes per case")
    parser.add_argument("--limit", type=int, default=200, help="photographs for the plain loop")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    options = parser.parse_args()
    if options.what == "detection":
        detection(options.detector, options.photos, options.scenes)
        return
    with tempfile.TemporaryDirectory() as folder:
        {"crop": speed, "resume": resume, "train": train}[options.what](
            options.data, pathlib.Path(folder), options
        )


def detection(name: str, photos: pathlib.Path | None, scenes: int) -> None:
    """Prints recall, mean overlap of the detected faces and false positives for each case."""
    rows = []
    detector = faces.load_detector(name)
    if photos is not None:
        table = pd.read_csv(photos / "boxes.csv")
        true_boxes, photographs = [], []
        for file, boxes in table.groupby("file"):
            photographs.append(images.decode((photos / file).read_bytes()))
            true_boxes.append(boxes[["left", "top", "width", "height"]].to_numpy().tolist())
        detected = faces.detect(photographs, detector)
        rows.append(("photographs", "", *compare(detected, true_boxes)))
    for case, quarter_turns, cut, sizes in (
        ("drawn, 40 to 140 px", 0, False, (40, 140)),
        ("drawn, 24 to 40 px", 0, False, (24, 40)),
        ("drawn, 12 to 24 px", 0, False, (12, 24)),
        ("drawn, cut by the border", 0, True, (60, 140)),
        ("drawn, rotated by 90", 1, False, (40, 140)),
        ("drawn, rotated by 180", 2, False, (40, 140)),
    ):
        scene_images, true_boxes = draw_scenes(scenes, quarter_turns, cut, sizes)
        detectors = {"": detector, "min_face=12": faces.load_detector(name, min_face=12)}
        if quarter_turns:
            detectors = {"": detector, "turned": faces.load_detector(name, turned=True)}
        for options, each in detectors.items():
            rows.append((case, options, *compare(faces.detect(scene_images, each), true_boxes)))
        if sizes[0] < 24:
            enlarged = [np.kron(image, np.ones((3, 3, 1), np.uint8)) for image in scene_images]
            detected = faces.detect(enlarged, faces.load_detector(name, max_side=None))
            scaled = [[[3 * value for value in box] for box in boxes] for boxes in true_boxes]
            rows.append((case, "enlarged 3 times", *compare(detected, scaled)))
    columns = ["case", "options", "faces", "recall", "mean overlap", "false positives"]
    print(pd.DataFrame(rows, columns=columns).round(3).to_string(index=False))


def draw_scenes(
    count: int, quarter_turns: int, cut: bool, sizes: tuple[int, int]
) -> tuple[list, list]:
    """Returns drawn scenes and their true boxes.

    Args:
        count: Number of scenes.
        quarter_turns: Number of rotations by 90 degrees.
        cut: If True, a third of the leftmost face is outside of the image, and the other faces
            are cut away.
        sizes: Smallest and largest height of a face in pixels.
    """
    scene_images, true_boxes = [], []
    for seed in range(count):
        scene = kerasface.data.draw_scene(faces=4, face_size=sizes, seed=seed)
        image, boxes = scene.image, [face.box for face in scene.faces]
        if cut:
            (left, top, width, height), *others = sorted(boxes)
            edge = round(left + width / 3)
            end = min([left + 1.5 * width, *(box[0] for box in others)])
            boxes = [(left - edge, top, width, height)]
            image = np.ascontiguousarray(image[:, edge : round(max(end, left + width))])
        for _ in range(quarter_turns):
            image_width = image.shape[1]
            boxes = [
                (top, image_width - left - width, height, width)
                for left, top, width, height in boxes
            ]
            image = np.ascontiguousarray(np.rot90(image))
        scene_images.append(image)
        true_boxes.append(boxes)
    return scene_images, true_boxes


def compare(detected: list, true_boxes: list) -> tuple[int, float, float, int]:
    """Returns the number of true faces, recall, mean overlap and the number of false positives.

    Each detected face is matched with at most one true face.
    """
    matches, false_positives = [], 0
    for detected_faces, boxes in zip(detected, true_boxes, strict=True):
        overlaps = np.array(
            [[faces.overlap(face.box, box) for box in boxes] for face in detected_faces]
        ).reshape(len(detected_faces), len(boxes))
        pairs = zip(*linear_sum_assignment(-overlaps), strict=True)
        matched = [overlaps[pair] for pair in pairs if overlaps[pair] >= LEAST_OVERLAP]
        matches += matched
        false_positives += len(detected_faces) - len(matched)
    total = sum(map(len, true_boxes))
    mean_overlap = float(np.mean(matches)) if matches else 0.0
    return total, len(matches) / total, mean_overlap, false_positives


def speed(data: pathlib.Path, folder: pathlib.Path, options: argparse.Namespace) -> None:
    """Compares `crop` with a plain loop over the detector of the package mtcnn."""
    from mtcnn import MTCNN

    paths = kerasface.data.unlabeled_folder(data).paths
    plain = MTCNN()
    sample = [data / path for path in paths[:: max(1, len(paths) // options.limit)]]
    plain.detect_faces(images.decode(sample[0].read_bytes()))
    start = time.perf_counter()
    for path in sample:
        plain.detect_faces(images.decode(path.read_bytes()))
    plain_rate = len(sample) / (time.perf_counter() - start)
    print(f"plain loop, detection only: {plain_rate:.1f} images/s ({len(sample)} images)")
    for processes in (1, 2):
        start = time.perf_counter()
        faces.crop(data, folder / str(processes), detector=options.detector, processes=processes)
        crop_rate = len(paths) / (time.perf_counter() - start)
        print(
            f"crop, {processes} processes, their start included: {crop_rate:.1f} images/s, "
            f"{crop_rate / plain_rate:.1f} times as fast ({len(paths)} images)"
        )


def resume(data: pathlib.Path, folder: pathlib.Path, options: argparse.Namespace) -> None:
    """Checks that a run that is killed three times writes the same files as another one."""
    command = [sys.executable, "-m", "kerasface", "crop", str(data)]
    killed, uninterrupted = folder / "killed", folder / "uninterrupted"
    for seconds in SECONDS_TO_KILL:
        with subprocess.Popen([*command, str(killed)]) as process:
            time.sleep(seconds)
            if process.poll() is not None:
                sys.exit(f"The run ended before {seconds} s. Use a folder with more photographs.")
            process.kill()
        crops = sum(1 for _ in killed.rglob("*.jpg"))
        print(f"killed after {seconds} s: {crops} crops so far")
    subprocess.run([*command, str(killed)], check=True)
    subprocess.run([*command, str(uninterrupted)], check=True)
    names, expected = (
        sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
        for root in (killed, uninterrupted)
    )
    equal, _, _ = filecmp.cmpfiles(killed, uninterrupted, expected, shallow=False)
    print(f"same names: {names == expected}; equal files: {len(equal)} of {len(expected)}")
    if names != expected or len(equal) != len(expected):
        sys.exit("The folders differ.")


def train(data: pathlib.Path, folder: pathlib.Path, options: argparse.Namespace) -> None:
    """Trains with the same recipe, split and seeds on crops and on whole photographs."""
    faces.crop(data, folder / "crops", size=112, without="center")
    for name, source in (("crops", folder / "crops"), ("photographs", data)):
        for seed in range(options.seeds):
            table = kerasface.data.identity_folder(source)
            training, validation = table.split(0.2, seed=seed)
            run = kerasface.train(
                "demo",
                train=training,
                validation=validation,
                out=folder / "run",
                overwrite=True,
                verbose=0,
                seed=seed,
                **TRAINING,
            )
            accuracy = run.metrics["last"]["val_accuracy"]
            print(f"{name}, seed {seed}: {accuracy:.1%} of {len(validation)}", flush=True)
    shutil.rmtree(folder / "run")


if __name__ == "__main__":
    main()
