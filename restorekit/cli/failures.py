"""How an error reaches the user: one line on stderr and an exit code."""

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
        with reported(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


@contextmanager
def reported(*, debug: bool) -> Iterator[None]:
    """Turn errors into a message and an exit code."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        yield
    except RestorekitError as error:
        if debug:
            console.print_exception()
        console.print(Text.assemble(("error: ", "bold red"), str(error)))
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        if debug:
            console.print_exception()
        console.print("interrupted; what was finished is kept")
        raise typer.Exit(INTERRUPTED) from None
