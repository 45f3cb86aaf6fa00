"""What a page shows of an evaluation: its result, numbers, figures, tables and pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kerasface.metrics import confusion
from kerasface.metrics.classification import ClassificationMetrics
from kerasface.reports.charts import confusion_section, roc_section
from kerasface.reports.labels import AT_HALF, bound_key, label, labeled, metric_facts, value
from kerasface.reports.page import Headline
from kerasface.reports.sections import (
    Picture,
    Scale,
    Section,
    facts_section,
    figure_section,
    gallery_section,
    table_section,
)

if TYPE_CHECKING:
    from kerasface.metrics.probability import ProbabilityFit
    from kerasface.runs.pair_evaluation import PairEvaluation

SHOWN_CLASSES = 200
SHOWN_CONFUSED = 25
CLASS_TILES = ("accuracy", "top5_accuracy", "f1_macro", "auc_macro", "images", "classes")
ATTRIBUTE_TILES = (
    "mean_accuracy_at_half",
    "mean_majority_accuracy",
    "f1_macro",
    "auc_macro",
    "images",
    "attributes",
)
PAIR_TILES = (
    "accuracy",
    "balanced_accuracy",
    "eer",
    "auc",
    "tar_at_far_0.001",
    "tar_at_far_0.01",
    "pairs",
)
# Columns of the page; `per_attribute.csv` has more.
ATTRIBUTE_COLUMNS = (
    "name",
    "positives",
    "majority_accuracy",
    f"accuracy{AT_HALF}",
    f"gain{AT_HALF}",
    "threshold",
    "f1",
    "auc",
    "average_precision",
)
INTERVALS = "Ranges in parentheses are 95% intervals."
CLASS_LEAD = "Wrong predictions with the highest probability, the most confident first."
ATTRIBUTE_LEAD = "Wrong attributes at threshold 0.5. Those furthest from the threshold come first."
CONFUSION, MISTAKES, ROC, SCORES = "Confusion", "Most confident mistakes", "ROC", "Scores"
PROBABILITY = "Probability"
PAIRS_BY_GROUP = (
    "Both images of a pair are in the group. The equal error rate is at the group's own threshold, "
    "the false and the true accept rate are at the threshold of all pairs. People of one group "
    "look more alike, so their false accept rate may be larger than that of all pairs."
)
IMAGES_BY_GROUP = (
    "Ranges are 95% intervals. For attributes, the threshold is 0.5, and the attributes that make "
    "the groups are left out."
)


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationPage:
    """What a page shows of an evaluation.

    Attributes:
        headline: The result in one sentence.
        tiles: The most important numbers, by label.
        sections: Figures, tables and pictures.
    """

    headline: Headline
    tiles: Mapping[str, Any]
    sections: tuple[Section, ...]


def class_page(
    result: ClassificationMetrics,
    metrics: Mapping[str, float],
    outcomes: tuple[np.ndarray, np.ndarray, Sequence[str]],
    figures: Mapping[str, Figure],
    mistakes: Sequence[Picture],
    on: str,
) -> EvaluationPage:
    """Makes the page of a classification.

    Args:
        result: The metrics with their tables.
        metrics: All numbers to show.
        outcomes: Labels ``[N]``, predictions ``[N]`` and class names ``[C]``.
        figures: Title to figure.
        mistakes: The most confident mistakes.
        on: The images, for instance ``"the validation images"``.
    """
    labels, predictions, names = outcomes
    pairs = confusion.confused_pairs(labels, predictions, names, SHOWN_CONFUSED)
    matrix = confusion_section(labels, predictions, names, figures[CONFUSION], pairs)
    sections = [matrix, _per_class(result.per_class), _mistakes(mistakes, CLASS_LEAD)]
    sections += [
        figure_section(title, figure)
        for title, figure in figures.items()
        if title not in (CONFUSION, MISTAKES)
    ]
    guess = float(np.bincount(labels).max() / len(labels))
    return EvaluationPage(
        class_headline(metrics, guess, on),
        _tiles(metrics, CLASS_TILES),
        (*sections, facts_section("All metrics", metric_facts(metrics), INTERVALS)),
    )


def class_headline(metrics: Mapping[str, float], guess: float, on: str) -> Headline:
    """Returns the result of a classification in one sentence.

    Args:
        metrics: ``accuracy``, ``accuracy_low``, ``accuracy_high``, ``images``.
        guess: Accuracy of always guessing the most frequent class.
        on: The images.
    """
    low, high = metrics["accuracy_low"], metrics["accuracy_high"]
    sentence = (
        f"{metrics['accuracy']:.2%} of {on} are classified correctly (95% interval {low:.2%} to "
        f"{high:.2%}); always guessing the most frequent class would reach {guess:.2%}."
    )
    scale = Scale("accuracy", metrics["accuracy"], low, high, guess, "majority guess")
    return Headline(sentence, scale)


def attribute_page(
    metrics: Mapping[str, float],
    per_attribute: pd.DataFrame,
    figures: Mapping[str, Figure],
    mistakes: Sequence[Picture],
    on: str,
    chosen: bool,
) -> EvaluationPage:
    """Makes the page of attributes.

    Args:
        metrics: All numbers to show.
        per_attribute: One row per attribute.
        figures: Title to figure.
        mistakes: The most confident mistakes.
        on: The images.
        chosen: Whether the thresholds were chosen on the validation images of the run.
    """
    key = f"mean_accuracy{AT_HALF}"
    accuracy, guess = metrics[key], metrics["mean_majority_accuracy"]
    low, high = (metrics[bound_key(key, end)] for end in ("low", "high"))
    where = "chosen on the run's validation images" if chosen else "0.5"
    headline = Headline(
        f"On {on}, {accuracy:.2%} of the attributes are predicted correctly at threshold 0.5 (95% "
        f"interval {low:.2%} to {high:.2%}); always guessing the more frequent value would reach "
        f"{guess:.2%}.",
        Scale("mean accuracy", accuracy, low, high, guess, "majority guess"),
        f"Macro F1 is {metrics['f1_macro']:.3f} at the thresholds of the run, which are {where}.",
    )
    columns = per_attribute[list(ATTRIBUTE_COLUMNS)]
    table = table_section(
        "Attributes",
        labeled(columns.sort_values(f"gain{AT_HALF}", ascending=False, kind="stable")),
        "The gain is the accuracy minus that of the majority guess. F1 is that at the threshold of "
        "the attribute. per_attribute.csv has more columns.",
    )
    drawn = [figure_section(title, figure) for title, figure in figures.items()]
    return EvaluationPage(
        headline,
        _tiles(metrics, ATTRIBUTE_TILES),
        (
            *drawn[:1],
            table,
            _mistakes(mistakes, ATTRIBUTE_LEAD),
            *drawn[1:],
            facts_section("All metrics", metric_facts(metrics), INTERVALS),
        ),
    )


def pair_page(
    evaluation: PairEvaluation,
    figures: Mapping[str, Figure],
    on: str,
    note: str | None = None,
    *,
    by_group: pd.DataFrame | None = None,
) -> EvaluationPage:
    """Makes the page of pairs of images.

    Args:
        evaluation: The pairs with their scores.
        figures: Title to figure, from `PairEvaluation.draw`.
        on: The pairs, for instance ``"pairs of the validation images"``.
        note: What is shown below the result.
        by_group: Result of `kerasface.metrics.groups.verification_by_group`.
    """
    metrics, scored = evaluation.metrics, (evaluation.scores, evaluation.pairs.same)
    low, high = metrics["accuracy_low"], metrics["accuracy_high"]
    guess = metrics["majority_accuracy"]
    headline = Headline(
        f"{metrics['accuracy']:.2%} of {on} are decided correctly (95% interval {low:.2%} to "
        f"{high:.2%}); always giving the more frequent answer would reach {guess:.2%}. The "
        f"balanced accuracy is {metrics['balanced_accuracy']:.2%}.",
        Scale("accuracy", metrics["accuracy"], low, high, guess, "always the same answer"),
        note,
    )
    return EvaluationPage(
        headline,
        _tiles(metrics, PAIR_TILES),
        (
            roc_section(
                {"true accept rate": scored},
                figures[ROC],
                note="The further the curve is to the upper left, the better. In the gray area a "
                "rate depends on fewer than ten pairs.",
            ),
            figure_section(
                "Similarities",
                figures[SCORES],
                "The less the two histograms overlap, the better.",
            ),
            _thresholds(evaluation.result.operating_points),
            *_probability(evaluation.probability, figures),
            *([] if by_group is None else [group_section(by_group, PAIRS_BY_GROUP)]),
            gallery_section(
                "Worst pairs",
                evaluation.worst_pictures,
                lead="First the least similar pairs of the same person, then the most similar "
                "pairs of different people.",
            ),
            table_section(
                "Folds",
                labeled(evaluation.result.per_fold),
                "Each fold is decided at the threshold that is best for the other folds. For the "
                "balanced accuracy this is the best threshold if both kinds of pairs weigh the "
                "same.",
            ),
            facts_section(
                "All metrics",
                metric_facts(metrics),
                "Ranges in parentheses are 95% bootstrap intervals over "
                f"{evaluation.result.resampled}.",
            ),
        ),
    )


def _per_class(frame: pd.DataFrame) -> Section:
    shown = frame[frame["images"] > 0].sort_values("accuracy", kind="stable")
    note = None
    if len(shown) > SHOWN_CLASSES:
        note = (
            f"These are the {SHOWN_CLASSES} classes with the lowest accuracy of {len(shown):,}. "
            "All are in per_class.csv."
        )
    return table_section("Classes", labeled(shown.head(SHOWN_CLASSES)), note)


def _thresholds(points: pd.DataFrame) -> Section:
    measured = points["refused"] == ""
    missing = [f"{100 * rate:.4g}%" for rate in points.loc[~measured, "wanted_far"]]
    note = "A threshold is only measured where at least ten false accepts are expected."
    if missing:
        note += f" There are too few pairs of different people for {', '.join(missing)}."
    return table_section(
        "Thresholds",
        labeled(points[measured].drop(columns="refused")),
        note,
        lead="The lowest threshold for each wanted false accept rate, with its rates on these "
        "pairs.",
        stacked=True,
    )


def group_section(by_group: pd.DataFrame, note: str) -> Section:
    """Makes the section of results by group.

    Args:
        by_group: A result of `kerasface.metrics.groups`.
        note: What is shown below the table.
    """
    return table_section("By group", labeled(by_group), note, stacked=True)


def _probability(fit: ProbabilityFit | None, figures: Mapping[str, Figure]) -> list[Section]:
    if fit is None:
        return []
    ranges = [f"{100 * low:.0f} to {100 * high:.0f}%" for low, high in fit.bounds]
    table = labeled(fit.reliability[["pairs", "probability", "genuine_share"]])
    table.insert(0, "Range", ranges)
    words = (
        f"The probability of the same person is 1 / (1 + exp(-({fit.slope:.2f} * similarity "
        f"{'+' if fit.intercept >= 0 else '-'} {abs(fit.intercept):.2f}))). It holds where pairs "
        "of the same person are as frequent as pairs of different people. The figure shows "
        f"left-out folds, whose {fit.left_out} the formula was not fitted to: log loss "
        f"{fit.log_loss:.3f} (0.693 without knowledge), expected calibration error "
        f"{fit.calibration_error:.1%}."
    )
    return [
        figure_section(PROBABILITY, figures[PROBABILITY], lead=words),
        table_section(
            "Calibration of the probability",
            table,
            "A calibrated probability equals the share of pairs of the same person, with both "
            "kinds of pairs weighing the same.",
            stacked=True,
        ),
    ]


def _mistakes(pictures: Sequence[Picture], lead: str) -> Section:
    if not pictures:
        return Section(MISTAKES, "", "There are no mistakes.")
    return gallery_section(MISTAKES, pictures, lead=lead)


def _tiles(metrics: Mapping[str, float], keys: Sequence[str]) -> dict[str, Any]:
    return {label(key): value(key, metrics[key]) for key in keys if key in metrics}
