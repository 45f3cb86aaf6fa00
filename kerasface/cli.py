"""The command line: the same as the library, from a shell."""

from __future__ import annotations

import os
import pathlib
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def _root() -> None:
    """Face classification in Keras."""


@app.command()
def train(
    recipe: str,
    data: Annotated[pathlib.Path, typer.Option()],
    out: Annotated[pathlib.Path, typer.Option()],
    set_: Annotated[list[str] | None, typer.Option("--set")] = None,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    import kerasface
    from kerasface.training.recipe import parse_changes

    table = kerasface.data.identity_folder(data / "train")
    dev = kerasface.data.identity_folder(data / "dev", names=table.names)
    kerasface.train(
        recipe, train=table, validation=dev, out=out, resume=resume, overwrite=overwrite, verbose=2,
        **parse_changes(set_ or []),
    )


def main() -> None:
    """Runs the command line."""
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    app()
