"""Tests of cropping whole folders, mostly with a detector that finds colored blocks."""

import functools
import json
import multiprocessing
import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kerasface.data import draw_scene, split_folder
from kerasface.faces import Face, Preparation, align, crop, cut, read_crops
from kerasface.faces import cropping as module
from kerasface.faces.alignment import center_square
from kerasface.faces.crop_image import NUMBERS, WORK_FOLDER
from kerasface.faces.crop_store import JOURNAL
from kerasface.faces.detectors import registry
from kerasface.faces.detectors.description import full_name
from kerasface.faces.detectors.registry import register_detector
from kerasface.faces.face import LANDMARKS
from kerasface.files import locked

SIZE = 24
POINTS = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
# Red of a block to the score of its face.
BLOCKS = {"one": [(30, 20, 24, 24, 250)], "two": [(4, 4, 12, 12, 250), (40, 20, 40, 30, 220)]}


def blocks(images):
    """A detector: every block of one red over 200 is a face, its score the red."""
    answers = []
    for image in images:
        faces = []
        for red in np.unique(image[..., 0][image[..., 0] > 200]):
            rows, columns = np.nonzero(image[..., 0] == red)
            low = np.array([columns.min(), rows.min()])
            sides = np.array([columns.max(), rows.max()]) + 1 - low
            box = (*(low + 0.04), *sides)
            faces.append(Face(box, red / 255, low + POINTS * sides))
        answers.append(faces)
    return answers


def photograph(places=(), height=60, width=100):
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 1], image[..., 2] = np.arange(width), np.arange(height)[:, None]
    for left, top, across, down, red in places:
        image[top : top + down, left : left + across, 0] = red
    return image


@pytest.fixture
def photographs(tmp_path):
    """Two people's photographs, one without a face, one broken, of several formats."""
    folder = tmp_path / "photographs"
    for path, places in {
        "ann/one.png": BLOCKS["one"],
        "ann/two.bmp": BLOCKS["two"],
        "bob/deep/one.png": BLOCKS["one"],
        "bob/none.png": (),
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photograph(places)).save(folder / path)
    (folder / "bob" / "broken.png").write_bytes((folder / "bob" / "none.png").read_bytes()[:90])
    (folder / "ann" / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def crops(photographs, tmp_path):
    """Calls `crop` with what is the same in most tests."""

    def call(target=tmp_path / "crops", source=photographs, **options):
        options = {"detector": blocks, "size": SIZE, "suffix": ".png", "processes": 0} | options
        return crop(source, target, **options)

    call.target = tmp_path / "crops"
    return call


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file()
    }


def pixels(path):
    return np.asarray(Image.open(path))


def test_folders_names_and_table(crops):
    table = crops()
    assert set(files(crops.target)) == {
        "ann/one.png", "ann/two.bmp.png", "bob/deep/one.png", "crops.csv", "crops.json",
    }  # fmt: skip
    assert table["file"].tolist() == [
        "ann/one.png", "ann/two.bmp", "bob/broken.png", "bob/deep/one.png", "bob/none.png",
    ]  # fmt: skip
    assert table["outcome"].tolist() == ["face", "face", "unreadable", "face", "skipped"]
    assert table["crop"].tolist() == ["ann/one.png", "ann/two.bmp.png", "", "bob/deep/one.png", ""]
    assert table["faces"].tolist()[:2] == [1, 2]
    assert table["reason"].tolist()[4] == "no face found"
    assert "readable image" in table["reason"].tolist()[2]
    row = table.iloc[0]
    assert row[["left", "top", "width", "height"]].tolist() == [30.0, 20.0, 24.0, 24.0]
    assert row["score"] == 0.9804  # 250 / 255, rounded
    assert row["right_eye_x"] == 46.8 and row["nose_y"] == 34.4
    assert table[list(NUMBERS)].iloc[4].isna().all()


def test_written_table_equals_the_returned_one(crops):
    table = crops()
    pd.testing.assert_frame_equal(read_crops(crops.target), table)
    # To 0.1 pixel and 0.0001, so that it can be compared as text.
    line = (crops.target / "crops.csv").read_text().splitlines()[1]
    assert line.startswith("ann/one.png,1,1,face,,ann/one.png,30.0,20.0,24.0,24.0,0.9804,37.2,")


