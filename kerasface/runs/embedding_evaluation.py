"""Evaluates an embedding model on other images of the people that it was trained on."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pandas as pd

from kerasface.data.pairs import PairTable, folder_pairs
from kerasface.data.table import FaceTable, check
from kerasface.pipeline.predict import predict_table
from kerasface.runs.evaluation import RunEvaluation
from kerasface.runs.evaluation_page import pair_page
from kerasface.runs.pair_evaluation import evaluate_pairs
from kerasface.runs.run import Run

# Evaluating this number of pairs takes about ten seconds; more pairs hardly change the metrics.
MOST_PAIRS = 100_000
STRANGERS = (
    "These are other images of the people that the run was trained on. Strangers are harder: "
    "evaluate the run on them with kerasface verify."
)


def evaluate_embeddings(
    run: Run,
    table: FaceTable,
    folder: pathlib.Path,
    *,
    batch_size: int = 64,
    verbose: int = 0,
) -> RunEvaluation:
    """Evaluates an embedding model on the pairs of a table and writes the results.

    The pairs are all genuine pairs and the same number of random impostor pairs, at most 100,000 in
    total.
    To evaluate on strangers, use `kerasface.inference.verify_pairs`.

    Args:
        run: Run to evaluate, with its best weights.
        table: Images with one class each. Unreadable images are skipped.
        folder: Folder for ``metrics.json``, ``pairs.csv``, ``per_fold.csv``,
            ``operating_points.csv`` and figures.
        batch_size: Batch size.
        verbose: 1 shows a progress bar.

    Returns:
        Metrics, tables and figures. With fewer than two genuine or two impostor pairs they are
        empty and nothing is written.
    """
    table = check(table, max_unreadable=1.0).table  # files may have changed since the last check
    try:
        pairs = folder_pairs(table)
    except ValueError as error:
        return _empty(f"There are no pairs to evaluate: {error}")
    impostors, genuine = np.bincount(pairs.same, minlength=2)
    if min(impostors, genuine) < 2:  # each of the two folds needs one of each kind
        words = f"{genuine} genuine and {impostors} impostor pairs"
        return _empty(f"There are too few pairs to evaluate: {words}.")
    vectors = predict_table(
        run.opened_model(),
        table,
        batch_size=batch_size,
        crop=run.recipe.crop(training=False),
        verbose=verbose,
    )
    evaluation = evaluate_pairs(vectors, _sample_pairs(pairs, MOST_PAIRS), bootstrap=200)
    figures = evaluation.draw("validation")
    evaluation.write(folder, figures)
    count = f"{len(evaluation.scores):,}"
    return RunEvaluation(
        metrics=evaluation.metrics,
        table=evaluation.result.operating_points,
        predictions=evaluation.to_frame(),
        figures=figures,
        page=pair_page(evaluation, figures, f"the {count} pairs of validation images", STRANGERS),
    )


def _empty(reason: str) -> RunEvaluation:
    return RunEvaluation({}, pd.DataFrame(), pd.DataFrame(), {}, None, reason)


def _sample_pairs(pairs: PairTable, count: int) -> PairTable:
    """Selects random pairs and keeps their order."""
    if len(pairs) <= count:
        return pairs
    kept = np.sort(np.random.default_rng(0).choice(len(pairs), count, replace=False))
    return dataclasses.replace(
        pairs,
        rows=pairs.rows[kept],
        same=pairs.same[kept],
        people=None if pairs.people is None else pairs.people[kept],
    )
