"""Search the class weighting of a long-tailed image classifier; see README.md."""

import sys

if __name__ == "__main__":
    try:
        from search.cli import main  # takes seconds, in which Ctrl-C must not end in a traceback

        code = main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)
