"""Measures how the alignment of faces changes verification with the pretrained network "dlib".

    python benchmarks/alignment.py --identities identities/train --out alignment.csv

``--identities`` is a folder with one subfolder of photographs per person, each around one face. All
pairs are compared: those of one person, and those of two people. Intervals are percentiles of
resamples of the people; differences are to dlib's own chips, in the same resamples. Photographs in
which one of the detectors finds no face are left out everywhere. dlib's own chips need dlib-bin.
"""

from __future__ import annotations

import argparse
import pathlib
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from PIL import Image

import kerasface
from kerasface import faces, images
from kerasface.dlib_files import FIVE_LANDMARKS, find_file
from kerasface.faces.alignment import align_all, cut, template
from kerasface.faces.dlib_chips import SIZE
from kerasface.faces.face import Face
from kerasface.faces.warping import similarity, warp

RATES = (1e-2, 1e-3)
BATCH = 64
Photographs = Sequence[np.ndarray]


def main() -> None:
    """Measures every alignment, prints a table and writes it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--identities", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="CSV file to write")
    parser.add_argument("--resamples", type=int, default=200)
    parser.add_argument("--only", nargs="+", help="names of alignments (default: all)")
    options = parser.parse_args()
    table = kerasface.data.identity_folder(options.identities)
    photographs = [images.read(table.root / path) for path in table.paths]
    found = {name: _largest(photographs, name) for name in ("blazeface", "mtcnn")}
    boxes = dlib_boxes(photographs)
    kept = [k for k in range(len(photographs)) if all(f[k] for f in (*found.values(), boxes))]
    print(f"{len(kept)} of {len(photographs)} photographs, {len(table.names)} people")
    photographs = [photographs[k] for k in kept]
    people = np.asarray(table.labels)[kept]
    ways = alignments([boxes[k] for k in kept], *([f[k] for k in kept] for f in found.values()))
    judge = Judge(people, options.resamples)
    rows = []
    for name, make in ways.items():
        if options.only and name not in {*options.only, next(iter(ways))}:
            continue
        start = time.process_time()
        chips = make(photographs)
        seconds = time.process_time() - start
        milliseconds = f"{1000 * seconds / len(chips):.1f}"
        rows.append({"alignment": name, "ms a face": milliseconds, **judge.rates(chips)})
        print(rows[-1], flush=True)
        pd.DataFrame(rows).to_csv(options.out, index=False)
    print(pd.DataFrame(rows).to_string(index=False))


def alignments(
    boxes: list[Face], blazeface: list[Face], mtcnn: list[Face]
) -> dict[str, Callable[[Photographs], np.ndarray]]:
    """Returns functions that make chips ``[N, 150, 150, 3]`` of photographs, dlib's first."""

    def again(crops: Photographs) -> np.ndarray:
        """Detects the faces in crops; where there is none, the crop is used as it is."""
        detected = _largest(crops, "blazeface")
        return np.stack(
            [
                align_all([crop], [face], template="dlib")[0] if face else resized([crop])[0]
                for crop, face in zip(crops, detected, strict=True)
            ]
        )

    def arcface(photographs: Photographs) -> np.ndarray:
        return align_all(photographs, mtcnn, 112)

    def squares(photographs: Photographs) -> list[np.ndarray]:
        return [
            cut(image, face.box, 224) for image, face in zip(photographs, blazeface, strict=True)
        ]

    def dlib_template(found: list[Face], margin: float = 0.0) -> Callable:
        return lambda photographs: align_all(photographs, found, margin=margin, template="dlib")

    return {
        "dlib's own": lambda photographs: dlib_chips(photographs, boxes),
        "template dlib, blazeface": dlib_template(blazeface),
        "template dlib, mtcnn": dlib_template(mtcnn),
        "template dlib, box of dlib": dlib_template(boxes),
        "landmarks alone, blazeface": lambda photographs: by_landmarks(photographs, blazeface),
        "landmarks alone, mtcnn": lambda photographs: by_landmarks(photographs, mtcnn),
        "template dlib, margin 0.05": dlib_template(blazeface, 0.05),
        "arcface 112 px": lambda photographs: resized(arcface(photographs)),
        "arcface 112 px, detected again": lambda photographs: again(arcface(photographs)),
        "box, margin 0.2": lambda photographs: resized(squares(photographs)),
        "box, margin 0.2, detected again": lambda photographs: again(squares(photographs)),
        "whole photographs": resized,
    }


