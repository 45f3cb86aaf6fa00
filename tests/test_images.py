"""Tests of the decoding of single files."""

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from kerasface import images

# Lossless ways to store RGB.
LOSSLESS = [("PNG", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


def encode(picture, kind, **options):
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(height=5, width=8, channels=3, seed=0):
    shape = (height, width, channels) if channels else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def exif(orientation):
    block = Image.Exif()
    block[ExifTags.Base.Orientation] = orientation
    return block


@pytest.mark.parametrize(("kind", "options"), LOSSLESS)
def test_rgb_is_exact(kind, options):
    decoded = images.decode(encode(noise(), kind, **options))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, noise())


def test_jpeg_equals_pillow():
    data = encode(noise(), "JPEG")
    np.testing.assert_array_equal(images.decode(data), np.asarray(Image.open(io.BytesIO(data))))


def test_gray_becomes_three_equal_channels():
    gray = noise(channels=0)
    np.testing.assert_array_equal(images.decode(encode(gray, "PNG")), np.dstack([gray] * 3))


def test_one_bit_becomes_black_and_white():
    bits = noise(channels=0) > 127
    decoded = images.decode(encode(Image.fromarray(bits), "PNG"))
    np.testing.assert_array_equal(decoded, np.dstack([bits * np.uint8(255)] * 3))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True})])
def test_transparent_pixels_are_blended_with_black(mode, kind, options):
    image = Image.fromarray(noise()).convert(mode)
    opacity = np.tile(np.array([0, 64, 128, 255], np.uint8), (5, 2))
    image.putalpha(Image.fromarray(opacity))
    opaque = np.asarray(image.convert("RGBA"))[..., :3]
    decoded = images.decode(encode(image, kind, **options))
    assert not decoded[opacity == 0].any()
    np.testing.assert_array_equal(decoded[opacity == 255], opaque[opacity == 255])
    np.testing.assert_allclose(decoded, opaque * (opacity[..., None] / 255), atol=1)


def test_cmyk_tiff_has_the_colors_of_its_inks():
    inks = np.array([[[0, 255, 255, 0], [255, 0, 255, 0], [0, 0, 0, 255]]], np.uint8)
    decoded = images.decode(encode(Image.fromarray(inks, "CMYK"), "TIFF"))
    np.testing.assert_array_equal(decoded, [[[255, 0, 0], [0, 255, 0], [0, 0, 0]]])


def test_cmyk_jpeg_is_near_the_original():
    original = np.full((16, 16, 3), (200, 90, 30), np.uint8)
    data = encode(Image.fromarray(original).convert("CMYK"), "JPEG", quality=95)
    np.testing.assert_allclose(images.decode(data).astype(int), original, atol=4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 257, 25700, 32768, 65535], [0, 1, 100, 128, 255]),
        ([0, 128, 129, 200, 255], [0, 0, 1, 1, 1]),  # a dark photograph stays dark
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bits_are_scaled(values, expected, kind):
    decoded = images.decode(encode(np.array([values], np.uint16), kind))
    np.testing.assert_array_equal(decoded, np.dstack([np.array([expected])] * 3))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0, 7, 255]], np.int32), [0, 7, 255]),
        (np.array([[0, 257, 65535]], np.int32), [0, 1, 255]),
        (np.array([[-3.0, 7.4, 300.0]], np.float32), [0, 7, 255]),
    ],
)
def test_wide_pixels_are_brought_into_range(values, expected):
    decoded = images.decode(encode(values, "TIFF"))
    np.testing.assert_array_equal(decoded, np.dstack([np.array([expected])] * 3))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
@pytest.mark.parametrize("transparent", [None, 1])
def test_palette(kind, transparent):
    colors = np.array([[10, 20, 30], [250, 0, 120], [0, 200, 90]], np.uint8)
    index = np.array([[0, 1, 2, 1], [2, 2, 0, 1]], np.uint8)
    image = Image.fromarray(index)
    image.putpalette(colors.tobytes())
    options = {} if transparent is None else {"transparency": transparent}
    expected = colors[index]
    if transparent is not None:
        expected[index == transparent] = 0
    np.testing.assert_array_equal(images.decode(encode(image, kind, **options)), expected)


