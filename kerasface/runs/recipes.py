"""Named recipes. Each docstring says where the recipe comes from and what it reached."""

from __future__ import annotations

from collections.abc import Callable

from kerasface.names import suggest
from kerasface.runs.attribute_names import FIFTEEN_ATTRIBUTES, FORTY_ATTRIBUTES
from kerasface.runs.dlib_recipes import dlib_embedding, dlib_frozen, dlib_tuned
from kerasface.runs.recipe import Recipe

# Augmentation of most of this project's own recipes.
MILD_AUGMENTATION = ("flip", "rotation:10", "color_jitter:0.2")


def hw2p2() -> Recipe:
    """FaceClassifier on CMU 11-785 F23 HW2P2: 140,000 crops of 7,001 people, about 90%.

    The published 90% was reached by training on train and dev together, so it has no clean
    validation. Four deviations: the schedule is updated every step, in the original once per
    epoch; biases and norms are not decayed; the last images of an epoch make batches smaller by
    one or two, in the original they are dropped; the last sixth of the epochs is not mixed, because
    BatchNorm statistics of mixed images do not fit unmixed ones.
    """
    return Recipe(
        model="convnext_small",
        image_size=224,
        epochs=60,
        batch_size=256,
        learning_rate=1e-3,
        weight_decay=0.05,
        warmup_epochs=10,
        warmup_learning_rate=3e-4,
        final_learning_rate=1e-5,
        label_smoothing=0.1,
        mixup=1.0,
        unmixed_epochs=10,
        augment=("face",),
    )


def demo() -> Recipe:
    """50 drawn people at 64 px, trained within two minutes on two CPU cores.

    docs/results/identities.md lists its accuracy. No published source: the smallest setting that
    learns the drawn faces well in that time.
    """
    return Recipe(
        model="convnext_nano",
        image_size=64,
        epochs=9,
        batch_size=32,
        learning_rate=2e-3,
        weight_decay=0.05,
        warmup_epochs=1,
        warmup_learning_rate=2e-4,
        final_learning_rate=1e-5,
        label_smoothing=0.1,
        augment=("flip", "rotation:10"),
    )


def celebrities() -> Recipe:
    """VGG19 celebrities: 31 people on a frozen VGG19 with VGG's own head, 82.72% on validation.

    Source: the project's documentation: frozen features, two hidden layers of 4,096 with dropout
    0.5, Adam with 1e-4 on the head, 10 epochs; it does not give the batch size. Needs the ImageNet
    weights of VGG19. The features are cached, which only saves time.
    """
    return Recipe(
        model="vgg19",
        weights="imagenet",
        trainable="head",
        head="vgg",
        image_size=224,
        epochs=10,
        batch_size=32,
        optimizer="adam",
        schedule="constant",
        learning_rate=1e-4,
        weight_decay=0.0,
        cache_features=True,
        keep="last",
    )


def celebrities_mobile() -> Recipe:
    """The VGG19 celebrities' task on a frozen MobileNetV2: minutes on a CPU.

    The last layer starts as the linear discriminant. Head and learning rate were chosen on a fifth
    of the training partition of one split: there one dense layer with random initialization had 53
    to 64%, the head of the CS405 competition without its dropouts 68 to 69%, and one dense layer
    that starts as the discriminant 72.5% and the largest area under the ROC curves. In five folds
    of that partition the discriminant has 74.7% on the middle 0.8 of the crops and 72.0% on whole
    crops.
    """
    return celebrities().replace(
        model="mobilenet_v2",
        head="pool",
        head_start="lda",
        crop_share=0.8,
        learning_rate=3e-4,
        schedule="cosine",
    )


def celebrities_tuned() -> Recipe:
    """The VGG19 celebrities' task, all of MobileNetV2 trained at 112 px: 30 s per epoch on a CPU.

    Chosen on a fifth of the training partition of one split, where it had 87.5% and frozen
    features at 224 px 70%.
    """
    return celebrities_mobile().replace(
        trainable="all",
        cache_features=False,
        head_start="random",
        image_size=112,
        crop_share=1.0,
        epochs=12,
        optimizer="adamw",
        learning_rate=5e-4,
        weight_decay=0.05,
        warmup_epochs=1,
        warmup_learning_rate=1e-5,
        final_learning_rate=1e-6,
        label_smoothing=0.1,
        augment=MILD_AUGMENTATION,
    )


