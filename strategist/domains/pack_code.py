"""Runs the Python files of a pack, checks.py and tools.py, and finds the line in them that something went wrong in.

A file is loaded by path under a module name made of its place and its content, so that two packs never meet and an edited file is loaded
anew; no bytecode is written into the pack. A file stands alone: it may import `strategist` and libraries, not its neighbours.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import CodeType, ModuleType

from strategist.domains.checks import Check
from strategist.domains.domain import Tool
from strategist.domains.faults import Fault
from strategist.domains.reading import read_text
from strategist.records.base import digest

_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def load_checks(path: Path, faults: list[Fault]) -> tuple[Check, ...]:
    """All checks that checks.py declares, in the order of their declaration."""
    module = _load(path, faults, missing="write the checks of this pack there")
    if module is None:
        return ()
    unique = {id(value): value for value in vars(module).values() if isinstance(value, Check)}
    checks = tuple(unique.values())
    if not checks:
        faults.append(Fault(file=str(path), line=0, message="declares no check", hint="decorate functions with @turn_check(...)"))
    for check in checks:
        faults.extend(Fault(file=str(path), line=check_line(check), message=message) for message in _check_faults(check, checks))
    return checks


def load_tools(path: Path, faults: list[Fault]) -> tuple[Tool, ...]:
    """The `TOOLS` of tools.py; none where the pack has no such file."""
    if not path.exists():
        return ()
    module = _load(path, faults)
    if module is None:
        return ()
    tools: object = getattr(module, "TOOLS", None)
    if not isinstance(tools, Sequence) or not all(isinstance(tool, Tool) for tool in tools):
        faults.append(Fault(file=str(path), line=0, message="`TOOLS` is missing or is not a tuple of Tool"))
        return ()
    for tool in tools:
        problems = _tool_faults(tool, tools)
        faults.extend(Fault(file=str(path), line=function_line(tool.run), message=message) for message in problems)
    return tuple(tools)


def check_line(check: Check) -> int:
    """The line in which a check is declared; 0 where Python does not know it."""
    return function_line(check.turn_test or check.conversation_test)


def function_line(function: object) -> int:
    """The line in which a function begins; 0 where Python does not know it."""
    code = getattr(function, "__code__", None)
    return code.co_firstlineno if isinstance(code, CodeType) else 0


def function_file(function: Callable[..., object]) -> str:
    """The file a function was read from; empty where Python does not know it."""
    code = getattr(function, "__code__", None)
    return code.co_filename if isinstance(code, CodeType) else ""


def error_line(error: BaseException, file: str) -> int:
    """The last line of `file` that was running when the error was raised; 0 where none was."""
    if isinstance(error, SyntaxError) and error.filename == file:
        return error.lineno or 0
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return lines[-1] if lines else 0


def describe(error: BaseException) -> str:
    """Type and message of an error in one line."""
    message = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _load(path: Path, faults: list[Fault], *, missing: str = "") -> ModuleType | None:
    source = read_text(path, faults, missing=missing)
    if source is None:
        return None
    file = str(path.resolve())
    name = f"strategist_pack_{path.stem}_{digest([file, source], 16)}"
    if name in sys.modules:
        return sys.modules[name]
    module = ModuleType(name)
    module.__file__ = file
    sys.modules[name] = module
    try:
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a pack's code may raise anything; it becomes a fault with its line
        del sys.modules[name]
        hint = "a pack's file cannot import its neighbours" if isinstance(error, ImportError) else ""
        faults.append(Fault(file=str(path), line=error_line(error, file), message=describe(error), hint=hint))
        return None
    return module


def _tool_faults(tool: Tool, tools: Sequence[Tool]) -> list[str]:
    name, schema = tool.spec.name, tool.spec.parameters
    out = [] if _TOOL_NAME.fullmatch(name) else [f"the tool name {name!r} is none: letters, digits, `-` and `_`, 64 at most"]
    if next(other for other in tools if other.spec.name == name) is not tool:
        out.append(f"the tool name {name!r} stands twice")
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if schema.get("type") != "object" or not isinstance(properties, dict) or not isinstance(required, list):
        return [*out, f'the parameters of the tool {name!r} are no JSON schema of an object: {{"type": "object", "properties": {{...}}}}']
    out += [
        f"the parameter {key!r} of the tool {name!r} is no JSON schema" for key, value in properties.items() if not isinstance(value, dict)
    ]
    out += [f"the tool {name!r} requires {key!r}, which is no property of it" for key in required if key not in properties]
    return out


def _check_faults(check: Check, checks: Sequence[Check]) -> list[str]:
    out = []
    if not check.id.isidentifier() or check.id != check.id.lower():
        out.append(f"the check id {check.id!r} is not snake_case")
    if check.id == "recitation":
        out.append("the check id 'recitation' belongs to the built-in check")
    earlier = next(other for other in checks if other.id == check.id)
    if earlier is not check:
        out.append(f"the check id {check.id!r} is already used in line {check_line(earlier)}")
    for field in ("rules", "issues"):
        names: object = getattr(check, field)
        if not isinstance(names, tuple):
            out.append(f"`{field}` of the check {check.id!r} must be a tuple of texts, not {names!r}")
    return out
