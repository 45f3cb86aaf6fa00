"""Trains embeddings on 120 people and evaluates them on strangers, with baselines.

    python benchmarks/verification.py --identities identities/train \\
        --weights mobilenet_v2_imagenet_notop.weights.h5 --lfw lfw --out runs/verification

The people of the folder are sorted by name. Every fifth one is a stranger; the others are for
training. The pairs are all genuine pairs of the strangers and as many impostor pairs, drawn with
seed 0, and the list of LFW (``lfw/pairs.txt``, photographs in ``lfw/lfw-deepfunneled``).
``--lfw-share`` is the share of each LFW photograph, around its center, that is used. The flipped
image is added to all embeddings. Cases:

- *pretrained*: pooled features of the ImageNet network;
- *centered*: the same, minus their mean over the 120;
- *lda*: linear discriminant of these features, estimated from the 120;
- *softmax*, *arcface*: recipes ``embedding_softmax`` and ``embedding_arcface`` with each seed;
- *scratch*: features before the classes of recipe ``identity_small`` with the network of
  ``attributes40_small``, 20 epochs, the first seed;
- *attributes*: the same, from the weights of a run of ``attributes40_small`` (``--attributes``),
  whose people must not be in the folder;
- *dlib*: dlib's face network as it is; the folder has crops of ``kerasface crop --align --template
  dlib``;
- *dlib_embedding*: recipe ``dlib_embedding`` with each seed;
- *NAME discriminant*: linear discriminant of the embeddings of a run, estimated from the 120;
- *NAME, mean*: mean of the cosines over the seeds.

The shrinkage of the discriminants was chosen on every fifth of the 120, with the others as training
data.

A finished run is not trained again. ``results.csv`` has one row per case and seed; ``roc.png`` and
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
from kerasface.runs import parse_changes

STRANGER_EVERY = 5
IMAGE_SIZE = 112
RECIPES = {
    "softmax": "embedding_softmax",
    "arcface": "embedding_arcface",
    "scratch": "identity_small",
    "attributes": "identity_small",
    "dlib_embedding": "dlib_embedding",
}
IMAGENET = ("pretrained", "centered", "lda")  # cases of the frozen ImageNet network
WITHOUT_TRAINING = (*IMAGENET, "dlib")
# The cases that need the weights of MobileNetV2.
NEED_WEIGHTS = (*IMAGENET, "softmax", "arcface")
# Keys that the cases scratch and attributes take from attributes40_small, and their other changes.
NETWORK_KEYS = ("model", "architecture", "image_size")
NETWORK_CHANGES = {"epochs": 20, "unmixed_epochs": 8, "learning_rate": 1e-3, "crop_share": 0.85}
FROZEN_SHRINKAGE = 0.7
ONE_SEED = ("scratch",)
CASES = (*WITHOUT_TRAINING, *RECIPES)
METRICS = ("auc", "auc_low", "auc_high", "eer", "eer_low", "eer_high")


def main() -> None:
    """Trains the missing runs, evaluates all cases and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--identities", type=pathlib.Path, required=True, help="folder of people")
    parser.add_argument("--weights", type=pathlib.Path, help="MobileNetV2 weights")
    parser.add_argument("--lfw", type=pathlib.Path, help="LFW folder; default: only the strangers")
    parser.add_argument("--attributes", type=pathlib.Path, help="run of attributes40_small")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/verification"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", choices=CASES, help="cases; default: all possible")
    parser.add_argument("--lfw-share", type=float, default=0.65, help="share of LFW photographs")
    parser.add_argument("--set", nargs="*", default=[], help="changes of the recipes, as key=value")
    options = parser.parse_args()
    if options.only is None:
        options.only = [case for case in CASES if case != "attributes" or options.attributes]
    if options.weights is None and set(NEED_WEIGHTS) & set(options.only):
        parser.error(f"The cases {', '.join(NEED_WEIGHTS)} need --weights.")
    if "attributes" in options.only and options.attributes is None:
        parser.error("The case attributes needs --attributes, a run of attributes40_small.")
    known, strangers = split_people(identity_folder(options.identities))
    print(f"training: {known.summary()}\nstrangers: {strangers.summary()}")
    lists, shares = {"strangers": folder_pairs(strangers)}, {"strangers": 1.0}
    if options.lfw is not None:
        images = options.lfw / "lfw-deepfunneled"
        lists["lfw"] = read_pairs(options.lfw / "pairs.txt", images)
        shares["lfw"] = options.lfw_share
    for name, pairs in lists.items():
        print(f"{name}: {pairs.summary()}")

    rows: list[dict] = []
    curves: dict[str, dict] = {name: {} for name in lists}
    cosines_of_seeds: dict[str, list[dict]] = {}

    def add_row(case: str, seed: int | None, cosines: dict[str, np.ndarray]) -> None:
        rows.append({"case": case, "seed": seed} | metrics_of(cosines, lists))
        for name, pairs in lists.items():
            label = case if seed is None else f"{case} {seed}"
            curves[name][label] = (cosines[name], pairs.same)
        print(pd.DataFrame(rows[-1:]).round(4).to_string(index=False), flush=True)

    def embed_lists(embed: Callable) -> dict[str, np.ndarray]:
        return {name: embed(pairs.images, shares[name]) for name, pairs in lists.items()}

    changes = parse_changes(options.set)
    for case, seed, vectors in embeddings(options, known, changes, embed_lists):
        cosines = {name: similarities(vectors[name], pairs) for name, pairs in lists.items()}
        add_row(case, seed, cosines)
        cosines_of_seeds.setdefault(case, []).append(cosines)
    for case, runs in cosines_of_seeds.items():
        if len(runs) > 1:
            means = {name: np.mean([cosines[name] for cosines in runs], axis=0) for name in lists}
            add_row(f"{case}, mean", None, means)
    frame = pd.DataFrame(rows)
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / "results.csv"
    if results.is_file():  # keep the rows of other cases and seeds
        all_rows = pd.concat([pd.read_csv(results), frame])
        frame = all_rows.drop_duplicates(["case", "seed"], keep="last")
    frame.to_csv(results, index=False)
    for name, curves_of_list in curves.items():
        suffix = "" if name == "strangers" else f"_{name}"
        roc_log(curves_of_list, title=name).savefig(options.out / f"roc{suffix}.png")
    print("\nMeans over the seeds:")
    print(frame.drop(columns="seed").groupby("case", sort=False).mean().round(4).to_string())


