"""The named recipes, one a system; each docstring says where it is from and what it reached."""

from __future__ import annotations

from collections.abc import Callable

from kerasface.names import suggest
from kerasface.runs.recipe import Recipe

# Those of system 5.
FIFTEEN_ATTRIBUTES = (
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Black_Hair",
    "Blond_Hair",
    "Brown_Hair",
    "Chubby",
    "Goatee",
    "Gray_Hair",
    "Male",
    "Mustache",
    "No_Beard",
    "Smiling",
    "Wearing_Hat",
    "Young",
)

# All of CelebA, in the order of its label file.
FORTY_ATTRIBUTES = (
    "5_o_Clock_Shadow",
    "Arched_Eyebrows",
    "Attractive",
    "Bags_Under_Eyes",
    "Bald",
    "Bangs",
    "Big_Lips",
    "Big_Nose",
    "Black_Hair",
    "Blond_Hair",
    "Blurry",
    "Brown_Hair",
    "Bushy_Eyebrows",
    "Chubby",
    "Double_Chin",
    "Eyeglasses",
    "Goatee",
    "Gray_Hair",
    "Heavy_Makeup",
    "High_Cheekbones",
    "Male",
    "Mouth_Slightly_Open",
    "Mustache",
    "Narrow_Eyes",
    "No_Beard",
    "Oval_Face",
    "Pale_Skin",
    "Pointy_Nose",
    "Receding_Hairline",
    "Rosy_Cheeks",
    "Sideburns",
    "Smiling",
    "Straight_Hair",
    "Wavy_Hair",
    "Wearing_Earrings",
    "Wearing_Hat",
    "Wearing_Lipstick",
    "Wearing_Necklace",
    "Wearing_Necktie",
    "Young",
)


def hw2p2() -> Recipe:
    """FaceClassifier on CMU 11-785 F23 HW2P2: 140,000 crops of 7,001 people, about 90%.

    The published 90% was trained on train and dev together, so it has no clean validation. Four
    deviations: the original steps its schedule once an epoch, this steps every batch; biases and
    norms are not decayed; an epoch's last images make the batches smaller by one or two, where the
    original drops them; the last sixth of the epochs is not mixed, for BatchNorm's statistics of
    mixed images do not fit the whole ones that are judged.
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
    """50 drawn people at 64 px, learnt within two minutes on two CPU cores.

    Its figure stands in the README's results. No published source: the smallest setting that
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
    """System 4: 31 celebrities on a frozen VGG19 with VGG's own head, 82.72% on its validation.

    Source: the project's documentation: features frozen, 4096 and 4096 with dropout .5, Adam 1e-4
    on the head, 10 epochs; its batch size is not told. Needs the ImageNet weights of VGG19. The
    features are cached, which changes nothing but the time.
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
    """System 4's task on a frozen MobileNetV2, from the linear discriminant: minutes on a CPU.

    Head and rate were chosen on a fifth of the training part of one split: there one dense layer
    from random numbers had 53 to 64%, system 1's head without its dropouts 68 to 69%, and one
    dense layer from the discriminant 72.5% and the largest area under the ROC curves. By five
    folds of that part the discriminant has 74.7% on the middle 0.8 of the crops, 72.0% on all of
    them.
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
    """System 4's task with all of MobileNetV2 trained, at 112 px: half a minute an epoch on a CPU.

    Chosen on a fifth of the training part of one split, where it had 87.5% and frozen features at
    224 px 70%.
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
        augment=("flip", "rotation:10", "color_jitter:0.2"),
    )


def cs405() -> Recipe:
    """System 1 (CS405): ResNet-50 on 7,000 people, its head first and then all of it.

    Source: the project's code: 1024 and 512 with BatchNorm and dropout, Adam 1e-4, batch 64, 10
    epochs, 224 px, flip, rotation by 10 degrees, jitter .2. The two phases are this project's,
    the second at a tenth of the rate.
    EfficientNet-B0, its second backbone, is ``model="efficientnet_b0"``. Needs ImageNet weights.
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
        augment=("flip", "rotation:10", "color_jitter:0.2"),
    )


