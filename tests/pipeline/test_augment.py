"""Tests of the augmentations: pure functions of an image and a few numbers."""

import colorsys
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageEnhance, ImageOps

from kerasface.pipeline import augment
from kerasface.pipeline.augment import (
    ERASING_AREA,
    ERASING_RATIO,
    PRESETS,
    RAND_AUGMENT_OPERATIONS,
    STEPS,
    augmentation,
)

OPERATIONS = [
    *("identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness"),
    *("saturation", "contrast", "sharpness", "posterize", "solarize", "auto_contrast", "equalize"),
]
OPERATION = dict(zip(OPERATIONS, RAND_AUGMENT_OPERATIONS, strict=True))
ROUNDING = 1e-3  # a bilinear blend of 255 and 255
BLACK, WHITE, GRAY = (np.full((16, 16, 3), value, np.float32) for value in (0, 255, 77))


def picture(height=24, width=24, low=0, high=256, seed=0):
    """Whole numbers as float32, as they come from a file."""
    values = np.random.default_rng(seed).integers(low, high, (height, width, 3))
    return values.astype(np.float32)


def numbers(count, seed=0):
    return np.random.default_rng(seed).random(count, dtype=np.float32)


def apply(name, image, draws, strength=None):
    step = STEPS[name]
    strength = step.default if strength is None else strength
    return np.asarray(step.apply(tf.constant(image), tf.constant(draws, tf.float32), strength))


def pil(image):
    return Image.fromarray(image.astype(np.uint8))


# Specifications


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (None, []),
        ("none", []),
        ([], []),
        ("flip", [("flip", 0.5)]),
        ("flip:1", [("flip", 1.0)]),
        ("rotation:12.5", [("rotation", 12.5)]),
        ("face", [("rotation_nearest", 30), ("flip", 0.5), ("color_jitter", 0.2)]),
        (
            ("crop", "face", "random_erasing:0.5"),
            [
                ("crop", 0.8),
                ("rotation_nearest", 30),
                ("flip", 0.5),
                ("color_jitter", 0.2),
                ("random_erasing", 0.5),
            ],
        ),
    ],
)
def test_specification(spec, expected):
    result = augmentation(spec)
    assert result.steps == tuple((STEPS[name], strength) for name, strength in expected)
    assert result.count == sum(STEPS[name].count for name, _ in expected)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_read(name):
    assert len(augmentation(name).steps) == len(PRESETS[name])


@pytest.mark.parametrize("name", STEPS)
def test_defaults_and_limits_are_allowed(name):
    step = STEPS[name]
    for strength in (step.default, *step.limits):
        assert augmentation(f"{name}:{strength}").steps == ((step, strength),)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("fliip", "Received: 'fliip'. Did you mean 'flip'"),
        ("fase", "Did you mean 'face'"),
        (["flip", "rotate:5"], "Received: 'rotate:5'. Did you mean 'rotation'"),
        ("face:0.5", "Received: 'face:0.5'"),
        ("", "Received: ''"),
    ],
)
def test_unknown_name(spec, message):
    with pytest.raises(ValueError, match=message):
        augmentation(spec)


@pytest.mark.parametrize(
    "spec",
    [
        *("flip:1.1", "flip:-0.1", "rotation:181", "crop:0", "color_jitter:0.6"),
        *("rand_augment:11", "flip:much", "flip:nan", "rotation:inf", "flip:0,5"),
    ],
)
def test_strength_out_of_range(spec):
    name = spec.partition(":")[0]
    with pytest.raises(ValueError, match=rf"{name}' must be a number in \[.*Received: '{spec}'"):
        augmentation(spec)


def test_every_step_reads_its_own_numbers():
    image, draws = picture(), numbers(6)
    result = augmentation(["flip:1", "crop:0.5", "rotation:40"])
    early = result.apply(tf.constant(image), tf.constant(draws), before_resize=True)
    np.testing.assert_array_equal(early, apply("crop", image, draws[1:5], 0.5))
    late = result.apply(tf.constant(image), tf.constant(draws), before_resize=False)
    np.testing.assert_array_equal(late, apply("rotation", image[:, ::-1], draws[5:], 40))


# Every step


