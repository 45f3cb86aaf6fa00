"""CelebA's label files in every dialect, its folders, its partition, and what is wrong in them."""

import pathlib
import warnings

import numpy as np
import pytest

from kerasface.data import CelebA, read_celeba

ATTRIBUTES = ["5_o_Clock_Shadow", "Male", "No_Beard", "Smiling"]
COUNT = 12
NAMES = [f"{number:06d}.jpg" for number in range(1, COUNT + 1)]
VALUES = np.random.default_rng(0).integers(0, 2, (COUNT, len(ATTRIBUTES)))
PARTS = [0, 0, 1, 0, 2, 0, 1, 0, 2, 0, 0, 1]
PEOPLE = [7, 7, 5, 9040, 3, 7, 5, 8, 3, 1, 1, 2]  # no one in two partitions


def spaced(values=VALUES, names=NAMES, *, count=True, title=""):
    """The original dialect, with its padding and the space at the end of its names."""
    rows = [
        f"{name} {' '.join(f'{sign:2d}' for sign in row)}"
        for name, row in zip(names, 2 * np.asarray(values) - 1, strict=True)
    ]
    head = [f"{title}{' '.join(ATTRIBUTES)} "]
    return "\n".join([*([str(len(rows))] if count else []), *head, *rows, ""])


def commas(values=VALUES, names=NAMES, *, low=-1):
    rows = [
        ",".join([name, *(str(1 if value else low) for value in row)])
        for name, row in zip(names, values, strict=True)
    ]
    return "\n".join([",".join(["image_id", *ATTRIBUTES]), *rows, ""])


DIALECTS = {
    "original": ("list_attr_celeba.txt", spaced()),
    "kaggle": ("list_attr_celeba.csv", commas()),
    "no count": ("list_attr_celeba.txt", spaced(count=False)),
    "no count, titled": ("list_attr_celeba.txt", spaced(count=False, title="image_id ")),
    "zeros": ("list_attr_celeba.csv", commas(low=0)),
    "quoted": ("list_attr_celeba.csv", commas().replace("image_id", '"image_id"')),
    "windows": ("list_attr_celeba.txt", "\ufeff" + spaced().replace("\n", "\r\n")),
    "no last newline": ("list_attr_celeba.txt", spaced().rstrip()),
    "blank lines at the end": ("list_attr_celeba.csv", commas() + "\n\n"),
    "tabs": ("list_attr_celeba.txt", spaced().replace(" ", "\t")),
}
PARTITIONS = {
    "list_eval_partition.txt": [f"{name} {part}" for name, part in zip(NAMES, PARTS, strict=True)],
    "list_eval_partition.csv": [
        "image_id,partition",
        *(f"{name},{part}" for name, part in zip(NAMES, PARTS, strict=True)),
    ],
}
IDENTITIES = "\n".join(f"{name} {who}" for name, who in zip(NAMES, PEOPLE, strict=True))


@pytest.fixture
def make(tmp_path):
    """Writes a small CelebA, whose images are empty files, and gives its folder."""

    def write(
        label_file="list_attr_celeba.txt",
        labels=None,
        *,
        partition="list_eval_partition.txt",
        below="img_align_celeba",
        images=NAMES,
    ):
        (tmp_path / label_file).write_bytes((spaced() if labels is None else labels).encode())
        if partition:
            (tmp_path / partition).write_text("\n".join(PARTITIONS[partition]))
        (tmp_path / "identity_CelebA.txt").write_text(IDENTITIES)
        (tmp_path / below).mkdir(parents=True, exist_ok=True)
        for name in images:
            (tmp_path / below / name).touch()
        return tmp_path

    return write


