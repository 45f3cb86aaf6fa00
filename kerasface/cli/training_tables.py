"""The options of a training, and the tables of its data folder."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from kerasface.cli.options import OFFICIAL

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    from kerasface.data.table import FaceTable

AUTO = "auto"
VALIDATION_SHARE = 0.1
VALIDATION_FOLDERS = ("dev", "val", "valid", "validation")


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """The options of one call of `demo` or `train`."""

    recipe: str | None
    data: pathlib.Path | None
    out: pathlib.Path
    changes: list[str] | None = None
    resume: bool = False
    overwrite: bool = False
    split: float = VALIDATION_SHARE
    features: pathlib.Path | None = None
    first: int | None = None
    partition: str = OFFICIAL


def print_tables(tables: Mapping[str, FaceTable]) -> None:
    """Prints what is in each partition."""
    for name, table in tables.items():
        print(f"{name:11} {table.summary()}")


def people_root(data: pathlib.Path) -> pathlib.Path:
    """The folder whose subfolders are people."""
    return (data / "train" if (data / "train").is_dir() else data).resolve()


def read_tables(data: pathlib.Path, options: TrainingOptions) -> tuple[FaceTable, FaceTable | None]:
    """Training and validation table."""
    from kerasface.data import identity_folder, is_celeba, read_celeba

    split = options.split
    if is_celeba(data):
        if split != VALIDATION_SHARE:
            raise ValueError(
                "`--split` is not for a CelebA folder, which has its own partition. "
                f"Received: --split {split:g} for {str(data)!r}. Remove the option."
            )
        return read_celeba(data, first=options.first, split=options.partition)[:2]
    for name, default in (("first", None), ("partition", OFFICIAL)):
        value = getattr(options, name)
        if value != default:
            raise ValueError(
                f"`--{name}` is for a CelebA folder, which holds list_attr_celeba. "
                f"Received: {name}={value} for {str(data)!r}, which has no such file."
            )
    has_train = (data / "train").is_dir()
    table = identity_folder(data / "train" if has_train else data)
    for name in VALIDATION_FOLDERS:
        if has_train and (data / name).is_dir():
            if split != VALIDATION_SHARE:
                raise ValueError(
                    f"`--split` is for data without a validation folder. Received: --split "
                    f"{split:g} for {str(data)!r}, which holds {name}/. Remove the option, or name "
                    f"{str(data / 'train')!r} to split its images."
                )
            return table, identity_folder(data / name, names=table.names)
    return table.split(split) if split else (table, None)
