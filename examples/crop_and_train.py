"""From photographs to a classifier: find and cut the faces, split them, train.

With photographs of one's own, one subfolder a person:

    python examples/crop_and_train.py --photographs photographs --out runs/mine

Without ``--photographs`` some are drawn: people somewhere in a cluttered picture.
"""

from __future__ import annotations

import argparse
import pathlib
import shutil

import numpy as np
from PIL import Image

import kerasface
from kerasface import images


def main() -> None:
    """Leaves crops, split, run folder and two pictures to look at."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photographs", type=pathlib.Path, help="one subfolder a person")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/cropped"))
    parser.add_argument("--people", type=int, default=12, help="people to draw")
    parser.add_argument("--pictures", type=int, default=30, help="photographs of each to draw")
    parser.add_argument("--epochs", type=int, default=12)
    options = parser.parse_args()
    photographs = options.photographs or draw(
        options.out / "photographs", options.people, options.pictures
    )

    # Goes on where it was if it is stopped and called again. Where no face is found the middle
    # of the photograph is kept, which costs less than losing it.
    crops = kerasface.faces.crop(
        photographs,
        options.out / "crops",
        detector="mtcnn",
        size=96,
        align=True,
        margin=0.1,
        without="center",
        verbose=1,
    )
    print(crops["outcome"].value_counts().to_string())

    data = options.out / "data"
    shutil.rmtree(data, ignore_errors=True)  # links alone
    kerasface.data.split_folder(options.out / "crops", data, how="link")
    train = kerasface.data.identity_folder(data / "train")
    validation = kerasface.data.identity_folder(data / "validation", names=train.names)
    test = kerasface.data.identity_folder(data / "test", names=train.names)

    run = kerasface.train(
        "demo",
        train=train,
        validation=validation,
        out=options.out / "run",
        overwrite=True,
        epochs=options.epochs,
        warmup_epochs=options.epochs // 6,
        verbose=2,
    )
    predictions = kerasface.predict(run, data / "test")
    truth = np.asarray(test.names, dtype=object)[test.labels]
    answers = predictions.set_index("path").loc[list(test.paths), "prediction"]
    accuracy = (answers.to_numpy() == truth).mean()
    print(f"test accuracy {accuracy:.1%} of {len(test)} pictures")

    # What the detector saw in one photograph, and some crops.
    first = crops.sort_values("outcome", key=lambda outcome: outcome != "face").iloc[0]
    image = images.decode((photographs / first["file"]).read_bytes())
    [found] = kerasface.faces.detect([image])
    Image.fromarray(kerasface.faces.draw_faces(image, found)).save(options.out / "boxes.png")
    shown = crops[crops["crop"] != ""].head(48)
    some = [np.asarray(Image.open(options.out / "crops" / name)) for name in shown["crop"]]
    sheet = kerasface.faces.contact_sheet(some, list(shown["file"]))
    Image.fromarray(sheet).save(options.out / "crops.png")
    print(f"Look at {options.out / 'boxes.png'} and {options.out / 'crops.png'}")


def draw(folder: pathlib.Path, people: int, pictures: int) -> pathlib.Path:
    """Draws photographs of some people, each somewhere before a cluttered background."""
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


if __name__ == "__main__":  # cropping starts processes, which import this file
    main()
