"""Templates of the pages. Every text that a template shows is escaped."""

from __future__ import annotations

import base64
import functools
import hashlib
from typing import Any

import jinja2
from markupsafe import Markup

TEMPLATES = "templates"


def page_html(**values: Any) -> str:
    """Renders ``templates/page.html`` with its style and script.

    Args:
        **values: The variables of the template.
    """
    style, script = _source("page.css"), _source("page.js")
    return (
        _environment()
        .get_template("page.html")
        .render(
            **values,
            parts=_parts(),
            style=style,
            style_hash=_hash(style),
            script=script,
            script_hash=_hash(script),
        )
    )


def part_html(name: str, *values: Any) -> Markup:
    """Renders a macro of ``templates/parts.html``, which escapes all texts.

    Args:
        name: Name of the macro.
        *values: Its arguments.
    """
    return getattr(_parts(), name)(*values)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kerasface.reports", TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "allow_nan": False}
    return environment


def _parts() -> Any:
    return _environment().get_template("parts.html").module


@functools.cache
def _source(name: str) -> str:
    """A style or script as it stands in the page; its hash covers every character."""
    environment = _environment()
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode()}"
