"""Settings of the gallery, which runs the examples and shows the pictures that they write."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
from typing import Any

from sphinx_gallery.scrapers import figure_rst

ORDER = (
    "verify_photographs.py",
    "crop_and_train.py",
    "hw2p2.py",
    "cs405.py",
    "celebrities.py",
    "attributes.py",
    "verify_lfw.py",
)
# Folders of an example's output whose pictures are data.
DATA = {"faces", "photographs", "crops", "data", "known", "strangers"}
MOST_PICTURES = 4  # of a block; the curves come first
OUTPUT = pathlib.Path(tempfile.gettempdir()) / "kerasface_gallery"


class Order:
    """Sorts the examples as `ORDER` lists them."""

    def __init__(self, folder: str):
        self.folder = folder

    def __call__(self, name: str) -> int:
        """Returns the position of an example."""
        return ORDER.index(name)

    def __repr__(self) -> str:
        return "Order()"


class WrittenPictures:
    """Shows the pictures that an example has written since its last block."""

    def __init__(self) -> None:
        self.shown: set[pathlib.Path] = set()

    def __call__(self, block: tuple, variables: dict[str, Any], settings: dict[str, Any]) -> str:
        """Copies the new pictures into the gallery and returns their markup."""
        folder = OUTPUT / pathlib.Path(variables["src_file"]).stem
        copies = []
        for path in sorted(folder.rglob("*.png"), key=_order):
            is_data = DATA & set(path.relative_to(folder).parts[:-1])
            if path in self.shown or is_data or len(copies) == MOST_PICTURES:
                continue
            self.shown.add(path)
            copies.append(next(variables["image_path_iterator"]))
            shutil.copyfile(path, copies[-1])
        return figure_rst(copies, settings["src_dir"])

    def __repr__(self) -> str:
        return "WrittenPictures()"


def _order(path: pathlib.Path) -> tuple[bool, float]:
    return path.name != "curves.png", path.stat().st_mtime


class OutputArguments:
    """Lets each example write into a new temporary folder."""

    def __call__(self, settings: dict[str, Any], variables: dict[str, Any]) -> list[str]:
        """Returns the arguments of an example."""
        folder = OUTPUT / pathlib.Path(variables["src_file"]).stem
        shutil.rmtree(folder, ignore_errors=True)
        return ["--out", str(folder)]

    def __repr__(self) -> str:
        return "OutputArguments()"


def settings(run: bool) -> dict[str, Any]:
    """Returns the configuration of sphinx-gallery.

    Args:
        run: If False, the examples are shown without being run.
    """
    return {
        "examples_dirs": "../examples",
        "gallery_dirs": "gallery",
        "filename_pattern": r"\.py$",
        "plot_gallery": run,
        "abort_on_example_error": True,
        "within_subsection_order": Order,
        "image_scrapers": (WrittenPictures(),),
        "reset_modules": (),
        "reset_argv": OutputArguments(),
        "capture_repr": (),
        "download_all_examples": False,
        "write_computation_times": False,
        "show_signature": False,
        "remove_config_comments": True,
    }
