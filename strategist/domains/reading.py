"""Reads the files of a pack into text, JSON, TOML and records, and turns everything that can go wrong on the way into faults with a line.

Owns the mapping from parser and schema errors to places in a file. Knows no file of a pack by name.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import TypeVar, cast

from pydantic import JsonValue, ValidationError

from strategist.domains.faults import Fault
from strategist.records.base import JsonObject, Record

AnyRecord = TypeVar("AnyRecord", bound=Record)


def read_text(path: Path, faults: list[Fault], *, missing: str = "") -> str | None:
    """The file's text, or None with a fault. `missing` says what the file is for."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        faults.append(Fault(file=str(path), line=0, message="this file is missing", hint=missing))
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        faults.append(Fault(file=str(path), line=line, message="not UTF-8 text", hint="save the file as UTF-8"))
    except OSError as error:
        faults.append(Fault(file=str(path), line=0, message=f"cannot be read: {error.strerror}"))
    return None


def parse_toml(path: Path, text: str, faults: list[Fault]) -> JsonObject | None:
    """The TOML table, or None with a fault."""
    try:
        return cast(JsonObject, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        faults.append(Fault(file=str(path), line=line, message=f"not valid TOML: {error}"))
        return None


def parse_json(path: Path, text: str, faults: list[Fault], *, line: int = 1) -> JsonObject | None:
    """The JSON object in `text`, which begins at `line` of the file, or None with a fault. Keys that stand twice are faults too."""
    try:
        value = cast(JsonValue, json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant))
    except json.JSONDecodeError as error:
        message = f"not valid JSON: {error.msg} (column {error.colno})"
        faults.append(Fault(file=str(path), line=line + error.lineno - 1, message=message))
        return None
    except (ValueError, RecursionError) as error:
        faults.append(Fault(file=str(path), line=line, message=f"not valid JSON: {error}"))
        return None
    if isinstance(value, dict):
        return value
    faults.append(Fault(file=str(path), line=line, message="expected a JSON object in braces"))
    return None


def parse_record(kind: type[AnyRecord], value: JsonObject, path: Path, faults: list[Fault], *, lines: str | int) -> AnyRecord | None:
    """The record in `value`, or None with one fault per schema error.

    `lines` is the line the value stands in, or the TOML text in which to look the key up."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        places = [problem["loc"] for problem in error.errors()]
        for problem in error.errors():
            if any(len(place) > len(problem["loc"]) and place[: len(problem["loc"])] == problem["loc"] for place in places):
                continue  # the whole is only wrong because its part is
            keys = tuple(str(part) for part in problem["loc"])
            line = lines if isinstance(lines, int) else toml_line(lines, keys)
            faults.append(Fault(file=str(path), line=line, message=_explain(keys, problem["type"], problem["msg"], problem["input"])))
        return None


def toml_line(text: str, keys: tuple[str, ...]) -> int:
    """The 1-based line of the deepest key of the path that stands in the TOML text; 1 where none does."""
    table: tuple[str, ...] = ()
    best, depth = 1, 0
    for number, line in enumerate(text.splitlines(), start=1):
        header = re.match(r"\s*\[([^\[\]]+)\]", line)
        entry = re.match(r"\s*([\w.\"'-]+)\s*=", line)
        if header:
            here = table = _dotted(header[1])
        elif entry:
            here = (*table, *_dotted(entry[1]))
        else:
            continue
        if len(here) > depth and here == keys[: len(here)]:
            best, depth = number, len(here)
    return best


def _dotted(name: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in name.split("."))


def _explain(keys: tuple[str, ...], kind: str, message: str, value: object) -> str:
    where, reason = ".".join(keys), message.removeprefix("Value error, ")
    if not keys:
        return reason
    if kind == "extra_forbidden":
        return f"`{where}` is not a known key"
    if kind == "missing":
        return f"`{where}` is missing"
    shown = repr(value)
    return f"`{where}`: {reason} (got {shown if len(shown) <= 60 else shown[:57] + '...'})"


def _unique(pairs: list[tuple[str, JsonValue]]) -> JsonObject:
    keys = [key for key, _ in pairs]
    twice = next((key for index, key in enumerate(keys) if key in keys[:index]), None)
    if twice is not None:
        raise ValueError(f"the key {twice!r} stands twice")
    return dict(pairs)


def _no_constant(name: str) -> JsonValue:
    raise ValueError(f"{name} is not a JSON number")