def cs405() -> Recipe:
    """CS405 competition: ResNet-50 on 7,000 people, first only its head, then all of it.

    Source: the project's code: hidden layers of 1,024 and 512 with BatchNorm and dropout, Adam with
    1e-4, batch size 64, 10 epochs, 224 px, flip, rotation by 10 degrees, color jitter 0.2. The two
    phases are this project's choice, the second at a tenth of the learning rate. Its second
    backbone, EfficientNet-B0, is ``model="efficientnet_b0"``. Needs ImageNet weights.
    """
    return Recipe(
        model="resnet50",
        weights="imagenet",
        head="mlp",
        image_size=224,
        batch_size=64,
        phases=(
            {"epochs": 3, "trainable": "head"},
            {"epochs": 7, "learning_rate": 1e-5},
        ),
        optimizer="adam",
        schedule="constant",
        learning_rate=1e-4,
        weight_decay=0.0,
        keep="last",
        augment=MILD_AUGMENTATION,
    )


def identity_small() -> Recipe:
    """A few thousand images of a few hundred people, from random initialization.

    Chosen with `benchmarks/identity_trials.py` on a held-out part of the 2,633 training images and
    on smaller images; docs/results/identities.md lists the runs. Plain 3x3 convolutions, the
    normalized head (NormFace, Wang et al. 2017, arXiv:1704.06369) and Muon need far fewer steps
    than recipe hw2p2. Stronger mixing or cropping does not help. The first stage keeps half of the
    resolution of the images (ArcFace's networks keep all of it).
    """
    return Recipe(
        model="resnet_small",
        architecture={
            "stem_stride": 2,
            "channels": [32, 48, 96, 192, 384],
            "blocks_per_stage": [1, 2, 2, 2, 2],
        },
        head="cosine:30",
        image_size=112,
        epochs=30,
        batch_size=32,
        optimizer="muon",
        learning_rate=2e-3,
        weight_decay=0.05,
        warmup_epochs=1,
        warmup_learning_rate=1e-4,
        final_learning_rate=1e-6,
        label_smoothing=0.1,
        augment=MILD_AUGMENTATION,
        cutmix=1.0,
        unmixed_epochs=10,
        ema=0.99,
        keep="last",
    )


def smiling() -> Recipe:
    """CelebA smiling: smiling or not.

    Source: the project's notebook: squares of 178 of CelebA's 178 x 218 pixels, at random positions
    in training, resized to 64, flip, Adam with 1e-3, batch size 32, 30 epochs, the first 16,000
    training images (``--first 16000``). Its 90.50% "validation" accuracy is on training images; its
    test accuracy is 88.76%.
    """
    return Recipe(
        model="smile_cnn",
        attributes=("Smiling",),
        image_size=64,
        square_crop=True,
        epochs=30,
        batch_size=32,
        optimizer="adam",
        schedule="constant",
        learning_rate=1e-3,
        weight_decay=0.0,
        augment=("flip",),
        keep="last",
    )


def attributes15() -> Recipe:
    """15 attributes (Detect Facial Features): fifteen attributes of CelebA, 93.16% on validation.

    Source: the project's notebook: resized to 80 x 80 without keeping the shape, flip, binary
    cross-entropy, Adam with 1e-3, batch size 16, 10 epochs. Its random split has images of the same
    people in both partitions, and flips each image once for the whole training, validation images
    too.
    """
    return smiling().replace(
        model="resnet15",
        attributes=FIFTEEN_ATTRIBUTES,
        image_size=80,
        square_crop=False,
        epochs=10,
        batch_size=16,
    )


def attributes40() -> Recipe:
    """The network and settings of `attributes15` on all forty attributes of CelebA."""
    return attributes15().replace(attributes=FORTY_ATTRIBUTES)


