"""Recipes on dlib's pretrained face network, for `kerasface.runs.recipes`."""

from __future__ import annotations

from kerasface.runs.recipe import Recipe


def dlib_frozen() -> Recipe:
    """A discriminant on dlib's face network, which is not trained: seconds on a CPU.

    For aligned faces, as ``kerasface crop --align --template dlib`` cuts them. The last layer is
    the linear discriminant of the network's 256 features. Softmax training that starts from it was
    not better in five folds of the training part, so there is one epoch with learning rate 0.
    docs/results/celebrities.md and docs/results/identities.md list the trials. The network has
    learned about 7,485 people, many of them celebrities, so figures on celebrities are too high.
    """
    return Recipe(
        model="dlib_resnet29",
        weights="dlib",
        trainable="head",
        head="pool",
        head_start="lda_mirrored",
        image_size=150,
        epochs=1,
        batch_size=32,
        optimizer="adam",
        schedule="constant",
        learning_rate=0.0,
        weight_decay=0.0,
        cache_features=True,
        keep="last",
    )


def dlib_tuned() -> Recipe:
    """dlib's face network, trained on from the discriminant of `dlib_frozen`."""
    return dlib_frozen().replace(
        trainable="all",
        cache_features=False,
        epochs=5,
        optimizer="adamw",
        schedule="cosine",
        learning_rate=1e-4,
        weight_decay=0.05,
        warmup_epochs=1,
        warmup_learning_rate=1e-6,
        final_learning_rate=1e-6,
        augment=("flip", "rotation:5", "color_jitter:0.2"),
    )


def dlib_embedding() -> Recipe:
    """Face embeddings for verification, trained on from dlib's face network.

    The embedding begins as dlib's 128 numbers and the class centers as the people's means, so that
    training starts from what the network knows.
    """
    return dlib_tuned().replace(
        head_start="random",
        embedding={
            "dimensions": 128,
            "loss": "arcface",
            "scale": 30.0,
            "margin": 0.2,
            "margin_warmup_epochs": 1,
            "center_start": "means",
        },
        learning_rate=3e-5,
    )
