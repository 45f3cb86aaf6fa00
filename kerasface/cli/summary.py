"""What a finished training prints: the result, the files and the next command."""

from __future__ import annotations

import json
import pathlib
import shlex
from typing import TYPE_CHECKING, Any

from kerasface.names import counted

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    from kerasface.runs.run import Run


def print_result(run: Run) -> None:
    """Prints the result of a finished run, and where its files are."""
    from kerasface.runs.run import MODEL, REPORT

    metrics = run.metrics
    kept, epochs = metrics[metrics["kept"]], len(run.history)
    speed = f"{metrics['images_per_second']:,.0f} images/s"
    print(f"\nResult      {_result(run, kept)}")
    print(f"Weights     of epoch {kept['epoch']}; trained {counted(epochs, 'epoch')}, {speed}")
    print(f"Run folder  {run.folder}")
    if run.path(REPORT).is_file():
        print(f"Report      {run.path(REPORT)}   (open it in any browser)")
    print(f"Model       {run.path(MODEL)}")


def _result(run: Run, kept: dict[str, Any]) -> str:
    """The result on the validation images with its interval."""
    file = run.path("validation") / "metrics.json"
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if "eer" in found:
        interval = _interval(found, "eer", "")
        return f"validation equal error rate {found['eer']:.1%} {interval}"
    if "mean_accuracy_at_half" in found:
        majority = f"{found['mean_majority_accuracy']:.1%}"
        return (
            f"validation mean accuracy {found['mean_accuracy_at_half']:.1%} "
            f"{_interval(found, 'mean_accuracy', '_at_half')}; majority guess {majority}"
        )
    if "accuracy" in found:
        return (
            f"validation accuracy {found['accuracy']:.1%} {_interval(found, 'accuracy', '')}; "
            f"chance {1 / found['classes']:.1%}"
        )
    if "val_accuracy" in kept:
        return f"validation accuracy {kept['val_accuracy']:.1%}"
    return f"no validation; training accuracy {kept['accuracy']:.1%}"


def _interval(metrics: dict[str, Any], name: str, suffix: str) -> str:
    low, high = (metrics[f"{name}_{end}{suffix}"] for end in ("low", "high"))
    return f"(95% interval {low:.1%} to {high:.1%})"


def next_command(run: Run, data: pathlib.Path | None = None, partition: str = "official") -> str:
    """Returns a command that works with a finished run and the images that it knows.

    Args:
        run: The run.
        data: The data folder, if it is known.
        partition: The partition of CelebA.
    """
    from kerasface.data import is_celeba
    from kerasface.runs.record import read_images, read_roots

    roots = {name: pathlib.Path(root) for name, root in read_roots(run.folder).items()}
    frame = read_images(run.folder)
    last = "validation" if "validation" in roots else "train"
    path = frame.loc[frame["partition"] == last, "path"].iloc[0]
    train, image = roots["train"], roots[last] / path
    tests = train.parent / "test"
    if run.embeds:
        probes = roots[last] if roots[last] != train else image.parent
        words = ["identify", train, probes, "--model", run.folder]
    elif run.multi_label and data is not None and is_celeba(data):
        same = [] if partition == "official" else ["--partition", partition]
        words = ["evaluate", run.folder, "--data", data, *same]
    elif not run.multi_label and train.name == "train" and tests.is_dir():
        words = ["submit", run.folder, tests, "--out", "submission.csv"]
        sample = train.parent / "sample_submission.csv"
        words += ["--sample", sample] if sample.is_file() else []
    else:
        words = ["predict", run.folder, image]
    return shlex.join(["kerasface", *map(str, words)])
