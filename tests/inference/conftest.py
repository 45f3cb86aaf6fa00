"""What several tests of inference share: the run's embedding model, a gallery and a threshold."""

import pytest

import kerasface
from kerasface.inference import EmbeddingSettings, OperatingPoint, enroll
from kerasface.inference.settings import fingerprint


@pytest.fixture(scope="session")
def network(run):
    """The run's embedding model, traced once."""
    return kerasface.embedder(run)


@pytest.fixture(scope="session")
def gallery(network, faces):
    return enroll(faces / "train", model=network)


@pytest.fixture(scope="session")
def point(network):
    """A threshold as it is stored with the model."""
    settings = EmbeddingSettings(crop=None, flip=True, model=fingerprint(network))
    return OperatingPoint(0.5, 0.01, 0.9, 1000, "list", settings)
