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
    """dlib's face network, trained on from the discriminant of `dlib_frozen`.

    For more images per person than a few dozen, and images unlike photographs. On 390 images
    held out of the 2,633 of 150 people it had 99.2% and a log loss of 0.051, `dlib_frozen` 99.2%
    and 0.043. With a learning rate of 1e-4 it fell to 93.3% in the second epoch and ended with
    99.0% and 0.063.
    """
    return dlib_frozen().replace(
        trainable="all",
        cache_features=False,
        epochs=5,
        optimizer="adamw",
        schedule="cosine",
        learning_rate=3e-5,
        weight_decay=0.05,
        warmup_epochs=1,
        warmup_learning_rate=1e-6,
        final_learning_rate=1e-6,
        augment=("flip", "rotation:5", "color_jitter:0.2"),
    )


def dlib_embedding() -> Recipe:
    """Face embeddings for verification, trained on from dlib's face network, with ArcFace's margin.

    The embedding starts as dlib's 128 numbers and the class centers as the means of the people, so
    that training starts from what the network knows. It needs many people: trained on 96 people, it
    had an equal error rate of 2.1% on 24 strangers, and the network as it is 2.0%. The margin and
    the rate, at which little changes, are this project's choice.
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
        epochs=4,
        learning_rate=1e-5,
    )
