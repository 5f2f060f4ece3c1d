"""The library: entries and their versions in the database, which is the truth.

Owns what a change of an entry means (a new version or a new status, an event with hashes before and after, one more library version, all
in one transaction) and how a snapshot is cut. Knows no ranking, no vectors and no model.

Invariants: versions are never changed or deleted except for their status, and where a person's texts are erased (library.erase); the
newest version of an id is the entry; an edited text has no evidence and is `proposed` until it is tested again; only an entry with evidence
can be approved; what does not pass under a new brief is not served; a change under a marker that was used before, or a change that changes
nothing, leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, Row, Select, exists, insert, select, update

from strategist.errors import LibraryError
from strategist.records.base import canonical, digest
from strategist.records.evidence import Decision, Evidence
from strategist.records.library import SERVABLE, Entry, Event, Floor, Key, Snapshot, Status, Strategy, text_of
from strategist.store import Store, append_event, bump_library_version, meta_get, meta_set
from strategist.store.texts import CHUNK, read_bodies, write_body

TARGET = "library"
"""Target of events that concern no single entry."""
Came = Literal["added", "changed", "same", "kept_retired"]

FLOOR_KEY = "library_floor"
EMBEDDER_KEY = "library_embedder"


class ImportCounts(NamedTuple):
    """What an import did: entries that were new, that got a new version, that were there already, and that stay retired here.

    `floor_taken` is False where the file has a floor and another one (or none) is in force.
    """

    added: int
    changed: int
    same: int
    kept_retired: int
    floor_taken: bool


class Library:
    """The entries of one database. Several processes may hold one at once: every change reads and writes inside one transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def version(self) -> int:
        """How many changes the library has seen; readers compare it on every query."""
        return self._store.library_version()

    def entries(self, statuses: Sequence[Status] | None = None) -> tuple[Entry, ...]:
        """The newest version of every entry that has one of the statuses (None: any), sorted by id."""
        wanted = get_args(Status) if statuses is None else tuple(statuses)
        with self._store.database.reading() as conn:
            return _newest(conn, wanted)

    def snapshot(self, statuses: Sequence[Status], embedder: str, floor: Floor | None, *, before: Snapshot | None = None) -> Snapshot:
        """The entries of these statuses with the embedder and the floor that go with them. Those that did not change since `before` are
        taken from it: after one change among thousands only one is read."""
        with self._store.database.reading() as conn:
            entries = _newest(conn, statuses) if before is None else _newest_since(conn, statuses, before.entries)
        return Snapshot(entries=entries, embedder=embedder, floor=floor)

    def get(self, id: str, version: int | None = None) -> Entry:  # noqa: A002
        """An entry, newest version unless one is named. Raises LibraryError with near matches for an unknown id."""
        with self._store.database.reading() as conn:
            return _get(conn, id, version)

    def events(self, id: str | None = None) -> list[Event]:  # noqa: A002
        """The audit log of one entry, or of everything, oldest first."""
        return self._store.events(id)

    def add(self, entries: Sequence[Entry], *, actor: str, reason: str, marker: str) -> bool:
        """Add entries in one transaction, each with an event; an id that is known gets a new version.

        Lines that a person has retired stay retired, under whatever id they come back: the attempt is an event, the entry is not written.
        `marker` names the change (run, round, step): with a marker that was used before nothing happens, and False is returned.
        """

        def change(conn: Connection) -> bool:
            retired = {text_of(entry.strategies) for entry in _newest(conn, ("retired",)) if entry.strategies}
            came: list[Came] = []
            for entry in entries:
                if entry.status != "retired" and text_of(entry.strategies) in retired:
                    append_event(conn, actor, "kept_retired", entry.id, None, None, reason)
                else:
                    came.append(_put(conn, entry, actor=actor, action="add", reason=reason))
            return any(kind in ("added", "changed") for kind in came)

        return self._once(marker, change)

    def bring(self, snapshot: Snapshot, *, actor: str, reason: str, doubtful: Container[str] = ()) -> ImportCounts:
        """Take a library from elsewhere, evidence and status included; an entry that was retired here with the same text stays retired.
        `doubtful` are ids that come as proposed, whatever the file says, unless the same text serves here already.

        Embedder and floor come along only into a library without entries that is bound to no other embedder: a floor is a score of one
        embedder over one library.
        """
        with self._store.transaction() as conn:
            if snapshot.embedder and not self.entries() and self.get_embedder() in (None, snapshot.embedder):
                self.set_embedder(snapshot.embedder, actor=actor, reason=reason)
                self.set_floor(snapshot.floor, actor=actor, reason=reason)
            came: list[Came] = [
                _bring_one(conn, entry, doubt=entry.id in doubtful, actor=actor, reason=reason) for entry in snapshot.entries
            ]
            if {"added", "changed"} & set(came):
                bump_library_version(conn)
            floor_taken = snapshot.floor is None or snapshot.floor == self.get_floor()
        return ImportCounts(came.count("added"), came.count("changed"), came.count("same"), came.count("kept_retired"), floor_taken)

    def retire(self, id: str, *, actor: str, reason: str) -> Entry:  # noqa: A002
        """Take an entry out of use."""
        return self._set_status(id, "retired", actor=actor, action="retire", reason=reason)

    def approve(self, id: str, *, actor: str, reason: str) -> Entry:  # noqa: A002
        """A person vouches for an entry (also for one that was retired). Raises LibraryError if its text has no evidence."""
        with self._store.transaction() as conn:
            entry = _get(conn, id)
            if entry.evidence is None or entry.evidence.decision != "admitted":
                raise LibraryError(
                    f"{entry.ref} cannot be approved: there is no evidence for this text",
                    hint="an edited or imported text must pass the gate first (`strategist teach`)",
                )
            return self._set_status(id, "approved", actor=actor, action="approve", reason=reason)

    def edit(
        self,
        id: str,  # noqa: A002
        strategies: Sequence[Strategy],
        *,
        actor: str,
        reason: str,
        brief: str = "",
        language: str = "en",
    ) -> Entry:
        """Change an entry's lines: a new version, proposed and without evidence. The same lines change nothing.

        Raises LibraryError for lines that fail lint. `brief` is the policy whose amounts and times they may name,
        `language` the code of the domain's language."""
        with self._store.transaction() as conn:
            old = _get(conn, id)
            if tuple(strategies) == old.strategies:
                return old
            _lint(old, strategies, brief, language)
            changes = {"strategies": tuple(strategies), "evidence": None, "status": "proposed"}
            return self._new_version(conn, old, changes, actor=actor, action="edit", reason=reason)

    def widen(self, id: str, keys: Sequence[Key], *, actor: str, reason: str, marker: str | None = None) -> Entry:  # noqa: A002
        """Let an entry be found under more keys: a new version with the same tested text, its evidence and its status."""
        with self._store.transaction() as conn:
            old = _get(conn, id)
            wide = old.with_keys(keys)
            if wide == old or (marker is not None and not _take(conn, marker)):
                return old
            return self._new_version(conn, old, {"keys": wide.keys}, actor=actor, action="widen", reason=reason)

    def revalidate(
        self, tested: Entry, evidence: Evidence, *, brief_hash: str, strategies: Sequence[Strategy], actor: str, reason: str
    ) -> Entry | None:
        """Write what a test under a brief said of an entry: a new version with this evidence, and the status that follows (`status_after`).
        `strategies` are its lines with their rules as that brief numbers them.

        None, and nothing is written, where the test says nothing or where somebody changed or retired the entry since."""
        with self._store.transaction() as conn:
            old = _get(conn, tested.id)
            status = status_after(old.status, evidence.decision)
            if status is None or _is_other(old, tested):
                return None
            changes = {"evidence": evidence, "brief_hash": brief_hash, "strategies": tuple(strategies), "status": status}
            return self._new_version(conn, old, changes, actor=actor, action="revalidate", reason=reason)

    def suspend(self, refused: Entry, *, actor: str, reason: str) -> Entry | None:
        """Take an entry whose text a new brief forbids out of use: proposed, until its text is changed and passes. None as above."""
        with self._store.transaction() as conn:
            if _is_other(_get(conn, refused.id), refused):
                return None
            return self._set_status(refused.id, "proposed", actor=actor, action="revalidate", reason=reason)

    def get_floor(self) -> Floor | None:
        """The injection floor in force; None if none was set."""
        with self._store.database.reading() as conn:
            text = meta_get(conn, FLOOR_KEY)
        return Floor.model_validate_json(text) if text else None

    def set_floor(self, floor: Floor | None, *, actor: str = "strategist", reason: str = "") -> None:
        """Set or remove the floor; an event of the library, unless it is the one in force."""
        self._set_meta(FLOOR_KEY, "" if floor is None else floor.model_dump_json(), "set_floor", actor, reason or _say(floor))

    def get_embedder(self) -> str | None:
        """Id of the embedder this library belongs to; None if none was set."""
        with self._store.database.reading() as conn:
            return meta_get(conn, EMBEDDER_KEY) or None

    def set_embedder(self, id: str, *, actor: str = "strategist", reason: str = "") -> None:  # noqa: A002
        """Bind the library to an embedder. Another one than before takes the floor away: it was found for the old one's scores."""
        with self._store.transaction():
            if self.get_embedder() not in (None, id):
                self.set_floor(None, actor=actor, reason=f"the embedder changed to {id}")
            self._set_meta(EMBEDDER_KEY, id, "set_embedder", actor, reason or id)

    def _once(self, marker: str, change: Callable[[Connection], bool]) -> bool:
        with self._store.transaction() as conn:
            if not _take(conn, marker):
                return False
            if change(conn):
                bump_library_version(conn)
            return True

    def _set_status(self, id: str, status: Status, *, actor: str, action: str, reason: str) -> Entry:  # noqa: A002
        with self._store.transaction() as conn:
            old = _get(conn, id)
            if old.status == status:
                return old
            new = old.model_copy(update={"status": status})
            table = self._store.tables.entries
            this = (table.c.id == id) & (table.c.version == old.version)
            conn.execute(update(table).where(this).values(status=status, body=write_body(conn, new)))
            append_event(conn, actor, action, id, digest(old), digest(new), reason)
            bump_library_version(conn)
            return new

    def _new_version(self, conn: Connection, old: Entry, changes: Mapping[str, object], *, actor: str, action: str, reason: str) -> Entry:
        new = Entry.model_validate(old.model_copy(update={**changes, "version": old.version + 1}).model_dump())
        _write(conn, new)
        append_event(conn, actor, action, old.id, digest(old), digest(new), reason)
        bump_library_version(conn)
        return new

    def _set_meta(self, key: str, value: str, action: str, actor: str, reason: str) -> None:
        with self._store.transaction() as conn:
            old = meta_get(conn, key) or ""
            if old == value:
                return
            meta_set(conn, key, value)
            append_event(conn, actor, action, TARGET, digest(old) if old else None, digest(value) if value else None, reason)
            bump_library_version(conn)


