"""Measures the pretrained network "dlib" by group of people on CelebA.

    python benchmarks/groups.py --celeba celeba

All pairs of the images of one group are used; the people are those of ``identity_CelebA``. The
threshold is the shipped default of `kerasface.verify` for all groups. It prints the table of
docs/results/verification.md.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
import pandas as pd

import kerasface
from kerasface.data import FaceTable
from kerasface.data.celeba.labels import PEOPLE, read_label_rows, required_label_file
from kerasface.inference import read_operating_point
from kerasface.inference.groups import read_groups
from kerasface.metrics.groups import verification_by_group

GROUPS = ("Male", "Young")
FOLDER = "img_align_celeba"


def main() -> None:
    """Embeds all images once and prints the rates by group."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--celeba", type=pathlib.Path, required=True, help="folder of CelebA")
    arguments = parser.parse_args()
    rows = read_label_rows(required_label_file(arguments.celeba, PEOPLE), header=False)
    table = FaceTable(arguments.celeba / FOLDER, rows.names)
    vectors = kerasface.embed(table, missing="nan", verbose=1)
    seen = np.flatnonzero(np.isfinite(vectors).all(axis=1))
    people = rows.values[:, 0]
    first, second = np.triu_indices(len(seen), 1)
    pairs = np.stack([seen[first], seen[second]], axis=1)
    scores = np.concatenate(
        [
            np.einsum("ij,ij->i", vectors[part[:, 0]], vectors[part[:, 1]])
            for part in np.array_split(pairs, len(pairs) // 100_000 + 1)
        ]
    )
    same = people[pairs[:, 0]] == people[pairs[:, 1]]
    threshold = read_operating_point("dlib").threshold
    frame = verification_by_group(
        scores,
        same,
        pairs,
        read_groups(list(GROUPS), table),
        threshold=threshold,
        people=people[pairs],
        bootstrap=1000,
    )
    print(f"{len(table) - len(seen)} of {len(table)} images without a face")
    print(f"threshold {threshold:.4f}, {len(np.unique(people)):,} people")
    print(markdown(frame))


def markdown(frame: pd.DataFrame) -> str:
    """Returns the rates as a table of a Markdown page."""
    lines = [
        "| group | images | genuine pairs | impostor pairs | equal error rate, % "
        "| false accept rate, % | true accept rate, % |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in frame.to_dict("records"):
        rates = [
            f"{100 * row[key]:.{digits}f} ({100 * row[f'{key}_low']:.{digits}f} to "
            f"{100 * row[f'{key}_high']:.{digits}f})"
            for key, digits in (("eer", 1), ("far", 2), ("tar", 1))
        ]
        counts = [f"{row[key]:,}" for key in ("images", "genuine", "impostor")]
        lines.append(f"| {' | '.join([row['group'], *counts, *rates])} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
