"""Lists the image files of a folder, and describes folders that are not as they should be."""

from __future__ import annotations

import collections
import dataclasses
import os
import pathlib
import warnings
from collections.abc import Iterable, Sequence
from typing import NoReturn

from kerasface import images
from kerasface.data import notebook
from kerasface.files import HEAD, content_kind
from kerasface.names import counted, suggest

COMMON_SUFFIXES = ".jpg, .png, .webp, .bmp, .gif, .tif, .avif and others"
# Folders with these names are taken for partitions, not for people.
PARTITIONS = frozenset(
    {"train", "training", "val", "valid", "validation", "dev", "test", "testing", "eval"}
)
SHOWN_SUFFIXES = 3


@dataclasses.dataclass(frozen=True)
class Listing:
    """The visible files at any depth below a folder, sorted, relative to the root.

    Attributes:
        found: Files with a suffix of `kerasface.images.EXTENSIONS`.
        unsupported: Images in formats that cannot be decoded.
        unnamed: Images whose name has no suffix of an image.
        others: Number of all other files.
    """

    found: list[str]
    unsupported: list[str]
    unnamed: list[str]
    others: int

    def describe(self) -> str:
        """What the folder has if it has no image: a few words for a message."""
        parts = []
        if self.unsupported:
            counts = collections.Counter(_suffix(path) for path in self.unsupported)
            listed = ", ".join(suffix for suffix, _ in counts.most_common(SHOWN_SUFFIXES))
            number = counted(len(self.unsupported), "image")
            parts.append(f"{number} in unsupported formats ({listed})")
        if self.unnamed:
            parts.append(f"{counted(len(self.unnamed), 'image')} without the suffix of an image")
        if self.others:
            parts.append(counted(self.others, "other file"))
        return " and ".join(parts) or "no files"

    def remedy(self) -> str:
        """What to do if there is no image."""
        if self.unsupported:
            return "Convert them to JPEG or PNG."
        if self.unnamed:
            return f"Rename them, for example to {self.unnamed[0] + '.jpg'!r}."
        return f"Give the folder that has the images ({COMMON_SUFFIXES})."