@pytest.mark.parametrize("extreme", ["low", "default", "high"])
@pytest.mark.parametrize("name", STEPS)
def test_step_is_pure_and_keeps_range(name, extreme):
    step = STEPS[name]
    low, high = step.limits
    strength = {"low": low, "default": step.default, "high": high}[extreme]
    image, results = picture(), []
    for seed in range(3):
        draws = numbers(step.count, seed)
        result = apply(name, image, draws, strength)
        np.testing.assert_array_equal(result, apply(name, image, draws, strength))
        assert result.dtype == np.float32
        assert result.min() >= 0
        assert result.max() <= 255 + ROUNDING
        if not step.before_resize:
            assert result.shape == image.shape
        results.append(result)
    np.testing.assert_array_equal(image, picture())


@pytest.mark.parametrize("name", STEPS)
def test_step_follows_its_numbers(name):
    results = {apply(name, picture(), numbers(STEPS[name].count, s)).tobytes() for s in range(12)}
    assert len(results) > 1


@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("image", [BLACK, WHITE, GRAY], ids=["black", "white", "gray"])
def test_step_on_a_uniform_image(name, image):
    for seed in range(6):
        result = apply(name, image, numbers(STEPS[name].count, seed))
        assert np.isfinite(result).all()
        assert result.min() >= 0
        assert result.max() <= 255 + ROUNDING


@pytest.mark.parametrize("name", ["crop", "rotation", "flip", "color_jitter", "rand_augment"])
def test_gray_stays_gray(name):
    gray = np.repeat(picture()[..., :1], 3, axis=2)
    for seed in range(6):
        result = apply(name, gray, numbers(STEPS[name].count, seed))
        np.testing.assert_allclose(result, result[..., :1].repeat(3, axis=2), atol=1e-3)


# RandAugment with its fourteen branches is seen in a graph by the tests of the streams.
@pytest.mark.parametrize("name", ["color_jitter", "flip", "random_erasing", "rotation"])
def test_step_in_a_graph_is_the_same_and_keeps_its_shape(name):
    step = STEPS[name]
    signature = [tf.TensorSpec([12, 12, 3]), tf.TensorSpec([step.count])]
    function = tf.function(
        lambda image, draws: step.apply(image, draws, step.default), input_signature=signature
    )
    assert function.get_concrete_function().output_shapes.as_list() == [12, 12, 3]
    image = picture(12, 12)
    for seed in range(4):
        draws = numbers(step.count, seed)
        np.testing.assert_allclose(function(image, draws), apply(name, image, draws), atol=1e-2)


# Crop


def place(height, width):
    """An image that says at each pixel where it was."""
    y, x = np.indices((height, width), np.float32)
    return np.dstack([y, x, 0 * x])


@pytest.mark.parametrize("smallest", [0.01, 0.3, 0.8, 1.0])
@pytest.mark.parametrize(("height", "width"), [(60, 60), (218, 178)])
def test_crop_is_a_rectangle_of_the_drawn_area(height, width, smallest):
    corners = [np.array(corner) for corner in itertools.product((0.0, 0.999999), repeat=4)]
    for draws in [*corners, *(numbers(4, seed) for seed in range(3))]:
        result = apply("crop", place(height, width), draws, smallest)
        rows, columns = result.shape[:2]
        top, left = result[0, 0, :2].astype(int)
        np.testing.assert_array_equal(
            result, place(height, width)[top : top + rows, left : left + columns]
        )
        area = (smallest + (1 - smallest) * draws[0]) * height * width
        assert (rows - 0.51) * (columns - 0.51) <= area <= (rows + 0.51) * (columns + 0.51)
        ratio = (rows / height) / (columns / width)
        assert 3 / 4 - 0.15 <= ratio <= 4 / 3 + 0.15


def test_whole_crop_changes_nothing():
    for seed in range(5):
        np.testing.assert_array_equal(apply("crop", picture(), numbers(4, seed), 1.0), picture())


def test_crop_reaches_all_corners():
    draws = [[0.0, 0.5, y, x] for y in (0.0, 0.999999) for x in (0.0, 0.999999)]
    tops = [apply("crop", place(40, 40), draw, 0.25)[0, 0, :2].tolist() for draw in draws]
    assert tops == [[0, 0], [0, 20], [20, 0], [20, 20]]


