"""Lists of pairs: both forms, what they name, and every way to be wrong."""

import numpy as np
import pytest

from kerasface.data import FaceTable, folder_pairs, identity_folder, read_pairs

LFW = """2\t2
Ann\t1\t2
Ann\t1\t3
Ann\t1\tBob Lee\t1
Ann\t2\tCid\t1
Cid\t1\t2
Dan\t1\t2
Cid\t1\tDan\t2
Cid\t2\tDan\t1
"""


@pytest.fixture
def pictures(tmp_path):
    """Folder of empty files named as LFW names them; one of them is a PNG."""
    folder = tmp_path / "images"
    for name, count in {"Ann": 3, "Bob Lee": 1, "Cid": 2, "Dan": 2}.items():
        (folder / name).mkdir(parents=True)
        for number in range(1, count + 1):
            (folder / name / f"{name}_{number:04d}.jpg").touch()
    (folder / "Dan" / "Dan_0002.jpg").rename(folder / "Dan" / "Dan_0002.png")
    return folder


@pytest.fixture
def written(tmp_path, pictures):
    """Writes a list and reads it."""

    def call(text, name="pairs.txt"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return read_pairs(tmp_path / name, pictures)

    return call


def test_lfw(written, pictures):
    pairs = written(LFW)
    frame = pairs.to_frame()
    assert len(pairs) == 8
    assert frame.iloc[0].tolist() == ["Ann/Ann_0001.jpg", "Ann/Ann_0002.jpg", 1, 0, "Ann", "Ann"]
    assert frame.iloc[2].tolist() == [
        *("Ann/Ann_0001.jpg", "Bob Lee/Bob Lee_0001.jpg", 0, 0, "Ann", "Bob Lee")
    ]
    assert frame.iloc[6].tolist() == ["Cid/Cid_0001.jpg", "Dan/Dan_0002.png", 0, 1, "Cid", "Dan"]
    assert pairs.same.tolist() == [True, True, False, False] * 2
    assert pairs.folds.tolist() == [0] * 4 + [1] * 4
    # Each picture once, however many pairs it is in.
    assert len(pairs.images) == len(set(pairs.images.paths)) == 8
    assert pairs.images.root == pictures and pairs.images.labels is None
    assert pairs.summary() == (
        f"4 genuine and 4 impostor pairs in 2 folds, of 8 images in {pictures}"
    )


def test_lfw_with_spaces_and_without_folds(written):
    pairs = written("2\nAnn 1 2\nAnn 1 3\nAnn 1 Cid 1\nAnn 2 Dan 1\n\n")
    assert pairs.same.tolist() == [True, True, False, False]
    assert pairs.folds is None
    assert pairs.people.tolist()[2] == ["Ann", "Cid"]


def test_csv(written):
    lines = [
        "file_a,file_b,same",
        "Ann/Ann_0001.jpg,Ann/Ann_0002.jpg,1",
        '"Bob Lee/Bob Lee_0001.jpg",Ann/Ann_0001.jpg,False',
    ]
    pairs = written("\n".join(lines), "list.CSV")
    assert pairs.rows.tolist() == [[0, 1], [2, 0]]
    assert pairs.same.tolist() == [True, False]
    assert pairs.folds is None and pairs.people is None
    assert pairs.images.paths[2] == "Bob Lee/Bob Lee_0001.jpg"


def test_csv_that_was_written_is_read_again(written, tmp_path, pictures):
    pairs = written(LFW)
    pairs.to_frame().to_csv(tmp_path / "again.csv", index=False)
    again = read_pairs(tmp_path / "again.csv", pictures)
    assert again.to_frame().equals(pairs.to_frame())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "pairs.txt', an empty file"),
        ("ten\t300\n", r"'ten\\t300' in line 1 of .*pairs.txt"),
        ("0\n", "'0' in line 1"),
        ("file_a,file_b,same\n", "must have the suffix .csv"),
        (LFW.replace("2\t2\nAnn", "3\t2\nAnn"), "line 9 is the last line, but line 1 announces 12"),
        (LFW + "Ann\t1\t2\n", "line 10 is the last.*announces 8 pairs, so there must be 9 lines"),
        (LFW.replace("Ann\t1\t3", "Ann\t1\tx"), r"line 3: 'Ann\\t1\\tx' is not 'name number num"),
        (LFW.replace("Ann\t1\t3", "Ann\t1\tCid\t1"), "line 3: .* is not 'name number number'"),
        (LFW.replace("Cid\t1\tDan\t2", "Cid\t1\t2"), "line 8: .* is not 'name number name num"),
        (LFW.replace("Cid\t1\tDan\t2", "Cid\t1\tCid\t2"), "line 8: .* is not an impostor pair"),
        (LFW.replace("Ann\t1\t3", "Ann\t1\t4"), r"line 3: Ann/Ann_0004.jpg is not in .*images"),
        (LFW.replace("Ann\t1\t3", "Ann"), "line 3: 'Ann' is not"),
        (LFW.replace("Ann\t1\t3", "Ann\t1\t01"), "line 3: .* names the same image twice"),
    ],
)
def test_wrong_lfw_lines(written, text, message):
    with pytest.raises(ValueError, match=message):
        written(text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Ann/Ann_0001.jpg,Ann/Ann_0002.jpg,maybe", "line 3: same='maybe' is not 0 or 1"),
        ("Ann/Ann_0001.jpg,Ann/Ann_0002.jpg", "line 3: 2 values for 3 columns"),
        ("Ann/Ann_0001.jpg,Ann/Ann_0001.jpg,1", "line 3: .* are not two different files"),
        ("Ann/Ann_0001.jpg,,1", "line 3: .* are not two different files"),
        ("Ann/Ann_0001.jpg,Eve.jpg,0", "line 3: Eve.jpg is not in"),
    ],
)
def test_wrong_csv_lines(written, line, message):
    with pytest.raises(ValueError, match=message):
        written(f"file_a,file_b,same\nAnn/Ann_0001.jpg,Dan/Dan_0001.jpg,0\n{line}\n", "a.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file_a,file_c,same\nx,y,1\n", r"Received: \['file_a', 'file_c'.*Did you mean 'file_c'"),
        ("file_a,file_b,same\n", "must have at least one"),
        ("file_a,file_b,same,fold\nx,y,1,one\n", "line 2: fold='one' is not a whole number"),
        (
            "file_a,file_b,same,person_a,person_b\nx,y,1,Ann,Bob\n",
            "line 2: same='1' contradicts 'Ann' and 'Bob'",
        ),
    ],
)
def test_wrong_csv_files(written, text, message):
    with pytest.raises(ValueError, match=message):
        written(text, "a.csv")


