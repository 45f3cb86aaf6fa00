"""Downloads CelebA with tensorflow-datasets and writes it as a folder of files."""

from __future__ import annotations

import os
import pathlib
from typing import Any

from kerasface.data.celeba.labels import write_label_files
from kerasface.files import new_folder
from kerasface.packages import import_package
from kerasface.progress import track

FOLDER = "kerasface_celeba"
PARTITIONS = ("train", "validation", "test")  # 0, 1 and 2 in the partition file


def downloaded_celeba(data_dir: str | os.PathLike | None = None) -> pathlib.Path:
    """Returns a folder of CelebA's JPEG files and label files, written at the first call.

    The files are numbered in the order of tensorflow-datasets, which differs from CelebA's own
    and does not include the original names. They need as much space as the download, 1.4 GB.

    Args:
        data_dir: Folder of tensorflow-datasets; None takes ``TFDS_DATA_DIR`` or
            ``~/tensorflow_datasets``.

    Returns:
        ``kerasface_celeba`` in that folder, with ``img_align_celeba/``,
        ``list_attr_celeba.txt``, ``list_eval_partition.txt`` and, if the builder has the people,
        ``identity_CelebA.txt``.

    Raises:
        ImportError: If tensorflow-datasets is not installed.
        RuntimeError: If tensorflow-datasets cannot provide CelebA.
    """
    if data_dir is None:
        data_dir = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    root = pathlib.Path(data_dir).expanduser()
    folder = root / FOLDER
    if not folder.is_dir():
        with new_folder(folder) as part:
            _write(_prepared_builder(root), part)
    return folder


def _datasets() -> Any:
    return import_package(  # takes seconds
        "tensorflow_datasets", feature="Downloading CelebA", install="tensorflow-datasets"
    )


def _prepared_builder(root: pathlib.Path) -> Any:
    tfds = _datasets()
    try:
        builder = tfds.builder("celeb_a", data_dir=os.fspath(root))
        builder.download_and_prepare()
    except Exception as error:  # its downloads and readers raise many kinds of errors
        raise RuntimeError(
            "tensorflow-datasets could not download CelebA, because the server often refuses "
            f"downloads. Received: {type(error).__name__}: {error}. Download "
            "img_align_celeba.zip, list_attr_celeba.txt, list_eval_partition.txt and "
            "identity_CelebA.txt by hand (https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html), "
            "unpack them into one folder, and give its path: read_celeba('folder')."
        ) from error
    return builder


def _write(builder: Any, folder: pathlib.Path) -> None:
    tfds = _datasets()
    pictures = folder / "img_align_celeba"
    pictures.mkdir()
    # tensorflow-datasets has its own order of attributes, so each value is taken by its name.
    attributes = sorted(builder.info.features["attributes"])
    has_people = "identity" in builder.info.features
    names: list[str] = []
    labels: list[list[bool]] = []
    partitions: list[int] = []
    people: list[int] = []
    for index, partition in enumerate(PARTITIONS):
        examples = builder.as_dataset(
            split=partition, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False
        )
        title = f"Writing CelebA ({partition})"
        for example in track(tfds.as_numpy(examples), None, title, verbose=1):
            name = f"{len(names) + 1:06d}.jpg"
            (pictures / name).write_bytes(example["image"])
            names.append(name)
            labels.append([bool(example["attributes"][key]) for key in attributes])
            partitions.append(index)
            if has_people:
                people.append(int(example["identity"]["Identity_No"]))
    write_label_files(folder, names, attributes, labels, partitions, people)
