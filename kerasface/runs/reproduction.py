"""How a run was made: names for its page, and the commands that make it again."""

from __future__ import annotations

import dataclasses
import datetime
import json
import pathlib
from typing import Any

from kerasface.runs import run as run_files
from kerasface.runs.provenance import PROVENANCE, read_provenance
from kerasface.runs.record import ROOTS, read_roots
from kerasface.runs.run import Run

# Folders inside a data set, which do not name it.
INNER_FOLDERS = ("train", "training", "img_align_celeba", "images")
ENVIRONMENT_NAMES = {
    "gpus": "GPUs",
    "tensorflow": "TensorFlow",
    "numpy": "NumPy",
    "cpu": "CPU",
    "cuda": "CUDA",
}


@dataclasses.dataclass(frozen=True)
class Origin:
    """Where a run comes from, as far as its folder tells it.

    Attributes:
        recipe: Name of the recipe, or of the model if the recipe has none.
        data: Name of the data set.
        date: Day on which the run finished (or was last written), in words.
        facts: More about it, name to value.
        commands: A sentence about a command, to the command.
    """

    recipe: str
    data: str
    date: str
    facts: dict[str, Any]
    commands: dict[str, str]


def origin(run: Run) -> Origin:
    """Reads where a run comes from. Older runs know less.

    Args:
        run: The run.
    """
    known = read_provenance(run.path(PROVENANCE))
    environment = _read(run.path(run_files.ENVIRONMENT))
    roots = read_roots(run.folder) if run.path(ROOTS).is_file() else {}
    facts: dict[str, Any] = {"Run folder": str(run.folder)}
    for key, name in (
        ("started", "Started"),
        ("finished", "Finished"),
        ("kerasface", "kerasface"),
        ("git_commit", "Git commit of the working folder"),
    ):
        if known.get(key):
            facts[name] = _time(known[key]) if key in ("started", "finished") else known[key]
    for name, root in roots.items():
        facts[f"Folder of the {'training' if name == 'train' else name} images"] = root
    for key, value in environment.items():
        if value:
            facts[ENVIRONMENT_NAMES.get(key, key.capitalize())] = _words(value)
    return Origin(
        recipe=known.get("recipe") or run.recipe.model,
        data=_data_name(roots.get("train", "")),
        date=_date(known.get("finished"), run),
        facts=facts,
        commands=_commands(run, known),
    )


def _commands(run: Run, known: dict[str, Any]) -> dict[str, str]:
    commands = {}
    if known.get("command"):
        commands["The run was made by this command:"] = known["command"]
        for step in known.get("resumed", []):
            if step.get("command"):
                commands[f"It was resumed by ({_time(step.get('started'))}):"] = step["command"]
    commands["This Python code trains the same recipe on the same images again:"] = (
        "import kerasface\n"
        "from kerasface.runs.record import recorded_tables\n\n"
        f"run = kerasface.Run({str(run.folder)!r})\n"
        "tables = recorded_tables(run.folder, run.names, multi_label=run.multi_label)\n"
        f"kerasface.train(run.recipe, **tables, out={str(run.folder) + '_again'!r})"
    )
    return commands


def _data_name(root: str) -> str:
    """Name of a data set, from the folder of its training images."""
    path = pathlib.PurePath(root.replace("\\", "/"))
    while path.name in INNER_FOLDERS and path.parent.name:
        path = path.parent
    return path.name


def _date(finished: str | None, run: Run) -> str:
    if finished:
        day = datetime.datetime.fromisoformat(finished)
    else:  # the time of the last epoch
        file = run.path(run_files.HISTORY)
        file = file if file.is_file() else run.path(run_files.RECIPE)
        day = datetime.datetime.fromtimestamp(file.stat().st_mtime)
    return f"{day.day} {day:%B %Y}"


def _time(text: str | None) -> str:
    return (text or "").replace("T", " ")


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _read(path: pathlib.Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
