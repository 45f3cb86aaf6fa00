"""For whom each named recipe is: purpose, data and cost. Imports neither Keras nor TensorFlow."""

from __future__ import annotations

import dataclasses

RANDOM, IMAGENET, DLIB = "random", "imagenet", "dlib"
# What the recipes start from, in words.
STARTS = {
    RANDOM: "starts from random weights",
    IMAGENET: "starts from ImageNet weights, which Keras downloads once",
    DLIB: "starts from dlib's face network, which kerasface[pretrained] installs",
}


@dataclasses.dataclass(frozen=True)
class RecipeFacts:
    """What to know before choosing a recipe.

    Attributes:
        purpose: What the recipe trains, and when to choose it.
        data: The data that it is meant for.
        cost: How long it takes, as measured (see docs/results), or what decides it.
        labels: ``"classes"``, ``"attributes"`` or ``"embedding"``.
        weights: Where it starts, one of ``STARTS``.
    """

    purpose: str
    data: str
    cost: str
    labels: str = "classes"
    weights: str = RANDOM


PEOPLE = "one subfolder of face crops per person"
DLIB_CROPS = f"{PEOPLE}, cut with `kerasface crop --align --template dlib`"
CELEBA = "CelebA, with its 40 attributes"
CELEBA_FIFTEEN = "CelebA, of which 15 attributes are learned"
NOT_MEASURED = "not measured; meant for a GPU"
FACTS: dict[str, RecipeFacts] = {
    "attributes15": RecipeFacts(
        "15 attributes: the published project, unchanged",
        CELEBA_FIFTEEN,
        "31.8M parameters; use attributes15_small on a CPU",
        labels="attributes",
    ),
    "attributes15_small": RecipeFacts(
        "15 attributes with a small network: more accurate and faster than attributes15",
        CELEBA_FIFTEEN,
        "as attributes40_small",
        labels="attributes",
    ),
    "attributes40": RecipeFacts(
        "All 40 attributes with the network of 15 attributes",
        CELEBA,
        "5.6 images/s on one CPU core",
        labels="attributes",
    ),
    "attributes40_small": RecipeFacts(
        "All 40 attributes with a small network: the first choice for attributes",
        CELEBA,
        "98 images/s on one CPU core; 11 minutes for 5,742 images on two",
        labels="attributes",
    ),
    "celebrities": RecipeFacts(
        "VGG19 celebrities: the published project, unchanged, on a frozen VGG19",
        f"{PEOPLE}, a few dozen people",
        "the backbone runs once over all images, then only the head is trained",
        weights=IMAGENET,
    ),
    "celebrities_mobile": RecipeFacts(
        "A few people with few photographs each, in the shortest time, on a frozen MobileNetV2",
        f"{PEOPLE}, dozens of photographs each",
        "minutes for 1,381 images and 10 epochs on two CPU cores",
        weights=IMAGENET,
    ),
    "celebrities_tuned": RecipeFacts(
        "A few people with few photographs each, most accurate: trains all of MobileNetV2",
        f"{PEOPLE}, dozens of photographs each",
        "30 s per epoch of 1,381 images on two CPU cores; 12 epochs",
        weights=IMAGENET,
    ),
    "cs405": RecipeFacts(
        "CS405 competition: the published ResNet-50, first its head, then all of it",
        f"{PEOPLE}, thousands of people",
        NOT_MEASURED,
        weights=IMAGENET,
    ),
    "demo": RecipeFacts(
        "A first try: 50 drawn people at 64 pixels",
        f"{PEOPLE}; `kerasface demo` draws them",
        "two minutes on two CPU cores",
    ),
    "dlib_embedding": RecipeFacts(
        "Embeddings for verification and identification, trained on from dlib's face network",
        f"{DLIB_CROPS}; with 120 people it is not better than the network as it is",
        "50 images/s on two CPU cores, 4 epochs",
        labels="embedding",
        weights=DLIB,
    ),
    "dlib_frozen": RecipeFacts(
        "People with a few photographs each, on dlib's pretrained face network: the first choice",
        DLIB_CROPS,
        "less than a minute for 1,725 or 3,221 images on two CPU cores",
        weights=DLIB,
    ),
    "dlib_tuned": RecipeFacts(
        "Trains dlib's pretrained face network on, from the discriminant of dlib_frozen",
        f"{DLIB_CROPS}; with 2,238 images of 150 people it is not better than dlib_frozen",
        "50 images/s on two CPU cores, 5 epochs",
        weights=DLIB,
    ),
    "embedding_arcface": RecipeFacts(
        "Embeddings for verification and identification, with ArcFace's margin",
        f"{PEOPLE}, as many people as possible",
        "MobileNetV2 at 112 pixels, 10 epochs",
        labels="embedding",
        weights=IMAGENET,
    ),
    "embedding_softmax": RecipeFacts(
        "Embeddings without a margin, to compare with embedding_arcface",
        f"{PEOPLE}, as many people as possible",
        "as embedding_arcface",
        labels="embedding",
        weights=IMAGENET,
    ),
    "hw2p2": RecipeFacts(
        "FaceClassifier: the published recipe for thousands of people",
        f"{PEOPLE}, about 140,000 images of 7,001 people",
        "15 images/s at 112 pixels on two CPU cores; meant for a GPU",
    ),
    "identity_small": RecipeFacts(
        "A few hundred people from scratch: the first choice without pretrained weights",
        f"{PEOPLE}, a few thousand images",
        "17 images/s on one CPU core; 30 epochs",
    ),
    "smiling": RecipeFacts(
        "CelebA smiling: the published project, unchanged",
        "CelebA, of which the attribute Smiling is learned",
        "30 epochs of a small network at 64 pixels",
        labels="attributes",
    ),
    "smiling_small": RecipeFacts(
        "Smiling, learned together with the other 39 attributes: more accurate than smiling",
        CELEBA,
        "11 minutes for 5,742 images on two CPU cores",
        labels="attributes",
    ),
}
