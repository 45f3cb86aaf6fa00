"""Embeddings learnt from 120 people, judged on strangers, beside what they must beat.

    python benchmarks/verification.py --identities identities/train \\
        --weights mobilenet_v2_imagenet_notop.weights.h5 --lfw lfw --out runs/verification

The people of the folder are sorted by name; every fifth one is a stranger, and the others are
learnt. Judged are all genuine pairs of the strangers and as many impostor pairs, drawn with seed
0, and LFW's own list (``lfw/pairs.txt``, photographs in ``lfw/lfw-deepfunneled``, their middle of
which ``--centre`` says the share). All embeddings are made with the mirrored image added.

- *untrained*: the pooled features of the ImageNet network, *centred*: less those of the 120;
- *lda*: the linear discriminant of these features, learnt from the 120;
- *softmax*, *arcface*: recipes ``embedding_softmax`` and ``embedding_arcface`` with the seeds;
- *scratch*: ``embedding_softmax`` with network, optimizer and 30 epochs of recipe
  ``identity_small``, from random weights, the first seed;
- *classifier*: the features before the classes of recipe ``identity_small``, the first seed;
- *large*: ``embedding_softmax`` on the middle 0.8 of the pictures at 224 px, the first seed;
- *together*: the mean of the cosines of all runs above.

A run that is finished is not trained again. ``results.csv`` holds a row each; ``roc.png`` and
``roc_lfw.png`` show the curves.
"""

from __future__ import annotations

import argparse
import functools
import pathlib

import keras
import numpy as np
import pandas as pd
from sklearn.covariance import ShrunkCovariance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

import kerasface
from kerasface.data import FaceTable, PairTable, folder_pairs, identity_folder, read_pairs
from kerasface.evaluation import verification
from kerasface.evaluation.verification_plots import roc_log
from kerasface.inference.embedding import unit_rows
from kerasface.training.discriminant import SHRINKAGE
from kerasface.training.recipe import parse_changes

EVERY = 5
IMAGE_SIZE = 112
# What the case from scratch takes from recipe identity_small.
FROM_SMALL = (
    "model",
    "architecture",
    "epochs",
    "optimizer",
    "learning_rate",
    "warmup_learning_rate",
    "ema",
)
RECIPES = {"softmax": "embedding_softmax", "arcface": "embedding_arcface"}
FIXED = ("untrained", "centred", "lda")
ONE_SEED = ("scratch", "classifier", "large")
CASES = (*FIXED, *RECIPES, *ONE_SEED)
TOGETHER = "together"
FIGURES = ("auc", "auc_low", "auc_high", "eer", "eer_low", "eer_high")