def list_images(root: pathlib.Path, below: str = "") -> Listing:
    """Lists the images below a folder. Links to folders are followed; hidden files are skipped.

    Unlike `os.walk`, this raises the errors of folders that cannot be read; otherwise their
    images would be missing silently.

    Args:
        root: The folder that the paths are relative to.
        below: Subfolder to list, relative to ``root``.

    Returns:
        The files.
    """
    found: list[str] = []
    unsupported: list[str] = []
    unnamed: list[str] = []
    others = 0
    top = pathlib.Path(os.path.realpath(root))
    waiting = [(below, frozenset(map(os.fspath, (top, *top.parents))))]
    while waiting:
        folder, above = waiting.pop()
        place = os.path.realpath(root / folder)
        if folder and place in above:  # a link to a folder that it is in
            continue
        with os.scandir(root / folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = f"{folder}/{entry.name}" if folder else entry.name
                suffix = _suffix(entry.name)
                if is_folder(entry):
                    waiting.append((path, above | {place}))
                elif suffix in images.EXTENSIONS:
                    found.append(path)
                elif suffix in images.UNSUPPORTED:
                    unsupported.append(path)
                elif _has_image(entry.path):
                    unnamed.append(path)
                else:
                    others += 1
    return Listing(sorted(found), sorted(unsupported), sorted(unnamed), others)


def is_folder(entry: os.DirEntry) -> bool:
    """Whether an entry is a folder or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def visible_folders(root: pathlib.Path) -> list[str]:
    """Names of the subfolders that are not hidden, sorted."""
    with os.scandir(root) as entries:
        return sorted(
            entry.name for entry in entries if is_folder(entry) and not entry.name.startswith(".")
        )


def existing_folder(folder: str | os.PathLike) -> pathlib.Path:
    """Returns the path of an existing folder.

    Raises:
        FileNotFoundError: If there is none; the message suggests near names.
    """
    root = pathlib.Path(folder)
    if root.is_dir():
        return root
    name = os.fspath(folder)
    if root.is_file():
        archive = root.suffix.lower() in (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
        remedy = "Unpack it first." if archive else f"Give its folder, {os.fspath(root.parent)!r}."
        raise FileNotFoundError(
            f"There must be a folder of images. Received: {name!r}, a file. {remedy}"
        )
    near = suggest(root.name, visible_folders(root.parent)) if root.parent.is_dir() else ""
    raise FileNotFoundError(
        f"There must be a folder of images. Received: {name!r}, nothing at that path.{near}"
    )


def refuse_partitions(root: pathlib.Path, files: Iterable[str]) -> None:
    """Refuses a folder of partitions (train/, test/) in place of a folder of people.

    Args:
        root: The folder.
        files: Its images, relative to ``root``.

    Raises:
        ValueError: If all subfolders are named like partitions, and have subfolders with images.
    """
    paths = [pathlib.PurePosixPath(path).parts for path in files]
    folders = sorted({parts[0] for parts in paths if len(parts) > 1})
    deep = sorted({parts[0] for parts in paths if len(parts) > 2})
    if deep and all(name.lower() in PARTITIONS for name in folders):
        first = next((name for name in deep if name.lower().startswith("train")), deep[0])
        raise ValueError(
            "The subfolders of an identity folder must be people. "
            f"Received: {root}, whose subfolders are partitions: {', '.join(folders)}. "
            f"Give one of them, for example {os.fspath(root / first)!r}."
        )


def refuse_without_people(root: pathlib.Path, direct: Listing, subfolders: int) -> NoReturn:
    """Raises the error of an identity folder that has no people.

    Args:
        root: The folder.
        direct: The files of the folder and of its subfolders.
        subfolders: Number of subfolders.

    Raises:
        ValueError: Always; the message says what was found and which folder to give.
    """
    rule = "An identity folder must have one subfolder of images for each person."
    folders = counted(subfolders, "subfolder")
    if direct.found:  # subfolders have no images, so these are directly in the folder
        inside = f"{counted(len(direct.found), 'image')} directly in it and {folders}"
        above = root.resolve().parent
        is_person = root.name.lower() not in PARTITIONS and len(visible_folders(above)) > 1
        if any(above.glob("list_attr_celeba.*")):
            remedy = f"For CelebA, give the folder with the label files: {os.fspath(above)!r}."
        elif is_person:
            remedy = f"If the images show one person, give the folder above: {os.fspath(above)!r}."
        else:
            remedy = "Sort the images into one subfolder per person."
        raise ValueError(
            f"{rule} Received: {root} with {inside}. {remedy} Images without labels are for "
            "predict and submit; in Python, unlabeled_folder reads them."
        )
    raise ValueError(
        f"{rule} Received: {root} with {folders} and {direct.describe()}. {direct.remedy()}"
    )


def refuse_single_person(root: pathlib.Path, person: str, files: Sequence[str]) -> NoReturn:
    """Raises the error of an identity folder with a single person.

    Args:
        root: The folder.
        person: The only subfolder with images.
        files: Its images, relative to ``root``.

    Raises:
        ValueError: Always; the message names the folder inside if that one has people.
    """
    below = {pathlib.PurePosixPath(path).parts[1] for path in files if path.count("/") > 1}
    if len(below) > 1:
        received = f"{root} with the single subfolder {person!r}, which has {len(below)} subfolders"
        remedy = f"Give the folder inside: {os.fspath(root / person)!r}."
    else:
        received = f"{root} with images of {person!r} alone"
        remedy = "Add a subfolder for each further person."
    raise ValueError(f"A classifier needs at least two people. Received: {received}. {remedy}")


def warn_of_ignored(root: pathlib.Path, listing: Listing, loose: Sequence[str] = ()) -> None:
    """Warns of images that are not read.

    Args:
        root: The folder.
        listing: Its files.
        loose: Images directly in a folder of people.
    """
    texts = []
    if listing.unsupported:
        number, shown = _number_and_names(listing.unsupported)
        texts.append(
            f"{number} in {root} ignored, because the format is not supported: {shown}. Convert "
            "them to JPEG or PNG."
        )
    if listing.unnamed:
        number, shown = _number_and_names(listing.unnamed)
        texts.append(
            f"{number} in {root} ignored, because the file name does not have the suffix of an "
            f"image: {shown}. Rename them, for example to {listing.unnamed[0] + '.jpg'!r}."
        )
    if loose:
        number, shown = _number_and_names(loose)
        texts.append(
            f"{number} directly in {root} ignored: {shown}. Move them to the subfolders of their "
            "people."
        )
    for text in texts:
        warnings.warn(text, stacklevel=3)


def _number_and_names(paths: Sequence[str]) -> tuple[str, str]:
    return counted(len(paths), "image"), notebook.shorten(paths)


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _has_image(path: str) -> bool:
    """Whether the content of a file with another suffix is an image."""
    try:
        with open(path, "rb") as file:
            kind = content_kind(file.read(HEAD))
    except OSError:
        return False
    return kind is not None and kind.endswith(" image")