def test_crop_keeps_integers():
    image = tf.constant(picture().astype(np.uint8))
    assert STEPS["crop"].apply(image, tf.constant(numbers(4)), 0.5).dtype == tf.uint8


# Rotation and flip


@pytest.mark.parametrize("draw", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("shape", [(24, 24), (17, 30)])
def test_rotation_by_0_degrees(draw, shape):
    np.testing.assert_array_equal(apply("rotation", picture(*shape), [draw], 0), picture(*shape))


def test_middle_of_the_range_is_upright():
    np.testing.assert_allclose(apply("rotation", picture(), [0.5], 180), picture(), atol=1e-3)


@pytest.mark.parametrize(("draw", "turns"), [(0.0, -1), (1.0, 1)])
@pytest.mark.parametrize("size", [24, 25])
def test_quarter_turns(draw, turns, size):
    turned = apply("rotation", picture(size, size), [draw], 90)
    np.testing.assert_allclose(turned, np.rot90(picture(size, size), turns), atol=0.01)


@pytest.mark.parametrize("draw", [0.1, 0.35, 0.8])
def test_rotation_equals_pillow(draw):
    smooth = np.asarray(pil(picture(6, 6)).resize((48, 48), Image.Resampling.BICUBIC), np.float32)
    expected = pil(smooth).rotate((2 * draw - 1) * 30, Image.Resampling.BILINEAR)
    inside = (slice(12, 36), slice(12, 36))
    turned = apply("rotation", smooth, [draw], 30)
    np.testing.assert_allclose(turned[inside], np.asarray(expected, int)[inside], atol=2)


@pytest.mark.parametrize("draw", [0.1, 0.35, 0.8])
def test_nearest_rotation_equals_pillow(draw):
    expected = pil(picture(48, 48)).rotate((2 * draw - 1) * 30, Image.Resampling.NEAREST)
    turned = apply("rotation_nearest", picture(48, 48), [draw], 30)
    equal = (turned == np.asarray(expected)).all(axis=2)
    assert equal.mean() > 0.98  # but for ties


def test_corners_are_black_after_a_rotation():
    turned = apply("rotation", WHITE, [1.0], 45)
    assert turned[0, 0].tolist() == turned[-1, -1].tolist() == [0, 0, 0]
    assert turned[8, 8].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    ("probability", "draw", "mirrored"),
    [(1, 0.999999, True), (1, 0, True), (0, 0, False), (0.5, 0.49, True), (0.5, 0.5, False)],
)
def test_flip(probability, draw, mirrored):
    expected = picture()[:, ::-1] if mirrored else picture()
    np.testing.assert_array_equal(apply("flip", picture(), [draw], probability), expected)


# Colors


@pytest.mark.parametrize("factor", [0.0, 0.4, 1.0, 1.3, 1.9])
@pytest.mark.parametrize(
    ("change", "enhance", "tolerance"),
    [
        (augment.brightness, ImageEnhance.Brightness, 1.01),
        (augment.saturation, ImageEnhance.Color, 2.0),  # Pillow rounds the gray first,
        (augment.contrast, ImageEnhance.Contrast, 2.0),  # and the mean
    ],
)
def test_color_change_equals_pillow(change, enhance, tolerance, factor):
    expected = np.asarray(enhance(pil(picture())).enhance(factor), np.float32)
    changed = change(tf.constant(picture()), factor)
    np.testing.assert_allclose(changed, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("change", [augment.brightness, augment.saturation, augment.contrast])
def test_factor_one_changes_nothing(change):
    np.testing.assert_allclose(change(tf.constant(picture()), 1.0), picture(), atol=1e-3)


@pytest.mark.parametrize("draw", [0.0, 0.2, 0.9])
@pytest.mark.parametrize("strength", [0.1, 0.5])
def test_hue_is_rotated_on_the_color_circle(draw, strength):
    turn = (2 * draw - 1) * strength
    image = picture(6, 6)

    def expected(red, green, blue):
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        return colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)

    turned = tf.image.adjust_hue(tf.constant(image), turn).numpy()
    truth = [expected(*pixel) for pixel in image.reshape(-1, 3)]
    np.testing.assert_allclose(turned.reshape(-1, 3), truth, atol=0.01)
    # Middle numbers leave the other three alone.
    jittered = apply("color_jitter", image, [0.5, 0.5, 0.5, draw, 0.0], strength)
    np.testing.assert_allclose(jittered, turned, atol=0.01)


