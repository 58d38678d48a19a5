"""The application that the commands join, and what they share: exit codes, errors, bars, saved fits.

A command reads its words, calls the public API once, and hands the result to print. Modules of commands import this
one and add theirs to `app`.
"""

# No `from __future__ import annotations` here: cyclopts reads the annotations at run time.
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import cyclopts
from cyclopts import App, Parameter

import isoloss as iso
from isoloss.cli._files import must_exist
from isoloss.cli._parse import UsageError
from isoloss.errors import DataError, FitError, IsolossError, OutOfMemoryError, OutputError
from isoloss.plain import plain
from isoloss.progress import bar

__all__ = [
    "DIFFERENT",
    "DONE",
    "NO_WORDS",
    "REFUSED",
    "Json",
    "Words",
    "app",
    "as_fit",
    "bars",
    "end_on_sigterm",
    "load_fit",
    "print_json",
    "refuse",
    "run",
    "verdict",
]

DONE, REFUSED, USAGE, DIFFERENT, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 130, 143

app = App(
    name="isoloss",
    help="Fit neural scaling laws at volume and turn the fits into decisions.",
    version=iso.__version__,
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # `run` says one line about it
)

Words = Annotated[list[str], Parameter(negative=(), show_default=False)]
Json = Annotated[bool, Parameter(name="--json", negative=(), show_default=False)]
NO_WORDS: list[str] = []
LONGEST = 2_000
"""Characters of a line of an error; the names of all laws take nearly as many."""


class TerminatedError(BaseException):
    """SIGTERM, as an exception: work ends as it does on Ctrl-C, and files stay whole."""


def end_on_sigterm() -> None:
    """Let SIGTERM raise `TerminatedError`; the library itself leaves signals alone."""

    def raise_it(_number: int, _frame: object) -> None:
        raise TerminatedError

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, raise_it)


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; nothing escapes but bugs."""
    as_json = "--json" in arguments
    try:
        code = app(arguments, exit_on_error=False, print_error=False)
        sys.stdout.flush()
    except cyclopts.UnusedCliTokensError as error:
        return refuse("option", _unexpected(error.unused_tokens or []), USAGE, as_json=as_json)
    except cyclopts.CycloptsError as error:
        return refuse("option", str(error), USAGE, as_json=as_json)
    except UsageError as error:
        return refuse("option", str(error), USAGE, as_json=as_json)
    except (DataError, FitError, OutputError, OutOfMemoryError) as error:
        return refuse(error.code, str(error), REFUSED, as_json=as_json)
    except IsolossError as error:
        return refuse(error.code, str(error), USAGE, as_json=as_json)
    except BrokenPipeError:
        # The reader of the pipe has seen enough (`isoloss laws | head`). What is still buffered goes
        # nowhere, so that Python does not complain about the same pipe at exit.
        _drop_output()
        return DONE
    except OSError as error:
        if error.filename:
            return refuse("option", f"{error.strerror or error}: {error.filename}", USAGE, as_json=as_json)
        _drop_output()
        message = f"standard output cannot be written: {error.strerror or error}"
        return refuse("file-unwritable", message, REFUSED, as_json=False)
    except KeyboardInterrupt:
        sys.stderr.write("isoloss: interrupted\n")
        return INTERRUPTED
    except TerminatedError:
        sys.stderr.write("isoloss: terminated\n")
        return TERMINATED
    return code if isinstance(code, int) else DONE


def _drop_output() -> None:
    """Send what is still buffered for standard output nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class Bars(ExitStack):
    """Makes one progress bar per step; all are off the screen when the block ends."""

    def __init__(self, *, show: bool) -> None:
        super().__init__()
        self.show = show

    def __call__(self, step: str) -> Callable[[int, int], object]:
        self.close()  # the bar of the step before
        return self.enter_context(bar(step, show=self.show))


def bars(*, as_json: bool) -> Bars:
    """A progress bar for each step where a person watches: both streams on a terminal, and text asked for."""
    return Bars(show=not as_json and sys.stdout.isatty() and sys.stderr.isatty())


def load_fit(path: Path) -> "iso.Fit":
    """The fit in a file; another kind of result is refused."""
    must_exist(path)
    return as_fit(iso.load(path), path)


def as_fit(loaded: Any, path: Path) -> "iso.Fit":
    """What was loaded, if it is a fit; else the error says what it is, and where a fit is in it."""
    if isinstance(loaded, iso.Fit):
        return loaded
    inside = (
        f"the fit that it rests on is iso.load({str(path)!r}).fit in Python; save that with its save()"
        if isinstance(getattr(loaded, "fit", None), iso.Fit)
        else f"print(iso.load({str(path)!r})) in Python shows it"
    )
    raise UsageError(f"{path} does not hold a fit but a {type(loaded).__name__}: {inside}")


def verdict(fitted: "iso.Fit") -> int:
    """The exit code that a fit deserves, and a line where it did not converge."""
    if fitted.success:
        return DONE
    message = f"the fit did not converge: {fitted.status.message}"
    return refuse("fit-not-converged", message, REFUSED, as_json=False)


def refuse(code: str, message: str, exit_code: int, *, as_json: bool) -> int:
    """One line on standard error, the same as JSON where asked for, and the exit code."""
    sys.stderr.write(f"isoloss: error [{code}]: {_legible(message, lines=code == 'law-syntax')}\n")
    if as_json:
        try:
            print_json({"error": {"code": code, "message": message}})
            sys.stdout.flush()
        except OSError:  # it is said on standard error
            _drop_output()
    return exit_code


def _legible(message: str, *, lines: bool) -> str:
    """A message that quotes any words: what does not print is escaped, what is endless is cut.

    `lines`: it has lines of its own, as those that mark a place in a law.
    """
    plain = "".join(c if c.isprintable() or (lines and c == "\n") else ascii(c)[1:-1] for c in message)
    return "\n".join(line if len(line) <= LONGEST else line[:LONGEST] + "..." for line in plain.split("\n"))


def _unexpected(words: list[str]) -> str:
    """What to say of words that no option takes: mostly a list given to an option that is repeated instead."""
    listed = " ".join(repr(word) for word in words)
    hint = "; an option is repeated for each of its values, as --role N=params --role D=tokens" if "=" in listed else ""
    return f"not expected here: {listed}{hint}"


def print_json(record: Any) -> None:
    """Plain data on standard output."""
    sys.stdout.write(json.dumps(plain(record), indent=2, allow_nan=False) + "\n")
