"""Shows metrics as text and as HTML in a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

SHOWN_ROWS = 10  # of a table in a notebook
LOW, HIGH = "_low", "_high"  # endings of the bounds of an interval


def text_column(values: Sequence[str] | np.ndarray) -> pd.Series:
    """Returns texts as a column of Python strings.

    pandas' own string type refuses file names whose bytes are not UTF-8.

    Args:
        values: Texts, ``[N]``.

    Returns:
        Series ``[N]`` of dtype object.
    """
    return pd.Series(list(values), dtype=object)


def metrics_text(title: str, metrics: Mapping[str, float], keys: Sequence[str]) -> str:
    """Returns metrics as text, one per line.

    Args:
        title: First line.
        metrics: Name to number. The bounds of ``auc`` are ``auc_low`` and ``auc_high``.
        keys: Metrics to show. Missing ones are left out.

    Returns:
        Lines of name, number and, if known, 95% interval.

    Example:
        >>> print(metrics_text("Test", {"auc": 0.9, "auc_low": 0.8, "auc_high": 1.0}, ["auc"]))
        Test
          auc  0.9000  (95% interval 0.8000 to 1.0000)
    """
    shown = [key for key in keys if key in metrics]
    width = max(map(len, shown), default=0)
    lines = [title]
    for key in shown:
        line = f"  {key:<{width}}  {_number(metrics[key])}"
        if f"{key}{LOW}" in metrics:
            low, high = (_number(metrics[f"{key}{end}"]) for end in (LOW, HIGH))
            line += f"  (95% interval {low} to {high})"
        lines.append(line)
    return "\n".join(lines)


def metrics_html(
    title: str, metrics: Mapping[str, float], tables: Mapping[str, pd.DataFrame]
) -> str:
    """Returns metrics and tables as HTML for a notebook.

    Args:
        title: Plain text above the tables.
        metrics: Name to number, with bounds as in `metrics_text`.
        tables: Title to table. Long tables are shortened to their first and last rows.

    Returns:
        HTML in which all texts are escaped.
    """
    bounds = {f"{key}{end}" for key in metrics if f"{key}{LOW}" in metrics for end in (LOW, HIGH)}
    rows = [
        [key, *(_number(metrics[name]) if name in metrics else "" for name in _with_bounds(key))]
        for key in metrics
        if key not in bounds
    ]
    columns = ["metric", "value", "95% interval, from", "to"]
    parts = [f"<p><b>{html.escape(title)}</b></p>"]
    parts.append(pd.DataFrame(rows, columns=columns).to_html(index=False))
    for name, frame in tables.items():
        parts.append(f"<p>{html.escape(name)} ({len(frame):,} rows)</p>")
        parts.append(
            frame.to_html(
                index=False, max_rows=SHOWN_ROWS, float_format="{:.4f}".format, na_rep="\u2013"
            )
        )
    # File names may contain bytes that are not UTF-8, which Python stores as lone surrogates.
    return "\n".join(parts).encode("utf-8", "replace").decode()


def _with_bounds(key: str) -> tuple[str, str, str]:
    return key, f"{key}{LOW}", f"{key}{HIGH}"


def _number(value: float) -> str:
    return f"{value:,.4f}" if isinstance(value, float) else f"{value:,}"
