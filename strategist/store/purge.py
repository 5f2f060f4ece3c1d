"""Erasing a person's texts from the database: whose they are, and every table that has them. One transaction of the caller.

Knows rows and texts; what of a body is a person's knows `store.erasure`. The library's entries are its own business and come in between.

Invariants: rows, ids, counts, verdicts and times stay; a text is deleted when no body refers to it any more, so what another person said as
well stays; nothing is left that a text could be guessed from (its hash goes with it, and calls lose the hash of their request).

A call is not linked to the conversation it was made for. It is the person's where its request, or its reply, holds words of theirs that no
other record has: a text of its own, or a long one (`LONG`) inside another text, as in a prompt that shows a conversation. Words that others
said as well, and short ones inside other texts, tell nobody's calls apart; they go where the rest of such a call goes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Set
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, func, literal_column, select, update

from strategist.records.base import ERASED, digest
from strategist.store import tables
from strategist.store.erasure import Eraser, scrubbed, spoken, without_texts
from strategist.store.needles import Needles
from strategist.store.texts import CHUNK, put_text, read_texts, references, text_hash

RECORDS = (tables.traces, tables.documents)
BODIES = (*RECORDS, tables.entries)
UNRECORDED = ("serve", "try")
"""Purposes of calls whose conversation is nowhere else: they are as old as the call."""

Forms = Callable[[str], Iterable[str]]
"""All forms of a text that may stand inside other texts."""


class Whose(NamedTuple):
    """Whose texts are erased: those of a customer (records.trace.customer_hash), or of all conversations that took place before a time."""

    customer: str = ""
    before: datetime | None = None


class Rows(NamedTuple):
    """What was erased: conversations and their turns; records made of them; runs (ids) that used them; recorded conversations without a
    readable time, which `before` cannot reach."""

    conversations: int = 0
    turns: int = 0
    records: int = 0
    runs: tuple[str, ...] = ()
    undated: int = 0


class Swept(NamedTuple):
    """What went with it: texts, calls, reasons in the audit log. `words` are the person's own that nobody else has, in all forms."""

    texts: int
    calls: int
    reasons: int
    words: frozenset[str]


def eraser_for(conn: Connection, whose: Whose) -> Eraser:
    """What takes this person's part out of bodies, with all that it must know before it begins."""
    eraser = Eraser(_traces_of(conn, whose))
    for _, body in _paged(conn, tables.documents, tables.documents.c.kind == "coached"):
        eraser.learn(body)
    return eraser


def erase_records(conn: Connection, whose: Whose, eraser: Eraser) -> Rows:
    """Take the person's part out of traces and documents."""
    names: set[str] = set()
    turns = records = 0
    runs: set[str] = set()
    for table in RECORDS:
        for row, body in _paged(conn, table):
            new = eraser.erased(body)
            if new == body:
                continue
            _rewrite(conn, table, row, new)
            runs.add(str(conn.scalar(select(table.c.run).where(_rowid == row))))
            value = json.loads(body)
            if table is tables.traces:
                turns += 0 if value["id"] in names else len(value["turns"])
                names.add(value["id"])
            else:
                records += 1
    return Rows(len(names), turns, records, tuple(sorted(runs)), _undated(conn) if whose.before else 0)


def sweep(conn: Connection, whose: Whose, eraser: Eraser, forms: Forms) -> Swept:
    """Erase what calls and free words keep of it, and delete every text that nothing refers to any more."""
    kept = {ref for table in BODIES for _, body in _paged(conn, table) for ref in references(body)}
    own = eraser.said - kept
    words = Needles(form for text in read_texts(conn, sorted(own)).values() for form in (text, *forms(text)))
    for text in _texts(conn, kept):
        words.drop_those_in(text)
    calls = _erase_calls(conn, whose, own | _holding(conn, words, kept))
    if words:
        _scrub(conn, words)
    return Swept(_collect(conn, kept), calls, _erase_reasons(conn, words), words.all)


def parse_time(text: str) -> datetime | None:
    """A time as records have it, ISO 8601; without a zone it is UTC. None for what is no time."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


_rowid: ColumnElement[int] = literal_column("rowid")


def _paged(conn: Connection, table: Table, *where: ColumnElement[bool]) -> Iterator[tuple[int, str]]:
    """Row ids and bodies, in pages: rows may be changed on the way."""
    last = 0
    while True:
        query = select(_rowid, table.c.body).where(_rowid > last, *where).order_by(_rowid).limit(CHUNK)
        page = [(int(row), str(body)) for row, body in conn.execute(query)]
        if not page:
            return
        yield from page
        last = page[-1][0]


def _rewrite(conn: Connection, table: Table, row: int, body: str) -> None:
    conn.execute(update(table).where(_rowid == row).values(body=body))


def _traces_of(conn: Connection, whose: Whose) -> set[str]:
    """Ids of the person's traces, those of replies at single moments included: these name the recorded customer, but not whose it is."""
    mine: set[str] = set()
    personas: set[str] = set()
    said: set[str] = set()
    wanted = text_hash(whose.customer) if whose.customer else ""
    for _, body in _paged(conn, tables.traces):
        value = json.loads(body)
        time = parse_time(str(value.get("time", ""))) if whose.before else None
        if (wanted and value.get("customer") == {"$text": wanted}) or (time and whose.before and time < whose.before):
            mine.add(value["id"])
            personas.add(value["persona"])
            said |= _user_refs(value["messages"])
    for _, body in _paged(conn, tables.traces):
        value = json.loads(body)
        unnamed = not value.get("customer") and not value.get("source")
        if unnamed and value["persona"] in personas and _user_refs(value["messages"]) & said:
            mine.add(value["id"])
    return mine


