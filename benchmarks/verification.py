"""Embeddings learnt from 120 people, evaluated on strangers, beside baselines.

    python benchmarks/verification.py --identities identities/train \\
        --weights mobilenet_v2_imagenet_notop.weights.h5 --lfw lfw --out runs/verification

The people of the folder are sorted by name; every fifth one is a stranger, and the others are
learnt. The pairs are all genuine pairs of the strangers and as many impostor pairs, drawn with seed
0, and LFW's own list (``lfw/pairs.txt``, photographs in ``lfw/lfw-deepfunneled``, their middle of
which ``--centre`` says the share). All embeddings are made with the mirrored image added.

- *untrained*: the pooled features of the ImageNet network, *centred*: less those of the 120;
- *lda*: the linear discriminant of these features, learnt from the 120;
- *softmax*, *arcface*: recipes ``embedding_softmax`` and ``embedding_arcface`` with the seeds;
- *scratch*: the features before the classes of recipe ``identity_small`` with the network of
  ``attributes40_small``, in 20 epochs, the first seed;
- *attributes*: the same from the weights of a run of ``attributes40_small`` (``--attributes``; its
  people must be none of the folder's);
- *together*: the mean of a case's cosines over the seeds;
- with *discriminant* behind the name: the linear discriminant of a run's embeddings, learnt from
  the 120.

How far the discriminants are shrunk was chosen on every fifth of the 120, with the others learnt.

A run that is finished is not trained again. ``results.csv`` holds a row each; ``roc.png`` and
``roc_lfw.png`` show the curves.
"""

from __future__ import annotations

import argparse
import functools
import os
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import pandas as pd

import kerasface
from kerasface.data import FaceTable, PairTable, folder_pairs, identity_folder, read_pairs
from kerasface.embedding.discriminant import EMBEDDING_SHRINKAGE, discriminant_directions
from kerasface.inference.vectors import unit_rows
from kerasface.metrics import verification
from kerasface.pipeline import Crop
from kerasface.reports.verification import roc_log
from kerasface.runs.recipe import parse_changes

EVERY = 5
IMAGE_SIZE = 112
RECIPES = {
    "softmax": "embedding_softmax",
    "arcface": "embedding_arcface",
    "scratch": "identity_small",
    "attributes": "identity_small",
}
FIXED = ("untrained", "centred", "lda")
# The network of scratch and attributes, and what they change.
OF_ATTRIBUTES = ("model", "architecture", "image_size")
WITH_ATTRIBUTES = {"epochs": 20, "unmixed_epochs": 8, "learning_rate": 1e-3, "crop_share": 0.85}
FROZEN_SHRINKAGE = 0.7
ONE_SEED = ("scratch",)
CASES = (*FIXED, *RECIPES)
FIGURES = ("auc", "auc_low", "auc_high", "eer", "eer_low", "eer_high")


