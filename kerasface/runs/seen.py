"""What a run was trained on, with the runs whose weights it began with."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import warnings
from collections import defaultdict

from kerasface.data.table import UNKNOWN_FORMAT, FaceTable
from kerasface.runs import run as run_files
from kerasface.runs.record import ROOTS, read_images
from kerasface.runs.run import Run


def seen_images(run: Run, table: FaceTable, side: str = "train") -> list[str]:
    """Images of a table that a run was trained on, the same files or copies of them.

    A run that began with the weights of another was trained on the images of that one too.

    Args:
        run: Its training images need not be there any more; then only paths are compared.
        table: What is to be judged on.
        side: ``"validation"`` asks for the images that it was judged by instead.

    Returns:
        Their paths, relative, in the table's order.
    """
    trained = _images_of(run, side)
    sizes: dict[int, list[str]] = defaultdict(list)
    for path in trained:
        if os.path.isfile(path):
            sizes[os.path.getsize(path)].append(path)
    lost = len(trained) - sum(map(len, sizes.values()))
    if lost:
        warnings.warn(
            f"{lost} of the {len(trained)} {side} images of the run are not where they "
            "were: copies of them cannot be told from new images",
            stacklevel=3,
        )
    digests: dict[int, set[str]] = {}
    seen = []
    for path, full in zip(table.paths, table.full_paths(), strict=True):
        real = os.path.realpath(full)
        size = os.path.getsize(real)
        if real in trained:
            seen.append(path)
        elif size in sizes:
            if size not in digests:
                digests[size] = {_digest(other) for other in sizes[size]}
            if _digest(real) in digests[size]:
                seen.append(path)
    return seen


def learnt_people(run: Run) -> set[str]:
    """Names of the classes of a run and of those whose weights it began with."""
    return {name for one in _with_earlier(run) if not one.multi_label for name in one.names}


def _images_of(run: Run, side: str) -> set[str]:
    """Absolute paths of one side of a run, and of those whose weights it began with."""
    trained: set[str] = set()
    for one in _with_earlier(run):
        frame = read_images(one.folder)
        both = one.recipe.train_on_validation and side == "train"
        sides = ["train", "validation"] if both else [side]
        frame = frame[frame["side"].isin(sides) & (frame["format"] != UNKNOWN_FORMAT)]
        roots = json.loads(one.path(ROOTS).read_text(encoding="utf-8"))
        pairs = zip(frame["side"], frame["path"], strict=True)
        trained |= {os.path.realpath(os.path.join(roots[side], path)) for side, path in pairs}
    return trained


def _with_earlier(run: Run) -> list[Run]:
    """A run and those whose weights it, or they, began with."""
    found: dict[pathlib.Path, Run] = {}
    one: Run | None = run
    while one is not None and one.folder.resolve() not in found:
        found[one.folder.resolve()] = one
        one = run_behind(one.recipe.weights)
    return list(found.values())


def run_behind(weights: str | None) -> Run | None:
    """The run that a recipe's ``weights`` are of, if they are of one.

    Warns:
        UserWarning: If the file is gone.
    """
    if weights in (None, "imagenet"):
        return None
    path = pathlib.Path(weights).resolve()
    if not path.is_file():
        warnings.warn(
            f"the weights that a run began with are not where they were, {path}: what they were "
            "trained on cannot be told from new images",
            stacklevel=5,
        )
        return None
    return Run(path.parent) if (path.parent / run_files.RECIPE).is_file() else None


def _digest(path: str) -> str:
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
