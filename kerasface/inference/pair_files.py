"""The files of `verify_pairs`: numbers, figures, a report and the threshold."""

from __future__ import annotations

import datetime
import pathlib

import keras
import pandas as pd

from kerasface.dlib_files import LEARNED_PEOPLE
from kerasface.files import replacing
from kerasface.inference.operating_point import (
    FILE,
    OperatingPoint,
    operating_point_path,
    write_operating_point_file,
)
from kerasface.inference.pretrained import is_pretrained
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
    by_group: pd.DataFrame | None,
    words: str,
) -> None:
    """Writes the results of an evaluation on pairs.

    Args:
        folder: The folder.
        name: Name of the pairs.
        evaluation: The evaluation.
        model: The model, for the page. For a model that is not in a file, the threshold is
            written to ``verifier.json`` in the folder.
        point: The threshold, or None.
        by_group: The rates by group, or None.
        words: About the threshold, for the page.
    """
    figures = evaluation.draw(name, point.threshold if point else None)
    evaluation.write(folder, figures)
    if point is not None and operating_point_path(model) is None:
        write_operating_point_file(folder / FILE, point)
    if by_group is not None:
        with replacing(folder / BY_GROUP) as part:
            by_group.to_csv(part, index=False)
    metrics = evaluation.metrics
    if is_pretrained(model):
        words = f"{words} {LEARNED_PEOPLE}"
    page = pair_page(
        evaluation,
        figures,
        f"the {len(evaluation.scores):,} pairs of {name}",
        f"The accuracy is the mean of {metrics['folds']} folds, with a standard error of "
        f"{metrics['accuracy_standard_error']:.2%}. {words}",
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


def _about(model: AnyModel) -> list[str]:
    """Date and model."""
    today, run = datetime.date.today(), run_of(model)
    if run is not None:
        name = f"run {run.folder.name}"
    elif is_pretrained(model):
        name = f"the pretrained network {model}"
    else:
        name = f"the model {model.name!r}" if isinstance(model, keras.Model) else repr(model)
    return [f"{today.day} {today:%B %Y}", name]