def status_after(status: Status, decision: Decision) -> Status | None:
    """An entry's status after a test under a new brief; None where the test says nothing, so that all stays as it is.

    Who passes keeps its status, or is admitted. Who does not is not proven any more and leaves service until it passes again; who brings
    more hard failures is retired."""
    if decision in ("too_few_moments", "incomplete"):
        return None
    if decision == "admitted":
        return status if status in SERVABLE else "admitted"
    return "retired" if decision == "more_hard_failures" else "proposed"


def _put(conn: Connection, entry: Entry, *, actor: str, action: str, reason: str) -> Came:
    """Write an entry as it is if its id is new, as the next version if its content is, else not at all.

    The caller counts the library's version up."""
    old = _find(conn, entry.id)
    if old is not None and _content(old) == _content(entry):
        return "same"
    new = entry if old is None else entry.model_copy(update={"version": old.version + 1})
    _write(conn, new)
    append_event(conn, actor, action, entry.id, None if old is None else digest(old), digest(new), reason)
    return "added" if old is None else "changed"


def _bring_one(conn: Connection, entry: Entry, *, doubt: bool, actor: str, reason: str) -> Came:
    old = _find(conn, entry.id)
    if doubt and entry.status in SERVABLE and not (old is not None and old.status in SERVABLE and old.strategies == entry.strategies):
        entry = entry.model_copy(update={"status": "proposed"})
    if old is not None and old.status == "retired" and old.strategies == entry.strategies and entry.status != "retired":
        return "kept_retired"
    known = old is not None and _content(old) == _content(entry)
    if not known and entry.status in SERVABLE and (entry.evidence is None or entry.evidence.decision != "admitted"):
        entry = entry.model_copy(update={"status": "proposed"})  # a file can claim a status, not evidence
    return _put(conn, entry, actor=actor, action="import", reason=reason)


