"""Command line as a whole: its parser, and the text on its commands and its version."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from search.config.program import PROGRAM
from spaces.errors import did_you_mean
from trainer.arguments import Parser
from trainer.benchmarks import BENCHMARKS
from trainer.provenance import git_revision, versions


@dataclass(frozen=True)
class Command:
    """A command under its name.

    Attributes:
        run: options, the words that they were read from, console -> exit code.
        add_options: declares its options to its parser.
        usage: its main arguments, as help shows them.
        summary: what it does, in a line.
    """

    run: Callable[[Namespace, list[str], Console], int]
    add_options: Callable[[Parser], None]
    usage: str
    summary: str


def parser_of(commands: Mapping[str, Command]) -> Parser:
    """Return the parser of the command line, which has a parser of its own for each command."""
    whole = Parser(prog=PROGRAM)
    parsers = whole.add_subparsers(dest="command")
    for name, command in commands.items():
        command.add_options(parsers.add_parser(name))
    return whole


def overview(commands: Mapping[str, Command]) -> str:
    """Return what there is, with two examples."""
    calls = {f"{name} {command.usage}".rstrip(): command for name, command in commands.items()}
    return "\n".join(
        (
            "Finds the class weights that train the best classifier of long-tailed images.",
            "",
            f"  {PROGRAM} --benchmark resnet8-digitslt40 --trials 32",
            f"  {PROGRAM} show runs/resnet8-digitslt40",
            "",
            "The first searches for some minutes on two cores; the second shows its result.",
            "",
            "commands:",
            *(f"  {call:<26}{command.summary}" for call, command in calls.items()),
            "  --version",
        )
    )


def version() -> str:
    """Return the versions of this program and of what its numbers depend on."""
    found = [f"{name} {number}" for name, number in versions().items()]
    revision = git_revision()
    return ", ".join([*found, f"revision {revision}"] if revision else found)


def no_command(name: str, commands: Mapping[str, Command]) -> str:
    """Say that no command bears the name, and what was probably meant."""
    meant = did_you_mean(name, commands)
    if name in BENCHMARKS or name.endswith(".toml") or Path(name).is_dir():
        meant = f" (did you mean --benchmark {name}?)"
    return f"there is no command {name!r}{meant}; '{PROGRAM} help' shows all of them."
