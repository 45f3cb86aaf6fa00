"""Tests of the package as a whole: the cost of its import, and rules for its source."""

import ast
import importlib
import json
import os
import pathlib
import pkgutil
import re
import subprocess
import sys
import tomllib

import pytest

import kerasface

ROOT = pathlib.Path(kerasface.__file__).parent
SOURCES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
# A module imports from earlier groups and its own.
ORDER = (
    (
        "images",
        "files",
        "dlib_files",
        "cache",
        "names",
        "packages",
        "progress",
        "checks",
        "options",
        "backend",
    ),
    ("data",),
    ("faces",),
    ("pipeline",),
    ("models",),
    ("metrics",),
    ("reports",),
    ("callbacks",),
    ("embedding",),
    ("runs",),
    ("training",),
    ("custom_objects",),
    ("inference",),
    ("cli",),
    ("__main__",),
)
RANK = {group: rank for rank, groups in enumerate(ORDER) for group in groups}
# Narrower than the order.
FORBIDDEN = {
    "models": {"data", "faces", "pipeline"},
    "metrics": set(RANK) - {"metrics"},
    "inference": {"training"},
    "names": set(RANK),
    "packages": set(RANK),
    "progress": set(RANK),
    "checks": set(RANK) - {"names", "checks"},
    "options": set(RANK) - {"names", "checks", "options"},
    "files": set(RANK),
    "images": set(RANK) - {"names", "files"},
}
LONGEST_MODULE = 400
LONGEST_COMMAND_MODULE = 300  # in kerasface.cli
LONGEST_FUNCTION = 60  # lines of code, without docstring, comments and blank lines
MOST_PARAMETERS = 7  # of a private function
# What may break one of these rules, with the reason.
LONG_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}
MANY_PARAMETERS: dict[str, str] = {}
HEAVY = ("tensorflow", "keras", "pandas", "matplotlib", "keras_cv")
PUBLIC = {
    "Recipe",
    "Run",
    "build",
    "clear_cache",
    "compare",
    "embed",
    "embedder",
    "evaluate",
    "identify",
    "list_models",
    "predict",
    "register_model",
    "submit",
    "train",
    "verify",
}
PACKAGES = sorted(
    ".".join(path.parent.relative_to(ROOT.parent).parts) for path in ROOT.rglob("__init__.pyi")
)


def fresh_python(code, **environment):
    """Runs code in a new process and returns ``(exit code, standard output, standard error)``."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def parse(name):
    return ast.parse(SOURCES[name].read_text(encoding="utf-8"))


def imported(tree):
    """``(module, local name, imported name or None)`` of every import of kerasface."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            if (node.module or "").split(".")[0] == "kerasface":
                for alias in node.names:
                    yield node.module, alias.asname or alias.name, alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "kerasface":
                    yield alias.name, alias.asname or "kerasface", None


def imported_groups(tree):
    """The parts of kerasface that a module imports from."""
    for module, _, name in imported(tree):
        if (module, name) == ("kerasface", "__version__"):
            continue
        full = f"{module}.{name}" if module == "kerasface" and name else module
        yield full.partition(".")[2].partition(".")[0]


