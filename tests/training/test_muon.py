"""The Muon optimizer, against plain NumPy."""

import keras
import numpy as np
import pytest

from kerasface.training.muon import UPDATE_SIZE, Muon, orthogonal

RATE = 0.01


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (3, 3, 2, 64), (40, 10), (10, 40), (5, 5)])
def test_singular_values_are_close_to_each_other(shape):
    kernel = np.random.default_rng(0).normal(size=shape).astype("float32")
    found = keras.ops.convert_to_numpy(orthogonal(kernel))
    assert found.shape == shape
    matrix = found.reshape(-1, shape[-1])
    values = np.linalg.svd(matrix, compute_uv=False) / max(matrix.shape) ** 0.5
    assert values.min() > 0.6 and values.max() < 1.25
    # The singular vectors are those of the kernel.
    left, _, right = np.linalg.svd(kernel.reshape(matrix.shape), full_matrices=False)
    aligned = left.T @ matrix @ right.T
    assert np.abs(aligned - np.diag(np.diag(aligned))).max() < 0.05 * max(matrix.shape) ** 0.5


def test_zeros_stay_zeros():
    assert not np.any(orthogonal(np.zeros((3, 3, 4, 8), "float32")))


@pytest.fixture
def variables():
    shapes = {"conv/kernel": (3, 3, 4, 8), "conv/bias": (8,), "depthwise/kernel": (3, 3, 4, 1)}
    shapes |= {"dense/kernel": (6, 5), "head_logits/kernel": (8, 5)}
    made = []
    for path, shape in shapes.items():
        variable = keras.Variable(np.ones(shape, "float32"), name=path.split("/")[1])
        variable._path = path
        made.append(variable)
    return made


def copies(variables):
    made = [keras.Variable(variable.numpy(), name=variable.name) for variable in variables]
    for variable, copy in zip(variables, made, strict=True):
        copy._path = variable.path
    return made


def gradients(variables, steps=3):
    rng = np.random.default_rng(1)
    return [
        [rng.normal(size=variable.shape).astype("float32") for variable in variables]
        for _ in range(steps)
    ]


def test_kernels_follow_their_momentum_and_other_variables_adam(variables):
    optimizer = Muon(RATE, exclude_layers=["head_logits"])
    adam = keras.optimizers.Adam(RATE, epsilon=1e-8)
    twins = [keras.Variable(variable.numpy()) for variable in variables]
    momentum = 0
    expected = variables[0].numpy()
    for step in gradients(variables):
        optimizer.apply(step, variables)
        adam.apply(step, twins)
        momentum = 0.95 * momentum + 0.05 * step[0]
        update = keras.ops.convert_to_numpy(orthogonal(0.95 * momentum + 0.05 * step[0]))
        expected = expected - RATE * UPDATE_SIZE * update
    np.testing.assert_allclose(variables[0].numpy(), expected, atol=1e-6)
    by_adam = [optimizer.is_kernel(variable) is False for variable in variables]
    assert by_adam == [False, True, True, False, True]
    for variable, twin, same in zip(variables, twins, by_adam, strict=True):
        assert np.allclose(variable.numpy(), twin.numpy(), atol=5e-5) is same


def test_decay_average_and_accumulation_work_as_in_keras(variables):
    options = {"weight_decay": 0.5, "use_ema": True, "ema_momentum": 0.5}
    optimizer = Muon(RATE, gradient_accumulation_steps=2, **options)
    optimizer.exclude_from_weight_decay(var_list=[variables[1]])
    twins = copies(variables)
    whole = Muon(RATE, **options)
    whole.exclude_from_weight_decay(var_list=[twins[1]])
    before = [variable.numpy() for variable in variables]
    first, second, third, fourth = gradients(variables, steps=4)
    optimizer.apply(first, variables)
    for variable, old in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)
    optimizer.apply(second, variables)
    whole.apply([(one + other) / 2 for one, other in zip(first, second, strict=True)], twins)
    for variable, twin in zip(variables, twins, strict=True):
        np.testing.assert_allclose(variable.numpy(), twin.numpy(), atol=1e-6)
    # The average starts with the first update. A batch without an update does not change it.
    before = [variable.numpy() for variable in variables]
    optimizer.apply(third, variables)
    optimizer.apply(fourth, variables)
    averages = optimizer._model_variables_moving_average
    for variable, old, average in zip(variables, before, averages, strict=True):
        assert np.abs(variable.numpy() - old).max() > 1e-5
        np.testing.assert_allclose(average.numpy(), (old + variable.numpy()) / 2, atol=1e-6)