def test_pixels_are_cut_from_the_numbers_of_the_table(crops, photographs):
    row = crops(margin=0.3).iloc[0]
    box = row[["left", "top", "width", "height"]].tolist()
    expected = cut(pixels(photographs / row["file"]), box, SIZE, margin=0.3)
    np.testing.assert_array_equal(pixels(crops.target / row["crop"]), expected)


@pytest.mark.parametrize("margin", [None, 0.25])
def test_aligned_pixels(crops, photographs, margin):
    row = crops(align=True, margin=margin).iloc[0]
    landmarks = row[list(NUMBERS[5:])].to_numpy(float).reshape(5, 2)
    image = pixels(photographs / row["file"])
    expected = align(image, landmarks, SIZE, margin=margin or 0.0)
    np.testing.assert_array_equal(pixels(crops.target / row["crop"]), expected)


def test_default_margin_is_a_fifth(crops):
    table = crops()
    assert json.loads((crops.target / "crops.json").read_text())["margin"] == 0.2
    assert len(table) == 5


@pytest.mark.parametrize(
    ("faces", "left"), [("largest", 40.0), ("central", 40.0), ("best", 4.0), ("all", 4.0)]
)
def test_faces_chooses_the_face(crops, faces, left):
    table = crops(faces=faces)
    rows = table[table["file"] == "ann/two.bmp"]
    assert rows["left"].iloc[0] == left
    assert (rows["faces"] == 2).all()
    # Numbers are those of the scores' order, whichever was chosen.
    assert rows["face"].tolist() == ([1, 2] if faces == "all" else {4.0: [1], 40.0: [2]}[left])
    if faces == "all":
        assert rows["crop"].tolist() == ["ann/two.bmp.1.png", "ann/two.bmp.2.png"]
        assert (crops.target / "ann/two.bmp.2.png").is_file()
        assert table["crop"].tolist()[0] == "ann/one.1.png"


