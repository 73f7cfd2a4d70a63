"""``python -m trainer``: train one strategy without any search."""

import sys

if __name__ == "__main__":
    try:
        from trainer.cli import main  # takes seconds, in which Ctrl-C must not end in a traceback

        code = main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = 130
    sys.exit(code)