def metrics_of(cosines: dict[str, np.ndarray], lists: dict[str, PairTable]) -> dict:
    """Returns the metrics of each list of pairs, prefixed with its name."""
    row = {}
    for name, pairs in lists.items():
        metrics = verification.evaluate(
            cosines[name], pairs.same, folds=pairs.folds, people=pairs.people.astype(str)
        ).metrics
        of_folds = ("accuracy", "accuracy_standard_error") if pairs.folds is not None else ()
        row |= {f"{name}_{key}": metrics[key] for key in (*METRICS, *of_folds)}
    return row


def split_people(table: FaceTable) -> tuple[FaceTable, FaceTable]:
    """Returns the training people and the strangers, each with class numbers from 0."""
    is_stranger = np.arange(len(table.names)) % STRANGER_EVERY == STRANGER_EVERY - 1
    tables = []
    for selected in (~is_stranger, is_stranger):
        rows = table.take(selected[table.labels])
        numbers = np.cumsum(selected) - 1
        names = tuple(name for name, keep in zip(table.names, selected, strict=True) if keep)
        tables.append(FaceTable(rows.root, rows.paths, numbers[rows.labels], names, rows.formats))
    return tables[0], tables[1]


def embeddings(options: argparse.Namespace, known: FaceTable, changes: dict, embed_lists: Callable):
    """Yields ``(case, seed, embeddings of each list)``.

    Args:
        options: Options of the command line.
        known: Training people.
        changes: Changes of the recipes.
        embed_lists: Maps a function of a table and a share to the embeddings of each list.
    """
    if "dlib" in options.only:
        embed = functools.partial(embed_with_dlib, dlib_network())
        vectors = embed_lists(embed)
        yield "dlib", None, vectors
        project = discriminant(embed(known), known.labels, EMBEDDING_SHRINKAGE)
        yield "dlib discriminant", None, {name: project(rows) for name, rows in vectors.items()}
    if set(IMAGENET) & set(options.only):
        shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
        network = kerasface.build(
            "mobilenet_v2", len(known.names), weights=options.weights, input_shape=shape
        )
        model = kerasface.embedder(network)

        def pretrained(table, share=1.0):
            return kerasface.embed(table, model=model, crop=center(share), flip=True)

        vectors = embed_lists(pretrained)
        if "pretrained" in options.only:
            yield "pretrained", None, vectors
        features = pretrained(known) if {"centered", "lda"} & set(options.only) else None
        if "centered" in options.only:
            mean = features.mean(axis=0)
            yield "centered", None, {name: unit_rows(rows - mean) for name, rows in vectors.items()}
        if "lda" in options.only:
            project = discriminant(features, known.labels, FROZEN_SHRINKAGE)
            yield "lda", None, {name: project(rows) for name, rows in vectors.items()}
    for case in options.only:
        if case in WITHOUT_TRAINING:
            continue
        for seed in options.seeds[:1] if case in ONE_SEED else options.seeds:
            run = train_run(case, seed, options, known, changes)
            embed = functools.partial(embed_with_run, run)
            vectors = embed_lists(embed)
            yield case, seed, vectors
            project = discriminant(embed(known, 1.0), known.labels, EMBEDDING_SHRINKAGE)
            projected = {name: project(rows) for name, rows in vectors.items()}
            yield f"{case} discriminant", seed, projected