def test_central_is_nearest_to_the_middle(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    places = [(2, 2, 40, 40, 250), (46, 26, 8, 8, 230)]
    Image.fromarray(photograph(places)).save(folder / "a.png")
    for faces, left in (("central", 46.0), ("largest", 2.0)):
        table = crop(folder, tmp_path / faces, detector=blocks, faces=faces, processes=0)
        assert table["left"].tolist() == [left]


def test_without_a_face_the_center_is_kept(crops, photographs):
    table = crops(without="center").set_index("file")
    assert table.loc["bob/none.png", ["outcome", "crop"]].tolist() == ["center", "bob/none.png"]
    expected = center_square(pixels(photographs / "bob/none.png"), SIZE)
    np.testing.assert_array_equal(pixels(crops.target / "bob/none.png"), expected)


def test_without_a_face_the_file_is_copied(crops, photographs):
    table = crops(without="copy").set_index("file")
    assert table.loc["bob/none.png", ["outcome", "crop"]].tolist() == ["copied", "bob/none.png"]
    assert files(crops.target)["bob/none.png"] == (photographs / "bob/none.png").read_bytes()


def test_jpeg(crops, photographs):
    table = crops(suffix=".jpg")
    assert table["crop"].iloc[0] == "ann/one.png.jpg"
    assert Image.open(crops.target / "ann/one.png.jpg").format == "JPEG"


def test_names_of_jpegs_stay(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name in ("a.JPG", "b.jpeg", "NA.jpg"):
        Image.fromarray(photograph(BLOCKS["one"])).save(folder / name, quality=100)
    table = crop(folder, tmp_path / "crops", detector=whole, processes=0)
    assert table["crop"].tolist() == ["NA.jpg", "a.JPG", "b.jpeg"]
    assert read_crops(tmp_path / "crops")["file"].tolist() == ["NA.jpg", "a.JPG", "b.jpeg"]


def whole(images):
    return [[Face((0, 0, *image.shape[1::-1]), 1.0)] for image in images]


def test_orientation_of_a_photograph_is_applied(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned to the right
    Image.fromarray(photograph(BLOCKS["one"])).save(folder / "a.png", exif=exif)
    table = crop(folder, tmp_path / "crops", detector=blocks, processes=0)
    # 60 rows turned to the right: left is 60 - 20 - 24.
    assert table[["left", "top"]].iloc[0].tolist() == [16.0, 30.0]


def test_second_run_does_nothing(crops):
    crops()
    before = files(crops.target)
    times = [(path, path.stat().st_mtime_ns) for path in crops.target.rglob("*.png")]
    crops(detector=must_not_run())
    assert files(crops.target) == before
    assert [(path, path.stat().st_mtime_ns) for path in crops.target.rglob("*.png")] == times


def must_not_run():
    def named(images):
        raise AssertionError("nothing is left to be done")

    named.__module__, named.__qualname__ = blocks.__module__, blocks.__qualname__
    return named


def counted(seen):
    def named(images):
        seen.append(len(images))
        return blocks(images)

    named.__module__, named.__qualname__ = blocks.__module__, blocks.__qualname__
    return named


def test_only_what_is_missing_is_done(crops, photographs):
    crops()
    before = files(crops.target)
    (crops.target / "ann" / "one.png").unlink()
    Image.fromarray(photograph(BLOCKS["two"])).save(photographs / "bob" / "new.png")
    seen = []
    table = crops(detector=counted(seen))
    assert sum(seen) == 2
    assert "bob/new.png" in table["crop"].tolist()
    after = files(crops.target)
    assert after.pop("bob/new.png")
    assert {**after, "crops.csv": b""} == {**before, "crops.csv": b""}


def test_repaired_file_is_tried_again(crops, photographs):
    assert "unreadable" in crops()["outcome"].tolist()
    Image.fromarray(photograph(BLOCKS["one"])).save(photographs / "bob" / "broken.png")
    assert crops()["outcome"].tolist().count("face") == 4


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_resumed_run_gives_the_same_result(crops, tmp_path, monkeypatch, stop):
    monkeypatch.setattr(module, "FILES_A_JOB", 2)
    crops(tmp_path / "undisturbed")
    calls = []

    def stopping(images):
        calls.append(len(images))
        if len(calls) == 2:
            raise stop("stop")
        return blocks(images)

    stopping.__module__, stopping.__qualname__ = blocks.__module__, blocks.__qualname__
    with pytest.raises(stop):
        crops(detector=stopping)
    assert not (crops.target / "crops.csv").exists()
    with pytest.raises(FileNotFoundError, match="Call `crop` again"):
        read_crops(crops.target)
    # As a kill may leave it: the last line of the journal cut, a crop of which it does not know.
    with open(crops.target / WORK_FOLDER / JOURNAL, "a", encoding="utf-8") as journal:
        journal.write('[{"file": "bob/dee')
    (crops.target / WORK_FOLDER / ".one.123.part.png").write_bytes(b"half")
    seen = []
    crops(detector=counted(seen))
    assert sum(seen) == 2  # of four readable ones
    assert files(crops.target) == files(tmp_path / "undisturbed")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": 32}, "size=32, but the crops in .* have size=24"),
        ({"align": True}, "margin=0.0, align=True, but .* have margin=0.2, align=False"),
        ({"faces": "best"}, "faces='best'"),
        ({"without": "copy"}, "without='copy'"),
        ({"suffix": ".jpg"}, r"suffix='\.jpg'"),
        ({"margin": 0.5}, "margin=0.5"),
        ({"detector": whole}, r"detector='.*whole', but .*blocks'"),
        ({"detector": "mtcnn"}, "detector='mtcnn'"),
        ({"detector": "mtcnn", "options": {"min_face": 30}}, r"options\.min_face=30"),
    ],
)
def test_changed_settings_are_not_mixed(crops, change, words):
    crops()
    before = files(crops.target)
    with pytest.raises(ValueError, match=f"one setting. Received: .*{words}"):
        crops(**change)
    assert files(crops.target) == before


def test_settings_without_crops_are_replaced(crops):
    with pytest.raises(ValueError, match="options of 'retinaface'"):
        crops(detector="retinaface", options={"treshold": 0.5})
    assert len(crops()) == 5


def test_crops_of_another_folder_are_not_mixed(crops, tmp_path):
    crops()
    other = tmp_path / "others" / "ann"
    other.mkdir(parents=True)
    Image.fromarray(photograph(BLOCKS["two"])).save(other / "one.png")
    before = files(crops.target)
    with pytest.raises(ValueError, match=r"one setting. Received: source='.*others'"):
        crops(source=other.parent)
    assert files(crops.target) == before


def test_another_process_is_kept_out(crops):
    crops.target.mkdir()
    with locked(crops.target), pytest.raises(ValueError, match="Only one process at a time"):
        crops()
    assert len(crops()) == 5


def test_copies_do_not_take_the_names_of_crops(crops, photographs):
    (photographs / "bob" / "none.png").rename(photographs / "bob" / "a.1.png")
    Image.fromarray(photograph(BLOCKS["one"])).save(photographs / "bob" / "a.png")
    with pytest.raises(ValueError, match=r"Received: 'bob/a\.1\.png' and the crop of 'bob/a\.png'"):
        crops(faces="all", without="copy")
    assert not crops.target.exists()
    made = crops(faces="all", without="center")["crop"]
    assert made[made != ""].is_unique


def test_replaced_photograph_is_cropped_again(crops, photographs):
    before = crops(faces="all")
    assert before["crop"].tolist() == [
        "ann/one.1.png", "ann/two.bmp.1.png", "ann/two.bmp.2.png", "", "bob/deep/one.1.png", "",
    ]  # fmt: skip
    assert before["stamp"].str.fullmatch(r"\d+-\d+").all()
    for name, places in (("ann/one.png", BLOCKS["two"]), ("ann/two.bmp", BLOCKS["one"])):
        Image.fromarray(photograph(places)).save(photographs / name)
    Image.fromarray(photograph()).save(photographs / "bob/deep/one.png")
    after = crops(faces="all")
    assert after["crop"].tolist() == [
        "ann/one.1.png", "ann/one.2.png", "ann/two.bmp.1.png", "", "", "",
    ]  # fmt: skip
    assert set(files(crops.target)) == {
        "ann/one.1.png", "ann/one.2.png", "ann/two.bmp.1.png", "crops.csv", "crops.json",
    }  # fmt: skip
    anew = crops(target=crops.target.with_name("anew"), faces="all")
    pd.testing.assert_frame_equal(after, anew)


def test_tables_without_stamps_are_valid(crops):
    before = crops()
    before.drop(columns="stamp").to_csv(crops.target / "crops.csv", index=False)
    kept = crops(detector=blocks)
    assert (kept["stamp"] == "").tolist() == (kept["outcome"] != "unreadable").tolist()
    assert kept["crop"].fillna("").tolist() == before["crop"].tolist()


def test_missing_photographs_are_reported(crops, photographs):
    crops()
    (photographs / "ann" / "one.png").rename(photographs / "bob" / "moved.png")
    with pytest.warns(UserWarning, match=r"1 photographs .* missing.* \['ann/one\.png'\]"):
        table = crops()
    assert {"ann/one.png", "bob/moved.png"} <= set(table["crop"])
    (crops.target / "ann" / "one.png").unlink()
    assert "ann/one.png" not in crops()["file"].tolist()  # and no warning


def test_briefly_missing_source_loses_no_crops(crops, photographs, monkeypatch):
    before, made = crops(), files(crops.target)
    listed = module.unlabeled_folder(photographs)
    monkeypatch.setattr(module, "unlabeled_folder", lambda folder: listed)
    photographs.rename(photographs.with_name("unplugged"))
    after = crops()
    assert after["crop"].tolist() == before["crop"].tolist()
    assert files(crops.target).keys() == made.keys()


def test_run_of_an_older_version_is_resumed(crops):
    expected = crops()
    text = (crops.target / "crops.csv").read_text()
    rows = pd.read_csv(crops.target / "crops.csv", dtype=str, keep_default_na=False)
    old = rows.drop(columns="stamp").to_dict("records")
    (crops.target / WORK_FOLDER).mkdir()
    journal = "".join(json.dumps({row["file"]: [row]}) + "\n" for row in old)
    (crops.target / WORK_FOLDER / JOURNAL).write_text(journal)
    (crops.target / "crops.csv").unlink()
    table = crops()
    pd.testing.assert_frame_equal(table.drop(columns="stamp"), expected.drop(columns="stamp"))
    assert text.startswith("file,face,faces")


def test_crop_belongs_to_one_photograph(crops, photographs):
    """A file takes the name that the crop of one that is gone has."""
    crops()
    (photographs / "ann" / "two.bmp").unlink()
    Image.fromarray(photograph(BLOCKS["one"])).save(photographs / "ann" / "two.bmp.png")
    table = crops()
    assert table["file"].tolist()[:2] == ["ann/one.png", "ann/two.bmp.png"]
    assert table["crop"][table["crop"] != ""].is_unique


def test_error_of_a_detector_names_the_photographs(crops):
    def failing(images):
        raise IndexError("no anchors")

    with pytest.raises(RuntimeError, match=r"IndexError: no anchors, with one .*'ann/two\.bmp'"):
        crops(detector=failing)


def test_changed_detector_is_recognized_by_its_settings(crops):
    def made(share):
        def detector(images):
            return blocks(images)

        detector.settings = {"share": share}
        return detector

    crops(detector=made(0.1))
    crops(detector=made(0.1))
    with pytest.raises(ValueError, match=r"share': 0\.2"):
        crops(detector=made(0.2))


def test_changed_partial_function_is_refused(crops):
    crops(detector=functools.partial(shared_out, least=200))
    with pytest.raises(ValueError, match=r"least=210"):
        crops(detector=functools.partial(shared_out, least=210))


def test_partial_function_may_have_another_object_of_the_same_class(crops):
    before = crops(detector=functools.partial(shared_out, least=200, net=Net()))
    after = crops(detector=functools.partial(shared_out, least=200, net=Net()))
    pd.testing.assert_frame_equal(after, before)


class Net:
    """Shown with its place in memory."""


def shared_out(images, least, net=None):
    return [[face for face in faces if 255 * face.score > least] for faces in blocks(images)]


def test_detector_without_a_module_runs_in_this_process(crops, monkeypatch):
    with pytest.raises(ValueError, match=r"processes=1.*processes=0"):
        crops(detector=lambda images: blocks(images), processes=1)
    # As in a notebook, where pickle finds what was typed in.
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "typed", blocks, raising=False)
    monkeypatch.setattr(blocks, "__module__", "__main__")
    monkeypatch.setattr(blocks, "__qualname__", "typed")
    crops(target=crops.target.with_name("a"))
    with pytest.raises(ValueError, match=r"__main__\.typed with processes=2"):
        crops(target=crops.target.with_name("b"), processes=2)


