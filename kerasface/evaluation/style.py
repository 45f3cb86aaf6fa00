"""What all figures share: colours, axes, titles and words that fit."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

TRAIN_COLOR = "#4c78a8"
VALIDATION_COLOR = "#e45756"
RATE_COLOR = "#79706e"


def plain_axis(axis: Axes) -> None:
    """A faint grid below what is drawn, and no frame above and on the right."""
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def set_title(figure: Figure, title: str | None) -> None:
    """The title, if there is one, taken literally."""
    if title:
        figure.suptitle(
            title.replace("$", r"\$"), x=0.01, ha="left", fontsize=12, fontweight="bold"
        )


def short(text: object, length: int) -> str:
    """One line of at most ``length`` characters that matplotlib takes literally."""
    line = " ".join(str(text).split()).encode("utf-8", "replace").decode()
    if len(line) > length:
        # Names of one family, and of one folder, often differ only in their end.
        tail = length // 3
        line = f"{line[: length - tail - 1]}\u2026{line[-tail:]}"
    return line.replace("$", r"\$")


def brief(count: float) -> str:
    """1234 as ``1.2k``, in the width of a cell."""
    if count >= 999_500:
        return f"{count / 1e6:.3g}M"
    return f"{count / 1e3:.3g}k" if count >= 1000 else f"{count:.0f}"
