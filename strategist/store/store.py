"""The store: what the program remembers besides model calls. One object, opened once per process.

Owns how records become rows (traces, documents, runs, events, meta counters). Knows no meaning of any of them, calls no model, reads no
clock but the one of the audit log. Invariants: writing the same record again changes nothing (upsert under deterministic ids); readers
get records in the order (round, index, id), whatever order they were written in.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from pydantic import JsonValue, ValidationError
from sqlalchemy import Connection, Select, Table, func, literal_column, select
from sqlalchemy.dialects.sqlite import Insert, insert

from strategist.errors import StoreError
from strategist.records.base import Record
from strategist.records.chat import Purpose
from strategist.records.library import Event
from strategist.records.run import RunInfo
from strategist.records.trace import Trace
from strategist.store import tables
from strategist.store.database import Database
from strategist.store.texts import as_text, put_text, read_bodies, read_texts, write_bodies, write_body

R = TypeVar("R", bound=Record)

_PAGE = 50


BUSY_TIMEOUT_S = 10.0
"""How long a database that another process has locked is waited for."""


def open_store(path: Path, *, busy_timeout_s: float | None = None) -> Store:
    """Open the database, made with its folder if missing. Raises StoreError: locked, damaged, not writable, another schema version."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {path.parent}: {error.strerror}", hint="choose another `database`") from error
    return Store(Database(path, busy_timeout_s=BUSY_TIMEOUT_S if busy_timeout_s is None else busy_timeout_s))


def meta_get(conn: Connection, key: str) -> str | None:
    """A value of the meta table."""
    return conn.scalar(select(tables.meta.c.value).where(tables.meta.c.key == key))


def meta_set(conn: Connection, key: str, value: str) -> None:
    """Set a value of the meta table."""
    conn.execute(_upsert(tables.meta, "key"), {"key": key, "value": value})


def bump_library_version(conn: Connection) -> int:
    """Count one more change of the library; call it in the transaction that makes the change. Returns the new version."""
    version = int(meta_get(conn, "library_version") or 0) + 1
    meta_set(conn, "library_version", str(version))
    return version


def append_event(conn: Connection, actor: str, action: str, target: str, before: str | None, after: str | None, reason: str) -> None:
    """Add one line to the audit log, in the transaction that makes the change it tells of."""
    row = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "actor": actor, "action": action, "target": target}
    conn.execute(insert(tables.events), {**row, "before": before, "after": after, "reason": reason})


