"""Command line of the search: the console command ``class-weighting-search``, and run_search.py."""

from trainer.entry_point import loading


def main() -> int:
    """Run the command line and return its exit code; Ctrl-C while it loads is no traceback."""
    loading()  # until the search takes the signals over
    from search.cli import commands

    return commands.main()
