"""Compares all face detectors that are available: recall, false positives, eyes and speed.

    python benchmarks/detectors.py --photos PHOTOS --celeba CELEBA --identities IDENTITIES

PHOTOS has group photographs and ``boxes.csv`` with the true boxes, CELEBA the aligned CelebA (only
its training part is used), IDENTITIES a folder of crops per person. Each may be left out. Drawn
scenes are always used. Images are decoded before the time is taken. For the speed, the detectors
take turns at each image, and the median over the images counts.
"""

from __future__ import annotations

import argparse
import pathlib
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from PIL import Image
from scipy.optimize import linear_sum_assignment

import kerasface
from kerasface import faces, images

LEAST_OVERLAP = 0.3  # detectors differ in how much of the forehead belongs to a face
EYES = np.array([[69.0, 111.0], [108.0, 111.0]])  # in CelebA's aligned images
SCENES = {"drawn scenes, faces of 40 to 140 px": (40, 140), "of 24 to 40 px": (24, 40)}
SHRUNK_TO = (20, 28, 40, 56)  # width of the face in pixels, on canvases with many faces
FACE_WIDTH = 95  # of a face in CelebA's aligned images, in pixels
CANVAS = (480, 640)

Group = tuple[list[np.ndarray], list[list[tuple]] | None, list[np.ndarray] | None]


def main() -> None:
    """Prints one table for each group of images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=pathlib.Path, help="photographs with boxes.csv")
    parser.add_argument("--celeba", type=pathlib.Path, help="aligned CelebA, 178 x 218 pixels")
    parser.add_argument("--identities", type=pathlib.Path, help="folder of crops per person")
    parser.add_argument("--detectors", nargs="*", help="names; all that load are the default")
    parser.add_argument("--scenes", type=int, default=40, help="drawn scenes of each kind")
    parser.add_argument("--limit", type=int, default=300, help="images of CelebA and identities")
    parser.add_argument("--timed", type=int, default=12, help="images of a group for the speed")
    options = parser.parse_args()
    detectors = available(options.detectors)
    for name, group in groups(options):
        table = pd.DataFrame(
            {key: measure(detector, *group) for key, detector in detectors.items()}
        ).T
        table["images/s"] = rates(detectors, group[0][: options.timed])
        print(f"\n{name}: {len(group[0])} images")
        print(table.round(3).to_string(), flush=True)


def available(names: Sequence[str] | None) -> dict[str, Callable]:
    """Loads the detectors, and dlib's HOG detector for comparison if dlib is installed."""
    loaded: dict[str, Callable] = {}
    for name in names or faces.list_detectors():
        try:
            loaded[name] = faces.load_detector(name)
        except (ImportError, ConnectionError, RuntimeError) as error:
            print(f"{name} is left out: {' '.join(str(error).split())[:100]}")
    try:
        import dlib
    except ImportError:
        return loaded
    hog = dlib.get_frontal_face_detector()

    def detect(batch: Sequence[np.ndarray]) -> list[list[faces.Face]]:
        found = [hog(image, 1) for image in batch]  # enlarged once, as face_recognition does
        return [
            [faces.Face((r.left(), r.top(), r.width(), r.height()), 1.0) for r in rectangles]
            for rectangles in found
        ]

    return loaded | {"(dlib's HOG)": detect}


