"""Search over class weightings: Optuna proposes, Ray Tune schedules, a run folder keeps it all."""
