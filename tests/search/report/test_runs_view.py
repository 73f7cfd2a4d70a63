"""Several runs at once: the runs of a folder in a list, and runs of one benchmark side by side."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from concluded import CASES, RUNS, conclusion_of, uniform_wins
from confirming import PLAIN, new_run
from rich.console import Console
from twin import JOINT, OBJECTIVE, attempt

from search.cli.commands import main
from search.report import runs_view as view
from search.results.conclusion import Conclusion
from search.store.run_folder import RunFolder

JOINTS = ("joint", "joint-searched", "joint-uniform")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for name in ("confirmed", "searched", "uniform", "joint", "joint, searched"):
        conclusion_of(folder / name.replace(", ", "-"), *CASES[name])
    conclusion_of(folder / "joint-uniform", uniform_wins, RUNS, JOINT)
    return folder


def printed(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    out, error = capsys.readouterr()
    return code, out, error


def test_runs_of_a_folder_are_listed_with_what_they_name(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = printed(capsys, "list", runs)
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert lines["confirmed"].split()[3:5] == ["confirmed", "#2"]
    assert "not confirmed" in lines["searched"]
    assert lines["joint"].split()[:4] == ["joint", "small,", "other", "20"]
    assert all(len(line) <= 80 for line in out.splitlines())


def test_of_several_benchmarks_a_gain_is_listed_and_no_score(
    runs: Path,
) -> None:
    named = {name: view.named(Conclusion.of(RunFolder(runs / name))) for name in JOINTS}
    assert all(" noise SDs over uniform" in named[name][1] for name in JOINTS[:2])
    assert named["joint-searched"][1].endswith("noise SDs over uniform, not confirmed")
    assert named["joint-uniform"] == ("uniform", "")


@pytest.mark.parametrize("name", ("confirmed", "joint", "joint-uniform"))
def test_what_a_confirmation_names_before_it_has_ended_is_so_far(name: str, runs: Path) -> None:
    whole = Conclusion.of(RunFolder(runs / name))
    assert whole.judgement
    part = replace(whole, judgement=replace(whole.judgement, decided=False))
    (winner, score), (leader, so_far) = view.named(whole), view.named(part)
    assert winner == leader
    assert so_far == f"{score}, so far".removeprefix(", ")
    other = replace(whole, folder=RunFolder(runs / "again"))
    console = Console(record=True, width=200)
    console.print(view.compared_runs([part, other]))
    said = [line for line in console.export_text().splitlines() if "has not ended" in line]
    assert said == [f"The confirmation of {name} has not ended; its numbers are those so far."]


def test_a_run_that_was_ended_before_its_first_trial_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = new_run(tmp_path / "early", OBJECTIVE)
    attempt(folder, PLAIN, 8)
    assert "no trial yet" in printed(capsys, "list", tmp_path)[1]


def test_a_run_that_cannot_be_read_says_why_in_the_list(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(runs / "searched", tmp_path / "good")
    for name in ("bad", "ill\x1b[1m"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").write_text("{}")
    code, out, _ = printed(capsys, "list", tmp_path)
    assert code == 0
    assert "good" in out
    assert "bad: " in out
    assert "ill\ufffd[1m: " in out
    assert "schema_version is missing" in " ".join(out.split())


@pytest.mark.parametrize(
    ("word", "sentence"),
    (
        ("spacs", "error: WHAT is 'spacs' (did you mean 'spaces'?); it must be one of"),
        (".", "error: there is no run in ."),
    ),
)
def test_what_is_no_list_is_one_sentence(
    word: str,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = printed(capsys, "list", word)
    assert code == 2
    assert error.startswith(sentence)
    assert error.count("\n") == 1


def test_runs_of_one_benchmark_are_compared_arm_by_arm(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = printed(
        capsys, "compare", runs / "confirmed", runs / "uniform", runs / "searched"
    )
    assert code == 0
    arms = [line.split() for line in out.splitlines() if " to " in line and "(" in line]
    means = [float(line[line.index("to") - 2]) for line in arms]
    assert len(means) > 3
    assert means == sorted(means, reverse=True)
    assert "#2 *" in out
    assert "trials: confirmed" in out
    assert "test accuracy, percent (95 %)" in out
    assert "score: " not in out


PRIOR = ("a:0123456789abcdef",)


@pytest.mark.parametrize("priors", ((PRIOR, ()), ((), PRIOR)))
def test_a_prior_that_one_run_alone_has_is_a_setting_that_differs(
    priors: tuple[tuple[str, ...], ...], runs: Path
) -> None:
    found = Conclusion.of(RunFolder(runs / "searched"))
    settings = [replace(found.settings, sampler="knowledge-gradient", prior=p) for p in priors]
    named = {
        name: replace(found, manifest=replace(found.manifest, settings=each))
        for name, each in zip("ab", settings, strict=True)
    }
    said = [",".join(prior) for prior in priors]
    assert view.settings_that_differ(named) == [f"prior: a {said[0]}, b {said[1]}"]


def test_runs_that_state_other_numbers_are_compared_with_a_word_on_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = {"confirmed": CASES["held out"], "searched": CASES["held out, searched"]}
    for name, case in runs.items():
        conclusion_of(tmp_path / name, *case)
    code, out, _ = printed(capsys, "compare", *map(tmp_path.joinpath, runs))
    assert code == 0
    assert "score, percent (95 %)" in out
    said = "confirmed test balanced accuracy, searched validation balanced accuracy"
    assert f"score: {said}\n" in out


def test_runs_of_equal_names_are_told_apart_by_their_folders(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, run in (("a", "confirmed"), ("b", "uniform")):
        shutil.copytree(runs / run, tmp_path / folder / "run")
    paths = (tmp_path / "a" / "run", tmp_path / "b" / "run", runs / "searched")
    code, out, _ = printed(capsys, "compare", *paths)
    assert code == 0
    found = {word for line in out.splitlines() for word in line.split() if "run" in word}
    assert found >= {"a/run", "b/run"}
    assert "trials: a/run 20, b/run 20, searched 8" in out
    code, _, error = printed(capsys, "compare", paths[0], tmp_path / "b" / ".." / "a" / "run")
    assert code == 2
    assert (
        error
        == f"error: the run {paths[0].resolve()} is given twice; give different ones to compare.\n"
    )


@pytest.mark.parametrize(
    ("names", "sentence"),
    ((("confirmed",), "takes two runs"), (("confirmed", "joint"), "cannot be compared")),
)
def test_runs_that_cannot_be_compared_are_one_sentence(
    runs: Path, names: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, error = printed(capsys, "compare", *(runs / name for name in names))
    assert code == 2
    assert sentence in error
    assert error.count("\n") == 1
