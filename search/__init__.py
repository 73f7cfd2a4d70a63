"""Who decides which trial runs, and what is kept: Optuna proposes, Ray Tune schedules."""
