"""Saving of random states with a training model."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any

import keras


class SavesRandomStates:
    """Mixin for a `keras.Model` that saves the states of all its random generators.

    Keras saves weights and optimizers, but not the states behind dropout. A loaded model would
    draw other numbers, and its next training step would differ from that of the original. List
    this class before `keras.Model`.
    """

    weights: list[keras.Variable]
    variables: list[keras.Variable]

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Writes the random states; called by ``model.save``."""
        for index, state in enumerate(self._random_states()):
            store[str(index)] = state

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads the random states; called by `keras.saving.load_model`."""
        states = self._random_states()
        if len(states) != len(store.keys()):
            raise ValueError(
                "The file and the model must have the same random layers. "
                f"Received: {len(store.keys())} random states for {len(states)} layers. "
                "Build the model with the same options as the saved one."
            )
        for index, state in enumerate(states):
            state.assign(store[str(index)])

    def _random_states(self) -> list[keras.Variable]:
        """Returns the variables that are not weights, in the order of the layers."""
        known = {id(weight) for weight in self.weights}
        return [variable for variable in self.variables if id(variable) not in known]
