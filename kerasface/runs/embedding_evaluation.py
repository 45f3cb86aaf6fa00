"""What a run of an embedding model is worth on other pictures of the people that it knows."""

from __future__ import annotations

import pathlib

import numpy as np

from kerasface.data.pairs import folder_pairs
from kerasface.data.table import FaceTable, check
from kerasface.metrics import verification
from kerasface.reports import verification as plots
from kerasface.reports.style import save_figures
from kerasface.files import replacing, write_json
from kerasface.pipeline.predict import predict_table
from kerasface.runs import run as run_files
from kerasface.runs.evaluation import Judgement
from kerasface.runs.run import Run

# Figures of so many pairs take some ten seconds, and those of more say hardly more.
MOST_PAIRS = 100_000


def judge_embeddings(
    run: Run,
    table: FaceTable,
    folder: pathlib.Path,
    *,
    batch_size: int = 64,
    verbose: int = 0,
) -> Judgement:
    """Judges an embedding model on the pairs of a table and writes what comes of it.

    The pairs are all genuine ones and as many drawn impostor pairs, at most 100,000 in all. Of
    strangers `kerasface.inference.verify_pairs` tells.

    Args:
        run: Whose kept weights make the embeddings.
        table: Images with one class each; those that cannot be read are left out.
        folder: Takes ``metrics.json``, ``per_fold.csv``, ``operating_points.csv`` and pictures.
        batch_size: Images a step.
        verbose: 1 shows a progress bar.

    Returns:
        The figures and the pictures; no figures with fewer than two genuine pairs or two impostor
        pairs.
    """
    table = check(table, max_unreadable=1.0).table  # a file may have broken since
    try:
        pairs = folder_pairs(table)
    except ValueError as error:
        return Judgement(None, f"There are no pairs to judge: {error}", {}, {}, {})
    kinds = np.bincount(pairs.same, minlength=2)
    if kinds.min() < 2:  # in each of two folds one
        words = f"{kinds[1]} genuine and {kinds[0]} impostor pairs"
        return Judgement(None, f"There are too few pairs to judge: {words}.", {}, {}, {})
    rows = np.arange(len(pairs))
    if len(rows) > MOST_PAIRS:
        rows = np.sort(np.random.default_rng(0).choice(len(rows), MOST_PAIRS, replace=False))
    vectors = predict_table(
        run.load_model(),
        table,
        batch_size=batch_size,
        crop=run.recipe.crop(training=False),
        verbose=verbose,
    )
    first, second = (vectors[pairs.rows[rows, side]] for side in (0, 1))
    scores, same = np.einsum("ij,ij->i", first, second), pairs.same[rows]
    people = None if pairs.people is None else pairs.people[rows].astype(str)
    result = verification.evaluate(scores, same, people=people, bootstrap=200)
    metrics = result.metrics
    write_json(folder / run_files.METRICS, metrics)
    tables = {"False accept rates": result.operating_points, "Folds": result.per_fold}
    for name, frame in (
        ("per_fold", result.per_fold),
        ("operating_points", result.operating_points),
    ):
        with replacing(folder / f"{name}.csv") as part:
            frame.to_csv(part, index=False)
    figures = {
        "ROC": plots.roc_log({"validation": (scores, same)}),
        "Scores": plots.score_histograms(scores, same),
    }
    save_figures(figures, folder)
    summary = (
        f"equal error rate {metrics['eer']:.2%} (95% interval {metrics['eer_low']:.2%} to "
        f"{metrics['eer_high']:.2%}) on other pictures of the people that it was trained on. "
        "Strangers are harder: see kerasface verify."
    )
    return Judgement(result, summary, dict(metrics), figures, tables)
