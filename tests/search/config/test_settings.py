"""The settings of a search, and those that are refused."""

import dataclasses
import json

import pytest
from twin import make_settings

from search.api.planning import chosen_resources, chosen_settings
from search.config.request import Request
from search.config.settings import Resources, Settings
from search.samplers.registry import KNOWLEDGE_GRADIENT
from spaces import SPACES, Space
from spaces.errors import UserError
from spaces.validation import checked
from trainer.benchmarks import BENCHMARKS

OTHERS: dict[str, object] = {
    "benchmarks": ("fedcba9876543210",),
    "space": "full",
    "sampler": "tpe",
    "early_stopping": "none",
    "grace_epochs": 2,
    "reduction_factor": 3,
    "seed": 8,
    "precision": "bf16",
    "baselines": ("uniform",),
    "compiled": True,
    "prior": ("earlier:0123456789abcdef",),
}
"""For every setting a value that ``make_settings`` does not choose."""


def make_resources(**changes: object) -> Resources:
    fields: dict[str, object] = {
        "cpus": 1,
        "gpu": True,
        "slots": None,
        "concurrent": None,
        "address": None,
    }
    return Resources(**(fields | changes))


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    (
        (
            "space",
            "cores",
            "space is 'cores' (did you mean 'core'?); it must be one of core, full",
        ),
        ("sampler", "TPE", "sampler is 'TPE'; it must be one of tpe, gp, cmaes, random, qmc"),
        ("sampler", "auto", "sampler is 'auto'; it must be one of tpe,"),
        ("early_stopping", "", "early_stopping is ''; it must be one of asha, auto, none"),
        ("precision", "fp8", "precision is 'fp8'; it must be one of "),
        (
            "baselines",
            ("uniform", "focal"),
            "baselines is 'focal' (did you mean 'cb_focal'?); each must be one of ce, uniform,",
        ),
        ("baselines", ("uniform", "uniform"), "baselines is uniform,uniform; name each one once"),
        ("grace_epochs", 0, "grace_epochs is 0; it must be at least 1"),
        ("reduction_factor", 1, "reduction_factor is 1; it must be at least 2"),
        ("seed", 1.0, "seed is 1.0; it must be a whole number"),
        ("benchmarks", (), "benchmarks is (); it must be a list of at least 1"),
        (
            "prior",
            ("earlier:0123456789abcdef",),
            "prior is earlier, which is for sampler knowledge-gradient, and sampler is random;",
        ),
        ("prior", ("earlier",), "prior[0] is 'earlier'; it must be NAME:DIGEST"),
        ("seeds", 1, "seeds is not known (did you mean 'seed'?)"),
        ("seed", -1, "seed is -1; it must be at least 0"),
        ("seed", 2**63, f"seed is {2**63}; it must be at most {2**63 - 1}"),
    ),
)
def test_a_setting_out_of_range_is_refused(name: str, value: object, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        checked(Settings, make_settings().to_dict() | {name: value})
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    (
        ("cpus", 0, "cpus is 0; it must be at least 1"),
        ("slots", 0, "slots is 0; it must be at least 1"),
        ("slots", 10_001, "slots is 10001; it must be at most 10000"),  # a share of 0
        ("concurrent", 0, "concurrent is 0; it must be at least 1"),
    ),
)
def test_resources_out_of_range_are_refused(name: str, value: object, sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        checked(Resources, dataclasses.asdict(make_resources()) | {name: value})
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    (
        (
            {"space": "strategies"},
            "sampler is knowledge-gradient, whose model knows class weights alone, and space "
            "'strategies' has more; take space core or full, or take one of the samplers tpe, gp,",
        ),
        (
            {"baselines": ("uniform", "drw")},
            "baselines is uniform,drw, and the model of sampler knowledge-gradient knows class "
            "weights alone; leave out drw, or take one of the samplers tpe",
        ),
        (
            {"early_stopping": "asha"},
            "early_stopping is asha, and the model of sampler knowledge-gradient learns from "
            "full-length trials alone; give auto, which is none for it, or take one of",
        ),
    ),
)
def test_what_the_model_of_gradient_shares_does_not_know_is_refused(
    changes: dict[str, object], sentence: str
) -> None:
    plain = {"sampler": KNOWLEDGE_GRADIENT, "early_stopping": "none"}
    assert make_settings(**plain).early_stopping == "none"
    with pytest.raises(UserError) as caught:
        checked(Settings, make_settings().to_dict() | plain | changes)
    assert str(caught.value).startswith(sentence)


def test_a_search_over_several_benchmarks_needs_uniform() -> None:
    both = make_settings().to_dict() | {"benchmarks": ("0123456789abcdef", "fedcba9876543210")}
    assert checked(Settings, both).baselines[0] == "uniform"
    with pytest.raises(UserError, match="baselines is inverse; a search over several benchmarks"):
        checked(Settings, both | {"baselines": ("inverse",)})


def test_auto_stops_no_trial_of_the_knowledge_gradient() -> None:
    request = Request(("resnet8-digitslt",), sampler=KNOWLEDGE_GRADIENT)
    benchmarks = (BENCHMARKS["resnet8-digitslt"],)
    assert chosen_settings(request, benchmarks, ("uniform",)).early_stopping == "none"


def test_slots_without_a_gpu_are_refused() -> None:
    sentence = r"slots is 2, but trials train on the CPU.*\(confirm does with --device cpu\)"
    with pytest.raises(UserError, match=sentence):
        checked(Resources, dataclasses.asdict(make_resources()) | {"gpu": False, "slots": 2})


def test_cuda_on_a_machine_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request(("resnet8-digitslt",), device="cuda")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert chosen_resources(request).gpu
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(UserError, match="--device is cuda, but torch sees no GPU here"):
        chosen_resources(request)


def test_settings_go_through_json_and_back() -> None:
    settings = make_settings()
    again = checked(Settings, json.loads(json.dumps(settings.to_dict())))
    assert again == settings
    assert again.fingerprint() == settings.fingerprint()
    assert again.differences(settings) == []


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings)])
def test_every_setting_is_part_of_the_identity(name: str) -> None:
    base = {"sampler": KNOWLEDGE_GRADIENT, "early_stopping": "none"} if name == "prior" else {}
    mine, theirs = make_settings(**base), make_settings(**base | {name: OTHERS[name]})
    assert mine.fingerprint() != theirs.fingerprint()
    assert mine.to_dict().get(name) != theirs.to_dict()[name]
    difference = f"{name}: {getattr(mine, name)} -> {getattr(theirs, name)}"
    assert mine.differences(theirs) == [difference]


def test_the_declaration_of_the_space_is_part_of_the_identity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = make_settings().fingerprint()
    core = SPACES["core"]
    wider = dataclasses.replace(core.domains[0], high=2.0)
    monkeypatch.setitem(SPACES, "core", Space("core", (wider, *core.domains[1:]), ""))
    assert make_settings().fingerprint() != before


def test_the_same_settings_have_the_same_fingerprint_in_every_process() -> None:
    assert make_settings().fingerprint() == "80420c6a3ae6a0ab"
