"""Saving of training models: their parts and the states of their random layers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping
from typing import Any, ClassVar, Self

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


class SavesParts(SavesRandomStates):
    """Mixin for a `keras.Model` that consists of serializable parts, for instance other models.

    A subclass names its parts in `parts`. Each is an attribute and an argument of the constructor,
    as are ``name`` and ``dtype``. A subclass with further arguments adds them to `get_config`. List
    this class before `keras.Model`.
    """

    parts: ClassVar[tuple[str, ...]] = ()
    name: str
    dtype_policy: keras.DTypePolicy
    trainable: bool

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, the parts in serialized form."""
        return {
            **{key: keras.saving.serialize_keras_object(getattr(self, key)) for key in self.parts},
            "name": self.name,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "trainable": self.trainable,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        """Creates a model, without its weights, from the result of `get_config`."""
        # Keras empties the configs of functional models while it reads them.
        options = copy.deepcopy(config)
        for key in (*cls.parts, "dtype"):
            options[key] = keras.saving.deserialize_keras_object(options[key], custom_objects)
        trainable = options.pop("trainable", True)
        model = cls(**options)
        if not trainable:  # True would unfreeze layers that are frozen
            model.trainable = False
        return model
