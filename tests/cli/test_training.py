"""Tests of the commands that train: demo, train and models."""

import json
import shlex
import shutil

import numpy as np
import pandas as pd
import pytest

from kerasface.cli.summary import next_command
from kerasface.data import read_celeba
from kerasface.runs import Run, named_recipe
from kerasface.training import recommend

# The settings of the `run` fixture, for a shell.
AS_RUN = (
    "image_size=16",
    "batch_size=8",
    "epochs=2",
    "augment=[]",
    "architecture.channels=8,16",
    "architecture.blocks_per_stage=1,1",
)


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
    for text in (copied.folder, copied.path("report.html"), submission, "--data FOLDER"):
        assert str(text) in out


def test_set_takes_several_keys(shell, faces, tmp_path, trainings):
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
        "overwrite": False,
        "features": None,
        "verbose": 2,
    }
    assert (len(train), len(validation)) == (24, 12)
    assert validation.names == train.names


def test_overwrite_is_passed_to_train(shell, faces, tmp_path, trainings):
    code, _, _ = shell("train", "demo", "--data", faces, "--out", tmp_path / "run", "--overwrite")
    assert code == 0
    assert trainings[0]["overwrite"] is True


def test_feature_folder_is_passed_to_train(shell, mistake, faces, tmp_path, trainings):
    words = ["--data", faces, "--out", tmp_path / "run", "--features", tmp_path / "kept"]
    assert shell("train", "celebrities_mobile", *words)[0] == 0
    assert trainings[0]["features"] == tmp_path / "kept"
    line = mistake("train", "demo", *words)
    assert "`--features` is for recipes that cache" in line
    assert f"Received: --features {tmp_path / 'kept'} with cache_features=False" in line


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["dmo"], "Did you mean 'demo'?"),
        (["demo", "--set", "lr=0.1"], "Use `learning_rate` instead of 'lr'."),
        (["demo", "--set", "epochs=0"], "`epochs` must be an integer of at least 1"),
        (["demo", "--set", "momentum=0.9"], "`momentum` has no effect with optimizer='adamw'."),
        (["demo", "--features", "kept"], "`--features` is for recipes that cache"),
        (["auto", "--set", "epohs=1"], "Did you mean 'epochs'"),
        (["auto", "--set", "epochs=0"], "`epochs` must be an integer of at least 1"),
        (["demo", "--resume", "--overwrite"], "`--resume` and `--overwrite` are mutually"),
        (["demo", "--resume"], "There must be a run to resume."),
        (["demo", "--resume", "--first", "3"], "`--first` has no effect with --resume"),
    ],
)
def test_settings_are_checked_before_the_data(mistake, tmp_path, words, fragment):
    """The data folder does not exist, and that is not what the message says."""
    line = mistake("train", *words, "--data", tmp_path / "none", "--out", tmp_path / "run")
    assert fragment in line


def test_taken_folder_is_refused_before_the_data(mistake, run, tmp_path):
    line = mistake("train", "demo", "--data", tmp_path / "none", "--out", run.folder)
    assert "which holds a run. Choose another, or use --resume to resume this run" in line


@pytest.mark.parametrize(("words", "missing"), [(["demo"], "no --data"), ([], "no RECIPE")])
def test_new_run_needs_recipe_and_data(mistake, tmp_path, words, missing):
    line = mistake("train", *words, "--out", tmp_path / "run")
    assert f"Received: {missing}. Use: kerasface train RECIPE --data FOLDER" in line


def test_celeba_folder_is_recognized(shell, mistake, celeba_folder, faces, tmp_path, trainings):
    words = ["train", "smiling", "--out", tmp_path / "run", "--data"]
    code, out, err = shell(*words, celeba_folder, "--first", "12")
    assert (code, err) == (0, "")
    train, validation = trainings[0]["train"], trainings[0]["validation"]
    assert (len(train), len(validation), len(train.names)) == (12, 16, 5)
    assert "12 images of 5 attributes" in out
    assert "`--first` is for a CelebA folder" in mistake(*words, faces, "--first", "12")
    line = mistake(*words, faces, "--partition", "identity")
    assert "`--partition` is for a CelebA folder" in line


def test_split_is_refused_for_celeba(mistake, celeba_folder, tmp_path):
    words = ["train", "smiling", "--data", celeba_folder, "--out", tmp_path / "run"]
    line = mistake(*words, "--split", "0.2")
    assert "has its own partition. Received: --split 0.2" in line


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
    predictions = pd.read_csv(run / "evaluation" / "celeba_identity_test" / "predictions.csv")
    assert predictions["path"].tolist() == test.paths.tolist()
    # The official test part has other people, some of whom are in the training part.
    line = mistake("evaluate", run, "--data", celeba_folder)
    assert "images that it was not trained on" in line
    line = mistake("evaluate", run, *words[:2], "--partition", "people")
    assert "'people'" in line


