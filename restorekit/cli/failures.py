"""How errors and warnings reach the user: a line on stderr, and an exit code."""

import io
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from restorekit.errors import RestorekitError

INTERRUPTED = 130


class CommandGroup(TyperGroup):
    """A group whose commands report restorekit's errors; `--debug` shows the traceback."""

    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        """Run the command."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            # stderr is so by itself: a file may have a name that is no text.
            sys.stdout.reconfigure(errors="backslashreplace")
        with reported(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


@contextmanager
def reported(*, debug: bool) -> Iterator[None]:
    """Turn errors, also those of the system, into a message and an exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if debug:
        logging.basicConfig(format="%(message)s")
        logging.getLogger("restorekit").setLevel(logging.DEBUG)
    try:
        with _warned(console):
            yield
    except BrokenPipeError:
        raise  # nobody reads on, which typer ends quietly
    except (RestorekitError, OSError) as error:
        if debug:
            console.print_exception()
        console.print(Text.assemble(("error: ", "bold red"), _said(error)))
        code = error.exit_code if isinstance(error, RestorekitError) else RestorekitError.exit_code
        raise typer.Exit(code) from None
    except KeyboardInterrupt:
        if debug:
            console.print_exception()
        console.print("interrupted; what was finished is kept")
        raise typer.Exit(INTERRUPTED) from None


def _said(error: RestorekitError | OSError) -> str:
    if isinstance(error, RestorekitError):
        return str(error)
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}; make room, mend permissions or choose another place"


@contextmanager
def _warned(console: Console) -> Iterator[None]:
    """Show Python warnings as one line, without the place in the code."""

    def show(message: Warning | str, *_place: object) -> None:
        console.print(Text.assemble(("warning: ", "yellow"), str(message)))

    with warnings.catch_warnings():
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show  # type: ignore[assignment]
        yield
