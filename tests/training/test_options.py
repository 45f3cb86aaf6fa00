"""Options of `train` that are checked before the data."""

import subprocess
import sys

import keras
import pytest

import kerasface
from kerasface.runs import named_recipe
from kerasface.training.options import check_features_folder


@pytest.mark.parametrize("verbose", ["loud", 3, None])
def test_verbose(tables, tmp_path, verbose):
    with pytest.raises(ValueError, match=r"`verbose` must be one of \[0, 1, 2, 'auto'\]"):
        kerasface.train("demo", train=tables[0], out=tmp_path / "run", verbose=verbose)


def test_features_folder(tmp_path):
    for name in ("celebrities", "celebrities_mobile"):
        check_features_folder(tmp_path, named_recipe(name))
    with pytest.raises(ValueError, match="`features` is for recipes that cache"):
        check_features_folder(tmp_path, named_recipe("celebrities_tuned"))
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="`features` must be a folder"):
        check_features_folder(tmp_path / "file", named_recipe("celebrities"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (7, "Received: 7 of type int"),
        ("runs/model.keras", r"keras\.saving\.load_model"),
        (keras.Sequential, "Make an instance of Sequential"),
        ("resnet_smal", "Did you mean 'resnet_small'"),
    ],
)
def test_what_is_no_model(tables, tmp_path, model, message):
    with pytest.raises(ValueError, match=f"`model` must be .*{message}"):
        kerasface.train("demo", train=tables[0], out=tmp_path / "run", model=model)


def test_what_is_no_recipe(tables, tmp_path):
    with pytest.raises(ValueError, match="`recipe` must be the name of a recipe or a Recipe"):
        kerasface.train({"epochs": 3}, train=tables[0], out=tmp_path / "run")


def test_script_without_a_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing\n"
        "import kerasface.training.options\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('spawn').Process(target=print)\n"
        "    process.start()\n"
        "    process.join()\n"
        "else:\n"
        "    kerasface.training.options.check_process()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert 'Put the call under `if __name__ == "__main__":`' in done.stderr
