"""Text of the exported module: a fixed body with the whole family, and what was found on top.

The body of class weights is `search/export/best_weighting.py`, that of a strategy is both this and
`search/export/best_strategy.py`, and of `search/export/parts` what it has: a curriculum, a cosine
classifier. An export has a docstring and constants of its own.
"""

import ast
import itertools
import json
import pprint
import re
import string
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from search.export.strategy_facts import requirements
from spaces import Curriculum, Strategy

_WEIGHTING = Path(__file__).with_name("best_weighting.py")
_STRATEGY = Path(__file__).with_name("best_strategy.py")
_CURRICULUM = Path(__file__).with_name("parts") / "best_curriculum.py"
_COSINE = Path(__file__).with_name("parts") / "best_cosine.py"

_OF_WEIGHTS = string.Template('''\
"""Class weights for a long-tailed classifier.

$description

Found by a search over class weightings. The weights are a pure function of the class counts, so
the module serves any data set, its classes in any order. It needs torch 2.0 and Python 3.10, or
newer, and nothing else.

    from best_weighting import compute_class_weights

    weight = compute_class_weights(class_counts, num_classes, config)
    criterion = torch.nn.CrossEntropyLoss(weight=weight)

Where it was found:
$benchmark
What it reached there:
$result
Key of the weighting on those class counts: $key (best.json has the whole story)
"""
''')
_OF_STRATEGY = string.Template('''\
"""Training strategy for a long-tailed classifier.

$description

Class weights alone do not reproduce its accuracy. It needs
$requirements

Found by a search over training strategies. Weights, draws and losses follow from the class counts
and the epoch alone, so that the module serves any data set, its classes in any order. It needs
torch 2.0 and Python 3.10, or newer, and nothing else.

    from best_strategy import EpochSampler, adjust, adjust_classifier, loss_at

    sampler = EpochSampler(labels, epochs)
    loader = torch.utils.data.DataLoader(images, batch_size=128, sampler=sampler)
    for epoch in range(1, epochs + 1):
        sampler.set_epoch(epoch)
        criterion = loss_at(class_counts, epoch, epochs)
        ...
    network.linear = adjust_classifier(network.linear)
    classes = adjust(network(batch), class_counts).argmax(1)

Where it was found:
$benchmark
What it reached there:
$result
Key of the strategy on those class counts: $key (best.json has the whole story)
"""
''')

BEGINNINGS = tuple(t.template.partition(".")[0].encode() for t in (_OF_WEIGHTS, _OF_STRATEGY))
"""What the modules of all exports begin with."""


def render_module(
    strategy: Strategy,
    class_names: Sequence[str] | None,
    benchmark: Mapping[str, Any],
    result: Mapping[str, Any],
    key: str,
) -> str:
    """The text of the module; the two stories are JSON-able and appear in its docstring."""
    static = strategy.is_static
    described = strategy.describe()
    docstring = (_OF_WEIGHTS if static else _OF_STRATEGY).substitute(
        description=_lines(described if static else f"{described} (kind: {strategy.kind})"),
        requirements="\n".join(_lines(words, "    - ") for words in requirements(strategy)),
        benchmark=_story(benchmark),
        result=_story(result),
        key=key,
    )
    constants = {
        "WEIGHTING": _call("Weighting", strategy.weighting.to_dict()),
        "CLASS_NAMES": _literal(None if class_names is None else tuple(class_names)),
    }
    if static:
        return docstring + _with_constants(_weighting_body(), constants)
    constants |= _parts_of(strategy)
    more = [_COSINE] if strategy.head == "cosine" else []
    if strategy.curriculum != Curriculum():
        constants |= _curriculum_of(strategy.curriculum)
        more.append(_CURRICULUM)
    return docstring + _with_constants(_strategy_body(*more), constants)


def _parts_of(strategy: Strategy) -> dict[str, str]:
    """The text of the constants of `best_strategy.py`."""
    weights, sampling = strategy.weights, strategy.sampling
    numbers = asdict(strategy.logits) | {
        "smoothing_head": strategy.smoothing.head,
        "smoothing_tail": strategy.smoothing.tail,
        "focusing": strategy.focusing,
        "adjustment": strategy.adjustment,
        "tau_norm": strategy.tau_norm,
    }
    return {
        "WEIGHTS_RAMP": _call("Ramp", weights.ramp.to_dict()),
        "WEIGHTS_MIX": _literal(weights.mix),
        "SAMPLING": _call("Weighting", sampling.weighting.to_dict()),
        "SAMPLING_RAMP": _call("Ramp", sampling.ramp.to_dict()),
        "SAMPLING_MIX": _literal(sampling.mix),
        "DRAW": _literal(sampling.draw),
        **{name.upper(): _literal(number) for name, number in numbers.items()},
    }


