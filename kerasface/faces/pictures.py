"""Pictures of detected faces, and sheets of many images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from kerasface.data.image_list import AnyImages, image_list
from kerasface.faces.face import Face
from kerasface.images import AnyImage, as_image

BOX_COLOR = (255, 220, 0)
EDGE_COLOR = (0, 0, 0)
# Cold colors on the image's left, warm colors on its right: swapped landmarks are visible.
POINT_COLORS = ((0, 160, 255), (255, 60, 60), (255, 255, 255), (0, 220, 160), (255, 150, 0))
PAPER = (255, 255, 255)
SAME_COLOR = (0, 140, 60)
DIFFERENT_COLOR = (210, 30, 30)
COMPARISON_HEIGHT, SMALLEST_COMPARISON = 480, 360  # pixels
INK = (30, 30, 30)
GAP = 4


def draw_faces(
    image: AnyImage, faces: Sequence[Face], *, labels: Sequence[str] | None = None
) -> np.ndarray:
    """Draws boxes, scores and landmarks into an image.

    Args:
        image: An image in a form of `kerasface.images.as_image`.
        faces: Faces in the image; see `detect`.
        labels: Text of each box. None writes the scores.

    Returns:
        uint8 ``[H, W, 3]``, a copy. The image-left eye and mouth corner are blue and green, the
        image-right ones red and orange, the nose is white.

    Example:
        >>> face = Face((10, 10, 30, 40), 0.9)
        >>> draw_faces(np.zeros((64, 64, 3), np.uint8), [face])[10, 20].tolist()
        [255, 220, 0]
    """
    picture = Image.fromarray(as_image(image))
    pen = ImageDraw.Draw(picture)
    unit = max(1, round(max(picture.size) / 500))  # lines are visible in large photographs too
    texts = [f"{face.score:.3f}" for face in faces] if labels is None else labels
    for face, text in zip(faces, texts, strict=True):
        left, top, width, height = face.box
        corners = (round(left), round(top), round(left + width), round(top + height))
        pen.rectangle(corners, outline=EDGE_COLOR, width=3 * unit)
        pen.rectangle(corners, outline=BOX_COLOR, width=2 * unit)
        if face.landmarks is not None:
            radius = max(unit, round(0.03 * max(width, height)))
            for (x, y), color in zip(face.landmarks.tolist(), POINT_COLORS, strict=True):
                dot = (x - radius, y - radius, x + radius, y + radius)
                # In a small face, an edge would hide the color.
                pen.ellipse(dot, fill=color, outline=EDGE_COLOR if radius > 2 else color)
        size = max(10, 12 * unit)
        start = (max(0, corners[0]), max(0, corners[1] - size - 2))
        pen.rectangle(pen.textbbox(start, text, font_size=size), fill=BOX_COLOR)
        pen.text(start, text, fill=EDGE_COLOR, font_size=size)
    return np.array(picture)


def draw_comparison(
    images: Sequence[np.ndarray],
    faces: Sequence[Sequence[Face]],
    compared: Sequence[Face | None],
    text: str,
    *,
    same: bool,
) -> np.ndarray:
    """Draws two photographs side by side, with their faces and the result of a comparison.

    Args:
        images: Two images, uint8 RGB ``[H, W, 3]``.
        faces: The faces of each image.
        compared: The face of each image that was compared, drawn in the color of the result; None
            for an image that was compared as a whole.
        text: The result, a line or several, below the photographs.
        same: Whether the color is that of one person (green) or of different people (red).

    Returns:
        uint8 ``[height, width, 3]``.

    Example:
        >>> photographs = [np.zeros((60, 40, 3), np.uint8)] * 2
        >>> draw_comparison(photographs, [[], []], [None, None], "one person", same=True).shape[2]
        3
    """
    color = SAME_COLOR if same else DIFFERENT_COLOR
    height = min(COMPARISON_HEIGHT, max(image.shape[0] for image in images))
    height = max(height, SMALLEST_COMPARISON)
    pictures = []
    for image, found, chosen in zip(images, faces, compared, strict=True):
        scale = min(height / image.shape[0], 2 * height / image.shape[1])
        sides = tuple(max(1, round(side * scale)) for side in image.shape[1::-1])
        picture = Image.fromarray(image).resize(sides, Image.Resampling.BICUBIC)
        pen = ImageDraw.Draw(picture)
        unit = max(1, round(height / 200))
        for face in found:
            left, top, width, tall = (scale * value for value in face.box)
            corners = (round(left), round(top), round(left + width), round(top + tall))
            pen.rectangle(corners, outline=EDGE_COLOR, width=3 * unit)
            pen.rectangle(corners, outline=color if face is chosen else BOX_COLOR, width=2 * unit)
        if chosen is None:
            pen.rectangle((0, 0, sides[0] - 1, sides[1] - 1), outline=color, width=2 * unit)
        pictures.append(picture)
    letters = max(12, height // 18)
    width = max(sum(picture.width for picture in pictures) + 3 * GAP, SMALLEST_COMPARISON)
    lines = _wrapped(text, width - 4 * GAP, letters)
    room = round(1.4 * letters)
    sheet = Image.new("RGB", (width, height + 4 * GAP + room * len(lines)), PAPER)
    left = (width - sum(picture.width for picture in pictures) - GAP) // 2
    for picture in pictures:
        sheet.paste(picture, (left, GAP + (height - picture.height) // 2))
        left += picture.width + GAP
    pen = ImageDraw.Draw(sheet)
    top = height + 2 * GAP
    for place, line in enumerate(lines):
        ink = color if place == 0 else INK
        pen.text((2 * GAP, top + place * room), line, fill=ink, font_size=letters)
    return np.array(sheet)


def _wrapped(text: str, width: int, letters: int) -> list[str]:
    """Breaks lines between words so that they fit into a width in pixels."""
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    lines: list[str] = []
    for line in text.splitlines():
        lines.append("")
        for word in line.split():
            longer = f"{lines[-1]} {word}".strip()
            if lines[-1] and pen.textlength(longer, font_size=letters) > width:
                lines.append(word)
            else:
                lines[-1] = longer
    return lines


def contact_sheet(
    images: AnyImages,
    captions: Sequence[str] | None = None,
    *,
    columns: int = 12,
    size: int = 96,
) -> np.ndarray:
    """Arranges many images in rows on one sheet.

    Args:
        images: One or more images, each of its own size, as for `detect`.
        captions: One line for each image, cut if it is too long; None for no captions.
        columns: Number of images in a row.
        size: Side in pixels of the square that each image is fitted into.

    Returns:
        uint8 ``[height, width, 3]``.

    Raises:
        ValueError: If there is no image, the number of captions differs, or a number is under 1.

    Example:
        >>> contact_sheet([np.zeros((8, 8, 3), np.uint8)] * 3, columns=2, size=16).shape
        (44, 44, 3)
    """
    listed = image_list(images)
    if captions is not None and len(captions) != len(listed):
        raise ValueError(
            "Every image must have one caption. "
            f"Received: {len(listed)} images and {len(captions)} captions."
        )
    if columns < 1 or size < 1:
        raise ValueError(
            f"`columns` and `size` must be 1 or more. Received: columns={columns}, size={size}."
        )
    columns = min(columns, len(listed))
    letters = max(8, size // 9)
    height = size + (letters + 4 if captions is not None else 0)
    rows = -(-len(listed) // columns)
    sheet = Image.new("RGB", (columns * (size + GAP) + GAP, rows * (height + GAP) + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for position, image in enumerate(listed):
        row, column = divmod(position, columns)
        left, top = GAP + column * (size + GAP), GAP + row * (height + GAP)
        scale = size / max(image.shape[:2])
        sides = [max(1, round(side * scale)) for side in image.shape[1::-1]]
        picture = Image.fromarray(image).resize(sides, Image.Resampling.BICUBIC)
        sheet.paste(picture, (left + (size - sides[0]) // 2, top + (size - sides[1]) // 2))
        if captions is not None:
            text = captions[position]
            while text and pen.textlength(text, font_size=letters) > size:
                text = text[:-1]
            pen.text((left, top + size + 1), text, fill=INK, font_size=letters)
    return np.array(sheet)
