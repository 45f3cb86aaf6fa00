"""The page of a comparison: metrics, curves, paired tests and differences of the recipes."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kerasface import reports
from kerasface.metrics.attributes import THRESHOLD
from kerasface.metrics.paired import accuracy_difference, mcnemar
from kerasface.reports.charts import runs_section
from kerasface.reports.labels import label, labeled, recipe_label
from kerasface.reports.page import Headline, report_html
from kerasface.reports.sections import Scale, Section, scales_section, table_section
from kerasface.reports.values import Share, spell
from kerasface.runs import run as run_files
from kerasface.runs.evaluation import PREDICTIONS
from kerasface.runs.report import recipe_value
from kerasface.runs.run import Run

MOST_PAIRED = 5  # with more runs, only the best one is tested against the others
SIGNIFICANT = 0.05
METRIC_COLUMNS = (
    "run",
    "accuracy",
    "accuracy_low",
    "accuracy_high",
    "f1_macro_at_half",
    "auc_macro",
)
COST_COLUMNS = (
    "run",
    "parameters",
    "trainable_parameters",
    "epochs",
    "cached_epochs",
    "seconds_per_epoch",
    "inference_images_per_second",
)
CACHED_NOTE = (
    "Cached epochs train the head on stored features of the backbone. Their seconds do not include "
    "the backbone and cannot be compared with those of other epochs."
)
DIFFERENT_IMAGES = (
    "The runs were evaluated on different images: no paired test. Their accuracies can differ for "
    "that reason alone."
)


@dataclasses.dataclass(frozen=True)
class PairedTest:
    """Paired test of two runs on the same images.

    Attributes:
        first: Name of the better run.
        second: Name of the other run.
        images: Number of images.
        difference: Accuracy of the first run minus that of the second.
        low: Lower bound of its 95% interval.
        high: Upper bound of its 95% interval.
        only_first: Images that only the first run classifies correctly. None for attributes.
        only_second: Images that only the second run classifies correctly. None for attributes.
        p_value: Of McNemar's exact test. None for attributes.
    """

    first: str
    second: str
    images: int
    difference: float
    low: float
    high: float
    only_first: int | None = None
    only_second: int | None = None
    p_value: float | None = None


def comparison_html(frame: pd.DataFrame, runs: Mapping[str, Run]) -> str:
    """Returns the page of a comparison.

    Args:
        frame: Result of `kerasface.compare`, the best run first.
        runs: Name to run.
    """
    order = frame["run"].tolist()
    runs = {name: runs[name] for name in order}
    attributes = runs[order[0]].multi_label
    histories = {name: run.history for name, run in runs.items()}
    predictions = {name: _predictions(run) for name, run in runs.items()}
    tests = paired_tests(runs, predictions)
    guess = _guess(runs[order[0]], predictions[order[0]])
    sections = [
        _accuracies(frame, guess, attributes),
        runs_section(histories, reports.curves_overlay(histories), note=None),
        _metrics(frame),
        _paired(tests, attributes),
        _recipes(runs),
        _costs(frame),
    ]
    names = " and ".join(order) if len(order) == 2 else f"{len(order)} runs"
    today = datetime.date.today()
    return report_html(
        f"Comparison of {names}",
        sections,
        kind="comparison",
        about=[f"{today.day} {today:%B %Y}", f"{len(order)} runs"],
        headline=_headline(frame, tests, attributes),
    )


def paired_tests(
    runs: Mapping[str, Run], predictions: Mapping[str, pd.DataFrame]
) -> list[PairedTest]:
    """Tests runs that were evaluated on the same images against each other.

    Args:
        runs: Name to run, the best first.
        predictions: Name to what `kerasface.train` wrote about the validation images.

    Returns:
        All pairs of up to five runs; with more, the best run against each other one.
    """
    if len(runs) <= MOST_PAIRED:
        pairs = list(itertools.combinations(runs, 2))
    else:
        best, *others = runs
        pairs = [(best, other) for other in others]
    tests = []
    for first, second in pairs:
        run, frames = runs[first], (predictions[first], predictions[second])
        columns = ["path", *_label_columns(run)]
        truth = [frame.reindex(columns=columns) for frame in frames]
        if truth[0].equals(truth[1]):  # the same images with the same labels
            tests.append(_test(first, second, run, frames))
    return tests


def _test(
    first: str, second: str, run: Run, frames: tuple[pd.DataFrame, pd.DataFrame]
) -> PairedTest:
    if run.multi_label:
        labels = frames[0][_label_columns(run)].to_numpy(bool)
        columns = [f"p:{name}" for name in run.names]
        right = [(frame[columns].to_numpy() >= THRESHOLD) == labels for frame in frames]
        gap = accuracy_difference(*right)
        numbers = (gap.images, gap.difference, gap.difference_low, gap.difference_high)
        return PairedTest(first, second, *numbers)
    test = mcnemar(*(frame["correct"].to_numpy(bool) for frame in frames))
    return PairedTest(
        first,
        second,
        test.images,
        test.difference,
        test.difference_low,
        test.difference_high,
        test.only_a,
        test.only_b,
        test.p_value,
    )


def recipe_differences(runs: Mapping[str, Run]) -> pd.DataFrame:
    """Lists the recipe keys in which runs differ.

    Args:
        runs: Name to run.

    Returns:
        One row per key: its label and the value of each run.
    """
    recipes = {name: run.recipe for name, run in runs.items()}
    keys = [field.name for field in dataclasses.fields(next(iter(recipes.values())))]
    rows = []
    for key in keys:
        values = [recipe_value(getattr(recipe, key)) for recipe in recipes.values()]
        if len(set(values)) > 1:
            rows.append([recipe_label(key), *values])
    columns = pd.Index(["Setting", *recipes], dtype=object)
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _headline(frame: pd.DataFrame, tests: Sequence[PairedTest], attributes: bool) -> Headline:
    best, second = frame["run"].iloc[0], frame["run"].iloc[1]
    row = frame.iloc[0]
    kind = "mean accuracy" if attributes else "accuracy"
    text = (
        f"{best} has the highest {kind}, {row['accuracy']:.2%} (95% interval "
        f"{row['accuracy_low']:.2%} to {row['accuracy_high']:.2%})"
    )
    test = next((test for test in tests if (test.first, test.second) == (best, second)), None)
    if test is None:
        other = frame.iloc[1]
        return Headline(f"{text}; {second} has {other['accuracy']:.2%}, on other images.")
    gap = f"{100 * test.difference:.2f} points (95% interval {_points(test)})"
    clear = test.p_value < SIGNIFICANT if test.p_value is not None else test.low > 0
    verdict = (
        "more than chance alone explains"
        if clear
        else "which may be chance: the test does not tell the two apart"
    )
    return Headline(f"{text}. On the same images it is ahead of {second} by {gap}, {verdict}.")


def _points(test: PairedTest) -> str:
    return f"{100 * test.low:+.2f} to {100 * test.high:+.2f}"


def _accuracies(frame: pd.DataFrame, guess: float, attributes: bool) -> Section:
    kind = "mean accuracy" if attributes else "accuracy"
    scales = {
        str(row["run"]): Scale(
            kind,
            row["accuracy"],
            row["accuracy_low"],
            row["accuracy_high"],
            guess,
            "majority guess",
        )
        for row in frame.to_dict("records")
    }
    return scales_section(
        "Mean accuracy" if attributes else "Accuracy",
        scales,
        f"The bars are 95% intervals. The dashed line is the majority guess, {guess:.2%}. "
        "Intervals that overlap do not mean that there is no difference: see the paired tests.",
    )


def _metrics(frame: pd.DataFrame) -> Section:
    columns = [column for column in METRIC_COLUMNS if column in frame]
    return table_section(
        "Metrics",
        labeled(frame[columns]),
        "They are those of the kept weights on the validation images"
        + (", at threshold 0.5." if "f1_macro_at_half" in frame else "."),
        stacked=True,
    )


def _costs(frame: pd.DataFrame) -> Section:
    columns = [column for column in COST_COLUMNS if column in frame]
    cached = bool(frame["cached_epochs"].any())
    if not cached:
        columns.remove("cached_epochs")
    note = CACHED_NOTE if cached else None
    return table_section("Size and speed", labeled(frame[columns]), note, stacked=True)


def _paired(tests: Sequence[PairedTest], attributes: bool) -> Section:
    title = "Paired tests"
    if not tests:
        return Section(title, "", DIFFERENT_IMAGES)
    rows: list[dict[str, Any]] = []
    for test, adjusted in zip(tests, holm([test.p_value for test in tests]), strict=True):
        row = {
            "Runs": f"{test.first} and {test.second}",
            label("images"): test.images,
            "Difference": Share(test.difference),
            "95% interval": f"{spell(Share(test.low))} to {spell(Share(test.high))}",
        }
        if not attributes:
            row["Only the first is right"] = test.only_first
            row["Only the second is right"] = test.only_second
            row["p value"] = test.p_value
            if len(tests) > 1:
                row["p value (Holm)"] = adjusted
        rows.append(row)
    frame = pd.DataFrame(rows)
    frame["Difference"] = pd.Series([Share(test.difference) for test in tests], dtype=object)
    return table_section(title, frame, _paired_note(len(tests), attributes), stacked=True)


def _paired_note(tests: int, attributes: bool) -> str:
    if attributes:
        return (
            "The difference is the mean accuracy of the first run minus that of the second, at "
            "threshold 0.5, with its bootstrap interval over the images."
        )
    correction = ", and Holm's correction is for the number of tests" if tests > 1 else ""
    return (
        "The difference is the accuracy of the first run minus that of the second, on the same "
        f"images. The p value is that of McNemar's exact test{correction}."
    )


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Corrects p values for their number.

    Holm 1979, "A simple sequentially rejective multiple test procedure".

    Args:
        values: P values. None stays None and is not counted.

    Returns:
        Corrected p values in the order received.

    Example:
        >>> holm([0.01, 0.5])
        [0.02, 0.5]
    """
    known = sorted((value, place) for place, value in enumerate(values) if value is not None)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (value, place) in enumerate(known):
        highest = max(highest, min(1.0, value * (len(known) - rank)))
        corrected[place] = highest
    return corrected


def _recipes(runs: Mapping[str, Run]) -> Section:
    frame = recipe_differences(runs)
    title = "Differences between the recipes"
    if frame.empty:
        return Section(title, "", "The recipes are equal.")
    return table_section(title, frame, "All other keys are equal.", sortable=False, stacked=True)


def _predictions(run: Run) -> pd.DataFrame:
    return pd.read_csv(
        run.path(run_files.VALIDATION) / PREDICTIONS,
        dtype={"path": str, "label": str, "prediction": str},
        keep_default_na=False,
    )


def _label_columns(run: Run) -> list[str]:
    return [f"true:{name}" for name in run.names] if run.multi_label else ["label"]


def _guess(run: Run, frame: pd.DataFrame) -> float:
    """Accuracy of the majority guess on the images of a run."""
    if run.multi_label:
        share = frame[_label_columns(run)].to_numpy(float).mean(axis=0)
        return float(np.maximum(share, 1 - share).mean())
    return float(frame["label"].value_counts(normalize=True).max())
