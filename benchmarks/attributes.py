"""Compares the published recipes for CelebA attributes with those of this project.

    python benchmarks/attributes.py smiling --data celeba_half --only smiling attributes40_small
    python benchmarks/attributes.py attributes15 --data celeba --set epochs=5
    python benchmarks/attributes.py attributes40 --data celeba_half --set epochs=5

Recipe NAME is trained with the first seed, NAME_small with all seeds; ``--set`` changes the first
recipe only. Since smiling_small is attributes40_small, one training can serve both, as in the
first line. Each run is trained on the training partition, and its thresholds are chosen on the
validation partition. Then the last epoch is evaluated on the test partition, once, for the
attributes of recipe NAME. A finished run is not trained again. An interrupted run is resumed, and
its time is not reported. ``NAME.csv`` has one row per run, ``NAME_each.csv`` one row per attribute.
For attributes40, the fifteen attributes of recipe attributes15 are also evaluated on their own.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import time
from collections.abc import Sequence

import keras
import pandas as pd

import kerasface
from kerasface.data import CelebA, FaceTable
from kerasface.metrics import attributes
from kerasface.runs import parse_changes

NAMES = ("smiling", "attributes15", "attributes40")
FIFTEEN = kerasface.runs.named_recipe("attributes15").attributes


def main() -> None:
    """Trains the missing runs, evaluates all of them and prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="CelebA folder")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/attributes"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="random seeds")
    parser.add_argument("--only", nargs="+", help="recipes to train; default: NAME and NAME_small")
    parser.add_argument("--set", nargs="*", default=[], help="changes of recipe NAME, as key=value")
    options = parser.parse_args()
    table = kerasface.data.read_celeba(options.data)
    evaluated = kerasface.runs.named_recipe(options.name).attributes
    rows, columns = [], {}
    for name in options.only or (options.name, f"{options.name}_small"):
        published = name == options.name
        changes = parse_changes(options.set) if published else {}
        for seed in options.seeds[:1] if published else options.seeds:
            folder = options.out / f"{name}_{options.data.resolve().name}_{seed}"
            run, seconds = train_run(name, table, folder, changes | {"seed": seed})
            test = table.test.with_attributes(run.names)
            result = evaluate_run(run, test, evaluated)
            per_attribute = result.per_attribute.set_index("name")
            columns["prevalence"] = per_attribute["prevalence"]
            columns["majority"] = per_attribute["majority_accuracy"]
            columns[f"{name} {seed}: accuracy"] = per_attribute["accuracy"]
            columns[f"{name} {seed}: F1"] = per_attribute["f1"]
            row = {"recipe": name, "seed": seed, "seconds": seconds}
            row["images_per_second"] = run.metrics["images_per_second"]
            validation = table.validation.with_attributes(run.names)
            row["validation"] = evaluate_run(run, validation, evaluated).metrics["mean_accuracy"]
            row |= reported_metrics(result)
            if set(FIFTEEN) < set(evaluated):
                fifteen = reported_metrics(evaluate_run(run, test, FIFTEEN))
                row |= {f"15: {key}": value for key, value in fifteen.items()}
            rows.append(row)
            print(pd.DataFrame(rows[-1:]).round(4).to_string(index=False), flush=True)
    frame, per_attribute_table = pd.DataFrame(rows), pd.DataFrame(columns)
    frame.to_csv(options.out / f"{options.name}.csv", index=False)
    per_attribute_table.to_csv(options.out / f"{options.name}_each.csv")
    print("\nMeans over the seeds, test partition:")
    print(frame.drop(columns="seed").groupby("recipe").mean().round(4).T.to_string())
    print("\n" + (100 * per_attribute_table).round(1).to_string())


def train_run(
    name: str, table: CelebA, folder: pathlib.Path, changes: dict
) -> tuple[kerasface.Run, float]:
    """Returns a trained run and its wall time in seconds, NaN for a run that was resumed.

    The time includes everything that the training writes.
    """
    time_file = folder.with_suffix(".json")
    recipe = kerasface.runs.named_recipe(name).replace(keep="last", **changes)
    if time_file.is_file() and kerasface.Run(folder).recipe == recipe:
        return kerasface.Run(folder), json.loads(time_file.read_text())["seconds"]
    keras.backend.clear_session()
    resuming = folder.exists()
    start = time.perf_counter()
    run = kerasface.train(
        recipe,
        train=table.train,
        validation=table.validation,
        out=folder,
        resume=True,
        report=False,
        verbose=2,
    )
    seconds = float("nan") if resuming else round(time.perf_counter() - start)
    time_file.write_text(json.dumps({"seconds": seconds}))
    return run, seconds


def evaluate_run(
    run: kerasface.Run, table: FaceTable, names: Sequence[str]
) -> attributes.AttributeMetrics:
    """Returns accuracies at 0.5 and F1 at the run's thresholds for some of its attributes."""
    columns = [run.names.index(name) for name in names]
    labels, probabilities = table.labels[:, columns], run.predict(table)[:, columns]
    result = attributes.evaluate(labels, probabilities, names)
    thresholds = run.thresholds[columns]
    at_thresholds = attributes.evaluate(labels, probabilities, names, thresholds=thresholds)
    result.metrics["f1_macro_at_thresholds"] = at_thresholds.metrics["f1_macro"]
    result.per_attribute["f1"] = at_thresholds.per_attribute["f1"]
    return result


def reported_metrics(result: attributes.AttributeMetrics) -> dict:
    """Returns the metrics of one run that the table shows."""
    keys = ("mean_accuracy", "mean_accuracy_low", "mean_accuracy_high", "mean_majority_accuracy")
    keys += ("f1_macro_at_thresholds", "f1_macro", "f1_example_based", "auc_macro")
    return {key: result.metrics[key] for key in keys}


if __name__ == "__main__":
    main()
