"""Tests of the decoding inside a graph: the same pixels as Pillow's, whatever the file."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import ExifTags, Image

from kerasface import images
from kerasface.data.table import DECODE_WITH_PILLOW, UNKNOWN_FORMAT, FaceTable, check
from kerasface.pipeline import decode

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


def png(depth, colour, *rows, late=b""):
    """A PNG of any bit depth and colour type, with a block after the pixels."""

    def block(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    channels = {0: 1, 2: 3}[colour]
    width = len(rows[0]) * 8 // (depth * channels)
    head = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
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
    "jpeg-grey": encode(picture("L"), "JPEG"),
    "jpeg-progressive": encode(picture(), "JPEG", progressive=True),
    "jpeg-full-colour": encode(picture(), "JPEG", subsampling=0),
    "jpeg-odd-size": encode(picture(height=33, width=17), "JPEG"),
    "jpeg-comment": encode(picture(), "JPEG", comment=b"\xff\xfe any bytes \x80"),
}
PLAIN_PNGS = {
    "png": encode(Image.fromarray(NOISE), "PNG"),
    "png-grey": encode(picture("L"), "PNG"),
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
    "png-grey-alpha": encode(Image.fromarray(NOISE[..., :2].copy(), "LA"), "PNG"),
    "png-palette": encode(picture("P"), "PNG"),
    "png-palette-transparent": encode(picture("P"), "PNG", transparency=3),
    "png-transparent-colour": encode(
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
def test_turned_files_are_no_longer_alike(orientation):
    turned = images.decode(FILES[f"png-exif-{orientation}"])
    assert not np.array_equal(turned, images.decode(FILES["png-exif-1"]))


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
def test_plain_files_do_without_pillow(read_without_pillow, file, name):
    assert_same(read_without_pillow(file(FILES[name]), UNKNOWN_FORMAT).numpy(), name)


@pytest.mark.parametrize("name", [*TURNED_JPEGS, *(f"png-exif-{turn}" for turn in range(1, 9))])
def test_turned_files_do_without_pillow_once_checked(read_without_pillow, file, name):
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
def test_resize_is_pillows(height, width, size):
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    resized = decode.resize(tf.constant(values), size)
    assert resized.shape == (size, size, 3)
    assert resized.dtype == tf.float32
    np.testing.assert_allclose(resized, pillow_resized(values, size), atol=0.01)


@pytest.mark.parametrize("times", [3, 4, 5])
def test_shrunk_checkerboard_is_grey(times):
    board = np.indices((16 * times, 16 * times)).sum(axis=0) % 2 * 255.0
    shrunk = decode.resize(tf.constant(np.dstack([board] * 3)), 16)
    np.testing.assert_allclose(shrunk, 127.5, atol=8)  # the border sees half a kernel


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_same_size_is_untouched(dtype):
    values = NOISE[:40, :40].astype(dtype)
    np.testing.assert_array_equal(decode.resize(tf.constant(values), 40), values)
