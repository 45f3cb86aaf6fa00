"""Comparison of runs."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import kerasface
from kerasface.inference import compare, comparison_page


@pytest.fixture(scope="module")
def two_runs(tables, tmp_path_factory, unpainted):
    folder = tmp_path_factory.mktemp("compared")
    options = {"architecture": {"channels": [8], "blocks_per_stage": [1]}, "image_size": 16}
    with unpainted():
        return [
            kerasface.train(
                "demo",
                train=tables[0],
                validation=tables[1],
                out=folder / name,
                verbose=0,
                epochs=1,
                warmup_epochs=0,
                augment=(),
                seed=seed,
                **options,
            )
            for seed, name in enumerate(("first", "second"))
        ]


def test_comparison(two_runs, tmp_path):
    frame = compare(two_runs, tmp_path / "compare.html")
    assert sorted(frame["run"]) == ["first", "second"]
    assert frame["accuracy"].is_monotonic_decreasing
    for _, row in frame.iterrows():
        run = next(run for run in two_runs if run.folder.name == row["run"])
        written = json.loads((run.folder / "validation" / "metrics.json").read_text())
        assert row["accuracy"] == written["accuracy"]
        assert row["trainable_parameters"] == run.metrics["trainable_parameters"]
        assert row["parameters"] == run.load_model().count_params() > row["trainable_parameters"]
    assert (frame["epochs"].tolist(), frame["cached_epochs"].tolist()) == ([1, 1], [0, 0])
    page = (tmp_path / "compare.html").read_text()
    assert "p value" in page and page.count("<img") == 1  # the curves, without scripts
    assert f">{' and '.join(frame['run'])}<" in page  # the paired test
    assert '<td role="cell" data-label="first">0</td>' in page  # the seeds differ
    assert "Cached epochs" not in page


def test_comparison_counts_cached_epochs(two_runs, tmp_path):
    other = kerasface.Run(shutil.copytree(two_runs[1].folder, tmp_path / "other"))
    phases = ({"epochs": 3, "trainable": "head"}, {"epochs": 2})
    recipe = other.recipe.replace(cache_features=True, phases=phases)
    other.path("recipe.json").write_text(recipe.to_json())
    row = other.history.iloc[0]
    # The first phase stopped after its second epoch.
    history = pd.DataFrame([{**row, "epoch": epoch} for epoch in (1, 2, 4, 5)])
    history.to_csv(other.path("history.csv"), index=False)
    frame = compare([two_runs[0], other], tmp_path / "compare.html").set_index("run")
    assert frame["epochs"].to_dict() == {"first": 1, "other": 4}
    assert frame["cached_epochs"].to_dict() == {"first": 0, "other": 2}
    assert "Cached epochs" in (tmp_path / "compare.html").read_text()


def test_no_paired_test_on_different_images(two_runs, tmp_path):
    other = shutil.copytree(two_runs[1].folder, tmp_path / "other")
    frame = pd.read_csv(other / "validation" / "predictions.csv")
    frame["path"] = np.roll(frame["path"], 1)
    frame.to_csv(other / "validation" / "predictions.csv", index=False)
    compare([two_runs[0], other], tmp_path / "compare.html")
    assert "no paired test" in (tmp_path / "compare.html").read_text()


def test_runs_with_equal_names_get_longer_names(two_runs, tmp_path):
    twin = shutil.copytree(two_runs[1].folder, tmp_path / "b" / "first")
    frame = compare([two_runs[0], twin], tmp_path / "compare.html")
    assert set(frame["run"]) == {f"{two_runs[0].folder.parent.name}/first", "b/first"}
    with pytest.raises(ValueError, match="one of them twice"):
        compare([twin, twin], tmp_path / "compare.html")


def test_refused_comparisons(two_runs, run, tmp_path):
    with pytest.raises(ValueError, match="at least two runs"):
        compare(two_runs[:1])
    with pytest.raises(ValueError, match=r"a list of at least two runs\. Received: 'runs/one'"):
        compare("runs/one")
    bare = shutil.copytree(two_runs[0].folder, tmp_path / "bare")
    shutil.rmtree(bare / "validation")
    with pytest.raises(ValueError, match="Train it with a validation table"):
        compare([two_runs[0], bare], tmp_path / "compare.html")


def test_page_tests_all_pairs_and_lists_differences(two_runs, tmp_path):
    runs = dict(zip(("first", "second"), two_runs, strict=True))
    third = kerasface.Run(shutil.copytree(two_runs[0].folder, tmp_path / "third"))
    recipe = third.recipe.replace(learning_rate=0.25)
    third.path("recipe.json").write_text(recipe.to_json())
    runs["third"] = third
    frames = {
        name: pd.read_csv(run.path("validation/predictions.csv"), dtype={"label": str})
        for name, run in runs.items()
    }
    frames["second"]["correct"] = True
    frames["first"]["correct"] = [False] * 9 + [True] * 3
    frames["third"]["correct"] = [False] * 8 + [True] * 4
    tests = comparison_page.paired_tests(runs, frames)
    pairs = [(test.first, test.second) for test in tests]
    assert pairs == [("first", "second"), ("first", "third"), ("second", "third")]
    assert [test.difference for test in tests] == pytest.approx([-0.75, -1 / 12, 2 / 3])
    assert tests[0].p_value == pytest.approx(2 * 0.5**9)
    table = comparison_page.recipe_differences(runs).set_index("Setting")
    assert list(table.index) == ["Learning rate", "Seed"]
    assert table.loc["Learning rate", "third"] == "0.25"
    assert table.loc["Seed"].tolist() == ["0", "1", "0"]
    many = {f"run {place}": two_runs[0] for place in range(6)}
    tests = comparison_page.paired_tests(many, dict.fromkeys(many, frames["first"]))
    assert [test.first for test in tests] == ["run 0"] * 5


def test_holm_correction():
    # Holm 1979: the smallest p value is multiplied by the number of tests, and so on.
    assert comparison_page.holm([0.03, 0.01, 0.04]) == pytest.approx([0.06, 0.03, 0.06])
    assert comparison_page.holm([0.6, None, 0.9]) == [1.0, None, 1.0]
