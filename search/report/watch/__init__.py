"""Live page of runs: the report of a run on a local address, which moves while it is searched."""
