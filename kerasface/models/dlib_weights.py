"""Weights of dlib's face network: from dlib's file into a Keras model.

Each layer of the file is a name, a tensor of format version 2 (four sides, then float32 values)
and settings that the architecture fixes already.
"""

from __future__ import annotations

import dataclasses
import math
import os
import pathlib

import keras
import numpy as np

from kerasface.dlib_files import FACE_NETWORK, find_file, read_integer
from kerasface.models import heads
from kerasface.models.dlib import DIMENSIONS, STAGES

WEIGHTS = "dlib"
HEADER = b"\x01\x01\x01\x0dloss_metric_2"
TENSOR_VERSION = 2
# Names of the layers with weights, each with its length in front. Without it, the name could occur
# by chance among the floats.
CONVOLUTION, AFFINE, DENSE = b"\x05con_4", b"\x07affine_", b"\x04fc_2"
# Settings and names of layers without weights take at most so many bytes between two tensors.
GAP = 4096
EMBEDDING = f"{heads.HEAD_PREFIX}embedding"


@dataclasses.dataclass(frozen=True)
class DlibTensor:
    """The values of one layer.

    Attributes:
        layer: Name of the layer's kind, as in the file.
        shape: Four sides.
        values: float32 ``[product of the sides]``.
    """

    layer: bytes
    shape: tuple[int, ...]
    values: np.ndarray


def load_dlib_weights(model: keras.Model, path: str | os.PathLike | None = None) -> None:
    """Fills a ``dlib_resnet29`` with dlib's weights.

    The backbone gets all of its weights. An embedding of 128 numbers right behind the pooled
    features gets dlib's projection, too; other heads keep their initial values.

    Args:
        model: Made by `build` as ``"dlib_resnet29"``.
        path: dlib's ``dlib_face_recognition_resnet_model_v1.dat``. None finds or downloads it, see
            `kerasface.dlib_files.find_file`.

    Raises:
        FileNotFoundError: If ``path`` does not exist.
        RuntimeError: If the file is neither installed nor can be downloaded.
        ValueError: If the file is not dlib's face network, or incomplete.
    """
    path = find_file(FACE_NETWORK, path)
    tensors = read_tensors(path)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    expected = [CONVOLUTION, AFFINE] * len(layers) + [DENSE]
    if [tensor.layer for tensor in tensors] != expected:
        raise _wrong_file(path, f"with {len(tensors)} layers instead of {len(expected)}")
    for layer, convolution, affine in zip(layers, tensors[0::2], tensors[1::2], strict=False):
        layer.set_weights(_folded(layer, convolution, affine, path))
    projection = tensors[-1].values.reshape(tensors[-1].shape[:2])
    if projection.shape != (STAGES[-1][0], DIMENSIONS):
        raise _wrong_file(path, f"with a projection of shape {projection.shape}")
    head = [layer for layer in model.layers if heads.is_head(layer) and layer.weights]
    if [layer.name for layer in head] == [EMBEDDING] and head[0].units == DIMENSIONS:
        head[0].set_weights([projection, np.zeros(DIMENSIONS)])


def read_tensors(path: str | os.PathLike) -> list[DlibTensor]:
    """Reads the layers with weights of dlib's face network.

    Args:
        path: dlib's file.

    Returns:
        The layers, from the image to the output.

    Raises:
        ValueError: If the file is not dlib's face network, or incomplete.
    """
    data = pathlib.Path(path).read_bytes()
    if not data.startswith(HEADER):
        raise _wrong_file(path, f"which begins with {data[:16]!r}")
    tensors: list[DlibTensor] = []
    position = len(HEADER)
    while True:
        found = {
            data.find(name, position, position + GAP): name for name in (CONVOLUTION, AFFINE, DENSE)
        }
        found.pop(-1, None)
        if not found:
            return tensors
        start = min(found)
        position = start + len(found[start])
        settings = 2 if found[start] == DENSE else 0  # its numbers of outputs and inputs
        numbers = []
        for _ in range(settings + 5):
            number, position = read_integer(data, position)
            numbers.append(number)
        version, *shape = numbers[settings:]
        count = math.prod(shape)
        if version != TENSOR_VERSION or min(shape) < 1 or position + 4 * count > len(data):
            raise _wrong_file(
                path, f"with a tensor of version {version} and shape {shape} at byte {position}"
            )
        values = np.frombuffer(data, "<f4", count, position)
        tensors.append(DlibTensor(found[start], tuple(shape), values))
        position += 4 * count


def _folded(
    layer: keras.layers.Conv2D, convolution: DlibTensor, affine: DlibTensor, path: pathlib.Path
) -> list[np.ndarray]:
    """Kernel and bias of a convolution that does the affine layer's work, too."""
    height, width, channels, filters = layer.kernel.shape
    sizes = (convolution.values.size, affine.values.size)
    if sizes != (filters * (height * width * channels + 1), 2 * filters):
        raise _wrong_file(
            path, f"with {sizes} values for {layer.name!r} of shape {tuple(layer.kernel.shape)}"
        )
    kernel = convolution.values[:-filters].reshape(filters, channels, height, width)
    bias, gamma, beta = convolution.values[-filters:], *np.split(affine.values, 2)
    kernel = kernel * gamma[:, None, None, None]
    return [kernel.transpose(2, 3, 1, 0), bias * gamma + beta]


def _wrong_file(path: str | os.PathLike, received: str) -> ValueError:
    return ValueError(
        f"dlib's weights must be the file {FACE_NETWORK.name} ({FACE_NETWORK.size:,} bytes). "
        f"Received: {os.fspath(path)!r} of {pathlib.Path(path).stat().st_size:,} bytes, "
        f"{received}. Copy or download it again."
    )