class Store:
    """The open store. Use as a context manager, or call `close()`."""

    tables = tables.OPEN
    put_text = staticmethod(put_text)
    meta_get = staticmethod(meta_get)
    meta_set = staticmethod(meta_set)
    bump_library_version = staticmethod(bump_library_version)
    append_event = staticmethod(append_event)

    def __init__(self, database: Database) -> None:
        self.database = database

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """Where the database lies."""
        return self.database.path

    def close(self) -> None:
        """Close all connections; safe to call twice."""
        self.database.close()

    def transaction(self) -> AbstractContextManager[Connection]:
        """A write transaction (see Database.transaction). Store methods called inside it take part in it."""
        return self.database.transaction()

    def get_texts(self, hashes: Iterable[str]) -> dict[str, str]:
        """Hash -> text. Raises StoreError if one was never stored."""
        with self.database.reading() as conn:
            return read_texts(conn, hashes)

    def put_run(self, info: RunInfo) -> None:
        """Write a run; writing it again keeps its place in `runs()`."""
        with self.transaction() as conn:
            conn.execute(_upsert(tables.runs, "id"), {"id": info.id, "body": info.model_dump_json()})

    def get_run(self, id: str) -> RunInfo | None:  # noqa: A002
        """A run by id."""
        with self.database.reading() as conn:
            body = conn.scalar(select(tables.runs.c.body).where(tables.runs.c.id == id))
        return None if body is None else _parse(RunInfo, json.loads(body))

    def runs(self) -> list[RunInfo]:
        """All runs, oldest first."""
        with self.database.reading() as conn:
            bodies = conn.scalars(select(tables.runs.c.body).order_by(tables.runs.c.seq)).all()
        return [_parse(RunInfo, json.loads(body)) for body in bodies]

    def put_trace(self, run: str, trace: Trace) -> None:
        """Write a trace of a run; the same id again replaces it."""
        row = {"run": run, "id": trace.id, "round": trace.round, "index": trace.index, "purpose": trace.purpose, "arm": trace.arm}
        with self.transaction() as conn:
            conn.execute(_upsert(tables.traces, "run", "id"), {**row, "body": write_body(conn, trace)})

    def get_trace(self, run: str, id: str) -> Trace:  # noqa: A002
        """A trace by id. Raises StoreError if the run has none of that id."""
        query = select(tables.traces.c.body).where(tables.traces.c.run == run, tables.traces.c.id == id)
        found = self._read(query, Trace)
        if not found:
            raise StoreError(f"run {run} has no trace {id}", hint="`strategist report` lists the runs of this database")
        return found[0]

    def traces(
        self,
        run: str,
        *,
        purpose: Purpose | None = None,
        round: int | None = None,  # noqa: A002
        arm: str | None = None,
    ) -> Iterator[Trace]:
        """The run's traces in the order (round, index, id), read in pages: no transaction stays open between two of them."""
        t = tables.traces.c
        wanted = {t.purpose: purpose, t.round: round, t.arm: arm}
        query = select(t.id).where(t.run == run, *(column == value for column, value in wanted.items() if value is not None))
        with self.database.reading() as conn:
            ids = conn.scalars(query.order_by(t.round, t.index, t.id)).all()
        for start in range(0, len(ids), _PAGE):
            page = select(t.body).where(t.run == run, t.id.in_(ids[start : start + _PAGE]))
            yield from self._read(page.order_by(t.round, t.index, t.id), Trace)

    def trace_ids(self, run: str) -> list[str]:
        """Ids of the run's traces in the order they were first written."""
        t = tables.traces.c
        with self.database.reading() as conn:
            return list(conn.scalars(select(t.id).where(t.run == run).order_by(literal_column("rowid"))).all())

    def put_document(self, run: str, kind: str, id: str, round: int, index: int, record: Record) -> None:  # noqa: A002
        """Write one record under (run, kind, id); the same id again replaces it."""
        self.put_documents(run, kind, [(id, round, index, record)])

    def put_documents(self, run: str, kind: str, items: Sequence[tuple[str, int, int, Record]]) -> None:
        """Write (id, round, index, record) items in one transaction: all or none."""
        with self.transaction() as conn:
            bodies = write_bodies(conn, [record for *_, record in items])
            rows = [
                {"run": run, "kind": kind, "id": id_, "round": round_, "index": index, "body": body}
                for (id_, round_, index, _), body in zip(items, bodies, strict=True)
            ]
            if rows:
                conn.execute(_upsert(tables.documents, "run", "kind", "id"), rows)

    def get_document(self, run: str, kind: str, id: str, type_: type[R]) -> R | None:  # noqa: A002
        """One record by id, or None."""
        d = tables.documents.c
        found = self._read(select(d.body).where(d.run == run, d.kind == kind, d.id == id), type_)
        return found[0] if found else None

    def documents(self, run: str, kind: str, type_: type[R], round: int | None = None) -> list[R]:  # noqa: A002
        """All records of a kind, or those of one round, in the order (round, index, id)."""
        return self._read(_ordered(run, kind, round), type_)

    def named_documents(self, run: str, kind: str, type_: type[R]) -> list[tuple[str, R]]:
        """All records of a kind with their ids, in the order (round, index, id)."""
        d = tables.documents.c
        with self.database.reading() as conn:
            ids = conn.scalars(select(d.id).where(d.run == run, d.kind == kind).order_by(d.round, d.index, d.id)).all()
            return list(zip(ids, self.documents(run, kind, type_), strict=True))

    def parts(self, run: str, kind: str, type_: type[R], round: int | None = None) -> list[R]:  # noqa: A002
        """The same records, of each only the fields of `type_`: what else they hold, long messages mostly, is not looked up."""
        return self._read(_ordered(run, kind, round), type_, part=True)

    def count(self, run: str, kind: str, round: int | None = None) -> int:  # noqa: A002
        """How many records of a kind there are."""
        with self.database.reading() as conn:
            return conn.scalar(select(func.count()).select_from(_ordered(run, kind, round).order_by(None).subquery())) or 0

    def events(self, target: str | None = None) -> list[Event]:
        """The audit log, oldest first; of one target only if given."""
        query = select(tables.events).order_by(tables.events.c.seq)
        if target is not None:
            query = query.where(tables.events.c.target == target)
        with self.database.reading() as conn:
            return [Event.model_validate(dict(row)) for row in conn.execute(query).mappings()]

    def library_version(self) -> int:
        """How many changes the library has seen; readers compare it on every query."""
        with self.database.reading() as conn:
            return int(meta_get(conn, "library_version") or 0)

    def _read(self, query: Select[tuple[str]], type_: type[R], *, part: bool = False) -> list[R]:
        with self.database.reading() as conn:
            bodies = [row.body for row in conn.execute(query)]
            values = read_bodies(conn, [_cut(body, type_) for body in bodies] if part else bodies)
        return [_parse(type_, value) for value in values]


def _parse(type_: type[R], value: JsonValue) -> R:
    try:
        return type_.model_validate(value)
    except ValidationError as error:
        raise StoreError(
            f"a stored {type_.__name__} does not read as one: {error.error_count()} faults, the first: {error.errors()[0]['msg']}",
            hint="it was written by another version of strategist; begin a new run",
        ) from error


def _ordered(run: str, kind: str, round_: int | None) -> Select[tuple[str]]:
    d = tables.documents.c
    query = select(d.body).where(d.run == run, d.kind == kind)
    return (query if round_ is None else query.where(d.round == round_)).order_by(d.round, d.index, d.id)


def _cut(body: str, type_: type[Record]) -> str:
    whole = json.loads(body)
    return as_text({name: whole[name] for name in type_.model_fields if name in whole})


@cache
def _upsert(table: Table, *key: str) -> Insert:
    statement = insert(table)
    rest = {c.name: statement.excluded[c.name] for c in table.c if not c.primary_key and c.name not in key}
    return statement.on_conflict_do_update(index_elements=list(key), set_=rest)
