"""Images as arguments, safe decoding of image files, and perceptual hashes."""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
from typing import BinaryIO, TypeAlias

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from kerasface.files import HEAD, content_kind

# Files with these suffixes are read as images, whatever format their content has.
EXTENSIONS = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".dib", ".gif", ".j2k", ".jfif", ".jp2", ".jpe", ".jpeg"),
        *(".jpg", ".mpo", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff"),
        ".webp",
    }
)
# Images that are reported and ignored: neither TensorFlow nor Pillow decodes them.
UNSUPPORTED = frozenset(
    {
        *(".heic", ".heif", ".hif", ".jxl", ".psd", ".svg", ".xcf"),
        *(".arw", ".cr2", ".cr3", ".dng", ".nef", ".orf", ".raf", ".raw", ".rw2"),  # cameras
    }
)
MAX_PIXELS = 100_000_000  # larger images, such as decompression bombs, could fill the memory

AnyImage: TypeAlias = str | os.PathLike | np.ndarray | Image.Image | bytes | BinaryIO
# What `as_image` accepts, in the words of all error messages.
FORMS = (
    "a path, a PIL image, the bytes of an image file, a binary file, or an array [height, width] "
    "or [height, width, 1, 3 or 4], uint8 or float in [0, 255]"
)
CHANNELS = (1, 3, 4)  # gray, RGB, RGB with alpha
BYTES = (bytes, bytearray, memoryview)

# Turns an image with an EXIF orientation upright.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclasses.dataclass(frozen=True)
class ImageInfo:
    """Size and format of a readable image file.

    Attributes:
        width: Columns in pixels, before the EXIF orientation is applied.
        height: Rows in pixels, before the EXIF orientation is applied.
        orientation: EXIF orientation, 1 to 8; 1 is upright.
        plain: True for an 8-bit RGB or gray JPEG or PNG, which TensorFlow decodes to the same
            pixels; other files are decoded by Pillow.
    """

    width: int
    height: int
    orientation: int
    plain: bool


def as_image(value: AnyImage, argument: str = "image") -> np.ndarray:
    """Returns the pixels of an image that a caller gave in one of several forms.

    Gray images get three equal channels, transparent pixels are blended with black, and the EXIF
    orientation of files and PIL images is applied, as in `decode`.

    Args:
        value: A path; a uint8 array ``[H, W]``, ``[H, W, 1]`` (gray), ``[H, W, 3]`` (RGB) or
            ``[H, W, 4]`` (RGB with alpha); a float array of these shapes in [0, 255], which is
            rounded; a PIL image; the bytes of an image file; or a binary file, which is read from
            its beginning if it can be rewound.
        argument: Name of the argument, for error messages.

    Returns:
        uint8 RGB array ``[H, W, 3]``, upright. It may be ``value`` itself, and it may be
        read-only.

    Raises:
        TypeError: If ``value`` is of another type.
        FileNotFoundError: If there is no such file.
        ValueError: If an array has another shape, type or range, or the file is not an image.

    Example:
        >>> as_image(np.zeros((2, 3), np.uint8)).shape
        (2, 3, 3)
        >>> as_image(np.ones((2, 3), np.float32), "image_a")
        Traceback (most recent call last):
        ValueError: `image_a` must have values in [0, 255]. Received: values in [1, 1]. \
Multiply by 255.
    """
    check_image(value, argument)
    if isinstance(value, np.ndarray):
        return _from_array(value, argument)
    if isinstance(value, (str, os.PathLike)):
        return _read(value, f"`{argument}`")
    if not isinstance(value, (*BYTES, Image.Image)):
        value = read_binary(value, argument)
    try:
        return _upright(value) if isinstance(value, Image.Image) else decode(bytes(value))
    except Exception as error:  # Pillow opens files late, and raises many kinds of errors
        raise ValueError(
            f"`{argument}` must be readable. Received: {_kind(value)}: {error}."
        ) from error


