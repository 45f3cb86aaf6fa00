"""Images and people that a run was trained on, including the runs that its weights come from."""

from __future__ import annotations

import hashlib
import os
import pathlib
import warnings
from collections import defaultdict

from kerasface.data.table import UNKNOWN_FORMAT, FaceTable
from kerasface.runs import run as run_files
from kerasface.runs.record import read_images, read_roots
from kerasface.runs.run import Run


def seen_images(run: Run, table: FaceTable, partition: str = "train") -> list[str]:
    """Finds the images of a table that a run was trained on: the same files or copies of them.

    A run that started from the weights of another run was trained on the images of that run too.

    Args:
        run: Its training images may be missing; then only paths are compared.
        table: Images to evaluate on.
        partition: ``"validation"`` finds the images that the run was validated on instead.

    Returns:
        Their paths, relative, in the table's order.

    Warns:
        UserWarning: If images of the run are missing.
    """
    trained = _images_of(run, partition)
    sizes: dict[int, list[str]] = defaultdict(list)
    for path in trained:
        if os.path.isfile(path):
            sizes[os.path.getsize(path)].append(path)
    lost = len(trained) - sum(map(len, sizes.values()))
    if lost:
        warnings.warn(
            f"{lost} of the {len(trained)} {partition} images of the run are missing: copies of "
            "them cannot be recognized",
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
    """Names of the classes of a run and of the runs that its weights come from."""
    return {name for one in _with_earlier(run) if not one.multi_label for name in one.names}


def run_behind(weights: str | os.PathLike[str] | None) -> Run | None:
    """Returns the run that weights come from, or None.

    Args:
        weights: Path of a file, ``"imagenet"`` or None.

    Warns:
        UserWarning: If the file is missing.
    """
    if weights is None or weights == "imagenet":
        return None
    path = pathlib.Path(weights).resolve()
    if not path.is_file():
        warnings.warn(
            f"the weights that a run started from are missing, {path}: the images that they were "
            "trained on cannot be recognized",
            stacklevel=5,
        )
        return None
    return Run(path.parent) if (path.parent / run_files.RECIPE).is_file() else None


def _images_of(run: Run, partition: str) -> set[str]:
    """Absolute paths of a partition of a run and of the runs that its weights come from."""
    trained: set[str] = set()
    for one in _with_earlier(run):
        frame = read_images(one.folder)
        both = one.recipe.train_on_validation and partition == "train"
        wanted = ["train", "validation"] if both else [partition]
        frame = frame[frame["partition"].isin(wanted) & (frame["format"] != UNKNOWN_FORMAT)]
        roots = read_roots(one.folder)
        pairs = zip(frame["partition"], frame["path"], strict=True)
        trained |= {os.path.realpath(os.path.join(roots[name], path)) for name, path in pairs}
    return trained


def _with_earlier(run: Run) -> list[Run]:
    """A run, the run that its weights come from, the run behind that one, and so on."""
    found: dict[pathlib.Path, Run] = {}
    one: Run | None = run
    while one is not None and one.folder.resolve() not in found:
        found[one.folder.resolve()] = one
        one = run_behind(one.weights_path)
    return list(found.values())


def _digest(path: str) -> str:
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
