"""`compare` compares runs by their metrics on their validation images."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import pandas as pd

from kerasface.files import check_file_to_write, replacing
from kerasface.inference.comparison_page import comparison_html
from kerasface.runs import run as run_files
from kerasface.runs.evaluation import AT_HALF
from kerasface.runs.run import Run


def compare(
    runs: Sequence[str | os.PathLike | Run], out: str | os.PathLike = "compare.html"
) -> pd.DataFrame:
    """Compares runs by their metrics on their validation images.

    Args:
        runs: Two or more finished runs with a validation table, or their folders.
        out: HTML page to write: accuracies with intervals, all training curves in one figure,
            the differences between the recipes and, for runs that were evaluated on the same
            images, McNemar's test (for attributes the bootstrap interval of the difference of
            their mean accuracies).

    Returns:
        One row per run, the best first: ``run``, ``model``, ``head``, ``accuracy``,
        ``accuracy_low``, ``accuracy_high`` (95% interval; for attributes the mean accuracy at
        threshold 0.5), for attributes ``f1_macro_at_half``, ``auc_macro``, ``parameters`` (all of
        them), ``trainable_parameters``, ``epochs``, ``cached_epochs`` (epochs on cached features,
        without the backbone), ``seconds_per_epoch`` (median), ``inference_images_per_second``.

    Raises:
        ValueError: If there are fewer than two runs, or one has no validation metrics.

    Example:
        >>> compare(["runs/a", "runs/b"], "compare.html")  # doctest: +SKIP
    """
    if isinstance(runs, (str, os.PathLike, Run)):
        raise ValueError(
            f"`runs` must be a list of at least two runs. Received: {runs!r}. "
            "Use compare([first, second])."
        )
    check_file_to_write("out", out, suffixes=(".html", ".htm"))
    opened = [run if isinstance(run, Run) else Run(run) for run in runs]
    if len(opened) < 2:
        raise ValueError(f"A comparison needs at least two runs. Received: {len(opened)}.")
    if len({(run.multi_label, run.names if run.multi_label else ()) for run in opened}) > 1:
        kinds = [
            f"{run.folder} of {len(run.names)} {'attributes' if run.multi_label else 'classes'}"
            for run in opened
        ]
        raise ValueError(
            "Only runs of classes, or of the same attributes, can be compared. "
            f"Received: {', '.join(kinds)}."
        )
    names = _distinct_names(opened)
    rows = [_row(name, run) for name, run in zip(names, opened, strict=True)]
    frame = pd.DataFrame(rows).sort_values("accuracy", ascending=False, kind="stable")
    with replacing(out) as part:
        part.write_text(
            comparison_html(frame, dict(zip(names, opened, strict=True))), encoding="utf-8"
        )
    return frame.reset_index(drop=True)


def _row(name: str, run: Run) -> dict[str, Any]:
    path = run.path(run_files.VALIDATION) / run_files.METRICS
    if run.embeds:
        raise ValueError(
            "Only runs of classes or attributes can be compared. "
            f"Received: {os.fspath(run.folder)!r}, an embedding model. "
            "Evaluate it on pairs: kerasface verify."
        )
    if not path.is_file():
        raise ValueError(
            "A comparison needs the validation metrics of each run. "
            f"Received: {os.fspath(run.folder)!r}, which has no {path.name} in "
            f"{run_files.VALIDATION}/. Train it with a validation table and report=True."
        )
    written = json.loads(path.read_text(encoding="utf-8"))
    keys = ("accuracy", "accuracy_low", "accuracy_high")
    names = [f"mean_{key}{AT_HALF}" for key in keys] if run.multi_label else keys
    return {
        "run": name,
        "model": run.recipe.model,
        "head": run.recipe.head or "own",
        **{key: written[name] for key, name in zip(keys, names, strict=True)},
        # At 0.5: the run's thresholds were chosen on these images, which would flatter it.
        **({f"f1_macro{AT_HALF}": written[f"f1_macro{AT_HALF}"]} if run.multi_label else {}),
        "auc_macro": written["auc_macro"],
        "parameters": run.metrics["parameters"],
        "trainable_parameters": run.metrics["trainable_parameters"],
        "epochs": len(run.history),
        "cached_epochs": _cached_epochs(run),
        "seconds_per_epoch": run.metrics["seconds_per_epoch"],
        "inference_images_per_second": written["inference_images_per_second"],
    }


def _cached_epochs(run: Run) -> int:
    epochs = run.history["epoch"]
    count = start = 0
    for part in run.recipe.parts():
        end = start + part.total_epochs
        if part.cached:  # early stopping may have ended the phase
            count += int(((epochs > start) & (epochs <= end)).sum())
        start = end
    return count


def _distinct_names(runs: Sequence[Run]) -> list[str]:
    """Folder names, with as much of their path as makes them different."""
    parts = [run.folder.resolve().parts for run in runs]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(path[-depth:]) for path in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(
        "A comparison needs different runs. "
        f"Received: {sorted({os.fspath(run.folder) for run in runs})}, one of them twice."
    )
