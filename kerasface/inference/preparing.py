"""From photographs to faces: reads, detects and cuts out, a few photographs or a pipeline."""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import os
import threading
from collections.abc import Iterator, Sequence

import numpy as np

from kerasface.data.image_list import ImageList
from kerasface.faces.detectors.registry import detect
from kerasface.faces.face import Face
from kerasface.faces.preparation import Preparation, choose_faces
from kerasface.inference.framing import face_share
from kerasface.progress import ProgressBar

# Photographs that one thread reads and keeps in memory at a time.
GROUP = 8
MOST_BYTES = 2**26  # of pixels in a group; large photographs are fewer at a time
# Groups that are read ahead for each thread.
GROUPS_AHEAD = 4
MOST_WORKERS = 8  # each of them holds photographs in the memory
BATCH_SIZE = 64


@dataclasses.dataclass(frozen=True, eq=False)
class Prepared:
    """The faces of consecutive photographs, ready for a model.

    Attributes:
        photographs: Number of photographs.
        rows: int64 ``[N]``, position of each face's photograph in the list.
        numbers: int64 ``[N]``, number of each face in its photograph, from 1, the best score first.
        counts: int64 ``[N]``, number of faces that were found in that photograph.
        faces: The N faces.
        crops: uint8 ``[N, size, size, 3]``, the faces cut out.
        shares: For each photograph with a face, the share of its side that the largest one takes
            up.
    """

    photographs: int
    rows: np.ndarray
    numbers: np.ndarray
    counts: np.ndarray
    faces: tuple[Face, ...]
    crops: np.ndarray
    shares: tuple[float, ...]


def prepare(
    images: ImageList,
    preparation: Preparation,
    *,
    batch_size: int = BATCH_SIZE,
    verbose: int = 0,
) -> Iterator[Prepared]:
    """Reads photographs, finds the faces and cuts them out.

    Up to ``batch_size`` photographs are one batch. More of them go through a pipeline of threads,
    which works while the caller uses the batch before. Memory holds the pixels of a few
    photographs at a time, and one batch of faces.

    Args:
        images: The photographs.
        preparation: How faces are found and cut out.
        batch_size: Number of photographs of a batch.
        verbose: 1 shows a progress bar.

    Yields:
        The faces of each batch of photographs, in the order of the list. A photograph without a
        face has no row.

    Raises:
        ValueError: If a file is not an image, or the preparation needs landmarks that the detector
            does not give.
        FileNotFoundError: If a file has been removed.
    """
    options = dict(preparation.options)
    lock = threading.Lock()  # a detector need not be safe to use from several threads
    groups = [
        range(start, min(start + GROUP, len(images))) for start in range(0, len(images), GROUP)
    ]

    def group(rows: Sequence[int]) -> Prepared:
        parts, read, pixels = [], [], []
        for row in rows:
            read.append(row)
            pixels.append(images.read(row))
            if row == rows[-1] or sum(image.size for image in pixels) > MOST_BYTES:
                with lock:
                    found = detect(pixels, preparation.detector, **options)
                parts.append(_cut(preparation, read, pixels, found))
                read, pixels = [], []
        return _joined(parts)

    if len(groups) == 1:  # a thread would cost more than it saves
        yield group(groups[0])
        return
    waiting: list[Prepared] = []
    workers = min(os.cpu_count() or 1, MOST_WORKERS, len(groups))
    with (
        ProgressBar(len(images), "Finding faces", verbose=verbose) as bar,
        concurrent.futures.ThreadPoolExecutor(workers) as pool,
    ):
        futures: collections.deque[concurrent.futures.Future[Prepared]] = collections.deque()
        try:
            for rows in groups:
                futures.append(pool.submit(group, rows))
                if len(futures) >= GROUPS_AHEAD * workers:
                    waiting.append(futures.popleft().result())
                    bar.update(waiting[-1].photographs)
                if sum(each.photographs for each in waiting) >= batch_size:
                    yield _joined(waiting)
                    waiting = []
            while futures:
                waiting.append(futures.popleft().result())
                bar.update(waiting[-1].photographs)
                if sum(each.photographs for each in waiting) >= batch_size or not futures:
                    yield _joined(waiting)
                    waiting = []
        finally:
            for future in futures:
                future.cancel()


def _cut(
    preparation: Preparation,
    rows: Sequence[int],
    pixels: Sequence[np.ndarray],
    found: Sequence[Sequence[Face]],
) -> Prepared:
    """Chooses and cuts out the faces of a few photographs."""
    chosen = [
        (place, number, face)
        for place, (image, faces) in enumerate(zip(pixels, found, strict=True))
        for number, face in choose_faces(faces, preparation.faces, image.shape)
    ]
    faces = tuple(face for _, _, face in chosen)
    places = [place for place, _, _ in chosen]
    size = preparation.size
    crops = np.zeros((0, size, size, 3), np.uint8)
    if chosen:
        crops = preparation.cut_all([pixels[place] for place in places], faces)
    return Prepared(
        photographs=len(rows),
        rows=np.array([rows[place] for place in places], np.int64),
        numbers=np.array([number for _, number, _ in chosen], np.int64),
        counts=np.array([len(found[place]) for place in places], np.int64),
        faces=faces,
        crops=crops,
        shares=tuple(
            max(face_share(face.box, image.shape) for face in each)
            for image, each in zip(pixels, found, strict=True)
            if each
        ),
    )


def _joined(parts: Sequence[Prepared]) -> Prepared:
    if len(parts) == 1:
        return parts[0]
    names = ("rows", "numbers", "counts", "crops")
    return Prepared(
        photographs=sum(part.photographs for part in parts),
        faces=tuple(face for part in parts for face in part.faces),
        shares=tuple(share for part in parts for share in part.shares),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in names},
    )