def _curriculum_of(curriculum: Curriculum) -> dict[str, str]:
    """The text of the constants of `best_curriculum.py`."""
    return {
        "ORDER": _literal(curriculum.order),
        "DIFFICULTY": _literal(curriculum.difficulty),
        "OPEN_SHARE": _call("Ramp", curriculum.pacing.to_dict()),
    }


def _weighting_body() -> str:
    """The text of a module of class weights, below its docstring."""
    source = _WEIGHTING.read_text(encoding="utf-8")
    return "".join(source.splitlines(keepends=True)[ast.parse(source).body[0].end_lineno :])


def _strategy_body(*more: Path) -> str:
    """The text of a strategy's module, below its docstring: both files, and more, in one."""
    weighting, strategy, *others = map(_cut, (_WEIGHTING, _STRATEGY, *more))
    body = (
        _import_block({line for cut in (weighting, strategy, *others) for line in cut.imports}),
        weighting.before,
        strategy.before,
        *(cut.before for cut in others),
        strategy.main,
        strategy.after,
        weighting.after,
        *(text for cut in others for text in (cut.main, cut.after)),
    )
    return "\n" + "\n\n\n".join(filter(None, body)) + "\n"


class _Cut(NamedTuple):
    """Text of a file: imports of other packages, and what is before and after its main function.

    Without a function, its last class is the main one.
    """

    imports: list[str]
    before: str
    main: str
    after: str


def _cut(path: Path) -> _Cut:
    source = path.read_text(encoding="utf-8")
    lines, nodes = source.splitlines(keepends=True), ast.parse(source).body
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    main = next((node for node in nodes if isinstance(node, ast.FunctionDef)), nodes[-1])
    edges = (imports[-1].end_lineno, main.lineno - 1, main.end_lineno, None)
    texts = ["".join(lines[start:end]).strip("\n") for start, end in itertools.pairwise(edges)]
    statements = [ast.unparse(node) for node in imports]
    return _Cut([line for line in statements if not line.startswith("from search.")], *texts)


def _import_block(statements: Collection[str]) -> str:
    """Statements as ruff sorts them, one for each module."""
    names: dict[str, set[str]] = {}
    for line in statements:
        module, _, imported = line.partition(" import ")
        names.setdefault(module, set()).update(imported.split(", "))
    merged = {" import ".join(filter(None, (m, ", ".join(sorted(n))))) for m, n in names.items()}
    own = {line for line in merged if line.split()[1].startswith("torch")}
    first = {line for line in merged if line.startswith("from __future__")}
    groups = (first, merged - own - first, own)
    texts = ("\n".join(sorted(group, key=lambda s: (s[0] == "f", s))) for group in groups)
    return "\n\n".join(texts)


def _literal(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    return pprint.pformat(value, width=96, compact=True)


def _call(name: str, values: Mapping[str, object]) -> str:
    """The text of a call with keywords, each on a line of its own where there are several."""
    given = [f"{keyword}={_literal(value)}" for keyword, value in values.items()]
    if len(given) < 2:
        return f"{name}({''.join(given)})"
    return f"{name}(\n" + "".join(f"    {keyword},\n" for keyword in given) + ")"


def _with_constants(body: str, constants: Mapping[str, str]) -> str:
    """The body with other values of constants, each of which it defines once."""
    for name, literal in constants.items():
        definition = re.compile(rf"^({name}: [^=\n]* = )\S+", re.MULTILINE)
        body, found = definition.subn(r"\g<1>" + literal.replace("\\", r"\\"), body)
        assert found == 1, name
    return body


def _lines(text: str, mark: str = "") -> str:
    """A paragraph of the docstring, the first line of which begins with a mark."""
    rest = " " * len(mark)
    return textwrap.fill(text, 99, initial_indent=mark, subsequent_indent=rest)


def _story(facts: Mapping[str, Any]) -> str:
    """The plain facts, a line each; lists and tables are in best.json alone."""
    plain = {k: v for k, v in facts.items() if isinstance(v, str | int | float)}
    lines = "\n".join(f"    {name}: {json.dumps(value)}" for name, value in plain.items())
    # Backslashes and triple quotes of the caller's text would end or change the docstring.
    return lines.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
