"""Validates a domain pack: everything that reading it finds, what its parts say of each other, and a dry run of its code.

Owns the list of faults a person sees, in file order. It never raises, whatever is in the folder; a pack that cannot be read is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from strategist.domains.dry_run import dry_run_checks, dry_run_tools
from strategist.domains.faults import Fault, is_error
from strategist.domains.grading import MISSING, lookup
from strategist.domains.pack import BRIEF, CHECKS, MANIFEST, PERSONAS, TOOLS, Pack, domain_of, read_pack
from strategist.domains.pack_code import check_line, describe
from strategist.domains.persona import Persona
from strategist.domains.templates import Template, draw_persona

__all__ = ["ADVICE_WORDS", "Fault", "validate_pack"]

ADVICE_WORDS = 30
_EXAMPLE = re.compile('["\u201c\u201e\u00ab][^"\u201d\u201c\u00bb]*\\w+\\W+\\w+\\W+\\w+[^"\u201d\u201c\u00bb]*["\u201d\u201c\u00bb]')
_SEEDS = (0, 1)


def validate_pack(path: Path) -> list[Fault]:
    """All faults of the pack in a folder, by file and line; empty for a good pack. Errors and warnings, see Fault.severity."""
    try:
        return sorted(set(_faults(path)), key=lambda fault: (fault.file, fault.line, fault.message))
    except Exception as error:  # noqa: BLE001 - promised: a validator never raises, and what it did not foresee is told all the same
        return [Fault(file=str(path), line=0, message=f"cannot be checked: {describe(error)}")]


def _faults(path: Path) -> Iterator[Fault]:
    pack = read_pack(path)
    yield from pack.faults
    yield from _template_faults(pack)
    yield from _check_faults(pack)
    yield from _advice_faults(pack)
    yield from _balance_faults(pack)
    if pack.manifest is None or _has_error(pack, MANIFEST):
        return
    personas = {line.template.id: _sample(pack, line.template) for line in pack.lines}
    yield from _goal_faults(pack, personas)
    if _has_error(pack, CHECKS) or _has_error(pack, TOOLS):
        return
    everyone = [persona for sample in personas.values() for persona in sample[:1]]
    yield from dry_run_checks(pack.checks, everyone, str(path / CHECKS))
    yield from dry_run_tools(domain_of(pack, pack.manifest), everyone, str(path / TOOLS))


def _has_error(pack: Pack, name: str) -> bool:
    return any(is_error(fault) and fault.file == str(pack.path / name) for fault in pack.faults)


def _sample(pack: Pack, template: Template) -> list[Persona]:
    return [draw_persona(pack.deck, template, 0, seed) for seed in _SEEDS]


def _template_faults(pack: Pack) -> Iterator[Fault]:
    file = str(pack.path / PERSONAS)
    names = None if _has_error(pack, TOOLS) else {tool.spec.name for tool in pack.tools}
    openings: dict[str, Template] = {}
    for line, template in pack.lines:
        for need in template.needs:
            for tool in need.met_by_tools:
                if names is not None and tool not in names:
                    message = f"template {template.id!r}: need {need.id!r} is met by the tool {tool!r}, which tools.py does not have"
                    yield Fault(file=file, line=line, message=message)
            if need.met_by is None and not need.met_by_tools:
                message = f"template {template.id!r}: need {need.id!r} can never be met"
                yield Fault(file=file, line=line, message=message, hint="give it `met_by` or `met_by_tools`", severity="warning")
        for wording in template.needs[0].wordings:
            other = openings.setdefault(wording, template)
            if other.split != template.split:
                message = f"template {template.id!r} ({template.split}) opens like {other.id!r} ({other.split}): {wording[:40]!r}"
                yield Fault(file=file, line=line, message=message, hint="splits should not share stories", severity="warning")


def _check_faults(pack: Pack) -> Iterator[Fault]:
    file = str(pack.path / CHECKS)
    rules_known, rules = not _has_error(pack, BRIEF), {rule.id for rule in pack.rules}
    issues_known = pack.manifest is not None and not _has_error(pack, PERSONAS)
    for check in pack.checks:
        for rule in _names(check.rules) if rules_known else ():
            if rule not in rules:
                yield Fault(file=file, line=check_line(check), message=f"check {check.id!r} names {rule!r}, which {BRIEF} does not have")
        for issue in _names(check.issues) if issues_known else ():
            if issue not in pack.issues and pack.issues:
                message = f"check {check.id!r} names the issue {issue!r}, which no template has"
                yield Fault(file=file, line=check_line(check), message=message)


def _names(names: object) -> tuple[str, ...]:
    return names if isinstance(names, tuple) else ()  # anything else is a fault that reading the file has told


def _advice_faults(pack: Pack) -> Iterator[Fault]:
    for check in pack.checks:
        words = len(check.advice.split()) if check.advice else 0
        if words > ADVICE_WORDS:
            message = f"the advice of {check.id!r} has {words} words; {ADVICE_WORDS} are the most a student can use"
            yield Fault(file=str(pack.path / CHECKS), line=check_line(check), message=message)
        if check.advice and _EXAMPLE.search(check.advice):
            message = f"the advice of {check.id!r} quotes an example sentence"
            hint = "students copy example sentences word by word; say what to do instead"
            yield Fault(file=str(pack.path / CHECKS), line=check_line(check), message=message, hint=hint)


def _balance_faults(pack: Pack) -> Iterator[Fault]:
    if pack.manifest is not None and not (pack.path / CHECKS).exists():
        message = f"there is no {CHECKS}: only a judge can tell a good reply from a poor one"
        hint = "write the checks of this pack there, or set [judge] in strategist.toml and have the judge checked"
        yield Fault(file=str(pack.path / CHECKS), line=0, message=message, hint=hint, severity="warning")
    if not pack.checks:
        return
    silent = sum(check.advice is None for check in pack.checks)
    if 3 * silent < len(pack.checks):
        message = f"{silent} of {len(pack.checks)} checks have no advice; at least a third should only measure"
        hint = "checks without advice show what advice breaks elsewhere"
        yield Fault(file=str(pack.path / CHECKS), line=0, message=message, hint=hint, severity="warning")
    if not any(check.hard for check in pack.checks):
        message = "no check is hard: nothing keeps unsafe advice out"
        hint = "mark what must never happen with hard=True"
        yield Fault(file=str(pack.path / CHECKS), line=0, message=message, hint=hint, severity="warning")


def _goal_faults(pack: Pack, personas: dict[str, list[Persona]]) -> Iterator[Fault]:
    for line, template in pack.lines:
        goals = ((persona, path) for persona in personas[template.id] for path in (*persona.goal.state, *persona.goal.unchanged))
        missing = next((path for persona, path in goals if lookup(persona.state, path) is MISSING), None)
        if missing is not None:
            message = f"template {template.id!r}: the goal's path `{missing}` leads nowhere in the start state"
            hint = "give the start state every key that the goal looks at, with null or an empty value"
            yield Fault(file=str(pack.path / PERSONAS), line=line, message=message, hint=hint)
