"""The progress bar of the library: a bar on a terminal, a few lines elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

# Where standard error is not a terminal: time between lines, and shortest loop with a last line.
SECONDS_PER_LINE, SECONDS_OF_LAST_LINE = 30.0, 10.0
BAR = "{desc}: {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt}{unit} [{rate_noinv_fmt}, {remaining}]"
COUNTER = "{desc}: {n_fmt}{unit} [{rate_noinv_fmt}, {elapsed}]"  # without a known total
VERBOSE = (0, 1, 2, "auto")  # as in Keras

# Held by the bar that is shown; a bar that starts in the meantime stays silent.
_shown = threading.Lock()


class ProgressBar:
    """Shows the progress of a loop over images on standard error.

    A terminal gets a bar with images/s and the remaining time. A file or a pipe gets a line every
    30 seconds and one at the end, without carriage returns, and nothing from loops of less than
    10 seconds. Only one bar is shown at a time: a bar that starts inside another one is silent.

    Args:
        total: Number of images. None if it is not known.
        description: Title, for instance ``"Cropping"``.
        unit: What is counted, in the plural.
        initial: Number of images that were done before, for instance in a run that is resumed.
        leave: If False, the bar of a terminal is removed at the end, and there is no last line.
        verbose: 0 shows nothing. 1 (or 2 and ``"auto"``, as in Keras) shows the progress.

    Raises:
        ValueError: If ``verbose`` has another value.

    Example:
        >>> with ProgressBar(100, "Predicting") as bar:
        ...     for batch in range(4):
        ...         bar.update(25)
        >>> bar.done
        100
    """

    def __init__(
        self,
        total: int | None,
        description: str,
        *,
        unit: str = "images",
        initial: int = 0,
        leave: bool = True,
        verbose: int | str = 0,
    ) -> None:
        if verbose not in VERBOSE:
            raise ValueError(
                f"`verbose` must be 0 (silent) or 1 (progress). Received: verbose={verbose!r}."
            )
        self.total = total
        self.description = description
        self.unit = unit
        self.initial = initial
        self.leave = leave
        self.done = initial
        self._wanted = bool(verbose)
        self._owns_lock = False
        self._bar: Any = None  # tqdm has no types
        self._start = self._last_line = 0.0

    def __enter__(self) -> ProgressBar:
        self._start = self._last_line = time.monotonic()
        if self._wanted and sys.stderr is not None:
            self._owns_lock = _shown.acquire(blocking=False)
        if self._owns_lock and sys.stderr.isatty():
            self._bar = tqdm(
                total=self.total,
                initial=self.initial,
                desc=self.description,
                unit=f" {self.unit}",
                leave=self.leave,
                bar_format=COUNTER if self.total is None else BAR,
                dynamic_ncols=True,
                file=sys.stderr,
            )
        return self

    def update(self, count: int = 1) -> None:
        """Adds images that are done.

        Args:
            count: Number of images since the last call.
        """
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._owns_lock and time.monotonic() - self._last_line >= SECONDS_PER_LINE:
            self._last_line = time.monotonic()
            self._print(self._progress_line())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._owns_lock:
            return
        try:
            if self._bar is not None:
                self._bar.close()
                self._bar = None
            elif error is None and self.leave:
                seconds = time.monotonic() - self._start
                if seconds < SECONDS_OF_LAST_LINE:
                    return
                took = f"{tqdm.format_interval(seconds)} ({self._rate():,.1f} {self.unit}/s)"
                self._print(f"{self.description}: {self.done:,} {self.unit} in {took}")
        finally:
            self._owns_lock = False
            _shown.release()

    def _progress_line(self) -> str:
        rate = self._rate()
        speed = f"{rate:,.1f} {self.unit}/s"
        if self.total is None:
            return f"{self.description}: {self.done:,} {self.unit}, {speed}"
        share = self.done / max(self.total, 1)
        remaining = tqdm.format_interval(max(self.total - self.done, 0) / rate) if rate else "?"
        return (
            f"{self.description}: {self.done:,} of {self.total:,} {self.unit} ({share:.0%}), "
            f"{speed}, {remaining} remaining"
        )

    def _rate(self) -> float:
        seconds = time.monotonic() - self._start
        return (self.done - self.initial) / seconds if seconds > 0 else 0.0

    def _print(self, line: str) -> None:
        if sys.stderr is not None:
            print(line, file=sys.stderr, flush=True)


def track(
    items: Iterable[Item],
    total: int | None,
    description: str,
    *,
    size: Callable[[Item], int] | None = None,
    unit: str = "images",
    verbose: int | str = 0,
) -> Iterator[Item]:
    """Iterates over items, such as batches, and shows the progress.

    Args:
        items: The items.
        total: Number of images in all items. None if it is not known.
        description: Title of the progress bar.
        size: Function from an item to its number of images. None counts one per item.
        unit: What is counted, in the plural.
        verbose: As for `ProgressBar`.

    Yields:
        The items.

    Example:
        >>> batches = [[1, 2, 3], [4]]
        >>> [sum(batch) for batch in track(batches, 4, "Adding", size=len)]
        [6, 4]
    """
    with ProgressBar(total, description, unit=unit, verbose=verbose) as bar:
        for item in items:
            yield item
            bar.update(1 if size is None else size(item))