def test_transparent_color_of_an_rgb_png_is_black():
    picture = noise()
    data = encode(picture, "PNG", transparency=tuple(int(v) for v in picture[0, 0]))
    picture[0, 0] = 0
    np.testing.assert_array_equal(images.decode(data), picture)
    assert not images.inspect(data).plain


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(kind):
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 3
    decoded = images.decode(data)
    np.testing.assert_array_equal(decoded, np.full((3, 4, 3), (255, 0, 0)))
    assert not images.inspect(data).plain


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation):
    data = encode(noise(), "PNG", exif=exif(orientation))
    np.testing.assert_array_equal(images.decode(data), UPRIGHT[orientation](noise()))
    assert images.inspect(data) == images.ImageInfo(8, 5, orientation, plain=True)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_as_pillow_turns(orientation, kind):
    data = encode(noise(), kind, exif=exif(orientation))
    turned = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(images.decode(data), np.asarray(turned.convert("RGB")))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "I;16"])
def test_exif_orientation_in_other_modes(mode):
    image = Image.fromarray(noise(channels=0))
    image = Image.fromarray(noise(channels=0) * np.uint16(257)) if "I" in mode else image
    turned = images.decode(encode(image.convert(mode), "PNG", exif=exif(6)))
    np.testing.assert_array_equal(turned, np.rot90(np.dstack([noise(channels=0)] * 3), -1))


@pytest.mark.parametrize("orientation", [0, 9])
def test_unknown_orientation_is_upright(orientation):
    data = encode(noise(), "PNG", exif=exif(orientation))
    np.testing.assert_array_equal(images.decode(data), noise())
    assert images.inspect(data).orientation == 1


@pytest.mark.parametrize("block", [b"no directory at all", b"II*\0", b"II*\0\x08\0\0\0\x05\0\x12"])
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {"dpi": (72, 72)})])
@pytest.mark.filterwarnings("ignore:.*EXIF:UserWarning")
def test_broken_exif_is_upright(block, kind, options):
    data = encode(noise(), kind, exif=b"Exif\0\0" + block, **options)
    plain = encode(noise(), kind, **options)
    np.testing.assert_array_equal(images.decode(data), images.decode(plain))
    assert images.inspect(data) == images.inspect(plain)


@pytest.mark.parametrize(
    ("entry", "orientation"),
    [(struct.pack("<HHII", 0x112, 4, 1, 6), 6), (struct.pack("<HHI4s", 0x112, 2, 2, b"6"), 1)],
    ids=["long", "text"],
)
def test_orientation_of_an_unusual_type(entry, orientation):
    block = b"Exif\0\0II*\0\x08\0\0\0\x01\0" + entry + bytes(4)
    data = encode(noise(), "PNG", exif=block)
    assert images.inspect(data).orientation == orientation
    np.testing.assert_array_equal(images.decode(data), UPRIGHT[orientation](noise()))


@pytest.mark.parametrize("read", [images.decode, images.inspect])
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"not an image, but some text", "no image format is recognized$"),
        (b"<html>Please log in</html>", "recognized: the content is an HTML page"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(90), "recognized: the content is a HEIC image"),
        (encode(noise(64, 64), "JPEG")[:1500], "truncated"),
        (encode(noise(64, 64), "PNG")[:1500], "truncated"),
        (encode(noise(), "JPEG")[:10], "not a readable image|no image format"),
    ],
    ids=["empty", "text", "html", "heic", "jpeg", "png", "head"],
)
def test_broken_bytes_are_refused(read, data, reason):
    with pytest.raises(ValueError, match=reason):
        read(data)


@pytest.mark.parametrize("read", [images.read, lambda path: images.thumbnail(path, 8)])
def test_errors_name_the_file(read, tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"Received: '.*a\.jpg': no image format"):
        read(tmp_path / "a.jpg")
    with pytest.raises(FileNotFoundError, match=r"'.*b\.jpg', nothing at that path"):
        read(tmp_path / "b.jpg")
    with pytest.raises(FileNotFoundError, match="a folder"):
        read(tmp_path)


def test_read(tmp_path):
    (tmp_path / "a.png").write_bytes(encode(noise(), "PNG"))
    np.testing.assert_array_equal(images.read(tmp_path / "a.png"), noise())


@pytest.mark.parametrize("read", [images.decode, images.inspect])
def test_too_many_pixels_are_refused(read, monkeypatch):
    data = encode(noise(5, 8), "PNG")
    monkeypatch.setattr(images, "MAX_PIXELS", 40)
    read(data)
    monkeypatch.setattr(images, "MAX_PIXELS", 39)
    with pytest.raises(ValueError, match="8 x 5 pixels exceed the limit of 39"):
        read(data)


def test_pillow_bomb_is_a_value_error(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match="decompression bomb"):
        images.decode(encode(noise(), "PNG"))


