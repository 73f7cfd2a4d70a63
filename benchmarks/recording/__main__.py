"""Recording: weightings trained with several seeds, kept as a table on which searches are replayed.

From the repository's root, stopped and started again as often as needed; then packed:

    python -m benchmarks.recording --benchmark resnet8-digitslt --table tables
    python -m benchmarks.recording pack --benchmark resnet8-digitslt --table tables --out digits.npz
"""

import sys

from benchmarks.recording.run import main

if __name__ == "__main__":
    sys.exit(main())
