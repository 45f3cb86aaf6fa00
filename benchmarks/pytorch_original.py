"""PyTorch versions of FaceClassifier and of the input pipeline of CelebA smiling.

Written from their published descriptions, for comparison with benchmarks/throughput.py and for the
tests of the port. Needs torch and torchvision, which kerasface itself does not.

    python benchmarks/pytorch_original.py step --image-size 112 --batch-size 32 --steps 8
    python benchmarks/pytorch_original.py stream --data FOLDER --image-size 112 --batch-size 64
    python benchmarks/pytorch_original.py celeba --data FOLDER_OF_IMAGES --image-size 64
    python benchmarks/pytorch_original.py train --data FOLDER --seed 1
    python benchmarks/pytorch_original.py reference > tests/models/pytorch_original.json

Each mode prints one JSON line; ``train`` prints one per epoch, trains on ``FOLDER/train`` and
evaluates on ``FOLDER/dev``. ``reference`` prints the reference values of the tests of the port.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

CHANNELS = (80, 160, 320, 640)
BLOCKS = (2, 2, 6, 2)
CLASSES = 7001
PARAMETERS = 19_575_801  # of FaceClassifier with 7,001 classes
MEAN, STD = (0.5103, 0.4014, 0.3509), (0.2708, 0.2363, 0.2226)
WARM_UP_STEPS = 2
WARM_UP_BATCHES = 4
WARM_UP_EPOCHS = 10
LEARNING_RATES = (3e-4, 1e-3, 1e-5)  # in the first epoch, after the warmup, at the end
# The network whose outputs the tests compare with.
REFERENCE = {"classes": 5, "channels": (4, 6, 8, 10), "blocks": (1, 2, 1, 1), "side": 64}
Line = dict[str, Any]


class Block(nn.Module):
    """Depthwise 7x7 convolution, then a pointwise inverted bottleneck, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            nn.BatchNorm2d(channels),
            nn.Conv2d(channels, 4 * channels, 1),
            nn.GELU(),
            nn.Conv2d(4 * channels, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


def downsample(channels: int, out_channels: int) -> nn.Sequential:
    """An inverted bottleneck of stride 2, without a residual."""
    wide = 6 * channels
    return nn.Sequential(
        nn.Conv2d(channels, wide, 1),
        nn.ReLU6(),
        nn.BatchNorm2d(wide),
        nn.Conv2d(wide, wide, 3, stride=2, padding=1, groups=wide),
        nn.ReLU6(),
        nn.BatchNorm2d(wide),
        nn.Conv2d(wide, out_channels, 1),
        nn.BatchNorm2d(out_channels),
    )


def face_classifier(
    classes: int = CLASSES,
    channels: tuple[int, ...] = CHANNELS,
    blocks: tuple[int, ...] = BLOCKS,
) -> nn.Sequential:
    """Returns the network, from normalized images ``[batch, 3, height, width]`` to logits."""
    layers: list[nn.Module] = [
        nn.Conv2d(3, channels[0], 7, stride=2, padding=3),
        nn.ReLU6(),
        nn.BatchNorm2d(channels[0]),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    transitions = [downsample(a, b) for a, b in pairwise(channels)]
    for stage, (width, depth) in enumerate(zip(channels, blocks, strict=True)):
        layers += [Block(width) for _ in range(depth)]
        layers.append(nn.BatchNorm2d(width))
        layers += transitions[stage : stage + 1]  # none after the last stage
    last = channels[-1]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(last, last), nn.ReLU()]
    return nn.Sequential(*layers, *head, nn.Linear(last, classes))


def mixup(images: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Blends every image and its one-hot label with the next one of the batch."""
    share = torch.rand(()).item()
    targets = nn.functional.one_hot(labels, classes).float()
    mixed_targets = torch.lerp(targets.roll(1, 0), targets, share)
    return torch.lerp(images.roll(1, 0), images, share), mixed_targets


def train_step(model: nn.Module, images: Tensor, targets: Tensor) -> Callable[[], None]:
    """Returns a function that runs one training step: forward, loss, backward, AdamW."""
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)

    def step() -> None:
        optimizer.zero_grad()
        loss(model(images), targets).backward()
        optimizer.step()

    return step


def inference_step(model: nn.Module, images: Tensor) -> Callable[[], None]:
    """Returns a function that computes the logits of one batch in inference mode."""
    model.eval()

    @torch.inference_mode()
    def step() -> None:
        model(images)

    return step


def time_steps(args: argparse.Namespace) -> Iterator[Line]:
    """Times float32 channels_last steps on one batch of random images."""
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    model = face_classifier(args.classes).to(memory_format=torch.channels_last)
    parameters = sum(p.numel() for p in model.parameters() if p.requires_grad)
    if args.classes == CLASSES and parameters != PARAMETERS:
        raise SystemExit(f"{parameters} trainable parameters instead of {PARAMETERS}")

    images = torch.randn(args.batch_size, 3, args.image_size, args.image_size)
    labels = torch.randint(args.classes, (args.batch_size,))
    images, targets = mixup(images, labels, args.classes)
    images = images.to(memory_format=torch.channels_last)
    step = inference_step(model, images) if args.inference else train_step(model, images, targets)

    seconds = []
    for _ in range(WARM_UP_STEPS + args.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    rate = args.batch_size / statistics.median(seconds[WARM_UP_STEPS:])
    what = "inference" if args.inference else "step"
    yield {"what": what, "images_per_second": round(rate, 2), "parameters": parameters}


def reference(args: argparse.Namespace) -> Iterator[Line]:
    """Yields outputs and gradients of a narrow network with known weights and images.

    For each parameter, in order, the sum of the gradient multiplied by random numbers of the same
    shape: one number that changes with any element of the gradient.
    """
    model = face_classifier(REFERENCE["classes"], REFERENCE["channels"], REFERENCE["blocks"])
    generator = np.random.default_rng(0)
    with torch.no_grad():
        for parameter in model.parameters():
            fan_in = math.prod(parameter.shape[1:]) if parameter.ndim > 1 else 100
            values = generator.normal(size=parameter.shape) / math.sqrt(fan_in)
            # The scales of norms start as ones.
            parameter += torch.tensor(values) - parameter * (parameter != 1)
    images = generator.uniform(0, 1, (4, 3, REFERENCE["side"], REFERENCE["side"]))
    images = (images - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))
    images = torch.tensor(images, dtype=torch.float32)
    result: dict = {**REFERENCE, "evaluated": model.eval()(images).tolist()}
    logits = model.train()(images)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)(logits, torch.arange(4))
    loss.backward()
    result |= {"trained": logits.tolist(), "loss": loss.item()}
    result["gradients"] = [
        float((parameter.grad * torch.tensor(generator.normal(size=parameter.shape))).sum())
        for parameter in model.parameters()
    ]
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    result["moving_means"] = [float(norm.running_mean.sum()) for norm in norms]
    yield result


def hw2p2_transforms(image_size: int) -> list:
    """Returns the transforms of recipe hw2p2, up to the normalized tensor."""
    from torchvision import transforms

    return [
        transforms.Resize((image_size, image_size)),
        transforms.RandomRotation(30),
        transforms.RandomHorizontalFlip(),
        transforms.ColorJitter(0.2, 0.2, 0.2, 0.2),
        transforms.ToTensor(),
        transforms.Normalize(MEAN, STD),
    ]


def train_and_evaluate(args: argparse.Namespace) -> Iterator[Line]:
    """Trains from scratch with bfloat16 autocast; the schedule is updated once per epoch.

    The images are resized once, before the augmentation. The last partial batch of an epoch is
    dropped.
    """
    from torchvision import datasets, transforms

    torch.manual_seed(args.seed)
    torch.set_num_threads(args.threads)
    resize, *augment, to_tensor, normalize = hw2p2_transforms(args.image_size)
    train_folder, dev_folder = (
        datasets.ImageFolder(str(args.data / name)) for name in ("train", "dev")
    )
    if train_folder.classes != dev_folder.classes:
        raise SystemExit(f"{args.data}: train and dev must have the same folders")
    training, validation = (
        [(resize(image), label) for image, label in folder] for folder in (train_folder, dev_folder)
    )
    plain = transforms.Compose([to_tensor, normalize])
    augmented = transforms.Compose([*augment, plain])

    classes = len(train_folder.classes)
    model = face_classifier(classes).to(memory_format=torch.channels_last)
    loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    first, peak, last = LEARNING_RATES
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=0.05)
    warm_up = torch.optim.lr_scheduler.LinearLR(optimizer, first / peak, 1.0, WARM_UP_EPOCHS)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, args.epochs - WARM_UP_EPOCHS, last
    )
    schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warm_up, cosine], [WARM_UP_EPOCHS])
    for epoch in range(1, args.epochs + 1):
        start = time.perf_counter()
        model.train()
        order = torch.randperm(len(training)).split(args.batch_size)
        for rows in (rows for rows in order if len(rows) == args.batch_size):
            batch = [training[row] for row in rows]
            images = torch.stack([augmented(image) for image, _ in batch])
            labels = torch.tensor([label for _, label in batch])
            images, targets = mixup(images, labels, classes)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss_value = loss(model(images.to(memory_format=torch.channels_last)), targets)
            loss_value.backward()
            optimizer.step()
        schedule.step()
        seconds = time.perf_counter() - start
        accuracy = evaluate(model, validation, plain, args.batch_size)
        yield {"epoch": epoch, "accuracy": round(accuracy, 4), "seconds": round(seconds, 1)}


@torch.inference_mode()
def evaluate(model: nn.Module, examples: list, transform: Callable, batch_size: int) -> float:
    """Returns the accuracy on ``(image, label)`` pairs."""
    model.eval()
    correct = 0
    for start in range(0, len(examples), batch_size):
        batch = examples[start : start + batch_size]
        images = torch.stack([transform(image) for image, _ in batch])
        labels = torch.tensor([label for _, label in batch])
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(images.to(memory_format=torch.channels_last))
        correct += int((logits.argmax(-1) == labels).sum())
    return correct / len(examples)


def celeba_transforms(data: Path, image_size: int) -> list:
    """Returns the transforms of CelebA smiling: random square of full width, flip, resize."""
    from PIL import Image
    from torchvision import transforms

    with Image.open(next(path for path in sorted(data.rglob("*.jpg")))) as image:
        side = min(image.size)
    return [
        transforms.RandomCrop((side, side)),
        transforms.RandomHorizontalFlip(),
        transforms.Resize((image_size, image_size)),
        transforms.ToTensor(),
    ]


def batches(data: Path, recipe: list, batch_size: int, workers: int) -> Iterator[Tensor]:
    """Yields augmented image batches of a folder with one subfolder per class, forever."""
    from torchvision import datasets, transforms

    loader = DataLoader(
        datasets.ImageFolder(str(data), transforms.Compose(recipe)),
        batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    while True:
        for images, _ in loader:
            yield images


def time_stream(args: argparse.Namespace) -> Iterator[Line]:
    """Times only the input pipeline, from image files to normalized batches."""
    torch.manual_seed(0)
    if args.celeba:
        recipe = celeba_transforms(args.data, args.image_size)
    else:
        recipe = hw2p2_transforms(args.image_size)
    stream = batches(args.data, recipe, args.batch_size, args.workers)
    warm_up = sum(len(next(stream)) for _ in range(WARM_UP_BATCHES))
    if warm_up >= args.images:
        raise SystemExit(f"--images must be greater than the {warm_up} images of the warm-up")
    count = 0
    start = time.perf_counter()
    while warm_up + count < args.images:
        count += len(next(stream))
    rate = count / (time.perf_counter() - start)
    yield {
        "what": "celeba" if args.celeba else "stream",
        "images_per_second": round(rate, 2),
        "images": count,
    }


def main() -> None:
    """Parses the command line, runs one mode and prints its JSON line."""
    parser = argparse.ArgumentParser(description="Times the PyTorch originals.")
    modes = parser.add_subparsers(required=True)

    step = modes.add_parser("step", help="training or inference steps on random images")
    step.add_argument("--image-size", type=int, default=112, help="side in pixels")
    step.add_argument("--batch-size", type=int, default=32)
    step.add_argument("--steps", type=int, default=8, help="timed steps, after the warm-up")
    step.add_argument("--classes", type=int, default=CLASSES)
    step.add_argument("--threads", type=int, default=2)
    step.add_argument("--inference", action="store_true", help="time the forward pass only")
    step.set_defaults(run=time_steps)

    train = modes.add_parser("train", help="train recipe hw2p2 on a folder with train and dev")
    train.add_argument("--data", type=Path, required=True)
    train.add_argument("--image-size", type=int, default=112, help="side in pixels")
    train.add_argument("--batch-size", type=int, default=64)
    train.add_argument("--epochs", type=int, default=30)
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--threads", type=int, default=2)
    train.set_defaults(run=train_and_evaluate)

    check = modes.add_parser("reference", help="print the reference values of the port's tests")
    check.set_defaults(run=reference)

    for name, size, batch in (("stream", 112, 64), ("celeba", 64, 32)):
        stream = modes.add_parser(name, help="read and augment the images of a folder")
        stream.add_argument("--data", type=Path, required=True, help="folder of subfolders")
        stream.add_argument("--image-size", type=int, default=size, help="side in pixels")
        stream.add_argument("--batch-size", type=int, default=batch)
        stream.add_argument("--images", type=int, default=2000, help="images, warm-up included")
        stream.add_argument("--workers", type=int, default=2)
        stream.set_defaults(run=time_stream, celeba=name == "celeba")

    args = parser.parse_args()
    for line in args.run(args):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