def misdirected(group, tree):
    """The parts of kerasface that a module of this group must not import from."""
    return sorted(
        other
        for other in set(imported_groups(tree)) - {group}
        if RANK[other] > RANK[group] or other in FORBIDDEN.get(group, ())
    )


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def private_uses(tree):
    """Other modules' private names in a module."""
    found = [name for _, _, name in imported(tree) if name and is_private(name)]
    local = {name for _, name, _ in imported(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            base = node.value
            while isinstance(base, ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name) and base.id in local:
                found.append(ast.unparse(node))
    return found


def mutable_defaults(tree):
    """The functions with a default that a call could change for the next one."""
    changing = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for default in [*node.args.defaults, *node.args.kw_defaults]:
                made = default.func if isinstance(default, ast.Call) else None
                by_call = isinstance(made, ast.Name) and made.id in ("list", "dict", "set")
                if isinstance(default, changing) or by_call:
                    found.append(getattr(node, "name", "lambda"))
    return found


def functions(tree, prefix=""):
    """``(qualified name, function)`` of every function and method of a module."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name, node
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
        yield from functions(node, f"{prefix}{node.name}." if inside else prefix)


def lines_of_code(function, lines):
    """Number of a function's lines without docstring, comments and blank lines."""
    numbers = set(range(function.lineno, function.end_lineno + 1))
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        numbers -= set(range(docstring.lineno, docstring.end_lineno + 1))
    stripped = [lines[number - 1].strip() for number in numbers]
    return sum(line != "" and not line.startswith("#") for line in stripped)


def parameters(function):
    """Number of a function's parameters without ``self`` and ``cls``."""
    found = function.args
    named = [*found.posonlyargs, *found.args, *found.kwonlyargs, found.vararg, found.kwarg]
    return sum(one is not None and one.arg not in ("self", "cls") for one in named)


def long_modules(sources):
    """Modules with too many lines; ``sources`` maps names to lines."""
    return {
        name
        for name, lines in sources.items()
        if len(lines)
        > (LONGEST_COMMAND_MODULE if name.startswith("kerasface.cli") else LONGEST_MODULE)
    }


def long_functions(sources):
    """Functions with too many lines of code."""
    return {
        f"{name}.{function}"
        for name, lines in sources.items()
        for function, node in functions(ast.parse("\n".join(lines)))
        if lines_of_code(node, lines) > LONGEST_FUNCTION
    }


def functions_with_many_parameters(sources):
    """Private functions with too many parameters."""
    return {
        f"{name}.{function}"
        for name, lines in sources.items()
        for function, node in functions(ast.parse("\n".join(lines)))
        if is_private(node.name) and parameters(node) > MOST_PARAMETERS
    }


def test_import_is_fast_and_light():
    code = (
        "import json, sys, time; start = time.perf_counter(); import kerasface; "
        "seconds = time.perf_counter() - start; "
        "print(json.dumps([seconds, dir(kerasface), sorted(sys.modules)]))"
    )
    answers = []
    for _ in range(3):
        status, out, err = fresh_python(code)
        assert status == 0, err
        answers.append(json.loads(out))
    # It takes 0.02 s on a common machine, and with pandas or TensorFlow seconds.
    assert min(seconds for seconds, _, _ in answers) < 1
    _, listing, modules = answers[0]
    assert set(HEAVY).isdisjoint(modules)
    assert set(listing) >= PUBLIC


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["train", "--help"]])
def test_help_does_not_import_tensorflow(words):
    code = (
        f"import sys\nfrom kerasface.cli import main\ntry:\n    main({words})\n"
        "finally:\n    print('HEAVY', [m for m in sys.argv[1:] if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *HEAVY], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("HEAVY []")


@pytest.mark.parametrize("package", PACKAGES)
def test_listed_names_exist(package):
    module = importlib.import_module(package)
    assert module.__all__
    assert dir(module) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError):
        _ = module.no_such_name


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_names_are_not_modules(name):
    # Independent of earlier imports and their order.
    assert callable(getattr(kerasface, name))
    assert getattr(kerasface, name).__doc__


@pytest.mark.parametrize("name", [name for name in SOURCES if name != "kerasface"])
def test_imports_go_one_way(name):
    assert misdirected(name.split(".")[1], parse(name)) == []


def test_package_itself_imports_only_its_backend():
    assert set(imported_groups(parse("kerasface"))) == {"backend"}


@pytest.mark.parametrize("name", SOURCES)
def test_no_private_names_of_other_modules(name):
    assert private_uses(parse(name)) == []


@pytest.mark.parametrize("name", SOURCES)
def test_no_mutable_default(name):
    assert mutable_defaults(parse(name)) == []


@pytest.mark.parametrize("name", SOURCES)
def test_no_line_over_100_characters(name):
    lines = SOURCES[name].read_text(encoding="utf-8").splitlines()
    assert [(number, line) for number, line in enumerate(lines, start=1) if len(line) > 100] == []


RULES = {
    "module length": (long_modules, LONG_MODULES),
    "function length": (long_functions, LONG_FUNCTIONS),
    "number of parameters": (functions_with_many_parameters, MANY_PARAMETERS),
}


@pytest.mark.parametrize(("find", "exceptions"), RULES.values(), ids=RULES)
def test_size_rules(find, exceptions):
    sources = {
        name: path.read_text(encoding="utf-8").splitlines() for name, path in SOURCES.items()
    }
    found = find(sources)
    assert found - set(exceptions) == set()
    # Exceptions that are no longer needed are removed.
    assert set(exceptions) - found == set()


@pytest.mark.parametrize(
    ("group", "source", "expected"),
    [
        ("models", "from kerasface.data.table import FaceTable", ["data"]),
        ("models", "from kerasface import pipeline", ["pipeline"]),
        ("data", "def f():\n    import kerasface.training.fit", ["training"]),
        ("metrics", "from kerasface.images import decode", ["images"]),
        ("metrics", "import numpy as np", []),
        ("inference", "from kerasface.training.fit import train", ["training"]),
        ("runs", "from kerasface.training.fit import train", ["training"]),
        ("training", "from kerasface import models\nimport keras", []),
    ],
)
def test_import_check_sees(group, source, expected):
    assert misdirected(group, ast.parse(source)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from kerasface.cli import _train", ["_train"]),
        ("from kerasface.pipeline import decode as d\nd._orient(1)", ["d._orient"]),
        ("import kerasface.cli\nkerasface.cli._train()", ["kerasface.cli._train"]),
        ("from kerasface import cli\ncli.__name__\nself._x", []),
    ],
)
def test_private_check_sees(source, expected):
    assert private_uses(ast.parse(source)) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a=[]): pass", ["f"]),
        ("def f(*, a={}): pass", ["f"]),
        ("f = lambda a=set(): a", ["lambda"]),
        ("def f(a=(), b=None, c=frozenset()): pass", []),
    ],
)
def test_default_check_sees(source, expected):
    assert mutable_defaults(ast.parse(source)) == expected


