"""What a training shows while it runs: a progress bar per epoch, or a line."""

from __future__ import annotations

import sys
import time
from typing import Any

import keras
import numpy as np
from tqdm import tqdm

from kerasface.progress import ProgressBar

BAR, LINES = 1, 2


def shown_verbosity(verbose: int | str) -> int:
    """Returns 0 for nothing, 1 for a bar and a line per epoch, and 2 for lines alone.

    Args:
        verbose: As in `kerasface.train`. ``"auto"`` is 1 on a terminal, otherwise 2.
    """
    if verbose == "auto":
        return BAR if sys.stderr is not None and sys.stderr.isatty() else LINES
    return int(verbose)


class EpochLog(keras.callbacks.Callback):
    """Shows the progress of every epoch, and prints a line with its metrics.

    Args:
        epochs: Last epoch of the whole training.
        train_images: Number of training images.
        train_steps: Number of training batches per epoch.
        validation_images: Number of validation images; 0 without validation.
        verbose: From `shown_verbosity`.
    """

    def __init__(
        self,
        epochs: int,
        train_images: int,
        train_steps: int,
        validation_images: int = 0,
        *,
        verbose: int = BAR,
    ):
        super().__init__()
        self.epochs = epochs
        self.train_images = train_images
        self.train_steps = train_steps
        self.validation_images = validation_images
        self.verbose = verbose
        self._bar: ProgressBar | None = None
        self._started = 0.0
        self._trained = 0.0  # seconds of training, without validation
        self._seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._started = time.perf_counter()
        self._trained = 0.0
        if self.verbose == BAR:
            total = self.train_images + self.validation_images
            title = f"Epoch {epoch + 1}/{self.epochs}"
            self._bar = ProgressBar(total, title, leave=False, verbose=1)
            self._bar.__enter__()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        done = self.train_images * (batch % self.train_steps + 1) // self.train_steps
        self._advance_to(done)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._trained:
            self._trained = time.perf_counter() - self._started

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        size = self.train_images / self.train_steps
        done = min(self.validation_images, round((batch + 1) * size))
        self._advance_to(self.train_images + done)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.close()
        seconds = time.perf_counter() - self._started
        self._seconds.append(seconds)
        speed = self.train_images / max(self._trained or seconds, 1e-3)
        left = self.epochs - epoch - 1
        remaining = f", {_duration(left * self._typical())} left" if left else ""
        parts = [
            f"Epoch {epoch + 1:>{len(str(self.epochs))}}/{self.epochs}",
            *(_metric(name, value) for name, value in _ordered(logs or {})),
            f"{speed:,.0f} images/s",
            f"{_duration(seconds)}{remaining}",
        ]
        print("  ".join(parts), flush=True)

    def close(self) -> None:
        """Removes the bar, also after an error."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def _advance_to(self, done: int) -> None:
        if self._bar is not None:
            self._bar.update(max(0, done - self._bar.done))

    def _typical(self) -> float:
        """Seconds of an epoch; the first one also builds the graph."""
        return float(np.median(self._seconds[1:] or self._seconds))


def _ordered(logs: dict[str, Any]) -> list[tuple[str, float]]:
    """The metrics as numbers: those of the training first."""
    values = {name: float(np.mean(value)) for name, value in logs.items()}
    return sorted(
        values.items(), key=lambda item: (item[0].startswith("val_"), not item[0].endswith("loss"))
    )


def _metric(name: str, value: float) -> str:
    return f"{name} {value:.1%}" if name.endswith("accuracy") else f"{name} {value:.4f}"


def _duration(seconds: float) -> str:
    """Seconds below a minute, otherwise minutes and seconds, or hours."""
    return f"{seconds:.0f} s" if seconds < 60 else tqdm.format_interval(seconds)