def _user_refs(messages: list[dict[str, object]]) -> set[str]:
    return {
        ref
        for message in messages
        if message["role"] == "user"
        for ref in references(json.dumps(message["content"], separators=(",", ":")))
    }


def _undated(conn: Connection) -> int:
    found = _paged(conn, tables.traces, tables.traces.c.purpose == "import")
    return sum(parse_time(str(json.loads(body).get("time", ""))) is None for _, body in found)


def _texts(conn: Connection, hashes: Set[str]) -> Iterator[str]:
    wanted = sorted(hashes)
    for start in range(0, len(wanted), CHUNK):
        yield from read_texts(conn, wanted[start : start + CHUNK]).values()


def _holding(conn: Connection, words: Needles, kept: Set[str]) -> set[str]:
    """Texts of calls alone that hold one of the words."""
    if not words:
        return set()
    rows = conn.execute(select(tables.texts.c.hash, tables.texts.c.text).where(tables.texts.c.text.is_not(None)))
    return {hash_ for hash_, text in rows if hash_ not in kept and words.stand_in(text)}


def _erase_calls(conn: Connection, whose: Whose, theirs: Set[str]) -> int:
    """Calls lose their texts, and the key that would find their answer: whoever asks the same again is answered anew."""
    c = tables.calls.c
    requests: dict[str, bool] = {}
    aged: set[int] = set()
    if whose.before:
        before = whose.before.astimezone(UTC).isoformat()
        aged.update(conn.scalars(select(c.id).where(c.purpose.in_(UNRECORDED), c.started_at < before)))
    erased = 0
    for id_, request, reply in conn.execute(select(c.id, c.request, c.reply).order_by(c.id)).all():
        if request not in requests:
            requests[request] = bool(spoken(_body(conn, request))[1] & theirs)
        if requests[request] or id_ in aged or (reply and set(references(reply)) & theirs):
            erased += _erase_call(conn, id_, request, reply)
    return erased


def _erase_call(conn: Connection, id_: int, request: str, reply: str | None) -> bool:
    body = _body(conn, request)
    bare = without_texts(body)
    answer = None if reply is None else without_texts(reply)
    if (bare, answer) == (body, reply):
        return False  # it was erased before
    c = tables.calls.c
    values = {"request": put_text(conn, bare), "request_hash": digest(bare), "key": digest(["erased", id_]), "reply": answer}
    conn.execute(update(tables.calls).where(c.id == id_).values(values))
    for column in (c.error, c.hint):
        conn.execute(update(tables.calls).where(c.id == id_, column.is_not(None), column != "").values({column: ERASED}))
    return True


def _body(conn: Connection, hash_: str) -> str:
    return read_texts(conn, [hash_])[hash_]


def _scrub(conn: Connection, words: Needles) -> None:
    for table in BODIES:
        for row, body in _paged(conn, table):
            if words.stand_in(body) and (new := scrubbed(body, words.all)) != body:
                _rewrite(conn, table, row, new)


def _erase_reasons(conn: Connection, words: Needles) -> int:
    """Reasons of the audit log that quote the person. It is append-only for everybody else: only here, and only a reason is replaced."""
    e = tables.events.c
    quoting = [seq for seq, reason in conn.execute(select(e.seq, e.reason)) if words.stand_in(reason)]
    if quoting:
        trigger = conn.exec_driver_sql(_TRIGGER).scalar_one()
        conn.exec_driver_sql("DROP TRIGGER events_no_update")
        conn.execute(update(tables.events).where(e.seq == bindparam("b_seq")).values(reason=ERASED), [{"b_seq": seq} for seq in quoting])
        conn.exec_driver_sql(str(trigger))
    return len(quoting)


_TRIGGER = "SELECT sql FROM sqlite_master WHERE name = 'events_no_update'"


def _collect(conn: Connection, kept: Set[str]) -> int:
    """Delete every text that no record and no call refers to; how many these were."""
    c = tables.calls.c
    used = set(kept)
    for (request,) in conn.execute(select(c.request).distinct()).all():
        used |= {request, *references(_body(conn, request))}
    for (reply,) in conn.execute(select(c.reply).where(c.reply.is_not(None))):
        used |= set(references(reply))
    before = conn.scalar(select(func.count()).select_from(tables.texts)) or 0
    unused = [{"b_hash": hash_} for hash_ in conn.scalars(select(tables.texts.c.hash)) if hash_ not in used]
    if unused:
        conn.execute(delete(tables.texts).where(tables.texts.c.hash == bindparam("b_hash")), unused)
    return before - (conn.scalar(select(func.count()).select_from(tables.texts)) or 0)
