"""What the tests of the training share."""

import pytest


@pytest.fixture(scope="module")
def empty_pictures(unpainted):
    """Trainings without their pictures, of which every epoch draws one."""
    with unpainted():
        yield
