"""The files of `verify_pairs`: numbers, figures, a report and the threshold."""

from __future__ import annotations

import datetime
import pathlib

import keras
import pandas as pd

from kerasface.files import replacing
from kerasface.inference.operating_point import (
    FILE,
    OperatingPoint,
    operating_point_path,
    write_operating_point_file,
)
from kerasface.inference.reading import AnyModel, run_of
from kerasface.reports.page import report_html
from kerasface.runs.evaluation_page import pair_page
from kerasface.runs.pair_evaluation import PairEvaluation
from kerasface.runs.run import BY_GROUP, REPORT


def write_pair_results(
    folder: pathlib.Path,
    name: str,
    evaluation: PairEvaluation,
    model: AnyModel,
    point: OperatingPoint | None,
    why_not: str,
    by_group: pd.DataFrame | None,
) -> None:
    """Writes the results of an evaluation on pairs.

    Args:
        folder: The folder.
        name: Name of the pairs.
        evaluation: The evaluation.
        model: The model, for the page. For a model that is not in a file, the threshold is
            written to ``verifier.json`` in the folder.
        point: The threshold, or None.
        why_not: Why there is none.
        by_group: The rates by group, or None.
    """
    figures = evaluation.draw(name, point.threshold if point else None)
    evaluation.write(folder, figures)
    stored = operating_point_path(model)
    if point is not None and stored is None:
        stored = folder / FILE
        write_operating_point_file(stored, point)
    if by_group is not None:
        with replacing(folder / BY_GROUP) as part:
            by_group.to_csv(part, index=False)
    metrics = evaluation.metrics
    note = f"No threshold was stored: {why_not}."
    if point is not None and stored is not None:
        note = _stored_note(point, stored)
    page = pair_page(
        evaluation,
        figures,
        f"the {len(evaluation.scores):,} pairs of {name}",
        f"The accuracy is the mean of {metrics['folds']} folds, with a standard error of "
        f"{metrics['accuracy_standard_error']:.2%}. {note}",
        by_group=by_group,
    )
    text = report_html(
        f"Verification on {name}",
        page.sections,
        kind="verification",
        about=_about(model),
        headline=page.headline,
        tiles=page.tiles,
    )
    with replacing(folder / REPORT) as part:
        part.write_text(text, encoding="utf-8")


def _stored_note(point: OperatingPoint, stored: pathlib.Path) -> str:
    return (
        f"Threshold {point.threshold:.4f}, stored in {stored.name}: it accepts {point.far:.2%} of "
        f"{point.impostor_pairs:,} impostor pairs (95% interval {point.far_low:.2%} to "
        f"{point.far_high:.2%}) and {point.tar:.2%} of the genuine ones."
    )


def _about(model: AnyModel) -> list[str]:
    """Date and model."""
    today, run = datetime.date.today(), run_of(model)
    if run is not None:
        name = f"run {run.folder.name}"
    else:
        name = f"the model {model.name!r}" if isinstance(model, keras.Model) else repr(model)
    return [f"{today.day} {today:%B %Y}", name]
