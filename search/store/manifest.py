"""The manifest of a run, settings.json: what is searched, and all that reading the run needs.

It is written once, when the run begins, and read without the images. A file of an earlier schema
version is brought to the present one here as it is read.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.config.objective import BenchmarkObjective, Objective
from search.config.settings import Settings, fingerprint_of
from search.store.schemas import SETTINGS_FILE
from search.store.validation import check, from_json
from spaces.errors import UserError
from trainer.benchmarks.benchmark import Benchmark
from trainer.prepared import ImageData
from trainer.results import half_counts

SCHEMA_VERSION = 3


def read_manifest(path: Path) -> dict[str, Any]:
    """Return what a settings.json holds.

    Raises:
        UserError: it breaks a rule.
    """
    try:
        content = migrated(from_json(path.read_bytes()))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}.") from error
    check(content, SETTINGS_FILE, path)
    check_lengths(content, path)
    return dict(content)


def migrated(content: Any) -> Any:
    """Return what a settings.json of an earlier schema version would hold in the present one."""
    if isinstance(content, dict) and content.get("schema_version") == 2:
        return from_schema_2(content)
    return content


def from_schema_2(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of schema version 2, which called ``early_stopping`` scheduler, as of 3.

    Its fingerprint follows where it was that of its settings.
    """
    before, fingerprint = content.get("settings"), content.get("fingerprint")
    if not isinstance(before, dict):
        return content | {"schema_version": 3}
    settings = {"early_stopping" if k == "scheduler" else k: v for k, v in before.items()}
    if fingerprint == fingerprint_of(before):
        fingerprint = fingerprint_of(settings)
    return content | {"schema_version": 3, "fingerprint": fingerprint, "settings": settings}


def check_lengths(content: dict[str, Any], path: Path) -> None:
    """Raise UserError unless the lists about one benchmark's classes are equally long."""
    for entry in entries_of(content):
        facts = entry["facts"]
        names = facts["counts"] if entry["class_names"] is None else entry["class_names"]
        lists = (names, facts["counts"], *facts["half_counts"])
        if len({len(values) for values in lists}) > 1:
            raise UserError(
                f"{path} states {', '.join(str(len(values)) for values in lists)} class names, "
                f"training counts and test counts of {facts['name']}, and not equally many; "
                "restore the file."
            )


def entries_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is on record of every benchmark of a run, the hold-out last."""
    return [*content["benchmarks"], *([content["holdout"]] if content["holdout"] else [])]


def settings_content(
    settings: Settings, benchmarks: Sequence[dict[str, Any]], holdout: dict[str, Any] | None
) -> dict[str, Any]:
    """Return what settings.json holds, from ``benchmark_content`` of every benchmark."""
    return {
        "schema_version": SCHEMA_VERSION,
        "fingerprint": settings.fingerprint(),
        "settings": settings.to_dict(),
        "benchmarks": list(benchmarks),
        "holdout": holdout,
    }


def benchmark_content(benchmark: Benchmark, data: ImageData) -> dict[str, Any]:
    """Return what settings.json holds of a benchmark."""
    objective = BenchmarkObjective(
        name=benchmark.name,
        epochs=benchmark.epochs,
        counts=tuple(data.counts.tolist()),
        half_counts=half_counts(data.half_counts.tolist()),
        noise_sd=benchmark.noise_sd,
        metric=benchmark.metric,
        test_held_out=benchmark.test_held_out,
        chosen_on=benchmark.chosen_on,
    )
    return {
        "benchmark": benchmark.to_dict(),
        "protocol": benchmark.protocol_note(),
        "class_names": list(data.class_names),
        "data_fingerprint": data.fingerprint,
        "facts": objective.to_dict(),
    }


def objective_from(content: dict[str, Any]) -> Objective:
    """Return the objective of a run from what its settings.json holds."""
    objectives = [
        replace(
            BenchmarkObjective.from_dict(entry["facts"]),
            shortened=entry["benchmark"]["shortened_from"] is not None,
        )
        for entry in entries_of(content)
    ]
    searched = len(content["benchmarks"])
    return Objective(tuple(objectives[:searched]), *objectives[searched:])