@pytest.mark.skipif(sys.platform != "linux", reason="file names are text on this system")
def test_names_may_be_long_or_not_utf8(crops, photographs):
    names = [b"\xe9.png".decode(errors="surrogateescape"), "я" * 120 + ".png"]
    for name in names:
        Image.fromarray(photograph(BLOCKS["one"])).save(tmp := photographs / "ann" / "new.png")
        tmp.rename(photographs / "ann" / name)
    table = crops()
    assert len(table) == 7 and (table["outcome"] == "face").sum() == 5
    assert {f"ann/{name}" for name in names} <= set(read_crops(crops.target)["crop"])
    assert len(crops(detector=blocks)) == 7  # nothing is left to be done


@pytest.mark.parametrize("above", ["", "train"])
def test_crops_of_one_photograph_stay_in_one_partition(crops, photographs, tmp_path, above):
    """Found a little elsewhere in a smaller copy, a face gives a crop of another hash."""
    random = np.random.default_rng(0)
    for number in range(8):
        blurred = Image.fromarray(random.integers(0, 200, (6, 10, 3), dtype=np.uint8))
        picture = np.array(blurred.resize((100, 60), Image.Resampling.BICUBIC))
        picture[20:50, 30:60, 0] = 230
        Image.fromarray(picture).save(photographs / "ann" / f"{number}.png")
        Image.fromarray(np.clip(picture + 2, 0, 255).astype(np.uint8)).save(
            photographs / "ann" / f"{number} again.png"
        )

    def elsewhere(images):
        answers = []
        for image in images:
            moved = 9 * int(image[0, 0].sum() % 2)
            answers.append([Face((10 + moved, 10 + moved, 40, 40), 0.9)])
        return answers

    if above:  # the people's folders may lie deeper
        (photographs / above).mkdir()
        for person in ("ann", "bob"):
            (photographs / person).rename(photographs / above / person)
    crops(detector=elsewhere, size=64)
    hashes = read_crops(crops.target)["photograph_hash"]
    assert hashes.str.len().eq(64).sum() == len(hashes) - 1  # one file is broken
    for seed in range(3):
        with pytest.warns(UserWarning, match="fewer different images"):
            table = split_folder(crops.target / above, tmp_path / str(seed), seed=seed)
        stems = table["file"].str.extract(r"ann/(\d)", expand=False)
        assert table.groupby(stems)["group"].nunique().tolist() == [1] * 8
        assert table.groupby(stems)["partition"].nunique().tolist() == [1] * 8


