"""CS405's identity competition: thousands of people, a pretrained backbone, two phases.

    python examples/cs405.py --data data/cs405 --out runs/cs405
    python examples/cs405.py --data data/cs405 --model efficientnet_b0

Without ``--data`` faces are drawn, and a small network without weights shows the way.
"""

from __future__ import annotations

import argparse
import pathlib

import kerasface


def main() -> None:
    """Trains the head, then everything, and evaluates on the test images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=pathlib.Path, help="one folder a person")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/cs405"))
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--weights", default="imagenet", help="a file, or imagenet")
    options = parser.parse_args()
    model, data = options.model, options.data
    changes: dict = {"weights": options.weights}
    if data is None:
        data = kerasface.data.drawn_faces(options.out / "faces", identities=6, train=12) / "train"
        model = "convnext_nano"
        phases = {0: {"epochs": 1}, 1: {"epochs": 1}}
        changes = {"weights": None, "image_size": 64, "phases": phases}

    # 70% to train, 20% to choose by, 10% to report, as the project split its photographs.
    people = kerasface.data.identity_folder(data)
    rest, test = people.split(validation=0.1, seed=0)
    train, validation = rest.split(validation=2 / 9, seed=0)
    run = kerasface.train(
        "cs405",
        train=train,
        validation=validation,
        out=options.out / model,
        model=model,
        overwrite=True,
        **changes,
    )
    result = kerasface.evaluate(run, test, out=run.folder / "evaluation" / "test")
    low, high = result.metrics["accuracy_low"], result.metrics["accuracy_high"]
    print(f"Test accuracy {result.metrics['accuracy']:.1%} ({low:.1%} to {high:.1%})")
    print(f"Page: {result.page}")


if __name__ == "__main__":
    main()
