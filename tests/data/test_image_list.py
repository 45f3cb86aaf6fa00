"""Tests of lists of images in every form."""

import io

import numpy as np
import pytest
from PIL import Image

from kerasface.data.image_list import image_list
from kerasface.data.table import FaceTable


def pixels(value):
    return np.full((4, 6, 3), value, np.uint8)


def png(value):
    buffer = io.BytesIO()
    Image.fromarray(pixels(value)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def photos(tmp_path):
    """Gray images whose value is 10 for a.png, 20 for more/b.png and 30 for more/c.png."""
    (tmp_path / "more").mkdir()
    for number, name in enumerate(("a.png", "more/b.png", "more/c.png"), start=1):
        (tmp_path / name).write_bytes(png(10 * number))
    return tmp_path


def values(images):
    return [int(image[0, 0, 0]) for image in images]


FORMS = {
    "folder": (lambda root: root, ["a.png", "more/b.png", "more/c.png"], [10, 20, 30]),
    "folder as text": (lambda root: f"{root}/more", ["b.png", "c.png"], [20, 30]),
    "file": (lambda root: root / "a.png", ["a.png"], [10]),
    "files": (
        lambda root: (root / "more/c.png", root / "a.png"),
        ["more/c.png", "a.png"],
        [30, 10],
    ),
    "file and folder": (
        lambda root: [root / "a.png", root / "more"],
        ["a.png", "more/b.png", "more/c.png"],
        [10, 20, 30],
    ),
    "table": (
        lambda root: FaceTable(root, ["more/b.png", "a.png"]),
        ["more/b.png", "a.png"],
        [20, 10],
    ),
    "array": (lambda _: pixels(7), ["image 1"], [7]),
    "batch": (lambda _: np.stack([pixels(7), pixels(8)]), ["image 1", "image 2"], [7, 8]),
    "float batch": (lambda _: np.full((2, 4, 6, 1), 7.2), ["image 1", "image 2"], [7, 7]),
    "bytes": (lambda _: png(5), ["image 1"], [5]),
    "mixed": (
        lambda root: [
            pixels(1),
            root / "more",
            png(2),
            io.BytesIO(png(3)),
            Image.fromarray(pixels(4)),
            str(root / "a.png"),
        ],
        ["image 1", "more/b.png", "more/c.png", "image 4", "image 5", "image 6", "a.png"],
        [1, 20, 30, 2, 3, 4, 10],
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(photos, form):
    make, names, expected = FORMS[form]
    images = image_list(make(photos))
    assert images.names == tuple(names)
    assert len(images) == len(names)
    for _ in range(2):  # binary files can be read only once
        assert values(images) == expected
    assert values([images.read(len(images) - 1)]) == expected[-1:]
    if all(name.endswith(".png") for name in names):
        assert [Image.open(path).getpixel((0, 0))[0] for path in images.paths] == expected
        assert images.table.full_paths() == list(images.paths)
        assert images.table.paths.tolist() == names
    else:
        assert images.paths is images.table is None


def test_once_skips_files_that_are_given_again(photos):
    given = [photos / "more/c.png", photos, str(photos / "a.png"), pixels(1), pixels(1)]
    images = image_list(given, once=True)
    assert images.names == ("more/c.png", "a.png", "more/b.png", "image 4", "image 5")
    assert len(image_list(given)) == 7


def test_files_on_several_drives_keep_their_absolute_paths(photos, monkeypatch):
    def no_common_path(paths):
        raise ValueError("Paths don't have the same drive")

    monkeypatch.setattr("os.path.commonpath", no_common_path)
    images = image_list([photos / "more/c.png", photos / "a.png"])
    assert images.names == ((photos / "more/c.png").as_posix(), (photos / "a.png").as_posix())
    assert values(images) == [30, 10]


REFUSED = {
    "nothing": ([], ValueError, r"`probes` must have at least one image. Received: none"),
    "empty batch": (np.zeros((0, 8, 8, 3), np.uint8), ValueError, r"`probes` must have at least"),
    "empty table": (FaceTable(".", []), ValueError, r"`probes` must have at least one image"),
    "None": (None, TypeError, r"`probes` must be an image, a list of images, .* NoneType\.$"),
    "dictionary": ({"a": 1}, TypeError, r"Received: dict\. Use list\(images\)\.$"),
    "generator": (iter([pixels(1)]), TypeError, r"Received: list_iterator\. Use list\(images\)"),
    "no path": (
        "nowhere",
        FileNotFoundError,
        r"`probes` must be .* 'nowhere', which does not exist",
    ),
    "number in a list": ([png(1), 3], TypeError, r"^`probes\[1\]` must be .* Received: int"),
    "list in a list": ([[pixels(1)]], TypeError, r"^`probes\[0\]` must be .* list\. Give one"),
    "missing file": (
        [png(1), "b.jpg"],
        FileNotFoundError,
        r"^`probes\[1\]` must be an image file or",
    ),
    "batch of shape": (np.zeros((2, 8, 8, 5)), ValueError, r"^`probes\[0\]` must be .*\(8, 8, 5\)"),
    "video": (np.zeros((2, 2, 8, 8, 3)), ValueError, r"^`probes` must be .*\(2, 2, 8, 8, 3\)"),
}


@pytest.mark.parametrize("form", REFUSED)
def test_refused_forms_name_the_argument(form):
    value, error, text = REFUSED[form]
    with pytest.raises(error, match=text):
        image_list(value, "probes")


def test_values_and_files_are_checked_when_they_are_read(photos):
    (photos / "more/d.png").write_text("no image")
    images = image_list([pixels(1), photos / "more", pixels(1) / 255], "probes")
    with pytest.raises(ValueError, match=r"^`probes\[2\]` must have values in .* Multiply by 255"):
        images.read(4)
    with pytest.raises(ValueError, match=r"^`probes` must be readable\. Received: '.*d\.png': no"):
        images.read(3)


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match="must have at least one"):
        image_list(tmp_path)


def test_short_text(photos):
    assert repr(image_list(photos)).startswith("ImageList(3 images: 'a.png'")
