"""
The same person?
================

Train an embedding network on some people, then verify pairs of strangers with the protocol of LFW.

With one folder per person for training, and the photographs and the list of pairs of LFW::

    python examples/verify_lfw.py --data faces/train --weights mobilenet_v2_notop.weights.h5 \\
        --pairs lfw/pairs.txt --images lfw/lfw-deepfunneled --center 0.65

The photographs of LFW show more than the face. ``--center`` keeps this share of their width and
height, so that they look like the training images. Without ``--data`` the script draws people for
training and others for verification. """

from __future__ import annotations

import argparse
import itertools
import pathlib

import numpy as np
from PIL import Image

import kerasface
from kerasface.pipeline import Crop

parser = argparse.ArgumentParser(description="Trains an embedding network and verifies pairs.")
parser.add_argument("--data", type=pathlib.Path, help="training folder, one subfolder per person")
parser.add_argument("--pairs", type=pathlib.Path, help="pairs.txt, or a CSV: file_a,file_b,same")
parser.add_argument("--images", type=pathlib.Path, help="folder of the photographs in the pairs")
parser.add_argument("--center", type=float, default=1.0, help="share of the photographs to keep")
parser.add_argument("--recipe", default="embedding_arcface")
parser.add_argument("--weights", default="imagenet", help="imagenet, or a file")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/verify_lfw"))
options = parser.parse_args()

# %%
# Draw strangers
# --------------
#
# Without data, people of another population are drawn, with the file names and the list of pairs
# in the form of LFW.


def draw_strangers(folder: pathlib.Path, people: int, pictures: int, folds: int) -> pathlib.Path:
    """Draws people and writes ``pairs.txt``; no person is in two folds."""
    for person in range(people):
        for number in range(1, pictures + 1):
            path = folder / f"Stranger_{person}" / f"Stranger_{person}_{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            face = kerasface.data.draw_face(person, number, size=64, seed=1)
            Image.fromarray(face.image).save(path)
    lines = []
    generator = np.random.default_rng(0)
    for members in np.array_split(np.arange(people), folds):
        both = list(itertools.combinations(range(1, pictures + 1), 2))
        genuine = [f"Stranger_{person}\t{a}\t{b}" for person in members for a, b in both]
        impostor = []
        for _ in genuine:
            first, second = generator.choice(members, 2, replace=False)
            numbers = generator.integers(1, pictures + 1, 2)
            impostor.append(f"Stranger_{first}\t{numbers[0]}\tStranger_{second}\t{numbers[1]}")
        lines += [*genuine, *impostor]
    path = folder / "pairs.txt"
    path.write_text(f"{folds}\t{len(lines) // folds // 2}\n" + "\n".join(lines) + "\n")
    return path


data, pairs, images = options.data, options.pairs, options.images
changes: dict = {"weights": options.weights, "epochs": options.epochs}
if data is None:
    drawn = kerasface.data.drawn_faces(options.out / "faces", identities=20, train=20)
    data, images = drawn / "train", options.out / "strangers"
    pairs = draw_strangers(images, people=12, pictures=5, folds=4)
    changes |= {"model": "convnext_nano", "weights": None, "image_size": 64}
elif pairs is None or images is None:
    parser.error("--data needs --pairs and --images")

# %%
# Train
# -----

run = kerasface.train(
    options.recipe,
    train=kerasface.data.identity_folder(data),
    out=options.out / "run",
    overwrite=True,
    verbose=2,
    **changes,
)

# %%
# Verify the pairs
# ----------------
#
# The threshold of each fold is chosen on the other folds. Intervals resample people.

crop = Crop(options.center, shape="image") if options.center < 1 else None
result = kerasface.inference.verify_pairs(pairs, images, model=run, flip=True, crop=crop)
metrics = result.metrics
print(
    f"accuracy {metrics['accuracy']:.1%} +- {metrics['accuracy_standard_error']:.1%} "
    f"({metrics['folds']} folds), area under the ROC curve {metrics['auc']:.3f}, equal error "
    f"rate {metrics['eer']:.1%} ({metrics['eer_low']:.1%} to {metrics['eer_high']:.1%})"
)
print(f"Page: {result.page}")

# %%
# Verify two photographs
# ----------------------
#
# ``verify`` uses the threshold that was stored with the run.

table = kerasface.data.read_pairs(pairs, images)
files = [images / table.images.paths[row] for row in table.rows[0]]
if result.operating_point is not None:
    decision = kerasface.verify(*files, model=run)
    print(f"{files[0].name} and {files[1].name}: {decision}")
