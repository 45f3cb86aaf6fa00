"""Run: a folder with everything that a training wrote, complete by itself."""

from __future__ import annotations

import base64
import json
import os
import pathlib
from typing import Any

import keras
import numpy as np
import pandas as pd

from kerasface.cache import cached, file_key
from kerasface.data import notebook
from kerasface.data.image_list import ImageList
from kerasface.data.table import FaceTable
from kerasface.faces.preparation import Preparation
from kerasface.metrics.attributes import THRESHOLD
from kerasface.models.model_file import describe, load_model_file
from kerasface.models.weights import PRETRAINED
from kerasface.pipeline.predict import predict_table
from kerasface.runs.provenance import PROVENANCE, read_provenance
from kerasface.runs.recipe import Recipe

RECIPE = "recipe.json"
CLASSES = "classes.json"
ATTRIBUTES = "attributes.json"
THRESHOLDS = "thresholds.json"
ENVIRONMENT = "environment.json"
HISTORY = "history.csv"
CURVES = "curves.png"
MODEL = "model.keras"
ARCHITECTURE = "architecture.keras"  # of a user's own model, with its initial weights
METRICS = "metrics.json"
UNREADABLE = "unreadable.csv"
CHECKPOINT = "checkpoint/state.npz"
WEIGHTS = "weights.json"
FEATURES = "features"
REPORT = "report.html"
BY_GROUP = "by_group.csv"
VALIDATION = "validation"


