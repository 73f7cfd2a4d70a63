"""Text of the exported module: a fixed body with the whole family, and a point on top.

The body is `search/export/best_weighting.py`, of which an export has a docstring of its own and the
constants of its point.
"""

import ast
import json
import pprint
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from spaces import Weighting

_SOURCE = Path(__file__).with_name("best_weighting.py")

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
    source = _SOURCE.read_text(encoding="utf-8")
    body = "".join(source.splitlines(keepends=True)[ast.parse(source).body[0].end_lineno :])
    for field in fields(weighting):
        body = _with_constant(body, field.name.upper(), getattr(weighting, field.name))
    names = None if class_names is None else tuple(class_names)
    docstring = _DOCSTRING.substitute(
        description=weighting.describe(),
        benchmark=_story(benchmark),
        result=_story(result),
        weighting_key=weighting_key,
    )
    return docstring + _with_constant(body, "CLASS_NAMES", names)


def _with_constant(body: str, name: str, value: object) -> str:
    """The body with another value of the constant `name`, which it defines once."""
    literal = pprint.pformat(value, width=96, compact=True)
    definition = re.compile(rf"^({name}: [^=\n]* = )\S+", re.MULTILINE)
    changed, found = definition.subn(lambda match: match[1] + literal, body)
    assert found == 1
    return changed


def _story(facts: Mapping[str, Any]) -> str:
    """The plain facts, a line each; lists and tables are in best.json alone."""
    plain = {k: v for k, v in facts.items() if isinstance(v, str | int | float)}
    lines = "\n".join(f"    {name}: {json.dumps(value)}" for name, value in plain.items())
    # Backslashes and triple quotes of the caller's text would end or change the docstring.
    return lines.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
