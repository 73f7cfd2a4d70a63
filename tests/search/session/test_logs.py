"""What gets into a run's log."""

import logging
from pathlib import Path

from search.session.logs import logging_to


def test_the_log_has_what_libraries_say_but_not_what_ray_misses_in_its_scratch(
    tmp_path: Path,
) -> None:
    with logging_to(tmp_path / "log.txt"):
        logging.getLogger("ray.tune.analysis.experiment_analysis").warning("no result.json")
        logging.getLogger("ray.tune.analysis.experiment_analysis").error("broken")
        logging.getLogger("ray.tune.execution").warning("slow")
        print("said by a library of caf\udce9")  # as names of files that are no UTF-8
    text = (tmp_path / "log.txt").read_text()
    assert "no result.json" not in text
    assert all(words in text for words in ("broken", "slow", r"a library of caf\udce9"))
