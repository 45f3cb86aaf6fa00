"""A user's function takes the place of a detector's name in every function."""

import numpy as np
import pytest
from PIL import Image

import kerasface
from kerasface.data import draw_scene
from kerasface.faces import Face, detect, draw_folder, register_detector
from kerasface.faces.detectors import registry
from kerasface.faces.detectors.registry import DEFAULT


@pytest.fixture
def seen(monkeypatch):
    """Puts a detector that knows the scene's faces in the place of the default one."""
    monkeypatch.setattr(registry, "_registered", {})
    shapes = []

    def load(*, least=0.0):
        def detector(images):
            shapes.extend(image.shape for image in images)
            faces = draw_scene(faces=2, width=300, height=200, seed=5).faces
            return [[Face(face.box, 0.9, face.landmarks) for face in faces] for _ in images]

        return detector

    register_detector(DEFAULT, load)
    return shapes


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photos" / "photo.png"
    path.parent.mkdir()
    Image.fromarray(draw_scene(faces=2, width=300, height=200, seed=5).image).save(path)
    return path


SHAPE = (200, 300, 3)


def test_detect_and_faces(seen, photo, tmp_path):
    [found] = detect([photo], least=0.5)
    assert len(found) == 2
    assert draw_folder(photo.parent, tmp_path / "drawn")["faces"].tolist() == [2]
    assert seen == [SHAPE] * 2


def test_predict(seen, photo, attribute_run):
    assert kerasface.predict(attribute_run, photo, detect=True)["face"].tolist() == [1, 2]
    assert seen == [SHAPE]


def test_verify_and_embed(seen, photo, run):
    decision = kerasface.verify(photo, photo, model=run, detect=True, threshold=0.9)
    assert decision.same and decision.face_a.box in {
        face.box for face in draw_scene(faces=2, width=300, height=200, seed=5).faces
    }
    vectors = kerasface.embed([photo], model=run, detect=True, faces="all")
    assert len(vectors) == 2 and np.isfinite(vectors).all()
    assert set(seen) == {SHAPE}
