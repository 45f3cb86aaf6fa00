"""Every shell line and Python block of README.md and docs/ runs, on drawn faces."""

import re
import shlex

import pytest
import typer

from kerasface.cli import app

# Blocks that begin with `# needs: NAME` are skipped where this package is missing.
ADDITIONAL_PACKAGES = {"mlflow", "tensorboard", "wandb"}
# Words of the shell lines of other programs, which are not run.
NOT_RUN: set[str] = set()
# `text` and `console` are output, installation, and commands that need real data; `py` is the code
# of other libraries.
KINDS = {"sh", "python", "text", "console", "py"}


def test_block(block, open_page, unpainted, offline):
    if block.package:
        pytest.importorskip(block.package)
    with unpainted():
        open_page(block.page).run(block)


def test_every_block_is_run_or_of_a_kind_that_is_not(all_blocks, page_texts):
    fences = sum(len(re.findall(r"^```", text, re.M)) for text in page_texts.values())
    assert fences == 2 * len(all_blocks)
    unknown = {str(block): block.kind for block in all_blocks if block.kind not in KINDS}
    assert all(kind.startswith("{") for kind in unknown.values()), unknown
    assert sum(block.kind in ("sh", "python") for block in all_blocks) > 60


def test_skipped_blocks_need_listed_packages(all_blocks):
    assert {block.package for block in all_blocks if block.package} <= ADDITIONAL_PACKAGES


def test_shell_lines_of_other_programs_are_listed(all_blocks, commands):
    lines = [words for block in all_blocks if block.kind == "sh" for words in commands(block.text)]
    assert {shlex.join(words) for words in lines if words[0] != "kerasface"} == NOT_RUN


def test_options_of_commands_that_are_not_run_exist(all_blocks, commands):
    group = typer.main.get_command(app)
    known = {
        name: {option for parameter in command.params for option in parameter.opts} | {"--help"}
        for name, command in group.commands.items()
    }
    checked = 0
    for block in all_blocks:
        if block.kind not in ("text", "console"):
            continue
        for line in re.findall(r"^(?:\$ )?kerasface [a-z]+ .*$", block.text, re.M):
            [[_, name, *words]] = commands(line.removeprefix("$ ").removesuffix("\\"))
            options = {word.split("=")[0] for word in words if word.startswith("--")}
            assert options <= known[name], f"{block}: {line}"
            checked += 1
    assert checked
