"""Files of weights in a run folder: the checkpoint and the model."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kerasface.files import replacing
from kerasface.models.registry import CUSTOM_MODEL
from kerasface.runs import run as run_files
from kerasface.runs.recipe import Recipe
from kerasface.runs.run import Run
from kerasface.training.assemble import build_model, dtype_policy
from kerasface.training.averaging import assign
from kerasface.training.custom_model import float32_copy


class Checkpoint:
    """The state at the end of the last completed epoch, in one file.

    Args:
        folder: The run folder.
        model: The whole model. The model that is fitted may be its head.
        further: Variables that are trained with it but are not part of it, such as class centers.
    """

    def __init__(
        self, folder: pathlib.Path, model: keras.Model, further: Sequence[keras.Variable] = ()
    ):
        self.path = folder / run_files.CHECKPOINT
        self.model = model
        self.further = tuple(further)

    def epochs(self) -> int:
        """Number of completed epochs that the file holds; 0 without one."""
        if not self.path.is_file():
            return 0
        with np.load(self.path) as saved:
            return int(saved["epochs"])

    def save(
        self, fitted: keras.Model, *, epochs: int, phase: int, raw: list[np.ndarray] | None = None
    ) -> None:
        """Writes the file.

        Args:
            fitted: The model that is fitted, with its optimizer.
            epochs: Number of completed epochs.
            phase: Index of the phase.
            raw: The trainable variables of ``fitted`` as the optimizer left them, while their
                moving averages replace them; None takes the variables.
        """
        state = {id(variable): variable for variable in self._variables()}
        if raw is not None:
            pairs = zip(fitted.trainable_variables, raw, strict=True)
            state |= {id(variable): value for variable, value in pairs}
        values: dict[str, Any] = {
            "epochs": np.asarray(epochs),
            "phase": np.asarray(phase),
            "policy": np.asarray(self.model.dtype_policy.name),
        }
        values |= {_key("model", i): np.asarray(v) for i, v in enumerate(state.values())}
        for i, variable in enumerate(fitted.optimizer.variables):
            values[_key("optimizer", i)] = np.asarray(variable)
        with replacing(self.path) as part:
            np.savez(part, **values)

    def restore(self, optimizer: keras.optimizers.Optimizer, *, phase: int) -> None:
        """Restores the whole model, and the optimizer if the file is of the same phase.

        A new phase continues with the weights alone; its optimizer is new.

        Args:
            optimizer: Of the model that will be fitted, compiled and built.
            phase: Index of the phase that will be fitted.

        Raises:
            ValueError: If the file is from an older version, or from another precision.
        """
        policy = self.model.dtype_policy.name
        with np.load(self.path) as saved:
            if "phase" not in saved:
                raise ValueError(
                    "A checkpoint must have this version's format. "
                    f"Received: {self.path}, which an older version wrote. "
                    "Resume with that version, or start a new run."
                )
            if str(saved["policy"]) != policy:
                raise ValueError(
                    "A run must be resumed in the precision that it started with. "
                    f"Received: {policy} where it was {saved['policy']}; "
                    "precision='auto' depends on whether there is a GPU. "
                    "Resume on the same kind of machine."
                )
            state = self._variables()
            assign(state, [saved[_key("model", i)] for i in range(len(state))])
            if int(saved["phase"]) == phase:
                state = optimizer.variables
                assign(state, [saved[_key("optimizer", i)] for i in range(len(state))])

    def _variables(self) -> list[keras.Variable]:
        return [*self.model.variables, *self.further]


def _key(kind: str, index: int) -> str:
    return f"{kind}-{index:05d}"


class ModelFile:
    """``model.keras`` of a run folder.

    The file is always float32, so that it also runs fast on CPUs when it was trained in half
    precision, and never compiled, so that no optimizer state doubles its size.

    Args:
        folder: The run folder.
        recipe: The recipe of the run.
        model: The whole model.
    """

    def __init__(self, folder: pathlib.Path, recipe: Recipe, model: keras.Model):
        self.folder = folder
        self.recipe = recipe
        self.model = model
        self._copy: keras.Model | None = None

    def save(self, weights: list[np.ndarray]) -> None:
        """Writes the model with some weights.

        Args:
            weights: As ``get_weights`` of the whole model returns them.
        """
        if self._copy is None:
            self._copy = self._float32_copy()
        self._copy.set_weights(weights)
        # If the run was finished before, these describe other weights.
        for name in (run_files.METRICS, run_files.THRESHOLDS, run_files.REPORT):
            (self.folder / name).unlink(missing_ok=True)
        shutil.rmtree(self.folder / run_files.VALIDATION, ignore_errors=True)
        with replacing(self.folder / run_files.MODEL) as part:
            self._copy.save(part)

    def _float32_copy(self) -> keras.Model:
        if self.recipe.model == CUSTOM_MODEL:
            return float32_copy(self.model)
        run = Run(self.folder)
        with dtype_policy("float32"):
            return build_model(self.recipe, len(run.names), multi_label=run.multi_label, empty=True)
