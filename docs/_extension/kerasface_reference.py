"""Generates the reference pages from the code, so that nothing is typed twice.

A page holds comments such as ``<!-- generated: recipe_keys -->``. They are replaced by Markdown
when Sphinx reads the page. The pages of the API, one per package, are written to
docs/reference/api.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import pathlib
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

MARKER = re.compile(r"<!-- generated: (\w+) -->")
EXPORT = re.compile(r"^from (\S+) import (\w+) as (\w+)$", re.MULTILINE)
API = "reference/api"
# Modules with a page of their own although no stub exports them.
MODULES = (
    "kerasface.custom_objects",
    "kerasface.data.image_list",
    "kerasface.images",
    "kerasface.inference.groups",
    "kerasface.reports.sections",
)
# Description of each public value that is neither a class nor a function.
DATA = {
    "DLIB": "How faces get from photographs to the pretrained network ``dlib``.",
    "RECIPES": "Functions that make the named recipes, by name, see :doc:`/reference/recipes`.",
    "TEMPLATES": "Names of the templates of an alignment.",
}


def recipe_keys() -> str:
    """The keys of a recipe."""
    from kerasface.runs.recipe import Recipe

    return options_table(Recipe)


def embedding_options() -> str:
    """The options of the key ``embedding``."""
    from kerasface.embedding.options import EmbeddingOptions

    return options_table(EmbeddingOptions)


def phase_keys() -> str:
    """The keys that a phase may hold."""
    from kerasface.runs.recipe_keys import PHASE_KEYS

    return ", ".join(f"`{key}`" for key in PHASE_KEYS)


def augmentation_steps() -> str:
    """The presets and steps of the key ``augment``."""
    from kerasface.pipeline.augment import PRESETS, STEPS

    steps = [
        (f"`{name}`", f"{step.default:g}", f"{step.limits[0]:g} to {step.limits[1]:g}", words)
        for name, step in STEPS.items()
        for words in [summary(step.apply)]
    ]
    presets = [
        (f"`{name}`", ", ".join(f"`{step}`" for step in steps) or "no step")
        for name, steps in PRESETS.items()
    ]
    return "\n\n".join(
        [
            table(["step", "default strength", "range", "what it does"], steps),
            table(["preset", "steps"], presets),
        ]
    )


def recipes() -> str:
    """Every named recipe: purpose, data, cost, docstring and the keys that differ."""
    from kerasface.runs.recipe_facts import FACTS

    rows = [
        (f"[`{name}`](#{name})", escape(facts.purpose), escape(facts.cost))
        for name, facts in sorted(FACTS.items())
    ]
    overview = table(["recipe", "purpose", "cost"], rows)
    return "\n\n".join([overview, *(_recipe(name) for name in sorted(FACTS))])


def _recipe(name: str) -> str:
    from kerasface.runs.recipe_facts import FACTS, STARTS
    from kerasface.runs.recipes import RECIPES, named_recipe

    facts = FACTS[name]
    weights = STARTS[facts.weights]
    facts_table = table(
        ["", ""], [("data", escape(facts.data)), ("cost", escape(facts.cost)), ("weights", weights)]
    )
    keys = [(f"`{key}`", code(value)) for key, value in named_recipe(name).changed_keys().items()]
    return "\n\n".join(
        [
            f"({name})=\n## {name}",
            f"{escape(facts.purpose)}.",
            facts_table,
            markdown(inspect.getdoc(RECIPES[name]) or ""),
            f"```text\nkerasface train {name} --data DATA --out runs/{name}\n```",
            table(["key", "value"], keys),
        ]
    )


def models() -> str:
    """The registered models: those of this project, then those of Keras."""
    import kerasface

    frame = kerasface.list_models()
    of_keras = frame["description"].str.startswith("keras.applications.")
    parts = []
    for title, rows in (("Networks of kerasface", frame[~of_keras]), ("Keras", frame[of_keras])):
        cells = [
            (
                f"`{name}`",
                f"{row['parameters']:,}",
                f"{row['image_size']} px",
                f"`{row['head']}`",
                row["description"],
            )
            for name, row in rows.iterrows()
        ]
        head = ["name", "parameters", "default image size", "default head", "description"]
        parts.append(f"## {title}\n\n{table(head, cells)}")
    return "\n\n".join(parts)


def command_line() -> str:
    """Every command with its usage and its complete help."""
    import typer

    from kerasface.cli import app

    group = typer.main.get_command(app)
    with group.make_context("kerasface", ["--help"], resilient_parsing=True) as context:
        parts = [_command(group, context)]
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            with command.make_context(name, [], parent=context, resilient_parsing=True) as inner:
                parts.append(f"## kerasface {name}\n\n{_command(command, inner)}")
    return "\n\n".join(parts)


def _command(command: Any, context: Any) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"```text\n{usage}\n```", _help_text(command.help or "")]
    rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            name, words = record
            rows[parameter.param_type_name].append((f"`{name}`", escape(" ".join(words.split()))))
    for kind, cells in rows.items():
        if cells:
            parts.append(table([kind, "meaning"], cells))
    if command.epilog:
        parts.append(_help_text(command.epilog))
    return "\n\n".join(parts)


def _help_text(text: str) -> str:
    """Help as Markdown. Lines after ``\\b`` keep their breaks: examples."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        if paragraph.startswith("\b"):
            lines = textwrap.dedent(paragraph.removeprefix("\b").strip("\n"))
            paragraphs.append(f"```text\n{lines}\n```")
        else:
            paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


