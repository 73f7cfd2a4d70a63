"""Connection to a Ray cluster, its nodes, and the checks of the cluster files."""

import sys

from trainer.entry_point import loading

if sys.argv[0] == "-m":  # so long as Python looks for the program that it was asked to run
    loading()
