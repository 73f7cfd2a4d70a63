"""Name of this program, as the user calls it and messages repeat it."""

import sys
from pathlib import Path

_COMMAND = "class-weighting-search"
PROGRAM = _COMMAND if Path(sys.argv[0]).name == _COMMAND else "python run_search.py"