def groups(options: argparse.Namespace) -> list[tuple[str, Group]]:
    """Returns names and images, with the true boxes and eyes of all faces as far as known."""
    found: list[tuple[str, Group]] = []
    if options.photos:
        table = pd.read_csv(options.photos / "boxes.csv")
        photographs, boxes = [], []
        for file, rows in table.groupby("file"):
            photographs.append(images.decode((options.photos / file).read_bytes()))
            boxes.append([tuple(row) for row in rows.iloc[:, 1:].to_numpy().tolist()])
        found.append(("group photographs", (photographs, boxes, None)))
    for name, sizes in SCENES.items():
        scenes = [
            kerasface.data.draw_scene(face_size=sizes, seed=seed) for seed in range(options.scenes)
        ]
        boxes = [[face.box for face in scene.faces] for scene in scenes]
        eyes = [np.array([face.landmarks[:2] for face in scene.faces]) for scene in scenes]
        found.append((name, ([scene.image for scene in scenes], boxes, eyes)))
    empty = [
        kerasface.data.draw_scene(faces=0, seed=1000 + seed).image for seed in range(options.scenes)
    ]
    found.append(("drawn scenes without a face", (empty, [[] for _ in empty], None)))
    if options.celeba:
        found += celeba_groups(options.celeba, options.limit)
    if options.identities:
        paths = sorted(options.identities.rglob("*.jpg"))
        crops = [images.decode(path.read_bytes()) for path in paths[:: len(paths) // options.limit]]
        found.append(("crops of identities", (crops, None, None)))
    return found


def celeba_groups(folder: pathlib.Path, limit: int) -> list[tuple[str, Group]]:
    """CelebA's training part as it is, and shrunk on canvases with many faces."""
    parts = pd.read_csv(folder / "list_eval_partition.txt", sep=r"\s+", header=None)
    paths = [folder / "img_align_celeba" / name for name in parts.loc[parts[1] == 0, 0]]
    aligned = [images.decode(path.read_bytes()) for path in paths[:limit]]
    boxes = [[face_box(EYES)] for _ in aligned]
    found: list[tuple[str, Group]] = [
        ("CelebA, training part, aligned", (aligned, boxes, [EYES[None]] * len(aligned)))
    ]
    others = [images.decode(path.read_bytes()) for path in paths[limit : 3 * limit]]
    for width in SHRUNK_TO:
        canvases = [canvas(others, width / FACE_WIDTH, seed) for seed in range(3)]
        eyes = [places for _, places in canvases]
        boxes = [[face_box(pair) for pair in places] for places in eyes]
        name = f"CelebA, training part, shrunk to faces of {width} px"
        found.append((name, ([image for image, _ in canvases], boxes, eyes)))
    return found


def face_box(eyes: np.ndarray) -> tuple:
    """A box around a face whose eyes are known, as wide as 2.4 times their distance."""
    side = 2.4 * float(np.linalg.norm(eyes[1] - eyes[0]))
    center = eyes.mean(axis=0) + np.array([0, 0.25 * side])
    return (*(center - side / 2).tolist(), side, side)


def canvas(
    pictures: Sequence[np.ndarray], factor: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """A drawn scene without faces that is covered with shrunk pictures, and their eyes."""
    rng = np.random.default_rng(seed)
    image = kerasface.data.draw_scene(faces=0, seed=1000 + seed).image.copy()
    height, width = (round(side * factor) for side in pictures[0].shape[:2])
    eyes = []
    for top in range(0, CANVAS[0] - height + 1, height + 20):
        for left in range(0, CANVAS[1] - width + 1, width + 20):
            picture = Image.fromarray(pictures[rng.integers(len(pictures))])
            small = picture.resize((width, height), Image.Resampling.BILINEAR)
            image[top : top + height, left : left + width] = np.asarray(small)
            # A landmark names the middle of a pixel.
            eyes.append((EYES + 0.5) * factor - 0.5 + [left, top])
    return image, np.array(eyes)


def measure(
    detector: Callable,
    pictures: list[np.ndarray],
    boxes: list[list[tuple]] | None,
    eyes: list[np.ndarray] | None,
) -> dict[str, float]:
    """Recall, mean overlap, false positives, and the mean error of the eyes.

    The error is relative to the distance of the eyes. Where the eyes are is defined a little
    differently in each data set, so that the spread around the mean place is given, too.
    """
    found = faces.detect(pictures, detector)
    if boxes is None:
        return {
            "images with a face": float(np.mean([len(each) > 0 for each in found])),
            "with several": float(np.mean([len(each) > 1 for each in found])),
        }
    overlaps, offsets, false = [], [], 0
    for number, (detected, true) in enumerate(zip(found, boxes, strict=True)):
        shares = np.array([[faces.overlap(face.box, box) for box in true] for face in detected])
        shares = shares.reshape(len(detected), len(true))
        pairs = [
            (i, j)
            for i, j in zip(*linear_sum_assignment(-shares), strict=True)
            if shares[i, j] >= LEAST_OVERLAP
        ]
        overlaps += [shares[pair] for pair in pairs]
        false += len(detected) - len(pairs)
        for i, j in pairs if eyes is not None else []:
            if detected[i].landmarks is not None:
                offsets.append(eye_offsets(detected[i].landmarks[:2], eyes[number][j]))
    total = sum(map(len, boxes))
    result = {"faces": total, "found": len(overlaps), "false": false}
    if overlaps:
        result["overlap"] = float(np.mean(overlaps))
    if offsets:
        away = np.array(offsets)
        result["eyes"] = float(np.linalg.norm(away, axis=2).mean())
        result["eyes, spread"] = float(np.linalg.norm(away - away.mean(axis=0), axis=2).mean())
    return result


def eye_offsets(points: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Offsets of both eyes, relative to their true distance."""
    return (points - true) / np.linalg.norm(true[1] - true[0])


def rates(detectors: dict[str, Callable], pictures: Sequence[np.ndarray]) -> dict[str, float]:
    """Images per second of each detector, from the median time of an image."""
    seconds: dict[str, list[float]] = {name: [] for name in detectors}
    for picture in pictures:
        for name, detector in detectors.items():
            detector([picture])  # prepares what depends on the size
            start = time.perf_counter()
            detector([picture])
            seconds[name].append(time.perf_counter() - start)
    return {name: 1 / float(np.median(times)) for name, times in seconds.items()}


if __name__ == "__main__":
    main()
