"""How results are shown: a short text, and a table in notebooks."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np
import pandas as pd

from kerasface.reports.sections import facts_section, table_section


def short_repr(name: str, facts: Mapping[str, object]) -> str:
    """Writes a result on one line.

    Args:
        name: Name of the class.
        facts: Name to value. Floats get four significant digits; None is skipped.

    Example:
        >>> short_repr("Verified", {"pairs": 6000, "accuracy": 0.83217, "folder": None})
        'Verified(pairs=6000, accuracy=0.8322)'
    """
    words = [f"{key}={_spell(value)}" for key, value in facts.items() if value is not None]
    return f"{name}({', '.join(words)})"


def facts_html(facts: Mapping[str, object]) -> str:
    """Writes names and values as an HTML table, escaped, for ``_repr_html_``."""
    return facts_section("", facts).body


def frame_html(frame: pd.DataFrame) -> str:
    """Writes a table as HTML, escaped, for ``_repr_html_``."""
    return table_section("", frame).body


def _spell(value: object) -> str:
    if isinstance(value, (float, np.floating)):
        return f"{value:.4g}"
    return repr(os.fspath(value)) if isinstance(value, os.PathLike) else repr(value)
