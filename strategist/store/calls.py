"""The call log: every attempt at a model call, written before it is sent, and every reply, written before it is used.

It is ledger (what a run has spent) and cache (the same key is never paid for twice). Knows no model and no budget. Invariants: a key has at
most one final answer, a reply or a failure; an attempt whose usage is not known (in flight, died, lost on the way, or answered by a server
that does not say) counts with its upper bound; what was billed beyond a bound is written with the answer; rows copied from another log
belong to the run `replayed` and count in no budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import BindParameter, Connection, Update, bindparam, case, exc, func, or_, select, update
from sqlalchemy.dialects.sqlite import insert

from strategist.errors import ModelError, StoreError
from strategist.records.base import digest
from strategist.records.chat import ModelRequest, Purpose, Reply, RoleName, Usage
from strategist.records.run import Overrun, RoleCost
from strategist.store import tables
from strategist.store.store import Store, open_store
from strategist.store.texts import put_text, read_bodies, write_body

Answer = Reply | ModelError
"""What a key was finally answered with: a reply, or a failure that is raised on every replay."""

REPLAYED = "replayed"
EXHAUSTED = "exhausted"
OVERRUN = "overrun"
"""Kind of the documents that say what a call was billed beyond its upper bound."""

_Values = Mapping[str, str | float | None]

_c = tables.calls.c
_USAGE = tuple(Usage.model_fields)
_COPY_PAGE = 500


class Spent(NamedTuple):
    """What a run has used: attempts, tokens, US dollars. Attempts of unknown usage count with their upper bound."""

    calls: int = 0
    tokens: int = 0
    usd: float = 0.0


class CallLog:
    """The call log of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, key: str) -> Answer | None:
        """The final answer of a key, if there is one."""
        with self._store.database.reading() as conn:
            return _find(conn, key)

    def begin(
        self,
        *,
        key: str,
        run: str,
        attempt: int,
        role: RoleName,
        model: str,
        purpose: Purpose,
        sample: int,
        seed: int,
        request: ModelRequest,
        request_hash: str = "",
        held_tokens: int = 0,
        held_usd: float = 0.0,
    ) -> int:
        """Write an attempt before it is sent. `held_*` is its upper bound, kept until the usage is known. Returns the attempt's id."""
        row = {"key": key, "run": run, "attempt": attempt, "role": role, "model": model, "purpose": purpose, "sample": sample, "seed": seed}
        row |= {"held_tokens": held_tokens, "held_usd": held_usd, "status": "sent", "started_at": datetime.now(UTC).isoformat()}
        row |= {"request_hash": request_hash or digest(request), **_NO_USAGE}
        with self._store.transaction() as conn:
            row["request"] = put_text(conn, write_body(conn, request))
            return int(conn.execute(_BEGIN, row).scalar_one())

    def succeed(self, id: int, reply: Reply, ms: float, *, over: Overrun = Overrun()) -> Answer:  # noqa: A002, B008
        """Record the reply, and what it cost `over` its bound. Returns the key's answer: this, unless another process answered first.

        A reply without usage leaves the upper bound in the ledger."""
        with self._store.transaction() as conn:
            known: _Values = _used(reply.usage) if reply.usage.reported else {}
            values: _Values = {"status": "ok", "reply": write_body(conn, reply), "ms": ms, **known}
            self._put_overrun(conn, id, over)
            return _finish(conn, id, values) or reply

    def fail(
        self,
        id: int,  # noqa: A002
        kind: str,
        message: str,
        ms: float,
        *,
        hint: str = "",
        usage: Usage | None = None,
        lost: bool = False,
        over: Overrun = Overrun(),  # noqa: B008
    ) -> Answer:
        """Record a final failure (`lost`: see `retry`; `over`: see `succeed`). Returns the key's answer: this, unless another process
        answered the key first."""
        values: _Values = {"status": "failed", "error_kind": kind, "error": message, "hint": hint, "ms": ms}
        known: _Values = {} if lost else _used(usage or Usage())
        with self._store.transaction() as conn:
            self._put_overrun(conn, id, over)
            return _finish(conn, id, {**values, **known}) or ModelError(message, kind=kind, hint=hint)

    def retry(self, id: int, message: str, ms: float, *, lost: bool = False, exhausted: bool = False) -> None:  # noqa: A002
        """Record an attempt without an answer. `lost`: the server may have billed it, so its upper bound stays in the ledger.

        `exhausted`: no further attempt follows, and yet nothing is final (see `was_exhausted`)."""
        values: _Values = {"status": "retry", "error_kind": EXHAUSTED if exhausted else "transient", "error": message, "ms": ms}
        known: _Values = {} if lost else _used(Usage())
        with self._store.transaction() as conn:
            _finish(conn, id, {**values, **known})

    def was_exhausted(self, key: str) -> bool:
        """Whether all attempts at this key were used up before without a final answer."""
        query = select(func.count()).where(_c.key == key, _c.status == "retry", _c.error_kind == EXHAUSTED)
        with self._store.database.reading() as conn:
            return bool(conn.scalar(query))

    def mark_abandoned(self, run: str) -> int:
        """Mark what a dead process of this run left in flight; it stays counted. Returns how many attempts that were."""
        statement = update(tables.calls).where(_c.run == run, _c.status == "sent").values(status="abandoned")
        with self._store.transaction() as conn:
            return conn.execute(statement).rowcount

    def spent(self, run: str) -> Spent:
        """What the run has used so far, unknown usage at its upper bound."""
        tokens = func.coalesce(func.sum(_c.prompt_tokens + _c.completion_tokens + _c.held_tokens), 0)
        usd = func.coalesce(func.sum(_c.cost_usd + _c.held_usd), 0.0)
        with self._store.database.reading() as conn:
            return Spent(*conn.execute(select(func.count(), tokens, usd).where(_c.run == run)).one())

    def overrun(self, run: str) -> Overrun:
        """What servers billed the run beyond the upper bounds of its calls; it is part of what is spent."""
        return sum(self._store.documents(run, OVERRUN, Overrun), start=Overrun())

    def _put_overrun(self, conn: Connection, id: int, over: Overrun) -> None:  # noqa: A002
        if over != Overrun():
            run = str(conn.scalar(select(_c.run).where(_c.id == id)))
            self._store.put_document(run, OVERRUN, str(id), 0, id, over)

    def totals(self, run: str) -> tuple[RoleCost, ...]:
        """Attempts, failures, retries and known usage per role and purpose, sorted by both."""
        counts = [func.count(), *(func.sum(case((_c.status == status, 1), else_=0)) for status in ("failed", "retry"))]
        sums = [func.sum(_c[name]) for name in _USAGE]
        query = select(_c.role, _c.purpose, *counts, *sums).where(_c.run == run).group_by(_c.role, _c.purpose)
        with self._store.database.reading() as conn:
            rows = conn.execute(query.order_by(_c.role, _c.purpose)).all()
        return tuple(
            RoleCost(
                role=role,
                purpose=purpose,
                calls=calls,
                failed=failed,
                retries=retries,
                usage=Usage.model_validate(dict(zip(_USAGE, used, strict=True))),
            )
            for role, purpose, calls, failed, retries, *used in rows
        )

    def replies(self, run: str, role: RoleName) -> int:
        """How many replies of this role the run has paid for."""
        query = select(func.count()).where(_c.run == run, _c.role == role, _c.status == "ok")
        with self._store.database.reading() as conn:
            return conn.scalar(query) or 0

    def copy_from(self, other: Path) -> int:
        """Copy the final answers and the texts of another database, for replaying a finished log in a fresh library.

        Keys that are answered here already keep their answer. Returns how many answers came over. Raises StoreError.
        """
        if not other.exists():
            raise StoreError(f"no database at {other}", hint="name the database whose call log is to be replayed")
        with open_store(other) as source, source.database.reading() as read, self._store.transaction() as write:
            for page in read.execute(select(tables.texts)).mappings().partitions(_COPY_PAGE):
                write.execute(insert(tables.texts).on_conflict_do_nothing(), [dict(row) for row in page])
            before = write.scalar(_COUNT) or 0
            final = select(tables.calls).where(_c.status.in_(tables.FINAL)).order_by(_c.id)
            for page in read.execute(final).mappings().partitions(_COPY_PAGE):
                rows = [{name: value for name, value in row.items() if name != "id"} | {"run": REPLAYED} for row in page]
                write.execute(insert(tables.calls).on_conflict_do_nothing(), rows)
            return (write.scalar(_COUNT) or 0) - before


