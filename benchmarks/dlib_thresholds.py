"""Measures the thresholds of the pretrained network "dlib" that the package ships.

    python benchmarks/dlib_thresholds.py --lfw lfw --out kerasface/inference/data/dlib.json

``lfw/pairs.txt`` is the list of pairs, and ``lfw/lfw-deepfunneled`` has the photographs. Faces are
found and aligned as `kerasface.verify` does it; of several faces, the one nearest to the center
counts, because LFW's labels are of that one. All pairs of the photographs are used: those of
different people for the false accept rates, those of one person for the true accept rates and,
together, for the calibration of the probability. The accuracy is that of the list, by LFW's
protocol. Everything is measured without and with the mirror image. Nothing is chosen on these
photographs.
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

import numpy as np
import pandas as pd

import kerasface
from kerasface.data import PairTable, read_pairs
from kerasface.files import replacing
from kerasface.inference.pretrained import PREPARATIONS
from kerasface.inference.settings import fingerprint
from kerasface.metrics import verification
from kerasface.metrics.operating_points import threshold_at_far
from kerasface.metrics.person_pairs import PersonPairs
from kerasface.metrics.probability import fit_probability

PROGRAM = "benchmarks/dlib_thresholds.py"
MODEL = "dlib"
RATES = (1e-1, 3e-2, 1e-2, 3e-3, 1e-3)
DEFAULT = {"far": 1e-2, "flip": False}
FACES = "central"
PROTOCOL = (
    "all pairs of the photographs in the list; false accepts: pairs of different people; true "
    "accepts: pairs of one person; 95% intervals: bootstrap over people; calibration: logistic "
    "regression, both kinds of pairs weighing the same, measured on left-out people; accuracy: the "
    "pairs of the list, each fold at the best threshold of the others"
)


def main() -> None:
    """Measures everything, writes the file and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lfw", type=pathlib.Path, required=True, help="folder of LFW")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="JSON file to write")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument(
        "--jitter", type=int, nargs="*", default=[], help="also print the accuracy with N copies"
    )
    arguments = parser.parse_args()
    table = read_pairs(arguments.lfw / "pairs.txt", arguments.lfw / "lfw-deepfunneled")
    vectors = {
        flip: kerasface.embed(
            table.images,
            model=MODEL,
            flip=flip,
            faces=FACES,
            missing="nan",
            batch_size=arguments.batch_size,
            verbose=1,
        )
        for flip in (False, True)
    }
    folds = 0 if table.folds is None else len(np.unique(table.folds))
    found = measure(vectors, table, f"LFW, folds 1 to {folds}" if folds else "LFW")
    found["protocol"] = PROTOCOL
    found["preparation"] = PREPARATIONS[MODEL].to_dict() | {"faces": FACES}
    found["fingerprint"] = fingerprint(kerasface.embedder(MODEL))
    found["origin"] = {
        "command": f"python {PROGRAM} --lfw {arguments.lfw.name} --out {arguments.out.name}",
        "kerasface": kerasface.__version__,
    }
    with replacing(arguments.out) as part:
        part.write_text(json.dumps(rounded(found), indent=1) + "\n", encoding="utf-8")
    for key in ("thresholds", "accuracy"):
        print(pd.DataFrame(found[key]).to_string(index=False))
    for entry in found["calibration"]:
        print({key: value for key, value in entry.items() if key != "reliability"})
        print(pd.DataFrame(entry["reliability"]).to_string(index=False))
    for copies in arguments.jitter:
        moved = kerasface.embed(
            table.images, model=MODEL, faces=FACES, flip=True, missing="nan", jitter=copies
        )
        print(f"jitter={copies}", listed_accuracy(moved, table))


