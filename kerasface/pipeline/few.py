"""Reads and predicts lists of images without building a ``tf.data`` stream.

Building a stream takes a second, which is too long for a few images. The same TensorFlow functions
decode the files here and in a stream, so that the pixels are equal. They are compiled once.
"""

from __future__ import annotations

import concurrent.futures
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import tensorflow as tf

from kerasface import images as image_files
from kerasface.cache import cached
from kerasface.data.image_list import ImageList
from kerasface.data.table import DECODE_WITH_PILLOW
from kerasface.pipeline import decode
from kerasface.pipeline.crop import Crop

MAX_WORKERS = 16


class Loaded(NamedTuple):
    """A batch of images.

    Attributes:
        images: float32 ``[batch, size, size, 3]`` in [0, 255]; black where a file is unreadable.
        unreadable: Position in the list and reason of each unreadable file.
    """

    images: tf.Tensor
    unreadable: dict[int, str]


def load_batches(
    images: ImageList, *, image_size: int, batch_size: int, crop: Crop | None = None
) -> Iterator[Loaded]:
    """Reads images in threads, one batch ahead of the caller.

    Args:
        images: The images.
        image_size: Side of the square images in pixels.
        batch_size: Batch size; the last batch may be smaller.
        crop: Region of each image; None is the whole image. Its position must not be random.

    Yields:
        Batches in order.

    Raises:
        ValueError: If an image in memory is not readable, or its values are out of range.
    """
    reader = _reader(image_size, crop)
    starts = range(0, len(images), batch_size)
    batches = [range(start, min(start + batch_size, len(images))) for start in starts]
    workers = min(os.cpu_count() or 1, MAX_WORKERS, len(images))
    if len(images) == 1:
        yield _finish([reader(images, 0)], image_size)
        return
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        waiting = [_submit(pool, reader, images, rows) for rows in batches[:1]]
        for position in range(len(batches)):
            if position + 1 < len(batches):
                waiting.append(_submit(pool, reader, images, batches[position + 1]))
            loaded = [future.result() for future in waiting.pop(0)]
            yield _finish(loaded, image_size)


class _Image(NamedTuple):
    position: int
    pixels: tf.Tensor | None
    reason: str = ""


def _submit(
    pool: concurrent.futures.ThreadPoolExecutor,
    reader: Callable[[ImageList, int], _Image],
    images: ImageList,
    rows: range,
) -> list[concurrent.futures.Future[_Image]]:
    return [pool.submit(reader, images, row) for row in rows]


def _finish(loaded: list[_Image], image_size: int) -> Loaded:
    black = tf.zeros([image_size, image_size, 3])
    pixels = [black if each.pixels is None else each.pixels for each in loaded]
    unreadable = {each.position: each.reason for each in loaded if each.pixels is None}
    return Loaded(tf.stack(pixels), unreadable)


def _reader(image_size: int, crop: Crop | None) -> Callable[[ImageList, int], _Image]:
    """Returns a function that reads one image of a list, cropped and resized."""
    from_file, from_pixels = cached(
        ("image reader", image_size, crop), lambda: _compiled(image_size, crop)
    )

    def read_file(path: str) -> tf.Tensor:
        data = pathlib.Path(path).read_bytes()
        info = image_files.inspect(data, pixels=False)
        try:
            return from_file(path, info.orientation if info.plain else DECODE_WITH_PILLOW)
        except tf.errors.OpError:  # Pillow may still read it, and says what is wrong
            return from_pixels(image_files.decode(data))

    def read(images: ImageList, position: int) -> _Image:
        source = images.sources[position]
        if not isinstance(source, str):
            return _Image(position, from_pixels(images.read(position)))
        try:
            return _Image(position, read_file(source))
        except (OSError, ValueError) as error:
            return _Image(position, None, str(error) or type(error).__name__)

    return read


def _compiled(image_size: int, crop: Crop | None) -> tuple[Callable, Callable]:
    """Functions from a file, and from uint8 pixels, to a square float32 image."""
    path = tf.TensorSpec([], tf.string)
    image_format = tf.TensorSpec([], tf.int32)
    pixels = tf.TensorSpec([None, None, 3], tf.uint8)

    @tf.function(input_signature=[path, image_format], autograph=False)
    def from_file(path: tf.Tensor, image_format: tf.Tensor) -> tf.Tensor:
        with tf.device("CPU:0"):
            if crop is None:
                image = decode.read_image(path, image_format)
            else:
                image = decode.read_crop(path, image_format, crop, image_size=image_size)
            return decode.resize(image, image_size)

    @tf.function(input_signature=[pixels], autograph=False)
    def from_pixels(image: tf.Tensor) -> tf.Tensor:
        with tf.device("CPU:0"):
            image = image if crop is None else decode.cut(image, crop)
            return decode.resize(image, image_size)

    return from_file, from_pixels