def _used(usage: Usage) -> _Values:
    return {**usage.model_dump(), "held_tokens": 0, "held_usd": 0.0}


# Statements are built once: they are what a call costs besides the disk.
_COUNT = select(func.count()).select_from(tables.calls)
_BEGIN = insert(tables.calls).returning(_c.id)
_NO_USAGE = Usage().model_dump()
_FIND = select(_c.reply, _c.error_kind, _c.error, _c.hint).where(_c.key == bindparam("b_key"), or_(*(_c.status == s for s in tables.FINAL)))


@cache
def _update(names: frozenset[str]) -> Update:
    columns: dict[str, BindParameter[str | float | None]] = {name: bindparam(f"b_{name}") for name in sorted(names)}
    return update(tables.calls).where(_c.id == bindparam("b_id")).values(columns)


def _finish(conn: Connection, id_: int, values: _Values) -> Answer | None:
    """Settle an attempt. Returns the answer that the key had before, if any: then this attempt is kept as abandoned."""
    try:
        _set(conn, id_, values)
    except exc.IntegrityError:
        _set(conn, id_, {**values, "status": "abandoned", "error": "another process answered first"})
        return _find(conn, str(conn.scalar(select(_c.key).where(_c.id == id_))))
    return None


def _set(conn: Connection, id_: int, values: _Values) -> None:
    conn.execute(_update(frozenset(values)), {"b_id": id_, **{f"b_{name}": value for name, value in values.items()}})


def _find(conn: Connection, key: str) -> Answer | None:
    row = conn.execute(_FIND, {"b_key": key}).one_or_none()
    if row is None:
        return None
    if row.reply is None:
        return ModelError(row.error, kind=row.error_kind, hint=row.hint or "")
    return Reply.model_validate(read_bodies(conn, [row.reply])[0])
