"""Where a run comes from: version, recipe, command line, git commit, start, end, and crops."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import shlex
import subprocess
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from kerasface import __version__
from kerasface.data.duplicates import CROP_SETTINGS
from kerasface.faces.preparation import Preparation
from kerasface.files import write_json

PROVENANCE = "provenance.json"
GIT_SECONDS = 5  # a repository on a slow drive must not delay a training


def write_provenance(folder: pathlib.Path, recipe: str | None) -> None:
    """Writes the provenance of a run that starts.

    Args:
        folder: Run folder.
        recipe: Name of the recipe, or None.
    """
    values: dict[str, Any] = {
        "kerasface": __version__,
        "recipe": recipe,
        "command": command_line(),
        "git_commit": git_commit(),
        "started": _now(),
        "finished": None,
        "resumed": [],
    }
    write_json(folder / PROVENANCE, values)


def write_preparation(folder: pathlib.Path, images: pathlib.Path) -> None:
    """Writes how the images of a run were cut out of photographs, if that is known.

    Args:
        folder: Run folder.
        images: As in `find_preparation`.
    """
    try:
        preparation = find_preparation(images)
    except ValueError as error:  # perhaps a file of another program
        warnings.warn(f"The run does not record how its faces were cut out. {error}", stacklevel=2)
    else:
        if preparation is not None:
            write_json(folder / CROP_SETTINGS, preparation.to_dict())


def find_preparation(images: pathlib.Path) -> Preparation | None:
    """Returns how images were cut out of photographs, or None if that is unknown.

    Args:
        images: Folder of the images. It or a folder above it may have the ``crops.json`` of
            `kerasface.faces.crop`; the nearest one counts.

    Raises:
        ValueError: If the file is damaged; the message names it.
    """
    root = images.absolute()
    for place in (root, *root.parents):
        if (place / CROP_SETTINGS).is_file():
            return Preparation.from_crops(place)
    return None


def note_resumption(folder: pathlib.Path) -> None:
    """Adds the present process to the provenance of a run that resumes.

    Args:
        folder: Run folder.
    """
    values = read_provenance(folder / PROVENANCE)
    step = {"command": command_line(), "started": _now()}
    resumed = [*values.get("resumed", []), step]
    write_json(folder / PROVENANCE, {**values, "finished": None, "resumed": resumed})


def note_end(folder: pathlib.Path) -> None:
    """Writes the time at which a run has finished.

    Args:
        folder: Run folder.
    """
    values = read_provenance(folder / PROVENANCE)
    write_json(folder / PROVENANCE, {**values, "finished": _now()})


def read_provenance(path: pathlib.Path) -> dict[str, Any]:
    """Reads what `write_provenance` wrote.

    Args:
        path: The file.

    Returns:
        The values, or an empty dictionary if the file does not exist.
    """
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def command_line(arguments: Sequence[str] | None = None) -> str | None:
    """Returns the command line of the process, for a shell.

    Args:
        arguments: Program and arguments. None: those of the process.

    Returns:
        For instance ``"kerasface train demo --data faces --out runs/demo"`` or
        ``"python experiment.py"``; None in a notebook or an interactive session.

    Example:
        >>> command_line(["/usr/bin/kerasface", "train", "my recipe"])
        "kerasface train 'my recipe'"
    """
    program, *rest = list(sys.argv if arguments is None else arguments) or [""]
    path = pathlib.Path(program)
    if path.stem in ("", "-c", "ipykernel_launcher", "colab_kernel_launcher", "-"):
        return None
    if path.name == "__main__.py":  # python -m package
        return shlex.join([path.parent.name, *rest])
    start = ["python", program] if path.suffix == ".py" else [path.stem]
    return shlex.join([*start, *rest])


def git_commit(folder: str | os.PathLike[str] | None = None) -> str | None:
    """Returns the git commit of a folder.

    Args:
        folder: Any folder. None: the working folder.

    Returns:
        The commit's hash, or None if the folder is in no repository with a commit or git is
        missing.
    """
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--verify", "HEAD"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
