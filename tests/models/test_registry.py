"""Every model of the registry: the promises that `build` makes."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasface.data import draw_face
from kerasface.models import build, list_models, model_names
from kerasface.models.applications import APPLICATIONS
from kerasface.models.registry import MODELS
from kerasface.training.assemble import dtype_policy

SIZE = 32
# The backbones of keras.applications have tests of their own.
OWN = [name for name in model_names() if name not in APPLICATIONS]


def size_of(name):
    return max(SIZE, MODELS[name].smallest)


def count(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def noise(examples, size=SIZE, seed=0):
    generator = np.random.default_rng(seed)
    return generator.uniform(0, 255, (examples, size, size, 3)).astype("float32")


@pytest.fixture(scope="module", params=OWN)
def built(request):
    keras.utils.set_random_seed(0)
    size = size_of(request.param)
    return build(request.param, num_classes=5, input_shape=(size, size, 3), dropout=0.1)


def test_forward_is_finite_and_float32(built):
    outputs = built(noise(2, size_of(built.name))).numpy()
    assert outputs.shape == (2, 5)
    assert outputs.dtype == np.float32
    assert np.isfinite(outputs).all()
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)


def test_every_trainable_weight_gets_a_gradient(built):
    with tf.GradientTape() as tape:
        outputs = built(noise(4, size_of(built.name)), training=True)
        loss = tf.reduce_mean(-tf.math.log(outputs[:, 0]))
    gradients = tape.gradient(loss, [variable.value for variable in built.trainable_variables])
    without = [
        variable.path
        for variable, gradient in zip(built.trainable_variables, gradients, strict=True)
        if gradient is None or not np.isfinite(gradient).all()
    ]
    assert without == []
    kernels = [
        np.abs(gradient).max()
        for variable, gradient in zip(built.trainable_variables, gradients, strict=True)
        if "kernel" in variable.path
    ]
    assert min(kernels) > 0


def test_save_and_load_give_equal_outputs(built, tmp_path):
    built.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = noise(3, size_of(built.name))
    np.testing.assert_array_equal(loaded(images), built(images))


def test_mixed_float16_keeps_float32_outputs(built):
    with dtype_policy("mixed_float16"):
        model = build(built.name, num_classes=5, input_shape=built.input_shape[1:])
    outputs = model(noise(1, size_of(built.name)))
    assert outputs.dtype == tf.float32
    assert np.isfinite(outputs).all()
    assert {str(v.dtype) for v in model.trainable_variables} == {"float32"}
    assert any(layer.compute_dtype == "float16" for layer in model.layers)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in OWN if name != "resnet15"),
        pytest.param("resnet15", {}, marks=pytest.mark.slow),
        ("resnet15", {"channels": (16, 32, 64, 128)}),  # a fiftieth of the work
    ],
)
def test_overfits_eight_images(name, options):
    keras.utils.set_random_seed(1)
    size = max(24, MODELS[name].smallest)
    model = build(name, num_classes=8, input_shape=(size, size, 3), **options)
    images = np.stack([draw_face(person, 0, size=size).image for person in range(8)])
    images, labels = images.astype("float32"), np.arange(8)
    rate = 3e-4 if name == "dlib_resnet29" else 1e-3  # which has no norms
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", jit_compile=False)
    # Made in the first step, the optimizer's variables would have it traced a second time.
    model.optimizer.build(model.trainable_variables)
    for step in range(1, 81):
        model.train_on_batch(images, labels)
        if step % 5 == 0:
            # In inference mode: the moving statistics of the norms must have followed too.
            found = np.argmax(model(images), axis=1)
            if np.array_equal(found, labels):
                break
    np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("name", OWN)
def test_listed_parameter_counts(name):
    model = build(name, num_classes=1000)
    assert list_models().loc[name, "parameters"] == count(model.trainable_variables)
    assert list_models().loc[name, "image_size"] == model.input_shape[1]


def test_published_network_has_the_published_parameter_count():
    # FaceClassifier (system 2): classic stem, double head, 7,001 people.
    assert count(build("convnext_small", num_classes=7001).trainable_variables) == 19_575_801


def test_smile_cnn_parameter_count():
    # Convolutions of 3x3 with bias, 3 -> 32 -> 64 -> 128 -> 256, then a weight a channel:
    # (27 + 1) 32 + (288 + 1) 64 + (576 + 1) 128 + (1152 + 1) 256 + 256 + 1
    # = 896 + 18,496 + 73,856 + 295,168 + 257.
    assert count(build("smile_cnn", num_classes=1).trainable_variables) == 388_673


def test_resnet15_parameter_count():
    # A convolution of c to d channels with its BatchNorm has (9 c + 1) d + 2 d; a residual pair
    # has two of d to d. First convolutions, 3 -> 64 -> 256 -> 512 -> 1024:
    # 1,920 + 148,224 + 1,181,184 + 4,721,664. Pairs: 74,112 + 1,181,184 + 4,721,664 + 18,880,512.
    # Dense: (1024 + 1) 512 + (512 + 1) 256 + (256 + 1) 15 = 524,800 + 131,328 + 3,855.
    assert count(build("resnet15", 15, multi_label=True).trainable_variables) == 31_570_447


def test_nano_has_less_than_two_million_parameters():
    assert list_models().loc["convnext_nano", "parameters"] < 2_000_000


def test_saved_model_loads_without_kerasface(tmp_path):
    model = nano(drop_path=0.2)
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "images.npy", noise(2))
    np.save(tmp_path / "outputs.npy", model(noise(2)))
    script = (
        "import sys; sys.modules['kerasface'] = None\n"  # any import of it fails
        "import keras, numpy as np\n"
        "model = keras.saving.load_model('model.keras')\n"
        "outputs = model(np.load('images.npy'))\n"
        "np.testing.assert_array_equal(outputs, np.load('outputs.npy'))\n"
        "print('equal')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout.strip().endswith("equal"), done.stderr


SMALL = {"input_shape": (SIZE, SIZE, 3), "channels": (8, 16), "blocks_per_stage": (2, 1)}


def nano(num_classes=3, **options):
    return build("convnext_nano", num_classes, **{**SMALL, **options})


@pytest.mark.parametrize(
    ("options", "activation"),
    [
        ({}, "softmax"),
        ({"num_classes": 1}, "sigmoid"),
        ({"multi_label": True}, "sigmoid"),
        ({"activation": None}, "linear"),
        ({"activation": "sigmoid"}, "sigmoid"),
    ],
)
def test_activation(options, activation):
    assert nano(**options).layers[-1].activation.__name__ == activation


def test_embedding_has_unit_length():
    outputs = nano(None, embedding=7)(noise(2)).numpy()
    assert outputs.shape == (2, 7)
    np.testing.assert_allclose(np.linalg.norm(outputs, axis=1), 1, rtol=1e-5)


def test_heads_differ_by_the_hidden_layer():
    double, pool = nano(head="double"), nano(head="pool")
    assert count(double.weights) - count(pool.weights) == 16 * 16 + 16


def test_cosine_head_compares_directions():
    model = nano(head="cosine:10", activation=None)
    kernel = model.get_layer("head_logits").kernel.numpy()
    np.testing.assert_allclose(np.linalg.norm(kernel, axis=0), 1, rtol=1e-5)
    features = keras.Model(model.input, model.get_layer("head_pool").output).predict(noise(2))
    cosines = features @ kernel / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(noise(2)), 10 * cosines, rtol=1e-4, atol=1e-4)


def test_cosine_head_keeps_its_directions_in_training():
    model = nano(head="cosine")
    model.compile("sgd", "sparse_categorical_crossentropy", jit_compile=False)
    before = model.get_layer("head_logits").kernel.numpy()
    model.fit(noise(3), np.arange(3), verbose=0)
    after = model.get_layer("head_logits").kernel.numpy()
    assert np.abs(after - before).max() > 0
    np.testing.assert_allclose(np.linalg.norm(after, axis=0), 1, rtol=1e-5)


def test_layer_scale_initial_value():
    model = nano(layer_scale=0.5)
    np.testing.assert_array_equal(
        model.get_layer("stage1_block1_scale").get_weights()[0], [0.5] * 8
    )
    assert not [layer for layer in nano().layers if layer.name.endswith("_scale")]


@pytest.mark.parametrize(("stride", "side"), [(1, 32), (2, 16), (4, 8)])
def test_stem_stride(stride, side):
    options = {"channels": (8,), "blocks_per_stage": (1,), "stem_stride": stride}
    model = build("resnet_small", 3, input_shape=(SIZE, SIZE, 3), **options)
    assert model.get_layer("stage1_block1_relu2").output.shape == (None, side, side, 8)


def test_zero_init_residual():
    options = {"channels": (8,), "input_shape": (SIZE, SIZE, 3), "blocks_per_stage": (2,)}
    for start in (True, False):
        model = build("resnet_small", 3, zero_init_residual=start, **options)
        scales = [model.get_layer(f"stage1_block{i}_norm2").gamma.numpy() for i in (1, 2)]
        np.testing.assert_array_equal(scales, np.full((2, 8), 0.0 if start else 1.0))


def test_dropout_is_before_the_last_layer():
    assert [layer.name for layer in nano(dropout=0.3).layers][-3:-1] == [
        "head_dropout",
        "head_logits",
    ]
    assert "head_dropout" not in [layer.name for layer in nano().layers]


def test_drop_path_ramps_over_blocks():
    rates = [layer.rate for layer in nano(drop_path=0.4).layers if layer.name.endswith("drop_path")]
    np.testing.assert_allclose(rates, [0.2, 0.4])  # the first block's is 0: no layer
    assert not [layer for layer in nano().layers if layer.name.endswith("drop_path")]


@pytest.mark.parametrize("block", ["convnext", "inverted_bottleneck", "bottleneck"])
@pytest.mark.parametrize("stem", ["classic", "patchify"])
def test_blocks_and_stems_are_options(block, stem):
    outputs = nano(block=block, stem=stem)(noise(1))
    assert outputs.shape == (1, 3)
    assert np.isfinite(outputs).all()


def test_freeze_leaves_only_the_head_trainable():
    model = nano(freeze=True)
    assert {v.path.split("/")[0] for v in model.trainable_variables} == {
        "head_hidden",
        "head_logits",
    }
    norm = model.get_layer("stage1_norm")
    before = norm.moving_mean.numpy()
    model(noise(4), training=True)
    np.testing.assert_array_equal(norm.moving_mean.numpy(), before)


def test_weights_of_a_model_with_other_classes(tmp_path):
    source = nano(9)
    source.save(tmp_path / "model.keras")
    model = nano(4, weights=tmp_path / "model.keras")
    for layer in ("stem_conv", "stage2_block1_depthwise", "head_hidden"):
        for given, taken in zip(
            source.get_layer(layer).get_weights(), model.get_layer(layer).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(given, taken)
    other_head = nano(9, head="mlp", weights=tmp_path / "model.keras")
    np.testing.assert_array_equal(
        other_head.get_layer("stage2_norm").get_weights(),
        source.get_layer("stage2_norm").get_weights(),
    )
    equal = nano(9, weights=tmp_path / "model.keras")
    np.testing.assert_array_equal(equal(noise(2)), source(noise(2)))


def test_weights_of_a_weights_file(tmp_path):
    source = nano()
    source.save_weights(tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(
        nano(weights=tmp_path / "m.weights.h5")(noise(2)), source(noise(2))
    )


def test_wrong_weights_name_the_layer_and_both_shapes(tmp_path):
    nano(channels=(8, 24)).save(tmp_path / "model.keras")
    with pytest.raises(ValueError, match=r"downsample2_project.*\(48, 16\).*\(48, 24\)"):
        nano(weights=tmp_path / "model.keras")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("convnext_smal", 3), {}, r"convnext_smal'\. Did you mean 'convnext_small'"),
        (("convnext_nano",), {}, "Exactly one of `num_classes` and `embedding`"),
        (("convnext_nano", 3), {"embedding": 8}, "Exactly one of"),
        (("convnext_nano", 0), {}, "`num_classes` must be an integer of at least 1"),
        (("convnext_nano", None), {"embedding": 0}, "`embedding` must be an integer of at least 1"),
        (("convnext_nano", None), {"embedding": 8, "multi_label": True}, "belong to classes"),
        (("convnext_nano", 3), {"head": "triple"}, "`head` must be one of"),
        (("convnext_nano", 3), {"head": "cosin"}, "Did you mean 'cosine'"),
        (("convnext_nano", 3), {"head": "cosine:0"}, "a scale, a number above 0"),
        (("convnext_nano", 3), {"head": "cosine:"}, "a scale, a number above 0"),
        (("convnext_nano", 3), {"head": "pool:3"}, "Only the cosine head has a scale"),
        (
            ("convnext_nano", 3),
            {"head": "cosine", "multi_label": True},
            "several classes and a softmax",
        ),
        (
            ("convnext_nano", None),
            {"head": "cosine", "embedding": 8},
            "several classes and a softmax",
        ),
        (("convnext_nano", 1), {"head": "cosine"}, "several classes and a softmax"),
        (("convnext_nano", 3), {"layer_scale": 0}, "`layer_scale` must be a number above 0"),
        (
            ("convnext_nano", 3),
            {"layer_scale": 1, "block": "bottleneck"},
            "belongs to the convnext",
        ),
        (("resnet_small", 3), {"stem_stride": 3}, "`stem_stride` must be 1, 2 or 4"),
        (("resnet_small", 3), {"channels": (8,)}, "one number per stage"),
        (("convnext_nano", 3), {"dropout": 1.0}, r"`dropout` must be a number in \[0, 1\)"),
        (("convnext_nano", 3), {"activation": "relu"}, "`activation` must be"),
        (("convnext_nano", 3), {"input_shape": (32, 32)}, "`input_shape` must be"),
        (("convnext_nano", 3), {"input_shape": (None, None, 3)}, "`input_shape` must be"),
        (("convnext_nano", 3), {"drop_pat": 0.1}, "drop_pat=0.1. Did you mean 'drop_path'"),
        (("convnext_nano", 3), {"drop_path": 1}, r"`drop_path` must be in \[0, 1\)"),
        (("convnext_nano", 3), {"stem": "resnet"}, "`stem` must be one of"),
        (("convnext_nano", 3), {"block": "vit"}, "`block` must be one of"),
        (("convnext_nano", 3), {"stem": "classic", "patch_size": 2}, "belongs to the patchify"),
        (("convnext_nano", 3), {"patch_size": 0}, "`patch_size` must be at least 1"),
        (("convnext_nano", 3), {"channels": (8,)}, "one number per stage"),
        (("smile_cnn", 3), {"channels": 8}, "must be a list of integers, one per stage"),
        (("smile_cnn", 3), {"block_dropout": "a"}, r"`block_dropout` must be in \[0, 1\)"),
        (("convnext_nano", 3), {"channels": 8}, "`channels` must be a list of integers"),
        (("convnext_nano", 3), {"channels": ["a"]}, "`channels` must be a list of integers"),
        (("convnext_nano", 3), {"drop_path": "abc"}, r"`drop_path` must be in \[0, 1\)"),
        (("convnext_nano", 3), {"channels": (8, 0), "blocks_per_stage": (1, 1)}, "positive"),
        (("convnext_nano", 3), {"weights": "model.h5x"}, "does not exist"),
    ],
)
def test_wrong_arguments(arguments, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        build(*arguments, **options)


def test_wrong_suffix_of_weights(tmp_path):
    (tmp_path / "model.txt").write_text("no model")
    with pytest.raises(ValueError, match=r"must end with \.keras"):
        nano(weights=tmp_path / "model.txt")
