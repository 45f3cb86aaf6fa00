"""The page of an identification: its result, the CMC curve, wrong answers and all answers."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import pandas as pd

from kerasface import images
from kerasface.data.image_list import ImageList
from kerasface.reports.charts import cmc_section
from kerasface.reports.identification import cmc_curve
from kerasface.reports.labels import label, metric_facts, value
from kerasface.reports.page import Headline, report_html
from kerasface.reports.sections import (
    Picture,
    Scale,
    Section,
    facts_section,
    gallery_section,
    table_section,
)
from kerasface.reports.style import file_name
from kerasface.runs.evaluation import SHOWN_MISTAKES, THUMBNAIL
from kerasface.runs.evaluation_page import INTERVALS

NOBODY = "nobody"
SHOWN_ANSWERS = 200
TILES = ("rank1", "rank5", "identified", "false_positives", "accuracy", "known", "unknown")


def identification_html(
    answers: pd.DataFrame,
    metrics: Mapping[str, float],
    cmc: pd.DataFrame,
    probes: ImageList,
    people: int,
    threshold: float | None,
) -> str:
    """Returns the page of an identification.

    Args:
        answers: ``answers`` of `kerasface.inference.Identified`.
        metrics: Its metrics; empty for probes without labels.
        cmc: Its cumulative match characteristic.
        probes: The probes.
        people: Number of people in the gallery.
        threshold: Similarity below which the answer is nobody. None always names somebody.
    """
    sections: list[Section] = []
    if metrics.get("known"):
        note = "Share of the probes of known people whose person is among the first ranks."
        ranks = cmc[cmc["rank"] <= people]  # there are no others in a small gallery
        sections.append(cmc_section(ranks, cmc_curve(ranks), note=note))
    if metrics:
        sections.append(_mistakes(answers, probes))
    sections.append(_answers(answers))
    if metrics:
        sections.append(facts_section("All metrics", metric_facts(metrics), INTERVALS))
    today = datetime.date.today()
    return report_html(
        f"Identification of {_title(probes)}",
        sections,
        kind="identification",
        about=[
            f"{today.day} {today:%B %Y}",
            f"{len(answers):,} probes",
            f"{people:,} people in the gallery",
        ],
        headline=_headline(answers, metrics, people, threshold),
        tiles={label(key): value(key, metrics[key]) for key in TILES if key in metrics},
    )


def _title(probes: ImageList) -> str:
    return "images" if probes.table is None else probes.table.root.name or "images"


def _headline(
    answers: pd.DataFrame, metrics: Mapping[str, float], people: int, threshold: float | None
) -> Headline:
    named = int((answers["answer"] != "").sum())
    limit = "No threshold was used: somebody is always named."
    if threshold is not None:
        limit = (
            f"With the threshold {threshold:.4f}, {named:,} of {len(answers):,} probes get a name."
        )
    if not metrics.get("known"):
        return Headline(
            f"{len(answers):,} probes were compared with {people:,} people. {limit}",
        )
    low, high, chance = metrics["rank1_low"], metrics["rank1_high"], 1 / people
    return Headline(
        f"For {metrics['rank1']:.2%} of the {metrics['known']:,} probes of known people the right "
        f"person is the most similar one (95% interval {low:.2%} to {high:.2%}); a random choice "
        f"among {people:,} people would reach {chance:.2%}.",
        Scale("rank-1 accuracy", metrics["rank1"], low, high, chance, "chance"),
        limit,
    )


def _mistakes(answers: pd.DataFrame, probes: ImageList) -> Section:
    title = "Most confident mistakes"
    wrong = answers[answers["answer"] != answers["truth"]]
    shown = wrong.sort_values("score", ascending=False, kind="stable").head(SHOWN_MISTAKES)
    if shown.empty:
        return Section(title, "", "There are no mistakes.")
    pictures = []
    for place, row in shown.to_dict("index").items():
        caption = (
            f"true: {row['truth'] or 'not in the gallery'}\n"
            f"{row['score']:.3f}: {row['answer'] or NOBODY}\n{file_name(row['path'])}"
        )
        image = images.thumbnail(str(probes.sources[int(place)]), THUMBNAIL)
        pictures.append(Picture((image,), caption))
    return gallery_section(title, pictures, lead="Wrong answers with the highest similarity.")


def _answers(answers: pd.DataFrame) -> Section:
    first = answers.head(SHOWN_ANSWERS)
    columns: dict[str, Any] = {
        "File": first["path"],
        "Answer": first["answer"].map(lambda name: name or NOBODY),
        "Similarity": first["score"],
        "Most similar person": first["name1"],
    }
    if "truth" in answers:
        columns["True person"] = first["truth"].map(lambda name: name or "not in the gallery")
    note = None
    if len(answers) > SHOWN_ANSWERS:
        note = f"The first {SHOWN_ANSWERS} of {len(answers):,} probes. answers.csv has all."
    return table_section("Answers", pd.DataFrame(columns), note)
