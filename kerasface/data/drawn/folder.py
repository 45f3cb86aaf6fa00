"""A folder of drawn faces, laid out like a face classification competition."""

from __future__ import annotations

import json
import os
import pathlib
from collections.abc import Mapping

import numpy as np
import pandas as pd
from PIL import Image

from kerasface.checks import check_number
from kerasface.data.drawn.face import MIN_SIZE, DrawnFace, draw_face
from kerasface.data.drawn.people import ATTRIBUTES
from kerasface.progress import track

FORMAT = 1  # raised whenever the drawings change, so that old folders are refused
SETTINGS = "drawn.json"
_ORDER = 15  # first key of the random numbers; see `people`


def drawn_faces(
    folder: str | os.PathLike[str],
    *,
    identities: int = 50,
    train: int = 24,
    dev: int = 6,
    test: int = 4,
    size: int = 96,
    seed: int = 0,
    quality: int = 92,
    verbose: int = 0,
) -> pathlib.Path:
    """Writes a folder of drawn faces, laid out like a face classification competition.

    The folder holds `train/<name>/<nnnn>.jpg` and `dev/<name>/<nnnn>.jpg` with one folder for
    each person (`p0000`, ...), the unlabeled and shuffled `test/<nnnnnn>.jpg`, and

    - `sample_submission.csv`: `id` (a file name in `test`) and `label`, 0 everywhere;
    - `test_labels.csv`: `id` and `name`, the truth;
    - `attributes.csv`: `file` (like `train/p0007/0003.jpg`) and `ATTRIBUTES` as 0 or 1;
    - `landmarks.csv`: `file`, the box (`left`, `top`, `width`, `height`) and x and y of the five
      landmarks, in pixels;
    - `drawn.json`: the settings, written last. A folder that has it is complete.

    `train/p0007/0003.jpg` shows `draw_face(7, 3)`; the variants of `dev` and `test` follow those
    of `train`, so no picture occurs twice. A complete folder with the same settings is returned
    at once; one whose writing was interrupted is completed.

    Args:
        folder: Folder to write; must be new, empty, or written with the same settings.
        identities: Number of people, 1 or more.
        train: Number of training images of each person, 0 or more.
        dev: Number of development images of each person, 0 or more.
        test: Number of test images of each person, 0 or more.
        size: Width and height of the images in pixels, at least 24.
        seed: Seed of the people and of the order of the test images, 0 or more.
        quality: JPEG quality, 1 to 95.
        verbose: 1 shows the progress, 0 nothing.

    Returns:
        The folder.

    Raises:
        ValueError: If a number is out of range, or the folder has other files.

    Example:
        >>> import tempfile
        >>> root = drawn_faces(tempfile.mkdtemp(), identities=2, train=2, dev=1, test=1)
        >>> sorted(path.name for path in (root / "train").iterdir())
        ['p0000', 'p0001']
    """
    check_number("identities", identities, 1, whole=True)
    check_number("quality", quality, 1, 95, whole=True)
    for name, value in (("train", train), ("dev", dev), ("test", test), ("seed", seed)):
        check_number(name, value, 0, whole=True)
    check_number("size", size, MIN_SIZE, whole=True)
    root = pathlib.Path(folder)
    settings = {"format": FORMAT, "identities": identities, "train": train, "dev": dev}
    settings |= {"test": test, "size": size, "seed": seed, "quality": quality}
    text = json.dumps({name: int(value) for name, value in settings.items()})
    if _is_complete(root, text):
        return root
    (root / f"{SETTINGS}.part").write_text(text, encoding="utf-8")
    faces: dict[str, DrawnFace] = {}
    plan = _plan(identities, train, dev, test, seed)
    for file, identity, variant in track(plan, len(plan), "Drawing", verbose=verbose):
        faces[file] = face = draw_face(identity, variant, size=size, seed=seed)
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(face.image).save(root / file, quality=quality)
    _write_tables(root, faces)
    (root / f"{SETTINGS}.part").replace(root / SETTINGS)
    return root


def _name(identity: int) -> str:
    return f"p{identity:04d}"


def _plan(
    identities: int, train: int, dev: int, test: int, seed: int
) -> list[tuple[str, int, int]]:
    """All image files of a folder as `(file, identity, variant)`."""
    plan: list[tuple[str, int, int]] = []
    for identity in range(identities):
        for variant in range(train + dev):
            part = "train" if variant < train else "dev"
            plan.append((f"{part}/{_name(identity)}/{variant:04d}.jpg", identity, variant))
    order = np.random.default_rng([_ORDER, seed]).permutation(identities * test)
    for i, k in enumerate(order.tolist()):
        plan.append((f"test/{i:06d}.jpg", k // test, train + dev + k % test))
    return plan


def _is_complete(root: pathlib.Path, settings: str) -> bool:
    """Whether `drawn_faces` is already done; raises if the folder has other files."""
    if root.exists() and not root.is_dir():
        raise ValueError(
            f"`folder` must be a folder. Received: {root}, a file. Choose a new folder."
        )
    for marker in (root / SETTINGS, root / f"{SETTINGS}.part"):
        if marker.is_file():
            found = marker.read_text(encoding="utf-8")
            if found == settings:
                return marker.suffix == ".json"
            raise ValueError(
                "`folder` must not have drawings with other settings. Received: "
                f"folder={str(root)!r}, drawn with {found}, and now {settings}. "
                "Choose a new folder or delete this one."
            )
    root.mkdir(parents=True, exist_ok=True)
    if any(root.iterdir()):
        raise ValueError(
            f"`folder` must be new or empty. Received: folder={str(root)!r}, which has other "
            "files. Choose a new folder."
        )
    return False


def _write_tables(root: pathlib.Path, faces: Mapping[str, DrawnFace]) -> None:
    tests = {file[5:]: face for file, face in faces.items() if file.startswith("test/")}
    names = [_name(face.identity) for face in tests.values()]
    points = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
    places = ["left", "top", "width", "height"] + [f"{p}_{axis}" for p in points for axis in "xy"]
    numbers = np.array([[*face.box, *face.landmarks.ravel()] for face in faces.values()])
    flags = [[int(face.attributes[name]) for name in ATTRIBUTES] for face in faces.values()]
    tables = {
        "sample_submission": pd.DataFrame({"id": [*tests], "label": 0}),
        "test_labels": pd.DataFrame({"id": [*tests], "name": names}),
        "attributes": pd.DataFrame(flags, columns=[*ATTRIBUTES]),
        "landmarks": pd.DataFrame(numbers.reshape(-1, len(places)), columns=places),
    }
    for name, table in tables.items():
        if "id" not in table:
            table.insert(0, "file", [*faces])
        table.to_csv(root / f"{name}.csv", index=False, float_format="%.2f", lineterminator="\n")