def main() -> None:
    """Trains what is not trained yet, evaluates everything and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--identities", type=pathlib.Path, required=True)
    parser.add_argument("--weights", type=pathlib.Path, required=True)
    parser.add_argument("--lfw", type=pathlib.Path, help="without it the strangers alone")
    parser.add_argument("--attributes", type=pathlib.Path, help="run of attributes40_small")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/verification"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", choices=CASES, help="default: all that can be run")
    parser.add_argument("--centre", type=float, default=0.65, help="share of LFW's photographs")
    parser.add_argument("--set", nargs="*", default=[], help="changes of the recipes")
    options = parser.parse_args()
    if options.only is None:
        options.only = [case for case in CASES if case != "attributes" or options.attributes]
    elif "attributes" in options.only and options.attributes is None:
        parser.error("The case attributes needs --attributes, a run of attributes40_small.")
    known, strangers = split_people(identity_folder(options.identities))
    print(f"learnt: {known.summary()}\nstrangers: {strangers.summary()}")
    lists, shares = {"strangers": folder_pairs(strangers)}, {"strangers": 1.0}
    if options.lfw is not None:
        images = options.lfw / "lfw-deepfunneled"
        lists["lfw"] = read_pairs(options.lfw / "pairs.txt", images)
        shares["lfw"] = options.centre
    for name, pairs in lists.items():
        print(f"{name}: {pairs.summary()}")

    rows: list[dict] = []
    curves: dict[str, dict] = {name: {} for name in lists}
    seeds: dict[str, list[dict]] = {}  # of each case the cosines with every seed

    def add_row(case: str, seed: int | None, cosines: dict[str, np.ndarray]) -> None:
        rows.append({"case": case, "seed": seed} | figures_of(cosines, lists))
        for name, pairs in lists.items():
            label = case if seed is None else f"{case} {seed}"
            curves[name][label] = (cosines[name], pairs.same)
        print(pd.DataFrame(rows[-1:]).round(4).to_string(index=False), flush=True)

    def embed_lists(embed: Callable) -> dict[str, np.ndarray]:
        return {name: embed(pairs.images, shares[name]) for name, pairs in lists.items()}

    for case, seed, vectors in embeddings(options, known, parse_changes(options.set), embed_lists):
        cosines = {name: similarities(vectors[name], pairs) for name, pairs in lists.items()}
        add_row(case, seed, cosines)
        seeds.setdefault(case, []).append(cosines)
    for case, each in seeds.items():
        if len(each) > 1:
            means = {name: np.mean([cosines[name] for cosines in each], axis=0) for name in lists}
            add_row(f"{case}, together", None, means)
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


def figures_of(cosines: dict[str, np.ndarray], lists: dict[str, PairTable]) -> dict:
    """The figures of each list of pairs, with its name before them."""
    row = {}
    for name, pairs in lists.items():
        found = verification.evaluate(
            cosines[name], pairs.same, folds=pairs.folds, people=pairs.people.astype(str)
        ).metrics
        folded = ("accuracy", "accuracy_standard_error") if pairs.folds is not None else ()
        row |= {f"{name}_{key}": found[key] for key in (*FIGURES, *folded)}
    return row


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


def embeddings(options: argparse.Namespace, known: FaceTable, changes: dict, embed_lists: Callable):
    """``(case, seed, embeddings of each list)`` one after the other.

    Args:
        options: The command line's.
        known: The people that are learnt.
        changes: Of the recipes.
        embed_lists: From a function of a table and a share to the embeddings of each list.
    """
    if set(FIXED) & set(options.only):
        shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
        network = kerasface.build(
            "mobilenet_v2", len(known.names), weights=options.weights, input_shape=shape
        )
        model = kerasface.embedder(network)

        def untrained(table, share=1.0):
            return kerasface.embed(table, model=model, crop=middle(share), flip=True)

        vectors = embed_lists(untrained)
        if "untrained" in options.only:
            yield "untrained", None, vectors
        learnt = untrained(known) if {"centred", "lda"} & set(options.only) else None
        if "centred" in options.only:
            mean = learnt.mean(axis=0)
            yield "centred", None, {name: unit_rows(rows - mean) for name, rows in vectors.items()}
        if "lda" in options.only:
            turned = turning(learnt, known.labels, FROZEN_SHRINKAGE)
            yield "lda", None, {name: turned(rows) for name, rows in vectors.items()}
    for case in options.only:
        if case in FIXED:
            continue
        for seed in options.seeds[:1] if case in ONE_SEED else options.seeds:
            embed = functools.partial(embedded, trained(case, seed, options, known, changes))
            vectors = embed_lists(embed)
            yield case, seed, vectors
            turned = turning(embed(known, 1.0), known.labels, EMBEDDING_SHRINKAGE)
            found = {name: turned(rows) for name, rows in vectors.items()}
            yield f"{case} discriminant", seed, found


def turning(features: np.ndarray, labels: np.ndarray, shrinkage: float) -> Callable:
    """A function from features to unit vectors along the linear discriminant's directions."""
    kernel, bias = discriminant_directions(features, labels, shrinkage)
    return lambda others: unit_rows(others @ kernel + bias)


def trained(case, seed, options, known, changes) -> kerasface.Run:
    """The run of a case, trained if it is not there; one that was stopped goes on."""
    folder = options.out / f"{case}_{seed}"
    recipe = kerasface.runs.named_recipe(RECIPES[case])
    if case in ("scratch", "attributes"):
        network = kerasface.runs.named_recipe("attributes40_small")
        recipe = recipe.replace(
            **{key: getattr(network, key) for key in OF_ATTRIBUTES}, **WITH_ATTRIBUTES
        )
        if case == "attributes":
            begun = kerasface.Run(options.attributes)
            recipe = recipe.replace(weights=os.path.abspath(begun.path("model.keras")))
    else:
        recipe = recipe.replace(weights=os.path.abspath(options.weights))
    recipe = recipe.replace(seed=seed, **changes)
    if (folder / "metrics.json").is_file() and kerasface.Run(folder).recipe == recipe:
        return kerasface.Run(folder)
    keras.backend.clear_session()
    return kerasface.train(recipe, train=known, out=folder, resume=True, report=False, verbose=2)


def embedded(run: kerasface.Run, table: FaceTable, share: float) -> np.ndarray:
    """What a run makes of the middle of images, with the mirrored image added."""
    return kerasface.embed(table, model=run, crop=middle(share * run.recipe.crop_share), flip=True)


def middle(share: float) -> Crop:
    """The crop of photographs of which the faces that were learnt are this share."""
    return Crop(share, shape="image")  # squashed, as runs learn them


def similarities(vectors: np.ndarray, pairs: PairTable) -> np.ndarray:
    """The cosine of each pair."""
    return np.einsum("ij,ij->i", vectors[pairs.rows[:, 0]], vectors[pairs.rows[:, 1]])


if __name__ == "__main__":
    main()
