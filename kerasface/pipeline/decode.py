"""Reads image files as square float images inside a ``tf.data`` graph."""

from __future__ import annotations

import functools

import tensorflow as tf

from kerasface import images
from kerasface.data.table import DECODE_WITH_PILLOW, UNKNOWN_FORMAT
from kerasface.pipeline.crop import Crop

CENTER = 0.5  # position of a central crop
# Additional columns to decode: the colors of the outermost ones depend on their neighbors.
JPEG_MARGIN = 16
JPEG_RATIOS = (1, 2, 4, 8)  # factors by which a JPEG can be shrunk while it is decoded
# Transforms of EXIF orientations 1 to 8: those from 5 on swap rows and columns first, then rows and
# columns are read forwards or backwards.
_FIRST_TRANSPOSED = 5
_ROW_STEPS = (1, 1, -1, -1, 1, 1, -1, -1)
_COLUMN_STEPS = (1, -1, -1, 1, 1, -1, -1, 1)


def read_image(path: tf.Tensor, image_format: tf.Tensor) -> tf.Tensor:
    """Reads and decodes one file.

    Args:
        path: Scalar string.
        image_format: Scalar integer as in ``FaceTable.formats``: 1 to 8 is the EXIF orientation of
            a plain file, 0 means that Pillow decodes it, -1 that it is unknown.

    Returns:
        uint8 ``[height, width, 3]``, upright RGB. A broken file raises an error inside the graph.
    """
    data = tf.io.read_file(path)
    return _decode(data, image_format, _needs_pillow(data, image_format))


def read_crop(
    path: tf.Tensor,
    image_format: tf.Tensor,
    crop: Crop,
    position: tf.Tensor | float = CENTER,
    image_size: int | None = None,
) -> tf.Tensor:
    """Reads one file and crops it.

    For a plain upright JPEG, only the rows and columns of the crop are decoded. CelebA's 178 x 218
    pixels give 178 x 178, at half the size 89 x 89.

    Args:
        path: Scalar string.
        image_format: As in `read_image`.
        crop: Region to cut out.
        position: Scalar float32 in [0, 1), position of the square along the longer side. All
            positions are equally likely for uniform numbers; 0.5 is the center.
        image_size: Side in pixels that the crop will be resized to. A plain upright JPEG that is
            at least twice as large is decoded at a half, a quarter or an eighth of its size, never
            below this. That averages pixels, as antialiasing does, and is faster. None decodes at
            full size.

    Returns:
        uint8 ``[height, width, 3]``, upright RGB. A broken file raises an error inside the graph.
    """
    data = tf.io.read_file(path)
    needs_pillow = _needs_pillow(data, image_format)
    window = functools.partial(_window, position=position, crop=crop)

    def part() -> tf.Tensor:
        shape = tf.io.extract_jpeg_shape(data)
        if image_size is None:
            return cut_jpeg(shape, 1)
        largest = tf.reduce_min(window(shape)[2:]) // image_size
        return tf.switch_case(
            tf.reduce_sum(tf.cast(largest >= JPEG_RATIOS[1:], tf.int32)),
            [functools.partial(cut_jpeg, shape, ratio) for ratio in JPEG_RATIOS],
        )

    def cut_jpeg(shape: tf.Tensor, ratio: int) -> tf.Tensor:
        shape = (shape + ratio - 1) // ratio  # decoded to one ``ratio``-th of its size
        return _decode_window(data, shape, window(shape), ratio)

    def whole() -> tf.Tensor:
        image = _decode(data, image_format, needs_pillow)
        return cut(image, crop, position)

    # A file whose orientation is not known (-1) and that needs no Pillow is upright.
    upright = tf.logical_and(tf.logical_not(needs_pillow), tf.less_equal(image_format, 1))
    image = tf.cond(tf.logical_and(upright, tf.io.is_jpeg(data)), part, whole)
    return tf.ensure_shape(image, [None, None, 3])


def cut(image: tf.Tensor, crop: Crop, position: tf.Tensor | float = CENTER) -> tf.Tensor:
    """Crops an image.

    Args:
        image: ``[height, width, channels]``.
        crop: Region to cut out.
        position: As in `read_crop`.

    Returns:
        ``[rows, columns, channels]``.
    """
    top, left, height, width = tf.unstack(_window(tf.shape(image), position, crop))
    return image[top : top + height, left : left + width]


