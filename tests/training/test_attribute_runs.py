"""Trainings on attributes, and what they leave."""

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest

import kerasface
from kerasface.data import read_celeba
from kerasface.metrics import attributes
from kerasface.pipeline import Crop
from kerasface.runs.record import read_images
from kerasface.training.assemble import accuracy

NAMES = ("Smiling", "Beard", "Wearing_Hat")


@pytest.fixture(scope="module")
def parts(celeba_folder):
    return read_celeba(celeba_folder)


def again(run, parts, out, **options):
    """A training with the recipe of a run."""
    options = {"verbose": 0, "report": False, **options}
    return kerasface.train(run.recipe, train=parts[0], validation=parts[1], out=out, **options)


def test_the_folder_is_complete(attribute_run, parts):
    run = attribute_run
    assert (run.names, run.multi_label) == (NAMES, True)
    assert not run.path("classes.json").exists()
    assert list(run.history) == [
        "epoch",
        "accuracy",
        "loss",
        "val_accuracy",
        "val_loss",
        "learning_rate",
        "seconds",
    ]
    assert run.metrics["attributes"] == 3 and "classes" not in run.metrics
    expected = ["".join(map(str, row)) for row in parts[0].with_attributes(NAMES).labels]
    images = read_images(run.folder)
    assert images.loc[images["partition"] == "train", "label"].tolist() == expected
    assert {path.name for path in run.path("validation").iterdir()} == {
        "co_occurrence.png",
        "gain_over_the_majority_guess.png",
        "label_distribution.png",
        "metrics.json",
        "per_attribute.csv",
        "precision_and_recall.png",
        "predictions.csv",
    }
    page = run.path("report.html").read_text()
    for words in ("On the 16 validation images", "Wearing_Hat", "majority guess", "smile_cnn"):
        assert words in page


def test_the_model_says_attributes(attribute_run, parts):
    probabilities = attribute_run.predict(parts[2])
    assert probabilities.shape == (16, 3)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    assert attribute_run.load_model().layers[-1].activation.__name__ == "sigmoid"


def test_validation_accuracy_is_the_mean_of_the_attributes(attribute_run, parts):
    labels = parts[1].with_attributes(NAMES).labels
    said = attribute_run.predict(parts[1]) >= 0.5  # of the weights kept, the last
    last = attribute_run.metrics["last"]["val_accuracy"]
    assert last == pytest.approx((said == labels).mean(), abs=1e-6)


def test_thresholds_are_those_of_the_best_f1_on_validation(attribute_run, parts):
    labels = parts[1].with_attributes(NAMES).labels
    chosen = attributes.best_thresholds(labels, attribute_run.predict(parts[1]), NAMES)
    np.testing.assert_allclose(attribute_run.thresholds, chosen, atol=1e-6)
    stored = json.loads(attribute_run.path("thresholds.json").read_text())
    assert tuple(stored) == NAMES


def test_thresholds_are_chosen_without_a_report_too(attribute_run, parts, tmp_path):
    run = again(attribute_run, parts, tmp_path / "run", epochs=1, report=False)
    labels = parts[1].with_attributes(NAMES).labels
    chosen = attributes.best_thresholds(labels, run.predict(parts[1]), NAMES)
    np.testing.assert_allclose(run.thresholds, chosen, atol=1e-6)


def test_images_that_chose_the_thresholds_are_warned_of(attribute_run, parts, tmp_path):
    with pytest.warns(UserWarning, match="validation set, which chose"):
        kerasface.evaluate(attribute_run, parts[1], out=tmp_path / "validation")


def test_the_figures_of_a_folder_are_those_of_its_test_part(attribute_run, celeba_folder, tmp_path):
    run = shutil.copytree(attribute_run.folder, tmp_path / "run")
    kerasface.evaluate(run, celeba_folder)
    assert (run / "evaluation" / f"{celeba_folder.name}_test" / "metrics.json").is_file()


def test_mixed_targets_count_as_the_nearer_outcome(parts):
    [metric] = accuracy(parts[0])
    targets = np.array([[0.7, 0.2], [1.0, 0.4]], np.float32)
    said = np.array([[0.9, 0.1], [0.3, 0.2]], np.float32)
    metric.update_state(targets, said)
    assert float(metric.result()) == pytest.approx(0.75)