@pytest.mark.parametrize(
    ("data", "plain"),
    [
        (encode(noise(), "JPEG"), True),
        (encode(noise(channels=0), "JPEG"), True),
        (encode(noise(), "JPEG", progressive=True), True),
        (encode(noise(), "PNG"), True),
        (encode(noise(channels=0), "PNG"), True),
        (encode(noise(channels=4), "PNG"), False),
        (encode(Image.fromarray(noise()).convert("P"), "PNG"), False),
        (encode(noise(channels=0).astype(np.uint16), "PNG"), False),
        (encode(Image.fromarray(noise()).convert("CMYK"), "JPEG"), False),
        (encode(noise(), "WEBP"), False),
        (encode(noise(), "GIF"), False),
        (encode(noise(), "BMP"), False),
        (encode(noise(), "TIFF"), False),
    ],
)
def test_plain_files_are_recognized(data, plain):
    assert images.inspect(data) == images.ImageInfo(width=8, height=5, orientation=1, plain=plain)


def test_warning_filters_stay(monkeypatch):
    # They belong to all threads at once, and files are decoded in threads.
    during, opened = [], Image.open

    def spy(file):
        during.append(list(warnings.filters))
        return opened(file)

    monkeypatch.setattr(Image, "open", spy)
    before = list(warnings.filters)
    images.decode(encode(noise(), "PNG"))
    images.inspect(encode(noise(), "PNG"))
    assert during == [before, before]


def smooth(seed=0, size=120):
    """A picture of a few soft spots."""
    small = noise(6, 6, seed=seed)
    return np.asarray(Image.fromarray(small).resize((size, size), Image.Resampling.BICUBIC))


def bits_apart(first, second):
    pair = images.perceptual_hash(first), images.perceptual_hash(second)
    return int(np.unpackbits(pair[0] ^ pair[1]).sum())


def test_perceptual_hash_has_256_bits_half_of_them_set():
    value = images.perceptual_hash(smooth())
    assert (value.dtype, value.shape) == (np.uint8, (32,))
    assert np.unpackbits(value).sum() == 128


@pytest.mark.parametrize(
    "edit",
    [
        lambda a: images.decode(encode(a, "JPEG", quality=60)),
        lambda a: np.asarray(Image.fromarray(a).resize((70, 70), Image.Resampling.BICUBIC)),
        lambda a: np.asarray(Image.fromarray(a).convert("L").convert("RGB")),
        lambda a: (a * 0.9).astype(np.uint8),
    ],
)
def test_perceptual_hash_of_an_image_saved_again(edit):
    picture = noise(120, 120) // 2 + smooth() // 2
    assert bits_apart(edit(picture), picture) <= 24


def test_perceptual_hash_differs_between_images():
    assert min(bits_apart(smooth(seed), smooth(seed + 1)) for seed in range(10)) > 60
    assert bits_apart(smooth(), smooth()[:, ::-1]) > 60


def test_perceptual_hash_of_blank_pictures_is_one():
    for value in (0, 90, 255):
        for shape in ((5, 5, 3), (200, 31, 3)):
            assert not images.perceptual_hash(np.full(shape, value, np.uint8)).any()


def test_thumbnail_keeps_the_aspect_ratio(tmp_path):
    Image.new("RGB", (90, 30), (200, 10, 10)).save(tmp_path / "wide.png")
    small = images.thumbnail(tmp_path / "wide.png", 30)
    assert small.shape == (10, 30, 3) and small.dtype == np.uint8
    assert images.thumbnail(tmp_path / "wide.png", 500).shape == (30, 90, 3)


RGBA = noise(channels=4)
RGB = noise()
GRAY = noise(channels=0)


def opened(picture):
    return io.BytesIO(encode(picture, "PNG"))


class OnlyRead:
    """A file that cannot be rewound, such as the answer of a web server."""

    def __init__(self, content):
        self.content = content

    def read(self):
        return self.content