def code_lines(count, name="f", indent=""):
    """Source of a function with so many lines of code, a docstring, a comment and a blank line."""
    body = ['    """Docstring.', "", "    More.", '    """', "    # comment", ""]
    return [indent + line for line in [f"def {name}():", *body, *["    x = 1"] * (count - 1)]]


def test_size_rules_see():
    assert (
        long_modules({"kerasface.a": ["x = 1"] * 400, "kerasface.cli.a": ["x = 1"] * 300}) == set()
    )
    assert long_modules({"kerasface.a": ["x = 1"] * 401}) == {"kerasface.a"}
    assert long_modules({"kerasface.cli.a": ["x = 1"] * 301}) == {"kerasface.cli.a"}
    assert long_functions({"a": code_lines(60), "b": code_lines(61)}) == {"b.f"}
    method = ["class C:", *code_lines(61, indent="    ")]
    assert long_functions({"a": method}) == {"a.C.f"}
    source = [
        "def _seven(a, b, c, /, d, e, *, f, g): pass",
        "def _eight(a, b, c, /, d, e, *args, f, **more): pass",
        "def public(a, b, c, d, e, f, g, h): pass",
        "class C:",
        "    def _seven(self, a, b, c, d, e, f, g): pass",
        "    def _eight(self, a, b, c, d, e, f, g, h=1): pass",
    ]
    assert functions_with_many_parameters({"a": source}) == {"a._eight", "a.C._eight"}


def test_version_has_one_source():
    project = tomllib.loads((pathlib.Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "kerasface.__version__"}
    assert re.fullmatch(r"\d+\.\d+\.\d+", kerasface.__version__)


def test_version_needs_no_backend():
    code = "import kerasface; print(kerasface.__version__)"
    assert fresh_python(code, KERAS_BACKEND="jax") == (0, f"{kerasface.__version__}\n", "")


@pytest.mark.parametrize(
    "use",
    [
        "import kerasface; kerasface.build",
        "import kerasface; kerasface.train",
        "import kerasface.pipeline; kerasface.pipeline.stream",
        "from kerasface.models import build",
    ],
)
def test_another_backend_is_refused(use):
    status, _, err = fresh_python(use, KERAS_BACKEND="jax")
    assert status == 1
    last = err.strip().splitlines()[-1]
    assert last.startswith("RuntimeError: kerasface runs on Keras's TensorFlow backend.")
    assert "KERAS_BACKEND='jax'" in last


def test_another_backend_is_refused_on_the_command_line():
    code = "from kerasface.cli import main; main(['models'])"
    status, out, err = fresh_python(code, KERAS_BACKEND="jax")
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert err.startswith("kerasface: kerasface runs on Keras's TensorFlow backend.")


def test_named_tensorflow_backend_is_accepted(monkeypatch):
    from kerasface import backend

    monkeypatch.setitem(sys.modules, "keras", None)
    for name in ("tensorflow", ""):
        monkeypatch.setenv("KERAS_BACKEND", name)
        backend.require_tensorflow()
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(RuntimeError, match="KERAS_BACKEND='torch'"):
        backend.require_tensorflow()


def test_backend_of_the_configuration_file(monkeypatch, tmp_path):
    from kerasface import backend

    monkeypatch.setitem(sys.modules, "keras", None)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    backend.require_tensorflow()  # no file
    for text in ('{"backend": "tensorflow"}', "{}", "no json", "[]"):
        (tmp_path / "keras.json").write_text(text)
        backend.require_tensorflow()
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    with pytest.raises(RuntimeError, match=r"Received: 'jax' in .*keras\.json"):
        backend.require_tensorflow()
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    backend.require_tensorflow()


def readme_imports():
    """Every ``from kerasface... import ...`` of the README."""
    text = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        if line.startswith(("from kerasface", "import kerasface")):
            yield line


@pytest.mark.parametrize("line", sorted(set(readme_imports())))
def test_imports_of_the_readme(line):
    exec(line, {})


def test_names_of_the_readme():
    text = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    for name in sorted(set(re.findall(r"\bkerasface(?:\.[A-Za-z_]\w*)+", text))):
        assert pkgutil.resolve_name(name) is not None
