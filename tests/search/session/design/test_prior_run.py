"""Earlier runs as a prior: which are taken, what is taken, and that it is then on record."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from confirming import manifest_of, steady, whole_run
from twin import OBJECTIVE, Twin, attempt, make_settings

from search.api.prior import with_prior
from search.config.fields import MOST_PRIORS
from search.config.request import Request
from search.config.settings import Settings
from search.report.verdict_view import prior_lines
from search.results.conclusion import Conclusion
from search.samplers.registry import KNOWLEDGE_GRADIENT
from search.session.design.prior_run import LEAST_RESULTS, prior_run
from search.store.facts import PriorRun
from search.store.files.jsonl import checksummed
from search.store.record import Record
from search.store.run_folder import RunFolder
from spaces.errors import UserError

SETTINGS = make_settings(sampler=KNOWLEDGE_GRADIENT, early_stopping="none")
OTHER_SEED = replace(SETTINGS, seed=8)
FLAT = PriorRun("earlier", 8, ({}, {"exponent": 0.5}), (0.5, -0.5))


def earlier(path: Path, trials: int = 12, **changes: object) -> Path:
    return whole_run(path, steady, trials, None, OBJECTIVE, **changes).path


def new_run(path: Path, prior: PriorRun, settings: Settings = OTHER_SEED) -> RunFolder:
    folder = RunFolder(path)
    folder.create()
    settings = replace(settings, prior=(prior.entry,))
    Record.create(folder.record, settings.baselines, settings.seed, prior=[prior])
    folder.write_manifest(manifest_of(OBJECTIVE, settings))
    return folder


@pytest.mark.parametrize("sampler", ("random", KNOWLEDGE_GRADIENT))
def test_a_run_of_any_sampler_tells_what_it_expects(tmp_path: Path, sampler: str) -> None:
    found = prior_run(earlier(tmp_path / "earlier", sampler=sampler), OTHER_SEED)
    assert (found.run, found.results) == ("earlier", 12)
    assert found.weightings[0] == {}
    best = found.weightings[found.means.index(max(found.means))]
    assert best != {}
    assert found == prior_run(tmp_path / "earlier", OTHER_SEED)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    (
        (
            {"trials": LEAST_RESULTS - 1},
            "run 'earlier' has too few full-length results of class weights .7.",
        ),
        ({"seed": OTHER_SEED.seed}, r"has the same benchmark and the same --seed \(8\)"),
        ({"space": "strategies"}, "searched space 'strategies', which has more than class weights"),
    ),
    ids=("few results", "the same trainings", "strategies"),
)
def test_a_run_that_tells_too_little_is_refused(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    path = earlier(tmp_path / "earlier", **changes)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=sentence):
        prior_run(path, OTHER_SEED)


def test_a_run_that_is_missing_damaged_or_named_twice_is_refused(tmp_path: Path) -> None:
    path = earlier(tmp_path / "earlier")
    new = RunFolder(tmp_path / "new")
    for prior, sentence in (
        ((tmp_path / "earlie",), r"--prior is '.*earlie': there is no run .*did you mean"),
        ((path, path), "prior names run 'earlier' twice; name each run once"),
    ):
        with pytest.raises(UserError, match=sentence):
            with_prior(OTHER_SEED, Request(prior=tuple(map(str, prior))), new)
    with pytest.raises(UserError, match="prior is earlier, which is for sampler knowledge-grad"):
        with_prior(make_settings(seed=8), Request(prior=(str(path),)), new)
    with (path / "record.jsonl").open("ab") as file:
        file.write(b"{}\n{}\n")
    with pytest.raises(UserError, match=r"--prior is '.*earlier': line "):
        with_prior(OTHER_SEED, Request(prior=(str(path),)), new)


def test_a_run_that_another_one_has_learnt_from_is_refused_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.api.prior.told_by", lambda path, _: replace(FLAT, run=path))
    monkeypatch.chdir(tmp_path)
    for name, before in (("a", "a"), ("b", "a")):
        new_run(tmp_path / name, replace(FLAT, run=before))
    new = RunFolder(tmp_path / "new")
    for name in ("a", "b"):  # one may have its name from elsewhere
        assert len(with_prior(OTHER_SEED, Request(prior=(name,)), new)[1]) == 1
    with pytest.raises(UserError, match=r"^prior names run 'a', which run 'b' has learnt from"):
        with_prior(OTHER_SEED, Request(prior=("a", "b")), new)


def test_more_runs_than_a_record_holds_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.api.prior.told_by", lambda path, _: PriorRun(path, 8, ({},), (0,)))
    monkeypatch.setattr("search.api.prior.learnt_from", lambda path: set())
    new = RunFolder(tmp_path / "new")
    for number in (MOST_PRIORS, MOST_PRIORS + 1):
        request = Request(prior=tuple(f"run{n}" for n in range(number)))
        if number <= MOST_PRIORS:
            assert len(with_prior(OTHER_SEED, request, new)[0].prior) == number
            continue
        with pytest.raises(UserError, match=r"^prior is .*; it must be a list of at most 8"):
            with_prior(OTHER_SEED, request, new)


def test_a_run_goes_on_with_the_prior_it_began_with_and_with_no_other(tmp_path: Path) -> None:
    path = earlier(tmp_path / "earlier")
    settings, (prior,) = with_prior(OTHER_SEED, Request(prior=(str(path),)), RunFolder(path / "a"))
    folder = new_run(tmp_path / "new", prior)
    shutil.rmtree(path)
    for named in ((), (str(path),)):
        request = Request(prior=named, resume=True)
        assert with_prior(OTHER_SEED, request, folder) == (settings, ())
    with pytest.raises(UserError, match=r"--prior is a,b, and run 'new' began with earlier; leave"):
        with_prior(OTHER_SEED, Request(prior=("a", "b"), resume=True), folder)


def test_a_search_tries_what_is_expected_to_be_best_and_says_what_it_kept(tmp_path: Path) -> None:
    prior = prior_run(earlier(tmp_path / "earlier"), OTHER_SEED)
    folder = new_run(tmp_path / "new", prior)
    settings = folder.read_manifest().settings
    Twin(attempt(folder, settings, 12), 2).run()
    found = Conclusion.of(folder)
    model = found.standings.model
    assert model is not None
    first = next(row for row in found.rows if row.is_proposal)
    assert model.candidate(first.strategy) == model.model.best_expected
    assert model.model.earlier.std() > 0
    [said] = prior_lines(found)
    assert said.startswith("Prior: earlier (12 results). Its differences between weightings count")
    assert found.story()["prior"][0]["run"] == "earlier"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    (
        ({"means": [0.5, 0.5]}, "its prior is earlier:.*, and that of settings.json earlier:"),
        ({"means": [0.5]}, "prior earlier has 2 weightings and 1 means, not equally many"),
        ({"weightings": [{}, {"exponent": -1}]}, "weighting 1 of prior earlier is none"),
        ({"weightings": [{}] * 257}, r"weightings is .*; it must be a list of at most 256"),
        ({"results": 0}, "results is 0"),
    ),
)
def test_a_prior_that_was_changed_is_refused(
    tmp_path: Path, changed: dict[str, object], sentence: str
) -> None:
    folder = new_run(tmp_path / "new", FLAT)
    begun = json.loads(folder.record.read_bytes().splitlines()[0])["begun"]
    begun["prior"] = [json.loads(json.dumps(asdict(FLAT))) | changed]
    folder.record.write_bytes(checksummed(0, "begun", begun))
    folder.begin_attempt({})
    with pytest.raises(UserError, match=sentence):
        Conclusion.of(folder)
