"""Judging runs on images that they have not seen, and runs side by side."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest

import kerasface
from kerasface.data import identity_folder
from kerasface.inference.evaluation import compare, evaluate
from kerasface.metrics import classification
from kerasface.runs.seen import seen_images

FILES = {
    "calibration.png",
    "confusion.png",
    "metrics.json",
    "most_confident_mistakes.png",
    "per_class.csv",
    "predictions.csv",
    "report.html",
    "roc_curves.png",
}


@pytest.fixture(scope="module")
def judged(run, tables, tmp_path_factory):
    """A copy of the tiny run with its evaluation on the development images."""
    folder = tmp_path_factory.mktemp("judged") / "run"
    shutil.copytree(run.folder, folder)
    result = evaluate(folder, tables[1].root)
    return kerasface.Run(folder), result


def test_figures_are_those_of_the_predictions(judged, tables):
    run, result = judged
    probabilities = run.predict(tables[1])
    expected = classification.evaluate(tables[1].labels, probabilities, run.names)
    for key, value in expected.metrics.items():
        assert result.metrics[key] == pytest.approx(value, rel=1e-5, nan_ok=True), key
    assert result.metrics["inference_images_per_second"] > 0


def test_the_folder_is_complete(judged):
    run, result = judged
    folder = run.folder / "evaluation" / "dev"
    assert {path.name for path in folder.iterdir()} == FILES
    written = json.loads((folder / "metrics.json").read_text())
    assert written["accuracy"] == result.metrics["accuracy"]
    predictions = pd.read_csv(folder / "predictions.csv", dtype={"label": str})
    assert predictions["correct"].mean() == pytest.approx(result.metrics["accuracy"])
    page = (folder / "report.html").read_text()
    assert page.count("<img") == 5
    assert "convnext_nano" in page and "p0000" in page
    assert "On dev: accuracy" in page


def test_other_folder(run, tables, tmp_path):
    evaluate(run, tables[1], out=tmp_path / "out", flip=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert "On out: accuracy" in (tmp_path / "out" / "report.html").read_text()


def test_only_a_folder_of_celeba_has_partitions(run, tables, tmp_path):
    for data, word in ((tables[1].root, "a run of classes"), (tables[1], "a table")):
        with pytest.raises(ValueError, match=f"partition='identity' for {word}"):
            evaluate(run, data, out=tmp_path / "out", partition="identity")


@pytest.mark.parametrize("copied", [False, True])
def test_images_that_it_was_trained_on_are_refused(run, tables, tmp_path, copied):
    table = tables[0]
    if copied:  # under other names, into another folder, beside new ones
        for number, path in enumerate(table.full_paths()[:5]):
            target = tmp_path / "faces" / table.names[table.labels[number]] / f"x{number}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        shutil.copytree(tables[1].root, tmp_path / "faces", dirs_exist_ok=True)
        table = identity_folder(tmp_path / "faces", names=run.names)
    expected = 5 if copied else 24
    assert len(seen_images(run, table)) == expected
    with pytest.raises(ValueError, match=f"Received: {expected} such of {len(table)}"):
        evaluate(run, table, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.warns(UserWarning, match=f"trained on {expected} of the {len(table)} images"):
        evaluate(run, table, out=tmp_path / "out", allow_seen=True)
    assert f"trained on {expected}" in (tmp_path / "out" / "report.html").read_text()


def test_validation_images_are_not_seen(run, tables):
    assert seen_images(run, tables[1]) == []


def test_validation_images_that_were_trained_on_are_seen(run, tables, tmp_path):
    shutil.copytree(run.folder, tmp_path / "run")
    recipe = run.recipe.replace(train_on_validation=True)
    (tmp_path / "run" / "recipe.json").write_text(recipe.to_json())
    assert len(seen_images(kerasface.Run(tmp_path / "run"), tables[1])) == 12


def test_what_the_first_weights_were_trained_on_is_seen(run, tables, tmp_path):
    later = shutil.copytree(run.folder, tmp_path / "later")
    recipe = run.recipe.replace(weights=str(run.path("model.keras")))
    (later / "recipe.json").write_text(recipe.to_json())
    frame = pd.read_csv(later / "images.csv", keep_default_na=False)
    frame[frame["side"] != "train"].to_csv(later / "images.csv", index=False)
    assert len(seen_images(kerasface.Run(later), tables[0])) == 24
    (later / "recipe.json").write_text(run.recipe.to_json())
    assert seen_images(kerasface.Run(later), tables[0]) == []


def test_unreadable_images_are_told(run, faces, tmp_path):
    shutil.copytree(faces / "dev", tmp_path / "new")
    broken = next((tmp_path / "new" / "p0001").iterdir())
    broken.write_bytes(b"no image")
    recipe = run.recipe.replace(max_unreadable=0.5)
    own = shutil.copytree(run.folder, tmp_path / "run")
    (own / "recipe.json").write_text(recipe.to_json())
    with pytest.warns(UserWarning, match=f"1 of the 12 images cannot be read.*{broken.name}"):
        result = evaluate(own, tmp_path / "new")
    assert result.metrics["images"] == 11
    assert (own / "evaluation" / "new" / "metrics.json").is_file()


def test_other_classes_are_refused(run, tables, tmp_path):
    shutil.copytree(tables[1].root, tmp_path / "dev")
    shutil.rmtree(tmp_path / "dev" / "p0003")
    with pytest.raises(ValueError, match="one of the run's classes"):
        evaluate(run, identity_folder(tmp_path / "dev"))


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


def test_every_run_has_a_report(two_runs):
    for run in two_runs:
        assert {path.name for path in (run.folder / "validation").iterdir()} == FILES - {
            "report.html"
        }
        page = run.path("report.html").read_text()
        assert page.count("<img") == 5
        assert "On validation: accuracy" in page


def test_a_run_without_validation_has_a_report_without_figures(tables, tmp_path):
    run = kerasface.train(
        "demo",
        train=tables[0],
        out=tmp_path / "run",
        verbose=0,
        epochs=1,
        warmup_epochs=0,
        augment=(),
        image_size=16,
        architecture={"channels": [8], "blocks_per_stage": [1]},
    )
    page = run.path("report.html").read_text()
    assert page.count("<img") == 1
    assert ": accuracy" not in page


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
    assert "p value" in page and page.count("<img") == 1
    assert "Cached epochs" not in page


def test_comparison_tells_which_epochs_left_the_backbone_out(two_runs, tmp_path):
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


def test_comparison_of_runs_on_different_images(two_runs, tmp_path):
    other = shutil.copytree(two_runs[1].folder, tmp_path / "other")
    frame = pd.read_csv(other / "validation" / "predictions.csv")
    frame["path"] = np.roll(frame["path"], 1)
    frame.to_csv(other / "validation" / "predictions.csv", index=False)
    compare([two_runs[0], other], tmp_path / "compare.html")
    assert "no paired test" in (tmp_path / "compare.html").read_text()


def test_runs_of_one_name_are_told_apart(two_runs, tmp_path):
    twin = shutil.copytree(two_runs[1].folder, tmp_path / "b" / "first")
    frame = compare([two_runs[0], twin], tmp_path / "compare.html")
    assert set(frame["run"]) == {f"{two_runs[0].folder.parent.name}/first", "b/first"}
    with pytest.raises(ValueError, match="one of them twice"):
        compare([twin, twin], tmp_path / "compare.html")


def test_what_cannot_be_compared(two_runs, run, tmp_path):
    with pytest.raises(ValueError, match="at least two runs"):
        compare(two_runs[:1])
    bare = shutil.copytree(two_runs[0].folder, tmp_path / "bare")
    shutil.rmtree(bare / "validation")
    with pytest.raises(ValueError, match="Train it with a validation table"):
        compare([two_runs[0], bare], tmp_path / "compare.html")
