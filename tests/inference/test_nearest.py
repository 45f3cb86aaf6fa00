"""Search for the nearest people of a gallery."""

import sys
import types

import numpy as np
import pytest

from kerasface.inference import EmbeddingSettings, Gallery, nearest_people
from kerasface.inference.vectors import unit_rows


def drawn_gallery(people=40, seed=0):
    """A gallery of random directions, one to six a person."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), rng.integers(1, 7, people))
    vectors = unit_rows(rng.normal(size=(len(labels), 16)))
    names = tuple(f"n{number:03}" for number in range(people))
    files = tuple(f"{number}.jpg" for number in range(len(labels)))
    return Gallery(vectors, labels, names, files, EmbeddingSettings(None, False, "a model"))


def fake_faiss():
    """The part of faiss that is used, with numpy."""

    class IndexFlatIP:
        def __init__(self, dimensions):
            self.rows = np.empty((0, dimensions), np.float32)

        def add(self, rows):
            self.rows = np.concatenate([self.rows, rows])

        def search(self, queries, count):
            scores = queries @ self.rows.T
            places = np.argsort(-scores, axis=1, kind="stable")[:, :count]
            return np.take_along_axis(scores, places, axis=1), places

    module = types.ModuleType("faiss")
    module.IndexFlatIP = IndexFlatIP
    module.__spec__ = types.SimpleNamespace(name="faiss")
    return module


@pytest.mark.parametrize("engine", ["numpy", "faiss", "real faiss"])
@pytest.mark.parametrize("count", [1, 7, 99])
def test_nearest_people_equal_plain_loops(engine, count, monkeypatch):
    if engine == "real faiss":
        pytest.importorskip("faiss")
        engine = "faiss"
    else:
        monkeypatch.setitem(sys.modules, "faiss", fake_faiss())
    monkeypatch.setattr("kerasface.inference.nearest.CHUNK", 1000)
    known = drawn_gallery()
    queries = unit_rows(np.random.default_rng(1).normal(size=(30, 16)))
    people, scores = nearest_people(known, queries, count, engine=engine)
    for query, found, given in zip(queries, people, scores, strict=True):
        best = {}
        for label, vector in zip(known.labels.tolist(), known.embeddings, strict=True):
            best[label] = max(best.get(label, -2), float(query @ vector))
        expected = sorted(best, key=best.get, reverse=True)[:count]
        assert found.tolist() == expected
        np.testing.assert_allclose(given, [best[label] for label in expected], atol=1e-6)


def test_engine_depends_on_size(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", fake_faiss())
    called = []
    for engine in ("numpy", "faiss"):
        monkeypatch.setattr(
            f"kerasface.inference.nearest._nearest_with_{engine}",
            lambda *_, engine=engine: called.append(engine),
        )
    known = drawn_gallery()
    nearest_people(known, known.embeddings)
    monkeypatch.setattr("kerasface.inference.nearest.MOST_WITH_NUMPY", len(known) - 1)
    nearest_people(known, known.embeddings)
    nearest_people(known, known.embeddings, engine="numpy")
    assert called == ["numpy", "faiss", "numpy"]
    monkeypatch.delitem(sys.modules, "faiss")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    nearest_people(known, known.embeddings)
    assert called[3:] == ["numpy"]
    with pytest.raises(RuntimeError, match=r"pip install kerasface\[faiss\]"):
        nearest_people(known, known.embeddings, engine="faiss")
    with pytest.raises(ValueError, match=r"one of .*engine='annoy'"):
        nearest_people(known, known.embeddings, engine="annoy")
    with pytest.raises(ValueError, match=r"\(2, 9\) for a gallery with 16 dimensions"):
        nearest_people(known, np.ones((2, 9)))