def identity_small() -> Recipe:
    """A few thousand images of some hundred people, from scratch.

    Chosen with `benchmarks/identity_trials.py`, whose runs the README lists: of a part of the
    2,633 training images that was held out, and on smaller pictures. Plain 3x3 convolutions, the
    normalised head (NormFace, Wang et al. 2017, arXiv:1704.06369) and Muon learn in far fewer
    steps than recipe hw2p2; what is mixed or cut too much does not. The first stage keeps half
    of the pictures' resolution, as face networks do (ArcFace's keep all of it).
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
        augment=("flip", "rotation:10", "color_jitter:0.2"),
        cutmix=1.0,
        unmixed_epochs=10,
        ema=0.99,
        keep="last",
    )


def smiling() -> Recipe:
    """System 3 (CelebA Facial Recognition Project): smiling or not.

    Source: the project's notebook: squares of 178 of CelebA's 178 x 218 pixels, from anywhere in
    training, shrunk to 64, flip, Adam 1e-3, batch 32, 30 epochs, the first 16,000 training images
    (``--first 16000``). Its 90.50% "validation" is on training images; its test has 88.76%.
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
    """System 5 (Detect Facial Features): fifteen attributes of CelebA, 93.16% on its validation.

    Source: the project's notebook: squashed to 80 x 80, flip, binary cross-entropy, Adam 1e-3,
    batch 16, 10 epochs. Its random split has people on both sides, and its images are flipped
    once for all, those of the validation too.
    """
    return Recipe(
        model="resnet15",
        attributes=FIFTEEN_ATTRIBUTES,
        image_size=80,
        epochs=10,
        batch_size=16,
        optimizer="adam",
        schedule="constant",
        learning_rate=1e-3,
        weight_decay=0.0,
        augment=("flip",),
        keep="last",
    )


def attributes40() -> Recipe:
    """System 5's network and recipe on all forty attributes of CelebA."""
    return attributes15().replace(attributes=FORTY_ATTRIBUTES)


def attributes40_small() -> Recipe:
    """All forty attributes, by a small residual network at the pictures' full resolution.

    Plain 3x3 convolutions, Muon, and the moving average of the weights. Chosen on the validation
    part of CelebA's photographs at half their size, 5,742 to learn: there the mean accuracy was
    89.6% in 12 epochs (89.5% on squares of the whole width, 89.2% on whole pictures).
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
    """The network of `attributes40_small` for system 5's fifteen."""
    return attributes40_small().replace(attributes=FIFTEEN_ATTRIBUTES)


def smiling_small() -> Recipe:
    """Smiling or not: `attributes40_small` as it is, since the others say much of a mouth.

    On the validation part smiles had an area under the ROC curve of .974 in 12 epochs; on squares
    of the whole width .971, and these learnt alone .969. Ten take less than 13 minutes on two CPU
    cores.
    """
    return attributes40_small()


def embedding_arcface() -> Recipe:
    """Embeddings of faces for verification, from ImageNet weights, with ArcFace's margin.

    Sources: ArcFace (Deng et al. 2019, arXiv:1801.07698) and, for the rising margin and the
    smaller scale that few people need, this project's own choice. 112 px as there. The backbone
    is MobileNetV2, whose ImageNet weights it needs; ``weights=none`` starts from scratch.
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
        augment=("flip", "rotation:10", "color_jitter:0.2"),
        keep="last",
    )


def embedding_softmax() -> Recipe:
    """As `embedding_arcface`, without a margin: a softmax over scaled cosines.

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
    "embedding_arcface": embedding_arcface,
    "embedding_softmax": embedding_softmax,
    "hw2p2": hw2p2,
    "identity_small": identity_small,
    "smiling": smiling,
    "smiling_small": smiling_small,
}


def named_recipe(name: str) -> Recipe:
    """A recipe by name.

    Args:
        name: One of ``RECIPES``.

    Raises:
        ValueError: If there is none of that name.

    Example:
        >>> named_recipe("hw2p2").epochs
        60
    """
    if name not in RECIPES:
        raise ValueError(
            f"The recipes are {sorted(RECIPES)}. Received: {name!r}.{suggest(name, RECIPES)}"
        )
    return RECIPES[name]()
