"""``python -m trainer``: train one strategy without any search."""

import sys

from trainer.entry_point import loading

if __name__ == "__main__":
    loading()
    from trainer.cli import main

    sys.exit(main())