class Run:
    """A finished or unfinished training, opened from its folder.

    Args:
        folder: Folder that `kerasface.train` wrote.

    Raises:
        FileNotFoundError: If the folder holds no run.
        NotADirectoryError: If it is a file.

    Example:
        >>> run = Run("runs/hw2p2")  # doctest: +SKIP
        >>> run.metrics["best"]["val_accuracy"]  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = pathlib.Path(folder)
        if self.folder.is_file():
            raise NotADirectoryError(
                f"A run is a folder. Received: {os.fspath(folder)!r}, {describe(self.folder)}."
            )
        if not (self.folder / RECIPE).is_file():
            raise FileNotFoundError(
                f"A run folder must have a {RECIPE}. Received: {os.fspath(folder)!r}, which "
                f"{'has none' if self.folder.is_dir() else 'does not exist'}."
            )

    def __repr__(self) -> str:
        words = [repr(os.fspath(self.folder))]
        for key, value in self._facts().items():
            texts = {"model": value, "epochs": f"{value} epochs", "damaged": f"damaged: {value}"}
            words.append(texts.get(key, f"{key} {value}"))
        return f"Run({', '.join(words)})"

    def _repr_html_(self) -> str:
        facts = {"folder": os.fspath(self.folder), **self._facts()}
        curves = ""
        if self.path(CURVES).is_file():
            data = base64.b64encode(self.path(CURVES).read_bytes()).decode()
            curves = f'<img src="data:image/png;base64,{data}" alt="Training curves">'
        return notebook.facts_html("Run", facts) + curves

    def _facts(self) -> dict[str, str]:
        """Model, epochs and best accuracy, as far as the folder has them."""
        try:
            recipe, history = self.recipe, self.history
        except (OSError, ValueError) as error:  # the repr of a damaged run must not raise
            return {"damaged": str(error)}
        facts = {"model": recipe.model, "epochs": f"{len(history)} of {recipe.total_epochs}"}
        if "val_accuracy" in history and history["val_accuracy"].notna().any():
            facts["best val_accuracy"] = f"{history['val_accuracy'].max():.1%}"
        return facts

    def path(self, name: str) -> pathlib.Path:
        """Returns the path of one of the run's files."""
        return self.folder / name

    @property
    def recipe(self) -> Recipe:
        """The recipe that was trained."""
        return Recipe.from_json(self.path(RECIPE).read_text(encoding="utf-8"))

    @property
    def weights_path(self) -> pathlib.Path | None:
        """Path of the weights file that the training started from.

        ``recipe.weights`` is the path as the user gave it, and ``weights.json`` holds the absolute
        path of that time. If this file is missing, the path as given is looked up from the working
        folder and from the folders above the run, since a project may have been moved as a whole.
        None for random initialization and pretrained weights.
        """
        weights = self.recipe.weights
        if weights is None or weights in PRETRAINED:
            return None
        if not self.path(WEIGHTS).is_file():  # an older run, whose recipe has the absolute path
            return pathlib.Path(weights)
        path = pathlib.Path(json.loads(self.path(WEIGHTS).read_text(encoding="utf-8"))["path"])
        if path.is_file():
            return path
        folder = self.folder.absolute()
        places = [pathlib.Path.cwd(), *folder.parents]
        moved = (pathlib.Path(os.path.abspath(place / weights)) for place in places)
        # Weights of this name in the run's own folder are its results.
        found = (file for file in moved if file.is_file() and folder not in file.parents)
        return next(found, path)

    @property
    def names(self) -> tuple[str, ...]:
        """Class or attribute names in the order of the model's outputs.

        For an embedding model these are the people that it was trained on.
        """
        file = self.path(ATTRIBUTES if self.multi_label else CLASSES)
        return tuple(json.loads(file.read_text(encoding="utf-8")))

    @property
    def provenance(self) -> dict[str, Any]:
        """Where the run comes from; empty for runs of version 0.1.

        ``kerasface`` (version), ``recipe`` (name, or None), ``command`` (command line of the
        process, or None in a notebook or an interactive session), ``git_commit`` (commit of the
        working folder, or None), ``started`` and ``finished`` (local time, ISO 8601; None while
        the run is unfinished), and ``resumed``: ``command`` and ``started`` of every resumption.
        """
        return read_provenance(self.path(PROVENANCE))

    @property
    def preparation(self) -> Preparation | None:
        """How the training images were cut out of photographs.

        It is known if the folder of training images, or a folder above it, has the ``crops.json``
        of `kerasface.faces.crop`; otherwise None.
        """
        return Preparation.from_crops(self.folder)

    @property
    def multi_label(self) -> bool:
        """Whether the outputs are attributes, several of which may hold for one image."""
        return self.path(ATTRIBUTES).is_file()

    @property
    def embeds(self) -> bool:
        """Whether the model outputs embeddings instead of classes."""
        return bool(self.recipe.embedding)

    @property
    def height_to_width(self) -> float:
        """Height of the training images divided by their width: 1 for squares."""
        if self.recipe.square_crop or not self.path(METRICS).is_file():
            return 1.0
        return self.metrics.get("height_to_width", 1.0)

    @property
    def thresholds(self) -> np.ndarray:
        """Minimum probability at which each attribute is predicted, ``[attributes]``.

        Chosen on the validation images; 0.5 without them.
        """
        if not self.path(THRESHOLDS).is_file():
            return np.full(len(self.names), THRESHOLD)
        chosen = json.loads(self.path(THRESHOLDS).read_text(encoding="utf-8"))
        return np.array([chosen[name] for name in self.names])

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch: ``epoch`` from 1, losses, metrics, learning rate, seconds."""
        if not self.path(HISTORY).is_file():
            return pd.DataFrame()
        return pd.read_csv(self.path(HISTORY))

    @property
    def metrics(self) -> dict[str, Any]:
        """Metrics of the finished run: ``best`` and ``last`` epoch, speed, counts."""
        return json.loads(self._finished(METRICS).read_text(encoding="utf-8"))

    def load_model(self) -> keras.Model:
        """Loads the model with the weights that the recipe keeps (by default the best epoch's)."""
        return load_model_file(self._finished(MODEL))

    def opened_model(self) -> keras.Model:
        """Returns the model for predictions, which all runs of this folder share.

        It stays open in kerasface's cache, and is loaded again if the file has changed. Use
        `load_model` for a model that you change.
        """
        return cached(("model", file_key(self._finished(MODEL))), self.load_model)

    def predict(
        self,
        table: FaceTable | ImageList,
        *,
        batch_size: int = 64,
        flip: bool | None = None,
        verbose: int = 0,
    ) -> np.ndarray:
        """Predicts the probabilities of classes or attributes.

        Args:
            table: The images, as a table or a list. Labels are ignored.
            batch_size: Batch size.
            flip: If True, average predictions over each image and its mirror image. None does not.
            verbose: 1 shows a progress bar.

        Returns:
            float32 ``[len(table), len(names)]``, rows in the table's order.

        Raises:
            ValueError: If the run trained an embedding model.
        """
        if self.embeds:
            raise ValueError(
                "An embedding model predicts no classes. "
                f"Received: {os.fspath(self.folder)!r}. Use kerasface.embed, kerasface.verify or "
                "kerasface.identify (`kerasface verify`, `kerasface identify`)."
            )
        return predict_table(
            self.opened_model(),
            table,
            batch_size=batch_size,
            crop=self.recipe.crop(training=False),
            flip=bool(flip),
            verbose=verbose,
        )

    def _finished(self, name: str) -> pathlib.Path:
        if not self.path(name).is_file():
            raise FileNotFoundError(
                f"A finished run must have a {name}. Received: {os.fspath(self.folder)!r}, whose "
                "training has not finished. Resume it with resume=True (--resume)."
            )
        return self.path(name)


def write_weights_path(folder: pathlib.Path, weights: str | None) -> None:
    """Writes the absolute path of the weights file of a new run, for `Run.weights_path`.

    Args:
        folder: The run's folder.
        weights: As in the recipe. Nothing is written for pretrained weights and None.
    """
    if weights is not None and weights not in PRETRAINED:
        text = json.dumps({"path": os.path.abspath(weights)}, ensure_ascii=False, indent=2) + "\n"
        (folder / WEIGHTS).write_text(text, encoding="utf-8")