@pytest.mark.parametrize("entry", ["notes.txt", "ann/one.png", ".hidden"])
def test_folder_with_something_else_is_refused(crops, entry):
    (crops.target / entry).parent.mkdir(parents=True)
    (crops.target / entry).write_bytes(b"mine")
    with pytest.raises(ValueError, match="has other files"):
        crops()
    assert files(crops.target) == {entry: b"mine"}


def test_folders_must_be_separate(crops, photographs):
    for target in (photographs, photographs / "crops", photographs.parent):
        with pytest.raises(ValueError, match="in separate folders"):
            crops(target)


def test_missing_source(crops, tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing at that path"):
        crops(source=tmp_path / "nowhere")


def test_photographs_with_the_same_crop_are_refused(crops, photographs):
    image = Image.open(photographs / "ann" / "one.png")
    image.save(photographs / "ann" / "two.bmp.png")
    with pytest.raises(ValueError, match=r"'ann/two\.bmp' and 'ann/two\.bmp\.png', both to"):
        crops()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"faces": "biggest"}, r"`faces` must be one of .*Received: faces='biggest'"),
        ({"without": "centre"}, r"Did you mean 'center'\?"),
        ({"suffix": ".gif"}, r"`suffix` must be one of"),
        ({"detector": "mtcn"}, r"Did you mean 'mtcnn'\?"),
        ({"size": 0}, "`size`"),
        ({"margin": -1}, "`margin`"),
        ({"template": "dlibs"}, "Did you mean"),
        ({"template": "dlib"}, "Add align=True"),
        ({"processes": -1}, "`processes`"),
        ({"options": {"threshold": 0.5}}, "with a function"),
    ],
)
def test_mistakes_are_refused_before_anything_is_written(crops, options, message):
    with pytest.raises(ValueError, match=message):
        crops(**options)
    assert not crops.target.exists()


