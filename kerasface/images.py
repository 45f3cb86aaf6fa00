"""Decodes image files safely, and computes perceptual hashes of images."""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib

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
    image, _ = _load(data)
    orientation = exif_orientation(image)
    image = _to_rgb(image)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    return np.asarray(image)


def read(path: str | os.PathLike) -> np.ndarray:
    """Reads and decodes an image file.

    Args:
        path: An image file.

    Returns:
        As `decode`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As `decode`; the message names the file.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        what = "a folder" if path.is_dir() else "nothing at that path"
        raise FileNotFoundError(f"An image must be a file. Received: {os.fspath(path)!r}, {what}.")
    try:
        return decode(path.read_bytes())
    except ValueError as error:
        raise ValueError(
            f"An image file must be readable. Received: {os.fspath(path)!r}: {error}."
        ) from error


def thumbnail(path: str | os.PathLike, side: int) -> np.ndarray:
    """Reads an image file and shrinks it to a small picture in the same aspect ratio.

    Args:
        path: An image file.
        side: Longest side of the result in pixels. Smaller images keep their size.

    Returns:
        uint8 RGB array ``[height, width, 3]``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: As `decode`; the message names the file.
    """
    picture = Image.fromarray(read(path))
    picture.thumbnail((side, side))
    return np.asarray(picture)


def inspect(data: bytes) -> ImageInfo:
    """Reads an image file completely and returns its size and format.

    Args:
        data: The bytes of the file.

    Returns:
        Size, orientation, and whether TensorFlow decodes the file as it is.

    Raises:
        ValueError: As ``decode``.
    """
    image, plain = _load(data)
    return ImageInfo(image.width, image.height, exif_orientation(image), plain)


def perceptual_hash(image: np.ndarray) -> np.ndarray:
    """Computes a hash that changes little when an image is saved again.

    Compares the 16 x 16 lowest frequencies, without the constant ones, of the gray image at
    64 x 64 pixels with their median: pHash (Zauner 2010, "Implementation and Benchmarking of
    Perceptual Image Hash Functions") with 256 bits instead of 64, because faces are similar. See
    ``NEAR_DUPLICATE`` in `kerasface.data.duplicates` for the meaning of distances.

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


def _load(data: bytes) -> tuple[Image.Image, bool]:
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            size = f"{image.width} x {image.height}"
            raise ValueError(f"{size} pixels exceed the limit of {MAX_PIXELS:,}")
        plain = image.format in ("JPEG", "PNG") and image.mode in ("L", "RGB")
        # A PNG with a transparent color or several frames has more than its plain pixels.
        plain = plain and "transparency" not in image.info
        plain = plain and getattr(image, "n_frames", 1) == 1
        image.load()
    except ValueError:
        raise
    except UnidentifiedImageError as error:
        # Pillow's message contains a memory address.
        kind = content_kind(data[:HEAD])
        content = f": the content is {kind}" if kind else ""
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
