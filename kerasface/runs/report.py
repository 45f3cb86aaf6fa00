"""A page on a run: what it was made of and what it is worth."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from kerasface.reports import classification as plots
from kerasface.reports.page import (
    Section,
    facts_section,
    figure_section,
    report_html,
    table_section,
)
from kerasface.files import replacing
from kerasface.runs import run as run_files
from kerasface.runs.evaluation import Judgement
from kerasface.runs.record import read_images
from kerasface.runs.run import Run


def write_report(
    run: Run, path: pathlib.Path, judgement: Judgement | None = None, *, on: str = "validation"
) -> None:
    """Writes a page on a run that needs no other file.

    Args:
        run: Whose recipe, data and curves are shown.
        path: The HTML file.
        judgement: What `judge` gave; None leaves the figures of predictions out.
        on: What was judged on, in words.
    """
    sections = [
        facts_section("Data", _data(run)),
        figure_section("Curves", plots.training_curves(run.history)),
    ]
    if judgement is not None:
        sections = [*_judged(judgement, on), *sections]
    sections.append(facts_section("Recipe", _flat(dataclasses.asdict(run.recipe))))
    environment = run.path(run_files.ENVIRONMENT).read_text(encoding="utf-8")
    sections.append(facts_section("Environment", _flat(json.loads(environment))))
    with replacing(path) as part:
        part.write_text(report_html(run.folder.name, sections), encoding="utf-8")


def _judged(judgement: Judgement, on: str) -> list[Section]:
    return [
        facts_section(f"Figures on {on}", judgement.facts, f"On {on}: {judgement.summary}"),
        *(figure_section(title, figure) for title, figure in judgement.figures.items()),
        *(table_section(title, frame) for title, frame in judgement.tables.items()),
    ]


def _data(run: Run) -> dict[str, Any]:
    frame = read_images(run.folder)
    facts: dict[str, Any] = {"attributes" if run.multi_label else "classes": len(run.names)}
    for side, rows in frame.groupby("side", sort=False):
        facts[f"{side} images"] = len(rows)
        if run.multi_label:
            counts = np.array([list(text) for text in rows["label"]]).astype(int).sum(axis=0)
            facts[f"{side} images with an attribute"] = f"{counts.min()} to {counts.max()}"
        else:
            counts = rows.groupby("label").size()
            facts[f"{side} images a class"] = f"{counts.min()} to {counts.max()}"
    return facts


def _flat(values: dict[str, Any]) -> dict[str, str]:
    return {
        key: ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        for key, value in values.items()
        if value not in (None, (), [], {})
    }