def main() -> None:
    """Trains what is not trained yet, judges everything and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--identities", type=pathlib.Path, required=True)
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--lfw", type=pathlib.Path, help="without it the strangers alone")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/verification"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--centre", type=float, default=0.65, help="share of LFW's photographs")
    parser.add_argument("--set", nargs="*", default=[], help="changes of the recipes")
    options = parser.parse_args()
    known, strangers = split_people(identity_folder(options.identities))
    print(f"learnt: {known.summary()}\nstrangers: {strangers.summary()}")
    lists, shares = {"strangers": folder_pairs(strangers)}, {"strangers": 1.0}
    if options.lfw is not None:
        images = options.lfw / "lfw-deepfunneled"
        lists["lfw"] = read_pairs(options.lfw / "pairs.txt", images)
        shares["lfw"] = options.centre
    for name, pairs in lists.items():
        print(f"{name}: {pairs.summary()}")

    rows, curves = [], {name: {} for name in lists}
    learnt: dict[str, list[np.ndarray]] = {name: [] for name in lists}
    changes = parse_changes(options.set)

    def judge(case: str, seed: int | None, scores: dict[str, np.ndarray]) -> None:
        row = {"case": case, "seed": seed}
        for name, pairs in lists.items():
            figures = verification.evaluate(
                scores[name], pairs.same, folds=pairs.folds, people=pairs.people.astype(str)
            )
            row |= {f"{name}_{key}": figures.metrics[key] for key in FIGURES}
            if pairs.folds is not None:
                keys = ("accuracy", "accuracy_standard_error")
                row |= {f"{name}_{key}": figures.metrics[key] for key in keys}
            curves[name][case if seed is None else f"{case} {seed}"] = (scores[name], pairs.same)
        rows.append(row)
        print(pd.DataFrame([row]).round(4).to_string(index=False), flush=True)

    for case, seed, embed in embedders(options, known, changes):
        scores = {
            name: similarities(embed(pairs.images, shares[name]), pairs)
            for name, pairs in lists.items()
        }
        judge(case, seed, scores)
        if case not in FIXED:
            for name in lists:
                learnt[name].append(scores[name])
    if all(len(each) > 1 for each in learnt.values()):
        judge(TOGETHER, None, {name: np.mean(each, axis=0) for name, each in learnt.items()})
    frame = pd.DataFrame(rows)
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / "results.csv"
    if results.is_file():  # of other cases and seeds
        both = pd.concat([pd.read_csv(results), frame])
        frame = both.drop_duplicates(["case", "seed"], keep="last")
    frame.to_csv(results, index=False)
    for name, drawn in curves.items():
        suffix = "" if name == "strangers" else f"_{name}"
        roc_log(drawn, title=name).savefig(options.out / f"roc{suffix}.png")
    print("\nMeans over the seeds:")
    print(frame.drop(columns="seed").groupby("case", sort=False).mean().round(4).to_string())


def split_people(table: FaceTable) -> tuple[FaceTable, FaceTable]:
    """The people that are learnt and the strangers, each numbered anew."""
    is_stranger = np.arange(len(table.names)) % EVERY == EVERY - 1
    parts = []
    for chosen in (~is_stranger, is_stranger):
        part = table.take(chosen[table.labels])
        number = np.cumsum(chosen) - 1
        names = tuple(name for name, taken in zip(table.names, chosen, strict=True) if taken)
        parts.append(FaceTable(part.root, part.paths, number[part.labels], names, part.formats))
    return parts[0], parts[1]


def embedders(options: argparse.Namespace, known: FaceTable, changes: dict):
    """``(case, seed, function from a table and a share to embeddings)`` one after the other."""
    if set(FIXED) & set(options.only):
        shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
        network = kerasface.build(
            "mobilenet_v2", len(known.names), weights=options.weights, input_shape=shape
        )
        model = kerasface.embedder(network)

        def untrained(table, share=1.0):
            return kerasface.embed(model, table, crop=middle(share), flip=True)

        if "untrained" in options.only:
            yield "untrained", None, untrained
        features = untrained(known) if {"centred", "lda"} & set(options.only) else None
        if "centred" in options.only:
            mean = features.mean(axis=0)
            yield "centred", None, lambda *images: unit_rows(untrained(*images) - mean)
        if "lda" in options.only:
            # Shrunk, since there are as many dimensions as pictures.
            shrunk = ShrunkCovariance(shrinkage=SHRINKAGE)
            lda = LinearDiscriminantAnalysis(solver="eigen", covariance_estimator=shrunk)
            lda.fit(features, known.labels)
            # Directions from the middle of all people; this solver leaves the mean in.
            centre = lda.transform(features).mean(axis=0)
            yield "lda", None, lambda *images: unit_rows(lda.transform(untrained(*images)) - centre)
    for case in options.only:
        if case in FIXED:
            continue
        for seed in options.seeds[:1] if case in ONE_SEED else options.seeds:
            run = trained(case, seed, options, known, changes)
            yield case, seed, functools.partial(embedded, run)


def trained(case, seed, options, known, changes) -> kerasface.Run:
    """The run of a case, trained if it is not there; one that was stopped goes on."""
    folder = options.out / f"{case}_{seed}"
    recipe = kerasface.training.named_recipe(RECIPES.get(case, RECIPES["softmax"]))
    recipe = recipe.replace(weights=str(options.weights))
    small = kerasface.training.named_recipe("identity_small")
    if case == "classifier":
        recipe = small
    elif case == "scratch":
        recipe = recipe.replace(weights=None, **{key: getattr(small, key) for key in FROM_SMALL})
    elif case == "large":
        recipe = recipe.replace(image_size=224, crop_share=0.8)
    recipe = recipe.replace(seed=seed, **changes)
    if (folder / "metrics.json").is_file() and kerasface.Run(folder).recipe == recipe:
        return kerasface.Run(folder)
    keras.backend.clear_session()
    return kerasface.train(recipe, train=known, out=folder, resume=True, report=False, verbose=2)


def embedded(run: kerasface.Run, table: FaceTable, share: float) -> np.ndarray:
    """What a run makes of the middle of images, with the mirrored image added."""
    return kerasface.embed(run, table, crop=middle(share * run.recipe.crop_share), flip=True)


def middle(share: float) -> str:
    """The crop of photographs of which the faces that were learnt are this share."""
    return f"center_square:{share:g}"


def similarities(vectors: np.ndarray, pairs: PairTable) -> np.ndarray:
    """The cosine of each pair."""
    return np.einsum("ij,ij->i", vectors[pairs.rows[:, 0]], vectors[pairs.rows[:, 1]])


if __name__ == "__main__":
    main()
