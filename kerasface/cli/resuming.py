"""How the command line resumes a run."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from kerasface.cli.console import one_line_warnings, verbosity
from kerasface.cli.training_tables import AUTO, TrainingOptions, print_tables

if TYPE_CHECKING:  # commands import what they need: the help must not wait for TensorFlow
    from kerasface.runs.run import Run


def resume_run(options: TrainingOptions) -> Run:
    """Resumes a run with the recipe and the images that it has recorded."""
    from kerasface.runs import named_recipe
    from kerasface.runs.other_names import check_keys
    from kerasface.runs.recipe_changes import parse_changes
    from kerasface.runs.recipe_keys import KEYS
    from kerasface.runs.record import recorded_tables
    from kerasface.training import train as train_run
    from kerasface.training.resuming import (
        check_same_recipe,
        completed_epochs,
        extend_changes,
        is_complete,
        resumed_run,
    )

    defaults = TrainingOptions(None, None, options.out)
    for name in ("split", "first", "partition"):
        if getattr(options, name) != getattr(defaults, name):
            raise ValueError(
                f"`--{name}` has no effect with --resume, since the partitions come from the run. "
                f"Received: --{name} {getattr(options, name)}. Remove it."
            )
    changes = parse_changes(options.changes or [])
    check_keys(changes, KEYS)
    run = resumed_run(options.out, resume=True, overwrite=options.overwrite)
    assert run is not None
    if options.recipe in (None, AUTO):
        recipe = run.recipe
        if changes:
            recipe = recipe.replace(**extend_changes(recipe, changes))
    else:
        recipe = named_recipe(options.recipe or "").replace(**changes)
    check_same_recipe(run, recipe)
    done = f"{completed_epochs(run)} of {recipe.total_epochs} epochs are complete"
    if is_complete(run, recipe):
        print(f"{run.folder} is already complete: {len(run.history)} epochs.")
        print(f"To train more epochs: {_more_epochs(run)}")
        return run
    # Before the line below, since images may be missing.
    tables = recorded_tables(run.folder, run.names, multi_label=run.multi_label, data=options.data)
    print(f"Resuming {run.folder}: {done}.")
    if options.data is not None:
        print_tables(tables)
    with one_line_warnings():
        return train_run(
            recipe,
            out=options.out,
            resume=True,
            features=options.features,
            verbose=verbosity(),
            train=tables["train"],
            validation=tables.get("validation"),
        )


def _more_epochs(run: Run) -> str:
    recipe = run.recipe
    stopped = " early_stopping=0" if len(run.history) < recipe.total_epochs else ""
    epochs = f" epochs={2 * recipe.total_epochs}" if not stopped else ""
    start = shlex.join(["kerasface", "train", "--resume", "--out", str(run.folder)])
    return f"{start} --set{epochs}{stopped}"
