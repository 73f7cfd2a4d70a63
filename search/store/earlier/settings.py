"""Settings of a run that an earlier version began, as the present schema version has them."""

from collections.abc import Iterator
from typing import Any

from search.config.settings import fingerprint_of
from spaces import present_name


def migrated(content: Any) -> Any:
    """Return what a settings.json of an earlier schema version would hold in the present one."""
    if isinstance(content, dict) and content.get("schema_version") == 2:
        return from_schema_2(content)
    return content


def from_schema_2(content: dict[str, Any]) -> dict[str, Any]:
    """Return the content of schema version 2 as of 3.

    It called ``early_stopping`` scheduler, and has controls under former names. Its fingerprint
    follows where it was that of its settings. The first runs knew no validation split.
    """
    for folder in folders_of(content):
        folder.setdefault("val", None)
    before, fingerprint = content.get("settings"), content.get("fingerprint")
    if not isinstance(before, dict):
        return content | {"schema_version": 3}
    settings = {"early_stopping" if k == "scheduler" else k: v for k, v in before.items()}
    if isinstance(names := settings.get("baselines"), list):
        settings["baselines"] = [present_name(n) if isinstance(n, str) else n for n in names]
    if fingerprint == fingerprint_of(before):
        fingerprint = fingerprint_of(settings)
    return content | {"schema_version": 3, "fingerprint": fingerprint, "settings": settings}


def folders_of(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what a settings.json says of users' own images, as far as it has their form."""
    benchmarks = content.get("benchmarks")
    entries = [*(benchmarks if isinstance(benchmarks, list) else ()), content.get("holdout")]
    for entry in entries:
        benchmark = entry.get("benchmark") if isinstance(entry, dict) else None
        folder = benchmark.get("folder") if isinstance(benchmark, dict) else None
        if isinstance(folder, dict):
            yield folder
