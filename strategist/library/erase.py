"""Erasing a person's texts from the library: entries, their older versions, and the floor's gaps.

Knows entries and their keys; whose a text is, is said by whoever calls. Invariants: lines, evidence and status stay; an entry whose newest
version had such texts goes on as a new version, found by the keys that are left, since an erased key is nothing to be found by; the chain
of its events leads on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from sqlalchemy import insert, select, update

from strategist.library.library import Library
from strategist.records.base import ERASED, digest
from strategist.records.library import Entry
from strategist.store import Store, append_event, bump_library_version
from strategist.store.texts import write_body


class Lost(NamedTuple):
    """An entry as it stands after texts of it were erased, and how many keys it lost."""

    entry: Entry
    keys: int


def erase_entries(
    store: Store, library: Library, rewrite: Callable[[str], str], owns: Callable[[str], bool], *, actor: str, reason: str
) -> tuple[Lost, ...]:
    """Take a person's texts out of all stored versions (`rewrite` a body) and out of the floor (gaps of scenarios that they `owns`).

    One transaction, or part of the caller's."""
    lost: list[Lost] = []
    table = store.tables.entries
    with store.transaction() as conn:
        newest = {entry.id: entry for entry in library.entries()}
        for id_, version, body in conn.execute(
            select(table.c.id, table.c.version, table.c.body).order_by(table.c.id, table.c.version)
        ).all():
            if (bare := rewrite(body)) == body:
                continue
            conn.execute(update(table).where(table.c.id == id_, table.c.version == version).values(body=bare))
            old = newest[id_]
            if version != old.version:
                continue
            new = _next(library.get(id_))
            row = {"id": id_, "version": new.version, "status": new.status, "body": write_body(conn, new)}
            conn.execute(insert(table).values(row))
            append_event(conn, actor, "purge", id_, digest(old), digest(new), reason)
            lost.append(Lost(new, len(old.keys) - len(new.keys)))
        if lost:
            bump_library_version(conn)
        _erase_gaps(library, owns, actor=actor, reason=reason)
    return tuple(lost)


def _next(bare: Entry) -> Entry:
    return bare.model_copy(update={"version": bare.version + 1, "keys": tuple(key for key in bare.keys if key.text != ERASED)})


def _erase_gaps(library: Library, owns: Callable[[str], bool], *, actor: str, reason: str) -> None:
    floor = library.get_floor()
    if floor is not None and any(owns(key.scenario) for key in floor.gaps):
        left = tuple(key for key in floor.gaps if not owns(key.scenario))
        library.set_floor(floor.model_copy(update={"gaps": left}), actor=actor, reason=reason)
