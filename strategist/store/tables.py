"""The database's tables: what stands where, and nothing of what it means.

Owns names, keys and triggers of schema version 1. Texts stand once in `texts` and every body refers to them, so that a person's texts can
be erased (set to NULL) without breaking the record. `events` is append-only by trigger. At most one final answer per call key, by a
partial unique index.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import DDL, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text, event

SCHEMA_VERSION = 1

metadata = MetaData()

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", Text, nullable=False))

texts = Table("texts", metadata, Column("hash", String(64), primary_key=True), Column("text", Text))

runs = Table(
    "runs",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("body", Text, nullable=False),
)

traces = Table(
    "traces",
    metadata,
    Column("run", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("round", Integer, nullable=False),
    Column("index", Integer, nullable=False),
    Column("purpose", String, nullable=False),
    Column("arm", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("traces_order", "run", "round", "index", "id"),
)

documents = Table(
    "documents",
    metadata,
    Column("run", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("round", Integer, nullable=False),
    Column("index", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Index("documents_order", "run", "kind", "round", "index", "id"),
)

entries = Table(
    "entries",
    metadata,
    Column("id", String, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("status", String, nullable=False, index=True),
    Column("body", Text, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("time", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("action", String, nullable=False),
    Column("target", String, nullable=False, index=True),
    Column("before", String),
    Column("after", String),
    Column("reason", Text, nullable=False),
    sqlite_autoincrement=True,
)

calls = Table(
    "calls",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False, index=True),
    Column("run", String, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", String, nullable=False),  # sent | ok | retry | failed | abandoned
    Column("role", String, nullable=False),
    Column("model", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("sample", Integer, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("request_hash", String(64), nullable=False),
    Column("request", String(64), ForeignKey("texts.hash"), nullable=False),
    Column("reply", Text),
    Column("prompt_tokens", Integer, nullable=False, default=0),
    Column("completion_tokens", Integer, nullable=False, default=0),
    Column("cached_tokens", Integer, nullable=False, default=0),
    Column("cost_usd", Float, nullable=False, default=0.0),
    Column("held_tokens", Integer, nullable=False, default=0),  # upper bound, as long as the true usage is unknown
    Column("held_usd", Float, nullable=False, default=0.0),
    Column("started_at", String, nullable=False),
    Column("ms", Float),
    Column("error_kind", String),
    Column("error", Text),
    Column("hint", Text),
    Index("calls_by_run", "run", "role", "status"),
    sqlite_autoincrement=True,
)

FINAL = ("ok", "failed")

Index("calls_one_answer", calls.c.key, unique=True, sqlite_where=calls.c.status.in_(FINAL))

for _verb in ("UPDATE", "DELETE"):
    event.listen(
        events,
        "after_create",
        DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER events_no_{_verb.lower()} BEFORE {_verb} ON events "
            "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        ),
    )


class Tables(NamedTuple):
    """The tables that code outside this layer reads and writes inside `Store.transaction()`."""

    entries: Table
    events: Table
    meta: Table
    texts: Table


OPEN = Tables(entries=entries, events=events, meta=meta, texts=texts)
