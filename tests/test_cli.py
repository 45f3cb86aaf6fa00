"""The command line, called in this process: exit codes, messages, and what it leaves."""

import inspect
import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import kerasface
from kerasface import cli
from kerasface.data import identity_folder, read_celeba
from kerasface.data.duplicates import NEAR_DUPLICATE
from kerasface.faces import Face
from kerasface.models import list_models
from kerasface.runs import Run, named_recipe
from kerasface.training import recommend

COMMANDS = {
    "faces": ["PHOTO|FOLDER", "--out", "--contact-sheet", "--limit", "--detector", "--set"],
    "crop": [
        *("SRC", "DST", "--detector", "--set", "--size", "--margin", "--align", "--rule"),
        *("--without", "--suffix", "--processes"),
    ],
    "split": [
        *("SRC", "DST", "--train", "--validation", "--test", "--seed", "--how", "--small"),
        "--distance",
    ],
    "demo": ["--out", "--set", "--overwrite"],
    "models": [],
    "train": [
        *["RECIPE", "--data", "--out", "--set", "--split", "--resume", "--overwrite"],
        *["--features", "--first", "--partition"],
    ],
    "evaluate": [
        *("RUN", "--data", "--out", "--partition", "--flip", "--batch-size", "--allow-seen"),
    ],
    "compare": ["RUN RUN...", "--out"],
    "predict": [
        *["RUN... IMAGES...", "--out", "--crop", "--margin", "--pictures", "--flip"],
        "--batch-size",
    ],
    "submit": ["RUN... IMAGES", "--out", "--sample", "--label", "--flip", "--batch-size"],
    "verify": [
        *("RUN", "A B", "--pairs", "--images", "--out", "--far", "--threshold", "--flip"),
        *("--batch-size", "--allow-seen"),
    ],
    "identify": [
        *("RUN", "--gallery", "--probe", "--out", "--threshold", "--save-gallery", "--flip"),
        "--batch-size",
    ],
    "match": [
        *("RUN", "--known", "--unknown", "--out", "--threshold", "--dev", "--dev-labels"),
        *("--no-match", "--flip", "--batch-size"),
    ],
}
# The settings of the `run` fixture, for a shell.
AS_RUN = (
    "image_size=16",
    "batch_size=8",
    "epochs=2",
    "augment=[]",
    "architecture.channels=8,16",
    "architecture.blocks_per_stage=1,1",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """What the command line sets for TensorFlow does not reach the processes of later tests."""
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")


@pytest.fixture
def shell(capsys):
    """Runs the command line; gives ``(exit code, standard output, standard error)``."""

    def call(*words):
        with pytest.raises(SystemExit) as leaving:
            cli.main([str(word) for word in words])
        return leaving.value.code, *capsys.readouterr()

    return call


@pytest.fixture
def mistake(shell):
    """Runs the command line, which must refuse in one line; gives that line."""

    def call(*words):
        code, _, err = shell(*words)
        assert code == 2
        assert "Traceback" not in err
        (line,) = err.splitlines()
        assert line.startswith("kerasface: ")
        return line.removeprefix("kerasface: ")

    return call


@pytest.fixture
def trainings(run, monkeypatch):
    """Calls of `kerasface.training.train`, which does nothing but give back `run`."""
    calls = []

    def train(recipe, **options):
        calls.append({"recipe": recipe, **options})
        return run

    monkeypatch.setattr("kerasface.training.train", train)
    return calls


@pytest.fixture
def data(faces, tmp_path):
    """A copy of `faces` with its train/ alone, to be spoilt."""
    folder = tmp_path / "data"
    shutil.copytree(faces / "train", folder / "train")
    return folder


@pytest.mark.parametrize(("command", "words"), COMMANDS.items())
def test_help_of_a_command(shell, command, words):
    code, out, err = shell(command, "--help")
    assert (code, err) == (0, "")
    for word in words:
        assert word in out
    assert getattr(cli, command).__doc__ in re.sub(r"\s+", " ", out)


def test_help(shell):
    code, out, err = shell("--help")
    assert (code, err) == (0, "")
    for word in [*COMMANDS, "--debug", "Begin with `kerasface demo`"]:
        assert word in out


def test_models(shell):
    code, out, err = shell("models")
    assert (code, err) == (0, "")
    rows = {line.split()[0]: line for line in out.splitlines() if line}
    for name, spec in list_models().iterrows():
        assert f" {spec['parameters']:,} " in rows[name]
        assert f" {spec['image_size']} px " in rows[name]
        assert spec["description"] in rows[name]


def test_a_run_in_the_folder_of_people_is_refused(faces, capsys):
    words = ["train", "demo", "--data", str(faces / "train")]
    with pytest.raises(SystemExit) as caught:
        cli.main([*words, "--out", str(faces / "train" / "run")])
    assert caught.value.code == 2
    assert "it would be taken for one" in capsys.readouterr().err
    assert not (faces / "train" / "run").exists()


def test_celeba_is_not_split_anew(celeba_folder, tmp_path, capsys):
    words = ["train", "smiling", "--data", str(celeba_folder), "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as caught:
        cli.main([*words, "--split", "0.2"])
    assert caught.value.code == 2
    assert "a partition of its own. Received: --split 0.2" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["ResourceExhaustedError", "MemoryError"])
def test_too_little_memory_is_told_in_a_line(monkeypatch, capsys, name):
    kind = type(name, (Exception,), {})
    monkeypatch.setattr(cli, "app", lambda words: (_ for _ in ()).throw(kind("OOM when ...")))
    with pytest.raises(SystemExit) as caught:
        cli.main(["train"])
    assert caught.value.code == 2
    assert "--set batch_size=16" in capsys.readouterr().err
    with pytest.raises(kind):
        cli.main(["train", "--debug"])


def test_set_takes_several_pairs(shell, faces, tmp_path, trainings):
    code, _, err = shell(
        "train", "--set", "epochs=30", "batch_size=8", "hw2p2", "--data", faces,
        "--set", "architecture.drop_path=0.1", "architecture.channels=8,16", "augment=flip,face",
        "--out", tmp_path / "run", "--set", "monitor=val_loss", "head=none", "ema=0.5",
    )  # fmt: skip
    assert (code, err) == (0, "")
    (call,) = trainings
    train, validation = call.pop("train"), call.pop("validation")
    assert call == {
        "recipe": named_recipe("hw2p2").replace(
            epochs=30,
            batch_size=8,
            architecture={"drop_path": 0.1, "channels": [8, 16]},
            augment=["flip", "face"],
            monitor="val_loss",
            head=None,
            ema=0.5,
        ),
        "out": tmp_path / "run",
        "resume": False,
        "overwrite": False,
        "features": None,
        "verbose": 2,
    }
    assert (len(train), len(validation)) == (24, 12)
    assert validation.names == train.names


@pytest.mark.parametrize("flag", ["resume", "overwrite"])
def test_flags_reach_the_training(shell, faces, tmp_path, trainings, flag):
    code, _, _ = shell("train", "demo", "--data", faces, "--out", tmp_path, f"--{flag}")
    assert code == 0
    assert trainings[0][flag] is True


def test_folder_of_features_reaches_the_training(shell, faces, tmp_path, trainings):
    words = ["train", "demo", "--data", faces, "--out", tmp_path, "--features", tmp_path / "kept"]
    assert shell(*words)[0] == 0
    assert trainings[0]["features"] == tmp_path / "kept"


def test_celeba_is_told_by_its_labels(shell, mistake, celeba_folder, faces, tmp_path, trainings):
    words = ["train", "smiling", "--out", tmp_path / "run", "--data"]
    code, out, err = shell(*words, celeba_folder, "--first", "12")
    assert (code, err) == (0, "")
    train, validation = trainings[0]["train"], trainings[0]["validation"]
    assert (len(train), len(validation), len(train.names)) == (12, 16, 5)
    assert "12 images of 5 attributes" in out
    assert "`--first` is for a folder of CelebA" in mistake(*words, faces, "--first", "12")
    line = mistake(*words, faces, "--partition", "identity")
    assert "`--partition` is for a folder of CelebA" in line


def test_partition_by_people(shell, mistake, celeba_folder, tmp_path):
    run = tmp_path / "run"
    small = ["epochs=1", "image_size=16", "architecture.channels=[8]"]
    words = ["--data", celeba_folder, "--partition", "identity"]
    code, out, err = shell("train", "smiling", "--out", run, *words, "--set", *small)
    assert (code, err) == (0, "")
    assert f"kerasface evaluate {run} --data {celeba_folder} --partition identity" in out
    code, _, _ = shell("evaluate", run, *words)
    assert code == 0
    test = read_celeba(celeba_folder, split="identity").test
    predictions = pd.read_csv(run / "evaluation" / "celeba_identity" / "predictions.csv")
    assert predictions["path"].tolist() == test.paths.tolist()
    # The official test part has other people, some of whom were learnt.
    line = mistake("evaluate", run, "--data", celeba_folder)
    assert "images that the run was not trained on" in line
    line = mistake("evaluate", run, *words[:2], "--partition", "people")
    assert "'people'" in line


@pytest.mark.parametrize("name", ["dev", "val", "valid", "validation"])
def test_validation_folders(shell, faces, data, tmp_path, trainings, name):
    # One person alone is judged by, and keeps her number.
    shutil.copytree(faces / "dev" / "p0002", data / name / "p0002")
    code, out, _ = shell("train", "demo", "--data", data, "--out", tmp_path / "run")
    assert code == 0
    validation = trainings[0]["validation"]
    assert validation.root == data / name
    assert validation.names == trainings[0]["train"].names
    assert validation.labels.tolist() == [2, 2, 2]
    assert "train       24 images of 4 classes" in out
    assert "validation  3 images of 4 classes" in out


@pytest.mark.parametrize("below", ["train", ""])
@pytest.mark.parametrize(
    ("options", "sizes"), [([], (20, 4)), (["--split", "0.34"], (16, 8)), (["--split", "0"], 24)]
)
def test_split_without_a_validation_folder(shell, data, tmp_path, trainings, below, options, sizes):
    folder = data if below else data / "train"
    code, out, _ = shell("train", "demo", "--data", folder, "--out", tmp_path / "run", *options)
    assert code == 0
    train, validation = trainings[0]["train"], trainings[0]["validation"]
    if sizes == 24:
        assert (len(train), validation) == (24, None)
        assert "validation " not in out.split("Trained")[0]
    else:
        assert (len(train), len(validation)) == sizes
        assert set(train.paths).isdisjoint(validation.paths)
        assert set(validation.counts()) == {sizes[1] // 4}


def test_summary_of_a_training(shell, faces, run, tmp_path, trainings):
    code, out, _ = shell("train", "demo", "--data", faces, "--out", tmp_path / "run")
    assert code == 0
    best = run.metrics["best"]
    figure = f"validation accuracy {best['val_accuracy']:.1%} (epoch {best['epoch']})"
    assert f"Trained: {figure}, {run.metrics['images_per_second']:.0f} images a second" in out
    for name in ("curves.png", "model.keras"):
        assert str(run.path(name)) in out
    assert f"Next: kerasface submit {tmp_path / 'run'} " in out


def test_auto(shell, faces, tmp_path, trainings):
    code, out, err = shell("train", "auto", "--data", faces, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    chosen = recommend(trainings[0]["train"])
    assert trainings[0]["recipe"] == chosen.recipe
    assert f"Chosen:\n{chosen}\n" in out


def test_auto_goes_on_with_what_it_chose(shell, faces, run, tmp_path, trainings):
    words = ["train", "auto", "--data", faces, "--resume", "--out"]
    code, out, _ = shell(*words, run.folder)
    assert code == 0
    assert trainings[0]["recipe"] == run.recipe
    assert "Chosen" not in out
    shell(*words, tmp_path / "new")
    assert trainings[1]["recipe"] != run.recipe


def test_interrupted_training(shell, faces, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("kerasface.training.train", interrupt)
    code, out, err = shell("train", "demo", "--data", faces, "--out", tmp_path / "run")
    assert code == 130
    assert err == "\nInterrupted. --resume goes on after the last whole epoch.\n"
    assert "Trained" not in out


def test_resume_with_another_recipe(mistake, faces, run, tmp_path):
    out = shutil.copytree(run.folder, tmp_path / "run")
    words = ["train", "demo", "--data", faces, "--out", out, "--resume", "--set", *AS_RUN]
    line = mistake(*words, "batch_size=4")
    assert "A run goes on with the recipe that it began with." in line
    assert "{'batch_size': (8, 4)}" in line


def test_run_is_refused_then_overwritten_then_resumed(shell, mistake, data, run, tmp_path):
    """Two real trainings: two epochs over an older run, then the second of them again."""
    out = shutil.copytree(run.folder, tmp_path / "run")
    words = [
        "train", "demo", "--data", data, "--split", "0", "--out", out,
        "--set", "image_size=16", "epochs=2", "batch_size=12", "augment=[]", "seed=7", "head=pool",
        "architecture.channels=[8]", "architecture.blocks_per_stage=[1]",
    ]  # fmt: skip
    line = mistake(*words)
    assert "which holds a run." in line
    assert "--resume" in line
    assert "--overwrite" in line
    assert Run(out).recipe == run.recipe

    code, printed, err = shell(*words, "--overwrite")
    assert (code, err) == (0, "")
    assert "no validation; training accuracy" in printed
    new = Run(out)
    assert new.recipe.seed == 7
    assert new.recipe.architecture == {"channels": [8], "blocks_per_stage": [1]}
    assert new.load_model().output_shape == (None, 4)
    history = new.history
    assert history["epoch"].tolist() == [1, 2]

    # As after an interruption in the second epoch.
    history.head(1).to_csv(out / "history.csv", index=False)
    (out / "metrics.json").unlink()
    with np.load(out / "checkpoint" / "state.npz") as saved:
        state = dict(saved)
    np.savez(out / "checkpoint" / "state.npz", **{**state, "epochs": 1})
    code, printed, err = shell(*words, "--resume")
    assert (code, err) == (0, "")
    assert "Trained: no validation; training accuracy" in printed
    assert new.history["epoch"].tolist() == [1, 2]
    assert new.history["loss"][0] == history["loss"][0]
    assert new.metrics["last"]["epoch"] == 2


def test_only_a_run_is_overwritten(mistake, faces, tmp_path):
    (tmp_path / "holiday.txt").write_text("mine")
    line = mistake("train", "demo", "--data", faces, "--out", tmp_path, "--overwrite")
    assert "holds something else." in line
    assert (tmp_path / "holiday.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("recipe", "words", "fragments"),
    [
        (
            "dmo",
            [],
            [
                "The recipes are ['attributes15', ",
                "'identity_small', 'smiling'",
                "'dmo'",
                "Did you mean 'demo'?",
            ],
        ),
        ("demo", ["--set", "epoch=1"], ["Received: 'epoch'.", "Did you mean 'epochs'"]),
        (
            "demo",
            ["--set", "epochs=2", "architecture.chanels=8,16"],
            ["chanels=[8, 16].", "Did you mean 'channels'"],
        ),
        (
            "demo",
            ["--set", "model=convnext_nan"],
            ["name='convnext_nan'.", "Did you mean 'convnext_nano'"],
        ),
        ("demo", ["--set", "validation=0.2"], ["Received: 'validation'."]),
        ("demo", ["--set", "report=false"], ["Received: 'report'."]),
        ("demo", ["--set", "epochs"], ["A change must be key=value", "Received: 'epochs'."]),
        (
            "demo",
            ["--set", "phases.1.learning_rate=1e-5"],
            ["A phase is one of the 0 of the recipe", "phase '1'"],
        ),
        (
            "cs405",
            ["--set", "phases.2.learning_rate=1e-5"],
            ["A phase is one of the 2 of the recipe", "phase '2'"],
        ),
        (
            "demo",
            ["--set", "optimizer.momentum=0.9"],
            [
                "Only `architecture`, `embedding` and the phases have keys of their own",
                "'optimizer.momentum'",
            ],
        ),
        ("demo", ["--set", "epochs=many"], ["`epochs` must be a whole number.", "epochs='many'"]),
        ("demo", ["--set", "epochs=0"], ["`epochs` must be at least 1.", "epochs=0"]),
        ("demo", ["--set", "head=triple"], ["`head` must be one of", "head='triple'"]),
        ("demo", ["--resume", "--overwrite"], ["`resume` or `overwrite`, not both"]),
    ],
)
def test_wrong_words(mistake, faces, tmp_path, recipe, words, fragments):
    line = mistake("train", recipe, "--data", faces, "--out", tmp_path / "run", *words)
    for fragment in fragments:
        assert fragment in line


def leave_only(data, *keep):
    for path in (data / "train").iterdir():
        if path.name not in keep:
            shutil.rmtree(path)


def no_folder(data):
    shutil.rmtree(data)


def single_image(data):
    for path in sorted((data / "train" / "p0001").iterdir())[1:]:
        path.unlink()


def broken_images(data):
    for path in sorted((data / "train" / "p0001").iterdir())[:2]:
        path.write_bytes(path.read_bytes()[:200])


@pytest.mark.parametrize(
    ("spoil", "fragments"),
    [
        (no_folder, ["There must be a folder of images.", "data', nothing at that path."]),
        (
            leave_only,
            ["must hold one subfolder of images a person.", "train with 0 subfolders"],
        ),
        (
            lambda data: leave_only(data, "p0003"),
            ["at least two people.", "images of 'p0003' alone."],
        ),
        (single_image, ["at least two images to be split.", "a single image of ['p0001']"]),
        (
            broken_images,
            [
                "At most 5% of the images may be unreadable.",
                "2 of ",
                "p0001/0000.jpg (",
                "0001.jpg",
            ],
        ),
    ],
)
def test_unusable_data(mistake, data, tmp_path, spoil, fragments):
    spoil(data)
    line = mistake("train", "demo", "--data", data, "--out", tmp_path / "run", "--split", "0.2")
    for fragment in fragments:
        assert fragment in line


def test_folder_of_other_people_for_validation(mistake, faces, data, tmp_path):
    shutil.copytree(faces / "dev" / "p0002", data / "dev" / "somebody")
    line = mistake("train", "demo", "--data", data, "--out", tmp_path / "run")
    assert "['somebody'], not among the 4 names." in line


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["train", "demo"], "Missing option '--data'"),
        (["train"], "Missing argument 'RECIPE'"),
        (["trian"], "No such command 'trian'"),
        (["train", "demo", "--epochs", "3"], "No such option"),
        (["predict"], "Missing argument 'RUN... IMAGES...'"),
        (
            ["train", "demo", "--data", "x", "--out", "y", "--split", "half"],
            "Invalid value for '--split'",
        ),
    ],
)
def test_words_that_the_parser_refuses(shell, words, fragment):
    code, out, err = shell(*words)
    assert (code, out) == (2, "")
    assert fragment in err
    assert "Traceback" not in err


@pytest.mark.parametrize("place", [0, 1, -1])
def test_debug_shows_where_an_error_came_from(tmp_path, place):
    words = ["train", "demo", "--data", str(tmp_path / "none"), "--out", str(tmp_path / "run")]
    words.insert(place if place >= 0 else len(words), "--debug")
    with pytest.raises(FileNotFoundError, match="There must be a folder of images") as error:
        cli.main(words)
    assert error.traceback[-1].path.name == "folders.py"


def test_predict(shell, faces, run, tmp_path):
    out = tmp_path / "new" / "predictions.csv"
    words = ["predict", run.folder, faces / "test", "--out", out, "--batch-size", "3"]
    code, printed, err = shell(*words)
    assert (code, err) == (0, "")
    frame = pd.read_csv(out, dtype={"prediction": str})
    assert frame["path"].tolist() == [f"{index:06d}.jpg" for index in range(8)]
    columns = [f"p:p000{index}" for index in range(4)]
    assert list(frame) == ["path", "prediction", "probability", *columns]
    np.testing.assert_allclose(frame[columns].sum(axis=1), 1.0, atol=1e-5)
    assert f"Wrote 8 rows: {out}" in printed
    assert [path.name for path in out.parent.iterdir()] == ["predictions.csv"]


def test_predict_own_photographs(shell, attribute_run, celeba_folder, tmp_path):
    photos = sorted((celeba_folder / "img_align_celeba").iterdir())[:3]
    out, pictures = tmp_path / "said.csv", tmp_path / "pictures"
    words = ["predict", attribute_run.folder, *photos, "--out", out, "--pictures", pictures]
    code, printed, err = shell(*words)
    assert (code, err) == (0, "")
    frame = pd.read_csv(out)
    assert frame["path"].tolist() == [path.name for path in photos]
    assert set(frame["Smiling"]) <= {0, 1} and "smiling" in frame["prediction"][0]
    assert f"Drew 3 pictures: {pictures}" in printed
    assert {path.name for path in pictures.iterdir()} == {f"{path.name}.png" for path in photos}


def test_predict_cuts_faces_out(shell, run, faces, tmp_path, monkeypatch):
    calls = []

    def load(name):
        calls.append(name)
        return lambda images: [[] for _ in images]

    monkeypatch.setattr("kerasface.inference.photographs.load_detector", load)
    out = tmp_path / "said.csv"
    words = ["predict", run.folder, faces / "test", "--out", out, "--crop", "mtcnn"]
    code, _, err = shell(*words)
    assert (code, calls) == (0, ["mtcnn"])
    assert "Warning: no face was found in 8 of 8 photographs" in err
    assert pd.read_csv(out)["face"].tolist() == [0] * 8


@pytest.fixture
def predictions(monkeypatch):
    """Calls of `Run.predict`, which says that image ``i`` shows person ``i % 4``."""
    calls = []

    def predict(self, table, **options):
        calls.append((self.folder, options))
        return np.eye(4, dtype=np.float32)[np.arange(len(table)) % 4]

    monkeypatch.setattr(Run, "predict", predict)
    return calls


def test_submit(shell, faces, run, tmp_path, predictions):
    out, sample = tmp_path / "submission.csv", tmp_path / "sample.csv"
    ids = [f"{index:06d}" for index in (5, 0, 2, 1, 7, 6, 3, 4)]
    sample.write_text("file,who\n" + "".join(f"{name},0\n" for name in ids))
    words = ["submit", run.folder, run.folder, faces / "test", "--out", out, "--sample", sample]
    code, printed, err = shell(*words, "--flip", "--batch-size", "3", "--label", "name")
    assert (code, err) == (0, "")
    assert printed == f"Wrote {out}\n"
    assert predictions == [(run.folder, {"batch_size": 3, "flip": True, "verbose": 2})] * 2
    rows = [f"{name},p000{int(name) % 4}" for name in ids]
    assert out.read_text().splitlines() == ["file,who", *rows]


def test_demo(shell, faces, run, tmp_path, monkeypatch, trainings, predictions):
    drawn = []

    def drawn_faces(folder):
        drawn.append(folder)
        return faces

    monkeypatch.setattr("kerasface.data.drawn_faces", drawn_faces)
    copied = Run(shutil.copytree(run.folder, tmp_path / "copy"))
    monkeypatch.setattr(
        "kerasface.training.train",
        lambda recipe, **options: (
            trainings.append((recipe, options["out"], options["overwrite"])) or copied
        ),
    )
    code, out, err = shell("demo", "--out", tmp_path / "demo", "--set", "epochs=2", "seed=3")
    assert (code, err) == (0, "")
    assert drawn == [tmp_path / "demo" / "faces"]
    recipe = named_recipe("demo").replace(epochs=2, seed=3)
    assert trainings == [(recipe, tmp_path / "demo" / "run", False)]
    assert [options["flip"] for _, options in predictions] == [True]
    submission = copied.path("submission.csv")
    assert submission.read_text().splitlines() == [
        "id,label",
        *(f"{index:06d}.jpg,{index % 4}" for index in range(8)),
    ]
    for text in (copied.folder, copied.path("curves.png"), submission, "--data FOLDER"):
        assert str(text) in out


def test_evaluate(shell, faces, run, tmp_path):
    folder = shutil.copytree(run.folder, tmp_path / "run")
    words = ["evaluate", folder, "--data", faces / "dev", "--flip", "--batch-size", "5"]
    code, printed, err = shell(*words)
    assert (code, err) == (0, "")
    page = folder / "evaluation" / "dev" / "report.html"
    assert f"Page: {page} " in printed
    assert "On dev: accuracy" in page.read_text()
    metrics = json.loads((page.parent / "metrics.json").read_text())
    shown = dict(line.split() for line in printed.splitlines() if len(line.split()) == 2)
    assert shown["images"] == "12"
    assert float(shown["accuracy"]) == pytest.approx(metrics["accuracy"], abs=1e-4)
    flipped = run.predict(identity_folder(faces / "dev", names=run.names), flip=True)
    predictions = pd.read_csv(page.parent / "predictions.csv", dtype=str)
    assert predictions["prediction"].tolist() == [f"p000{row}" for row in flipped.argmax(axis=1)]


def test_evaluate_on_what_was_trained_on(shell, mistake, faces, run, tmp_path):
    words = ["evaluate", run.folder, "--data", faces / "train", "--out", tmp_path / "out"]
    line = mistake(*words)
    assert "Received: 24 such of 24" in line
    assert "--allow-seen" in line
    assert not (tmp_path / "out").exists()
    with pytest.warns(UserWarning, match="trained on 24 of the 24 images"):
        code, printed, _ = shell(*words, "--allow-seen")
    assert code == 0
    assert f"Page: {tmp_path / 'out' / 'report.html'} " in printed


def test_compare(shell, mistake, run, tmp_path):
    twins = [shutil.copytree(run.folder, tmp_path / name) for name in ("one", "other")]
    out = tmp_path / "new" / "compare.html"
    code, printed, err = shell("compare", *twins, "--out", out)
    assert (code, err) == (0, "")
    header, *rows = printed.splitlines()[:3]
    assert header.split()[:3] == ["run", "model", "head"]
    assert [row.split()[0] for row in rows] == ["one", "other"]
    assert f"Page: {out} " in printed
    assert "one against other" in out.read_text()
    assert "at least two runs. Received: 1." in mistake("compare", twins[0], "--out", out)
    assert "one of them twice" in mistake("compare", twins[0], twins[0], "--out", out)


@pytest.mark.parametrize(
    ("command", "words", "fragment"),
    [
        ("submit", ["IMAGES"], "Received: 0 run folders and 1 others"),
        ("submit", ["nowhere", "IMAGES"], "Received: 0 run folders and 2 others, ['nowhere', "),
        ("submit", ["RUN", "IMAGES", "more"], "A submission is made for one folder of test images"),
        ("submit", ["RUN", "nowhere"], "There must be a folder of images. Received: 'nowhere'"),
        ("predict", ["IMAGES"], "Received: 0 run folders and 1 others"),
        ("predict", ["RUN"], "Received: 1 run folders and 0 others"),
        ("predict", ["nowhere", "IMAGES"], "Received: 0 run folders and 2 others, ['nowhere', "),
        ("predict", ["RUN", "nowhere"], "There must be a folder of images. Received: 'nowhere'"),
        ("predict", ["RUN", "nowhere", "IMAGES"], "Received: 'nowhere', which does not exist."),
    ],
)
def test_mistaken_folders(mistake, faces, run, tmp_path, command, words, fragment):
    places = {"IMAGES": faces / "test", "RUN": run.folder}
    words = [places.get(word, word) for word in words]
    assert fragment in mistake(command, *words, "--out", tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_sample_that_does_not_match(mistake, faces, run, tmp_path, predictions):
    sample = tmp_path / "sample.csv"
    sample.write_text("id,label\nsomebody.jpg,0\n")
    words = ["submit", run.folder, faces / "test", "--out", tmp_path / "out.csv"]
    line = mistake(*words, "--sample", sample)
    assert "1 ids without a file ['somebody.jpg'] and 8 files without an id" in line
    assert predictions == []
    assert not (tmp_path / "out.csv").exists()


CROPS = pd.DataFrame(
    {
        "file": ["a.jpg", "a.jpg", "b.jpg", "c.jpg"],
        "outcome": ["face", "face", "skipped", "unreadable"],
        "crop": ["a.1.jpg", "a.2.jpg", "", ""],
    }
)


def test_crop(shell, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "kerasface.faces.crop", lambda *folders, **words: calls.append((folders, words)) or CROPS
    )
    code, out, err = shell(
        "crop", tmp_path, tmp_path / "crops", "--detector", "retinaface", "--size", "112",
        "--margin", "0.1", "--align", "--rule", "all", "--without", "copy", "--suffix", ".png",
        "--processes", "2", "--set", "threshold=0.5", "turned=true",
    )  # fmt: skip
    assert (code, err) == (0, "")
    ((folders, words),) = calls
    assert folders == (tmp_path, tmp_path / "crops")
    assert words == {
        "detector": "retinaface",
        "options": {"threshold": 0.5, "turned": True},
        "size": 112,
        "margin": 0.1,
        "align": True,
        "rule": "all",
        "without": "copy",
        "suffix": ".png",
        "processes": 2,
        "progress": True,
    }
    assert "3 files: 1 face, 1 skipped, 1 unreadable" in out
    assert "Wrote 2 images: " in out


def test_crop_by_default(shell, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        "kerasface.faces.crop", lambda *folders, **words: calls.append(words) or CROPS
    )
    assert shell("crop", tmp_path, tmp_path / "crops")[0] == 0
    assert calls[0] == {
        "detector": "mtcnn",
        "options": {},
        "size": 224,
        "margin": None,
        "align": False,
        "rule": "largest",
        "without": "skip",
        "suffix": ".jpg",
        "processes": None,
        "progress": True,
    }


def test_interrupted_crop(shell, tmp_path, monkeypatch):
    def interrupted(*folders, **words):
        raise KeyboardInterrupt

    monkeypatch.setattr("kerasface.faces.crop", interrupted)
    code, out, err = shell("crop", tmp_path, tmp_path / "crops")
    assert (code, out) == (130, "")
    assert err.strip() == "Interrupted. The same command goes on where it was."


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (("--rule", "big"), "`rule` must be one of"),
        (("--size", "0"), "`size` must be"),
        (("--detector", "mtcn"), "Did you mean 'mtcnn'?"),
    ],
)
def test_crop_mistakes(mistake, faces, tmp_path, words, fragment):
    assert fragment in mistake("crop", faces / "train", tmp_path / "crops", *words)


