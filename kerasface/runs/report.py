"""HTML page about a run: its data, curves, recipe and, if there is one, its evaluation."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kerasface import reports
from kerasface.files import replacing
from kerasface.reports.page import (
    Section,
    facts_section,
    figure_section,
    report_html,
    table_section,
)
from kerasface.runs import run as run_files
from kerasface.runs.evaluation import RunEvaluation
from kerasface.runs.record import read_images
from kerasface.runs.run import Run


def write_report(
    run: Run, path: pathlib.Path, evaluation: RunEvaluation | None = None, *, on: str = "validation"
) -> None:
    """Writes a page about a run that needs no other file.

    Args:
        run: Run whose recipe, data and curves are shown.
        path: HTML file to write.
        evaluation: Result of `kerasface.runs.evaluation.evaluate_run` or
            `kerasface.runs.embedding_evaluation.evaluate_embeddings`. None shows no metrics.
        on: Name of the images that the run was evaluated on.
    """
    sections = [
        facts_section("Data", _data(run)),
        figure_section("Curves", reports.training_curves(run.history)),
    ]
    if evaluation is not None:
        note = f"On {on}: {evaluation.summary}"
        shown = evaluation_sections(
            f"Metrics on {on}", evaluation.facts, note, evaluation.figures, evaluation.tables
        )
        sections = [*shown, *sections]
    sections.append(facts_section("Recipe", _flat(dataclasses.asdict(run.recipe))))
    environment = run.path(run_files.ENVIRONMENT).read_text(encoding="utf-8")
    sections.append(facts_section("Environment", _flat(json.loads(environment))))
    with replacing(path) as part:
        part.write_text(report_html(run.folder.name, sections), encoding="utf-8")


def evaluation_sections(
    title: str,
    metrics: Mapping[str, object],
    note: str,
    figures: Mapping[str, Figure],
    tables: Mapping[str, pd.DataFrame],
) -> list[Section]:
    """Makes the sections of a page about an evaluation.

    Args:
        title: Title of the first section, with the metrics.
        metrics: Name to number.
        note: The most important metrics, as a sentence below them.
        figures: Title to figure, a section each.
        tables: Title to table, a section each.

    Returns:
        The sections, in this order.
    """
    return [
        facts_section(title, metrics, note),
        *(figure_section(name, figure) for name, figure in figures.items()),
        *(table_section(name, frame) for name, frame in tables.items()),
    ]


def _data(run: Run) -> dict[str, Any]:
    frame = read_images(run.folder)
    facts: dict[str, Any] = {"attributes" if run.multi_label else "classes": len(run.names)}
    for partition, rows in frame.groupby("partition", sort=False):
        facts[f"{partition} images"] = len(rows)
        if run.multi_label:
            counts = np.array([list(text) for text in rows["label"]]).astype(int).sum(axis=0)
            facts[f"{partition} images per attribute"] = f"{counts.min()} to {counts.max()}"
        else:
            counts = rows.groupby("label").size()
            facts[f"{partition} images per class"] = f"{counts.min()} to {counts.max()}"
    return facts


def _flat(values: dict[str, Any]) -> dict[str, str]:
    return {
        key: ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        for key, value in values.items()
        if value not in (None, (), [], {})
    }
