"""What may stand in the JSON of a run?

A run folder may come from anywhere, so that what it holds is checked before it is used (``checked``
says how). Every number has a range, every list and text a length. Labels, names and phrases are
shown on screens, and consist of letters that do nothing there.
"""

from typing import Any

from trainer.benchmarks.metrics import METRICS
from trainer.results import SHOTS

Schema = dict[str, Any]

MOST_CLASSES = 100_000
LARGEST_COUNT = 2**53
LARGEST_NUMBER = 1e300

HEX16: Schema = {"type": "string", "pattern": r"\A[0-9a-f]{16}\Z"}
WORD: Schema = {"type": "string", "pattern": r"\A[A-Za-z0-9_.+-]{1,200}\Z"}
BENCHMARK_NAME: Schema = {"type": "string", "pattern": r"\A[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}\Z"}
LABEL: Schema = {"type": "string", "pattern": r"\A(#[0-9]{1,9}|[a-z0-9_]{1,100})\Z"}
"""Of a trial: ``#NUMBER``, or the name of a baseline."""
PHRASE: Schema = {"type": "string", "pattern": r"\A[A-Za-z0-9 .,;:()_+-]{1,200}\Z"}
TEXT: Schema = {"type": "string", "maxLength": 10_000}
SHOWN_TEXT: Schema = {"type": "string", "pattern": r"\A[^\x00-\x1f\x7f-\x9f]{0,10000}\Z"}
LONG_TEXT: Schema = {"type": "string", "maxLength": 10**8}


def whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


def number(low: float, high: float = LARGEST_NUMBER, **more: float) -> Schema:
    return {"type": "number", "minimum": low, "maximum": high, **more}


def above_zero(high: float = LARGEST_NUMBER) -> Schema:
    return number(0, high, exclusiveMinimum=0)


def a_list(of: Schema, longest: int, **more: Any) -> Schema:
    return {"type": "array", "items": of, "maxItems": longest, **more}


def either(schema: Schema) -> Schema:
    """Return the schema with null allowed."""
    return schema | {"type": [schema["type"], "null"]}


