"""Muon: an optimizer that orthogonalizes the momentum of every kernel."""

from __future__ import annotations

import inspect
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import keras
from keras import ops

from kerasface.checks import check_number
from kerasface.names import unknown_argument

if TYPE_CHECKING:
    import tensorflow as tf

# Coefficients of the quintic iteration, which moves singular values close to 1 in a few steps
# (Jordan et al. 2024).
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# Root mean square of an update with a learning rate of 1, about that of AdamW (Liu et al. 2025).
# With it, learning rates and weight decay made for AdamW fit.
UPDATE_SIZE = 0.2


@keras.saving.register_keras_serializable(package="kerasface")
class Muon(keras.optimizers.Optimizer):
    """Muon for kernels, including those of convolutions, and AdamW for all other variables.

    `keras.optimizers.Muon` only treats dense kernels. Here the kernel of a convolution is a matrix
    of shape ``[height * width * inputs, filters]``. Muon often needs fewer steps than AdamW. A step
    takes longer, because it multiplies 15 pairs of matrices per kernel.

    A model that is compiled with this optimizer can be saved with ``model.save`` and loaded with
    `keras.saving.load_model`; import `kerasface.custom_objects` before loading. Unlike Keras's
    optimizers, it also saves which variables `exclude_from_weight_decay` excludes.

    Sources: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the size
    of the updates: Liu et al. 2025, arXiv:2502.16982.

    Args:
        learning_rate: Float, or a `keras.optimizers.schedules` schedule.
        momentum: Nesterov momentum of the kernels, in [0, 1).
        beta_1: AdamW's decay rate of the first moments of the other variables, in [0, 1).
        beta_2: AdamW's decay rate of the second moments, in [0, 1).
        epsilon: AdamW's constant for numerical stability, at least 0.
        exclude_layers: Names of layers, or paths such as ``"block/dense"``, whose kernels are
            updated by AdamW. Name the layer that makes the classes here.
        name: Name of the optimizer.
        **options: Further arguments of `keras.optimizers.Optimizer`, for instance ``weight_decay``
            and ``use_ema``.

    Raises:
        TypeError: If there is no such argument.
        ValueError: If a number is out of range.

    Example:
        >>> model.compile(Muon(2e-3, weight_decay=0.05, exclude_layers=["head_logits"]),
        ...               "categorical_crossentropy")  # doctest: +SKIP
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-3,
        *,
        momentum: float = 0.95,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        exclude_layers: Sequence[str] = (),
        name: str = "muon",
        **options: Any,
    ) -> None:
        own = inspect.signature(Muon.__init__).parameters
        known = [*own, *inspect.signature(keras.optimizers.AdamW).parameters]
        for key, value in options.items():
            if key not in known:
                raise TypeError(unknown_argument("Muon", key, value, known))
        super().__init__(learning_rate, name=name, **options)
        for key, value in (("momentum", momentum), ("beta_1", beta_1), ("beta_2", beta_2)):
            check_number(key, value, 0, 1, below=True)
        check_number("epsilon", epsilon, 0, math.inf, below=True)
        self.momentum = float(momentum)
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)
        self.exclude_layers = list(exclude_layers)
        # Positions among the variables of `build`; before it, paths of variables.
        self._undecayed: list[int | str] = []
        self._undecayed_names: list[str] = []
        self._undecayed_ids: frozenset[int] = frozenset()

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Creates a momentum for every variable and a second moment for those of AdamW."""
        if self.built:
            return
        positions = [
            position
            for position, variable in enumerate(variables)
            if self._is_undecayed(position, variable)
        ]
        if positions or self._undecayed_names:
            excluded = [variables[position] for position in positions]
            super().exclude_from_weight_decay(excluded, self._undecayed_names)
        # Paths are not unique: nested models may have layers of equal names.
        self._undecayed = list(positions)
        super().build(variables)
        self.momentums = [
            self.add_variable_from_reference(variable, "momentum") for variable in variables
        ]
        self.velocities = [
            None
            if self.is_kernel(variable)
            else self.add_variable_from_reference(variable, "velocity")
            for variable in variables
        ]

    def exclude_from_weight_decay(
        self,
        var_list: Sequence[keras.Variable] | None = None,
        var_names: Sequence[str] | None = None,
    ) -> None:
        """Excludes variables from weight decay; call it before the optimizer is built.

        Args:
            var_list: Variables to exclude.
            var_names: Strings. A variable whose name contains one of them is excluded.
        """
        super().exclude_from_weight_decay(var_list, var_names)
        self._undecayed = [variable.path for variable in var_list or ()]
        self._undecayed_ids = frozenset(id(variable) for variable in var_list or ())
        self._undecayed_names = list(var_names or ())

    def _is_undecayed(self, position: int, variable: keras.Variable) -> bool:
        """Whether a variable of `build` is in the list of those that are not decayed."""
        if self._undecayed_ids:
            return id(variable) in self._undecayed_ids
        return position in self._undecayed or variable.path in self._undecayed

    def is_kernel(self, variable: keras.Variable) -> bool:
        """Returns whether Muon updates a variable; it does not update depthwise kernels."""
        shape = variable.shape
        excluded = any(f"/{name}/" in f"/{variable.path}/" for name in self.exclude_layers)
        return len(shape) >= 2 and shape[-1] > 1 and not excluded

    def update_step(
        self, gradient: tf.Tensor, variable: keras.Variable, learning_rate: tf.Tensor
    ) -> None:
        """Updates one variable and its moments."""
        index = self._get_variable_index(variable)
        momentum, velocity = self.momentums[index], self.velocities[index]
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        if velocity is None:
            self.assign(momentum, self.momentum * momentum + (1 - self.momentum) * gradient)
            ahead = self.momentum * momentum + (1 - self.momentum) * gradient
            update = UPDATE_SIZE * orthogonal(ahead)
        else:
            self.assign_add(momentum, (gradient - momentum) * (1 - self.beta_1))
            self.assign_add(velocity, (ops.square(gradient) - velocity) * (1 - self.beta_2))
            step = ops.cast(self.iterations + 1, variable.dtype)
            mean = momentum / (1 - ops.power(self.beta_1, step))
            square = velocity / (1 - ops.power(self.beta_2, step))
            update = mean / (ops.sqrt(square) + self.epsilon)
        self.assign_sub(variable, rate * update)

    def get_config(self) -> dict[str, Any]:
        """Returns a config for `from_config`.

        It holds the arguments of the constructor, a schedule in serialized form, and two keys
        that only `from_config` takes: ``undecayed``, the positions of the variables without weight
        decay among those of `build` (their paths, if the optimizer is not built yet), and
        ``undecayed_names``, the ``var_names`` of `exclude_from_weight_decay`.
        """
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "exclude_layers": list(self.exclude_layers),
            "undecayed": list(self._undecayed),
            "undecayed_names": list(self._undecayed_names),
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> Self:
        """Creates an optimizer from the result of `get_config`."""
        options = dict(config)
        undecayed = options.pop("undecayed", ())
        names = options.pop("undecayed_names", ())
        optimizer = super().from_config(options, custom_objects)
        optimizer._undecayed = list(undecayed)
        optimizer._undecayed_names = list(names)
        return optimizer


def orthogonal(kernel: tf.Tensor) -> tf.Tensor:
    """Returns approximately the nearest orthogonal matrix, scaled to entries of about 1.

    Args:
        kernel: ``[..., inputs, outputs]``. All dimensions but the last are one side of the matrix.

    Returns:
        Tensor of the same shape. Its singular values are between about 0.7 and 1.2 times the
        square root of the longer side, so its root mean square is about 1. Zeros stay zeros.
    """
    matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
    rows, columns = matrix.shape
    if rows > columns:
        matrix = ops.transpose(matrix)
    a, b, c = COEFFICIENTS
    matrix /= ops.sqrt(ops.sum(ops.square(matrix))) + 1e-7
    for _ in range(ITERATIONS):
        square = ops.matmul(matrix, ops.transpose(matrix))
        polynomial = b * square + c * ops.matmul(square, square)
        matrix = a * matrix + ops.matmul(polynomial, matrix)
    if rows > columns:
        matrix = ops.transpose(matrix)
    return ops.reshape(matrix, kernel.shape) * max(rows, columns) ** 0.5
