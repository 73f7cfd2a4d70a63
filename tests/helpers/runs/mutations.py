"""Mutations of run folders: what damage or malice may make of their files.

Every choice is a number that ``pick`` gives, so that chance or hypothesis makes it.
"""

import copy
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from documents import NUMBERS, OTHERS, TEXTS, Place, at, read, walk, write

Pick: TypeAlias = Callable[[int], int]
"""Returns a number from 0 to below the given one."""

LINES = (b"", b"{}", b"[]", b"7", b"\xff\xfe\x00", b"{" * 3_000, b'{"a":1}' * 300_000, b"\r\n\x1b")


def mutate(folder: Path, elsewhere: Path, pick: Pick) -> str:
    """Damage the files of a run in one to three ways, and say how.

    ``elsewhere`` is a folder that links may lead to.
    """
    return "; ".join(_mutate_once(folder, elsewhere, pick) for _ in range(1 + pick(6) // 4))


def _mutate_once(folder: Path, elsewhere: Path, pick: Pick) -> str:
    ways = (
        *(_content, _content, _field, _field, _field, _field, _everywhere, _everywhere),
        *(_lines, _lines, _resized, _resized, _again, _again, _removed, _replaced, _bytes),
    )
    return ways[pick(len(ways))](folder, elsewhere, pick)


def _files(folder: Path, *patterns: str) -> list[Path]:
    return sorted(path for p in patterns for path in folder.glob(p) if path.is_file())


def _chosen(folder: Path, pick: Pick) -> Path | None:
    """Choose a file of JSON: the settings, the record and a trial's epochs are as likely."""
    patterns = ("settings.json", "record.jsonl", "study.journal", "attempts.jsonl")
    groups = [*((p,) for p in patterns), ("trials/*.jsonl",), ("best.json", "lease.json")]
    found = [paths for group in groups if (paths := _files(folder, *group))]
    if not found:
        return None
    paths = found[pick(len(found))]
    return paths[pick(len(paths))]


def _content(folder: Path, elsewhere: Path, pick: Pick) -> str:
    """Change one place of a file of JSON."""
    path = _chosen(folder, pick)
    if path is None:
        return "nothing is left"
    documents = read(path)
    if not documents:
        return f"{path.name} has no content"
    number = pick(len(documents))
    said = _change(documents, number, pick)
    write(path, documents)
    return f"{path.relative_to(folder)}[{number}]{said}"


def _everywhere(folder: Path, elsewhere: Path, pick: Pick) -> str:
    """Give all values of one key in a file, or in all, the same other one, so that they agree."""
    path = _chosen(folder, pick)
    if path is None:
        return "nothing is left"
    tables = (value for _, value in walk(read(path)) if isinstance(value, dict))
    keys = sorted({key for table in tables for key in table})
    if not keys:
        return f"{path.name} has no keys"
    key, value = keys[pick(len(keys))], _value(pick)
    for other in _files(folder, "*.json*", "trials/*.jsonl") if pick(2) else [path]:
        documents = read(other)
        for _, table in walk(documents):
            if isinstance(table, dict) and key in table:
                table[key] = copy.deepcopy(value)
        write(other, documents)
    return f"every {key!r} like that of {path.name} = {_short(value)}"


def _field(folder: Path, elsewhere: Path, pick: Pick) -> str:
    """Change a value of a field; all fields of a file are as likely, and fitting values."""
    path = _chosen(folder, pick)
    if path is None:
        return "nothing is left"
    documents = read(path)
    fields: dict[Place, list[Place]] = {}
    for place in (place for place, _ in walk(documents) if place):
        name = tuple(step for step in place if isinstance(step, str))
        fields.setdefault(name, []).append(place)
    if not fields:
        return f"{path.name} has no fields"
    places = list(fields.values())[pick(len(fields))]
    place = places[pick(len(places))]
    holder = at(documents, place[:-1])
    value = holder[place[-1]]
    way = pick(4)
    if way == 0:
        value = copy.deepcopy(at(documents, places[pick(len(places))]))
    elif way == 1 and isinstance(value, int | float) and not isinstance(value, bool):
        value = (value + 1, value - 1, value * 2, value * 10, -value)[pick(5)]
    elif way == 2:
        value = NUMBERS[pick(len(NUMBERS))]
    else:
        value = _value(pick)
    holder[place[-1]] = value
    write(path, documents)
    return f"{path.relative_to(folder)} {'/'.join(map(str, place))} = {_short(value)}"


def _resized(folder: Path, elsewhere: Path, pick: Pick) -> str:
    """Give all lists of one length in a file, or in all, another one: there are fewer classes."""
    path = _chosen(folder, pick)
    if path is None:
        return "nothing is left"
    lengths = sorted({len(values) for values in lists_in(read(path)) if values})
    if not lengths:
        return f"{path.name} has no lists"
    old, way = lengths[pick(len(lengths))], pick(4)
    new = (old - 1, old + 1, 1, 2 * old)[way]
    for other in _files(folder, "*.json*", "trials/*.jsonl") if pick(2) else [path]:
        documents = read(other)
        for values in lists_in(documents):
            if len(values) == old:
                values[:] = (values * 2)[:new]
        write(other, documents)
    return f"lists of {old} like those of {path.name} have {new}"


def _again(folder: Path, elsewhere: Path, pick: Pick) -> str:
    """Put a trial on record a second time, under the next number of its study or of another."""
    path = folder / "record.jsonl"
    facts = read(path)
    keys = _trials(facts)
    if not keys:
        return "there is no trial"
    key = keys[pick(len(keys))]
    studies = ("baselines", "proposals", "confirmation", "holdout")
    study = studies[pick(4)] if pick(2) else key.split("-")[0]
    number = sum(known.startswith(study) for known in keys)
    new = f"{study}-{number:05d}"
    write(path, facts + [_renamed(fact, key, new) for fact in facts if _trial_of(fact) == key])
    for file in _files(folder, f"trials/{key}*.jsonl"):
        shutil.copy(file, file.with_name(file.name.replace(key, new)))
    return f"{key} again as {new}"


def _removed(folder: Path, elsewhere: Path, pick: Pick) -> str:
    """Take a trial off record, or one kind of its facts; those behind it get its number."""
    path = folder / "record.jsonl"
    facts = read(path)
    keys = _trials(facts)
    if not keys:
        return "there is no trial"
    key = keys[pick(len(keys))]
    kinds = ("asked", "ended", "rung", "refused")
    kind = kinds[pick(4)] if pick(2) else None
    kept = [f for f in facts if _trial_of(f) != key or (kind and kind not in f)]
    if kind is None:
        study, number = key.split("-")
        for later in range(int(number) + 1, 1000):
            names = f"{study}-{later:05d}", f"{study}-{later - 1:05d}"
            kept = [_renamed(fact, *names) for fact in kept]
    write(path, kept)
    return f"{key} without {kind or 'all'}"


def _lines(folder: Path, elsewhere: Path, pick: Pick) -> str:
    """Drop, double, swap or cut lines, or put strange ones in; those of the record are sealed."""
    files = _files(folder, "*.jsonl", "trials/*.jsonl", "study.journal")
    if not files:
        return "no lines are left"
    path = files[pick(len(files))] if pick(2) else files[0]
    lines: list[Any] = read(path)
    ways = ("drop", "double", "swap", "cut", "reverse", "repeat")
    way = ways[pick(len(ways))]
    if not lines:
        return f"{path.name} has no lines"
    i, j = pick(len(lines)), pick(len(lines))
    if way == "drop":
        del lines[i : j + 1]
    elif way == "double":
        lines.insert(i, copy.deepcopy(lines[j]))
    elif way == "swap":
        lines[i], lines[j] = lines[j], lines[i]
    elif way == "cut":
        del lines[i:]
    elif way == "reverse":
        lines.reverse()
    else:
        lines += copy.deepcopy(lines)
    write(path, lines)
    return f"{path.relative_to(folder)}: {way} {i} {j}"


def _replaced(folder: Path, elsewhere: Path, pick: Pick) -> str:
    """Put something else in the place of a file or a folder."""
    names = ("lock", "lease.json", "log.txt", "best_weighting.py", "best.json", "report.html")
    made = ("settings.json", "attempts.jsonl", "trials", "checkpoints", "ray", "record.jsonl")
    places = [*(folder / n for n in names + made), *_files(folder, "trials/*.jsonl")]
    path = places[pick(len(places))]
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = ("nothing", "folder", "link out", "link in", "loop", "pipe", "empty", "unreadable")
    kind = kinds[pick(len(kinds))]
    if kind == "folder":
        (path / "within").mkdir(parents=True)
    elif kind == "link out":
        path.symlink_to(elsewhere / "file")
    elif kind == "link in":
        path.symlink_to(folder / ("settings.json" if pick(2) else "trials"))
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind in ("empty", "unreadable"):
        path.touch()
        path.chmod(0o600 if kind == "empty" else 0)
    return f"{path.relative_to(folder)} = {kind}"


def _bytes(folder: Path, elsewhere: Path, pick: Pick) -> str:
    """Change bytes of a file: cut it, put a strange line in, or change one."""
    files = _files(folder, "*", "trials/*.jsonl")
    if not files:
        return "no file is left"
    path = files[pick(len(files))]
    content = path.read_bytes()
    place = pick(len(content) + 1)
    way = pick(4)
    if way == 0:
        content = content[:place]
    elif way == 1:
        content = content[:place] + bytes([pick(256)]) + content[place + 1 :]
    else:
        line = LINES[pick(len(LINES))]
        place = content.rfind(b"\n", 0, place) + 1
        content = content[:place] + line + (b"\n" if way == 2 else b"") + content[place:]
    path.write_bytes(content)
    return f"{path.relative_to(folder)}: bytes {way} at {place}"


def _change(documents: list[Any], number: int, pick: Pick) -> str:
    """Change one place of a document, whatever is there, and say which and how."""
    holder: Any = documents
    key: Any = number
    said = ""
    while isinstance(here := holder[key], dict | list) and here and pick(8):
        places = list(here) if isinstance(here, dict) else list(range(len(here)))
        holder, key = here, places[pick(len(places))]
        said += f".{key}" if isinstance(here, dict) else f"[{key}]"
    ways = ("value", "value", "number", "number", "delete", "double", "swap", "rename")
    way = ways[pick(len(ways))]
    if way == "value":
        holder[key] = value = _value(pick)
        return f"{said} = {_short(value)}"
    if way == "number":
        holder[key] = value = NUMBERS[pick(len(NUMBERS))]
        return f"{said} = {_short(value)}"
    if way == "delete" and holder is not documents:
        del holder[key]
    elif way == "double" and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif way == "double":
        holder[f"{key}2"] = copy.deepcopy(holder[key])
    elif way == "swap":
        places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        other = places[pick(len(places))]
        holder[key], holder[other] = holder[other], holder[key]
        way = f"swap with {other}"
    elif isinstance(holder, dict):
        holder[TEXTS[pick(len(TEXTS))]] = holder.pop(key)
    return f"{said}: {way}"


def _value(pick: Pick) -> Any:
    kinds = (NUMBERS, TEXTS, OTHERS)
    values: tuple[Any, ...] = kinds[pick(len(kinds))]
    return copy.deepcopy(values[pick(len(values))])


def _trials(facts: list[Any]) -> list[str]:
    return sorted({key for fact in facts if (key := _trial_of(fact))})


def _trial_of(fact: Any) -> str | None:
    """Return the key of the trial that a fact is of."""
    contents = fact.values() if isinstance(fact, dict) else ()
    found = [c["trial"] for c in contents if isinstance(c, dict) and "trial" in c]
    return found[0] if found and isinstance(found[0], str) and "-" in found[0] else None


def _renamed(fact: Any, old: str, new: str) -> Any:
    """Return a fact with the trial of another key."""
    if _trial_of(fact) != old:
        return fact
    return {kind: content | {"trial": new} for kind, content in fact.items()}


def lists_in(documents: list[Any]) -> Iterator[list[Any]]:
    """Yield the lists in documents, the outer ones first."""
    places = (value for document in documents for _, value in walk(document))
    return (value for value in places if isinstance(value, list))


def _short(value: Any) -> str:
    text = ascii(value)
    return text if len(text) < 60 else f"{text[:50]}..."
