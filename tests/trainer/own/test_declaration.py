"""An own training is declared: its function is found, and its fields agree with each other."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spaces.errors import UserError
from trainer.own.class_counts import counts_text
from trainer.own.declaration import own_training
from trainer.own.function import (
    FORM,
    GIVEN,
    arguments_of,
    function_text,
    load_function,
    whole_trainable,
)
from trainer.own.training import OwnTraining

MODULE = """
def train(weights, seed, report):
    pass

def trian(): pass

def later(weights, seed, report):
    yield 1

async def soon(weights, seed, report): pass

class Trainer: pass

table = [1]
"""
OWN = ("bare", "my_own", "pack")
"""Modules of ``place`` that can be imported."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that one is in, with a module of one's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_own.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("x = 1\nraise RuntimeError('no data\\nhere')\n")
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)\n")
    (tmp_path / "torn.py").write_text("x = 1\ny = = 2\n")
    (tmp_path / "my-own.py").write_text(MODULE)
    (tmp_path / "needing.py").write_text("import not_installed_anywhere\n")
    (tmp_path / "queue.py").write_text(MODULE)
    (tmp_path / "bare").mkdir()
    (tmp_path / "pack" / "deep").mkdir(parents=True)
    for name in ("pack/__init__.py", "pack/deep/__init__.py"):
        (tmp_path / name).touch()
    (tmp_path / "pack" / "deep" / "own.py").write_text(MODULE)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in OWN]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("text", "trainable"),
    (
        ("my_own:train", "my_own:train"),
        ("my_own.py:train", "my_own:train"),
        ("pack.deep.own:train", "pack.deep.own:train"),
        ("pack/deep/own.py:train", "pack.deep.own:train"),
    ),
)
def test_a_function_is_found_by_module_and_by_file(
    text: str, trainable: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_training(text, '{"cat": 5, "dog": 2}', 3)
    assert (own.trainable, own.place) == (trainable, str(place))
    assert own.name == trainable.replace(":", ".")
    assert own.class_names == ("cat", "dog")
    whole = whole_trainable(text)
    monkeypatch.chdir("/")  # where another command may be called
    assert own_training(whole, '{"cat": 5, "dog": 2}', 3) == own


def test_a_function_of_python_is_named_by_its_module(place: Path) -> None:
    own = own_training("pack.deep.own:train", "[5, 2]", 3)
    text = function_text(sys.modules["pack.deep.own"].train)
    assert text == f"{place / 'pack' / 'deep' / 'own.py'}:train"
    assert own_training(text, "[5, 2]", 3) == own


@pytest.mark.parametrize(
    ("text", "sentence"),
    (
        ("my_own", "trainable is 'my_own'; give MODULE:FUNCTION"),
        ("my_own:", "trainable is 'my_own:'; give"),
        (":train", "trainable is ':train'; give"),
        ("my-own.py:train", f"trainable is 'my-own.py:train'; {FORM}, in names of letters from a"),
        ("gone.py:train", "trainable is 'gone.py:train', but there is no file"),
        ("trainer:train", "trainable is 'trainer:train', but 'trainer' is a module of this"),
        ("my_ovn:train", "there is no module 'my_ovn' (did you mean 'my_own'?) in"),
        ("pack.deep.gone:train", "there is no module 'pack.deep.gone' in"),
        ("broken:train", "module broken cannot be imported (RuntimeError: no data; line 2 of"),
        ("leaving:train", "module leaving cannot be imported (SystemExit: 3; line 1 of"),
        ("torn:train", "module torn cannot be imported (SyntaxError: invalid syntax; line 2 of /"),
        ("needing:train", "module needing cannot be imported (ModuleNotFoundError: No module"),
        ("my_own:trainn", "module my_own has no function 'trainn' (did you mean 'train'?)"),
        ("queue.py:train", "module queue is /"),
        ("bare:train", "module bare has no function 'train'; it has none."),
        ("my_own:table", "my_own:table is no function but a list"),
        ("my_own:Trainer", "my_own:Trainer is no function but a class"),
        ("my_own:later", "my_own:later returns before it trains"),
        ("my_own:soon", "my_own:soon returns before it trains"),
        ("my_own:trian", "my_own:trian does not take 'seed'"),
    ),
)
def test_a_function_that_cannot_be_used_is_refused_in_one_sentence(
    text: str, sentence: str, place: Path
) -> None:
    with pytest.raises(UserError) as found:
        own_training(text, "[5, 2]", 3)
    assert str(found.value).startswith(sentence)
    assert "\n" not in str(found.value)


def test_a_function_that_workers_cannot_import_is_refused(place: Path) -> None:
    def train(weights: object, seed: int, report: object) -> None:
        pass

    with pytest.raises(UserError, match="which workers cannot import; put it into a file"):
        function_text(train)


def any_names(weights: object, **more: object) -> None:
    """Takes all that it is given."""


def with_defaults(recipe: object, seed: int, report: object, rate: float = 0.1) -> None:
    """Has a parameter of its own."""


def with_more(weights: object, seed: int, report: object, wieghts: float) -> None:
    """Needs what nobody gives."""


def by_place(weights: object, seed: int, report: object, threads: int, /) -> None:
    """Does not take names."""


def without_weights(seed: int, report: object) -> None:
    """Would train the same network again and again."""


def test_a_function_takes_what_it_names() -> None:
    assert arguments_of(any_names, "f") == GIVEN
    assert arguments_of(with_defaults, "f") == ("recipe", "seed", "report")


@pytest.mark.parametrize(
    ("function", "sentence"),
    (
        (with_more, r"f needs 'wieghts' \(did you mean 'weights'\?\), which it is not given"),
        (by_place, "f needs 'weights'"),
        (without_weights, "f takes neither 'weights' nor 'recipe'; define it as"),
        (min, "f does not tell its parameters|f needs"),
    ),
)
def test_a_function_of_other_parameters_is_refused(
    function: Callable[..., object], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        arguments_of(function, "f")


@pytest.mark.parametrize(
    ("counts", "epochs", "sentence"),
    (
        ("[5, 5]", 3, "every class has 5 training images"),
        ("[5]", 3, "class counts are of 1 class"),
        ("[5, 2]", 0, "epochs is 0; it must be at least 1"),
        ("[5, 2]", None, "epochs is missing"),
        (None, 3, "class_counts is missing"),
        ("[5, 2", 3, "class_counts is no JSON"),
        ("[" * 100_000, 3, "class_counts is no JSON"),
        (f"[{'1' * 5000}]", 3, "class_counts is no JSON"),
        ("[5, 2.5]", 3, "class_counts: class 1: train is 2.5"),
        ("gone.csv", 3, "gone.csv cannot be read"),
    ),
)
def test_counts_and_lengths_that_cannot_be_searched_are_refused(
    counts: str | None, epochs: int | None, sentence: str, place: Path
) -> None:
    with pytest.raises(UserError, match=f"^{sentence}"):
        own_training("my_own:train", counts, epochs)


def declared(place: Path, **evaluated: object) -> OwnTraining:
    return own_training("my_own:train", counts_text({"train": [5, 2], **evaluated}), 3)


def test_the_columns_say_what_chooses_and_what_is_held_out(place: Path) -> None:
    alone, tested = declared(place), declared(place, test=[4, 4])
    assert (alone.half_counts, alone.chosen_on, alone.metric) == (None, "evaluated", "accuracy")
    assert (tested.half_counts, tested.chosen_on) == (((4, 4), (0, 0)), "test")
    uneven = declared(place, validation=[4, 1], test=[3, 3])
    assert (uneven.chosen_on, uneven.test_held_out) == ("validation", True)
    assert uneven.metric == "balanced_accuracy"
    halves = declared(place, half_a=[4, 4], half_b=[3, 3])
    assert (halves.chosen_on, halves.test_held_out, halves.in_halves) == ("test", False, True)


def test_a_changed_function_is_the_same_training_and_other_counts_are_not(place: Path) -> None:
    before = declared(place)
    del sys.modules["my_own"]
    (place / "my_own.py").write_text(MODULE + "\n# mended\n")
    after = declared(place)
    assert after.code != before.code
    assert after.fingerprint() == before.fingerprint()
    assert own_training("my_own:train", "[5, 3]", 3).fingerprint() != before.fingerprint()
    assert own_training("my_own:train", "[5, 2]", 4).fingerprint() != before.fingerprint()


def test_fields_that_do_not_agree_are_refused() -> None:
    with pytest.raises(UserError, match="training images of 2 classes, and names or evaluated"):
        OwnTraining("a", "a:b", 3, (5, 2), class_names=("cat",))
    with pytest.raises(UserError, match="metric is 'macro_f1', for which"):
        OwnTraining("a", "a:b", 3, (5, 2), metric="macro_f1")


def test_another_file_of_the_same_name_is_not_taken_for_the_one_that_was_imported(
    place: Path,
) -> None:
    other = place / "other" / "my_own.py"
    other.parent.mkdir()
    other.write_text(MODULE)
    load_function("my_own:train", str(place))
    with pytest.raises(UserError, match=r"module my_own is .*/my_own\.py here, and not .*other/my"):
        load_function("my_own:train", str(other.parent))


def test_a_folder_of_modules_is_added_once(place: Path) -> None:
    for _ in range(2):
        load_function("my_own:train", str(place))
    assert sys.path.count(str(place)) == 1
