"""Muon: the momentum of every kernel, made orthogonal, is its update."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops

# Of the quintic iteration that sends singular values near 1 in a few steps (Jordan 2024).
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
# The root mean square of an update of 1, about that of AdamW's (Liu et al. 2025), so that learning
# rates and decay made for AdamW fit.
UPDATE_SIZE = 0.2


class Muon(keras.optimizers.Optimizer):
    """Muon for kernels, convolutions among them, and AdamW for everything else.

    A class, since it is an optimizer for ``model.compile``. `keras.optimizers.Muon` knows dense
    kernels alone; here a convolution's is the matrix of its windows times its filters. Few steps
    learn more than with AdamW; a step takes longer by fifteen products of matrices a kernel.

    Sources: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the size
    of the updates: Liu et al. 2025, arXiv:2502.16982.

    Args:
        learning_rate: A number or a schedule.
        momentum: Of the kernels, with Nesterov's look ahead, in [0, 1).
        beta_1: AdamW's, of the other variables.
        beta_2: Likewise.
        epsilon: Likewise.
        exclude_layers: Words in the paths of further variables that AdamW updates: those of the
            layer that makes the classes.
        **options: Those of every Keras optimizer, for instance ``weight_decay`` and ``use_ema``.

    Example:
        >>> model.compile(Muon(2e-3, weight_decay=0.05, exclude_layers=["head_logits"]),
        ...               "categorical_crossentropy")  # doctest: +SKIP
    """

    def __init__(
        self,
        learning_rate=1e-3,
        *,
        momentum: float = 0.95,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        exclude_layers: Sequence[str] = (),
        name: str = "muon",
        **options,
    ):
        super().__init__(learning_rate, name=name, **options)
        self.momentum = momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.exclude_layers = list(exclude_layers)

    def build(self, variables):
        if self.built:
            return
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

    def is_kernel(self, variable) -> bool:
        """Whether a variable is a matrix that Muon updates; those of depthwise layers are none."""
        shape = variable.shape
        excluded = any(word in variable.path for word in self.exclude_layers)
        return len(shape) >= 2 and shape[-1] > 1 and not excluded

    def update_step(self, gradient, variable, learning_rate):
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

    def get_config(self):
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "exclude_layers": self.exclude_layers,
        }


def orthogonal(kernel):
    """The nearest matrix with orthogonal rows or columns, roughly, scaled to entries near 1.

    Args:
        kernel: ``[..., inputs, outputs]``; all dimensions but the last are one side of the matrix.

    Returns:
        A tensor of that shape. Its singular values are between about 0.7 and 1.2 times the square
        root of the longer side, so that its root mean square is about 1; zeros stay zeros.
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
