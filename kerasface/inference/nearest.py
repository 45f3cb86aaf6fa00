"""Exact search for the people of a gallery who are most similar to embeddings."""

from __future__ import annotations

import importlib.util

import numpy as np

from kerasface.checks import check_choice
from kerasface.inference.gallery import Gallery

# With as many images numpy compares one face in some hundredths of a second.
MOST_WITH_NUMPY = 100_000
ENGINES = ("auto", "numpy", "faiss")
CHUNK = 2**24  # similarities at a time


def nearest_people(
    gallery: Gallery, embeddings: np.ndarray, count: int = 5, *, engine: str = "auto"
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the people of a gallery who are most similar to each embedding, exactly.

    The score of a person is the similarity of their most similar image.

    Args:
        gallery: Known people.
        embeddings: float32 ``[N, dimensions]``, rows of length 1.
        count: Number of people per embedding, at most the number of people in the gallery.
        engine: ``"numpy"``, ``"faiss"``, or ``"auto"``: faiss for more than 100,000 images if it
            is installed (``pip install kerasface[faiss]``), else numpy.

    Returns:
        int64 ``[N, count]`` places in ``gallery.names`` and float32 ``[N, count]`` cosine
        similarities, in descending order.

    Raises:
        ValueError: If shapes do not fit or the engine is unknown.
        RuntimeError: If ``engine="faiss"`` and faiss is not installed.

    Example:
        >>> people, scores = nearest_people(gallery, vectors)  # doctest: +SKIP
        >>> gallery.names[people[0, 0]]  # doctest: +SKIP
    """
    check_choice("engine", engine, ENGINES)
    if embeddings.ndim != 2 or embeddings.shape[1] != gallery.embeddings.shape[1]:
        raise ValueError(
            "Embeddings must have as many dimensions as the gallery's. Received: shape="
            f"{embeddings.shape} for a gallery with {gallery.embeddings.shape[1]} dimensions."
        )
    has_faiss = importlib.util.find_spec("faiss") is not None
    if engine == "faiss" and not has_faiss:
        raise RuntimeError(
            "engine='faiss' needs the package faiss. Received: no module 'faiss'. "
            "Install it with `pip install kerasface[faiss]`, or use engine='numpy'."
        )
    count = min(count, len(gallery.names))
    if engine == "faiss" or (engine == "auto" and has_faiss and len(gallery) > MOST_WITH_NUMPY):
        return _nearest_with_faiss(gallery, embeddings, count)
    return _nearest_with_numpy(gallery, embeddings, count)


def _nearest_with_numpy(
    gallery: Gallery, embeddings: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    starts = np.searchsorted(gallery.labels, np.arange(len(gallery.names)))
    rows = max(1, CHUNK // len(gallery))
    people = np.empty((len(embeddings), count), np.int64)
    scores = np.empty((len(embeddings), count), np.float32)
    for start in range(0, len(embeddings), rows):
        part = slice(start, start + rows)
        similarities = embeddings[part] @ gallery.embeddings.T
        best = np.maximum.reduceat(similarities, starts, axis=1)
        chosen = np.argpartition(-best, count - 1, axis=1)[:, :count]
        chosen.sort(axis=1)  # of equals the first comes first
        found = np.take_along_axis(best, chosen, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        people[part] = np.take_along_axis(chosen, order, axis=1)
        scores[part] = np.take_along_axis(found, order, axis=1)
    return people, scores


def _nearest_with_faiss(
    gallery: Gallery, embeddings: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    import faiss  # an optional package

    index = faiss.IndexFlatIP(gallery.embeddings.shape[1])
    index.add(np.ascontiguousarray(gallery.embeddings, np.float32))
    # This number of images shows at least `count` people, who are then the nearest ones.
    images = min(len(gallery), count * int(np.bincount(gallery.labels).max()))
    rows = max(1, CHUNK // images)
    people = np.empty((len(embeddings), count), np.int64)
    scores = np.empty((len(embeddings), count), np.float32)
    for start in range(0, len(embeddings), rows):
        part = np.ascontiguousarray(embeddings[start : start + rows], np.float32)
        found, places = index.search(part, images)
        for row, labels in enumerate(gallery.labels[places]):
            first = np.sort(np.unique(labels, return_index=True)[1])[:count]
            people[start + row], scores[start + row] = labels[first], found[row, first]
    return people, scores
