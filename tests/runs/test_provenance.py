"""Where a run comes from."""

import datetime
import json
import subprocess

import pytest

import kerasface
from kerasface.faces import Preparation
from kerasface.runs import provenance


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["/usr/bin/kerasface", "train", "--out", "my run"], "kerasface train --out 'my run'"),
        (["/lib/kerasface/__main__.py", "demo"], "kerasface demo"),
        (["C:/Scripts/kerasface.exe", "demo"], "kerasface demo"),
        (["experiments/train.py", "--fast"], "python experiments/train.py --fast"),
        (["-c"], None),
        ([""], None),
        (["/lib/ipykernel_launcher.py", "-f", "kernel.json"], None),
    ],
)
def test_command_line(arguments, command):
    assert provenance.command_line(arguments) == command


def test_git_commit(tmp_path, monkeypatch):
    assert provenance.git_commit(tmp_path) is None
    assert provenance.git_commit(tmp_path / "missing") is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    try:
        subprocess.run([*git, "init", "-q"], check=True)
    except FileNotFoundError:
        pytest.skip("git is not installed")
    assert provenance.git_commit(tmp_path) is None  # no commit yet
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert provenance.git_commit(tmp_path) == head.stdout.strip()
    monkeypatch.setenv("PATH", "")
    assert provenance.git_commit(tmp_path) is None


def test_steps_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["kerasface", "train", "demo"])
    path = tmp_path / provenance.PROVENANCE
    provenance.write_provenance(tmp_path, "demo")
    new = provenance.read_provenance(path)
    assert (new["kerasface"], new["recipe"]) == (kerasface.__version__, "demo")
    assert (new["command"], new["finished"], new["resumed"]) == ("kerasface train demo", None, [])
    assert datetime.datetime.fromisoformat(new["started"]).tzinfo is not None
    monkeypatch.setattr("sys.argv", ["kerasface", "train", "--resume"])
    provenance.note_resumption(tmp_path)
    provenance.note_end(tmp_path)
    done = provenance.read_provenance(path)
    assert [step["command"] for step in done["resumed"]] == ["kerasface train --resume"]
    assert done["command"] == "kerasface train demo"
    assert done["finished"] >= done["started"]


def test_run_tells_its_provenance(run, tmp_path):
    assert run.provenance["recipe"] == "demo"
    assert run.provenance["finished"] is not None
    assert provenance.read_provenance(tmp_path / "none.json") == {}  # an older run


def test_preparation_is_found_above_the_images(tmp_path):
    run, images = tmp_path / "run", tmp_path / "crops" / "train"
    for folder in (run, images):
        folder.mkdir(parents=True)
    provenance.write_preparation(run, images)
    assert Preparation.from_crops(run) is None
    preparation = Preparation("mtcnn", (("min_face", 12),), template="arcface", size=160)
    path = tmp_path / "crops" / "crops.json"
    path.write_text(json.dumps(preparation.to_dict() | {"source": "photographs"}))
    provenance.write_preparation(run, images)
    assert Preparation.from_crops(run) == preparation
    assert "source" not in json.loads((run / "crops.json").read_text())


def test_other_file_of_that_name_warns(tmp_path):
    (tmp_path / "crops.json").write_text("[]")
    (tmp_path / "run").mkdir()
    with pytest.warns(UserWarning, match=r"does not record .*crops\.json"):
        provenance.write_preparation(tmp_path / "run", tmp_path)
    assert not (tmp_path / "run" / "crops.json").exists()
