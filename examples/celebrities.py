"""A few dozen photographs a person: frozen backbones side by side, judged properly.

With one folder a person, and the ImageNet weights from the network or from files:

    python examples/celebrities.py --data data/celebrities --models vgg19 mobilenet_v2
    python examples/celebrities.py --data data/celebrities --models mobilenet_v2 \\
        --weights weights/mobilenet_v2_notop.weights.h5 --recipe celebrities_tuned

Without ``--data`` faces are drawn, and a small random backbone shows the way:

    python examples/celebrities.py --out runs/celebrities
"""

from __future__ import annotations

import argparse
import pathlib

import kerasface


def main() -> None:
    """Trains a head on each backbone, on the same split, and compares them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, help="one folder a person")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/celebrities"))
    parser.add_argument("--models", nargs="+", default=["vgg19", "mobilenet_v2"])
    parser.add_argument("--weights", default="imagenet", help="a file, or imagenet")
    parser.add_argument("--recipe", help="default: celebrities, or celebrities_mobile")
    parser.add_argument("--split-seed", type=int, default=0)
    options = parser.parse_args()
    changes: dict = {"weights": options.weights}
    models = options.models
    data = options.data
    if data is None:
        data = kerasface.data.drawn_faces(options.out / "faces", identities=6, train=12) / "train"
        models = ["mobilenet_v3_small", "convnext_nano"]
        changes = {"weights": None, "image_size": 64, "epochs": 2}

    people = kerasface.data.identity_folder(data)
    train, validation = people.split(validation=0.2, seed=options.split_seed)
    runs = []
    for model in models:
        # System 4's head on its VGG19; on the others a layer that begins as the discriminant.
        usual = "celebrities" if model == "vgg19" else "celebrities_mobile"
        runs.append(
            kerasface.train(
                options.recipe or usual,
                train=train,
                validation=validation,
                out=options.out / model,
                model=model,
                overwrite=True,
                **changes,
            )
        )
    if len(runs) > 1:
        table = kerasface.compare(runs, options.out / "compare.html")
        print(table.to_string(index=False))
        print(f"Comparison: {options.out / 'compare.html'}")
    for run in runs:
        # The mean with the mirrored pictures: twice the work, and here two or three points.
        both = kerasface.evaluate(run, validation, out=run.path("flipped"), flip=True).metrics
        print(
            f"{run.folder.name}, with mirrored pictures: accuracy {both['accuracy']:.1%}, "
            f"AUC {both['auc_macro']:.3f}. Report: {run.path('report.html')}"
        )


if __name__ == "__main__":
    main()
