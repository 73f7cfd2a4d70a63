"""The manifest of a run, settings.json: what is searched, and all that reading the run needs.

It is written once, when the run begins, and read without the images. A file of an earlier schema
version is brought to the present one here as it is read.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import optuna
from annotated_types import MaxLen, MinLen
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial

from search.config.fields import LARGEST_COUNT, ClassNames, Hex16, Phrase
from search.config.objective import BenchmarkObjective, Objective
from search.config.settings import Settings, fingerprint_of
from search.store.jsonl import checksummed
from search.store.trials import (
    BASELINES,
    CONFIRMATION,
    ENDS,
    HOLDOUT,
    PROPOSALS,
    TrialState,
    trial_key,
)
from search.store.validation import json_of, read_content
from spaces import present_name
from spaces.errors import UserError
from spaces.validation import shown
from trainer.benchmarks import Benchmark
from trainer.own.training import OwnTraining
from trainer.prepared import ImageData
from trainer.results import half_counts, present_names

SCHEMA_VERSION: Literal[3] = 3
JOURNAL = "study.journal"
"""The record of a run that an earlier version began."""
NOT_A_RECORD = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
)
"""What Optuna raises on lines that it did not write, and on a study that is not there."""


AGREED = (
    *("name", "epochs", "noise_sd", "metric", "test_held_out"),
    *("num_classes", "train_images"),
)
"""What a benchmark declares and the facts on it repeat."""


@dataclass(frozen=True)
class RecordedBenchmark:
    """A benchmark of a run: what was trained, on which data, and what its scores are.

    Attributes:
        benchmark: a network on images; None where it is a training of the user's own.
        protocol: how much of the benchmark's protocol is trained.
        class_names: (C,), in label order; None where classes have no names.
        facts: the objective, but for what ``definition`` says (``objective``).
        own: a training of the user's own; None where it is a benchmark.
    """

    benchmark: Benchmark | None
    protocol: Phrase
    class_names: ClassNames | None
    data_fingerprint: Hex16
    facts: BenchmarkObjective
    own: OwnTraining | None = None

    def __post_init__(self) -> None:
        counts, halves, name = self.facts.counts, self.facts.half_counts or (), self.facts.name
        if (self.benchmark is None) is (self.own is None):
            raise UserError(f"{name} is a benchmark, or a training of one's own, and not both")
        names = counts if self.class_names is None else self.class_names
        lengths = [len(values) for values in (names, counts, *halves)]
        if len(set(lengths)) > 1:
            raise UserError(
                f"it states {', '.join(map(str, lengths))} class names, training counts and test "
                f"counts of {name}, and not equally many"
            )
        there = vars(self.facts) | {"num_classes": len(counts), "train_images": sum(counts)}
        for key in AGREED:
            here = getattr(self.definition, key)
            if there[key] != here:
                raise UserError(
                    f"{key} of {name} is {shown(here)} and {shown(there[key])}, not the same"
                )
        choosing = halves if self.facts.test_held_out else (self.facts.selection_counts,)
        images = sum(map(sum, (counts, *halves)))
        needed = halves[:1] if self.own else halves  # theirs may come in one piece
        if images > LARGEST_COUNT or not all(map(all, choosing)) or not all(map(any, needed)):
            raise UserError(
                f"{name} has a class without test images, or more than {LARGEST_COUNT} images"
            )

    @classmethod
    def of(cls, benchmark: Benchmark, data: ImageData) -> "RecordedBenchmark":
        """Return what is recorded of a benchmark whose images are prepared."""
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
        names, note = tuple(data.class_names), benchmark.protocol_note()
        return cls(benchmark, note, names, data.fingerprint, objective)

    @classmethod
    def of_own(cls, own: OwnTraining) -> "RecordedBenchmark":
        """Return what is recorded of a training of the user's own."""
        objective = BenchmarkObjective(
            name=own.name,
            epochs=own.epochs,
            counts=own.train_counts,
            half_counts=own.half_counts,
            metric=own.metric,
            test_held_out=own.test_held_out,
            chosen_on=own.chosen_on,
        )
        note, names = own.protocol_note(), own.class_names
        return cls(None, note, names, own.data_fingerprint(), objective, own)

    @property
    def definition(self) -> Benchmark | OwnTraining:
        """What was trained."""
        found = self.benchmark or self.own
        assert found is not None
        return found

    @property
    def objective(self) -> BenchmarkObjective:
        return replace(self.facts, shortened=self.definition.shortened_from is not None)

    def to_dict(self) -> dict[str, Any]:
        benchmark, facts = self.benchmark and self.benchmark.to_dict(), self.facts.to_dict()
        own = {"own": self.own.to_dict()} if self.own else {}
        known = {name: value for name, value in vars(self).items() if name != "own"}
        return known | {"benchmark": benchmark, "facts": facts} | own


