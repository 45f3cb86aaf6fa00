"""Attributes of faces: smiling or not (system 3), fifteen of them (system 5), or all forty.

With a folder of CelebA, or through tensorflow-datasets where ``--data tfds`` is said:

    python examples/attributes.py --data data/celeba --recipe smiling --first 16000
    python examples/attributes.py --data data/celeba --recipe attributes15 --photos me.jpg

Without ``--data`` faces are drawn, with attributes of their own, and learnt in a minute:

    python examples/attributes.py --out runs/attributes
"""

from __future__ import annotations

import argparse
import pathlib

import kerasface


def main() -> None:
    """Trains on the first part, chooses on the second, evaluates once on the third."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of CelebA, or tfds")
    parser.add_argument("--recipe", default="smiling")
    parser.add_argument("--first", type=int, help="only so many training images")
    parser.add_argument("--epochs", type=int, help="default: the recipe's")
    parser.add_argument("--photos", nargs="*", default=[], help="own photographs, or folders")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/attributes"))
    options = parser.parse_args()
    changes: dict = {} if options.epochs is None else {"epochs": options.epochs}
    data = None if options.data == "tfds" else options.data
    if options.data is None:
        data = kerasface.data.drawn_celeba(options.out / "faces", height=110)
        # What is drawn is not what CelebA is labelled with, and is learnt sooner.
        changes = {"attributes": (), "epochs": 8, **changes}
    train, validation, test = kerasface.data.read_celeba(data, first=options.first)
    run = kerasface.train(
        options.recipe,
        train=train,
        validation=validation,
        out=options.out / options.recipe,
        overwrite=True,
        **changes,
    )
    result = kerasface.evaluate(run, test, out=run.path("test"))
    columns = ["name", "prevalence", "majority_accuracy", "accuracy_at_half", "f1", "auc"]
    print(result.table[columns].round(3).to_string(index=False))
    print(
        f"Test: mean accuracy {result.metrics['mean_accuracy_at_half']:.2%} (majority guess "
        f"{result.metrics['mean_majority_accuracy']:.2%}), "
        f"macro F1 {result.metrics['f1_macro']:.3f}"
    )
    print(f"Page: {result.page}")

    if options.photos:
        frame = kerasface.predict(
            run, options.photos, detect=True, pictures=run.path("photographs")
        )
        print(frame[["path", "face", "prediction"]].to_string(index=False))
        print(f"Pictures: {run.path('photographs')}")


if __name__ == "__main__":
    main()
