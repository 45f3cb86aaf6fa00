"""Attributes of CelebA: the published recipes and this project's own, side by side.

    python benchmarks/attributes.py smiling --data celeba_half --only smiling attributes40_small
    python benchmarks/attributes.py attributes15 --data celeba --set epochs=5
    python benchmarks/attributes.py attributes40 --data celeba_half --set epochs=5

Recipe NAME is trained with the first seed, NAME_small with all; ``--set`` changes the first. Since
smiling_small is attributes40_small, one training can serve both, as in the first line. Each
learns the training part; thresholds are chosen on the validation part; then the last epoch is
judged on the test part, once, on the attributes of recipe NAME. A run that is finished is not
trained again, and one that was stopped goes on, its time untold. ``NAME.csv`` holds a row a run,
and ``NAME_each.csv`` one an attribute; of the forty the fifteen of recipe attributes15 are judged
too.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import time

import keras
import pandas as pd

import kerasface
from kerasface.data.table import FaceTable
from kerasface.metrics import attributes
from kerasface.runs.recipe import parse_changes

NAMES = ("smiling", "attributes15", "attributes40")
FIFTEEN = kerasface.runs.named_recipe("attributes15").attributes


def main() -> None:
    """Trains what is not trained yet, judges it and prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of CelebA")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/attributes"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--only", nargs="+", help="recipes, of NAME and NAME_small")
    parser.add_argument("--set", nargs="*", default=[], help="changes of the published recipe")
    options = parser.parse_args()
    table = kerasface.data.read_celeba(options.data)
    asked = kerasface.runs.named_recipe(options.name).attributes
    rows, columns = [], {}
    for name in options.only or (options.name, f"{options.name}_small"):
        published = name == options.name
        changes = parse_changes(options.set) if published else {}
        for seed in options.seeds[:1] if published else options.seeds:
            folder = options.out / f"{name}_{options.data.resolve().name}_{seed}"
            run, seconds = trained(name, table, folder, changes | {"seed": seed})
            test = table.test.with_attributes(run.names)
            figures = judged(run, test, asked)
            each = figures.per_attribute.set_index("name")
            columns |= {"prevalence": each["prevalence"], "majority": each["majority_accuracy"]}
            columns[f"{name} {seed}: accuracy"] = each["accuracy"]
            columns[f"{name} {seed}: F1"] = each["f1"]
            row = {"recipe": name, "seed": seed, "seconds": seconds}
            row["images_per_second"] = run.metrics["images_per_second"]
            known = judged(run, table.validation.with_attributes(run.names), asked)
            row["validation"] = known.metrics["mean_accuracy"]
            rows.append(row | told(figures))
            if set(FIFTEEN) < set(asked):
                rows[-1] |= {f"15: {k}": v for k, v in told(judged(run, test, FIFTEEN)).items()}
            print(pd.DataFrame(rows[-1:]).round(4).to_string(index=False), flush=True)
    frame, single = pd.DataFrame(rows), pd.DataFrame(columns)
    frame.to_csv(options.out / f"{options.name}.csv", index=False)
    single.to_csv(options.out / f"{options.name}_each.csv")
    print("\nMeans over the seeds, test part:")
    print(frame.drop(columns="seed").groupby("recipe").mean().round(4).T.to_string())
    print("\n" + (100 * single).round(1).to_string())


def trained(name: str, table, folder: pathlib.Path, changes: dict) -> tuple[kerasface.Run, float]:
    """The run, and the seconds from its start to its end with all that it writes, if at once."""
    clock = folder.with_suffix(".json")
    recipe = kerasface.runs.named_recipe(name).replace(keep="last", **changes)
    if clock.is_file() and kerasface.Run(folder).recipe == recipe:
        return kerasface.Run(folder), json.loads(clock.read_text())["seconds"]
    keras.backend.clear_session()
    goes_on = folder.exists()
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
    seconds = float("nan") if goes_on else round(time.perf_counter() - start)
    clock.write_text(json.dumps({"seconds": seconds}))
    return run, seconds


def judged(run: kerasface.Run, test: FaceTable, names) -> attributes.AttributeMetrics:
    """Accuracies at 0.5 and F1 at the run's thresholds, of some of its attributes."""
    columns = [run.names.index(name) for name in names]
    labels, probabilities = test.labels[:, columns], run.predict(test)[:, columns]
    figures = attributes.evaluate(labels, probabilities, names)
    limits = attributes.evaluate(labels, probabilities, names, thresholds=run.thresholds[columns])
    figures.metrics["f1_macro_at_thresholds"] = limits.metrics["f1_macro"]
    figures.per_attribute["f1"] = limits.per_attribute["f1"]
    return figures


def told(figures: attributes.AttributeMetrics) -> dict:
    """What is told of one run."""
    keys = ("mean_accuracy", "mean_accuracy_low", "mean_accuracy_high", "mean_majority_accuracy")
    keys += ("f1_macro_at_thresholds", "f1_macro", "f1_example_based", "auc_macro")
    return {key: figures.metrics[key] for key in keys}


if __name__ == "__main__":
    main()