def attributes40_small() -> Recipe:
    """All forty attributes of CelebA, with a small residual network at the images' resolution.

    Plain 3x3 convolutions, Muon, and the moving average of the weights. Chosen on CelebA's
    validation partition at half size, with 5,742 training images: there the mean accuracy was 89.6%
    in 12 epochs (89.5% on squares of the whole width, 89.2% on whole images).
    """
    return Recipe(
        model="resnet_small",
        architecture={
            "stem_stride": 1,
            "channels": [16, 32, 64, 128, 256],
            "blocks_per_stage": [1, 1, 1, 1, 1],
        },
        attributes=FORTY_ATTRIBUTES,
        image_size=64,
        square_crop=True,
        crop_share=0.8,
        epochs=10,
        batch_size=32,
        optimizer="muon",
        learning_rate=2e-3,
        weight_decay=0.05,
        warmup_epochs=1,
        warmup_learning_rate=1e-4,
        final_learning_rate=1e-6,
        augment=("flip", "rotation:5", "color_jitter:0.2"),
        ema=0.99,
        keep="last",
    )


def attributes15_small() -> Recipe:
    """The network of `attributes40_small` on the attributes of `attributes15`."""
    return attributes40_small().replace(attributes=FIFTEEN_ATTRIBUTES)


def smiling_small() -> Recipe:
    """Smiling or not: `attributes40_small` unchanged, because other attributes describe the mouth.

    On the validation partition smiling had an area under the ROC curve of 0.974 in 12 epochs; on
    squares of the whole width 0.971, and learned alone 0.969. Ten epochs take less than 13 minutes
    on two CPU cores.
    """
    return attributes40_small()


def embedding_arcface() -> Recipe:
    """Face embeddings for verification, from ImageNet weights, with ArcFace's margin.

    Source: ArcFace (Deng et al. 2019, arXiv:1801.07698), 112 px as there. The rising margin and the
    smaller scale, which few people need, are this project's choice. The backbone is MobileNetV2 and
    needs its ImageNet weights; ``weights=none`` trains from random initialization.
    """
    return Recipe(
        model="mobilenet_v2",
        weights="imagenet",
        image_size=112,
        epochs=10,
        batch_size=32,
        embedding={
            "dimensions": 256,
            "loss": "arcface",
            "scale": 30.0,
            "margin": 0.3,
            "margin_warmup_epochs": 4,
        },
        learning_rate=5e-4,
        weight_decay=0.05,
        warmup_epochs=1,
        warmup_learning_rate=5e-5,
        final_learning_rate=1e-6,
        augment=MILD_AUGMENTATION,
        keep="last",
    )


def embedding_softmax() -> Recipe:
    """`embedding_arcface` without a margin: a softmax over scaled cosines.

    Source: NormFace (Wang et al. 2017, arXiv:1704.06369).
    """
    return embedding_arcface().replace(
        embedding={"loss": "normface", "margin": None, "margin_warmup_epochs": 0}
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "attributes15": attributes15,
    "attributes15_small": attributes15_small,
    "attributes40": attributes40,
    "attributes40_small": attributes40_small,
    "celebrities": celebrities,
    "celebrities_mobile": celebrities_mobile,
    "celebrities_tuned": celebrities_tuned,
    "cs405": cs405,
    "demo": demo,
    "dlib_embedding": dlib_embedding,
    "dlib_frozen": dlib_frozen,
    "dlib_tuned": dlib_tuned,
    "embedding_arcface": embedding_arcface,
    "embedding_softmax": embedding_softmax,
    "hw2p2": hw2p2,
    "identity_small": identity_small,
    "smiling": smiling,
    "smiling_small": smiling_small,
}


def named_recipe(name: str) -> Recipe:
    """Returns a recipe by name.

    Args:
        name: One of ``RECIPES``.

    Raises:
        ValueError: If there is no recipe of that name, with near names.

    Example:
        >>> named_recipe("hw2p2").epochs
        60
    """
    if name not in RECIPES:
        near = suggest(str(name), RECIPES)
        remedy = near or f" The recipes are {', '.join(RECIPES)}."
        raise ValueError(
            f"`recipe` must be the name of a recipe. Received: {name!r}.{remedy} "
            "`kerasface recipes` lists them with their purpose."
        )
    return RECIPES[name]().named(name)
