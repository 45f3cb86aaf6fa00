"""`train` and the folder that it leaves."""

import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest

import kerasface
from kerasface.data import identity_folder
from kerasface.faces import Preparation
from kerasface.pipeline import stream
from kerasface.runs.recipe import Recipe
from kerasface.runs.record import read_images, read_roots, recorded_tables
from kerasface.runs.seen import seen_images
from kerasface.training.assemble import build_optimizer, dtype_policy
from kerasface.training.progress import plateaus
from kerasface.training.resuming import is_complete
from kerasface.training.tables import check_files

pytestmark = pytest.mark.usefixtures("empty_pictures")
TINY = Recipe(
    model="convnext_nano",
    architecture={"channels": [8], "blocks_per_stage": [1], "drop_path": 0.1},
    head="pool",
    dropout=0.2,
    image_size=16,
    epochs=4,
    batch_size=7,
    warmup_epochs=1,
    augment=("rotation",),
    mixup=0.5,
    ema=0.8,
    label_smoothing=0.1,
)
CROPS = Preparation("mtcnn", template="arcface", size=32)
# Where the pictures decide nothing: streams that turn and mix them take longer to make.
PLAIN = {"augment": (), "mixup": 0.0}


def train(tables, out, recipe=TINY, **options):
    options = {"report": False, "verbose": 0, **options}
    return kerasface.train(recipe, train=tables[0], validation=tables[1], out=out, **options)


class Snapshots(keras.callbacks.Callback):
    """Copies the run folder in the middle of each epoch, as a killed process leaves it."""

    def __init__(self, run, folder):
        super().__init__()
        self.run = run
        self.folder = folder
        self.current = -1

    def on_epoch_begin(self, epoch, logs=None):
        self.current = epoch

    def on_train_batch_end(self, batch, logs=None):
        if batch == 1:
            shutil.copytree(self.run, self.folder / str(self.current))


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """Folder with copies of `finished` in the middle of each epoch, counted from 0."""
    return tmp_path_factory.mktemp("snapshots")


@pytest.fixture(scope="module")
def finished(tables, tmp_path_factory, snapshots, empty_pictures):
    out = tmp_path_factory.mktemp("runs") / "a run"
    settings = tables[0].root.parent / "crops.json"
    settings.write_text(json.dumps(CROPS.to_dict()))
    try:
        return train(tables, out, callbacks=[Snapshots(out, snapshots)])
    finally:
        settings.unlink()  # the folder is that of other tests, too


