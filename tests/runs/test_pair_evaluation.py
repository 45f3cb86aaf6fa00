"""Evaluation of pairs by their embeddings."""

import json

import numpy as np
import pandas as pd
import pytest

from kerasface.data import folder_pairs
from kerasface.metrics import probability, verification
from kerasface.runs.pair_evaluation import evaluate_pairs

TABLES = ("operating_points", "pairs", "per_fold", "probability")


def test_pairs_are_evaluated_and_written(tables, tmp_path):
    pairs = folder_pairs(tables[0], impostors=60)
    vectors = np.random.default_rng(0).normal(size=(len(tables[0]), 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    evaluation = evaluate_pairs(vectors, pairs, bootstrap=5, seed=3)
    expected = [vectors[first] @ vectors[second] for first, second in pairs.rows]
    np.testing.assert_allclose(evaluation.scores, expected)
    metrics = verification.evaluate(
        evaluation.scores, pairs.same, people=pairs.people, bootstrap=5, seed=3
    ).metrics
    assert evaluation.result.metrics == metrics
    fit = probability.fit_probability(evaluation.scores, pairs.same, people=pairs.people, seed=3)
    assert evaluation.metrics == metrics | fit.to_dict()

    evaluation.write(tmp_path, {})
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"metrics.json", *(f"{name}.csv" for name in TABLES)}
    assert json.loads((tmp_path / "metrics.json").read_text()) == pytest.approx(evaluation.metrics)
    assert pd.read_csv(tmp_path / "probability.csv")["pairs"].sum() <= len(pairs)
    np.testing.assert_allclose(pd.read_csv(tmp_path / "pairs.csv")["score"], expected)
