"""Finds and reads the model files of dlib: its face network and its landmark predictor.

The files are in the public domain (Davis King, https://github.com/davisking/dlib-models). They are
looked for at a path of the user's, in an installed package, and at dlib.net.
"""

from __future__ import annotations

import bz2
import dataclasses
import hashlib
import importlib.util
import os
import pathlib

import numpy as np

from kerasface.files import replacing

# Packages that carry the files, newest first. They are found without an import: the second one
# needs pkg_resources to be imported, which current versions of setuptools do not have.
PACKAGES = ("face_recognition_models",)
EXTRA = "kerasface[pretrained]"
ADDRESS = "https://dlib.net/files"
CACHE = "kerasface"  # subfolder of Keras's cache
INTEGER_BYTES = 0x7F  # bits of a control byte that hold the length of the integer
NEGATIVE = 0x80  # bit of a control byte that holds the sign


@dataclasses.dataclass(frozen=True)
class DlibFile:
    """A model file that dlib publishes.

    Attributes:
        name: Name of the file.
        size: Size in bytes.
        sha256: Checksum of the unpacked file.
    """

    name: str
    size: int
    sha256: str


FACE_NETWORK = DlibFile(
    "dlib_face_recognition_resnet_model_v1.dat",
    22_466_066,
    "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
)
FIVE_LANDMARKS = DlibFile(
    "shape_predictor_5_face_landmarks.dat",
    9_150_489,
    "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
)


def find_file(file: DlibFile, path: str | os.PathLike | None = None) -> pathlib.Path:
    """Finds a model file of dlib, and downloads it if it is not on this computer.

    Args:
        file: Which file.
        path: The user's copy. None looks into the installed package, then into Keras's cache
            (``~/.keras/kerasface``), and then downloads the file to there.

    Returns:
        Path of the file.

    Raises:
        FileNotFoundError: If ``path`` does not exist.
        RuntimeError: If the file is neither installed nor can be downloaded.
        ValueError: If the downloaded file has another checksum.
    """
    if path is not None:
        given = pathlib.Path(path)
        if not given.is_file():
            raise FileNotFoundError(
                f"A file of dlib must exist. Received: {os.fspath(given)!r}. "
                f"Leave the path out to use the installed package {EXTRA}."
            )
        return given
    return _installed(file) or _downloaded(file)


def _installed(file: DlibFile) -> pathlib.Path | None:
    for package in PACKAGES:
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            path = pathlib.Path(folder, "models", file.name)
            if path.is_file():
                return path
    return None


def _downloaded(file: DlibFile) -> pathlib.Path:
    import keras  # not needed for an installed file

    home = pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras")
    path = home / CACHE / file.name
    if path.is_file() and path.stat().st_size == file.size:
        return path
    address = f"{ADDRESS}/{file.name}.bz2"
    try:
        packed = keras.utils.get_file(origin=address, cache_dir=home, cache_subdir=CACHE)
    except Exception as error:  # Keras raises a plain Exception
        raise RuntimeError(
            f"The file {file.name} of dlib is neither installed nor can it be downloaded. "
            f"Received: {' '.join(str(error).split())} "
            f"Install it with `pip install '{EXTRA}'`, pass the path of your own copy, or unpack "
            f"{address} to {path}."
        ) from error
    content = bz2.decompress(pathlib.Path(packed).read_bytes())
    pathlib.Path(packed).unlink()
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise ValueError(
            f"A download must have the published checksum. Received: {address} with another one. "
            f"Try again later, or install the file with `pip install '{EXTRA}'`."
        )
    with replacing(path) as part:
        part.write_bytes(content)
    return path


def read_integers(data: bytes) -> np.ndarray:
    """Decodes a file that is a sequence of dlib's integers.

    An integer is a control byte (low seven bits: number of bytes that follow; top bit: sign) and
    little-endian bytes.

    Args:
        data: Content of the file.

    Returns:
        int64 ``[N]``.

    Example:
        >>> read_integers(bytes([1, 5, 0x82, 0, 1])).tolist()
        [5, -256]
    """
    starts: list[int] = []
    position = 0
    while position < len(data):
        starts.append(position)
        position += 1 + (data[position] & INTEGER_BYTES)
    raw = np.frombuffer(data + bytes(8), np.uint8)
    first = np.array(starts, np.int64)
    lengths = raw[first] & INTEGER_BYTES
    values = np.zeros(len(first), np.int64)
    for place in range(int(lengths.max(initial=0))):
        used = lengths > place
        values[used] |= raw[first[used] + 1 + place].astype(np.int64) << (8 * place)
    return np.where(raw[first] & NEGATIVE, -values, values)