class Stop(keras.callbacks.Callback):
    """Interrupts the process in the middle of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch
        self.current = -1

    def on_epoch_begin(self, epoch, logs=None):
        self.current = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.current == self.epoch and batch == 1:
            raise KeyboardInterrupt


def comparable(run):
    return run.history.drop(columns="seconds")


def test_run_folder_is_complete(finished):
    names = {path.name for path in finished.folder.iterdir()}
    assert names == {
        "checkpoint",
        "classes.json",
        "crops.json",
        "curves.png",
        "environment.json",
        "history.csv",
        "images.csv",
        "metrics.json",
        "model.keras",
        "provenance.json",
        "recipe.json",
        "roots.json",
        "unreadable.csv",
    }
    assert finished.recipe == TINY
    assert finished.names == ("p0000", "p0001", "p0002", "p0003")
    assert finished.preparation == CROPS
    assert "keras" in json.loads(finished.path("environment.json").read_text())


def test_history_and_metrics(finished):
    history, metrics = finished.history, finished.metrics
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    best = history.loc[history["val_accuracy"].idxmax()]
    assert metrics["best"]["epoch"] == best["epoch"]
    assert metrics["last"]["val_loss"] == history["val_loss"].iloc[-1]
    assert (metrics["train_images"], metrics["validation_images"]) == (24, 12)
    assert metrics["kept"] == "best"


def test_saved_model_has_the_validated_weights(finished, tables):
    model = finished.load_model()
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=TINY.label_smoothing)
    model.compile("sgd", loss, weighted_metrics=["accuracy"])
    batches = stream(tables[1], image_size=16, batch_size=7, labels="one_hot")
    found = model.evaluate(batches, verbose=0)
    best = finished.metrics["best"]
    # The loss tells the average from the raw weights where the accuracy may not.
    np.testing.assert_allclose(found, [best["val_loss"], best["val_accuracy"]], rtol=1e-5)


class SeenWeights(keras.callbacks.Callback):
    """Records the weights that callbacks of a user see."""

    def __init__(self):
        super().__init__()
        self.epochs = []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.model.get_weights())

    def on_train_end(self, logs=None):
        self.last = self.model.get_weights()


@pytest.mark.parametrize("validated", [True, False])
def test_callbacks_see_the_validated_weights(tables, tmp_path, validated):
    seen = SeenWeights()
    given = tables if validated else (tables[0], None)
    recipe = TINY.replace(head="cosine", keep="last", epochs=2, **PLAIN)
    run = train(given, tmp_path / "run", recipe, callbacks=[seen])
    for saved, at_the_end, after in zip(
        run.load_model().get_weights(), seen.epochs[-1], seen.last, strict=True
    ):
        np.testing.assert_array_equal(at_the_end, saved)
        np.testing.assert_array_equal(after, saved)
    kernel = run.load_model().get_layer("head_logits").kernel.numpy()
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 1, rtol=1e-5)
    assert (run.metrics["kept"], run.metrics["last"]["epoch"]) == ("last", 2)
    if validated:
        assert run.metrics["best"]["val_loss"] in run.history["val_loss"].to_numpy()
        assert run.metrics["best"]["val_accuracy"] == run.history["val_accuracy"].max()


def test_training_step_is_traced_once(tables, tmp_path, monkeypatch):
    traced = []
    compute = keras.Model.compute_loss

    def count(model, *arguments, **options):
        traced.append(model.name)
        return compute(model, *arguments, **options)

    monkeypatch.setattr(keras.Model, "compute_loss", count)
    recipe = TINY.replace(epochs=2, accumulate_steps=2, **PLAIN)
    train((tables[0], None), tmp_path / "run", recipe)
    assert len(traced) == 1


def test_images_are_recorded(finished, tables):
    frame = read_images(finished.folder)
    for partition, table in zip(("train", "validation"), tables, strict=True):
        rows = frame[frame["partition"] == partition]
        assert rows["path"].tolist() == table.paths.tolist()
        assert rows["label"].tolist() == [str(label) for label in table.labels]
        assert set(rows["format"]) == {1}


def test_resume_refuses_other_images(finished, tables, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    _, some = tables[0].split(0.5)
    with pytest.raises(ValueError, match="12 images in `train`, but it started with 24; 12 are in"):
        train((some, tables[1]), tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match=r"tables for \['train'\]"):
        train((tables[0], None), tmp_path / "run", resume=True)


def test_resume_keeps_the_row_of_a_broken_file(faces, tmp_path):
    shutil.copytree(faces, tmp_path / "faces")
    known = identity_folder(tmp_path / "faces" / "train")
    tables = known, identity_folder(tmp_path / "faces" / "dev", names=known.names)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(tables, out, callbacks=[Stop(epoch=2)], **PLAIN)
    (tmp_path / "faces" / "train" / "p0000" / "0000.jpg").write_bytes(b"broken")
    run = train(tables, out, resume=True, **PLAIN)
    assert run.metrics["train_images"] == 24
    listed = pd.read_csv(run.path("unreadable.csv"))
    assert listed["reason"].tolist() == ["broke during the training"]


class Break(keras.callbacks.Callback):
    """Breaks files in the middle of the first epoch."""

    def __init__(self, files):
        super().__init__()
        self.files = files

    def on_epoch_end(self, epoch, logs=None):
        for file in self.files if epoch == 0 else ():
            file.write_bytes(b"broken")


@pytest.mark.parametrize(("count", "share"), [(1, 0.05), (2, 0.05)])
def test_broken_files_warn_and_too_many_end_the_training(faces, tmp_path, count, share):
    shutil.copytree(faces, tmp_path / "faces")
    known = identity_folder(tmp_path / "faces" / "train")
    tables = known, identity_folder(tmp_path / "faces" / "dev", names=known.names)
    files = sorted((tmp_path / "faces" / "train" / "p0000").iterdir())[:count]
    options = {"callbacks": [Break(files)], "max_unreadable": share, **PLAIN}
    if count == 1:
        with pytest.warns(UserWarning, match=r"1 of 36 images became unreadable during .*p0000"):
            train(tables, tmp_path / "run", **options)
    else:
        with pytest.raises(ValueError, match=r"share of 0\.05 .* 2 of 36 images .*--resume"):
            train(tables, tmp_path / "run", **options)


def test_weights_that_are_not_finite_end_the_training(tables, tmp_path):
    with pytest.raises(ValueError, match=r"a loss of (nan|inf), in epoch 1\..*Lower learning_rate"):
        train(tables, tmp_path / "run", **{**PLAIN, "learning_rate": 1e30, "optimizer": "sgd"})
    assert not (tmp_path / "run" / "model.keras").exists()


def test_accumulate_steps_must_fit_the_training(tables, tmp_path):
    with pytest.raises(
        ValueError, match=r"at least one optimizer step.*accumulate_steps=99 for 4 epochs"
    ):
        train(tables, tmp_path / "run", **{**PLAIN, "accumulate_steps": 99})


def test_stop_by_a_callback_ends_all_phases(tables, tmp_path):
    seen = SeenWeights()
    run = train(tables, tmp_path / "run", PHASED, callbacks=[StopTraining(0), seen], **PLAIN)
    assert len(run.history) == 1
    for last, kept in zip(seen.last, run.load_model().get_weights(), strict=True):
        np.testing.assert_allclose(last, kept, rtol=1e-5, atol=1e-6)


def test_mixing_ends_before_the_unmixed_epochs(tables, tmp_path, monkeypatch):
    seen = []

    def note(table, **options):
        if options.get("training"):
            seen.append((options["epochs"], options["mix_epochs"]))
        return stream(table, **options)

    monkeypatch.setattr("kerasface.training.batches.stream", note)
    options = {"augment": (), "unmixed_epochs": 1}
    with pytest.raises(KeyboardInterrupt):
        train(tables, tmp_path / "run", callbacks=[Stop(2)], **options)
    train(tables, tmp_path / "run", resume=True, **options)
    train(tables, tmp_path / "phased", PHASED, **options)
    assert seen == [(4, 3)] * 4  # and each of the two phases


def test_weights_trained_on_validation_images_are_refused(tables, tmp_path, monkeypatch):
    first = train(tables, tmp_path / "first", epochs=1, warmup_epochs=0, **PLAIN)
    shutil.copy(first.path("model.keras"), tmp_path / "alone.keras")
    monkeypatch.chdir(tmp_path)
    options = {"warmup_epochs": 0, "weights": "first/model.keras", "epochs": 2, **PLAIN}
    with pytest.raises(ValueError, match=r"Received: 24 of 24 that .*first was trained on"):
        train(tables[::-1], tmp_path / "second", **options)
    assert not (tmp_path / "second").exists()
    train(tables[::-1], "second", **{**options, "weights": "alone.keras", "epochs": 1})
    # Both paths are of where the run was begun.
    with pytest.raises(KeyboardInterrupt):
        train(tables, "third", callbacks=[Stop(1)], **options)
    third = kerasface.Run("third")
    assert third.recipe.weights == "first/model.keras"
    assert third.weights_path == first.path("model.keras")
    # Every run has a file of this name, so the contents are compared.
    for folder in ("other", "copy"):
        (tmp_path / folder).mkdir()
    (tmp_path / "other" / "model.keras").write_bytes(b"other weights")
    shutil.copy(first.path("model.keras"), tmp_path / "copy")
    with pytest.raises(ValueError, match=r"was -> now\): weights: .*other"):
        train(tables, "third", resume=True, **{**options, "weights": "other/model.keras"})
    changed = {**options, "weights": "copy/model.keras", "epochs": 1}
    with pytest.raises(ValueError, match=r"\(was -> now\): epochs: 2 -> 1"):
        train(tables, "third", resume=True, **changed)
    monkeypatch.chdir("/")
    assert len(seen_images(kerasface.Run(tmp_path / "third"), tables[0])) == 24
    # A resumed run needs only the checkpoint.
    shutil.rmtree(first.folder)
    options["weights"] = str(first.path("model.keras"))
    again = train(tables, tmp_path / "third", resume=True, **options)
    assert len(again.history) == 2
    with pytest.warns(UserWarning, match="weights .* are missing"):
        assert len(seen_images(again, tables[0])) == 24


def test_second_of_two_simultaneous_runs_is_refused(tables, tmp_path, monkeypatch):
    folder = tmp_path / "run"

    def check_files_while_another_begins(*args, **options):
        folder.mkdir()
        (folder / "recipe.json").write_text("theirs")
        return check_files(*args, **options)

    monkeypatch.setattr(
        "kerasface.training.preflight.check_files", check_files_while_another_begins
    )
    with pytest.raises(FileExistsError, match=r"run', which another process has created"):
        train(tables, folder, **PLAIN)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert [path.name for path in folder.iterdir()] == ["recipe.json"]


def test_resumed_run_deletes_its_old_evaluation(tables, tmp_path):
    options = {**PLAIN, "report": True, "epochs": 3, "keep": "last"}
    run = train(tables, tmp_path / "run", callbacks=[StopTraining(0)], **options)
    judged = [run.path(name) for name in ("metrics.json", "report.html", "validation")]
    assert all(path.exists() for path in judged)
    with pytest.raises(KeyboardInterrupt):
        train(tables, tmp_path / "run", resume=True, callbacks=[Stop(2)], **options)
    assert not any(path.exists() for path in judged)
    train(tables, tmp_path / "run", resume=True, **options)
    assert all(path.exists() for path in judged)


PHASED = TINY.replace(
    warmup_epochs=0,
    phases=({"epochs": 2, "trainable": "head"}, {"epochs": 2, "trainable": 2}),
)


@pytest.fixture(scope="module")
def phased(tables, tmp_path_factory, empty_pictures):
    """A finished run of two phases, the weights at the end of each epoch, and snapshots."""
    seen, snapshots = SeenWeights(), tmp_path_factory.mktemp("snapshots")
    out = tmp_path_factory.mktemp("runs") / "phased"
    run = train(tables, out, PHASED, callbacks=[seen, Snapshots(out, snapshots)])
    return run, seen.epochs, snapshots


def test_phases_train_the_layers_of_their_recipe(phased):
    run, epochs, _ = phased
    model = run.load_model()
    assert run.history["epoch"].tolist() == [1, 2, 3, 4]
    paths = [variable.path for variable in model.weights]

    def changed(one, other):
        pairs = zip(paths, epochs[one], epochs[other], strict=True)
        return {path.split("/")[0] for path, first, second in pairs if np.any(first != second)}

    assert changed(0, 1) == {"head_logits"}
    # The last two layers with weights are the stage's norm, which stays as it is, and the
    # block's last projection.
    assert changed(1, 3) == {"stage1_block1_project", "head_logits"}
    rates = run.history["learning_rate"]
    assert rates[2] > rates[1]  # a schedule of its own


@pytest.mark.parametrize("epoch", [2, 3])
def test_resume_between_and_within_phases(phased, tables, tmp_path, epoch):
    out = shutil.copytree(phased[2] / str(epoch), tmp_path / "run")
    assert len(pd.read_csv(out / "history.csv")) == epoch
    resumed = train(tables, out, PHASED, resume=True)
    pd.testing.assert_frame_equal(comparable(resumed), comparable(phased[0]), rtol=1e-4, atol=1e-5)


def test_resume_of_a_finished_run_with_phases_changes_nothing(phased, tables, tmp_path):
    shutil.copytree(phased[0].folder, tmp_path / "run")
    again = train(tables, tmp_path / "run", PHASED, resume=True)
    pd.testing.assert_frame_equal(again.history, phased[0].history)
    assert again.metrics == phased[0].metrics


@pytest.mark.parametrize("epoch", [1, None])
def test_resume_from_the_run_alone(finished, snapshots, tmp_path, epoch):
    source = finished.folder if epoch is None else snapshots / str(epoch)
    out = shutil.copytree(source, tmp_path / "run")
    resumed = kerasface.train(resume=True, out=out, report=False, verbose=0)
    pd.testing.assert_frame_equal(comparable(resumed), comparable(finished), rtol=1e-4, atol=1e-5)
    assert resumed.metrics["train_images"] == 24
    assert len(resumed.provenance["resumed"]) == 1


def test_more_epochs(finished, tables, tmp_path):
    out = shutil.copytree(finished.folder, tmp_path / "run")
    assert is_complete(finished) and not is_complete(finished, TINY.replace(epochs=5))
    consequence = (
        r"planned with 4 epochs and now has 5: the cosine schedule now ends with epoch 5, so the "
        r"learning rate of epoch 5 is 0\.00015, after 0 at the end of epoch 4; images are mixed "
        "until epoch 5"
    )
    with pytest.warns(UserWarning, match=consequence):
        run = kerasface.train(resume=True, out=out, epochs=5, report=False, verbose=0)
    assert run.recipe == TINY.replace(epochs=5)
    history = run.history
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5]
    pd.testing.assert_frame_equal(comparable(run).head(4), comparable(finished))


def test_more_epochs_belong_to_the_last_phase(phased, tmp_path):
    out = shutil.copytree(phased[0].folder, tmp_path / "run")
    before = PHASED.total_epochs
    with pytest.warns(UserWarning, match="planned with"):
        run = kerasface.train(resume=True, out=out, epochs=before + 1, report=False, verbose=0)
    assert run.recipe.phases[:-1] == PHASED.phases[:-1]
    assert run.recipe.phases[-1]["epochs"] == PHASED.phases[-1]["epochs"] + 1
    assert len(run.history) == before + 1
    changed = {"phases": {0: {"epochs": 9}}}
    with pytest.raises(ValueError, match="Only the last phase"):
        kerasface.train(resume=True, out=out, **changed)


def test_resume_needs_a_run_and_a_new_run_a_recipe(tables, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a run to resume.*run', which does not exist"):
        train(tables, tmp_path / "run", resume=True)
    with pytest.raises(ValueError, match="A new run needs a `recipe`"):
        kerasface.train(train=tables[0], out=tmp_path / "run")
    with pytest.raises(ValueError, match="`train` must be a FaceTable"):
        kerasface.train(TINY, out=tmp_path / "run")


def test_resume_finds_moved_images(finished, snapshots, faces, tmp_path):
    out = shutil.copytree(snapshots / "1", tmp_path / "run")
    moved = shutil.copytree(faces, tmp_path / "moved")
    roots = {"train": str(tmp_path / "gone" / "train"), "validation": str(tmp_path / "gone/dev")}
    (out / "roots.json").write_text(json.dumps(roots))
    with pytest.raises(FileNotFoundError, match=r"24 of 24 images of `train` missing.*\(--data\)"):
        kerasface.train(resume=True, out=out)
    found = recorded_tables(out, finished.names, multi_label=False, data=moved)
    run = train((found["train"], found["validation"]), out, resume=True)
    pd.testing.assert_frame_equal(comparable(run), comparable(finished), rtol=1e-4, atol=1e-5)
    assert read_roots(out) == {"train": str(moved / "train"), "validation": str(moved / "dev")}
    with pytest.raises(FileNotFoundError, match="moved data folder must hold the images"):
        recorded_tables(out, finished.names, multi_label=False, data=tmp_path / "gone")


def test_resume_keeps_the_precision_of_the_first_device(finished, tables, tmp_path):
    half = {"precision": "mixed_float16", "epochs": 2, **PLAIN}
    whole = train(tables, tmp_path / "whole", **half)
    with pytest.raises(KeyboardInterrupt):
        train(tables, tmp_path / "run", callbacks=[Stop(1)], **half)
    # As "auto" was on a GPU.
    run = kerasface.Run(tmp_path / "run")
    run.path("recipe.json").write_text(run.recipe.replace(precision="auto").to_json())
    resumed = kerasface.train(resume=True, out=run.folder, report=False, verbose=0)
    pd.testing.assert_frame_equal(comparable(resumed), comparable(whole), rtol=1e-3, atol=1e-4)
    assert resumed.recipe.precision == "auto"
    with pytest.raises(ValueError, match=r"precision: 'auto' -> 'float32'"):
        kerasface.train(resume=True, out=run.folder, precision="float32")


def test_resume_gives_the_history_of_the_uninterrupted_run(finished, tables, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(tables, out, callbacks=[Stop(epoch=2)])
    assert len(pd.read_csv(out / "history.csv")) == 2
    resumed = train(tables, out, resume=True)
    pd.testing.assert_frame_equal(comparable(resumed), comparable(finished), rtol=1e-4, atol=1e-5)
    for one, other in zip(
        resumed.load_model().get_weights(), finished.load_model().get_weights(), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


class StopTraining(keras.callbacks.Callback):
    """Stops the training after an epoch, or after a batch inside it."""

    def __init__(self, epoch, inside=False):
        super().__init__()
        self.epoch = epoch
        self.inside = inside
        self.current = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.current = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.inside and self.current == self.epoch:
            self.model.stop_training = True

    def on_epoch_end(self, epoch, logs=None):
        if not self.inside and epoch == self.epoch:
            self.model.stop_training = True


def test_resume_after_callback_stops_training(tables, tmp_path):
    options = {"epochs": 2, **PLAIN}
    whole = train(tables, tmp_path / "whole", **options)
    for inside in (False, True):
        out = tmp_path / f"stopped {inside}"
        run = train(tables, out, callbacks=[StopTraining(0, inside)], **options)
        assert len(run.history) == 1
        run.load_model()
        resumed = train(tables, out, resume=True, **options)
        pd.testing.assert_frame_equal(comparable(resumed), comparable(whole), rtol=1e-4, atol=1e-5)


def test_integer_rates_become_floats():
    recipe = TINY.replace(warmup_learning_rate=0, momentum=0, optimizer="sgd", dropout=0)
    assert [type(value) for value in (recipe.warmup_learning_rate, recipe.dropout)] == [float] * 2
    optimizer = build_optimizer(recipe, 10, [])
    optimizer.iterations.assign(5)
    assert float(optimizer.learning_rate) == pytest.approx(recipe.learning_rate / 2)
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_moving_average_counts_updates():
    optimizer = build_optimizer(TINY.replace(ema=0.81, accumulate_steps=2), 10, [])
    assert optimizer.ema_momentum == pytest.approx(0.9)


def test_unreadable_files_and_emptied_classes_warn(faces, tmp_path):
    shutil.copytree(faces / "train", tmp_path / "train")
    for path in (tmp_path / "train" / "p0001").iterdir():
        path.write_bytes(b"broken")
    table = identity_folder(tmp_path / "train")
    options = {"epochs": 1, "warmup_epochs": 0, "max_unreadable": 0.5, **PLAIN}
    with pytest.warns(
        UserWarning, match=r"of `train` cannot be read.* 1 classes have no images left"
    ):
        run = train((table, None), tmp_path / "run", **options)
    assert len(run.names) == len(table.names)


def test_error_while_making_the_folder_leaves_nothing(tables, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasface.training.preflight.write_images", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(tables, tmp_path / "run", epochs=1, warmup_epochs=0, **PLAIN)
    assert list(tmp_path.iterdir()) == []


def test_resume_of_a_finished_run_changes_nothing(finished, tables, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    again = train(tables, tmp_path / "run", resume=True)
    pd.testing.assert_frame_equal(again.history, finished.history)


def test_resume_refuses_another_recipe(finished, tables, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    with pytest.raises(ValueError, match=r"\(was -> now\): mixup: 0\.5 -> 1\.0\. Leave"):
        train(tables, tmp_path / "run", resume=True, mixup=1.0)


def test_run_is_only_overwritten_on_request(finished, tables, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    with pytest.raises(FileExistsError, match="holds a run"):
        train(tables, tmp_path / "run")
    with pytest.raises(ValueError, match="mutually exclusive"):
        train(tables, tmp_path / "run", resume=True, overwrite=True)
    run = train(tables, tmp_path / "run", overwrite=True, epochs=1, warmup_epochs=0, **PLAIN)
    assert len(run.history) == 1


@pytest.mark.parametrize("option", ["overwrite", "resume"])
def test_folder_with_other_files_is_refused(tables, tmp_path, option):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="exists and is not a run"):
        train(tables, tmp_path, **{option: True})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    "changes", [{"model": "convnext_big"}, {"architecture": {"stem": "x"}}, {"head": "triple"}]
)
def test_failed_start_leaves_nothing(tables, tmp_path, changes):
    with pytest.raises(ValueError, match="Received"):
        train(tables, tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_training_on_validation_reports_no_validation(tables, tmp_path):
    run = train(tables, tmp_path / "run", train_on_validation=True, epochs=2, **PLAIN)
    assert not [name for name in run.history.columns if name.startswith("val_")]
    assert run.metrics["train_images"] == 36
    assert run.metrics["validation_images"] == 0
    assert run.metrics["kept"] == "last"


def test_training_on_validation_needs_a_validation(tables, tmp_path):
    with pytest.raises(ValueError, match="needs a validation table"):
        train((tables[0], None), tmp_path / "run", train_on_validation=True)


def test_images_in_both_tables_are_refused(tables, tmp_path):
    with pytest.raises(ValueError, match="24 in both"):
        train((tables[0], tables[0]), tmp_path / "run")


def test_other_classes_are_refused(faces, tables, tmp_path):
    shutil.copytree(faces / "dev", tmp_path / "dev")
    (tmp_path / "dev" / "p0003").rename(tmp_path / "dev" / "somebody")
    with pytest.raises(ValueError, match=r"p0003.*somebody"):
        train((tables[0], identity_folder(tmp_path / "dev")), tmp_path / "run")


def test_folder_without_a_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        kerasface.Run(tmp_path / "nothing")


def test_unfinished_run_has_no_model(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    (tmp_path / "run" / "model.keras").unlink()
    with pytest.raises(FileNotFoundError, match="training has not finished"):
        kerasface.Run(tmp_path / "run").load_model()


def test_half_precision_is_saved_as_float32(tables, tmp_path):
    run = train(tables, tmp_path / "run", precision="mixed_bfloat16", epochs=2, **PLAIN)
    assert keras.config.dtype_policy().name == "float32"
    assert {layer.dtype_policy.name for layer in run.load_model().layers} == {"float32"}


def test_dtype_policy_is_restored_after_an_error():
    with pytest.raises(RuntimeError, match="inside"), dtype_policy("mixed_float16"):
        raise RuntimeError("inside")
    assert keras.config.dtype_policy().name == "float32"


def test_schedule():
    recipe = TINY.replace(
        epochs=30, warmup_epochs=10, warmup_learning_rate=3e-4, final_learning_rate=1e-5
    )
    optimizer = build_optimizer(recipe, 42, [])
    rates = []
    for step in (0, 210, 420, 840, 1260):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    expected = [3e-4, 6.5e-4, 1e-3, (1e-3 + 1e-5) / 2, 1e-5]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_step_schedule():
    recipe = TINY.replace(
        epochs=7, warmup_epochs=0, schedule="step", decay_epochs=3, decay_factor=0.5
    )
    optimizer = build_optimizer(recipe, 10, [])
    rates = []
    for step in (0, 29, 30, 59, 60, 69):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate) / recipe.learning_rate)
    np.testing.assert_allclose(rates, [1, 1, 0.5, 0.5, 0.25, 0.25], rtol=1e-6)


@pytest.mark.parametrize(
    ("values", "monitor", "count"),
    [
        ([3, 2, 1], "val_loss", 0),
        ([3, 3, 3], "val_loss", 1),
        ([3, 3, 3, 3, 3], "val_loss", 2),
        ([3, 4, 2, 4], "val_loss", 0),
        ([0.1, 0.2, 0.2, 0.1], "val_accuracy", 1),
        ([3, float("nan"), float("nan")], "val_loss", 1),
    ],
)
def test_plateaus(values, monitor, count):
    assert plateaus(pd.Series(values), monitor, patience=2) == count


def test_plateau_lowers_the_rate_and_resumes_it(tables, tmp_path):
    recipe = TINY.replace(
        **PLAIN, schedule="plateau", warmup_epochs=0, decay_epochs=1, decay_factor=0.5
    ).replace(learning_rate=1e-30, trainable="head")  # so that the norms' statistics stay too
    # Nothing is learnt at that rate, so every epoch after the first is a plateau.
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(tables, out, recipe, callbacks=[Stop(epoch=2)], monitor="val_accuracy")
    run = train(tables, out, recipe, resume=True, monitor="val_accuracy")
    rates = run.history["learning_rate"] / 1e-30
    np.testing.assert_allclose(rates, [1, 1, 0.5, 0.25], rtol=1e-3)


def test_plateau_needs_a_validation(tables, tmp_path):
    with pytest.raises(ValueError, match="'plateau' needs a validation table"):
        train((tables[0], None), tmp_path / "run", schedule="plateau", warmup_epochs=0)


@pytest.mark.parametrize("name", ["adamw", "adam", "muon", "sgd"])
def test_biases_and_norms_are_not_decayed(name):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(2), keras.layers.BatchNormalization()]
    )
    model.set_weights([np.ones_like(value) for value in model.get_weights()])
    recipe = TINY.replace(optimizer=name, warmup_epochs=0, schedule="constant", weight_decay=0.5)
    variables = model.trainable_variables
    optimizer = build_optimizer(recipe, 1, variables)
    optimizer.apply([np.zeros(variable.shape, "float32") for variable in variables], variables)
    after = {v.path.split("/")[-1]: float(np.ravel(v.numpy())[0]) for v in variables}
    assert after["kernel"] == pytest.approx(1 - 0.5 * recipe.learning_rate)
    assert (after["bias"], after["gamma"], after["beta"]) == (1, 1, 1)


def test_accumulated_steps_are_one_large_step():
    variable = keras.Variable([1.0, 2.0])
    recipe = TINY.replace(optimizer="sgd", momentum=0.0, schedule="constant", weight_decay=0)
    recipe = recipe.replace(accumulate_steps=2, warmup_epochs=0, ema=0.0)
    optimizer = build_optimizer(recipe, 2, [variable])
    optimizer.apply([np.array([1.0, 0.0], "float32")], [variable])
    np.testing.assert_array_equal(variable.numpy(), [1, 2])
    optimizer.apply([np.array([0.0, 4.0], "float32")], [variable])
    rate = recipe.learning_rate
    np.testing.assert_allclose(variable.numpy(), [1 - 0.5 * rate, 2 - 2 * rate], rtol=1e-6)


def test_early_stopping_needs_a_validation(tables, tmp_path):
    with pytest.raises(ValueError, match="Early stopping needs"):
        train((tables[0], None), tmp_path / "run", early_stopping=2)


def test_resume_keeps_the_optimizer_in_half_precision_with_average(tables, tmp_path):
    # Keras's own load_model silently drops the optimizer here.
    options = {"precision": "mixed_float16", "epochs": 2, "optimizer": "muon", **PLAIN}
    snapshots = Snapshots(tmp_path / "whole", tmp_path / "snapshots")
    whole = train(tables, tmp_path / "whole", callbacks=[snapshots], **options)
    resumed = train(tables, tmp_path / "snapshots" / "1", resume=True, **options)
    pd.testing.assert_frame_equal(comparable(resumed), comparable(whole), rtol=1e-3, atol=1e-4)
