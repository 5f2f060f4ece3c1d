"""`strategist purge`: show what would be erased, ask, erase, and say what is left to do."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer

from strategist.cli.console import err, plural, say
from strategist.cli.files import written
from strategist.cli.library import person
from strategist.errors import SettingsError, StrategistError
from strategist.project import Project, open_project
from strategist.purge import TARGET, Purged, erase, finish, is_open, look
from strategist.records.trace import customer_hash
from strategist.settings import load_settings
from strategist.store.purge import Whose, parse_time

SHOWN = 8
"""Letters of a customer's hash that the audit log has."""


def run(path: Path, *, customer: str | None, older_than: str | None, dry: bool, yes: bool) -> None:
    """The command. Raises StrategistError where something remains."""
    whose, name = _whose(customer, older_than)
    with open_project(load_settings(path)) as project, project.alone():
        looked = look(project, whose)
        if looked.nothing:
            _nothing(project, whose, name, customer, dry=dry)
            return
        tell(looked, name)
        if dry:
            say("nothing was erased (--dry-run)")
            return
        _ask(yes=yes)
        erase(project, whose, looked, actor=person(), name=name)
        say("erased; reports beside the database were deleted: `strategist report` writes them again")
        _finish(project)


def tell(found: Purged, name: str) -> None:
    """What is erased, in counts, and where it is felt."""
    rows, swept = found.rows, found.swept
    where = f"{plural(rows.conversations, 'conversation')} with {plural(rows.turns, 'turn')}"
    say(f"{name}: {where}, {plural(rows.records, 'record')} made of them, {plural(swept.calls, 'call')}, {plural(swept.texts, 'text')}")
    for lost in found.entries:
        end = "none is left, so it is not found any more" if lost.entry.is_lost else f"{plural(len(lost.entry.keys), 'key')} left"
        say(f"  {lost.entry.ref}: {plural(lost.keys, 'key')} erased, {end}")
    if swept.reasons:
        say(f"  {plural(swept.reasons, 'reason')} in the audit log")
    _undated(rows.undated)
    for file in found.files:
        say(f"  found in {file.path}")


def _whose(customer: str | None, older_than: str | None) -> tuple[Whose, str]:
    if (customer is None) == (older_than is None):
        raise SettingsError("purge needs one of --customer and --older-than", hint="whose texts are to be erased, or how old ones?")
    if customer is not None:
        hash_ = customer_hash(written(customer, "--customer"))
        return Whose(customer=hash_), f"customer {hash_[:SHOWN]}"
    before = _time(str(older_than))
    return Whose(before=before), f"conversations before {before:%Y-%m-%d}"


def _time(text: str) -> datetime:
    if days := re.fullmatch(r"(\d{1,6})d", text.strip()):
        return datetime.now(UTC) - timedelta(days=int(days[1]))
    time = parse_time(text.strip())
    if time is None:
        raise SettingsError(f"--older-than is {text!r}", hint="write days, such as 365d, or a date, such as 2025-01-31")
    return time


def _nothing(project: Project, whose: Whose, name: str, customer: str | None, *, dry: bool) -> None:
    if is_open(project) and not dry:
        say("nothing is left to erase; what an earlier purge left to do follows")
        _finish(project)
        return
    earlier = [event.time for event in project.store.events(TARGET) if event.reason.startswith(f"{name}:")]
    if customer is not None and not earlier:
        hint = "nothing was done; ids are compared as the imported file's customer field has them"
        raise SettingsError(f"no conversation of customer {customer.strip()!r} is recorded here", hint=hint)
    say(f"{name}: nothing is left to erase" + (f"; erased on {earlier[-1]}" if earlier else ""))
    if whose.before:
        _undated(look(project, whose).rows.undated)


def _undated(count: int) -> None:
    if count:
        say(f"note: {plural(count, 'recorded conversation')} without a readable time cannot be told by age", "yellow", to=err)


def _ask(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise SettingsError("nobody can be asked whether to erase this", hint="look with --dry-run, then add --yes; nothing was erased")
    if not typer.confirm("Erase this for good?"):
        raise SettingsError("nothing was erased")


def _finish(project: Project) -> None:
    left = finish(project)
    for one in left:
        say(f"left: {one.what}", "yellow", to=err)
    if left:
        hints = dict.fromkeys(one.hint for one in left)
        raise StrategistError(f"{plural(len(left), 'thing')} still to do", hint="\n".join(hints))
    say("ok, nothing is left to do", "green")