@pytest.mark.parametrize("strength", [0.1, 0.5])
@pytest.mark.parametrize("draw", [0.0, 0.25, 0.999999])
@pytest.mark.parametrize(
    ("index", "change"),
    [(0, augment.brightness), (1, augment.contrast), (2, augment.saturation)],
)
def test_single_color_change_of_the_jitter(index, change, draw, strength):
    draws = [0.5] * 5
    draws[index] = draw
    expected = change(tf.constant(picture()), 1 - strength + 2 * strength * draw)
    jittered = apply("color_jitter", picture(), draws, strength)
    np.testing.assert_allclose(jittered, expected, atol=0.01)


def test_jitter_of_strength_zero_changes_nothing():
    for seed in range(4):
        jittered = apply("color_jitter", picture(), numbers(5, seed), 0)
        np.testing.assert_allclose(jittered, picture(), atol=0.01)


def test_jitter_uses_all_24_orders():
    image = tf.constant(picture(8, 8))
    changes = (
        lambda image: augment.brightness(image, 1.45),
        lambda image: augment.contrast(image, 1.4),
        lambda image: augment.saturation(image, 0.6),
        lambda image: tf.image.adjust_hue(image, 0.35),
    )
    expected = {}
    for order in itertools.permutations(range(4)):
        result = image
        for change in order:
            result = changes[change](result)
        expected[order] = result.numpy()
    for first, second in itertools.combinations(expected.values(), 2):
        assert np.abs(first - second).max() > 0.5  # so that orders can be told apart
    found = []
    for code in range(24):
        draws = [0.95, 0.9, 0.1, 0.85, (code + 0.5) / 24]
        jittered = apply("color_jitter", image, draws, 0.5)
        found += [
            order for order, truth in expected.items() if np.abs(jittered - truth).max() < 0.05
        ]
    assert sorted(found) == sorted(expected)


# Random erasing


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 80)])
def test_random_erasing_fills_one_rectangle(seed, height, width):
    draws = numbers(8, seed)
    image = np.full((height, width, 3), -1, np.float32)
    erased = apply("random_erasing", image, draws, 1.0)
    inside = (erased != -1).all(axis=2)
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    assert inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
    assert inside.sum() == len(rows) * len(columns)
    np.testing.assert_allclose(erased[inside], np.tile(255 * draws[5:], (inside.sum(), 1)))
    np.testing.assert_array_equal(erased[~inside], -1)


@pytest.mark.parametrize("area", [0.0, 0.5, 0.999999])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 0.999999])
@pytest.mark.parametrize("position", [0.0, 0.999999])
def test_random_erasing_area_and_ratio(area, ratio, position):
    draws = [0.0, area, ratio, position, position, 0, 0, 0]
    inside = (apply("random_erasing", np.ones((100, 100, 3), np.float32), draws, 1.0) == 0)[..., 0]
    rows, columns = inside.any(axis=1).sum(), inside.any(axis=0).sum()
    wanted = (ERASING_AREA[0] + (ERASING_AREA[1] - ERASING_AREA[0]) * area) * 100**2
    shape = math.exp(
        math.log(ERASING_RATIO[0]) + (math.log(ERASING_RATIO[1] / ERASING_RATIO[0])) * ratio
    )
    assert abs(rows - min(math.sqrt(wanted * shape), 100)) <= 1
    assert abs(columns - min(math.sqrt(wanted / shape), 100)) <= 1


def test_random_erasing_of_probability_zero_changes_nothing():
    for draw in (0.0, 0.5):
        draws = [draw, *numbers(7)]
        np.testing.assert_array_equal(apply("random_erasing", picture(), draws, 0.0), picture())


@pytest.mark.parametrize(("draw", "erases"), [(0.24, True), (0.25, False), (0.9, False)])
def test_random_erasing_probability(draw, erases):
    erased = apply("random_erasing", picture(), [draw, *numbers(7)], 0.25)
    assert np.array_equal(erased, picture()) != erases


