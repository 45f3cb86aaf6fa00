"""Tests of drawing the faces of a folder of photographs."""

import numpy as np
import pytest
from PIL import Image

from kerasface.data import draw_scene
from kerasface.faces import Face, draw_folder


def bright_blocks(images):
    """Detects as many faces as the first pixel says, each at its own place."""
    return [
        [Face((40 * i + 5, 25, 20, 20), 0.9) for i in range(image[0, 0, 0])] for image in images
    ]


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    (folder / "party").mkdir(parents=True)
    for name, count in (("none.png", 0), ("party/three.png", 3), ("one.bmp", 1)):
        pixels = np.full((60, 180, 3), 100, np.uint8)
        pixels[0, 0] = count
        Image.fromarray(pixels).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"no image")
    return folder


def test_all_faces_of_all_photographs_are_drawn(photographs, tmp_path):
    table = draw_folder(photographs, tmp_path / "out", detector=bright_blocks).set_index("file")
    assert table["faces"].to_dict() == {
        "broken.jpg": -1, "none.png": 0, "one.bmp": 1, "party/three.png": 3,
    }  # fmt: skip
    assert "no image format" in table.loc["broken.jpg", "reason"]
    assert table.loc["one.bmp", "picture"] == "one.bmp.jpg"
    written = {path.relative_to(tmp_path / "out").as_posix() for path in tmp_path.rglob("out/**/*")}
    assert written == {"none.png", "one.bmp.jpg", "party", "party/three.png"}
    drawn = np.asarray(Image.open(tmp_path / "out" / "party" / "three.png"))
    assert [drawn[45, x].tolist() == [255, 220, 0] for x in (15, 55, 95, 135)] == [
        True, True, True, False,
    ]  # fmt: skip
    none = np.asarray(Image.open(tmp_path / "out" / "none.png"))
    assert (none == np.asarray(Image.open(photographs / "none.png"))).all()


def test_named_detector(tmp_path):
    (tmp_path / "in").mkdir()
    Image.fromarray(draw_scene(faces=2, seed=2).image).save(tmp_path / "in" / "a.png")
    table = draw_folder(tmp_path / "in", tmp_path / "out", options={"threshold": 0.7})
    assert table["faces"].tolist() == [2]


def test_progress(photographs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("kerasface.progress.SECONDS_OF_LAST_LINE", 0.0)
    draw_folder(photographs, tmp_path / "out", detector=bright_blocks, verbose=1)
    assert capsys.readouterr().err.startswith("Drawing faces: 4 images in ")


@pytest.mark.parametrize("inside", [".", "pictures"])
def test_pictures_among_the_photographs_are_refused(photographs, inside):
    with pytest.raises(ValueError, match="outside the folder of photographs"):
        draw_folder(photographs, photographs / inside, detector=bright_blocks)


def test_wrong_detectors(photographs, tmp_path):
    with pytest.raises(ValueError, match="Did you mean 'mtcnn'"):
        draw_folder(photographs, tmp_path / "out", detector="mtcn")
    with pytest.raises(ValueError, match="Did you mean 'min_face'"):
        draw_folder(photographs, tmp_path / "out", options={"min_fac": 3})
    with pytest.raises(ValueError, match="only for a detector given by name"):
        draw_folder(photographs, tmp_path / "out", detector=bright_blocks, options={"a": 1})
    assert not (tmp_path / "out").exists()
