"""Text of the exported module: a fixed body with the whole family, and what was found on top.

The body of class weights is `search/export/best_weighting.py`, that of a strategy is both this and
`search/export/best_strategy.py`. An export has a docstring and constants of its own.
"""

import ast
import itertools
import json
import pprint
import re
import string
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from spaces import Weighting

_WEIGHTING = Path(__file__).with_name("best_weighting.py")
_STRATEGY = Path(__file__).with_name("best_strategy.py")

_DOCSTRING = string.Template('''\
"""Class weights for a long-tailed classifier: $description

Found by a search over class weightings. The weights are a pure function of the class counts, so
the module serves any data set, its classes in any order. It needs torch and nothing else.

    from best_weighting import compute_class_weights

    weight = compute_class_weights(class_counts, num_classes, config)
    criterion = torch.nn.CrossEntropyLoss(weight=weight)

Where it was found:
$benchmark
What it reached there:
$result
Key of the weighting on those class counts: $weighting_key (best.json has the whole story)
"""
''')


def render_module(
    weighting: Weighting,
    class_names: Sequence[str] | None,
    benchmark: Mapping[str, Any],
    result: Mapping[str, Any],
    weighting_key: str,
) -> str:
    """The text of the module; the two stories are JSON-able and appear in its docstring."""
    source = _WEIGHTING.read_text(encoding="utf-8")
    body = "".join(source.splitlines(keepends=True)[ast.parse(source).body[0].end_lineno :])
    docstring = _DOCSTRING.substitute(
        description=weighting.describe(),
        benchmark=_story(benchmark),
        result=_story(result),
        weighting_key=weighting_key,
    )
    constants = {
        "WEIGHTING": _call("Weighting", weighting.to_dict()),
        "CLASS_NAMES": _literal(None if class_names is None else tuple(class_names)),
    }
    return docstring + _with_constants(body, constants)


def strategy_body(constants: Mapping[str, str]) -> str:
    """The text of a strategy's module below its docstring: both files, with these constants."""
    weighting, strategy = _parts(_WEIGHTING), _parts(_STRATEGY)
    body = (
        _import_block({*weighting.imports, *strategy.imports}),
        weighting.before,
        strategy.before,
        strategy.main,
        strategy.after,
        weighting.after,
    )
    return _with_constants("\n\n\n".join(body) + "\n", constants)


class _Parts(NamedTuple):
    """Text of a file: imports of other packages, and what is before and after its main function."""

    imports: list[str]
    before: str
    main: str
    after: str


def _parts(path: Path) -> _Parts:
    source = path.read_text(encoding="utf-8")
    lines, nodes = source.splitlines(keepends=True), ast.parse(source).body
    imports = [node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
    main = next(node for node in nodes if isinstance(node, ast.FunctionDef))
    edges = (imports[-1].end_lineno, main.lineno - 1, main.end_lineno, None)
    texts = ["".join(lines[start:end]).strip("\n") for start, end in itertools.pairwise(edges)]
    statements = [ast.unparse(node) for node in imports]
    return _Parts([line for line in statements if not line.startswith("from search.")], *texts)


def _import_block(statements: Collection[str]) -> str:
    """Statements as ruff sorts them."""
    own = {line for line in statements if line.split()[1].startswith("torch")}
    first = {line for line in statements if line.startswith("from __future__")}
    groups = (first, {*statements} - own - first, own)
    texts = ("\n".join(sorted(group, key=lambda s: (s[0] == "f", s))) for group in groups)
    return "\n\n".join(texts)


def _literal(value: object) -> str:
    return (
        json.dumps(value) if isinstance(value, str) else pprint.pformat(value, 1, 96, compact=True)
    )


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


def _story(facts: Mapping[str, Any]) -> str:
    """The plain facts, a line each; lists and tables are in best.json alone."""
    plain = {k: v for k, v in facts.items() if isinstance(v, str | int | float)}
    lines = "\n".join(f"    {name}: {json.dumps(value)}" for name, value in plain.items())
    # Backslashes and triple quotes of the caller's text would end or change the docstring.
    return lines.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