def test_template_of_dlib(crops, photographs):
    table = crops(align=True, template="dlib", size=None)
    crop_of_one = pixels(crops.target / "ann/one.png")
    assert crop_of_one.shape == (150, 150, 3)
    row = table.iloc[0]
    points = np.array([[row[f"{name}_{axis}"] for axis in "xy"] for name in LANDMARKS])
    expected = align(photographs / "ann/one.png", points, template="dlib")
    np.testing.assert_array_equal(crop_of_one, expected)
    assert Preparation.from_crops(crops.target).template == "dlib"
    with pytest.raises(ValueError, match="must have one setting"):
        crops(align=True, size=150)


def test_aligning_needs_landmarks(crops):
    with pytest.raises(ValueError, match="needs the landmarks"):
        crops(detector=whole, align=True)


def test_face_over_the_border_is_padded(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    Image.fromarray(photograph() + np.uint8(50)).save(folder / "a.png")
    over = [[Face((-20, -20, 40, 40), 0.5)]]
    crop(folder, tmp_path / "crops", detector=lambda _: over, size=40, margin=0, suffix=".png",
         processes=0)  # fmt: skip
    picture = pixels(tmp_path / "crops" / "a.png")
    assert not picture[:19].any() and not picture[:, :19].any()
    assert (picture[22:, 22:] >= 50).all()


SCRIPT = """
import sys, time
import numpy as np
from kerasface.faces import Face, crop

def slow(images):
    time.sleep(0.2)
    return [[Face((5, 5, 20 + image[0, 0, 0] / 7, 20), 0.5)] for image in images]

if __name__ == "__main__":
    crop(sys.argv[1], sys.argv[2], detector=slow, size=16, suffix=".png",
         processes=int(sys.argv[3]))
"""


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="kills a group of processes")
def test_killed_run_of_several_processes_leaves_the_same(tmp_path):
    source, script = tmp_path / "photographs", tmp_path / "script.py"
    script.write_text(SCRIPT)
    for number in range(90):
        path = source / str(number % 3) / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), number, np.uint8)).save(path)

    def start(target, processes):
        words = [sys.executable, script, source, target, str(processes)]
        return subprocess.Popen(words, start_new_session=True)

    assert start(tmp_path / "whole", 0).wait(timeout=120) == 0
    killed = tmp_path / "killed"
    with start(killed, 2) as process:
        end = time.monotonic() + 60
        while len(list(killed.glob("[0-2]/*.png"))) < 12 and time.monotonic() < end:
            time.sleep(0.02)
        # All of them, so that none makes crops after they were counted.
        os.killpg(process.pid, signal.SIGKILL)
    assert 0 < len(list(killed.glob("[0-2]/*.png"))) < 90
    for path in killed.glob("[0-2]/*.png"):
        assert Image.open(path).size == (16, 16)  # whole
    assert start(killed, 2).wait(timeout=120) == 0
    assert files(killed) == files(tmp_path / "whole")
    assert len(read_crops(killed)) == 90