GENERATORS: dict[str, Callable[[], str]] = {
    function.__name__: function
    for function in (
        *(recipe_keys, embedding_options, phase_keys, augmentation_steps),
        *(recipes, models, command_line),
    )
}


def options_table(cls: Any) -> str:
    """The options of a dataclass that `kerasface.options.option` declared."""
    from kerasface.options import default_of

    values = cls.describe()["values"]
    descriptions = cls.describe()["description"]
    rows = [
        (
            f"`{field.name}`",
            code(default_of(field)),
            f"{markdown(descriptions[field.name])} *Accepts {escape(values[field.name])}.*",
        )
        for field in dataclasses.fields(cls)
    ]
    return table(["key", "default", "meaning"], rows)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table. Cells are Markdown in one line."""
    lines = [list(head)]
    lines += [["---"] * len(lines[0]), *([" ".join(cell.split()) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code(value: Any) -> str:
    """A value in backticks, the way that ``--set`` takes it."""
    return "`none`" if value is None else f"`{json.dumps(value)}`"


def escape(text: str) -> str:
    """Text as Markdown that shows it unchanged, in a table too."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)


def markdown(text: str) -> str:
    """A docstring's reStructuredText as Markdown: ``code`` is the only markup that differs."""
    return text.replace("``", "`").replace("|", r"\|")


def summary(thing: Any) -> str:
    """First sentence of a docstring."""
    return markdown((inspect.getdoc(thing) or "").split("\n")[0])


# The API reference: what the type stubs export, each name at its shortest path.


def public_names() -> dict[str, list[str]]:
    """Public names by package, as its ``__init__.pyi`` exports them.

    A function that two packages export stands only with the one of the shorter path. A module that
    a package exports stands as a package of its own.
    """
    import kerasface

    root = pathlib.Path(kerasface.__file__).parent
    stubs = sorted(root.rglob("__init__.pyi"), key=lambda path: (len(path.parts), path))
    names: dict[str, list[str]] = {}
    known: set[int] = set()
    for stub in stubs:
        package = ".".join(["kerasface", *stub.parent.relative_to(root).parts])
        exported = EXPORT.findall(stub.read_text(encoding="utf-8"))
        for module, name, _ in exported:
            path = f"{package}.{name}"
            if module == "." and not (root.parent / path.replace(".", "/")).is_dir():
                names[path] = list(_new(_functions(path), path, known))
        own = [name for module, name, _ in exported if module != "."]
        names[package] = list(_new(own, package, known))
    names = {package: found for package, found in names.items() if found}
    names |= {module: list(_new(_functions(module), module, known)) for module in MODULES}
    return dict(sorted(names.items()))


def _new(names: Iterable[str], package: str, known: set[int]) -> Iterator[str]:
    """The names whose objects stand nowhere else."""
    for name in names:
        thing = getattr(importlib.import_module(package), name)
        if id(thing) not in known:
            known.add(id(thing))
            yield name


def _functions(module: str) -> list[str]:
    """Public functions and classes that a module defines."""
    return [
        name
        for name, thing in vars(importlib.import_module(module)).items()
        if not name.startswith("_")
        and (inspect.isfunction(thing) or inspect.isclass(thing))
        and thing.__module__ == module
    ]


def write_api(app: Sphinx) -> None:
    """Writes a page for each package. An unchanged page keeps its time, so that it is not built."""
    folder = pathlib.Path(app.srcdir) / API
    folder.mkdir(parents=True, exist_ok=True)
    pages = {
        f"{package}.rst": _api_page(package, names) for package, names in public_names().items()
    }
    for old in set(folder.glob("*.rst")) - {folder / name for name in pages}:
        old.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _api_page(package: str, names: list[str]) -> str:
    module = importlib.import_module(package)
    title = package
    lines = [
        title,
        "=" * len(title),
        "",
        f".. module:: {package}",
        "",
        inspect.getdoc(module) or "",
    ]
    for name in names:
        thing = getattr(module, name)
        if inspect.isclass(thing):
            lines += ["", f".. autoclass:: {package}.{name}", "   :members:"]
        elif callable(thing):
            lines += ["", f".. autofunction:: {package}.{name}"]
        else:
            lines += ["", f".. py:data:: {name}", f"   :type: {type(thing).__name__}", ""]
            lines += [f"   {DATA[name]}"]
    return "\n".join(lines) + "\n"


def replace_markers(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replaces the comments of a page by what they name."""

    def generate(match: re.Match[str]) -> str:
        if match[1] not in GENERATORS:
            raise ValueError(
                f"A generated part must be one of {sorted(GENERATORS)}. "
                f"Received: {match[1]!r} in {docname}."
            )
        return GENERATORS[match[1]]()

    source[0] = MARKER.sub(generate, source[0])


def setup(app: Sphinx) -> dict[str, Any]:
    """Connects the generators."""
    app.connect("builder-inited", write_api)
    app.connect("source-read", replace_markers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