FORMS = {
    "uint8": (RGB, RGB),
    "uint8, other strides": (RGB[::-1, :, ::-1], RGB[::-1, :, ::-1]),
    "gray": (GRAY, np.dstack([GRAY] * 3)),
    "gray with an axis": (GRAY[..., None], np.dstack([GRAY] * 3)),
    "alpha": (RGBA, images.decode(encode(RGBA, "PNG"))),
    "float32": (RGB + np.float32(0.4), RGB),
    "float64 gray": (GRAY - 0.4 * (GRAY > 0), np.dstack([GRAY] * 3)),
    "float16 with alpha": (RGBA.astype(np.float16), images.decode(encode(RGBA, "PNG"))),
    "float black": (np.zeros((5, 8, 3)), np.zeros((5, 8, 3), np.uint8)),
    "PIL": (Image.fromarray(RGB), RGB),
    "PIL gray": (Image.fromarray(GRAY), np.dstack([GRAY] * 3)),
    "PIL alpha": (Image.fromarray(RGBA), images.decode(encode(RGBA, "PNG"))),
    "bytes": (encode(RGB, "PNG"), RGB),
    "bytearray": (bytearray(encode(RGB, "PNG")), RGB),
    "memoryview": (memoryview(encode(RGB, "PNG")), RGB),
    "binary file": (opened(RGB), RGB),
    "web answer": (OnlyRead(encode(RGB, "PNG")), RGB),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pixels(form):
    value, expected = FORMS[form]
    for _ in range(1 if form == "web answer" else 2):  # a file is rewound
        image = images.as_image(value)
        assert image.dtype == np.uint8
        assert image.flags.c_contiguous
        np.testing.assert_array_equal(image, expected)


@pytest.mark.parametrize("orientation", sorted(UPRIGHT))
def test_every_form_of_a_rotated_file_is_upright(tmp_path, orientation):
    data = encode(RGB, "PNG", exif=exif(orientation))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for form in (path, str(path), data, io.BytesIO(data), Image.open(path)):
        np.testing.assert_array_equal(images.as_image(form), UPRIGHT[orientation](RGB))


def test_float_is_rounded():
    pixels = np.array([[0.4, 0.6, 254.5, 255.0]])
    assert images.as_image(pixels)[0, :, 0].tolist() == [0, 1, 254, 255]


REFUSED = {
    "shares": (RGB / 255, ValueError, r"values in \[0, 255\]. .* Multiply by 255\."),
    "ones": (np.ones((2, 2)), ValueError, r"Multiply by 255"),
    "negative": (RGB / 127.5 - 1, ValueError, r"values in \[0, 255\]. Received: values in \[-1"),
    "too large": (RGB * 2.0, ValueError, r"values in \[0, 255\]"),
    "NaN": (np.full((2, 2), np.nan), ValueError, r"Received: NaN\.$"),
    "infinite": (np.full((2, 2), np.inf), ValueError, r"values in \[inf, inf\]"),
    "integers": (RGB.astype(int), ValueError, r"int64 array of shape .* array.astype\('uint8'\)"),
    "bool": (GRAY > 9, ValueError, r"Received: bool array of shape \(5, 8\)"),
    "complex": (GRAY * 1j, ValueError, r"Received: complex128 array"),
    "two channels": (RGBA[..., :2], ValueError, r"array of shape \(5, 8, 2\)\.$"),
    "channels first": (RGB.transpose(2, 0, 1), ValueError, r"numpy.moveaxis\(array, 0, -1\)"),
    "batch": (RGB[None], ValueError, r"shape \(1, 5, 8, 3\)\. Give one image: array\[0\]\."),
    "row": (RGB[0, :, 0], ValueError, r"shape \(8,\)\.$"),
    "empty": (RGB[:0], ValueError, r"shape \(0, 8, 3\)"),
    "list": ([RGB], TypeError, r"Received: list\. Give one image\."),
    "None": (None, TypeError, r"Received: NoneType\.$"),
    "number": (3, TypeError, r"Received: int\.$"),
    "array-like": (memoryview, TypeError, r"Received: type\.$"),
    "text file": (io.StringIO("x"), TypeError, r"open\(path, 'rb'\)"),
    "file of text": (OnlyRead("x"), TypeError, r"OnlyRead whose `read` returns str"),
    "no image": (b"GIF", ValueError, r"Received: bytes: no image format"),
    "empty bytes": (b"", ValueError, r"Received: bytes: empty file"),
    "truncated": (encode(noise(50, 50), "PNG")[:900], ValueError, r"readable. Received: bytes: "),
    "no path": ("nowhere.jpg", FileNotFoundError, r"Received: 'nowhere.jpg', nothing at that path"),
    "folder": (".", FileNotFoundError, r"Received: '.', a folder"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_refused_forms_name_the_argument(form):
    value, error, text = REFUSED[form]
    with pytest.raises(error, match=r"(?s)^`image_b` must (be|have).*" + text):
        images.as_image(value, "image_b")


def test_closed_and_damaged_pil_images_are_refused(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encode(noise(50, 50), "PNG")[:900])
    with pytest.raises(ValueError, match=r"`image` must be readable\. Received: PngImageFile: "):
        images.as_image(Image.open(path))


def test_paths_name_the_argument_and_the_file(tmp_path):
    path = tmp_path / "text.jpg"
    path.write_text("no image")
    with pytest.raises(
        ValueError, match=r"^`photo` must be readable\. Received: '.*text\.jpg': no"
    ):
        images.as_image(path, "photo")
