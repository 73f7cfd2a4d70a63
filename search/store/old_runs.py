"""How runs that earlier versions wrote are read; they are shown and exported, not continued."""

from typing import Any

KEYS_1 = {
    "schema_version",
    "fingerprint",
    "settings",
    "benchmark",
    "protocol",
    "class_counts",
    "class_names",
    "test_counts",
    "data_fingerprint",
}


def from_schema_1(content: dict[str, Any]) -> dict[str, Any]:
    """Return settings.json of schema version 1 as the present one; its version stays.

    It knew one benchmark and no confirmation, so that the halves of its test set, of which only
    the whole is on record, are never looked at.
    """
    settings = {"compiled": False} | content["settings"]
    settings["benchmarks"] = [settings.pop("benchmark")]
    benchmark = content["benchmark"]
    facts = {
        "name": benchmark["name"],
        "epochs": benchmark["epochs"],
        "counts": content["class_counts"],
        "half_counts": [content["test_counts"], [0] * len(content["test_counts"])],
        "noise_sd": None,
    }
    entry = {key: content[key] for key in ("benchmark", "protocol", "class_names")}
    return {
        "schema_version": content["schema_version"],
        "fingerprint": content["fingerprint"],
        "settings": settings,
        "benchmarks": [entry | {"data_fingerprint": content["data_fingerprint"], "facts": facts}],
        "holdout": None,
    }
