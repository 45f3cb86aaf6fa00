"""RetinaFace's adapter against the real package, with stand-ins for the network.

The stand-in fires at one place: it makes one anchor a face, with offsets that are worked out here
from the anchors' definition, wherever the photograph has a patch of a given color.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from kerasface.faces import detect, load_detector, retinaface_detector
from kerasface.faces.detectors import retinaface as module

pytest.importorskip("retinaface")

STRIDE = 16
ANCHOR = 128  # the larger one of that stride: -56 to 71
BACKGROUND = (20, 20, 20)
PATCH = (200, 60, 10)  # red and blue far apart: swapped colors are noticed
# The network's five points, in shares of the anchor around its middle: the person's right eye,
# left eye, nose, right and left mouth corner; the person's right is the image's left.
POINTS = np.array([[-0.2, -0.2], [0.2, -0.2], [0.0, 0.0], [-0.15, 0.2], [0.15, 0.25]])


def photograph(height, width, left, top, side=16):
    image = np.full((height, width, 3), BACKGROUND, np.uint8)
    image[top : top + side, left : left + side] = PATCH
    return image


class Network:
    """Gives RetinaFace's nine outputs; a cell of the middle stride fires on a patch of color."""

    def __init__(self, probability=0.97):
        self.probability = probability
        self.seen = []

    def __call__(self, pixels):
        assert pixels.dtype == np.float32
        assert pixels.ndim == 4 and pixels.shape[0] == 1 and pixels.shape[3] == 3
        self.seen.append(pixels)
        outputs = []
        for stride in (32, 16, 8):
            size = [-(-side // stride) for side in pixels.shape[1:3]]
            outputs += [np.zeros((1, *size, channels), np.float32) for channels in (4, 8, 20)]
        near = abs(pixels[0] - PATCH).max(axis=-1) < 40
        if near.any():
            row, column = (np.argwhere(near).mean(axis=0) // STRIDE).astype(int)
            scores, boxes, points = outputs[3:6]
            scores[0, row, column, 2] = self.probability  # channels 2 and 3: faces, per anchor
            boxes[0, row, column, :4] = [0, 0, np.log(0.5), np.log(0.75)]
            points[0, row, column, :10] = POINTS.ravel()
        return outputs


def expected_face(row, column):
    """Box and landmarks that the stand-in's outputs mean, in pixels of what the network saw."""
    middle = np.array([column, row]) * STRIDE + 7.5
    size = np.array([0.5, 0.75]) * ANCHOR
    low = middle - (size - 1) / 2
    return low, low + size - 1, middle + POINTS * ANCHOR


def test_place_in_an_image_that_is_not_resized():
    image = photograph(256, 320, 160, 128)
    [[face]] = detect([image], retinaface_detector(Network(), upscale=False))
    low, high, points = expected_face(8, 10)
    left, top, width, height = face.box
    # Whole pixels, the last one belongs to the face.
    assert (left, top) == tuple(np.floor(low))
    assert (left + width - 1, top + height - 1) == tuple(np.floor(high))
    np.testing.assert_allclose(face.landmarks, points, atol=1e-3)
    assert face.score == pytest.approx(0.97)


def test_landmarks_are_image_left_first():
    [[face]] = detect([photograph(256, 320, 160, 128)], retinaface_detector(Network()))
    (left_eye, right_eye, nose, left_mouth, right_mouth) = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert right_mouth[1] > left_mouth[1]  # which tells the two apart


def test_network_sees_rgb():
    network = Network()
    detect([photograph(64, 64, 16, 16)], retinaface_detector(network, upscale=False))
    assert tuple(network.seen[0][0, 20, 20]) == PATCH


@pytest.mark.parametrize(("upscale", "side"), [(True, 1024), (False, 256)])
def test_enlarged_photograph_gives_places_in_the_given_one(upscale, side):
    network = Network()
    image = photograph(256, 256, 128, 64)
    [[face]] = detect([image], retinaface_detector(network, upscale=upscale))
    assert network.seen[0].shape == (1, side, side, 3)
    scale = side / 256
    middle = np.array([face.box[0] + face.box[2] / 2, face.box[1] + face.box[3] / 2])
    np.testing.assert_allclose(middle, [136, 72], atol=10 / scale + 1.5)
    np.testing.assert_allclose(face.box[2:], np.array([64, 96]) / scale, atol=1.5)
    np.testing.assert_allclose(face.landmarks[2], middle, atol=2)


def test_threshold_is_passed_on():
    network = Network(probability=0.6)
    image = photograph(128, 128, 48, 48)
    assert detect([image], retinaface_detector(network)) == [[]]
    [faces] = detect([image], retinaface_detector(network, threshold=0.5))
    assert [round(face.score, 3) for face in faces] == [0.6]


def test_several_images_and_none():
    images = [photograph(128, 128, 48, 48), np.zeros((60, 90, 3), np.uint8)]
    first, second = detect(images, retinaface_detector(Network(), upscale=False))
    assert (len(first), len(second)) == (1, 0)


def test_missing_weights_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"'.*none\.onnx', which does not exist"):
        load_detector("retinaface", weights=tmp_path / "none.onnx")


def test_weights_that_are_no_network(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"no network")
    with pytest.raises(ValueError, match=r"must be an ONNX network\. Received: '.*broken\.onnx'"):
        load_detector("retinaface", weights=tmp_path / "broken.onnx")


def test_weights_come_from_the_packages_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    folder = tmp_path / ".deepface" / "weights"
    folder.mkdir(parents=True)
    (folder / "retinaface.onnx").write_bytes(b"weights")
    assert module.cached_weights() == folder / "retinaface.onnx"


def download(monkeypatch, tmp_path, action):
    monkeypatch.setenv("DEEPFACE_HOME", str(tmp_path))
    utils = module.import_retinaface("retinaface.commons.weight_utils")
    monkeypatch.setattr(utils, "ensure_source_is_reachable", lambda url: None)
    monkeypatch.setattr(utils.gdown, "download", action)


def test_weights_are_downloaded_whole(tmp_path, monkeypatch):
    target = tmp_path / ".deepface" / "weights" / "retinaface.onnx"

    def fetch(url, path, quiet):
        assert not target.exists()
        with open(path, "wb") as file:
            file.write(url.encode())
            file.flush()
            assert not target.exists()  # a kill here leaves nothing by that name

    download(monkeypatch, tmp_path, fetch)
    assert module.cached_weights() == target
    assert target.read_bytes().endswith(b"retinaface.onnx")
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_failed_download_has_a_remedy(tmp_path, monkeypatch):
    def fetch(url, path, quiet):
        raise OSError("network is unreachable")

    download(monkeypatch, tmp_path, fetch)
    with pytest.raises(ConnectionError) as caught:
        load_detector("retinaface")
    text = str(caught.value)
    target = tmp_path / ".deepface" / "weights" / "retinaface.onnx"
    assert "downloaded on first use. Received: " in text
    assert str(target) in text and "'mtcnn'" in text and "https://" in text
    assert not list(target.parent.iterdir())


def fields(number, payload):
    """One field of a protocol buffer: bytes, text or messages with a length, numbers without."""
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    payload = payload.encode() if isinstance(payload, str) else payload
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def varint(value):
    out = bytearray()
    while True:
        value, low = value >> 7, value & 127
        out.append(low | (128 if value else 0))
        if not value:
            return bytes(out)


def tensor_type(name, sides):
    shape = b"".join(fields(1, fields(1, n) if isinstance(n, int) else fields(2, n)) for n in sides)
    return fields(1, name) + fields(2, fields(1, fields(1, 1) + fields(2, shape)))


def onnx_network(path):
    """Writes an ONNX file with RetinaFace's inputs and outputs: one convolution an output.

    An output is the mean of red over each cell, less 100 and times a hundredth, in its channel 2
    (where it is a face's probability), and 0 in the others.
    """

    def integers(name, values):
        packed = b"".join(fields(8, value) for value in values)
        return fields(1, name) + packed + fields(20, 7)

    nodes, outputs, tensors = [], [], []
    permute = fields(5, integers("perm", [0, 3, 1, 2]))
    nodes.append(fields(1, "pixels") + fields(2, "planes") + fields(4, "Transpose") + permute)
    for stride in (32, 16, 8):
        for channels in (4, 8, 20):
            name = f"out_{stride}_{channels}"
            kernel = np.zeros((channels, 3, stride, stride), np.float32)
            bias = np.zeros(channels, np.float32)
            if channels == 4 and stride == 16:
                kernel[2, 0], bias[2] = 0.01 / stride**2, -1
            for key, array in (("w", kernel), ("b", bias)):
                sides = b"".join(fields(1, side) for side in array.shape)
                body = sides + fields(2, 1) + fields(8, f"{name}_{key}")
                tensors.append(body + fields(9, array.tobytes()))
            strides = fields(5, integers("strides", [stride, stride]))
            inputs = fields(1, "planes") + fields(1, f"{name}_w") + fields(1, f"{name}_b")
            nodes.append(inputs + fields(2, f"{name}_p") + fields(4, "Conv") + strides)
            back = fields(5, integers("perm", [0, 2, 3, 1]))
            nodes.append(fields(1, f"{name}_p") + fields(2, name) + fields(4, "Transpose") + back)
            outputs.append(tensor_type(name, ["n", f"h{stride}", f"w{stride}", channels]))
    graph = b"".join(fields(1, node) for node in nodes) + fields(2, "stand-in")
    graph += b"".join(fields(5, tensor) for tensor in tensors)
    graph += fields(11, tensor_type("pixels", ["n", "h", "w", 3]))
    graph += b"".join(fields(12, output) for output in outputs)
    model = fields(1, 8) + fields(8, fields(1, "") + fields(2, 13)) + fields(7, graph)
    path.write_bytes(model)


def test_network_file_runs_on_onnxruntime(tmp_path):
    onnx_network(tmp_path / "network.onnx")
    detector = load_detector(
        "retinaface", weights=tmp_path / "network.onnx", upscale=False, threads=1
    )
    # One cell of the stride is all red 199: (199 - 100) / 100.
    image = np.full((256, 256, 3), (20, 250, 250), np.uint8)
    image[112:128, 96:112] = (199, 0, 0)
    [[face]] = detect([image], detector)
    assert face.score == pytest.approx(0.99, abs=1e-4)
    # No offsets: the anchor itself, around cell 7, 6.
    assert face.box == (96 - 56, 112 - 56, 128, 128)
    np.testing.assert_allclose(face.landmarks, np.tile([96 + 7.5, 112 + 7.5], (5, 1)))


SURROUNDINGS = """
import json, os, random, sys, warnings
warnings.filterwarnings("error", message="told apart")
random.seed(1)
before = [list(warnings.filters), dict(os.environ), random.getstate(), warnings.showwarning]
import numpy as np
from kerasface import faces
def network(pixels):
    sizes = [[-(-side // s) for side in pixels.shape[1:3]] for s in (32, 16, 8)]
    return [np.zeros((1, *size, c), np.float32) for size in sizes for c in (4, 8, 20)]
numpy_filters = [f for f in warnings.filters if f not in before[0]]
detector = faces.retinaface_detector(network)
found = faces.detect([np.zeros((64, 64, 3), np.uint8)], detector)
after = [
    [f for f in warnings.filters if f not in numpy_filters],
    dict(os.environ), random.getstate(), warnings.showwarning,
]
try:
    warnings.warn("told apart")
    heard = False
except UserWarning:
    heard = True
import retinaface.commons.backend_utils as utils
light = "tensorflow" not in sys.modules and "keras" not in sys.modules
import keras
print(json.dumps([
    [a == b for a, b in zip(before, after)], heard, light, utils.get_backend_engine(),
    keras.__version__, "TF_USE_LEGACY_KERAS" in os.environ, found,
]))
"""


def test_process_settings_are_restored():
    done = subprocess.run(
        [sys.executable, "-c", SURROUNDINGS],
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != module.ENGINE},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    same, heard, light, engine, version, legacy, found = json.loads(done.stdout.splitlines()[-1])
    assert same == [True] * 4
    assert heard
    assert light  # neither TensorFlow nor Keras was imported
    assert engine == "onnx"
    assert version.startswith("3.")
    assert not legacy
    assert found == [[]]


def test_other_engine_is_refused(monkeypatch):
    utils = module.import_retinaface("retinaface.commons.backend_utils")
    monkeypatch.setattr(utils, "_backend_engine", "tensorflow")
    with pytest.raises(RuntimeError, match=r"imported before, on 'tensorflow'\."):
        retinaface_detector(Network())