def test_real_detector_gives_the_same_in_any_number_of_processes(tmp_path):
    source = tmp_path / "photographs"
    source.mkdir()
    for seed in range(10):
        scene = draw_scene(faces=2, width=220, height=180, face_size=(50, 90), seed=seed)
        Image.fromarray(scene.image).save(source / f"{seed}.png")
    options = {"detector": "mtcnn", "faces": "all", "size": 32, "align": True}
    tables = [
        crop(source, tmp_path / str(number), processes=number, **options) for number in (1, 2)
    ]
    assert files(tmp_path / "1") == files(tmp_path / "2")
    assert (tables[0]["outcome"] == "face").sum() >= 8
    # In this process other threads may move the last digit of a place, and no more.
    here = crop(source, tmp_path / "0", processes=0, **options)
    assert here["crop"].tolist() == tables[0]["crop"].tolist()
    np.testing.assert_allclose(here[list(NUMBERS)], tables[0][list(NUMBERS)], atol=0.11)


def load_blocks():
    return blocks


def test_registered_detector_works_in_every_process(crops, tmp_path, monkeypatch):
    name = "mtcnn"  # whose place it takes
    monkeypatch.setattr(registry, "_registered", {})
    register_detector(name, load_blocks)
    table = crops(detector=name, processes=1)
    assert table["outcome"].tolist() == ["face", "face", "unreadable", "face", "skipped"]
    crops(target=tmp_path / "function")
    images = {path: data for path, data in files(crops.target).items() if path.endswith(".png")}
    assert len(images) == 3
    assert images.items() <= files(tmp_path / "function").items()
    register_detector(name, lambda: blocks)
    with pytest.raises(ValueError, match=r"lambda.* with processes=1"):
        crops(target=tmp_path / "lambda", detector=name, processes=1)


def test_crops_of_an_earlier_default_are_resumed_by_name(crops, monkeypatch):
    monkeypatch.setattr(registry, "_registered", {})
    crops()
    settings = crops.target / "crops.json"
    settings.write_text(settings.read_text().replace(full_name(blocks), "mtcnn"))
    with pytest.raises(ValueError, match=r"detector='mtcnn'\. Use the same settings"):
        crops(detector="blazeface")
    before = files(crops.target)
    assert len(crops(detector="mtcnn")) == 5  # nothing is left to do
    assert files(crops.target) == before


def test_worker_of_a_pool_starts_no_processes(crops, monkeypatch):
    monkeypatch.setitem(multiprocessing.current_process()._config, "daemon", True)
    with pytest.raises(ValueError, match=r"worker of a multiprocessing.Pool .*processes=2"):
        crops(processes=2)
    assert len(crops(processes=None))