def check_image(value: object, argument: str = "image") -> None:
    """Refuses what `as_image` does not accept, without reading files or values of arrays.

    Args:
        value: Anything.
        argument: Name of the argument, for error messages.

    Raises:
        TypeError: If ``value`` is of another type.
        FileNotFoundError: If there is no such file.
        ValueError: If an array has another shape or type.

    Example:
        >>> check_image(b"...")
    """
    remedy = ""
    if isinstance(value, (str, os.PathLike)):
        return _check_file(pathlib.Path(value), f"`{argument}`")
    if isinstance(value, np.ndarray):
        fits = value.ndim == 2 or (value.ndim == 3 and value.shape[2] in CHANNELS)
        if fits and value.size and (value.dtype == np.uint8 or value.dtype.kind == "f"):
            return None
        if not fits and value.ndim == 4:
            remedy = " Give one image: array[0]."
        elif not fits and value.ndim == 3 and value.shape[0] in CHANNELS:
            remedy = " Move the channels to the end: numpy.moveaxis(array, 0, -1)."
        elif fits and value.dtype.kind in "iu":
            remedy = " If its values are in [0, 255], give array.astype('uint8')."
    elif isinstance(value, io.TextIOBase):
        remedy = " Open the file with open(path, 'rb')."
    elif is_image(value):
        return None
    elif isinstance(value, (list, tuple)):
        remedy = " Give one image."
    elif hasattr(value, "__array__"):
        remedy = " Convert it with numpy.asarray."
    error = ValueError if isinstance(value, np.ndarray) else TypeError
    raise error(f"`{argument}` must be {FORMS}. Received: {_kind(value)}.{remedy}")


def is_image(value: object) -> bool:
    """Returns whether a value is of a type that `as_image` accepts.

    Args:
        value: Anything. Paths need not exist, and arrays may have a wrong shape.
    """
    kinds = (str, os.PathLike, np.ndarray, Image.Image, *BYTES)
    return isinstance(value, kinds) or callable(getattr(value, "read", None))


def read_binary(file: BinaryIO, argument: str = "image") -> bytes:
    """Reads a binary file, from its beginning if it can be rewound.

    Args:
        file: An open file, or another object with ``read``.
        argument: Name of the argument, for error messages.

    Returns:
        Its content.

    Raises:
        TypeError: If ``read`` does not return bytes.
    """
    if hasattr(file, "seek") and getattr(file, "seekable", lambda: True)():
        file.seek(0)
    data = file.read()
    if not isinstance(data, bytes):
        raise TypeError(
            f"`{argument}` must be {FORMS}. "
            f"Received: {_kind(file)} whose `read` returns {type(data).__name__}."
        )
    return data


def decode(data: bytes) -> np.ndarray:
    """Decodes an image file to upright RGB.

    Grayscale, palette, CMYK and 16-bit images are converted (16 bits are scaled to 8, not cut);
    transparent pixels are blended with black; of an animation the first frame is used; the EXIF
    orientation is applied.

    Args:
        data: The bytes of the file.

    Returns:
        uint8 array ``[height, width, 3]`` in ``[0, 255]``.

    Raises:
        ValueError: If the bytes are not an image, are cut off, or have more than ``MAX_PIXELS``.

    Example:
        >>> buffer = io.BytesIO()
        >>> Image.new("L", (2, 3), 7).save(buffer, "PNG")
        >>> decode(buffer.getvalue()).shape
        (3, 2, 3)
    """
    return _upright(_load(data)[0])


def read(path: str | os.PathLike) -> np.ndarray:
    """Reads and decodes an image file.

    Args:
        path: An image file.

    Returns:
        As `decode`.

    Raises:
        FileNotFoundError, ValueError: As `decode`; the message names the file.
    """
    return _read(path, "An image")


def thumbnail(image: AnyImage, side: int) -> np.ndarray:
    """Shrinks an image to a small picture in the same aspect ratio.

    Args:
        image: An image in a form of `as_image`.
        side: Longest side of the result in pixels. Smaller images keep their size.

    Returns:
        uint8 RGB array ``[height, width, 3]``.

    Raises:
        TypeError, FileNotFoundError, ValueError: As `as_image`.
    """
    picture = Image.fromarray(as_image(image))
    picture.thumbnail((side, side))
    return np.asarray(picture)


def inspect(data: bytes, *, pixels: bool = True) -> ImageInfo:
    """Reads an image file and returns its size and format.

    Args:
        data: The bytes of the file.
        pixels: If False, read only the header, so that a damaged file may pass.

    Returns:
        Size, orientation, and whether TensorFlow decodes the file as it is.

    Raises:
        ValueError: As ``decode``.
    """
    image, plain = _load(data, pixels=pixels)
    return ImageInfo(image.width, image.height, exif_orientation(image), plain)