def _is_other(now: Entry, before: Entry) -> bool:
    """Whether the text or the keys changed meanwhile, or a person took the entry out of use."""
    return now.version != before.version or now.status == "retired"


def _lint(entry: Entry, strategies: Sequence[Strategy], brief: str, language: str) -> None:
    """What needs no conversation of it: a person's text is held to the rules that an advisor's is."""
    from strategist.library.lint import lint_candidate

    faults = lint_candidate(strategies, teacher_reply=None, customer_texts=(), brief=brief, language=language)
    if not faults:
        return
    hint = "take out what is named here; a line is one order, with its condition first if it has one"
    if {"money", "time"} & {fault.rule for fault in faults}:
        hint += "; amounts and times must stand in the brief, given as `brief=`"
    raise LibraryError(f"{entry.ref} is not changed: {'; '.join(fault.message for fault in faults)}", hint=hint)


def _newest(conn: Connection, statuses: Sequence[str]) -> tuple[Entry, ...]:
    table = Store.tables.entries
    return tuple(_parse(conn, list(conn.execute(_of_newest(table.c.body).where(table.c.status.in_(statuses))))))


def _newest_since(conn: Connection, statuses: Sequence[str], before: Sequence[Entry]) -> tuple[Entry, ...]:
    """The same, reading only what is not among `before`: of one version, nothing but the status ever changes."""
    table = Store.tables.entries
    known = {(entry.id, entry.version, entry.status): entry for entry in before}
    now = [tuple(row) for row in conn.execute(_of_newest(table.c.id, table.c.version, table.c.status).where(table.c.status.in_(statuses)))]
    fresh = [id_ for id_, *rest in now if (id_, *rest) not in known]
    for start in range(0, len(fresh), CHUNK):
        found = _parse(conn, list(conn.execute(_of_newest(table.c.body).where(table.c.id.in_(fresh[start : start + CHUNK])))))
        known |= {(entry.id, entry.version, entry.status): entry for entry in found}
    return tuple(known[one] for one in now)


