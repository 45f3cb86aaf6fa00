"""CelebA through tensorflow-datasets, as the folder that everything else reads."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import numpy as np
from tqdm import tqdm

from kerasface.files import new_folder

LABELS, PARTITION, PEOPLE = "list_attr_celeba", "list_eval_partition", "identity_CelebA"
FOLDER = "kerasface_celeba"
PARTS = ("train", "validation", "test")  # 0, 1 and 2 in the partition file


def downloaded_celeba(data_dir: str | os.PathLike | None = None) -> pathlib.Path:
    """Folder of CelebA's JPEG files and label files, made at the first call.

    The files are numbered in the order of tensorflow-datasets, which is not CelebA's own and does
    not tell the original names. They take as much room as the download itself, 1.4 GB.

    Args:
        data_dir: Folder of tensorflow-datasets; None takes ``TFDS_DATA_DIR`` or
            ``~/tensorflow_datasets``.

    Returns:
        ``kerasface_celeba`` in it, with ``img_align_celeba/``, ``list_attr_celeba.txt``,
        ``list_eval_partition.txt`` and, if the builder knows the people,
        ``identity_CelebA.txt``.

    Raises:
        RuntimeError: If tensorflow-datasets cannot give CelebA.
    """
    if data_dir is None:
        data_dir = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    root = pathlib.Path(data_dir).expanduser()
    folder = root / FOLDER
    if not folder.is_dir():
        with new_folder(folder) as part:
            _write(_prepared_builder(root), part)
    return folder


def _prepared_builder(root: pathlib.Path):
    import tensorflow_datasets as tfds  # seconds, and only here

    try:
        builder = tfds.builder("celeb_a", data_dir=os.fspath(root))
        builder.download_and_prepare()
    except Exception as error:  # it raises whatever its downloads and readers provoke
        raise RuntimeError(
            "CelebA could not be had through tensorflow-datasets; the drive that it downloads "
            f"from often refuses. Received: {type(error).__name__}: {error}. Download "
            "img_align_celeba.zip, list_attr_celeba.txt, list_eval_partition.txt and "
            "identity_CelebA.txt by hand (https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html), "
            "unpack them into one folder, and give its path: read_celeba('folder')."
        ) from error
    return builder


def _write(builder, folder: pathlib.Path) -> None:
    import tensorflow_datasets as tfds

    pictures = folder / "img_align_celeba"
    pictures.mkdir()
    # tensorflow-datasets has an order of its own, so every value is taken by its name.
    attributes = sorted(builder.info.features["attributes"])
    has_people = "identity" in builder.info.features
    names: list[str] = []
    labels, parts, people = [], [], []
    for index, part in enumerate(PARTS):
        examples = builder.as_dataset(
            split=part, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False
        )
        for example in tqdm(tfds.as_numpy(examples), desc=f"writing CelebA ({part})", disable=None):
            name = f"{len(names) + 1:06d}.jpg"
            (pictures / name).write_bytes(example["image"])
            names.append(name)
            labels.append([bool(example["attributes"][key]) for key in attributes])
            parts.append(index)
            if has_people:
                people.append(int(example["identity"]["Identity_No"]))
    write_label_files(folder, names, attributes, labels, parts, people)


def write_label_files(
    folder: pathlib.Path,
    names: Sequence[str],
    attributes: Sequence[str],
    labels: Sequence[Sequence[bool]],
    parts: Sequence[int],
    people: Sequence[int] = (),
) -> None:
    """Writes CelebA's label files in its original dialect.

    Args:
        folder: Where they are written.
        names: File names, ``[N]``.
        attributes: Attribute names, ``[A]``.
        labels: Whether each image has each attribute, ``[N, A]``.
        parts: 0, 1 or 2 for train, validation and test, ``[N]``.
        people: Numbers of the people, ``[N]``; without any the file of theirs is left out.
    """
    signs = np.where(np.array(labels), " 1", "-1")
    rows = [f"{name} {' '.join(row)}" for name, row in zip(names, signs, strict=True)]
    _write_lines(folder / f"{LABELS}.txt", [str(len(rows)), " ".join(attributes), *rows])
    for stem, values in ((PARTITION, parts), (PEOPLE, people)):
        if len(values):
            rows = [f"{name} {value}" for name, value in zip(names, values, strict=True)]
            _write_lines(folder / f"{stem}.txt", rows)


def _write_lines(path: pathlib.Path, lines: list[str]) -> None:
    path.write_text("\n".join([*lines, ""]), encoding="utf-8")
