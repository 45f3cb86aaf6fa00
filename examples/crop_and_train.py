"""
From photographs to a classifier
================================

Find and crop the faces of photographs, split them and train a network on them.

With your own photographs, one subfolder per person::

    python examples/crop_and_train.py --photographs photographs --out runs/mine

Without ``--photographs`` the script draws people in front of cluttered backgrounds.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil

import numpy as np
import pandas as pd
from PIL import Image

import kerasface
from kerasface import images


def read_options() -> argparse.Namespace:
    """Reads the arguments of the script."""
    parser = argparse.ArgumentParser(description="Crops faces, splits them and trains on them.")
    parser.add_argument("--photographs", type=pathlib.Path, help="one subfolder per person")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/cropped"))
    parser.add_argument("--people", type=int, default=12, help="number of people to draw")
    parser.add_argument("--pictures", type=int, default=30, help="photographs of each to draw")
    parser.add_argument("--epochs", type=int, default=12)
    return parser.parse_args()


# %%
# Draw photographs
# ----------------
#
# Each one shows a person somewhere in front of a cluttered background.


def draw(folder: pathlib.Path, people: int, pictures: int) -> pathlib.Path:
    """Draws photographs, one subfolder per person."""
    random = np.random.default_rng(0)
    for identity in range(people):
        for variant in range(pictures):
            path = folder / f"p{identity:03}" / f"{variant:03}.jpg"
            seed = identity * pictures + variant
            scene = kerasface.data.draw_scene(faces=0, width=280, height=220, seed=seed)
            canvas = np.array(scene.image)
            side = int(random.integers(120, 200))
            left, top = random.integers(0, 280 - side), random.integers(0, 220 - side)
            face = kerasface.data.draw_face(identity, variant, size=side)
            canvas[top : top + side, left : left + side] = face.image
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(canvas).save(path, quality=95)
    return folder


# %%
# Crop the faces
# --------------
#
# If the script is stopped and started again, ``crop`` resumes. Where it finds no face it keeps
# the center of the photograph, which is better than losing the photograph.


def crop(photographs: pathlib.Path, out: pathlib.Path) -> pd.DataFrame:
    """Crops the largest face of each photograph, and draws what the detector found."""
    crops = kerasface.faces.crop(
        photographs,
        out / "crops",
        size=96,
        align=True,
        margin=0.1,
        without="center",
        verbose=1,
    )
    print(crops["outcome"].value_counts().to_string())

    first = crops.sort_values("outcome", key=lambda outcome: outcome != "face").iloc[0]
    image = images.decode((photographs / first["file"]).read_bytes())
    [found] = kerasface.faces.detect([image])
    Image.fromarray(kerasface.faces.draw_faces(image, found)).save(out / "boxes.png")
    some = crops[crops["crop"] != ""].head(48)
    pictures = [np.asarray(Image.open(out / "crops" / name)) for name in some["crop"]]
    sheet = kerasface.faces.contact_sheet(pictures, list(some["file"]))
    Image.fromarray(sheet).save(out / "crops.png")
    print(f"Pictures: {out / 'boxes.png'}, {out / 'crops.png'}")
    return crops


# %%
# Split and train
# ---------------
#
# Near-duplicates are kept in one partition. The test images are used once, at the end.


def train_and_test(out: pathlib.Path, epochs: int) -> None:
    """Trains on the crops and prints the accuracy on the test images."""
    data = out / "data"
    shutil.rmtree(data, ignore_errors=True)  # it holds only links to the crops
    kerasface.data.split_folder(out / "crops", data, how="link")
    train = kerasface.data.identity_folder(data / "train")
    validation = kerasface.data.identity_folder(data / "validation", names=train.names)
    test = kerasface.data.identity_folder(data / "test", names=train.names)
    run = kerasface.train(
        "demo",
        train=train,
        validation=validation,
        out=out / "run",
        overwrite=True,
        epochs=epochs,
        warmup_epochs=epochs // 6,
        verbose=2,
    )
    result = kerasface.evaluate(run, test)
    print(f"test accuracy {result.metrics['accuracy']:.1%} of {len(test)} images")


# %%
# Run it
# ------
#
# ``crop`` starts processes that import this file, so the script needs the usual guard.

if __name__ == "__main__":
    options = read_options()
    photographs = options.photographs or draw(
        options.out / "photographs", options.people, options.pictures
    )
    crop(photographs, options.out)
    train_and_test(options.out, options.epochs)