def _of_newest(*columns: ColumnElement[Any]) -> Select[Any]:
    """Columns of the newest version of each entry, by id."""
    table, later = Store.tables.entries, Store.tables.entries.alias("later")
    newer = exists().where(later.c.id == table.c.id, later.c.version > table.c.version)  # by the key: who asks for few reads few
    return select(*columns).where(~newer).order_by(table.c.id)


def _find(conn: Connection, id: str, version: int | None = None) -> Entry | None:  # noqa: A002
    table = Store.tables.entries
    query = select(table.c.body).where(table.c.id == id).order_by(table.c.version.desc()).limit(1)
    found = _parse(conn, list(conn.execute(query if version is None else query.where(table.c.version == version))))
    return found[0] if found else None


def _get(conn: Connection, id: str, version: int | None = None) -> Entry:  # noqa: A002
    import difflib

    entry = _find(conn, id, version)
    if entry is None:
        table = Store.tables.entries
        known = list(conn.scalars(select(table.c.id).distinct().order_by(table.c.id)))
        near = difflib.get_close_matches(id, known, n=3, cutoff=0.5) or known[:3]
        what = f"no entry {id!r}" if version is None or id not in known else f"entry {id} has no version {version}"
        raise LibraryError(what, hint=f"near matches: {', '.join(near)}" if near else "the library is empty")
    return entry


def _write(conn: Connection, entry: Entry) -> None:
    row = {"id": entry.id, "version": entry.version, "status": entry.status, "body": write_body(conn, entry)}
    conn.execute(insert(Store.tables.entries).values(row))


def _parse(conn: Connection, rows: Sequence[Row[tuple[str]]]) -> list[Entry]:
    try:
        return [Entry.model_validate(body) for body in read_bodies(conn, [row.body for row in rows])]
    except ValidationError as error:
        fault = error.errors()[0]
        raise LibraryError(
            f"a stored entry does not read as one: {'.'.join(map(str, fault['loc']))}: {fault['msg']}",
            hint="it was written by another version of strategist; restore a backup or import an export into a new database",
        ) from error


def _take(conn: Connection, marker: str) -> bool:
    """Use a marker; False if it was used before."""
    if meta_get(conn, f"marker:{marker}") is not None:
        return False
    meta_set(conn, f"marker:{marker}", "done")
    return True


def _content(entry: Entry) -> str:
    return digest(entry.model_copy(update={"version": 1}))


def _say(floor: Floor | None) -> str:
    """For the audit log, which is kept for good: without the words of the gaps' customers."""
    if floor is None:
        return "removed"
    gaps = {"gaps": len(floor.gaps)} if floor.gaps else {}
    return canonical({**floor.model_dump(mode="json", exclude={"gaps"}), **gaps})
