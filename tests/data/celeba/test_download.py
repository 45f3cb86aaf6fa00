"""CelebA through tensorflow-datasets: its bytes and labels, once, by the same path as a folder."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from kerasface.data import read_celeba
from kerasface.data.celeba.download import FOLDER, PARTITIONS, downloaded_celeba

COUNT = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What the first call writes, of three made-up examples a part."""
    data_dir = tmp_path_factory.mktemp("tfds")
    with tfds.testing.mock_data(num_examples=COUNT):
        found = downloaded_celeba(data_dir)
    assert found == data_dir / FOLDER
    assert [path.name for path in data_dir.iterdir()] == [FOLDER]
    return found


@pytest.fixture(scope="module")
def examples():
    """What tensorflow-datasets gives, part after part."""
    with tfds.testing.mock_data(num_examples=COUNT):
        decoders = {"image": tfds.decode.SkipDecoding()}
        builder = tfds.builder("celeb_a")
        parts = [builder.as_dataset(split=part, decoders=decoders) for part in PARTITIONS]
        return [example for part in parts for example in tfds.as_numpy(part)]


def test_same_tables_as_of_any_folder(folder, examples):
    tables = read_celeba(data_dir=folder.parent)
    assert [len(table) for table in tables] == [COUNT] * 3
    paths = [path for table in tables for path in table.full_paths()]
    labels = np.concatenate([table.labels for table in tables])
    assert len(tables.train.names) == 40
    for path, row, example in zip(paths, labels, examples, strict=True):
        with open(path, "rb") as file:
            assert file.read() == example["image"]
        assert tf.io.decode_jpeg(example["image"]).shape == (218, 178, 3)
        found = dict(zip(tables.train.names, row.tolist(), strict=True))
        assert found == {name: int(value) for name, value in example["attributes"].items()}
    by_path = read_celeba(folder, attributes=["Smiling", "Male"])
    assert by_path.test.paths.tolist() == tables.test.paths.tolist()
    assert by_path.test.labels[:, 0].tolist() == [
        int(example["attributes"]["Smiling"]) for example in examples[-COUNT:]
    ]


def test_label_files_are_of_the_original_dialect(folder, examples):
    lines = (folder / "list_attr_celeba.txt").read_text().split("\n")
    assert lines[0] == str(3 * COUNT)
    assert sorted(lines[1].split()) == sorted(examples[0]["attributes"])
    name, *signs = lines[2].split()
    assert name == "000001.jpg"
    for attribute, sign in zip(lines[1].split(), signs, strict=True):
        assert sign == ("1" if examples[0]["attributes"][attribute] else "-1")
    assert (folder / "list_eval_partition.txt").read_text().split("\n")[2:5] == [
        "000003.jpg 0",
        "000004.jpg 1",
        "000005.jpg 1",
    ]
    people = (folder / "identity_CelebA.txt").read_text().splitlines()
    assert people == [
        f"{row:06d}.jpg {example['identity']['Identity_No']}"
        for row, example in enumerate(examples, start=1)
    ]


def test_folder_that_is_there_is_not_made_again(folder, monkeypatch):
    monkeypatch.setattr(tfds, "builder", lambda *args, **options: pytest.fail("asked again"))
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert downloaded_celeba(folder.parent) == folder
    monkeypatch.setenv("TFDS_DATA_DIR", str(folder.parent))
    assert [len(table) for table in read_celeba()] == [COUNT] * 3
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_folder_needs_no_tensorflow(folder):
    code = (
        "import sys; from kerasface.data import read_celeba; "
        "print(len(read_celeba(sys.argv[1]).train)); "
        "print({'tensorflow', 'tensorflow_datasets'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, f"{COUNT}\nset()\n"), done.stderr


@pytest.mark.parametrize("error", [OSError("no network"), tfds.download.DownloadError("quota")])
def test_failed_download_names_the_alternative(tmp_path, monkeypatch, error):
    class Builder:
        def download_and_prepare(self):
            raise error

    monkeypatch.setattr(tfds, "builder", lambda *args, **options: Builder())
    with pytest.raises(RuntimeError, match=r"list_attr_celeba\.txt.*celeba\('folder'\)") as caught:
        read_celeba(data_dir=tmp_path / "new")
    assert f"{type(error).__name__}: {error}" in str(caught.value)
    assert caught.value.__cause__ is error
    assert list((tmp_path / "new").iterdir()) == []


def test_interrupted_writing_leaves_no_folder(tmp_path, monkeypatch):
    def stop(dataset):
        raise KeyboardInterrupt

    with tfds.testing.mock_data(num_examples=1):
        monkeypatch.setattr(tfds, "as_numpy", stop)
        with pytest.raises(KeyboardInterrupt):
            downloaded_celeba(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_builder_without_people(tmp_path, monkeypatch):
    class Builder:
        """The builder as it was before it knew the people."""

        def __init__(self, builder):
            features = dict(builder.info.features)
            del features["identity"]
            self.info = type("Info", (), {"features": features})
            self.as_dataset = builder.as_dataset
            self.download_and_prepare = builder.download_and_prepare

    make = tfds.builder
    monkeypatch.setattr(tfds, "builder", lambda *args, **options: Builder(make(*args, **options)))
    with tfds.testing.mock_data(num_examples=1):
        assert [len(table) for table in read_celeba(data_dir=tmp_path)] == [1, 1, 1]
    with pytest.raises(FileNotFoundError, match="identity_CelebA"):
        read_celeba(data_dir=tmp_path, split="identity")