@pytest.fixture(autouse=True)
def no_warning():
    """Every test that expects none fails at one."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def rows_of(part):
    return [index for index, place in enumerate(PARTS) if place == part]


def assert_whole(tables):
    assert isinstance(tables, CelebA)
    for part, table in enumerate(tables):
        assert table.paths.tolist() == [NAMES[row] for row in rows_of(part)]
        np.testing.assert_array_equal(table.labels, VALUES[rows_of(part)])
        assert table.labels.dtype == np.int64
        assert table.names == tuple(ATTRIBUTES)
        assert table.multi_label


# Files


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(make, dialect, partition):
    folder = make(*DIALECTS[dialect], partition=partition)
    tables = read_celeba(folder)
    assert_whole(tables)
    assert tables.train.root == folder / "img_align_celeba"
    assert pathlib.Path(tables.test.full_paths()[0]).is_file()


@pytest.mark.parametrize(
    "below",
    [
        "img_align_celeba",
        "img_align_celeba/img_align_celeba",
        "img_align_celeba/Celebs",
        "Celebs",
        "Img/img_align_celeba",
        ".",
    ],
)
def test_image_folders(make, below):
    folder = make(below=below)
    assert_whole(read_celeba(folder))
    assert read_celeba(str(folder)).validation.root == folder / below


def test_stray_images_above_the_images(make):
    folder = make(below="img_align_celeba/img_align_celeba")
    for stray in (folder / NAMES[0], folder / "img_align_celeba" / NAMES[1]):
        stray.touch()
    assert_whole(read_celeba(folder))


def test_label_files_as_in_the_original_archive(make):
    folder = make(below="Img/img_align_celeba")
    for name, below in (("list_attr_celeba", "Anno"), ("list_eval_partition", "Eval")):
        (folder / below).mkdir()
        (folder / f"{name}.txt").rename(folder / below / f"{name}.txt")
    assert_whole(read_celeba(folder))


def test_the_text_file_comes_before_the_table(make):
    folder = make()
    (folder / "list_attr_celeba.csv").write_text(commas(1 - VALUES))
    assert_whole(read_celeba(folder))


def test_rows_keep_the_order_of_the_label_file(make):
    order = np.random.default_rng(1).permutation(COUNT)
    names = [NAMES[row] for row in order]
    train = read_celeba(make(labels=spaced(VALUES[order], names))).train
    expected = [row for row in order if PARTS[row] == 0]
    assert train.paths.tolist() == [NAMES[row] for row in expected]
    np.testing.assert_array_equal(train.labels, VALUES[expected])


def test_names_that_look_like_numbers(make):
    names = ["NA", "nan", "null", "1e5", "007", *NAMES[5:]]
    names = [f"{name.removesuffix('.jpg')}.png" for name in names]
    folder = make(labels=spaced(names=names), images=names)
    rows = [f"{name} {part}" for name, part in zip(names, PARTS, strict=True)]
    (folder / "list_eval_partition.txt").write_text("\n".join(rows))
    paths = [path for table in read_celeba(folder) for path in table.paths]
    assert sorted(paths) == sorted(names)


# Attributes, parts


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("Smiling", ["Smiling"]),
        (["Smiling"], ["Smiling"]),
        (("Smiling", "5_o_Clock_Shadow"), ["Smiling", "5_o_Clock_Shadow"]),
        (None, ATTRIBUTES),
    ],
)
def test_attributes_by_name(make, attributes, expected):
    columns = [ATTRIBUTES.index(name) for name in expected]
    for part, table in enumerate(read_celeba(make(), attributes=attributes)):
        assert table.names == tuple(expected)
        assert table.labels.shape == (len(rows_of(part)), len(expected))
        np.testing.assert_array_equal(table.labels, VALUES[rows_of(part)][:, columns])


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("smiling", "Received: 'smiling'. Did you mean 'Smiling'"),
        (["Male", "no beard"], "Received: 'no beard'. Did you mean 'No_Beard'"),
        ("qqq", r"Received: 'qqq'. They are \['5_o_Clock_Shadow', 'Male'"),
        ([], r"one or more different names. Received: attributes=\[\]"),
        (["Male", "Male"], "one or more different names"),
    ],
)
def test_unfit_attributes(make, attributes, message):
    with pytest.raises(ValueError, match=message):
        read_celeba(make(), attributes=attributes)


@pytest.mark.parametrize(("first", "count"), [(1, 1), (3, 3), (16_000, 7)])
def test_first_images_of_the_training_part(make, first, count):
    whole, tables = read_celeba(make()), read_celeba(make(), first=first)
    assert tables.train.paths.tolist() == whole.train.paths[:count].tolist()
    np.testing.assert_array_equal(tables.train.labels, whole.train.labels[:count])
    assert [len(table) for table in tables[1:]] == [3, 2]


@pytest.mark.parametrize("partition", [None, "list_eval_partition.txt"])
def test_identity_split_shares_no_person(make, partition):
    folder = make(partition=partition)
    tables = read_celeba(folder, split="identity", validation=0.25, test=0.2)
    who = dict(zip(NAMES, PEOPLE, strict=True))
    people = [{who[path] for path in table.paths} for table in tables]
    assert not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])
    assert sorted(path for table in tables for path in table.paths) == NAMES
    for table in tables:
        np.testing.assert_array_equal(table.labels, VALUES[[NAMES.index(p) for p in table.paths]])
    again = read_celeba(folder, split="identity", validation=0.25, test=0.2)
    assert [table.paths.tolist() for table in again] == [table.paths.tolist() for table in tables]
    others = {
        tuple(
            read_celeba(folder, split="identity", validation=0.25, test=0.2, seed=seed).test.paths
        )
        for seed in range(8)
    }
    assert len(others) > 1


def test_warns_of_people_in_two_partitions(make):
    folder = make()
    rows = IDENTITIES.split("\n")
    rows[4] = f"{NAMES[4]} 7"  # in the test partition, and three in the training partition
    (folder / "identity_CelebA.txt").write_text("\n".join(rows))
    with pytest.warns(
        UserWarning, match="1 of the 7 people of identity_CelebA.txt are in more than one"
    ):
        assert_whole(read_celeba(folder))
    read_celeba(folder, split="identity", validation=0.3, test=0.3)  # draws its own


def test_identity_split_by_default_takes_a_tenth_each(make):
    names = [f"{number}.png" for number in range(200)]
    values = np.random.default_rng(0).integers(0, 2, (200, len(ATTRIBUTES)))
    folder = make(labels=spaced(values, names), images=names)
    rows = [f"{name} {number}" for number, name in enumerate(names)]
    (folder / "identity_CelebA.txt").write_text("\n".join(rows))
    sizes = [len(table) for table in read_celeba(folder, split="identity", attributes="Male")]
    assert sizes == [160, 20, 20]


# Gaps


def test_gaps_are_counted_and_named(make):
    folder = make(images=[*NAMES[2:], "x.jpg", "y.jpg", "z.png", "w.jpg", ".hidden.jpg", "a.txt"])
    rows = PARTITIONS["list_eval_partition.txt"][:-1]
    (folder / "list_eval_partition.txt").write_text("\n".join(rows))
    with pytest.warns(UserWarning, match="They are skipped") as caught:
        tables = read_celeba(folder)
    (warning,) = caught
    assert warning.filename == __file__
    for words in (
        "2 labels without an image ('000001.jpg', '000002.jpg')",
        "4 images without labels ('w.jpg', 'x.jpg', 'y.jpg' and others)",
        "1 labeled images that are not in list_eval_partition.txt ('000012.jpg')",
    ):
        assert words in str(warning.message)
    assert tables.train.paths.tolist() == [NAMES[row] for row in rows_of(0)[2:]]
    assert tables.validation.paths.tolist() == [NAMES[row] for row in rows_of(1)[:-1]]
    np.testing.assert_array_equal(tables.validation.labels, VALUES[rows_of(1)[:-1]])


def test_each_gap_alone(make):
    folder = make(images=NAMES[1:])
    with pytest.warns(UserWarning, match="skipped") as caught:
        read_celeba(folder)
    message = str(caught[0].message)
    assert message == (
        f"{folder / 'img_align_celeba'}: 1 labels without an image ('000001.jpg'). "
        "They are skipped."
    )


def test_partition_may_have_rows_without_labels(make):
    folder = make(labels=spaced(VALUES[:9], NAMES[:9]), images=NAMES[:9])
    assert [len(table) for table in read_celeba(folder)] == [5, 2, 2]


# What is wrong


LINES = spaced().split("\n")


def cut(line, text):
    """The original label file up to a line, and what is left of that line."""
    return "\n".join([*LINES[: line - 1], text])


def change(line, text):
    return "\n".join([*LINES[: line - 1], text, *LINES[line:]])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            cut(10, "000008.jpg -1  1 -1"),
            "3 values in line 10 .*Check whether the file is truncated",
        ),
        (cut(10, "000008.jpg"), "0 values in line 10 "),
        (cut(10, "000008.jpg -"), "1 values in line 10 "),
        (cut(10, "000008.jpg -1  1 -1 -"), "'-' in line 10 "),
        (cut(14, "000012.jpg -1  1 -1 -"), "'-' in line 14 "),
        ("\n".join(LINES[:9]), "12 in the first line and 7 rows, the last in line 9 "),
        (change(6, "000004.jpg  1  1  1  1  1"), "5 values in line 6 "),
        (change(6, "\n000004.jpg  1  1  1"), "3 values in line 7 "),
        (change(6, "000004.jpg  1  1  x  1"), "'x' in line 6 "),
        (change(6, "000004.jpg  1 1.5 1  1"), "'1.5' in line 6 "),
        (change(6, "000004.jpg  1 9e99 1  1"), "'9e99' in line 6 "),
        (change(6, "000004.jpg  1  2  1  1"), r"0\) and 1. Received: '000004.jpg' .*in line 6 "),
        (change(6, "\n000004.jpg  1  2  1  1"), r"0\) and 1. .*\[1, 2\] in line 7 "),
        (change(3, ""), "and one row per image. Received: nothing in line 3 of "),
        ("\n".join(LINES[:2]), "nothing in line 3 of "),
        ("12", "a line of names and one row per image. Received: nothing in line 3 of "),
        ("", "an empty file"),
        (change(2, LINES[2]), r"different attribute names .*line 2 of .*'000001\.jpg "),
        ("\n".join(LINES[2:]), "different attribute names .*line 1 of "),
        ("a.jpg 1\nb.jpg -1\n", "different attribute names .*line 1 of "),
        (change(2, "Male Smiling"), "line 2 of .* with 2 names for the 4 values of line 3"),
        (spaced().replace("Male", "Smiling"), "different attribute names"),
        (spaced().replace(NAMES[4], NAMES[3]), r"one row per image. Received: '000004\.jpg' more"),
        (commas().replace("\n000004.jpg,", "\n000004.jpg,1,"), "5 values in line 5 "),
        (commas() + "000013.jpg,1,1,1", "3 values in line 14 "),
        (commas() + "000013.jpg,1,1,1,", "'' in line 14 "),
        ("\x00\x01" * 50, "list_attr_celeba"),
    ],
)
def test_damaged_label_file(make, labels, message):
    folder = make(labels=labels)
    with pytest.raises(ValueError, match=message) as caught:
        read_celeba(folder)
    assert "list_attr_celeba.txt" in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*PARTITIONS["list_eval_partition.txt"][:-1], NAMES[-1]], "0 values in line 12 "),
        ([*PARTITIONS["list_eval_partition.txt"][:-1], f"{NAMES[-1]} 3"], "0, 1 or 2.*line 12 "),
        (["image_id,partition", f"{NAMES[0]},-1"], r"0, 1 or 2. .*\[-1\] in line 2 "),
        (["image_id,partition"], "one row per image. Received: nothing in line 2 of "),
        ([f"{NAMES[0]} 0", f"{NAMES[1]} train"], "'train' in line 2 "),
        (["other.jpg 0"], "with none of the 12 labeled images"),
    ],
)
def test_damaged_partition(make, rows, message):
    folder = make()
    (folder / "list_eval_partition.txt").write_text("\n".join(rows))
    warnings.simplefilter("ignore")
    with pytest.raises(ValueError, match=message):
        read_celeba(folder)


@pytest.mark.parametrize("name", ["list_attr_celeba", "list_eval_partition", "identity_CelebA"])
def test_missing_file(make, name):
    folder = make()
    (folder / f"{name}.txt").unlink()
    split = "identity" if name == "identity_CelebA" else "official"
    with pytest.raises(FileNotFoundError, match=f"{name}.txt or {name}.csv.*does not have it"):
        read_celeba(folder, split=split)
    if name == "list_eval_partition":
        assert len(read_celeba(folder, split="identity", validation=0.3, test=0.3)) == 3


def test_missing_images(make):
    with pytest.raises(FileNotFoundError, match=r"12 images in list_attr_celeba.txt, such as '0"):
        read_celeba(make(images=["other.jpg"]))


def test_missing_folder(tmp_path):
    for path in (tmp_path / "none", __file__):
        with pytest.raises(FileNotFoundError, match=r"must be a folder.*Leave the path out"):
            read_celeba(path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "oficial"}, "Did you mean 'official'"),
        ({"validation": 0.1}, "validation=0.1, test=None. Use split='identity'"),
        ({"test": 0.1}, "no effect on the official partitions"),
        ({"first": 0}, "`first` must be an integer of at least 1. Received: first=0"),
        ({"data_dir": "x"}, "data_dir='x' with a folder of CelebA"),
        ({"split": "identity", "validation": 0.6, "test": 0.5}, "must be in .* and sum to 1"),
        ({"split": "identity", "test": 0.0}, "must be in"),
        ({"split": "identity", "test": 0.001}, "7 groups and 12 rows, which leave test empty"),
    ],
)
def test_unfit_arguments(make, settings, message):
    with pytest.raises(ValueError, match=message):
        read_celeba(make(), **settings)


def test_function_is_not_replaced_by_its_module():
    import kerasface.data.celeba.tables

    assert callable(kerasface.data.read_celeba)
    assert kerasface.data.read_celeba is read_celeba