def test_many_errors_are_counted(written):
    lines = "".join(f"a{number}.jpg,b{number}.jpg,1\n" for number in range(4))
    with pytest.raises(ValueError, match=r"8 invalid lines: line 2: a0.*line 4: a2.*and 3 more"):
        written("file_a,file_b,same\n" + lines, "a.csv")


def test_missing_list_and_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such\.txt"):
        read_pairs(tmp_path / "no such.txt", tmp_path)
    (tmp_path / "a.txt").touch()
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_pairs(tmp_path / "a.txt", tmp_path / "nowhere")


def test_pairs_of_a_folder(faces):
    table = identity_folder(faces / "train")  # 4 people, 6 pictures each
    pairs = folder_pairs(table)
    assert int(pairs.same.sum()) == 4 * 15 and len(pairs) == 120
    labels = table.labels[pairs.rows]
    np.testing.assert_array_equal(labels[:, 0] == labels[:, 1], pairs.same)
    assert len({tuple(sorted(row)) for row in pairs.rows.tolist()}) == 120
    names = np.array(table.names)[labels]
    assert (pairs.people == names).all()
    assert (pairs.images.paths == table.paths).all()
    again, other = folder_pairs(table), folder_pairs(table, seed=1)
    assert (again.rows == pairs.rows).all() and (other.rows != pairs.rows).any()
    assert int((~folder_pairs(table, impostors=216).same).sum()) == 216  # all that there are
    with pytest.raises(ValueError, match=r"in \[1, 216\].*impostors=217"):
        folder_pairs(table, impostors=217)


def test_impostors_are_drawn_evenly():
    table = FaceTable(
        "f", [f"{i}.jpg" for i in range(40)], np.arange(40) // 2, list("abcdefghijklmnopqrst")
    )
    counts = np.zeros(40)
    for seed in range(60):
        pairs = folder_pairs(table, seed=seed)
        counts += np.bincount(pairs.rows[~pairs.same].ravel(), minlength=40)
    assert counts.sum() == 60 * 2 * 20
    assert counts.min() > 30 and counts.max() < 90  # 60 expected


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "unlabeled"),
        ([0, 1], "0 genuine and 1 impostor"),
        ([0, 0], "1 genuine and 0 impostor"),
    ],
)
def test_pairs_need_people(labels, message):
    names = () if labels is None else ("a", "b")
    with pytest.raises(ValueError, match=message):
        folder_pairs(FaceTable("f", ["1.jpg", "2.jpg"], labels, names))