@pytest.mark.parametrize("name", ["dev", "val", "valid", "validation"])
def test_validation_folders(shell, faces, data, tmp_path, trainings, name):
    # The validation folder has one of the four people, who keeps the same label.
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
        assert "validation " not in out.split("Result")[0]
    else:
        assert (len(train), len(validation)) == sizes
        assert set(train.paths).isdisjoint(validation.paths)
        assert set(validation.counts()) == {sizes[1] // 4}


def test_summary_after_training(shell, faces, run, tmp_path, trainings):
    code, out, _ = shell("train", "demo", "--data", faces, "--out", tmp_path / "run")
    assert code == 0
    metrics = json.loads((run.folder / "validation" / "metrics.json").read_text())
    low, high = metrics["accuracy_low"], metrics["accuracy_high"]
    result = f"{metrics['accuracy']:.1%} (95% interval {low:.1%} to {high:.1%}); chance 25.0%"
    assert f"Result      validation accuracy {result}" in out
    for name in ("report.html", "model.keras"):
        assert str(run.path(name)) in out
    sample = faces / "sample_submission.csv"
    command = f"kerasface submit {run.folder} {faces / 'test'} --out submission.csv"
    assert out.endswith(f"Next: {command} --sample {sample}\n")


def test_next_commands_work(shell, run, attribute_run, celeba_folder, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copied = shutil.copytree(run.folder, tmp_path / "a run")
    for partition, path in json.loads((copied / "roots.json").read_text()).items():
        shutil.copytree(path, tmp_path / "a folder" / partition)
    roots = {name: str(tmp_path / "a folder" / name) for name in ("train", "validation")}
    (copied / "roots.json").write_text(json.dumps(roots))
    for command in (
        next_command(Run(copied)),
        next_command(attribute_run),
        next_command(attribute_run, celeba_folder),
    ):
        program, *words = shlex.split(command)
        assert program == "kerasface"
        if words[0] == "predict":
            words += ["--batch-size", "8", "--overwrite"]
        assert shell(*words)[0] == 0
    assert next_command(Run(copied)).startswith("kerasface predict '")


def test_next_step_after_embedding_training(run, monkeypatch):
    monkeypatch.setattr(Run, "embeds", property(lambda run: True))
    roots = json.loads(run.path("roots.json").read_text())
    expected = f"kerasface identify {roots['train']} {roots['validation']} --model {run.folder}"
    assert next_command(run) == expected


def test_auto(shell, faces, tmp_path, trainings):
    code, out, err = shell("train", "auto", "--data", faces, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    chosen = recommend(trainings[0]["train"])
    assert trainings[0]["recipe"] == chosen.recipe
    assert f"Recommended:\n{chosen}\n" in out


def test_auto_explains_its_choice_with_the_changes(shell, faces, tmp_path, trainings):
    words = ["train", "auto", "--data", faces, "--out", tmp_path / "run"]
    code, out, _ = shell(*words, "--set", "epochs=2", "image_size=32", "seed=3")
    assert code == 0
    recipe = trainings[0]["recipe"]
    assert (recipe.epochs, recipe.image_size, recipe.seed) == (2, 32, 3)
    assert "- 2 epochs, as you set it." in out
    assert "- 32 px, as you set it;" in out
    assert "- Set by you: seed=3." in out
    assert "cores" not in out


@pytest.mark.parametrize("words", [[], ["auto"]])
def test_resume_needs_no_recipe_and_no_data(shell, run, tmp_path, trainings, words):
    out = shutil.copytree(run.folder, tmp_path / "run")
    code, printed, err = shell("train", *words, "--resume", "--out", out, "--set", "epochs=3")
    assert (code, err) == (0, "")
    (call,) = trainings
    train, validation = call.pop("train"), call.pop("validation")
    assert (len(train), len(validation)) == (24, 12)
    recipe = run.recipe.replace(epochs=3)
    assert call == {
        "recipe": recipe, "out": out, "resume": True, "features": None, "verbose": 2
    }  # fmt: skip
    assert f"Resuming {out}: 2 of 3 epochs are complete." in printed


def test_resume_of_a_complete_run(shell, run, trainings):
    code, out, err = shell("train", "--resume", "--out", run.folder)
    assert (code, err, trainings) == (0, "", [])
    assert f"{run.folder} is already complete: 2 epochs." in out
    assert f"kerasface train --resume --out {run.folder} --set epochs=4" in out


def test_resume_with_moved_folders(shell, mistake, run, faces, tmp_path, trainings):
    out = shutil.copytree(run.folder, tmp_path / "run")
    lost = {"train": str(tmp_path / "lost/train"), "validation": str(tmp_path / "lost/dev")}
    (out / "roots.json").write_text(json.dumps(lost))
    words = ["train", "--resume", "--out", out, "--set", "epochs=3"]
    assert "24 of 24 images of `train` missing" in mistake(*words)
    code, printed, _ = shell(*words, "--data", faces)
    assert code == 0
    assert trainings[0]["train"].root == faces / "train"
    assert trainings[0]["validation"].root == faces / "dev"
    assert f"train       24 images of 4 classes in {faces / 'train'}" in printed


def test_resume_of_a_celeba_run(shell, attribute_run, trainings):
    code, _, _ = shell("train", "--resume", "--out", attribute_run.folder, "--set", "epochs=3")
    assert code == 0
    assert trainings[0]["train"].names == ("Smiling", "Beard", "Wearing_Hat")
    assert trainings[0]["train"].labels.shape == (40, 3)


def test_interrupted_training(shell, faces, tmp_path, monkeypatch):
    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("kerasface.training.train", interrupt)
    out = tmp_path / "my run"
    code, printed, err = shell("train", "demo", "--data", faces, "--out", out)
    assert code == 130
    command = f"kerasface train --resume --out '{out}'"
    assert err == f"\nInterrupted. Resume from the last completed epoch: {command}\n"
    assert "Result" not in printed


def test_resume_with_another_recipe_is_refused(mistake, faces, run, tmp_path):
    out = shutil.copytree(run.folder, tmp_path / "run")
    words = ["train", "demo", "--data", faces, "--out", out, "--resume", "--set", *AS_RUN]
    line = mistake(*words, "batch_size=4")
    assert "A run must be resumed with the recipe that it started with." in line
    assert "(was -> now): batch_size: 8 -> 4." in line


def test_existing_run_is_refused_overwritten_and_resumed(shell, mistake, data, run, tmp_path):
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
    code, printed, err = shell("train", "--resume", "--out", out)
    assert (code, err) == (0, "")
    assert "Result      no validation; training accuracy" in printed
    assert new.history["epoch"].tolist() == [1, 2]
    assert new.history["loss"][0] == history["loss"][0]
    assert new.metrics["last"]["epoch"] == 2


def test_only_a_run_is_overwritten(mistake, faces, tmp_path):
    (tmp_path / "holiday.txt").write_text("mine")
    line = mistake("train", "demo", "--data", faces, "--out", tmp_path, "--overwrite")
    assert "which exists and is not a run." in line
    assert (tmp_path / "holiday.txt").read_text() == "mine"


def test_run_inside_the_folder_of_people_is_refused(mistake, faces):
    words = ["train", "demo", "--data", faces / "train"]
    line = mistake(*words, "--out", faces / "train" / "run")
    assert "must not be inside the folder of people" in line
    assert not (faces / "train" / "run").exists()


@pytest.mark.parametrize(
    ("recipe", "words", "fragments"),
    [
        (
            "dmo",
            [],
            [
                "`recipe` must be the name of a recipe.",
                "'dmo'",
                "Did you mean 'demo'?",
            ],
        ),
        ("demo", ["--set", "epoch=1"], ["Use `epochs` instead of 'epoch'."]),
        (
            "demo",
            ["--set", "epochs=2", "architecture.chanels=8,16"],
            ["chanels=[8, 16].", "Did you mean 'channels'"],
        ),
        (
            "demo",
            ["--set", "model=convnext_nan"],
            ["Received: 'convnext_nan'.", "Did you mean 'convnext_nano'"],
        ),
        ("demo", ["--set", "validation=0.2"], ["`validation` is a parameter of"]),
        ("demo", ["--set", "report=false"], ["`report` is a parameter of"]),
        ("demo", ["--set", "epochs"], ["takes KEY=VALUE", "Received: --set epochs."]),
        ("demo", ["--set", "epochs", "3"], ["takes KEY=VALUE", "Received: --set epochs."]),
        ("demo", ["epochs=3"], ["here --set epochs=3.", "Received: epochs=3."]),
        (
            "demo",
            ["--set", "phases.1.learning_rate=1e-5"],
            ["a recipe with 0 phases", "phase '1'"],
        ),
        (
            "cs405",
            ["--set", "phases.2.learning_rate=1e-5"],
            ["a recipe with 2 phases", "phase '2'"],
        ),
        (
            "demo",
            ["--set", "optimizer.momentum=0.9"],
            [
                "Only `architecture`, `embedding` and the phases have keys of their own",
                "'optimizer.momentum'",
            ],
        ),
        ("demo", ["--set", "epochs=many"], ["`epochs` must be an integer", "epochs='many'"]),
        ("demo", ["--set", "epochs=0"], ["`epochs` must be an integer of at least 1", "epochs=0"]),
        ("demo", ["--set", "head=triple"], ["`head` must be one of", "head='triple'"]),
        (
            "demo",
            ["--resume", "--overwrite"],
            ["`--resume` and `--overwrite` are mutually exclusive"],
        ),
    ],
)
def test_wrong_recipes_and_keys(mistake, faces, tmp_path, recipe, words, fragments):
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
            ["must have one subfolder of images for each person.", "train with 0 subfolders"],
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


def test_validation_folder_with_other_people_is_refused(mistake, faces, data, tmp_path):
    shutil.copytree(faces / "dev" / "p0002", data / "dev" / "somebody")
    line = mistake("train", "demo", "--data", data, "--out", tmp_path / "run")
    assert "'somebody', not among the 4 names." in line
