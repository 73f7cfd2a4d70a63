"""Content read by a dataclass's declaration: what is read, and the sentence on what is refused."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen

from spaces.errors import UserError
from spaces.validation import OneOf, Rule, checked

SPLIT = Rule("a share, or a folder in quotes", lambda v: isinstance(v, str) or 0 <= v < 1)


@dataclass(frozen=True)
class Images:
    split: Annotated[float | str, SPLIT] | None = None
    either: float | bool = 0.0
    mean: tuple[float, ...] = ()


@dataclass(frozen=True)
class Job:
    name: Annotated[str, Rule("letters", str.isalpha)]
    epochs: Annotated[int, Ge(1), Le(200)]
    rate: Annotated[float, Gt(0), Lt(1)] | None = None
    space: Annotated[str, OneOf({"core": 1, "full": 2})] = "core"
    flip: bool = False
    images: Images = Images()
    more: tuple[Images, ...] = ()
    kind: Literal["test", "validation"] = "test"
    note: Annotated[str, MinLen(1), MaxLen(4)] = "-"
    counts: dict[str, Annotated[int, Ge(0)]] = field(default_factory=dict)
    halves: Annotated[tuple[int, ...], MinLen(2), MaxLen(2)] = (0, 0)
    pair: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        if self.epochs == 13:
            raise UserError("13 is refused by the dataclass itself")


def deep(levels: int) -> list[Any]:
    content: list[Any] = []
    for _ in range(levels):
        content = [content]
    return content


VALID: dict[str, Any] = {"name": "a", "epochs": 1}


def test_lists_become_tuples_and_tables_dataclasses() -> None:
    more = [{"split": 0.2, "mean": [0, 1]}, {"split": "x"}]
    content = VALID | {"rate": 0.1, "more": more, "counts": {"q": 3}, "halves": (1, 2)}
    job = checked(Job, content)
    assert job.more == (Images(0.2, 0.0, (0.0, 1.0)), Images("x"))
    assert (job.rate, job.counts, job.halves) == (0.1, {"q": 3}, (1, 2))
    numpys = {"epochs": np.int64(3), "rate": np.float32(0.5), "flip": np.bool_(True)}
    assert checked(Job, VALID | numpys) == Job("a", 3, 0.5, flip=True)
    assert checked(Job, VALID) == Job("a", 1)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    (
        ({"epochs": 0}, "epochs is 0; it must be at least 1"),
        ({"epochs": 201}, "epochs is 201; it must be at most 200"),
        ({"epochs": 1.5}, "epochs is 1.5; it must be a whole number"),
        ({"epochs": 1.0}, "epochs is 1.0; it must be a whole number"),
        ({"epochs": True}, "epochs is True; it must be a whole number"),
        ({"epochs": "1"}, "epochs is '1'; it must be a whole number"),
        ({"epochs": 13}, "13 is refused by the dataclass itself"),
        ({"rate": 0}, "rate is 0; it must be above 0"),
        ({"rate": 1}, "rate is 1; it must be below 1"),
        ({"rate": "1"}, "rate is '1'; it must be a number"),
        ({"rate": math.nan}, "rate is nan; it must be a finite number"),
        ({"rate": -math.inf}, "rate is -inf; it must be a finite number"),
        ({"flip": 1}, "flip is 1; it must be true or false"),
        ({"name": 3}, "name is 3; it must be letters"),
        ({"name": "a1"}, "name is 'a1'; it must be letters"),
        ({"space": "cores"}, "space is 'cores' (did you mean 'core'?); it must be one of core, fu"),
        ({"kind": "x"}, "kind is 'x'; it must be 'test' or 'validation'"),
        ({"note": ""}, "note is ''; it must be text of at least 1 characters"),
        ({"note": "\x1b" * 99}, r"note is '\x1b"),
        ({"note": object()}, "note is <object object at"),
        ({"images": 3}, "images is 3; it must be a table of keys and values"),
        ({"images": {"split": True}}, "images.split is True; it must be a share, or a folder in"),
        ({"images": {"either": "x"}}, "images.either is 'x'; it must be a number or true or false"),
        ({"images": {"mean": [0, "x"]}}, "images.mean[1] is 'x'; it must be a number"),
        ({"images": {"splt": 0}}, "images.splt is not known (did you mean 'split'?); known are sp"),
        ({"more": [{}, {"x": 0}]}, "more[1].x is not known; known are split, either, mean"),
        ({"counts": {"q": -1}}, "counts.q is -1; it must be at least 0"),
        ({"halves": [1, 2, 3]}, "halves is [1, 2, 3]; it must be a list of at most 2"),
        ({"pair": [1]}, "pair[1] is missing; add it"),
        ({"pair": [1, 2, 3]}, "pair is [1, 2, 3]; it must be a list of at most 2"),
        ({"halves": [1]}, "halves is [1]; it must be a list of at least 2"),
        ({"\x1b[2J": 3}, r"\x1b[2J is not known; known are name, epochs, rate"),
        ({"epoch": 3}, "epoch is not known (did you mean 'epochs'?); known are name, epochs, rate"),
    ),
)
def test_the_first_broken_rule_is_told_with_name_value_and_remedy(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        checked(Job, VALID | changes)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("content", "sentence"),
    (
        ({"epochs": 1}, "job.toml: name is missing; add letters"),
        ({"name": "a", "epoch": 1}, "job.toml: epoch is not known .did you mean 'epochs'.."),
        ({"name": "a"}, "job.toml: epochs is missing; add a whole number"),
        (
            VALID | {"note": "\ud800"},
            r"job.toml: note is '.ud800'; it must be text that UTF-8 can hold\Z",
        ),
        (VALID | {"counts": {"\udcff": 1}}, "job.toml: counts is '.udcff'; it must be text that"),
        (VALID | {"more": [{}, {"split": "\udcff"}]}, r"job.toml: more.1..split is '.udcff'; it"),
        (deep(100_000), "job.toml: it is nested too deeply; it must be"),
        (deep(300), "job.toml: it is .*; it must be JSON without a fault .*recursion"),
        ([1], "job.toml: it is [1]; it must be a table of keys and values"),
        (None, "job.toml: it is None; it must be a table of keys and values"),
    ),
)
def test_content_that_lacks_a_field_or_is_no_table_is_refused(
    content: object, sentence: str
) -> None:
    with pytest.raises(UserError, match=r"\A" + sentence.replace("[1]", r"\[1\]")):
        checked(Job, content, "job.toml")


def test_the_error_is_the_callers() -> None:
    class JobError(UserError):
        pass

    with pytest.raises(JobError, match=r"\Aepochs is 0; it must be at least 1\Z"):
        checked(Job, VALID | {"epochs": 0}, error=JobError)