def perceptual_hash(image: np.ndarray) -> np.ndarray:
    """Computes a hash that changes little when an image is saved again.

    Compares the 16 x 16 lowest frequencies, without the constant ones, of the gray image at
    64 x 64 pixels with their median: pHash (Zauner 2010, "Implementation and Benchmarking of
    Perceptual Image Hash Functions") with 256 bits instead of 64, because faces are similar. See
    ``NEAR_DUPLICATE`` in ``kerasface.data.duplicates`` for the meaning of distances.

    Args:
        image: uint8 RGB ``[H, W, 3]``.

    Returns:
        uint8 ``[32]``, 256 bits.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8)
        >>> brighter = (noise * 0.9).astype(np.uint8)
        >>> bits = np.unpackbits(perceptual_hash(noise) ^ perceptual_hash(brighter))
        >>> bool(bits.sum() < 24)
        True
    """
    small = Image.fromarray(image).convert("L").resize((64, 64), Image.Resampling.BILINEAR)
    waves = np.cos(np.pi * np.outer(np.arange(1, 17), np.arange(64) + 0.5) / 64)
    frequencies = waves @ np.asarray(small, np.float64) @ waves.T
    # Rounding makes those of a blank image zero; otherwise they are rounding errors of the sums.
    frequencies = frequencies.round(6)
    return np.packbits(frequencies > np.median(frequencies))


def _read(path: str | os.PathLike, subject: str) -> np.ndarray:
    path = pathlib.Path(path)
    _check_file(path, subject)
    try:
        return decode(path.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"{subject} must be readable. Received: {os.fspath(path)!r}: {error}."
        ) from error


def _check_file(path: pathlib.Path, subject: str) -> None:
    if not path.is_file():
        what = "a folder" if path.is_dir() else "nothing at that path"
        raise FileNotFoundError(f"{subject} must be a file. Received: {os.fspath(path)!r}, {what}.")


def _from_array(array: np.ndarray, argument: str) -> np.ndarray:
    if array.dtype != np.uint8:
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 255) or 0 < high <= 1:  # NaN is not in the range
            found = "NaN" if np.isnan(low) else f"values in [{low:g}, {high:g}]"
            remedy = " Multiply by 255." if low >= 0 and high <= 1 else ""
            raise ValueError(
                f"`{argument}` must have values in [0, 255]. Received: {found}.{remedy}"
            )
        array = np.rint(array).astype(np.uint8)
    if array.ndim == 2 or array.shape[2] == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    if array.shape[2] == 4:
        return np.asarray(_to_rgb(Image.fromarray(np.ascontiguousarray(array))))
    return np.ascontiguousarray(array)


def _kind(value: object) -> str:
    """A value in words, for error messages."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    return type(value).__name__


def _upright(image: Image.Image) -> np.ndarray:
    image.load()
    orientation = exif_orientation(image)
    image = _to_rgb(image)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    return np.asarray(image)


def _load(data: bytes, *, pixels: bool = True) -> tuple[Image.Image, bool]:
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            size = f"{image.width} x {image.height}"
            raise ValueError(f"{size} pixels exceed the limit of {MAX_PIXELS:,}")
        plain = image.format in ("JPEG", "PNG") and image.mode in ("L", "RGB")
        # A PNG with a transparent color or several frames has more than its plain pixels.
        plain = plain and "transparency" not in image.info
        plain = plain and getattr(image, "n_frames", 1) == 1
        if pixels:
            image.load()
    except ValueError:
        raise
    except UnidentifiedImageError as error:
        # Pillow's message contains a memory address.
        content = f": the content is {kind}" if (kind := content_kind(data[:HEAD])) else ""
        reason = f"no image format is recognized{content}" if data else "empty file"
        raise ValueError(reason) from error
    except Exception as error:  # Pillow's plugins raise many kinds of errors
        raise ValueError(f"not a readable image: {error}") from error
    return image, plain


def exif_orientation(image: Image.Image) -> int:
    """Reads the EXIF orientation of an image.

    Args:
        image: Image opened with Pillow.

    Returns:
        1 to 8; 1 is upright, also for an image without an EXIF block or with a broken one.

    Example:
        >>> exif_orientation(Image.new("RGB", (2, 3)))
        1
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a broken EXIF block raises many kinds of errors; the pixels are readable
        return 1
    return orientation if orientation in range(1, 9) else 1  # some cameras write 0 for unknown


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, np.float64)
        if image.mode.startswith("I;16") or (image.mode == "I" and values.max(initial=0) > 255):
            values = values / 257.0  # 65535 -> 255
        image = Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        black = Image.new("RGBA", image.size, (0, 0, 0, 255))
        image = Image.alpha_composite(black, image)
    return image.convert("RGB")
