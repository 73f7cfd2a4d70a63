"""Tables of what a search can be made of: benchmarks, strategies, spaces and samplers."""

from collections.abc import Callable

from rich.box import SIMPLE
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.samplers.registry import SAMPLERS
from spaces import (
    BASELINES,
    CLASS_WEIGHTS,
    NAMED,
    PARAMETERS,
    SPACES,
    STRATEGIES,
    Domain,
    Float,
)
from trainer.benchmarks import BENCHMARKS


def benchmarks() -> RenderableType:
    found = table("benchmark", "network", "ratio", "classes", "images", "epochs")
    for b in BENCHMARKS.values():
        ratio = "" if b.imbalance_ratio is None else f"{b.imbalance_ratio:g}"
        numbers = (ratio, f"{b.num_classes}", f"{b.train_images:,}", f"{b.epochs}")
        found.add_row(b.name, b.network, *numbers)
    note = "ratio: images of the commonest class over those of the rarest; images: for training"
    return Group(found, Text(f"{note}. A TOML file declares your own."))


def weightings() -> RenderableType:
    found = table("weighting", "formula and source; n: images of a class")
    for name, named in NAMED.items():
        found.add_row(f"{name} *" if name in BASELINES else name, named.formula)
        found.add_row("", Text(named.source, style="dim"))
    of = ", ".join(s.name for s in SPACES.values() if {*BASELINES} <= {*s.named})
    note = f"*: a control in the spaces {of}, unless --baselines says otherwise."
    return Group(found, Text(note))


def strategies() -> RenderableType:
    found = table("strategy", "formula and source; n: images of a class, N: of all")
    for name, named in STRATEGIES.items():
        if named.strategy.kind != CLASS_WEIGHTS:
            found.add_row(name, named.formula)
            found.add_row("", Text(named.source, style="dim"))
    return Group(found, Text("Each weighting is a strategy, too."))


def spaces() -> RenderableType:
    parts: list[RenderableType] = []
    for space in SPACES.values():
        found = table("", "parameter", "values", "meaning")
        for domain in space.domains:
            parameter = PARAMETERS[domain.name]
            symbol = "" if parameter.symbol == domain.name else parameter.symbol
            found.add_row(
                symbol, domain.name, values(domain), f"{parameter.word}; {parameter.meaning}"
            )
        first = Text(f"first: {', '.join(space.named)}\n")
        parts += [Text(f"space {space.name}: {space.description}"), found, first]
    return Group(*parts)


def values(domain: Domain) -> str:
    """Return what a parameter may be, and when it acts."""
    if isinstance(domain, Float):
        text = f"{domain.low:g} to {domain.high:g}" + (" (log)" if domain.log else "")
    else:
        text = ", ".join(domain.choices)
    return f"{text}; if {domain.when[0]}={domain.when[1]}" if domain.when else text


def samplers() -> RenderableType:
    found = table("sampler", "proposes")
    for name, sampler in SAMPLERS.items():
        found.add_row(name, sampler.summary)
    return Group(
        found,
        Text(
            "auto: tpe where trials may be stopped early or a parameter has a condition, else gp."
        ),
    )


def table(*columns: str) -> Table:
    """Return an empty table; its cells are wrapped, never cut, but for the first column."""
    made = Table(box=SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    for index, name in enumerate(columns):
        made.add_column(name, no_wrap=index == 0, overflow="fold")
    return made


SECTIONS: dict[str, Callable[[], RenderableType]] = {
    "benchmarks": benchmarks,
    "weightings": weightings,
    "strategies": strategies,
    "spaces": spaces,
    "samplers": samplers,
}
