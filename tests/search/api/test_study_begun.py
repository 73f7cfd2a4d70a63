"""What a study begins with: each thing that is given wrongly is one sentence."""

import os
import traceback
from pathlib import Path
from typing import Any

import pytest

import search
from search.api import told
from search.api.study import Study

COUNTS = [500, 100, 20, 10]


@pytest.mark.parametrize(
    ("given", "sentence"),
    (
        ({"class_counts": None}, "class_counts is missing; a study needs them, or a benchmark"),
        ({"class_counts": [5, 5]}, "every class has 5 training images, which weighs all alike"),
        ({"class_counts": [5]}, "class counts are of 1 class; there must be at least 2"),
        ({"class_counts": [5, 0]}, "class_counts: class 1: train is 0; it must be a whole number"),
        ({"benchmark": "resnet8-digitslt"}, "class_counts is given with benchmark;"),
        ({"space": "cor"}, "space is 'cor' (did you mean 'core'?)"),
        ({"seed": -1}, "seed is -1; it must be at least 0"),
        ({"seed": 8}, "(seed: 42 -> 8); resume with the same, or choose another folder."),
        ({"class_counts": [500, 100, 20, 11]}, "choose another folder."),
        ({"class_counts": None, "benchmark": 5}, "benchmark is 5; it must be text or a path"),
        ({"class_counts": None, "benchmark": Path("no.toml")}, "no.toml"),
        ({"folder": 5.5}, "folder is 5.5; it must be text or a path, not empty"),
        ({"folder": ""}, "folder is ''; it must be text or a path, not empty"),
    ),
)
def test_a_study_that_cannot_be_is_one_sentence(
    given: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    usual = {"class_counts": COUNTS, "folder": tmp_path / "mine", "sampler": "random"}
    Study(**usual).close()
    with pytest.raises(search.UserError) as caught:
        Study(**usual | given)
    assert sentence in str(caught.value)
    Study(**usual).close()


def test_a_folder_has_one_study_at_a_time(tmp_path: Path) -> None:
    with (
        Study(COUNTS, folder=tmp_path / "mine", sampler="random"),
        pytest.raises(search.UserError, match=r"by another process; .* another folder"),
    ):
        Study(COUNTS, folder=tmp_path / "mine", sampler="random")


def test_a_study_that_another_process_begins_at_the_same_moment_is_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"folder": tmp_path / "mine", "sampler": "random"}
    with_prior = told.with_prior

    def meanwhile(*of_ours: Any) -> Any:
        monkeypatch.undo()
        with Study(COUNTS, **given) as theirs:
            theirs.ask()
        return with_prior(*of_ours)

    monkeypatch.setattr(told, "with_prior", meanwhile)
    with pytest.raises(search.UserError, match="was begun or deleted by another process just now"):
        Study(COUNTS, **given)
    with Study(COUNTS, **given) as theirs:
        assert [trial.label for trial in theirs.pending()] == ["uniform"]


def test_a_study_that_goes_on_lets_a_confirmation_be_as_long_as_it_was_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.config.budget.MOST_RUNS", 1)  # of a run; a study may have more
    given: dict[str, Any] = {"folder": tmp_path / "mine", "sampler": "random"}
    with Study(COUNTS, **given) as study:
        for number in range(8):
            study.tell(study.ask(), 0.6 + number / 1000)
        study.tell(study.confirmation(runs=9)[0], 0.6)
    with Study(COUNTS, **given) as again:
        with pytest.raises(search.UserError, match="the confirmation has begun"):
            again.ask()
        assert again.confirmation()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_neither_uses_nor_ends_a_study_of_its_parent() -> None:
    with Study(COUNTS, sampler="random") as study:
        first, second = study.ask(), study.ask()
        child = os.fork()
        if not child:  # whose own memory of the record would write lines of the same numbers
            try:
                with pytest.raises(search.UserError, match="made by another process; ask and tell"):
                    study.tell(first, 0.5)
                study.close()
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert (study.run.path / "lease.json").exists()
        study.tell(second, 0.6)
        assert [trial.key for trial in study.pending()] == [first.key]
