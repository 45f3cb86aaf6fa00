"""Tests of the decoding inside a graph: the same pixels as Pillow's, whatever the file."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import ExifTags, Image

from kerasface import images
from kerasface.data import draw_face
from kerasface.data.table import DECODE_WITH_PILLOW, UNKNOWN_FORMAT, FaceTable, check
from kerasface.pipeline import Crop, decode

JPEG_TOLERANCE = 3  # TensorFlow and Pillow carry different builds of libjpeg


def picture(mode="RGB", height=37, width=50, seed=0):
    """Smooth and lopsided, so that JPEG keeps it and a wrong turn shows."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    return image.convert(mode)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation):
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = orientation
    return block


def png(depth, color, *rows, late=b""):
    """A PNG of any bit depth and color type, with a block after the pixels."""

    def block(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    channels = {0: 1, 2: 3}[color]
    width = len(rows[0]) * 8 // (depth * channels)
    head = struct.pack(">IIBBBBB", width, len(rows), depth, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    blocks = block(b"IHDR", head) + block(b"IDAT", pixels) + late + block(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + blocks


def late_orientation(data, orientation):
    """Moves in an EXIF block behind the pixels of a PNG, where some programs write it."""
    body = exif(orientation).tobytes().removeprefix(b"Exif\0\0")
    block = struct.pack(">I", len(body)) + b"eXIf" + body
    block += struct.pack(">I", zlib.crc32(b"eXIf" + body))
    return data[:-12] + block + data[-12:]


def xmp(orientation):
    return f'<x:xmpmeta tiff:Orientation="{orientation}"/>'.encode()


def animation(kind, **options):
    others = [picture(seed=1), picture(seed=2)]
    return encode(picture(), kind, save_all=True, append_images=others, **options)


NOISE = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
PLAIN_JPEGS = {
    "jpeg": encode(picture(), "JPEG"),
    "jpeg-gray": encode(picture("L"), "JPEG"),
    "jpeg-progressive": encode(picture(), "JPEG", progressive=True),
    "jpeg-full-color": encode(picture(), "JPEG", subsampling=0),
    "jpeg-odd-size": encode(picture(height=33, width=17), "JPEG"),
    "jpeg-comment": encode(picture(), "JPEG", comment=b"\xff\xfe any bytes \x80"),
}
PLAIN_PNGS = {
    "png": encode(Image.fromarray(NOISE), "PNG"),
    "png-gray": encode(picture("L"), "PNG"),
}
# Plain once `check` has looked into them; unknown ones go through Pillow.
TURNED_JPEGS = {
    f"jpeg-exif-{turn}": encode(picture(), "JPEG", exif=exif(turn)) for turn in range(10)
} | {"jpeg-xmp": encode(picture(), "JPEG", xmp=xmp(6))}
OTHERS = {
    **{f"png-exif-{turn}": encode(picture(), "PNG", exif=exif(turn)) for turn in range(1, 9)},
    "png-late-exif": late_orientation(encode(Image.fromarray(NOISE), "PNG"), 6),
    "png-rgba": encode(Image.fromarray(NOISE).convert("RGBA"), "PNG"),
    "png-alpha": encode(Image.fromarray(np.dstack([NOISE, NOISE[..., 0]])), "PNG"),
    "png-gray-alpha": encode(Image.fromarray(NOISE[..., :2].copy(), "LA"), "PNG"),
    "png-palette": encode(picture("P"), "PNG"),
    "png-palette-transparent": encode(picture("P"), "PNG", transparency=3),
    "png-transparent-color": encode(
        Image.fromarray(NOISE), "PNG", transparency=tuple(map(int, NOISE[0, 0]))
    ),
    "png-1-bit": encode(picture("1"), "PNG"),
    "png-4-bit": png(4, 0, b"\x01\x9f", b"\xf0\x37"),
    "png-16-bit": encode(Image.fromarray(NOISE[..., 0] * np.uint16(200)), "PNG"),
    "png-16-bit-dark": encode(Image.fromarray(NOISE[..., 0].astype(np.uint16)), "PNG"),
    "png-16-bit-rgb": png(16, 2, bytes(range(0, 240, 5)), bytes(range(10, 250, 5))),
    "png-animated": animation("PNG"),
    "jpeg-cmyk": encode(picture("CMYK"), "JPEG"),
    "jpeg-cmyk-exif": encode(picture("CMYK"), "JPEG", exif=exif(6)),
    "webp": encode(picture(), "WEBP"),
    "webp-exif": encode(picture(), "WEBP", exif=exif(8)),
    "webp-alpha": encode(Image.fromarray(np.dstack([NOISE, NOISE[..., 0]])), "WEBP"),
    "webp-animated": animation("WEBP"),
    "gif": encode(picture("P"), "GIF"),
    "gif-animated": animation("GIF"),
    "bmp": encode(picture(), "BMP"),
    "tiff": encode(picture(), "TIFF"),
    "tiff-exif": encode(picture(), "TIFF", exif=exif(5)),
    "one-pixel": encode(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG"),
}
FILES = PLAIN_JPEGS | PLAIN_PNGS | TURNED_JPEGS | OTHERS


@pytest.fixture(scope="module")
def read():
    """`decode.read_image` in a graph, on bytes."""
    signature = [tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32)]
    return tf.function(decode.read_image, input_signature=signature)


@pytest.fixture
def file(tmp_path):
    def write(data):
        (tmp_path / "image").write_bytes(data)
        return str(tmp_path / "image")

    return write


def assert_same(decoded, name):
    expected = images.decode(FILES[name])
    assert decoded.dtype == np.uint8
    tolerance = JPEG_TOLERANCE if name in PLAIN_JPEGS | TURNED_JPEGS else 0
    np.testing.assert_allclose(decoded.astype(int), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", FILES)
def test_unknown_format(read, file, name):
    assert_same(read(file(FILES[name]), UNKNOWN_FORMAT).numpy(), name)


@pytest.mark.parametrize("name", FILES)
def test_checked_format(read, file, name, tmp_path):
    file(FILES[name])
    table = check(FaceTable(tmp_path, ["image"])).table
    assert_same(read(table.full_paths()[0], table.formats[0]).numpy(), name)


@pytest.mark.parametrize("name", FILES)
def test_with_pillow(read, file, name):
    decoded = read(file(FILES[name]), DECODE_WITH_PILLOW).numpy()
    np.testing.assert_array_equal(decoded, images.decode(FILES[name]))


@pytest.mark.parametrize("orientation", range(2, 9))
def test_orientation_changes_the_image(orientation):
    rotated = images.decode(FILES[f"png-exif-{orientation}"])
    assert not np.array_equal(rotated, images.decode(FILES["png-exif-1"]))


@pytest.fixture(scope="module")
def read_without_pillow():
    def refuse(data):
        raise AssertionError("Pillow was asked")

    signature = [tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32)]
    function = tf.function(decode.read_image, input_signature=signature)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(images, "decode", refuse)
        function.get_concrete_function()
    return function


@pytest.mark.parametrize("name", PLAIN_JPEGS | PLAIN_PNGS)
def test_plain_files_are_decoded_without_pillow(read_without_pillow, file, name):
    assert_same(read_without_pillow(file(FILES[name]), UNKNOWN_FORMAT).numpy(), name)


@pytest.mark.parametrize("name", [*TURNED_JPEGS, *(f"png-exif-{turn}" for turn in range(1, 9))])
def test_checked_rotated_files_are_decoded_without_pillow(read_without_pillow, file, name):
    orientation = images.inspect(FILES[name]).orientation
    assert_same(read_without_pillow(file(FILES[name]), orientation).numpy(), name)


@pytest.mark.parametrize("image_format", [UNKNOWN_FORMAT, DECODE_WITH_PILLOW, 1, 6])
@pytest.mark.parametrize(
    "data",
    [b"", b"text", FILES["jpeg"][:400], FILES["png"][:400], FILES["webp"][:200]],
    ids=["empty", "text", "jpeg", "png", "webp"],
)
def test_broken_file_raises(read, file, data, image_format):
    with pytest.raises(tf.errors.InvalidArgumentError):
        read(file(data), image_format)


def test_missing_file_raises(read, tmp_path):
    with pytest.raises(tf.errors.NotFoundError):
        read(str(tmp_path / "missing.jpg"), UNKNOWN_FORMAT)


def test_shape_in_the_graph_is_rgb(read):
    assert read.get_concrete_function().output_shapes.as_list() == [None, None, 3]


# Squares


def square(pixels, position):
    """The square of the shorter side at a place along the longer one."""
    side = min(pixels.shape[:2])
    top, left = (int(position * (length - side + 1)) for length in pixels.shape[:2])
    return pixels[top : top + side, left : left + side]


def every_position(pixels):
    """The middle of the range that belongs to each place."""
    places = abs(pixels.shape[0] - pixels.shape[1]) + 1
    return (np.arange(places) + 0.5) / places


@pytest.fixture(scope="module")
def read_square():
    """`decode.read_crop` in a graph, on files."""
    signature = [tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32), tf.TensorSpec([])]
    return tf.function(
        lambda path, image_format, position: decode.read_crop(path, image_format, Crop(), position),
        input_signature=signature,
    )


@pytest.mark.parametrize("name", FILES)
def test_square_of_every_kind_of_file(read, read_square, file, name, tmp_path):
    path = file(FILES[name])
    checked = check(FaceTable(tmp_path, ["image"])).table.formats[0]
    for image_format in (UNKNOWN_FORMAT, checked, DECODE_WITH_PILLOW):
        whole = read(path, image_format).numpy()
        for position in (0.0, 0.3, 0.5, 0.999):
            found = read_square(path, image_format, position).numpy()
            assert found.dtype == np.uint8
            np.testing.assert_array_equal(found, square(whole, position))


@pytest.mark.parametrize("shape", [(218, 178), (109, 89), (40, 90), (33, 50), (50, 33), (7, 70)])
@pytest.mark.parametrize(
    "options",
    [{}, {"subsampling": 1}, {"subsampling": 0}, {"progressive": True}, {"mode": "L"}],
    ids=["4:2:0", "4:2:2", "4:4:4", "progressive", "gray"],
)
def test_square_of_a_jpeg_equals_that_of_the_whole_image(
    read_without_the_whole, read, file, shape, options
):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert("L" if "mode" in options else "RGB")
    saving = {name: value for name, value in options.items() if name != "mode"}
    path = file(encode(image, "JPEG", **saving))
    whole = read(path, 1).numpy()
    for position in every_position(whole):
        found = read_without_the_whole(path, 1, position).numpy()
        np.testing.assert_array_equal(found, square(whole, position))


@pytest.fixture(scope="module")
def read_without_the_whole():
    """`decode.read_crop` in a graph that could not decode a whole JPEG."""

    def refuse(*arguments, **options):
        def call(data):
            raise AssertionError("the whole file was decoded")

        return tf.ensure_shape(tf.numpy_function(call, arguments[:1], tf.uint8), [None, None, 3])

    signature = [tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32), tf.TensorSpec([])]
    function = tf.function(
        lambda path, image_format, position: decode.read_crop(path, image_format, Crop(), position),
        input_signature=signature,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.io, "decode_jpeg", refuse)
        function.get_concrete_function()
    return function


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"progressive": True}])
@pytest.mark.parametrize(
    ("shape", "image_size", "ratio"),
    [
        ((218, 178), 64, 2),
        ((109, 89), 64, 1),
        ((218, 178), 90, 1),
        ((218, 178), 89, 2),
        ((101, 90), 22, 4),
        ((101, 90), 23, 2),
        ((90, 333), 7, 8),
        ((90, 333), 1, 8),
    ],
)
def test_square_of_a_large_jpeg_is_decoded_smaller(file, shape, image_size, ratio, options):
    face = draw_face(1, 1, size=max(shape)).image[: shape[0], : shape[1]]
    path = file(encode(Image.fromarray(face), "JPEG", quality=95, **options))
    data = tf.io.read_file(path)
    small = tf.io.decode_jpeg(data, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE").numpy()
    large = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    for position in (0.0, 0.3, 0.5, 0.999):
        found = decode.read_crop(path, 1, Crop(), position, image_size).numpy()
        np.testing.assert_array_equal(found, square(small, position))
        # Their places differ by less than a pixel of the small picture.
        resized = decode.resize(square(large, position), image_size)
        assert np.abs(decode.resize(found, image_size) - resized).mean() < 3 * ratio


@pytest.mark.parametrize(("name", "known"), [("jpeg", 1), ("jpeg-exif-1", 1), ("jpeg", -1)])
def test_plain_upright_jpeg_is_partly_decoded(read_without_the_whole, read, file, name, known):
    path = file(FILES[name])
    found = read_without_the_whole(path, known, 0.5).numpy()
    np.testing.assert_array_equal(found, square(read(path, known).numpy(), 0.5))


def test_rotated_jpeg_is_decoded_in_full(read_without_the_whole, file):
    with pytest.raises(tf.errors.OpError, match="the whole file was decoded"):
        read_without_the_whole(file(FILES["jpeg-exif-6"]), 6, 0.5)


@pytest.mark.parametrize(
    ("shape", "top"), [((218, 178), 20), ((109, 89), 10), ((10, 9), 1), ((11, 9), 1), ((9, 9), 0)]
)
def test_center(read_square, file, shape, top):
    rows, columns = np.indices(shape, np.uint8)
    pixels = np.dstack([rows, columns, 0 * rows])
    for upright_or_lying in (pixels, pixels.swapaxes(0, 1)):
        path = file(encode(Image.fromarray(upright_or_lying), "PNG"))
        found = read_square(path, UNKNOWN_FORMAT, 0.5).numpy()
        assert found.shape == (shape[1], shape[1], 3)
        assert found[0, 0].tolist() == [top, 0, 0]


@pytest.mark.parametrize(
    ("shape", "share", "middle"),
    [
        ((218, 178), 0.8, (22, 18, 174, 142)),
        ((109, 89), 0.8, (11, 9, 87, 71)),
        ((9, 9), 0.5, (2, 2, 4, 4)),
        ((3, 5), 0.01, (1, 2, 1, 1)),
    ],
)
def test_central_crops(file, shape, share, middle):
    top, left, height, width = middle
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    whole = Image.fromarray(noise)
    for encoded in (encode(whole, "JPEG"), encode(whole, "PNG")):
        path = file(encoded)
        pixels = decode.read_image(path, 1).numpy()
        part = pixels[top : top + height, left : left + width]
        crop = Crop(share, shape="image")
        np.testing.assert_array_equal(decode.read_crop(path, 1, crop).numpy(), part)
        np.testing.assert_array_equal(decode.cut(pixels, crop), part)
        for position in (0.0, 0.5, 0.999):
            expected = square(part, position)
            found = decode.read_crop(path, 1, Crop(share), position).numpy()
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(decode.cut(pixels, Crop(share), position), expected)
    # Of a large JPEG, decoded to a half: the same part.
    coarse = Image.fromarray(noise[:9, :9]).resize((400, 400), Image.Resampling.BICUBIC)
    path = file(encode(coarse, "JPEG"))
    small = decode.read_crop(path, 1, Crop(share), 0.5, 100).numpy()
    assert len(small) == max(round(400 * share), 1) // (2 if share >= 0.5 else 1)


def test_center_of_a_large_jpeg_is_decoded_smaller(file):
    colors = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    coarse = Image.fromarray(colors).resize((600, 400), Image.Resampling.BICUBIC)
    path = file(encode(coarse, "JPEG"))
    crop = Crop(0.8, shape="image")
    # Its shorter side, 320 pixels, is three times 100: a half of it is not below that.
    small = decode.read_crop(path, 1, crop, 0.5, 100).numpy()
    assert small.shape == (160, 240, 3)
    large = decode.read_crop(path, 1, crop).numpy().astype(float)
    averaged = large.reshape(160, 2, 240, 2, 3).mean(axis=(1, 3))
    assert np.abs(averaged - small).mean() < 2


def test_range_of_positions_covers_the_image(read_square, file):
    pixels = np.random.default_rng(0).integers(0, 256, (31, 8, 3), dtype=np.uint8)
    path = file(encode(Image.fromarray(pixels), "PNG"))
    np.testing.assert_array_equal(read_square(path, UNKNOWN_FORMAT, 0.0), pixels[:8])
    last = np.nextafter(np.float32(1), np.float32(0))
    np.testing.assert_array_equal(read_square(path, UNKNOWN_FORMAT, last), pixels[-8:])


@pytest.mark.parametrize("image_format", [UNKNOWN_FORMAT, DECODE_WITH_PILLOW, 1, 6])
@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
def test_square_of_a_broken_file_raises(read_square, file, name, image_format):
    for data in (FILES[name][: len(FILES[name]) // 3], b"", b"text"):
        with pytest.raises(tf.errors.InvalidArgumentError):
            read_square(file(data), image_format, 0.5)


def test_shape_of_a_square_in_the_graph_is_rgb(read_square):
    assert read_square.get_concrete_function().output_shapes.as_list() == [None, None, 3]


# Resizing


def pillow_resized(values, size):
    """Pillow's antialiased resize of floats, channel by channel."""
    channels = [
        Image.fromarray(channel).resize((size, size), Image.Resampling.BILINEAR)
        for channel in np.moveaxis(values.astype(np.float32), 2, 0)
    ]
    return np.dstack([np.asarray(channel) for channel in channels])


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(64, 64, 16), (57, 31, 20), (31, 64, 31), (7, 9, 24), (10, 90, 24), (1, 1, 8), (24, 24, 24)],
)
def test_resize_equals_pillow(height, width, size):
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    resized = decode.resize(tf.constant(values), size)
    assert resized.shape == (size, size, 3)
    assert resized.dtype == tf.float32
    np.testing.assert_allclose(resized, pillow_resized(values, size), atol=0.01)


@pytest.mark.parametrize("times", [3, 4, 5])
def test_shrunk_checkerboard_is_gray(times):
    board = np.indices((16 * times, 16 * times)).sum(axis=0) % 2 * 255.0
    shrunk = decode.resize(tf.constant(np.dstack([board] * 3)), 16)
    np.testing.assert_allclose(shrunk, 127.5, atol=8)  # the border sees half a kernel


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resize_to_the_same_size_changes_nothing(dtype):
    values = NOISE[:40, :40].astype(dtype)
    np.testing.assert_array_equal(decode.resize(tf.constant(values), 40), values)
