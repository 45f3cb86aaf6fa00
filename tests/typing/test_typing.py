"""Tests of the types that users' type checkers and editors see."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

import kerasface

HERE = pathlib.Path(__file__).parent
ROOT = pathlib.Path(kerasface.__file__).parent
# Reads the types of numpy and pandas. It skips those of the other packages: Keras has none, and
# the rest would take time.
CONFIGURATION = """
[mypy]
follow_imports = silent
ignore_missing_imports = true

[mypy-h5py.*,keras.*,matplotlib.*,PIL.*,scipy.*,sklearn.*,tensorflow.*,typer.*]
follow_imports = skip
"""


@pytest.fixture(scope="module")
def errors(tmp_path_factory):
    """The ``(line, error code)`` pairs that mypy reports for each script."""
    folder = tmp_path_factory.mktemp("mypy")
    (folder / "mypy.ini").write_text(CONFIGURATION)
    scripts = [HERE / "user_script.py", HERE / "wrong_script.py"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *scripts],
        cwd=folder,
        env={**os.environ, "MYPYPATH": os.fspath(ROOT.parent), "MYPY_CACHE_DIR": "cache"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found = {script.name: set() for script in scripts}
    for line in done.stdout.splitlines():
        error = re.fullmatch(r"(.+\.py):(\d+): error: .+ \[([\w-]+)\]", line)
        if error:
            found[pathlib.Path(error[1]).name].add((int(error[2]), error[3]))
    return found


def expected_errors(script):
    lines = (HERE / script).read_text(encoding="utf-8").splitlines()
    matches = ((number, re.search(r"# error: (.+)$", line)) for number, line in enumerate(lines, 1))
    return {(number, match[1]) for number, match in matches if match}


def test_right_use_has_no_errors(errors):
    assert errors["user_script.py"] == set()


def test_wrong_use_is_refused(errors):
    expected = expected_errors("wrong_script.py")
    assert len(expected) == 13
    assert errors["wrong_script.py"] == expected


def test_package_says_that_it_is_typed():
    assert (ROOT / "py.typed").is_file()