def test_an_empty_part_is_refused_before_anything_is_written(attribute_run, parts, tmp_path):
    with pytest.raises(ValueError, match="`validation` must have images"):
        again(attribute_run, (parts[0], parts[1].take([])), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_without_validation_there_are_no_thresholds(attribute_run, parts, tmp_path):
    run = again(attribute_run, (parts[0], None), tmp_path / "run", epochs=1)
    assert not run.path("thresholds.json").exists()
    assert run.thresholds.tolist() == [0.5] * 3


def test_evaluation_on_the_test_part(attribute_run, celeba_folder, parts, tmp_path):
    run = shutil.copytree(attribute_run.folder, tmp_path / "run")
    result = kerasface.evaluate(run, celeba_folder, out=tmp_path / "test")
    labels = parts[2].with_attributes(NAMES).labels
    probabilities = attribute_run.predict(parts[2])
    limits = attribute_run.thresholds
    expected = attributes.evaluate(labels, probabilities, NAMES, thresholds=limits).metrics
    half = attributes.evaluate(labels, probabilities, NAMES).metrics
    for key, value in expected.items():
        assert result.metrics[key] == pytest.approx(value, rel=1e-5, nan_ok=True), key
    for key in ("mean_accuracy", "f1_macro"):
        assert result.metrics[f"{key}_at_half"] == pytest.approx(half[key])
    rows = pd.read_csv(tmp_path / "test" / "predictions.csv")
    np.testing.assert_array_equal(rows[[f"true:{name}" for name in NAMES]], labels)
    np.testing.assert_array_equal(rows[list(NAMES)], probabilities >= limits)
    table = pd.read_csv(tmp_path / "test" / "per_attribute.csv")
    assert table["name"].tolist() == result.table["name"].tolist() == list(NAMES)
    assert result.predictions["path"].tolist() == rows["path"].tolist()
    np.testing.assert_allclose(table["threshold"], limits, atol=1e-6)
    with pytest.raises(ValueError, match=r"was not trained on.*\b40 of 40"):
        kerasface.evaluate(run, parts[0])


def test_evaluation_refuses_classes(attribute_run, run, tables, parts):
    with pytest.raises(ValueError, match="the run's attributes of each"):
        kerasface.evaluate(attribute_run, tables[1])
    with pytest.raises(ValueError, match="one of the run's classes"):
        kerasface.evaluate(run, parts[2])


def test_resume_gives_the_same_history(attribute_run, parts, tmp_path):
    # As if it had been stopped in the second epoch: the checkpoint of the first one's end.
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        again(attribute_run, parts, tmp_path / "run", callbacks=[Stop()])
    run = again(attribute_run, parts, tmp_path / "run", resume=True)
    columns = ["epoch", "accuracy", "loss", "val_accuracy", "val_loss"]
    pd.testing.assert_frame_equal(run.history[columns], attribute_run.history[columns])
    changed = parts[0].take(range(1, 40)), parts[1]
    with pytest.raises(ValueError, match="images that it started with"):
        again(attribute_run, changed, tmp_path / "run", resume=True)


def test_cached_features_give_the_same_heads(attribute_run, parts, tmp_path):
    # One variant of the random square and the flip: the epochs' own are those of their numbers.
    options = {"trainable": "head", "epochs": 1}
    live = again(attribute_run, parts, tmp_path / "live", **options)
    cached = again(attribute_run, parts, tmp_path / "cached", **options, cache_features=True)
    columns = ["loss", "val_loss", "accuracy", "val_accuracy"]
    np.testing.assert_allclose(cached.history[columns], live.history[columns], atol=2e-3)


@pytest.mark.parametrize(
    ("changes", "crops"),
    [
        ({"square_crop": True}, [Crop(position="random"), Crop()]),
        (
            {"square_crop": True, "crop_share": 0.8},
            [Crop(0.8, position="random"), Crop(0.8)],
        ),
        ({"square_crop": False}, [None, None]),
        ({"square_crop": False, "crop_share": 0.8}, [Crop(0.8, shape="image")] * 2),
    ],
)
def test_squares_are_random_in_training_alone(
    attribute_run, parts, tmp_path, monkeypatch, changes, crops
):
    seen = []

    def note(table, *, crop, **options):
        seen.append(crop)
        if len(seen) == 2:
            raise InterruptedError

    monkeypatch.setattr("kerasface.training.batches.stream", note)
    with pytest.raises(InterruptedError):
        again(attribute_run, parts, tmp_path / "run", **changes)
    assert seen == crops


def test_comparison(attribute_run, run, parts, tmp_path):
    copy = shutil.copytree(attribute_run.folder, tmp_path / "copy")
    page = tmp_path / "compare.html"
    frame = kerasface.compare([attribute_run, copy], page)
    half = json.loads((copy / "validation" / "metrics.json").read_text())
    assert frame["accuracy"].tolist() == [half["mean_accuracy_at_half"]] * 2
    assert frame["f1_macro_at_half"].tolist() == [half["f1_macro_at_half"]] * 2
    assert "bootstrap interval over the images" in page.read_text()
    with pytest.raises(ValueError, match="Only runs of classes, or of the same attributes"):
        kerasface.compare([attribute_run, run], page)


@pytest.mark.parametrize(
    ("sides", "changes", "message"),
    [
        ("cc", {"attributes": ["Smiling"]}, "Attributes can only be chosen"),
        ("aa", {"attributes": ["Smilling"]}, "'Smilling'. Did you mean 'Smiling'"),
        ("ac", {"attributes": ()}, "both have classes or both attributes"),
        ("an", {}, "`validation` must be labeled"),
    ],
)
def test_tables_that_do_not_fit(parts, tables, tmp_path, sides, changes, message):
    unlabeled = kerasface.data.FaceTable(parts[1].root, parts[1].paths)
    known = {"a": parts, "c": tables, "n": [None, unlabeled]}
    train, validation = (known[side][place] for place, side in enumerate(sides))
    changes = {"attributes": (), **changes}
    with pytest.raises(ValueError, match=message):
        kerasface.train("smiling", train=train, validation=validation, out=tmp_path, **changes)


def test_attributes_decide_what_is_learnt(parts):
    table = parts[0].with_attributes("Beard")
    assert table.names == ("Beard",)
    whole = parts[0].labels[:, [parts[0].names.index("Beard")]]
    np.testing.assert_array_equal(table.labels, whole)
