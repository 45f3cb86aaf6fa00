"""Images and people that a run was trained on, including the runs that its weights come from."""

from __future__ import annotations

import hashlib
import os
import pathlib
import warnings
from collections import defaultdict

from kerasface.data.table import UNKNOWN_FORMAT, FaceTable
from kerasface.models.weights import PRETRAINED
from kerasface.runs import run as run_files
from kerasface.runs.record import read_images, read_roots
from kerasface.runs.run import Run


def seen_images(run: Run, table: FaceTable, partition: str = "train") -> list[str]:
    """Finds the images of a table that a run was trained on: the same files or copies of them.

    A run that started from the weights of another run was trained on the images of that run too.

    Args:
        run: The run. If its training images are missing, only paths are compared.
        table: Images to evaluate on.
        partition: ``"validation"`` finds the images that the run was validated on instead.

    Returns:
        Their relative paths, in the table's order.

    Warns:
        UserWarning: If images of the run are missing.
    """
    trained = _images_of(run, partition)
    sizes: dict[int, list[str]] = defaultdict(list)
    for path in trained:
        if os.path.isfile(path):
            sizes[os.path.getsize(path)].append(path)
    missing = len(trained) - sum(map(len, sizes.values()))
    if missing:
        warnings.warn(
            f"{missing} of the {len(trained)} {partition} images of the run are missing, so copies "
            "of them cannot be detected.",
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


def learned_people(run: Run) -> set[str]:
    """Returns the class names of a run and of the runs that its weights come from.

    Args:
        run: The run. Attributes are not people.
    """
    return {name for each in _with_ancestors(run) if not each.multi_label for name in each.names}


def run_behind(weights: str | os.PathLike[str] | None) -> Run | None:
    """Returns the run that weights come from, or None.

    Args:
        weights: Path of a file, the name of pretrained weights, or None.

    Warns:
        UserWarning: If the file is missing.
    """
    if weights is None or weights in PRETRAINED:
        return None
    path = pathlib.Path(weights).resolve()
    if not path.is_file():
        warnings.warn(
            f"The weights that a run started from are missing: {path}. Images that they were "
            "trained on cannot be detected.",
            stacklevel=5,
        )
        return None
    return Run(path.parent) if (path.parent / run_files.RECIPE).is_file() else None


def _images_of(run: Run, partition: str) -> set[str]:
    """Returns the paths of a partition of a run and of the runs that its weights come from."""
    trained: set[str] = set()
    for each in _with_ancestors(run):
        frame = read_images(each.folder)
        both = each.recipe.train_on_validation and partition == "train"
        wanted = ["train", "validation"] if both else [partition]
        frame = frame[frame["partition"].isin(wanted) & (frame["format"] != UNKNOWN_FORMAT)]
        roots = read_roots(each.folder)
        pairs = zip(frame["partition"], frame["path"], strict=True)
        trained |= {os.path.realpath(os.path.join(roots[name], path)) for name, path in pairs}
    return trained


def _with_ancestors(run: Run) -> list[Run]:
    """Returns a run, the run that its weights come from, and so on."""
    found: dict[pathlib.Path, Run] = {}
    current: Run | None = run
    while current is not None and current.folder.resolve() not in found:
        found[current.folder.resolve()] = current
        current = run_behind(current.weights_path)
    return list(found.values())


def _digest(path: str) -> str:
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