# RandAugment


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("signed", [-1.0, 0.35, 1.0])
def test_operation_keeps_shape_and_range(name, signed):
    image = picture(20, 30)
    result = np.asarray(OPERATION[name](tf.constant(image), tf.constant(signed)))
    assert result.shape == image.shape
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 255 + ROUNDING
    assert np.ptp(result) > 20


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("image", [BLACK, WHITE, GRAY], ids=["black", "white", "gray"])
def test_operation_on_a_uniform_image(name, image):
    result = np.asarray(OPERATION[name](tf.constant(image), tf.constant(0.5)))
    assert np.isfinite(result).all()
    assert result.min() >= 0
    assert result.max() <= 255 + ROUNDING


@pytest.mark.parametrize("name", OPERATIONS[:-2])
def test_operation_of_strength_zero_changes_nothing(name):
    result = OPERATION[name](tf.constant(picture()), tf.constant(0.0))
    np.testing.assert_allclose(result, picture(), atol=1e-3)


@pytest.mark.parametrize("name", OPERATIONS[1:])
def test_operation_of_full_strength_changes_the_image(name):
    image = picture(high=200)
    result = np.asarray(OPERATION[name](tf.constant(image), tf.constant(1.0)))
    assert np.abs(result - image).mean() > 3


@pytest.mark.parametrize(
    ("name", "reference"),
    [("auto_contrast", ImageOps.autocontrast), ("equalize", ImageOps.equalize)],
)
@pytest.mark.parametrize("signed", [0.0, 1.0])
def test_histogram_operations_equal_pillow(name, reference, signed):
    image = picture(40, 40, low=60, high=180)
    result = OPERATION[name](tf.constant(image), tf.constant(signed))
    np.testing.assert_allclose(result, np.asarray(reference(pil(image)), int), atol=1)


@pytest.mark.parametrize("signed", [-1.0, 1.0])
def test_posterize_and_solarize_equal_pillow(signed):
    image = tf.constant(picture())
    posterized = OPERATION["posterize"](image, tf.constant(signed))
    np.testing.assert_array_equal(posterized, np.asarray(ImageOps.posterize(pil(picture()), 4)))
    solarized = OPERATION["solarize"](image, tf.constant(signed / 2))
    np.testing.assert_array_equal(solarized, np.asarray(ImageOps.solarize(pil(picture()), 128)))


@pytest.mark.parametrize("signed", [-1.0, 0.5, 1.0])
def test_sharpness_equals_pillow(signed):
    result = OPERATION["sharpness"](tf.constant(picture()), tf.constant(signed))
    expected = ImageEnhance.Sharpness(pil(picture())).enhance(1 + 0.9 * signed)
    inside = (slice(1, -1), slice(1, -1))  # Pillow copies the border
    np.testing.assert_allclose(result[inside], np.asarray(expected, int)[inside], atol=2)


def test_translations_move_the_image():
    image = tf.constant(picture(20, 40))
    left = OPERATION["translate_x"](image, tf.constant(1.0)).numpy()
    np.testing.assert_allclose(left[:, :22], image[:, 18:], atol=0.01)
    assert not left[:, 22:].any()
    down = OPERATION["translate_y"](image, tf.constant(-1.0)).numpy()
    np.testing.assert_allclose(down[9:], image[:11], atol=0.01)
    assert not down[:9].any()


def test_shears_keep_the_center():
    image = tf.constant(picture(21, 21))
    np.testing.assert_allclose(OPERATION["shear_x"](image, 1.0)[10], image[10], atol=0.01)
    np.testing.assert_allclose(OPERATION["shear_y"](image, 1.0)[:, 10], image[:, 10], atol=0.01)


@pytest.mark.parametrize("first", range(14))
def test_rand_augment_applies_the_two_drawn_operations(first):
    image, second = tf.constant(picture()), (first + 5) % 14
    draws = [(first + 0.5) / 14, 0.9, (second + 0.5) / 14, 0.2]
    expected = RAND_AUGMENT_OPERATIONS[first](image, tf.constant(0.4))
    expected = RAND_AUGMENT_OPERATIONS[second](expected, tf.constant(-0.3))
    np.testing.assert_allclose(apply("rand_augment", image, draws, 5), expected, atol=0.01)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_rand_augment_stays_float32_under_mixed_precision(policy):
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        for name in OPERATIONS:
            result = OPERATION[name](tf.constant(picture(high=200)), tf.constant(0.5))
            assert result.dtype == tf.float32
    finally:
        keras.config.set_dtype_policy(before)
