"""The page of a run: where it comes from, its recipe and what its curves suggest."""

import json
import shutil

import pytest

from kerasface.runs import Run
from kerasface.runs.report import recipe_value, write_report
from kerasface.runs.reproduction import origin


@pytest.fixture
def own_run(run, tmp_path):
    return Run(shutil.copytree(run.folder, tmp_path / "own"))


def test_page_of_a_run_with_provenance(own_run, tmp_path):
    provenance = {
        "kerasface": "9.8.7",
        "recipe": "my recipe <b>",
        "command": "kerasface train demo --data faces --out 'runs/a b'",
        "git_commit": "0123abcd",
        "started": "2026-01-31T10:00:00+01:00",
        "finished": "2026-02-01T11:00:00+01:00",
        "resumed": [{"command": "kerasface train --resume", "started": "2026-02-01T10:00:00"}],
    }
    own_run.path("provenance.json").write_text(json.dumps(provenance))
    write_report(own_run, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<h1>my recipe &lt;b&gt; on faces</h1>" in page
    for words in (
        "1 February 2026",
        "9.8.7",
        "0123abcd",
        "kerasface train demo --data faces --out &#39;runs/a b&#39;",
        "kerasface train --resume",
        "2026-01-31 10:00:00",
    ):
        assert words in page


def test_page_of_an_older_run(own_run, tmp_path):
    for name in ("provenance.json", "environment.json", "roots.json"):
        own_run.path(name).unlink(missing_ok=True)
    write_report(own_run, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<h1>convnext_nano</h1>" in page and "recorded_tables" in page


def test_code_on_the_page_reproduces_the_run(own_run, tables):
    (code,) = [text for text in origin(own_run).commands.values() if "recorded_tables" in text]
    found = {}
    lines = code.splitlines()
    assert lines[-1].startswith("kerasface.train(run.recipe, **tables, out=")
    exec("\n".join(lines[:-1]), found)
    assert found["run"].recipe == own_run.recipe
    for name, table in zip(("train", "validation"), tables, strict=True):
        again = found["tables"][name]
        assert again.paths.tolist() == table.paths.tolist()
        assert again.labels.tolist() == table.labels.tolist()


def test_recipe_shows_changed_keys_first(own_run, tmp_path):
    write_report(own_run, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    recipe = page.partition('<section id="recipe"')[2]
    changed, others = recipe.split("<details>")
    assert "image_size" in changed and "image_size" not in others
    assert "weight_decay" in others and "weight_decay" not in changed


def test_notes_follow_the_curves(own_run, tmp_path):
    history = own_run.history.iloc[[0] * 6].reset_index(drop=True)
    history["epoch"] = range(1, 7)
    history["loss"] = [3, 2.5, 2, 1.5, 1, 0.5]
    history["val_loss"] = [3, 2.5, 2.6, 2.8, 3.0, 3.3]
    history.to_csv(own_run.path("history.csv"), index=False)
    write_report(own_run, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.index(">Curves</h2>") < page.index(">What to try next</h2>")
    assert "lowest in epoch 2 and then rises by 32%" in page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "yes"),
        (0.001, "0.001"),
        (None, "none"),
        ({}, "none"),
        (
            ({"epochs": 1, "trainable": "head"}, {"epochs": 2}),
            "epochs: 1, trainable: head; epochs: 2",
        ),
        ({"channels": [8, 16]}, "channels: 8, 16"),
    ],
)
def test_values_of_recipe_keys(value, text):
    assert recipe_value(value) == text
