"""The trials behind recipe ``identity_small``: one change per run, evaluated on a part of *train*.

    python benchmarks/identity_trials.py --data data/train --out runs/trials
    python benchmarks/identity_trials.py --data data/train --out runs/trials --only base 'cosine 16'

Each trial trains on 85% of each person's images and is evaluated on the other 15% (stratified,
seed 0) with the weights of the last epoch, or with their moving average if the trial has one. The
dev folder is not read. Finished trials are not repeated, and interrupted trials are resumed.
``trials.csv`` has one row per trial.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib

import keras
import pandas as pd

import kerasface

BASE = kerasface.runs.Recipe(
    model="resnet_small",
    architecture={"stem_stride": 2, "channels": [24, 48, 96, 192]},
    image_size=56,
    epochs=12,
    batch_size=32,
    optimizer="adamw",
    learning_rate=2e-3,
    weight_decay=0.05,
    warmup_epochs=1,
    warmup_learning_rate=1e-4,
    final_learning_rate=1e-6,
    label_smoothing=0.1,
    augment=("flip", "rotation:10", "color_jitter:0.2"),
    keep="last",
)
AUGMENT = BASE.augment
COSINE = {"head": "cosine:30"}
# The first trials change `BASE`. The others add the best of them, the cosine head.
TRIALS: dict[str, dict] = {
    "base": {},
    "batch 16": {"batch_size": 16, "learning_rate": 1.4e-3},
    "crop 0.6": {"augment": ("crop:0.6", *AUGMENT)},
    "double": {"head": "double"},
    "cosine 8": {"head": "cosine:8"},
    "cosine 16": {"head": "cosine:16"},
    "cosine 30": COSINE,
    "cosine 64": {"head": "cosine:64"},
}
# Changes of the training speed show in a few epochs.
TRIALS |= {
    f"cosine 30, {name}": COSINE | changes
    for name, changes in {
        "batch 16": {"batch_size": 16, "learning_rate": 1.4e-3},
        "rate 1e-3": {"learning_rate": 1e-3},
        "rate 4e-3": {"learning_rate": 4e-3},
        "sgd": {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 0.01},
        "step schedule": {
            "schedule": "step",
            "warmup_epochs": 0,
            "decay_epochs": 4,
            "decay_factor": 0.2,
        },
        "moving average": {"ema": 0.99},
        "no smoothing": {"label_smoothing": 0.0},
        "flip only": {"augment": ("flip",)},
        "rotation 20": {"augment": ("flip", "rotation:20", "color_jitter:0.2")},
        "erasing": {"augment": (*AUGMENT, "random_erasing:0.25")},
        "mixup 0.2, last 3 without": {"mixup": 0.2, "unmixed_epochs": 3},
        "cutmix, last 4 without": {"cutmix": 1.0, "unmixed_epochs": 4},
        "drop path 0.1": {"architecture": {"drop_path": 0.1}},
        "zero init": {"architecture": {"zero_init_residual": True}},
        "nano": {"model": "convnext_nano", "architecture": {}},
        "nano, LayerScale": {"model": "convnext_nano", "architecture": {"layer_scale": 1e-4}},
    }.items()
}
# Regularization needs more epochs.
LONG = COSINE | {"epochs": 30}
TRIALS |= {"30 epochs": LONG} | {
    f"30 epochs, {name}": LONG | changes
    for name, changes in {
        "crop 0.8": {"augment": ("crop:0.8", *AUGMENT)},
        "cutmix, last 10 without": {"cutmix": 1.0, "unmixed_epochs": 10},
        "cutmix, last 5 without": {"cutmix": 1.0, "unmixed_epochs": 5},
    }.items()
}
# Added to CutMix, which helps if it ends ten epochs before the training.
MIXED = TRIALS["30 epochs, cutmix, last 10 without"]
TRIALS |= {
    f"30 epochs, cutmix, last 10 without, {name}": MIXED | changes
    for name, changes in {
        "decay 0.2": {"weight_decay": 0.2},
        "rand_augment": {"augment": ("flip", "rand_augment:6")},
        "dropout 0.3": {"dropout": 0.3},
        "muon": {"optimizer": "muon"},
    }.items()
}
TRIALS["30 epochs, cutmix, last 4 without, muon"] = MIXED | {
    "optimizer": "muon",
    "unmixed_epochs": 4,
}
TRIALS["30 epochs, cutmix, last 10 without, muon, full resolution"] = TRIALS[
    "30 epochs, cutmix, last 10 without, muon"
] | {
    "architecture": {
        "stem_stride": 1,
        "channels": [16, 24, 48, 96, 192],
        "blocks_per_stage": [1, 2, 2, 2, 2],
    }
}


def main() -> None:
    """Runs the missing trials and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data", type=pathlib.Path, required=True, help="folder with one subfolder per person"
    )
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/trials"))
    parser.add_argument("--only", nargs="*", choices=list(TRIALS), help="trials; default: all")
    options = parser.parse_args()
    table = kerasface.data.identity_folder(options.data)
    train, validation = table.split(validation=0.15, seed=0)
    for name in options.only or TRIALS:
        folder = options.out / name
        if (folder / "metrics.json").is_file():
            continue
        keras.backend.clear_session()
        kerasface.train(
            trial_recipe(name),
            train=train,
            validation=validation,
            out=folder,
            resume=True,
            verbose=2,
        )
    rows = [trial_row(name, options.out / name) for name in TRIALS]
    frame = pd.DataFrame([row for row in rows if row])
    frame.to_csv(options.out / "trials.csv", index=False)
    print(frame.to_string(index=False))


def trial_recipe(name: str) -> kerasface.runs.Recipe:
    """Returns the recipe of a trial."""
    changes = TRIALS[name]
    if "model" in changes:  # the options belong to another network
        return dataclasses.replace(BASE, **changes)
    return BASE.replace(**changes)


def trial_row(name: str, folder: pathlib.Path) -> dict | None:
    """Returns the row of a trial in the table; None if it is not finished."""
    if not (folder / "metrics.json").is_file():
        return None
    run = kerasface.runs.Run(folder)
    last = run.metrics["last"]
    return {
        "trial": name,
        "change": json.dumps(TRIALS[name]),
        "parameters": run.metrics["trainable_parameters"],
        "minutes": round(run.history["seconds"].sum() / 60, 1),
        "train_loss": round(last["loss"], 3),
        "validation_loss": round(last["val_loss"], 3),
        "validation_accuracy": round(100 * last["val_accuracy"], 1),
    }


if __name__ == "__main__":
    main()
