"""Parser of a command line that answers a mistake with one sentence and the word that was meant."""

import argparse
import itertools
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from spaces.errors import UserError, did_you_mean
from trainer.user_files import expanded

_SENTENCES = (
    (r"argument (\S+): expected one argument", "{0} needs a value{about}"),
    (r"argument (\S+): invalid int value: (.+)", "{0} is {1}; it must be a whole number"),
    (r"argument (\S+): invalid float value: (.+)", "{0} is {1}; it must be a number"),
    (r"argument (\S+): ignored explicit argument (.+)", "{0} takes no value, but was given {1}"),
    (r"argument (\S+): not allowed with argument (.+)", "{0} cannot be given with {1}"),
    (r"the following arguments are required: ([^,]+).*", "{0} is missing{about}"),
    (r"argument (\S+): (.+)", "{0}: {1}"),
)
"""What argparse says, and how it is said here; what matches none is said in its own words."""


def given_path(text: str) -> Path:
    """Return the path that an argument is, ``expanded``.

    Raises:
        argparse.ArgumentTypeError: it is empty.
    """
    try:
        return expanded(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


class Help(argparse.HelpFormatter):
    """Formatter of a help text that shows each default once and breaks no word."""

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        says_it = not action.option_strings or "default" in (action.help or "")
        has_none = action.nargs == 0 or action.default in (None, (), argparse.SUPPRESS)
        if says_it or has_none:
            return action.help
        return f"{action.help or ''} (default: %(default)s)".lstrip()


class Parser(argparse.ArgumentParser):
    """``ArgumentParser`` whose errors are one sentence, with suggestions, and exit code 2."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=Help, allow_abbrev=False, **options)

    def parse_known_args(  # type: ignore[override]  # a namespace of one's own is not needed here
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Return the options, and nothing that is left over; the parser of a command reads its own.

        An unknown option is refused before what may be missing because of it. Ends the program
        with one sentence and exit code 2 if the options are wrong.
        """
        words = sys.argv[1:] if args is None else list(args)
        if self._subparsers is None:
            for word in itertools.takewhile(lambda word: word != "--", words):
                self._check_option(word)
        options, extra = super().parse_known_args(words, namespace)
        if extra:
            self.error(f"{extra[0]!r} is not expected here")
        return options, []

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, in argparse's words or better ones, and exit with 2."""
        self.exit(2, f"error: {self._sentence(message)}; see {self.prog} --help\n")

    def _check_option(self, word: str) -> None:
        if not word.startswith("-") or len(word) == 1 or " " in word or _is_number(word):
            return  # a value to argparse, too
        name, known = word.partition("=")[0], self._option_string_actions
        if name not in known:
            self.error(f"there is no option {name}{did_you_mean(name, known)}")

    def _sentence(self, message: str) -> str:
        choices = re.fullmatch(r"argument (\S+): invalid choice: (.+) \(choose from .*", message)
        if choices:
            name, value = choices.groups()
            known = [str(choice) for choice in self._named(name).choices or ()]
            meant = did_you_mean(value.strip("'"), known)
            return f"{name} is {value}{meant}; it must be one of {', '.join(known)}"
        for pattern, words in _SENTENCES:
            if found := re.fullmatch(pattern, message):
                return words.format(*found.groups(), about=self._about(found[1]))
        return message

    def _about(self, name: str) -> str:
        """What the help says of an argument, in brackets, without the default."""
        text = (self._named(name).help or "").partition(" (default")[0].replace("%%", "%")
        return f" ({text})" if text else ""

    def _named(self, name: str) -> argparse.Action:
        """The action that argparse's messages call by this name."""
        names = {"/".join(a.option_strings) or a.metavar or a.dest: a for a in self._actions}
        return names[name]


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-(\d+\.?\d*|\.\d+)(e-?\d+)?", word) is not None
