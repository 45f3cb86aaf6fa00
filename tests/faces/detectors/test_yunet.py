"""YuNet with a function in the place of OpenCV's network, because its file is a download."""

import numpy as np
import pytest

from kerasface.faces import detect, load_detector

cv2 = pytest.importorskip("cv2")

ROW = [10, 20, 30, 40, *range(50, 60), 1.0000001]


@pytest.fixture
def network(monkeypatch, tmp_path):
    """Finds one face, and nothing in a red image."""

    sizes, made = [], []

    class Network:
        def setInputSize(self, size):  # noqa: N802
            sizes.append(size)

        def detect(self, image):
            if image[0, 0, 2] > 200:  # OpenCV takes BGR
                return 1, None
            return 1, np.array([ROW], np.float32)

    class Kind:
        @staticmethod
        def create(*arguments):
            made.append(arguments)
            return Network()

    monkeypatch.setattr(cv2, "FaceDetectorYN", Kind)
    path = tmp_path / "yunet.onnx"
    path.touch()
    return path, sizes, made


def test_faces(network):
    path, sizes, made = network
    red = np.zeros((30, 50, 3), np.uint8)
    red[..., 0] = 255
    found = detect([red, np.zeros((64, 96, 3), np.uint8)], "yunet", weights=path, threshold=0.25)
    assert made[0][0] == str(path) and made[0][3] == 0.25
    assert sizes == [(50, 30), (96, 64)]
    assert found[0] == []
    [face] = found[1]
    assert face.box == (10, 20, 30, 40) and face.score == 1
    assert face.landmarks.tolist() == [[50, 51], [52, 53], [54, 55], [56, 57], [58, 59]]


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.onnx.* Leave `weights` out"):
        load_detector("yunet", weights=tmp_path / "none.onnx")


def test_file_that_is_no_network(tmp_path):
    path = tmp_path / "yunet.onnx"
    path.write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"must be an ONNX file .*Received: .*yunet\.onnx"):
        load_detector("yunet", weights=path)


def test_download_that_fails(tmp_path, monkeypatch):
    import keras

    def fail(**words):
        raise Exception("URL fetch failure")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.utils, "get_file", fail)
    with pytest.raises(ConnectionError) as caught:
        load_detector("yunet")
    text = str(caught.value)
    assert "URL fetch failure" in text and "`weights`" in text
    assert str(tmp_path) in text and "https://github.com/opencv" in text