def discriminant(features: np.ndarray, labels: np.ndarray, shrinkage: float) -> Callable:
    """Returns a function from features to unit vectors in the space of the discriminant."""
    kernel, bias = discriminant_directions(features, labels, shrinkage)
    return lambda others: unit_rows(others @ kernel + bias)


def train_run(case, seed, options, known, changes) -> kerasface.Run:
    """Returns the run of a case. Trains it if it does not exist, or resumes it."""
    folder = options.out / f"{case}_{seed}"
    recipe = kerasface.runs.named_recipe(RECIPES[case])
    if case in ("scratch", "attributes"):
        network = kerasface.runs.named_recipe("attributes40_small")
        recipe = recipe.replace(
            **{key: getattr(network, key) for key in NETWORK_KEYS}, **NETWORK_CHANGES
        )
        if case == "attributes":
            attributes_run = kerasface.Run(options.attributes)
            weights = os.path.abspath(attributes_run.path("model.keras"))
            recipe = recipe.replace(weights=weights)
    elif case != "dlib_embedding":
        recipe = recipe.replace(weights=os.path.abspath(options.weights))
    recipe = recipe.replace(seed=seed, **changes)
    if (folder / "metrics.json").is_file() and kerasface.Run(folder).recipe == recipe:
        return kerasface.Run(folder)
    keras.backend.clear_session()
    return kerasface.train(
        recipe, train=known, out=folder, resume=folder.is_dir(), report=False, verbose=2
    )


def dlib_network() -> keras.Model:
    """Builds dlib's face network with its embedding."""
    return kerasface.build("dlib_resnet29", embedding=128, weights="dlib")


def embed_with_dlib(network: keras.Model, table: FaceTable, share: float = 1.0) -> np.ndarray:
    """Embeds the center of images with dlib's network; the flipped image is added."""
    crop = None if share == 1 else center(share)
    return kerasface.embed(table, model=network, crop=crop, flip=True)


def embed_with_run(run: kerasface.Run, table: FaceTable, share: float) -> np.ndarray:
    """Embeds the center of images with a run; the flipped image is added."""
    return kerasface.embed(table, model=run, crop=center(share * run.recipe.crop_share), flip=True)


def center(share: float) -> Crop:
    """Returns the crop of this share of width and height around the center."""
    return Crop(share, shape="image")  # resized without keeping its shape, as in training


def similarities(vectors: np.ndarray, pairs: PairTable) -> np.ndarray:
    """Returns the cosine of each pair."""
    return np.einsum("ij,ij->i", vectors[pairs.rows[:, 0]], vectors[pairs.rows[:, 1]])


if __name__ == "__main__":
    main()