@dataclass(frozen=True)
class Manifest:
    """What a settings.json holds.

    Attributes:
        fingerprint: of the settings and the declaration of their space, when the run began.
        holdout: what the verdict's arms are tried on at the end.
    """

    schema_version: Literal[3]
    fingerprint: Hex16
    settings: Settings
    benchmarks: Annotated[tuple[RecordedBenchmark, ...], MinLen(1), MaxLen(100)]
    holdout: RecordedBenchmark | None

    def __post_init__(self) -> None:
        names = [recorded.facts.name for recorded in self.all_benchmarks]
        searched, stated = len(self.benchmarks), len(self.settings.benchmarks)
        if stated != searched or len(set(names)) < len(names):
            raise UserError(
                f"settings.benchmarks names {stated}, and benchmarks and holdout are "
                f"{', '.join(names)}; there must be {searched}, and none twice"
            )

    @classmethod
    def of(
        cls,
        settings: Settings,
        benchmarks: tuple[RecordedBenchmark, ...],
        holdout: RecordedBenchmark | None = None,
    ) -> "Manifest":
        """Return the manifest of a run that begins."""
        return cls(SCHEMA_VERSION, settings.fingerprint(), settings, benchmarks, holdout)

    @property
    def all_benchmarks(self) -> tuple[RecordedBenchmark, ...]:
        """The benchmarks of the search, then the hold-out."""
        return (*self.benchmarks, self.holdout) if self.holdout else self.benchmarks

    @property
    def objective(self) -> Objective:
        searched = tuple(recorded.objective for recorded in self.benchmarks)
        return Objective(searched, self.holdout.objective if self.holdout else None)

    def to_dict(self) -> dict[str, Any]:
        return vars(self) | {
            "settings": self.settings.to_dict(),
            "benchmarks": [recorded.to_dict() for recorded in self.benchmarks],
            "holdout": self.holdout and self.holdout.to_dict(),
        }


def read_manifest(path: Path) -> Manifest:
    """Return what a settings.json holds.

    Raises:
        UserError: it breaks a rule.
    """
    content = json_of(path.read_bytes(), path)
    version = content.get("schema_version") if isinstance(content, dict) else None
    if type(version) is int and version not in (2, SCHEMA_VERSION):
        raise UserError(
            f"{path} has schema version {shown(version)}, and this program reads 2 and "
            f"{SCHEMA_VERSION}; use the program that wrote it."
        )
    return read_content(Manifest, migrated(content), path)


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


def earlier_lines(journal: Path, seed: int) -> list[bytes]:
    """Return ``earlier_facts`` as the lines of a record, without newlines.

    Raises:
        UserError: the journal is not the record of a search.
    """
    try:
        facts = earlier_facts(journal, seed)
        return [checksummed(number, *fact)[:-1] for number, fact in enumerate(facts)]
    except (OSError, *NOT_A_RECORD) as error:
        raise UserError(
            f"{journal} cannot be read as the record of a search ({error!r}); restore it, or "
            "search under another --name."
        ) from error


def earlier_facts(journal: Path, seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Return the kinds and contents of the facts in the study.journal of an earlier version.

    It was a journal of Optuna's, which is read here and never written. What CMA-ES kept in it is
    left out, for these were pickles. ``seed`` is the run's.
    """
    storage = JournalStorage(JournalFileBackend(str(journal)))
    names = (BASELINES, PROPOSALS, CONFIRMATION, HOLDOUT)
    studies = {name: optuna.load_study(study_name=name, storage=storage) for name in names}
    trials = [(name, t) for name, study in studies.items() for t in study.get_trials(False)]
    controls = [
        {"name": t.user_attrs["name"], "weighting": json.loads(t.user_attrs["weighting"])}
        for name, t in trials
        if name == BASELINES
    ]
    begun = [(name, t) for name, t in trials if t.state != TrialState.WAITING]
    ended = [(n, t) for n, t in begun if t.state.is_finished() and "seed" in t.user_attrs]
    ended.sort(key=lambda found: (str(found[1].datetime_complete), found[1].number))
    facts = [
        ("begun", {"seed": seed, "controls": controls}),
        *(asked_before(*found) for found in begun),
        *(rung for found in begun for rung in rungs_before(*found)),
        *(ended_before(*found) for found in ended),
    ]
    of_study = storage.get_study_system_attrs(storage.get_study_id_from_name(PROPOSALS))
    position = {name: n for name, n in of_study.items() if name.startswith("qmc:")}
    if position:
        drawn = [content["drawn"] for _, content in facts if "drawn" in content]
        drawn[-1]["study"] = position
    plan = studies[CONFIRMATION].user_attrs.get("plan")
    return [*facts, ("plan", json.loads(plan))] if plan else facts


def asked_before(study: str, trial: FrozenTrial) -> tuple[str, dict[str, Any]]:
    """Return the fact that a trial was asked for, or that its draw was refused."""
    known = trial.user_attrs
    attrs = {k: v for k, v in trial.system_attrs.items() if isinstance(v, str | int | float)}
    attrs = {k: v for k, v in attrs.items() if not k.startswith("cma:")}
    drawn = {"drawn": {"params": trial.params, "attrs": attrs}} if study == PROPOSALS else {}
    key = {"trial": trial_key(study, trial.number)}
    if "seed" not in known:
        return "refused", key | {"reason": known.get("reason", "never started")} | drawn
    rest = {name: known[name] for name in ("name", "seed_index") if name in known}
    weighting = {"weighting": json.loads(known["weighting"]), "seed": known["seed"]}
    return "asked", key | weighting | rest | drawn


def rungs_before(study: str, trial: FrozenTrial) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the facts that a trial reached rungs."""
    if "seed" in trial.user_attrs:
        stop = trial.user_attrs.get("stop_epoch")
        scores: dict[int, float | None] = dict(trial.intermediate_values)
        if stop is not None:
            scores.setdefault(stop, None)
        for epoch, score in scores.items():
            rung = {"trial": trial_key(study, trial.number), "epoch": epoch, "score": score}
            yield "rung", rung | {"stop": stop == epoch}


def ended_before(study: str, trial: FrozenTrial) -> tuple[str, dict[str, Any]]:
    """Return the fact that a trial has ended."""
    known = trial.user_attrs
    words = {state: word for word, state in ENDS.items()}
    names = ("reason", "diverged", "hardware", "device_hours")
    rest = {name: known[name] for name in names if known.get(name) is not None}
    summaries = [present_names(row) for row in json.loads(known.get("summaries", "[]"))]
    end = {"trial": trial_key(study, trial.number), "state": words[trial.state]}
    return "ended", end | {"score": trial.value, "summaries": summaries} | rest
