"""The lines that a person reads of a run's events."""

import io
import logging
from functools import partial
from pathlib import Path

from rich.console import Console
from twin import attempt, lines_told, make_run, make_settings, results_of

from search.report.event_lines import log_event, print_event
from search.session.events import Events, Warned
from search.session.logs import logging_to, warnings_published


def test_each_end_and_each_note_is_one_line(tmp_path: Path) -> None:
    settings = make_settings()
    search = attempt(make_run(tmp_path / "run", settings), settings, trials=8)
    lines = lines_told(search)
    first, second = search.next_trial(), search.next_trial()
    assert first is not None
    assert second is not None
    results = results_of(first.row.seed)
    for result in results:
        search.report(first.row.key, 0, result)
    search.finish(first.row.key)
    search.lost_worker(second.row.key)
    search.fail(second.row.key, "epoch 2: the training loss is nan")
    assert lines == [
        f"uniform: {results[-1].best_score:.2f} %, complete",
        "sqrt_inverse lost its worker after epoch 0; it goes on from epoch 0",
        "sqrt_inverse: failed: epoch 2: the training loss is nan",
    ]


def test_the_console_and_the_log_have_the_same_lines(tmp_path: Path) -> None:
    console, events = Console(file=io.StringIO(), width=80), Events()
    events.subscribe(partial(print_event, console, str))
    events.subscribe(log_event)
    path = tmp_path / "log.txt"
    with warnings_published(events), logging_to(path):
        events.note("a note")
        events.publish(Warned("a worker warns"))
        logging.getLogger("trainer.data").warning("the trainer warns")
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "a note\na worker warns\nthe trainer warns\n"
    logged = [line.split(" ", 2)[2] for line in path.read_text().splitlines()]
    assert logged == [
        "INFO search: a note",
        "WARNING search: a worker warns",
        "WARNING search: the trainer warns",
    ]