def test_split(shell, faces, tmp_path):
    code, out, err = shell(
        "split", faces / "train", tmp_path / "data", "--train", "0.5", "--validation", "0.5",
        "--test", "0", "--seed", "3", "--how", "symlink", "--distance", "-1",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "24 images of 4 people: 12 train, 12 validation" in out
    assert "kept together: 0" in out
    assert len(list((tmp_path / "data" / "train").rglob("*.jpg"))) == 12
    table = pd.read_csv(tmp_path / "data" / "split.csv")
    assert table["partition"].value_counts().to_dict() == {"train": 12, "validation": 12}


def test_split_tells_of_small_people(shell, faces, data, tmp_path):
    for path in sorted((data / "train" / "p0000").iterdir())[2:]:
        path.unlink()
    code, out, err = shell("split", data / "train", tmp_path / "split", "--small", "test")
    assert code == 0
    assert err.startswith("Warning: 1 of 4 people") and "'test' whole: p0000." in err
    assert len(err.splitlines()) == 1
    assert "20 images of 4 people" in out


def test_split_mistake(mistake, faces, tmp_path):
    line = mistake("split", faces / "train", tmp_path / "data", "--train", "0.9")
    assert "sum to 1. Received: train=0.9" in line


def test_faces_of_a_photograph(shell, faces, tmp_path, monkeypatch):
    calls = []

    def detect(images, detector, **options):
        calls.append((detector, options))
        return [[Face((5, 5, 20, 20), 0.9)]]

    monkeypatch.setattr("kerasface.faces.detect", detect)
    photo = faces / "train" / "p0001" / "0002.jpg"
    code, out, err = shell(
        "faces", photo, "--out", tmp_path / "new" / "boxes.png", "--set", "min_face=12"
    )
    assert (code, err) == (0, "")
    assert out.startswith("1 faces of 0002.jpg: ")
    assert calls == [("mtcnn", {"min_face": 12})]
    drawn = np.asarray(Image.open(tmp_path / "new" / "boxes.png"))
    assert drawn.shape == (32, 32, 3)
    assert (drawn != np.asarray(Image.open(photo))).any()


def test_contact_sheet(shell, faces, tmp_path):
    out = tmp_path / "sheet.png"
    words = ["faces", faces / "train", "--contact-sheet", "--out", out, "--limit", "12"]
    code, text, err = shell(*words)
    assert (code, err) == (0, "")
    assert text.startswith("12 of 24 images: ")
    width, height = Image.open(out).size
    assert width == 12 * 100 + 4
    assert 100 < height < 140  # one row, with captions


@pytest.mark.parametrize(
    ("out", "fragment"), [("boxes", "image format"), ("boxes.txt", "image format")]
)
def test_picture_of_no_format(mistake, faces, tmp_path, out, fragment):
    photo = faces / "train" / "p0001" / "0002.jpg"
    assert fragment in mistake("faces", photo, "--out", tmp_path / out)


def test_photograph_that_is_none(mistake, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    out = tmp_path / "boxes.png"
    assert "no image format" in mistake("faces", tmp_path / "a.jpg", "--out", out)
    assert "nowhere.jpg" in mistake("faces", tmp_path / "nowhere.jpg", "--out", out)
    assert not out.exists()


def test_default_distance_is_the_measured_one():
    assert inspect.signature(cli.split).parameters["distance"].default == NEAR_DUPLICATE


@pytest.fixture
def strangers(tmp_path):
    """Folder of five drawn people whom the run does not know, 5 pictures each."""
    drawn = kerasface.data.drawn_faces(
        tmp_path / "drawn", identities=5, train=5, dev=1, test=1, size=24, seed=9
    )
    for person in sorted((drawn / "train").iterdir()):
        person.rename(person.with_name(f"stranger {person.name}"))
    return drawn / "train"


def test_verify_and_identify(shell, mistake, run, strangers, tmp_path):
    own = shutil.copytree(run.folder, tmp_path / "run")
    first, second, *_ = sorted((strangers / "stranger p0000").iterdir())
    assert "needs a threshold" in mistake("verify", own, first, second)
    table = kerasface.data.folder_pairs(identity_folder(strangers), impostors=100)
    table.to_frame().to_csv(tmp_path / "list.csv", index=False)
    words = ["verify", own, "--pairs", tmp_path / "list.csv", "--images", strangers]
    code, out, err = shell(*words, "--flip", "--far", 0.2)
    assert (code, err) == (0, "")
    stored = json.loads((own / "verifier.json").read_text())
    assert stored["flip"] and stored["far"] <= 0.2
    for line in (
        "eer ",
        "tar_at_far_0.2 ",
        "No TAR at FAR 0.01: 0.01 of 100 impostor pairs are 1 expected false accepts",
        "Intervals resample people.",
        f"Stored: threshold {stored['threshold']:.4f}, which accepts {stored['far']:.2%} of others",
        f"Page: {own / 'verification' / 'list' / 'report.html'}",
    ):
        assert line in out
    code, out, err = shell("verify", own, first, second)
    assert (code, err) == (0, "")
    decision = kerasface.verify(own, first, second)
    word = "the same person" if decision.same else "different people"
    assert out.startswith(f"{word}: similarity {decision.similarity:.4f}, threshold")
    assert f"accepted {stored['far']:.2%} of pairs" in out
    assert "1 of them" in mistake("verify", own, first)
    assert "--pairs goes with a list" in mistake("verify", own, first, second, "--pairs", "x.csv")
    assert "--threshold decides about two" in mistake(*words, "--threshold", 0.5)
    assert "fewer than 10" in mistake(*words, "--far", 0.01)

    gallery = tmp_path / "people.npz"
    words = ["identify", own, "--probe", strangers, "--out", tmp_path / "found", "--flip"]
    code, out, err = shell(*words, "--gallery", strangers, "--save-gallery", gallery)
    assert code == 0 and err.startswith("Warning: 25 of the 25 probes are in the gallery")
    assert "rank1                        1.0000" in out
    assert f"Below {stored['threshold']:.4f} the answer is nobody." in out
    assert (tmp_path / "found" / "cmc.png").is_file()
    code, again, _ = shell(*words, "--gallery", gallery, "--threshold", 2)
    assert code == 0 and "identified                   0.0000" in again
    assert "people.npz" in mistake(*words, "--gallery", tmp_path / "no people.npz")


def test_match(shell, mistake, run, faces, tmp_path):
    words = ["match", run.folder, "--known", faces / "train", "--unknown", faces / "test"]
    assert "Give threshold=" in mistake(*words)
    out = tmp_path / "matches.csv"
    code, told, err = shell(*words, "--threshold", 0.999, "--no-match", "nobody", "--out", out)
    assert (code, err) == (0, "")
    frame = pd.read_csv(out, dtype=str)
    assert frame["id"].tolist() == [str(place) for place in range(8)]
    assert set(frame["label"]) <= {"nobody", "p0000", "p0001", "p0002", "p0003"}
    share = (frame["label"] != "nobody").mean()
    assert f"{share:.1%} are named, at a threshold of 0.9990" in told
    labels = tmp_path / "dev.csv"
    pd.DataFrame({"label": ["p0000"] * 8}).to_csv(labels, index=False)
    dev = ["--dev", faces / "test", "--dev-labels", labels]
    code, told, _ = shell(*words, *dev, "--out", out)
    assert code == 0 and "Development accuracy " in told


def test_next_step_after_an_embedding(shell, run, faces, tmp_path, trainings, monkeypatch):
    monkeypatch.setattr(Run, "embeds", property(lambda run: True))
    code, out, _ = shell("train", "embedding_arcface", "--data", faces, "--out", tmp_path / "run")
    assert code == 0
    assert f"Next: kerasface verify {tmp_path / 'run'} --pairs" in out