def resize(image: tf.Tensor, image_size: int) -> tf.Tensor:
    """Resizes an image to a square, regardless of its aspect ratio: bilinear, with antialiasing.

    Args:
        image: ``[height, width, 3]``, any numeric dtype.
        image_size: Side of the result in pixels.

    Returns:
        float32 ``[image_size, image_size, 3]`` in the range of the input.
    """
    size = (image_size, image_size)
    shrinks = tf.reduce_any(tf.shape(image)[:2] > image_size)
    # Without shrinking, the plain kernel gives the same result three times as fast.
    image = tf.cond(
        shrinks,
        lambda: tf.image.resize(image, size, antialias=True),
        lambda: tf.image.resize(image, size),
    )
    return tf.ensure_shape(image, [image_size, image_size, 3])


def _decode_window(data: tf.Tensor, shape: tf.Tensor, window: tf.Tensor, ratio: int) -> tf.Tensor:
    """Decodes a region of a JPEG at one ``ratio``-th of its size."""
    top, left, height, width = tf.unstack(window)
    start = tf.maximum(left - JPEG_MARGIN, 0)
    columns = tf.minimum(left + width + JPEG_MARGIN, shape[1]) - start
    image = tf.io.decode_and_crop_jpeg(
        data,
        [top, start, height, columns],
        channels=3,
        ratio=ratio,
        dct_method="INTEGER_ACCURATE",
    )
    return image[:, left - start : left - start + width]


def _window(shape: tf.Tensor, position: tf.Tensor | float, crop: Crop) -> tf.Tensor:
    """Returns ``[top, left, height, width]`` of the crop."""
    sides = tf.cast(shape[:2], tf.float32)
    middle = tf.maximum(tf.cast(tf.round(crop.share * sides), tf.int32), 1)
    size = tf.fill([2], tf.reduce_min(middle)) if crop.shape == "square" else middle
    room = middle - size
    start = tf.cast(position * tf.cast(room + 1, tf.float32), tf.int32)
    first = (shape[:2] - middle) // 2 + tf.minimum(start, room)
    return tf.concat([first, size], axis=0)


def _needs_pillow(data: tf.Tensor, image_format: tf.Tensor) -> tf.Tensor:
    return tf.cond(
        tf.equal(image_format, UNKNOWN_FORMAT),
        lambda: _is_special(data),
        lambda: tf.equal(image_format, DECODE_WITH_PILLOW),
    )


def _decode(data: tf.Tensor, image_format: tf.Tensor, needs_pillow: tf.Tensor) -> tf.Tensor:
    image = tf.cond(
        needs_pillow,
        lambda: _decode_with_pillow(data),
        lambda: _orient(_decode_plain(data), image_format),
    )
    return tf.ensure_shape(image, [None, None, 3])


def _decode_plain(data: tf.Tensor) -> tf.Tensor:
    return tf.cond(
        tf.io.is_jpeg(data),
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),
        lambda: tf.io.decode_png(data, channels=3),
    )


def _decode_with_pillow(data: tf.Tensor) -> tf.Tensor:
    image = tf.numpy_function(images.decode, [data], tf.uint8)
    return tf.ensure_shape(image, [None, None, 3])


def _is_special(data: tf.Tensor) -> tf.Tensor:
    """Returns whether a file is not an upright 8-bit RGB or gray JPEG or PNG."""
    # In these patterns \C is any byte; a dot would be a UTF-8 character.
    head = tf.strings.substr(data, 0, 4096)
    # A JPEG with an EXIF or XMP block may be rotated; one with an Adobe block may be CMYK.
    special_jpeg = tf.strings.regex_full_match(head, r"\C*(Exif\x00\x00|ns\.adobe\.com|Adobe)\C*")
    plain_jpeg = tf.logical_and(tf.io.is_jpeg(data), tf.logical_not(special_jpeg))
    # Bytes 24 and 25 of a PNG: bit depth 8; color type 0 (gray) or 2 (RGB). Its other blocks
    # have no fixed position.
    plain_png = tf.strings.regex_full_match(head, r"\CPNG\r\n\x1a\n\C{16}\x08[\x00\x02]\C*")
    special_png = tf.strings.regex_full_match(
        data, r"\CPNG\C*(tRNS|acTL|eXIf|XML:com\.adobe\.xmp|Raw profile type exif)\C*"
    )
    plain_png = tf.logical_and(plain_png, tf.logical_not(special_png))
    return tf.logical_not(tf.logical_or(plain_jpeg, plain_png))


def _orient(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    def rotated() -> tf.Tensor:
        upright = tf.cond(
            tf.greater_equal(orientation, _FIRST_TRANSPOSED),
            lambda: tf.transpose(image, [1, 0, 2]),
            lambda: image,
        )
        row_step, column_step = (
            tf.gather(steps, orientation - 1) for steps in (_ROW_STEPS, _COLUMN_STEPS)
        )
        return upright[::row_step, ::column_step]

    return tf.cond(tf.greater(orientation, 1), rotated, lambda: image)
