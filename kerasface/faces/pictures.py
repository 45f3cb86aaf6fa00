"""Pictures for looking at what was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from kerasface.faces.face import Face

BOX_COLOUR = (255, 220, 0)
EDGE_COLOUR = (0, 0, 0)
# Cool on the image's left, warm on its right, so that swapped landmarks are seen.
POINT_COLOURS = ((0, 160, 255), (255, 60, 60), (255, 255, 255), (0, 220, 160), (255, 150, 0))
PAPER = (255, 255, 255)
INK = (30, 30, 30)
GAP = 4


def draw_faces(image: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
    """Draws boxes, scores and landmarks into an image.

    Args:
        image: uint8 RGB ``[H, W, 3]``.
        faces: What was found in it; see `detect`.

    Returns:
        uint8 ``[H, W, 3]``, a copy. The image-left eye and mouth corner are blue and green, the
        image-right ones red and orange, the nose is white.

    Example:
        >>> face = Face((10, 10, 30, 40), 0.9)
        >>> draw_faces(np.zeros((64, 64, 3), np.uint8), [face])[10, 20].tolist()
        [255, 220, 0]
    """
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    unit = max(1, round(max(picture.size) / 500))  # lines that are seen in large photographs too
    for face in faces:
        left, top, width, height = face.box
        corners = (round(left), round(top), round(left + width), round(top + height))
        pen.rectangle(corners, outline=EDGE_COLOUR, width=3 * unit)
        pen.rectangle(corners, outline=BOX_COLOUR, width=2 * unit)
        if face.landmarks is not None:
            radius = max(unit, round(0.03 * max(width, height)))
            for (x, y), colour in zip(face.landmarks.tolist(), POINT_COLOURS, strict=True):
                dot = (x - radius, y - radius, x + radius, y + radius)
                # In a small face an edge would leave nothing of the colour.
                pen.ellipse(dot, fill=colour, outline=EDGE_COLOUR if radius > 2 else colour)
        text = f"{face.score:.3f}"
        size = max(10, 12 * unit)
        start = (max(0, corners[0]), max(0, corners[1] - size - 2))
        pen.rectangle(pen.textbbox(start, text, font_size=size), fill=BOX_COLOUR)
        pen.text(start, text, fill=EDGE_COLOUR, font_size=size)
    return np.array(picture)


def contact_sheet(
    images: Sequence[np.ndarray],
    captions: Sequence[str] | None = None,
    *,
    columns: int = 12,
    size: int = 96,
) -> np.ndarray:
    """Many images on one sheet, in rows.

    Args:
        images: uint8 RGB arrays ``[H, W, 3]``, each of its own size, one or more.
        captions: One line an image, cut where it is too long; None for none.
        columns: Images a row.
        size: Side in pixels of the square that each is fitted into.

    Returns:
        uint8 ``[height, width, 3]``.

    Raises:
        ValueError: If there is no image, not one caption an image, or a number is under 1.

    Example:
        >>> contact_sheet([np.zeros((8, 8, 3), np.uint8)] * 3, columns=2, size=16).shape
        (44, 44, 3)
    """
    if not len(images):
        raise ValueError("A contact sheet needs at least one image. Received: none.")
    if captions is not None and len(captions) != len(images):
        raise ValueError(
            "Every image must have a caption. "
            f"Received: {len(images)} images and {len(captions)} captions."
        )
    if columns < 1 or size < 1:
        raise ValueError(
            f"`columns` and `size` must be 1 or more. Received: columns={columns}, size={size}."
        )
    columns = min(columns, len(images))
    letters = max(8, size // 9)
    height = size + (letters + 4 if captions is not None else 0)
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * (size + GAP) + GAP, rows * (height + GAP) + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    for position, image in enumerate(images):
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
