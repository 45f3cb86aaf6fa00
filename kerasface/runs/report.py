"""HTML page about a run: its result, curves, mistakes, data, recipe and how to make it again."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
import pandas as pd

from kerasface import reports
from kerasface.dlib_files import LEARNED_PEOPLE
from kerasface.files import replacing
from kerasface.models.weights import DLIB
from kerasface.reports.advice import curve_notes
from kerasface.reports.charts import training_section
from kerasface.reports.labels import recipe_label
from kerasface.reports.page import Headline, report_html
from kerasface.reports.rendering import part_html
from kerasface.reports.sections import (
    Section,
    commands_section,
    facts_html,
    facts_section,
    folded_html,
    table_html,
)
from kerasface.runs.evaluation import RunEvaluation
from kerasface.runs.recipe import Recipe
from kerasface.runs.record import read_images
from kerasface.runs.reproduction import Origin, origin
from kerasface.runs.run import Run

TRAINING_REPORT, EVALUATION = "training report", "evaluation"
MARGIN_NOTE = (
    "The training values include the margin of the loss, which makes the training harder. They "
    "cannot be compared with those of the validation images."
)
MIXED_NOTE = (
    "The training accuracy is that of mixed images, so it cannot be compared with the validation "
    "accuracy."
)


def write_report(
    run: Run, path: pathlib.Path, evaluation: RunEvaluation | None = None, *, on: str | None = None
) -> None:
    """Writes a page about a run that needs no other file.

    Args:
        run: Run whose recipe, data and curves are shown.
        path: HTML file to write.
        evaluation: Result of `kerasface.runs.evaluation.evaluate_run` or
            `kerasface.runs.embedding_evaluation.evaluate_embeddings`. None shows no metrics.
        on: Name of other images that the run was evaluated on. None is for the run's own
            validation images, whose page begins with the curves of the training.
    """
    source, page = origin(run), evaluation.page if evaluation else None
    curves = [_curves(run), *_notes(run)]
    results = list(page.sections) if page else []
    sections = [
        *(results if on else [*curves, *results]),
        facts_section("Data", _data(run), LEARNED_PEOPLE if run.recipe.weights == DLIB else None),
        commands_section("How to reproduce the run", source.commands),
        _environment(source),
        _recipe(run.recipe),
        *(curves if on else []),
    ]
    about = [source.date, f"run {run.folder.name}", f"model {run.recipe.model}"]
    title = f"{source.recipe} on {source.data}" if source.data else source.recipe
    if on:
        title, about = f"{source.recipe} evaluated on {on}", [f"trained {source.date}", *about[1:]]
    text = report_html(
        title,
        sections,
        kind=EVALUATION if on else TRAINING_REPORT,
        about=about,
        headline=page.headline if page else _no_result(evaluation),
        tiles=page.tiles if page else None,
    )
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def _no_result(evaluation: RunEvaluation | None) -> Headline:
    return Headline(evaluation.empty if evaluation else "The run has no validation images.")


def _curves(run: Run) -> Section:
    note = None
    if run.embeds and run.recipe.embedding.get("loss") != "softmax":
        note = MARGIN_NOTE
    elif _mixed(run.recipe):
        note = MIXED_NOTE
    return training_section(run.history, reports.training_curves(run.history), note=note)


def _notes(run: Run) -> list[Section]:
    comparable = not run.embeds and not _mixed(run.recipe)
    notes = curve_notes(run.history, comparable=comparable)
    if not notes:
        return []
    return [
        Section(
            "What to try next",
            part_html("notes", notes),
            "These notes come from simple rules about the curves and can be wrong.",
        )
    ]


def _mixed(recipe: Recipe) -> bool:
    return bool(recipe.mixup or recipe.cutmix)


def _environment(source: Origin) -> Section:
    return Section("Origin", facts_html("Origin", source.facts))


def _recipe(recipe: Recipe) -> Section:
    """The keys that differ from the defaults, and all others behind a click."""
    changed = recipe.changed_keys()
    values = {field.name: getattr(recipe, field.name) for field in dataclasses.fields(recipe)}
    others = {key: value for key, value in values.items() if key not in changed}
    body = table_html("Recipe", recipe_table(changed)) if changed else ""
    rest = table_html("Defaults of the recipe", recipe_table(others))
    lead = "The keys that differ from their defaults."
    return Section("Recipe", f"{body}{folded_html('All other keys', rest)}", None, lead)


def recipe_table(values: dict[str, Any]) -> pd.DataFrame:
    """Returns recipe keys as a table for a page.

    Args:
        values: Key to value.

    Returns:
        One row per key: its label, its value as text, and the key.
    """
    rows = [(recipe_label(key), recipe_value(value), key) for key, value in values.items()]
    # As objects: pandas cannot hold file names that are not UTF-8 otherwise.
    return pd.DataFrame(rows, columns=["Setting", "Value", "Key"], dtype=object)


def recipe_value(value: Any) -> str:
    """Writes the value of a recipe key for people.

    Args:
        value: The value.

    Example:
        >>> recipe_value(("flip", "crop")), recipe_value({"scale": 2}), recipe_value(None)
        ('flip, crop', 'scale: 2', 'none')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or (isinstance(value, (list, tuple, dict)) and not value):
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {recipe_value(part)}" for key, part in value.items())
    if isinstance(value, (list, tuple)):
        sign = "; " if any(isinstance(part, dict) for part in value) else ", "
        return sign.join(recipe_value(part) for part in value)
    return str(value)


def _data(run: Run) -> dict[str, Any]:
    frame = read_images(run.folder)
    kind = "attribute" if run.multi_label else "class"
    facts: dict[str, Any] = {"Attributes" if run.multi_label else "Classes": len(run.names)}
    for partition, rows in frame.groupby("partition", sort=False):
        name = "Training" if partition == "train" else str(partition).capitalize()
        facts[f"{name} images"] = len(rows)
        if run.multi_label:
            counts = np.array([list(text) for text in rows["label"]]).astype(int).sum(axis=0)
        else:
            counts = rows.groupby("label").size().to_numpy()
        low, high = int(counts.min()), int(counts.max())
        facts[f"{name} images per {kind}"] = low if low == high else f"{low:,} to {high:,}"
    return facts
