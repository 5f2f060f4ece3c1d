"""The open database: connections, transactions, and the one place where database errors become StoreError.

Knows SQLite's settings (WAL, NORMAL, foreign keys, busy time-out) and the schema version; knows nothing of traces, calls or entries.
Invariants: every write is one BEGIN IMMEDIATE transaction, so two processes never interleave half-written records; a transaction opened
while this thread is in one joins it; who waits for the write lock gets it about as soon as others do; no other exception type than
StoreError leaves this layer for a database fault.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, exc, inspect, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from strategist.errors import StoreError
from strategist.store import tables

_LOOK_AGAIN_S = (0.0005, 0.004)

_KEPT = "everything written so far is kept"
_FAULTS = (
    ("database or disk is full", "the disk is full", f"free some space and run the command again; {_KEPT}"),
    ("disk I/O error", "the disk is full, or fails", f"look at its free space and its health, then run the command again; {_KEPT}"),
    ("is locked", "it is locked by another process", "end the other process (a second run? a database browser?) and try again"),
    ("not a database", "it is not a SQLite database", "move the file away, or name another one under `database` in strategist.toml"),
    ("malformed", "it is damaged", "restore a backup, or move the file away and import your last export"),
    ("readonly", "it cannot be written", "make the file and its folder writable"),
    ("unable to open", "it cannot be opened", "check that the folder exists and can be written"),
)
_DAMAGED = frozenset({"not a database", "malformed"})
_DERIVED = "move the file away and run the command again: nothing is lost, it is derived from the database"


class Database:
    """One SQLite file, open. `path` must lie in an existing folder; `busy_timeout_s` is how long a locked database is waited for."""

    def __init__(self, path: Path, *, busy_timeout_s: float) -> None:
        self.path = path
        self._mine = threading.local()
        self._reads = create_engine(f"sqlite:///{path}", connect_args={"timeout": busy_timeout_s, "check_same_thread": False})
        _listen(self._reads, busy_timeout_s)
        self._writes = self._reads.execution_options(write=True)
        try:
            self._open_schema()
        except StoreError:
            self.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection inside BEGIN IMMEDIATE: committed at the end, rolled back on any exception. Never await inside it."""
        if (outer := self._joined()) is not None:
            yield outer
            return
        with self._translated(), self._writes.begin() as connection:
            self._mine.connection = connection
            try:
                yield connection
            finally:
                self._mine.connection = None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one consistent state: this thread's open transaction, or a snapshot of its own."""
        if (outer := self._joined()) is not None:
            yield outer
            return
        with self._translated(), self._reads.begin() as connection:
            yield connection

    def compact(self) -> None:
        """Write the file anew without its free pages, in which deleted texts stand on, and empty the write-ahead log.

        Raises StoreError while another process reads or writes."""
        assert self._joined() is None, "no transaction is open"
        with self._translated():
            connection = self._reads.raw_connection()
            try:
                driver = connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                driver.execute("VACUUM")
                busy = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            finally:
                connection.close()
        if busy:
            raise fault(self.path, "the write-ahead log is locked")

    def close(self) -> None:
        """Close all connections; safe to call twice."""
        self._reads.dispose()

    def _joined(self) -> Connection | None:
        joined: Connection | None = getattr(self._mine, "connection", None)
        return joined

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except exc.DBAPIError as error:
            raise fault(self.path, str(error.orig)) from error
        except sqlite3.Error as error:
            raise fault(self.path, str(error)) from error

    def _open_schema(self) -> None:
        with self.reading() as connection:  # a complete database opens without a write lock
            found = self._version(connection)
        if found is None:
            with self.transaction() as connection:
                found = self._version(connection) or _create(connection)
        if found != str(tables.SCHEMA_VERSION):
            raise StoreError(
                f"{self.path} has schema version {found}, this program reads version {tables.SCHEMA_VERSION}",
                hint="install the version of strategist that wrote it, export the library there, and import it into a new database",
            )

    def _version(self, connection: Connection) -> str | None:
        """The schema version, None for an empty file."""
        present = inspect(connection).get_table_names()
        if not present:
            return None
        if tables.meta.name not in present:
            raise StoreError(f"{self.path} is the database of another program", hint="name another file under `database`")
        version = connection.scalar(select(tables.meta.c.value).where(tables.meta.c.key == "schema_version"))
        return version or "unknown"


def _create(connection: Connection) -> str:
    tables.metadata.create_all(connection, checkfirst=False)
    connection.execute(insert(tables.meta).values(key="schema_version", value=str(tables.SCHEMA_VERSION)))
    return str(tables.SCHEMA_VERSION)


def fault(path: Path, message: str, *, derived: bool = False) -> StoreError:
    """The StoreError for what SQLite says of the database at `path`; `derived`: it can be thrown away where it is damaged."""
    for sign, what, hint in _FAULTS:
        if sign in message:
            told = _DERIVED if derived and sign in _DAMAGED else hint
            return StoreError(f"cannot use the database {path}: {what} ({message})", hint=told)
    return StoreError(f"the database {path} refuses: {message}")


def _listen(engine: Engine, busy_timeout_s: float) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.isolation_level = None  # the driver's own BEGIN would come too late
        # Of processes that open a new file at the same moment only one may change its mode, and SQLite does not wait for that by itself.
        _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"), busy_timeout_s)
        for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        write = connection.get_execution_options().get("write", False)
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        if write:  # not through SQLAlchemy: this runs three times per model call
            _begin_write(driver, busy_timeout_s)
        else:
            driver.execute("BEGIN")


def _begin_write(driver: sqlite3.Connection, patience_s: float) -> None:
    """Wait for the write lock, looking again every few milliseconds.

    SQLite's own wait looks ten times a second at most. Whoever writes without a pause is there first every time: with eight such processes
    one of them got nothing for ten seconds."""
    driver.execute("PRAGMA busy_timeout = 0")
    try:
        _patiently(lambda: driver.execute("BEGIN IMMEDIATE"), patience_s)
    finally:
        driver.execute(f"PRAGMA busy_timeout = {round(patience_s * 1000)}")


def _patiently(work: Callable[[], object], patience_s: float) -> None:
    """Do it as soon as no other process is in the way."""
    end = time.monotonic() + patience_s
    while True:
        try:
            work()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= end:
                raise
        else:
            return
        time.sleep(random.uniform(*_LOOK_AGAIN_S))
