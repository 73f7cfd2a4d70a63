"""Search the class weighting of a long-tailed image classifier; see README.md."""

import sys

from search.cli import main

if __name__ == "__main__":
    sys.exit(main())