def test_weight_decay_is_proportional_to_the_weights(variables):
    optimizer = Muon(RATE, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[variables[1]])
    before = [variable.numpy() for variable in variables]
    optimizer.apply([np.zeros(variable.shape, "float32") for variable in variables], variables)
    for variable, old in zip(variables, before, strict=True):
        left = 1.0 if variable is variables[1] else 1 - 0.5 * RATE
        np.testing.assert_allclose(variable.numpy(), old * left, rtol=1e-6)


def test_fit_with_an_optimizer_from_its_config():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(8, 3, activation="relu"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(2, name="head_logits"),
        ]
    )
    made = keras.optimizers.schedules.CosineDecay(0.02, 40)
    optimizer = Muon(made, exclude_layers=("head_logits",), weight_decay=0.01)
    again = Muon.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 32)
    images = rng.normal(size=(64, 8, 8, 3)) + labels[:, None, None, None] * [1, 0, -1]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(again, loss, metrics=["accuracy"], jit_compile=False)
    history = model.fit(images, labels, epochs=10, batch_size=16, verbose=0).history
    assert history["accuracy"][-1] > 0.95 > history["accuracy"][0]


@pytest.mark.parametrize("by_name", [False, True])
def test_exclusions_from_weight_decay_are_in_the_config(variables, by_name):
    optimizer = Muon(RATE, weight_decay=0.5)
    if by_name:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    else:
        optimizer.exclude_from_weight_decay(var_list=[variables[1]])
    again = Muon.from_config(optimizer.get_config())
    before = [variable.numpy() for variable in variables]
    again.apply([np.zeros(variable.shape, "float32") for variable in variables], variables)
    for variable, old in zip(variables, before, strict=True):
        left = 1.0 if variable is variables[1] else 1 - 0.5 * RATE
        np.testing.assert_allclose(variable.numpy(), old * left, rtol=1e-6)


def test_variables_with_equal_paths_are_told_apart(variables):
    """Layers of nested models may have equal names."""
    first, second = variables[1], variables[3]
    second._path = first.path
    made = Muon(RATE, weight_decay=0.5)
    made.exclude_from_weight_decay(var_list=[first])
    made.build(variables)
    again = Muon.from_config(made.get_config())
    assert again.get_config() == made.get_config()
    zeros = [np.zeros(variable.shape, "float32") for variable in variables]
    for optimizer in (made, again):
        before = [variable.numpy() for variable in variables]
        optimizer.apply(zeros, variables)
        for variable, old in zip(variables, before, strict=True):
            left = 1.0 if variable is first else 1 - 0.5 * RATE
            np.testing.assert_allclose(variable.numpy(), old * left, rtol=1e-6)


def test_layers_are_excluded_by_their_whole_name(variables):
    variables[0]._path = "dense_1/kernel"
    variables[4]._path = "block/dense/kernel"
    optimizer = Muon(RATE, exclude_layers=["block/dense"])
    assert [optimizer.is_kernel(variables[index]) for index in (0, 3, 4)] == [True, True, False]
    optimizer = Muon(RATE, exclude_layers=["dense"])
    assert [optimizer.is_kernel(variables[index]) for index in (0, 3, 4)] == [True, False, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"momentum": 1.0}, r"`momentum` must be a number in \[0, 1\)"),
        ({"beta_1": -0.1}, "`beta_1` must be"),
        ({"beta_2": 1.5}, "`beta_2` must be"),
        ({"epsilon": -1e-8}, "`epsilon` must be a number of at least 0"),
    ],
)
def test_refused_options(options, message):
    with pytest.raises(ValueError, match=message):
        Muon(RATE, **options)
