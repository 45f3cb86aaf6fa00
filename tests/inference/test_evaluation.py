"""Evaluation of runs on images that they were not trained on."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kerasface
from kerasface.data import identity_folder
from kerasface.inference.evaluation import evaluate
from kerasface.inference.labeled_images import labeled_images
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
def evaluated(run, tables, tmp_path_factory):
    """A copy of the tiny run with its evaluation on the development images."""
    folder = tmp_path_factory.mktemp("evaluated") / "run"
    shutil.copytree(run.folder, folder)
    result = evaluate(folder, tables[1].root)
    return kerasface.Run(folder), result


def test_metrics_are_those_of_the_predictions(evaluated, tables):
    run, result = evaluated
    probabilities = run.predict(tables[1])
    expected = classification.evaluate(tables[1].labels, probabilities, run.names)
    for key, value in expected.metrics.items():
        assert result.metrics[key] == pytest.approx(value, rel=1e-5, nan_ok=True), key
    assert result.metrics["inference_images_per_second"] > 0


def test_the_folder_is_complete(evaluated):
    run, result = evaluated
    folder = run.folder / "evaluation" / "dev"
    assert {path.name for path in folder.iterdir()} == FILES
    written = json.loads((folder / "metrics.json").read_text())
    assert written["accuracy"] == result.metrics["accuracy"]
    predictions = pd.read_csv(folder / "predictions.csv", dtype={"label": str})
    assert predictions["correct"].mean() == pytest.approx(result.metrics["accuracy"])
    assert result.folder == folder and result.page == folder / "report.html"
    for column in ("path", "label"):
        assert predictions[column].tolist() == result.predictions[column].tolist()
    assert result.table["name"].tolist() == list(run.names)
    page = result.page.read_text()
    mistakes = int((~result.predictions["correct"]).sum())
    assert page.count("<img") == 4 + mistakes  # two charts without scripts and two figures
    assert "convnext_nano" in page and "p0000" in page
    assert f"{result.metrics['accuracy']:.2%} of the 12 images of dev are classified" in page
    assert "always guessing the most frequent class would reach 25.00%" in page


def test_folder_is_chosen(run, tables, tmp_path):
    evaluate(run, tables[1], out=tmp_path / "out", flip=True)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    assert (
        "of the 12 images of out are classified" in (tmp_path / "out" / "report.html").read_text()
    )


def test_partition_needs_a_celeba_folder(run, tables, tmp_path):
    for data, word in ((tables[1].root, "a run of classes"), (tables[1], "a table")):
        with pytest.raises(ValueError, match=f"partition='identity' for {word}"):
            evaluate(run, data, out=tmp_path / "out", partition="identity")


@pytest.mark.parametrize("copied", [False, True])
def test_training_images_are_refused(run, tables, tmp_path, copied):
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
    with pytest.raises(
        ValueError, match=f"Received: {expected} of {len(table)} images are in the training set"
    ):
        evaluate(run, table, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.warns(
        UserWarning, match=f"{expected} of {len(table)} images are in the training set"
    ):
        evaluate(run, table, out=tmp_path / "out", allow_seen=True)
    assert (
        f"of which {expected} are in the training set"
        in (tmp_path / "out" / "report.html").read_text()
    )


def test_validation_images_are_not_seen(run, tables):
    assert seen_images(run, tables[1]) == []


def test_validation_images_of_training_on_both_are_seen(run, tables, tmp_path):
    shutil.copytree(run.folder, tmp_path / "run")
    recipe = run.recipe.replace(train_on_validation=True)
    (tmp_path / "run" / "recipe.json").write_text(recipe.to_json())
    assert len(seen_images(kerasface.Run(tmp_path / "run"), tables[1])) == 12


def test_training_images_of_first_weights_are_seen(run, tables, tmp_path):
    later = shutil.copytree(run.folder, tmp_path / "later")
    recipe = run.recipe.replace(weights=str(run.path("model.keras")))
    (later / "recipe.json").write_text(recipe.to_json())
    frame = pd.read_csv(later / "images.csv", keep_default_na=False)
    frame[frame["partition"] != "train"].to_csv(later / "images.csv", index=False)
    assert len(seen_images(kerasface.Run(later), tables[0])) == 24
    (later / "recipe.json").write_text(run.recipe.to_json())
    assert seen_images(kerasface.Run(later), tables[0]) == []


def test_unreadable_images_are_reported(run, faces, tmp_path):
    shutil.copytree(faces / "dev", tmp_path / "new")
    broken = next((tmp_path / "new" / "p0001").iterdir())
    broken.write_bytes(b"no image")
    recipe = run.recipe.replace(max_unreadable=0.5)
    own = shutil.copytree(run.folder, tmp_path / "run")
    (own / "recipe.json").write_text(recipe.to_json())
    with pytest.warns(UserWarning, match=f"1 of 12 images are unreadable.*{broken.name}"):
        result = evaluate(own, tmp_path / "new")
    assert result.metrics["images"] == 11
    assert (own / "evaluation" / "new" / "metrics.json").is_file()


def test_other_classes_are_refused(run, tables, tmp_path):
    shutil.copytree(tables[1].root, tmp_path / "dev")
    shutil.rmtree(tmp_path / "dev" / "p0003")
    with pytest.raises(ValueError, match="one of the run's classes"):
        evaluate(run, identity_folder(tmp_path / "dev"))


def test_finished_run_has_a_report(run):
    names = {path.name for path in run.path("validation").iterdir()}
    assert names == FILES - {"report.html"}
    page = run.path("report.html").read_text()
    assert page.index(">Curves</h2>") < page.index(">Confusion matrix</h2>")
    assert "of the 12 validation images are classified" in page


def test_run_without_validation_has_report_without_metrics(tables, tmp_path):
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
    assert "are classified" not in page
    assert "The run has no validation images." in page


def metrics_of(result):
    """The metrics without the speed."""
    return {key: value for key, value in result.metrics.items() if "per_second" not in key}


def test_images_in_memory_with_labels(run, faces, tmp_path):
    table = identity_folder(faces / "dev", names=run.names)
    pixels = [np.asarray(Image.open(path)) for path in table.full_paths()]
    expected = metrics_of(evaluate(run, table, out=tmp_path / "files", allow_seen=True))
    named = [run.names[label] for label in table.labels]
    for place, labels in {"indices": table.labels, "names": named}.items():
        result = evaluate(run, pixels, labels=labels, out=tmp_path / place, allow_seen=True)
        assert metrics_of(result) == pytest.approx(expected, nan_ok=True)
        assert (tmp_path / place / "report.html").is_file()
    files = list(map(str, table.full_paths()))
    result = evaluate(run, files, labels=named, out=tmp_path / "paths", allow_seen=True)
    assert metrics_of(result) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "`labels` must be given for images that are not a folder or a table"),
        ([0], r"one class per image, shape \[2\]\. Received: shape \[1\]"),
        (["p0000", "nobody"], "among the 4 classes of the run. Received: 'nobody'"),
        ([0, 4], "indices from 0 to 3. Received: int64 from 0 to 4"),
        ([0.0, 1.0], "Received: float64"),
    ],
)
def test_wrong_labels_are_refused(run, labels, message):
    with pytest.raises(ValueError, match=message):
        evaluate(run, [np.zeros((8, 8, 3), np.uint8)] * 2, labels=labels)


def test_labels_of_attributes_have_one_row_per_image():
    images = labeled_images([np.zeros((8, 8))] * 2, [0, 1], "abc", multi_label=True)
    with pytest.raises(ValueError, match=r"row of 0 and 1 per image, shape \[2, 3\]"), images:
        pass
    rows = [[0, 1, 1], [1, 0, 1]]
    with labeled_images([np.zeros((8, 8))] * 2, rows, "abc", multi_label=True) as table:
        assert table.labels.tolist() == rows
        assert table.names == ("a", "b", "c")
        assert all(map(os.path.isfile, table.full_paths()))
    assert not table.root.exists()
