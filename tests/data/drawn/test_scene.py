"""Tests of drawn scenes."""

import numpy as np
import pytest

from kerasface.data.drawn import draw_scene
from kerasface.data.drawn.people import ATTRIBUTES


@pytest.mark.parametrize("faces", [0, 1, 4, 9])
def test_scene_faces_lie_apart_in_the_image(faces):
    scene = draw_scene(faces=faces, width=400, height=300, face_size=(24, 70), seed=faces)
    assert scene.image.shape == (300, 400, 3) and scene.image.dtype == np.uint8
    assert len(scene.faces) == len({face.identity for face in scene.faces}) == faces
    for i, face in enumerate(scene.faces):
        left, top, width, height = face.box
        assert left >= 0 and left + width <= 400 and top >= 0 and top + height <= 300
        assert 23.9 <= height <= 70.1
        assert (face.landmarks > [left, top]).all()
        assert (face.landmarks < [left + width, top + height]).all()
        assert tuple(face.attributes) == ATTRIBUTES
        for other in scene.faces[:i]:
            x, y, w, h = other.box
            assert left >= x + w or x >= left + width or top >= y + h or y >= top + height


def test_scene_is_deterministic():
    first, again, other = (
        draw_scene(faces=2, width=160, height=120, face_size=(20, 40), seed=seed)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.image, again.image)
    assert [face.box for face in first.faces] == [face.box for face in again.faces]
    assert (first.image != other.image).any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"faces": -1}, "faces=-1"),
        ({"width": 10}, "width=10"),
        ({"height": 10}, "height=10"),
        ({"seed": -1}, "seed=-1"),
        ({"face_size": (90, 40)}, r"face_size=\(90, 40\)"),
        ({"face_size": (4, 40)}, r"face_size=\(4, 40\)"),
        ({"face_size": (40,)}, r"face_size=\(40,\)"),
        ({"faces": 50, "width": 100, "height": 100}, "faces=50"),
        ({"faces": 1, "width": 100, "height": 100, "face_size": (200, 200)}, "room"),
    ],
)
def test_draw_scene_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        draw_scene(**arguments)


def test_scene_is_shown_in_notebooks():
    scene = draw_scene(faces=2, width=320, height=240, seed=1)
    assert repr(scene) == "DrawnScene(2 faces, 320 x 240 pixels)"
    assert "2 faces, 320 x 240 pixels" in scene._repr_html_()
