"""The command line: parse, call the API, render its events."""


def main() -> None:
    """Run the `restorekit` command."""
    from restorekit.cli.app import app

    app()
