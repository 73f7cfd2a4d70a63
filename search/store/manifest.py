"""The manifest of a run, settings.json: what is searched, and all that reading the run needs.

It is written once, when the run begins, and read without the images.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import MaxLen, MinLen

from search.config.fields import LARGEST_COUNT, ClassNames, Hex16, Phrase
from search.config.objective import BenchmarkObjective, Objective
from search.config.settings import Settings
from search.store.earlier.settings import migrated
from search.store.validation import json_of, read_content
from spaces.errors import UserError
from spaces.validation import shown
from trainer.benchmarks import Benchmark
from trainer.own.training import OwnTraining
from trainer.prepared import ImageData
from trainer.results import half_counts

SCHEMA_VERSION: Literal[3] = 3

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
            scenarios=data.scenarios.counted(data.half_a) if data.scenarios else (),
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