def dlib_boxes(photographs: Photographs) -> list[Face | None]:
    """Returns the largest face that dlib's HOG detector finds in each photograph."""
    import dlib

    detector = dlib.get_frontal_face_detector()
    answers = [detector(image, 1) for image in photographs]
    largest = [max(found, key=lambda box: box.area()) if found else None for found in answers]
    return [
        box and Face((box.left(), box.top(), box.width(), box.height()), 1.0) for box in largest
    ]


def dlib_chips(photographs: Photographs, boxes: Sequence[Face]) -> np.ndarray:
    """Returns the chips that dlib itself cuts out."""
    import dlib

    predictor = dlib.shape_predictor(str(find_file(FIVE_LANDMARKS)))
    chips = []
    for image, face in zip(photographs, boxes, strict=True):
        left, top, width, height = (int(side) for side in face.box)
        box = dlib.rectangle(left, top, left + width - 1, top + height - 1)
        chips.append(dlib.get_face_chip(image, predictor(image, box), SIZE, 0.25))
    return np.stack(chips)


def by_landmarks(photographs: Photographs, found: Sequence[Face]) -> np.ndarray:
    """Returns chips whose landmarks lie closest to their mean places, without the predictor."""
    target = template(name="dlib")
    return np.stack(
        [
            warp(image, similarity(face.landmarks, target), SIZE)
            for image, face in zip(photographs, found, strict=True)
        ]
    )


def resized(crops: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
    """Returns images as the network gets them without a detection."""
    return np.stack(
        [
            np.asarray(Image.fromarray(crop).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
            for crop in crops
        ]
    )


class Judge:
    """Computes error rates over all pairs of images.

    Args:
        people: Number of the person in each image.
        resamples: How often the people are resampled.
    """

    def __init__(self, people: np.ndarray, resamples: int) -> None:
        self._model = kerasface.build("dlib_resnet29", embedding=128, weights="dlib")
        self._pairs = np.triu_indices(len(people), 1)
        self._first, self._second = people[self._pairs[0]], people[self._pairs[1]]
        count = int(people.max()) + 1
        drawn = np.random.default_rng(0).integers(0, count, (resamples, count))
        weights = [np.bincount(row, minlength=count) for row in drawn]
        self._weights = [np.ones(count, int), *weights]
        self._reference: np.ndarray | None = None

    def rates(self, chips: np.ndarray) -> dict[str, str]:
        """Returns rates of chips in percent, without and with the mirror image."""
        plain = self._model.predict(chips, batch_size=BATCH, verbose=0)
        mirrored = self._model.predict(chips[:, :, ::-1], batch_size=BATCH, verbose=0)
        names = ["equal error rate", *(f"true accept rate at {rate:g}" for rate in RATES)]
        plain_rates = self._resampled(plain, 1)[0]
        found = self._resampled(plain + mirrored, len(self._weights))
        if self._reference is None:
            self._reference = found
        changes = found - self._reference
        columns = {
            f"{name}, one image": f"{x:.2f}" for name, x in zip(names, plain_rates, strict=False)
        }
        for number, name in enumerate(names):
            columns[name] = _with_interval(found[:, number], "")
            columns[f"{name}, difference"] = _with_interval(changes[:, number], "+")
        return columns

    def _resampled(self, vectors: np.ndarray, resamples: int) -> np.ndarray:
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        scores = (vectors @ vectors.T)[self._pairs]
        order = np.argsort(-scores, kind="stable")
        first, second = self._first[order], self._second[order]
        genuine = np.flatnonzero(first == second)
        found = []
        for weight in self._weights[:resamples]:
            counts = weight[first] * weight[second]
            hits = weight[first[genuine]].cumsum()
            counts[genuine] = 0
            false = counts.cumsum()[genuine] / counts.sum()
            true = hits / hits[-1]
            equal = false[np.argmin(abs(false - (1 - true)))]
            places = [np.searchsorted(false, rate, side="right") - 1 for rate in RATES]
            found.append([equal, *(true[place] if place >= 0 else 0.0 for place in places)])
        return 100 * np.array(found)


def _largest(photographs: Photographs, detector: str) -> list[Face | None]:
    answers = faces.detect(photographs, detector)
    return [
        max(found, key=lambda face: face.box[2] * face.box[3]) if found else None
        for found in answers
    ]


def _with_interval(values: np.ndarray, sign: str) -> str:
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return f"{values[0]:{sign}.2f} ({low:{sign}.2f} to {high:{sign}.2f})"


if __name__ == "__main__":
    main()