def an_object(properties: dict[str, Schema], optional: tuple[str, ...] = ()) -> Schema:
    """Return the schema of an object with these keys and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": [key for key in properties if key not in optional],
        "additionalProperties": False,
    }


ANYTHING: Schema = {"type": "object", "additionalProperties": True}
"""A story that is copied into the export, and on which nothing acts."""
POINT: Schema = {"type": "object", "maxProperties": 100, "additionalProperties": True}
"""A weighting; ``spaces`` knows what may stand in it."""

EPOCHS = whole(1, 10**6)
COUNT = whole(1, LARGEST_COUNT)
SEED = whole(0, 2**63 - 1)
PER_CHANNEL = a_list(number(0, 1), 1000)
CLASS_NAMES = a_list({"type": "string", "maxLength": 1000}, MOST_CLASSES)
IMAGES_OF_CLASSES = a_list(whole(0, LARGEST_COUNT), MOST_CLASSES, minItems=1)
CLASS_COUNTS = a_list(COUNT, MOST_CLASSES, minItems=1)

METRIC: Schema = {"enum": list(METRICS)}

SETTINGS = an_object(
    {
        "benchmarks": a_list(HEX16, 100, minItems=1),
        "space": WORD,
        "sampler": WORD,
        "early_stopping": WORD,
        "grace_epochs": whole(1, LARGEST_COUNT),
        "reduction_factor": whole(2, LARGEST_COUNT),
        "seed": SEED,
        "precision": WORD,
        "baselines": a_list(WORD, 1000, uniqueItems=True),
        "compiled": {"type": "boolean"},
    }
)
"""``search.config.settings.Settings``, which knows the choices."""

FILE_NAME: Schema = {"type": "string", "maxLength": 4096}

FOLDER = an_object(
    {
        "train": FILE_NAME,
        "val": {"anyOf": [{"type": "null"}, number(0, 1), FILE_NAME]},
        "test": either(FILE_NAME),
        "class_names": CLASS_NAMES,
        "train_counts": CLASS_COUNTS,
        "state": HEX16,
    },
    optional=("val",),
)

BENCHMARK = an_object(
    {
        "name": BENCHMARK_NAME,
        "network": WORD,
        "dataset": WORD,
        "num_classes": whole(2, MOST_CLASSES),
        "imbalance_ratio": either(number(1)),
        "max_count": either(COUNT),
        "train_images": COUNT,
        "resolution": whole(1, 10**6),
        "channels": whole(1, 1000),
        "padding": whole(0, 10**6),
        "flip": {"type": "boolean"},
        "mean": either(PER_CHANNEL),
        "std": either(PER_CHANNEL),
        "epochs": EPOCHS,
        "batch_size": COUNT,
        "learning_rate": above_zero(),
        "momentum": number(0, 1),
        "weight_decay": number(0),
        "subset_seed": SEED,
        "folder": {"anyOf": [{"type": "null"}, FOLDER]},
        "role": WORD,
        "shortened_from": either(EPOCHS),
        "noise_sd": either(above_zero()),
        "metric": METRIC,
        "test_held_out": {"type": "boolean"},
    }
)
"""``trainer.benchmarks.benchmark.Benchmark``."""
BENCHMARK["required"] = ["name", "epochs", "shortened_from"]  # what is read of it

ON_BENCHMARK = an_object(
    {
        "benchmark": BENCHMARK,
        "protocol": PHRASE,
        "class_names": either(CLASS_NAMES),
        "data_fingerprint": HEX16,
        "facts": an_object(
            {
                "name": BENCHMARK_NAME,
                "epochs": EPOCHS,
                "counts": CLASS_COUNTS,
                "half_counts": a_list(IMAGES_OF_CLASSES, 2, minItems=2),
                "noise_sd": either(above_zero()),
                "metric": METRIC,
                "test_held_out": {"type": "boolean"},
                "chosen_on": {"enum": ["test", "validation"]},
            },
            optional=("metric", "test_held_out", "chosen_on"),  # later than the others
        ),
    }
)

SETTINGS_FILE = an_object(
    {
        "schema_version": {"enum": [3]},
        "fingerprint": HEX16,
        "settings": SETTINGS,
        "benchmarks": a_list(ON_BENCHMARK, 100, minItems=1),
        "holdout": {"anyOf": [{"type": "null"}, ON_BENCHMARK]},
    }
)
"""settings.json."""

LEASE = an_object(
    {
        "number": whole(1, LARGEST_COUNT),
        "token": HEX16,
        "beat": whole(0, LARGEST_COUNT),
        "host": SHOWN_TEXT,
        "pid": whole(0, LARGEST_COUNT),
        "machine": SHOWN_TEXT,
    }
)
"""lease.json."""

ATTEMPT: Schema = {
    "type": "object",
    "properties": {
        "attempt": whole(1, 10**6),
        "budget": ANYTHING,
        "resources": ANYTHING,
        "device": {"enum": ["cpu", "cuda"]},
        "arguments": a_list(SHOWN_TEXT, 1000),
        "time": PHRASE,
        "versions": {"type": "object", "additionalProperties": WORD},
        "cpu": {"type": "string", "maxLength": 1000},
        "revision": {"type": ["string", "null"], "pattern": r"\A[A-Za-z0-9_.-]{1,200}\Z"},
    },
    "required": ["attempt"],
    "additionalProperties": True,
}
"""A line of attempts.jsonl: facts to which later versions add, and on which nothing acts."""

ARMS: Schema = {
    "type": "object",
    "propertyNames": LABEL,
    "additionalProperties": POINT,
    "maxProperties": 1000,
}
PLAN = an_object(
    {
        "search_trials": whole(0, 10**9),
        "runs": whole(0, 10**9),
        "candidates": ARMS,
        "controls": ARMS | {"minProperties": 1},
    }
)
"""Of a confirmation, as the study of that name holds it."""

PERCENT = number(0, 100 + 1e-6)  # a mean of hundreds may round up
SUMMARY: Schema = {
    "type": "object",
    "properties": {
        "best_score": PERCENT,
        "last_ten_score": PERCENT,
        "epochs": EPOCHS,
        "shots": an_object(dict.fromkeys(SHOTS, PERCENT), SHOTS),
        "metrics": an_object(dict.fromkeys(METRICS, either(PERCENT))),
        "class_accuracy": a_list(PERCENT, MOST_CLASSES),
    },
    "required": ["best_score", "last_ten_score", "epochs", "shots"],
    "additionalProperties": True,
}
"""``trainer.results.summary``, as far as it is read."""
OBJECTS = a_list(ANYTHING, 100)
SUMMARIES = a_list(SUMMARY, 100)
"""Of the parts of a trial."""

TRIAL: Schema = {
    "type": "object",
    "properties": {
        "name": LABEL,
        "weighting": TEXT,
        "seed": SEED,
        "scores": a_list(number(-LARGEST_NUMBER), 10_000),
        "stop_epoch": EPOCHS,
        "summaries": LONG_TEXT,
        "reason": LONG_TEXT,
        "diverged": {"type": "boolean"},
        "seed_index": whole(0, 10**6),
        "hardware": either(TEXT),
        "device_hours": number(0),
    },
    "required": ["weighting", "seed"],
    "additionalProperties": True,
}
"""The facts of a trial in the study, and its scores; nothing reads others."""
