"""Learn embeddings of some people and tell whether strangers are the same: the LFW protocol.

With one folder a person to learn from, and LFW's photographs and list of pairs:

    python examples/verify_lfw.py --data faces/train --weights mobilenet_v2_notop.weights.h5 \\
        --pairs lfw/pairs.txt --images lfw/lfw-deepfunneled --centre 0.65

LFW's photographs show more than the face; ``--centre`` keeps that share of them around the
middle, so that they look like the faces that were learnt. Without ``--data`` people are drawn,
some to learn and others to be told apart, and a small network learns from scratch.
"""

from __future__ import annotations

import argparse
import itertools
import pathlib

import numpy as np
from PIL import Image

import kerasface
from kerasface.pipeline import Crop


def main() -> None:
    """Leaves a run with its threshold, figures on the pairs and a page of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, help="one folder a person to learn from")
    parser.add_argument("--pairs", type=pathlib.Path, help="pairs.txt, or file_a,file_b,same")
    parser.add_argument("--images", type=pathlib.Path, help="the pairs' photographs")
    parser.add_argument("--centre", type=float, default=1.0, help="share of them that is kept")
    parser.add_argument("--recipe", default="embedding_arcface")
    parser.add_argument("--weights", default="imagenet", help="a file, or imagenet")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/verify_lfw"))
    options = parser.parse_args()
    data, pairs, images = options.data, options.pairs, options.images
    changes: dict = {"weights": options.weights, "epochs": options.epochs}
    if data is None:
        drawn = kerasface.data.drawn_faces(options.out / "faces", identities=20, train=20)
        data, images = drawn / "train", options.out / "strangers"
        pairs = draw_strangers(images, people=12, pictures=5, folds=4)
        changes |= {"model": "convnext_nano", "weights": None, "image_size": 64}
    elif pairs is None or images is None:
        parser.error("--data goes with --pairs and --images")

    run = kerasface.train(
        options.recipe,
        train=kerasface.data.identity_folder(data),
        out=options.out / "run",
        overwrite=True,
        **changes,
    )
    crop = Crop(options.centre, shape="image") if options.centre < 1 else None
    result = kerasface.inference.verify_pairs(pairs, images, model=run, flip=True, crop=crop)
    metrics = result.metrics
    print(
        f"accuracy {metrics['accuracy']:.1%} +- {metrics['accuracy_standard_error']:.1%} "
        f"({metrics['folds']} folds), area under the ROC curve {metrics['auc']:.3f}, equal error "
        f"rate {metrics['eer']:.1%} ({metrics['eer_low']:.1%} to {metrics['eer_high']:.1%})"
    )
    # The page, and the threshold that was stored with the run.
    print(f"Page: {result.folder / 'report.html'}")
    table = kerasface.data.read_pairs(pairs, images)
    files = [images / table.images.paths[row] for row in table.rows[0]]
    if result.operating_point is not None:
        decision = kerasface.verify(*files, model=run)
        print(f"{files[0].name} and {files[1].name}: {decision}")


def draw_strangers(folder: pathlib.Path, people: int, pictures: int, folds: int) -> pathlib.Path:
    """Draws people of another population, named and listed as LFW does; returns the list."""
    for person in range(people):
        for number in range(1, pictures + 1):
            path = folder / f"Stranger_{person}" / f"Stranger_{person}_{number:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            face = kerasface.data.draw_face(person, number, size=64, seed=1)
            Image.fromarray(face.image).save(path)
    lines = []
    generator = np.random.default_rng(0)
    for own in np.array_split(np.arange(people), folds):  # nobody is in two folds
        both = list(itertools.combinations(range(1, pictures + 1), 2))
        genuine = [f"Stranger_{person}\t{a}\t{b}" for person in own for a, b in both]
        impostor = []
        for _ in genuine:
            first, second = generator.choice(own, 2, replace=False)
            numbers = generator.integers(1, pictures + 1, 2)
            impostor.append(f"Stranger_{first}\t{numbers[0]}\tStranger_{second}\t{numbers[1]}")
        lines += [*genuine, *impostor]
    path = folder / "pairs.txt"
    path.write_text(f"{folds}\t{len(lines) // folds // 2}\n" + "\n".join(lines) + "\n")
    return path


if __name__ == "__main__":
    main()
