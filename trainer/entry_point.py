"""Entry points of programs: each ends with a sentence and an exit code, never with a traceback."""

import codecs
import contextlib
import functools
import io
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import IO, Any, NoReturn, ParamSpec

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
OWN_PACKAGES = {"benchmarks", "search", "spaces", "trainer"}
SIGNALS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""What ends a program from outside, and what Python does then by itself."""

STOPPING = ("strict", "surrogateescape")
"""How outputs treat characters that they cannot write where a print may fail at one."""

P = ParamSpec("P")


def leave(number: int, frame: object) -> NoReturn:
    """End the process at once: an exception would break half an import."""
    with contextlib.suppress(OSError, AttributeError):  # the terminal, or stderr, is closed
        sys.stderr.write("\rinterrupted\n" if sys.stderr.isatty() else "interrupted\n")  # over ^C
        sys.stderr.flush()
    os._exit(INTERRUPTED)


def loading() -> None:
    """Let Ctrl-C and SIGTERM end the process in one word while it loads what it runs.

    A library that is not there ends it in a sentence, whenever it is loaded.
    """
    for number in SIGNALS:
        signal.signal(number, leave)
    sys.excepthook = told


def told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell of an error that ends the process: of a missing library in a sentence."""
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if not name or name.partition(".")[0] in OWN_PACKAGES:
        sys.__excepthook__(kind, error, trace)
        return
    said = f"{name} is not installed; README.md says how to install."
    if name.partition(".")[0] in sys.stdlib_module_names:  # such as fcntl on Windows
        said = (
            f"this Python has no module {name}, which is part of Python on Linux; "
            "on Windows, use the Windows Subsystem for Linux."
        )
    with contextlib.suppress(OSError, AttributeError):  # one of them is closed
        sys.stderr.write(f"error: {said}\n")
        sys.stderr.flush()
        sys.stdout.flush()
    os._exit(BAD_INPUT)


def sentence_of(error: Exception) -> str:
    """Return what an error of a user or of the system says, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)


def entry_point(
    wording: Callable[[Exception], str] = sentence_of,
    interrupted: str = "interrupted",
    raises: bool = True,
) -> Callable[[Callable[P, int]], Callable[P, int]]:
    """Return a decorator of the ``main`` of a program, which returns the exit code.

    Bad input is told in one sentence with exit code 2, and a full disk with 1. Where nobody reads
    the output any more, as behind ``| head``, the program ends with 1 and says nothing.

    Args:
        wording: what is said of an error.
        interrupted: what is said after Ctrl-C.
        raises: whether Ctrl-C raises KeyboardInterrupt in ``main`` where ``loading`` was called
            before; else it goes on to end the process.
    """

    def decorator(main: Callable[P, int]) -> Callable[P, int]:
        @functools.wraps(main)
        def call(*args: P.args, **kwargs: P.kwargs) -> int:
            from spaces.errors import UserError, WeightingError  # ``main`` has loaded them
            from trainer.errors import CheckpointError

            try:
                with open_output(), raising() if raises else contextlib.nullcontext():
                    return main(*args, **kwargs)
            except (UserError, WeightingError, CheckpointError) as error:
                say(f"error: {wording(error)}")
                return BAD_INPUT
            except BrokenPipeError as error:
                if not is_unread(sys.stdout):
                    say(f"error: {wording(error)}")
                return FAILED
            except OSError as error:
                say(f"error: {wording(error)}")
                return FAILED
            except KeyboardInterrupt:
                say(interrupted)
                return INTERRUPTED

        return call

    return decorator


def printable(error: UnicodeError) -> tuple[str | bytes, int]:
    """Return what is written for characters that the output's encoding lacks: no print fails.

    Names of files that are no UTF-8 are written as they are, other characters as escapes.
    """
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.backslashreplace_errors(error)


@contextlib.contextmanager
def open_output() -> Iterator[None]:
    """Let there be outputs, also where they were closed before, and write them out at the end.

    What cannot be written is dropped, or it would fail again when the process ends.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in STOPPING:
        codecs.register_error(printable.__name__, printable)
        sys.stdout.reconfigure(errors=printable.__name__)
    try:
        yield
    finally:
        try:
            sys.stdout.flush()
        except OSError:
            drop(sys.stdout)
            raise


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt again, after ``loading``, until the block is left."""
    loaded = [number for number in SIGNALS if signal.getsignal(number) is leave]
    for number in loaded:
        signal.signal(number, SIGNALS[number])
    try:
        yield
    finally:
        for number in loaded:
            signal.signal(number, leave)


@contextlib.contextmanager
def deferring() -> Iterator[Callable[[], bool]]:
    """Defer Ctrl-C or SIGTERM while the block runs, which asks whether one came; a second raises.

    Raises:
        KeyboardInterrupt: at the second.
    """
    came: list[int] = []

    def take(number: int, frame: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    before = {number: signal.signal(number, take) for number in SIGNALS}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def is_unread(stream: IO[str]) -> bool:
    """Return whether a stream is a pipe whose reader is gone."""
    looked = select.poll()
    looked.register(stream, 0)  # errors are always told
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in looked.poll(0))


def drop(stream: IO[str]) -> None:
    """Send nowhere what a stream still holds and what is written to it from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def say(text: str) -> None:
    """Print a line on stderr, on a terminal broken between words."""
    from rich.console import Console  # slow to import

    plain = not sys.stderr.isatty()
    with contextlib.suppress(OSError):  # nobody could be told
        shown = Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=plain)
        shown.print(text)