def measure(vectors: dict[bool, np.ndarray], table: PairTable, data: str) -> dict[str, Any]:
    """Measures thresholds, calibration and accuracy.

    Args:
        vectors: Without and with the mirror image, ``[images, dimensions]`` in the order of
            ``table.images``; rows of NaN for photographs without a face.
        table: The listed pairs, with people.
        data: Name of the data.

    Returns:
        What `kerasface.inference.shipped` reads, but for the origin.
    """
    people = image_people(table)
    seen = np.isfinite(vectors[False]).all(axis=1)
    first, second = (np.flatnonzero(seen)[rows] for rows in np.triu_indices(int(seen.sum()), 1))
    pairs = np.stack([people[first], people[second]], axis=1)
    same = pairs[:, 0] == pairs[:, 1]
    impostors, genuine = PersonPairs(pairs[~same]), PersonPairs(pairs[same])
    thresholds, calibration, accuracy = [], [], []
    for flip, rows in vectors.items():
        scores = pair_scores(rows, first, second)
        for rate in RATES:
            limit = threshold_at_far(scores, same, rate)
            accepted = scores >= limit
            entry = {"flip": flip, "wanted_far": rate, "threshold": limit}
            for key, kind, intervals in (("far", ~same, impostors), ("tar", same, genuine)):
                low, high = intervals.interval(accepted[kind])
                entry[key] = float(accepted[kind].mean())
                entry |= {f"{key}_low": low, f"{key}_high": high}
            thresholds.append(entry)
        fit = fit_probability(scores, same, people=pairs)
        calibration.append(
            {
                "flip": flip,
                "slope": fit.slope,
                "intercept": fit.intercept,
                "left_out": fit.left_out,
                "log_loss": fit.log_loss,
                "expected_calibration_error": fit.calibration_error,
                "reliability": fit.reliability.to_dict("records"),
            }
        )
        accuracy.append({"flip": flip, **listed_accuracy(rows, table)})
    return {
        "model": MODEL,
        "data": data,
        "images": len(people),
        "images_without_face": int((~seen).sum()),
        "people": len(np.unique(people)),
        "genuine_pairs": int(same.sum()),
        "impostor_pairs": int((~same).sum()),
        "default": DEFAULT,
        "thresholds": thresholds,
        "calibration": calibration,
        "accuracy": accuracy,
    }


def rounded(value: Any) -> Any:
    """Returns a value with all its numbers rounded to seven decimals, for a file."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(item) for item in value]
    return round(value, 7) if isinstance(value, float) else value


def image_people(table: PairTable) -> np.ndarray:
    """Returns the number of the person in each image, ``[images]``."""
    if table.people is None:
        raise ValueError("The people of the pairs must be known. Received: a list without them.")
    codes = np.unique(table.people.astype(str), return_inverse=True)[1].reshape(-1, 2)
    people = np.empty(len(table.images), int)
    people[table.rows] = codes
    return people


def pair_scores(vectors: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Returns the similarity of each pair, in parts that fit into memory."""
    parts = np.array_split(np.arange(len(first)), len(first) // 100_000 + 1)
    products = [
        np.einsum("ij,ij->i", vectors[first[rows]], vectors[second[rows]]) for rows in parts
    ]
    return np.concatenate(products)


def listed_accuracy(vectors: np.ndarray, table: PairTable) -> dict[str, float]:
    """Returns accuracy, area and equal error rate of the list, by LFW's protocol.

    A pair with a photograph without a face counts as different people.
    """
    scores = pair_scores(vectors, *table.rows.T)
    scores = np.where(np.isfinite(scores), scores, -1.0)
    found = verification.evaluate(scores, table.same, folds=table.folds, people=table.people)
    keys = ("accuracy", "auc", "eer", "tar_at_far_0.01")
    ends = ("", "_low", "_high")
    numbers = {f"{key}{end}": found.metrics[f"{key}{end}"] for key in keys for end in ends}
    return numbers | {"accuracy_standard_error": found.metrics["accuracy_standard_error"]}


if __name__ == "__main__":
    main()
