"""Tests of packages that a single feature needs."""

import sys

import pytest

from kerasface.packages import import_package


def test_missing_package_is_named_with_its_installation(monkeypatch):
    monkeypatch.setitem(sys.modules, "no_such_package", None)
    for module in ("no_such_package", "no_such_package.part"):
        with pytest.raises(ImportError, match=r"^X needs .*'no_such_package'.*`pip install it`"):
            import_package(module, feature="X", install="it")


def test_package_whose_own_import_fails_raises_its_error(tmp_path, monkeypatch):
    (tmp_path / "half_installed.py").write_text("import no_such_requirement\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match=r"^No module named 'no_such_requirement'"):
        import_package("half_installed", feature="X", install="it")
