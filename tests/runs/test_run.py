"""Run folders: what they say about themselves, and where their weights come from."""

import json
import shutil

import keras
import pytest

import kerasface
from kerasface.runs.seen import seen_images


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the finished run, to write into."""
    return kerasface.Run(shutil.copytree(run.folder, tmp_path / "run"))


def test_repr(run, copied):
    best = run.history["val_accuracy"].max()
    assert repr(run) == (
        f"Run('{run.folder}', convnext_nano, 2 of 2 epochs, best val_accuracy {best:.1%})"
    )
    copied.path("history.csv").unlink()
    assert repr(copied) == f"Run('{copied.folder}', convnext_nano, 0 of 2 epochs)"
    copied.path("recipe.json").write_text('{"epochs": "many"}')
    assert repr(copied).startswith(f"Run('{copied.folder}', damaged: `epochs` must be")


def test_html(run, copied):
    page = run._repr_html_()
    assert "<th>epochs</th><td>2 of 2</td>" in page and "data:image/png;base64," in page
    copied.path("curves.png").unlink()
    copied.path("recipe.json").write_text('{"epochs": "<b>"}')
    assert "<img" not in copied._repr_html_() and "&lt;b&gt;" in copied._repr_html_()


class Kill(keras.callbacks.Callback):
    """Ends the process's training before the first epoch is complete."""

    def on_epoch_end(self, epoch, logs=None):
        raise KeyboardInterrupt


def test_moved_run_finds_its_weights(run, tables, tmp_path, monkeypatch, unpainted):
    monkeypatch.chdir(run.folder.parent)
    recipe = run.recipe.replace(weights="tiny/model.keras", epochs=1, warmup_epochs=0)
    with pytest.raises(KeyboardInterrupt), unpainted():
        kerasface.train(
            recipe, train=tables[1], out=tmp_path / "second", callbacks=[Kill()], verbose=0
        )
    (tmp_path / "elsewhere").mkdir()
    moved = kerasface.Run(shutil.move(tmp_path / "second", tmp_path / "elsewhere"))
    monkeypatch.chdir(moved.folder)
    assert moved.recipe.weights == "tiny/model.keras"
    assert moved.weights_path == run.path("model.keras")
    with unpainted():
        # There is no checkpoint, so the weights are read once more.
        resumed = kerasface.train(
            moved.recipe, train=tables[1], out=moved.folder, resume=True, verbose=0
        )
    assert len(resumed.history) == 1
    # It was trained on the other table itself, and on this one only through its weights.
    assert seen_images(resumed, tables[0]) == tables[0].paths.tolist()


def test_run_that_moved_with_its_weights_finds_them(run, copied, tmp_path, monkeypatch):
    """The recorded path is missing, and the path as given leads to the moved file."""
    values = run.recipe.replace(weights="runs/first/model.keras")
    copied.path("recipe.json").write_text(values.to_json())
    old = tmp_path / "old" / "runs" / "first" / "model.keras"
    copied.path("weights.json").write_text(json.dumps({"path": str(old)}))
    project = tmp_path / "new"
    moved = kerasface.Run(shutil.move(copied.folder, project / "runs" / "second"))
    assert moved.weights_path == old  # messages name it
    weights = project / "runs" / "first" / "model.keras"
    weights.parent.mkdir()
    shutil.copy(run.path("model.keras"), weights)
    assert moved.weights_path == weights  # from a folder above the run
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(weights.parent, elsewhere / "runs" / "first")
    shutil.rmtree(weights.parent)
    assert moved.weights_path == old
    monkeypatch.chdir(elsewhere)
    assert moved.weights_path == elsewhere / "runs" / "first" / "model.keras"
    # The model of the run itself is no weights that it started from.
    moved.path("recipe.json").write_text(values.replace(weights="model.keras").to_json())
    monkeypatch.chdir(moved.folder)
    assert moved.weights_path == old


def test_weights_path_of_an_older_run(run, copied, tmp_path):
    assert run.weights_path is None
    values = json.loads(copied.path("recipe.json").read_text())
    values["weights"] = str(tmp_path / "model.keras")
    copied.path("recipe.json").write_text(json.dumps(values))
    assert copied.weights_path == tmp_path / "model.keras"
    values["weights"] = "imagenet"
    copied.path("recipe.json").write_text(json.dumps(values))
    assert copied.weights_path is None


def test_model_is_loaded_and_traced_once(copied, tables):
    for count in (1, 3, 5, 7, 9, 12):
        assert len(copied.predict(tables[1].take(range(count)))) == count
    model = copied.opened_model()
    assert model is copied.opened_model() is not copied.load_model()
    assert model.predict_function.experimental_get_tracing_count() == 1
    copied.load_model().save(copied.path("model.keras"))
    assert model is not copied.opened_model()
