"""Metrics depend on scientific packages only."""

import ast
import pathlib
import sys

import kerasface.metrics

FOLDER = pathlib.Path(kerasface.metrics.__file__).parent
ALLOWED = {"numpy", "pandas", "scipy", "sklearn"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_metrics_import_scientific_packages_only():
    modules = [path for path in FOLDER.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) > 10
    for path in modules:
        for name in imported(path):
            top = name.split(".")[0]
            own = name.startswith("kerasface.metrics.")
            assert own or top in ALLOWED or top in sys.stdlib_module_names, (path.name, name)
