"""Run: a folder that holds all that a training left, complete by itself."""

from __future__ import annotations

import json
import os
import pathlib

import keras
import numpy as np
import pandas as pd

from kerasface.data.table import FaceTable
from kerasface.metrics.attributes import THRESHOLD
from kerasface.pipeline.predict import predict_table
from kerasface.runs.recipe import Recipe

RECIPE = "recipe.json"
CLASSES = "classes.json"
ATTRIBUTES = "attributes.json"
THRESHOLDS = "thresholds.json"
ENVIRONMENT = "environment.json"
HISTORY = "history.csv"
CURVES = "curves.png"
MODEL = "model.keras"
METRICS = "metrics.json"
UNREADABLE = "unreadable.csv"
CHECKPOINT = "checkpoint/state.npz"
FEATURES = "features"
REPORT = "report.html"
VALIDATION = "validation"


class Run:
    """A finished or unfinished training, opened from its folder.

    Args:
        folder: What `kerasface.train` wrote.

    Raises:
        FileNotFoundError: If the folder holds no run.

    Example:
        >>> run = Run("runs/hw2p2")  # doctest: +SKIP
        >>> run.metrics["best"]["val_accuracy"]  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder)
        if not (self.folder / RECIPE).is_file():
            raise FileNotFoundError(
                f"A run folder holds a {RECIPE}. Received: {os.fspath(folder)!r}, which "
                f"{'has none' if self.folder.is_dir() else 'does not exist'}."
            )

    def __repr__(self) -> str:
        return f"Run({os.fspath(self.folder)!r})"

    def path(self, name: str) -> pathlib.Path:
        """The path of one of the run's files."""
        return self.folder / name

    @property
    def recipe(self) -> Recipe:
        """The recipe that was trained."""
        return Recipe.from_json(self.path(RECIPE).read_text(encoding="utf-8"))

    @property
    def names(self) -> tuple[str, ...]:
        """Class or attribute names in the order of the model's outputs.

        Of an embedding model they are the people that it was trained on.
        """
        file = self.path(ATTRIBUTES if self.multi_label else CLASSES)
        return tuple(json.loads(file.read_text(encoding="utf-8")))

    @property
    def multi_label(self) -> bool:
        """Whether the outputs are attributes, several of which may hold for one image."""
        return self.path(ATTRIBUTES).is_file()

    @property
    def embeds(self) -> bool:
        """Whether the model gives embeddings and knows no classes."""
        return bool(self.recipe.embedding)

    @property
    def height_to_width(self) -> float:
        """Shape of the pictures that it learnt from: 1 for squares, more for upright ones."""
        if self.recipe.square_crop or not self.path(METRICS).is_file():
            return 1.0
        return self.metrics.get("height_to_width", 1.0)

    @property
    def thresholds(self) -> np.ndarray:
        """From which probability on each attribute is said, ``[attributes]``.

        They were chosen on the validation images; 0.5 where there were none.
        """
        if not self.path(THRESHOLDS).is_file():
            return np.full(len(self.names), THRESHOLD)
        chosen = json.loads(self.path(THRESHOLDS).read_text(encoding="utf-8"))
        return np.array([chosen[name] for name in self.names])

    @property
    def history(self) -> pd.DataFrame:
        """One row an epoch: ``epoch`` from 1, losses, metrics, learning rate, seconds."""
        if not self.path(HISTORY).is_file():
            return pd.DataFrame()
        return pd.read_csv(self.path(HISTORY))

    @property
    def metrics(self) -> dict:
        """The figures of the finished run: ``best`` and ``last`` epoch, speed, counts."""
        return json.loads(self._finished(METRICS).read_text(encoding="utf-8"))

    def load_model(self) -> keras.Model:
        """The model with the weights that the recipe keeps (the best epoch's by default)."""
        return keras.saving.load_model(self._finished(MODEL), compile=False)

    def predict(
        self, table: FaceTable, *, batch_size: int = 64, flip: bool = False, verbose: int = 0
    ) -> np.ndarray:
        """Probabilities of classes or attributes of images.

        Args:
            table: Which images; labels are not looked at.
            batch_size: Images a step.
            flip: Whether the probabilities of the mirrored image are averaged in.
            verbose: 1 shows a progress bar.

        Returns:
            float32 ``[len(table), len(names)]``, rows in the table's order.

        Raises:
            ValueError: If the run is of an embedding model.
        """
        if self.embeds:
            raise ValueError(
                "An embedding model knows no classes to predict. "
                f"Received: {os.fspath(self.folder)!r}. Use kerasface.embed, kerasface.verify or "
                "kerasface.identify (`kerasface verify`, `kerasface identify`)."
            )
        return predict_table(
            self.load_model(),
            table,
            batch_size=batch_size,
            crop=self.recipe.crop(training=False),
            flip=flip,
            verbose=verbose,
        )

    def _finished(self, name: str) -> pathlib.Path:
        if not self.path(name).is_file():
            raise FileNotFoundError(
                f"A finished run holds a {name}. Received: {os.fspath(self.folder)!r}, whose "
                "training has not come so far. Go on with it: resume=True, or --resume."
            )
        return self.path(name)
